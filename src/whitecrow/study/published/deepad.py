"""The rows that the deepad prototype trains and tests on, put together from their two sources."""

from pathlib import Path

import numpy as np
import polars as pl

from whitecrow.core.files import atomic_write
from whitecrow.data import load_dataset

__all__ = ["DEEPAD_COLUMNS", "DEEPAD_SOURCES", "write_deepad"]

DEEPAD_SOURCES = ("kddcup99-10", "deepad")
DEEPAD_COLUMNS = (
    "srv_count", "serror_rate", "srv_serror_rate", "rerror_rate", "srv_rerror_rate", "same_srv_rate", "diff_srv_rate",
    "srv_diff_host_rate", "dst_host_count", "dst_host_srv_count", "dst_host_same_srv_rate", "dst_host_diff_srv_rate",
    "dst_host_same_src_port_rate", "dst_host_srv_diff_host_rate", "dst_host_serror_rate", "dst_host_srv_serror_rate",
    "dst_host_rerror_rate", "dst_host_srv_rerror_rate",
)  # fmt: skip


def write_deepad(file: str | Path, *, root: str | Path | None = None) -> int:
    """Write the training rows of the prototype and, below them, its test rows; return how many train.

    The training rows are all normal connections of KDD Cup 1999's 10 percent file. Both parts are scaled by the
    smallest and the largest value of each column among the training rows, and not clipped. The column ``target``
    holds the label, 1 = anomaly.

    Parameters
    ----------
    file : path
        Parquet file to write.
    root : path, optional
        Folder of the named data sets, as for :func:`whitecrow.data.load_dataset`.

    Raises
    ------
    DatasetError
        If one of the two data sets is not here.
    """
    kdd, tested = (load_dataset(name, root=root) for name in DEEPAD_SOURCES)
    # There normal traffic is the anomaly, as in the literature.
    train = pl.DataFrame(kdd.X).filter(pl.Series(kdd.y == 1)).select(DEEPAD_COLUMNS).cast(pl.Float64).to_numpy()
    low, span = train.min(0), np.ptp(train, axis=0)
    scaled = (np.concatenate([train, np.asarray(tested.X)]) - low) / np.where(span > 0, span, 1.0)
    rows = pl.DataFrame(scaled, schema=list(DEEPAD_COLUMNS))
    target = np.concatenate([np.zeros(len(train), dtype=np.int8), tested.y])
    with atomic_write(file) as draft:
        rows.with_columns(target=target).write_parquet(draft)
    return len(train)
