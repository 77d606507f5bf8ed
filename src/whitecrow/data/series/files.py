"""Readers of the files of named sets of series."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import FileFormatError

__all__ = ["SERIES_READERS", "LabelledSeries", "read_ecg5000", "read_nab", "read_tsb_ad"]

_TRAINING_END = re.compile(r"_tr_(\d+)_")


class LabelledSeries(NamedTuple):
    """A labelled series, or fixed windows.

    Attributes
    ----------
    X : polars.DataFrame, or ndarray of float64 [T, C] or [N, W, C]
        A table where there are time stamps.
    y : ndarray of int8 [T] or [N]
        1 = anomaly.
    train_end : int or None
        Rows before this one are the training part, where the set has one.
    families : ndarray of str [N], or None
        The class before it was made binary.
    """

    X: pl.DataFrame | NDArray[np.float64]
    y: NDArray[np.int8]
    train_end: int | None = None
    families: NDArray[np.str_] | None = None


def read_ecg5000(paths: Sequence[Path]) -> LabelledSeries:
    """Return all 5,000 heartbeats, the 500 of the UCR training part first, each standardised; class 1 is normal.

    In the archive each beat has mean 0 and variance 1; this copy was scaled step by step since, which undoes that.
    """
    with np.load(paths[0], allow_pickle=False) as arrays:
        # The file calls the larger part the training part; in the archive it is the test part.
        beats = np.concatenate([arrays["X_test"], arrays["X_train"]]).astype(np.float64)[:, :, None]
        classes = np.concatenate([arrays["y_test"], arrays["y_train"]])
        train_end = len(arrays["y_test"])
    beats = (beats - beats.mean(1, keepdims=True)) / beats.std(1, keepdims=True)
    return LabelledSeries(beats, (classes != 1).astype(np.int8), train_end, classes.astype(np.str_))


def read_nab(paths: Sequence[Path]) -> LabelledSeries:
    """Return a series of the Numenta Anomaly Benchmark; rows from the start to the end of a window are anomalies.

    Raises
    ------
    FileFormatError
        If the file of windows does not know the series.
    """
    path, windows_path = paths
    table = pl.read_csv(path, schema_overrides={"value": pl.Float64})
    table = table.select(pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us"), "value")
    key = f"{path.parent.name}/{path.name.partition('.csv')[0]}.csv"
    windows = json.loads(windows_path.read_text(encoding="utf-8"))
    if key not in windows:
        raise FileFormatError(f"{windows_path.name} has no entry {key!r}. Take the file of NAB v1.1.")
    stamps = table["timestamp"].to_numpy()
    y = np.zeros(table.height, dtype=np.int8)
    for start, end in windows[key]:
        y[(stamps >= np.datetime64(start)) & (stamps <= np.datetime64(end))] = 1
    return LabelledSeries(table, y)


def read_tsb_ad(paths: Sequence[Path]) -> LabelledSeries:
    """Return a series of TSB-AD: the last column is the label, and the file's name says where training ends.

    Raises
    ------
    FileFormatError
        If the name does not say where training ends, the last column is no label, or training ends beyond the file.
    """
    path = paths[0]
    table = pl.read_csv(path, infer_schema_length=None).drop_nulls()
    found = _TRAINING_END.search(path.name)
    if found is None or table.columns[-1] != "Label" or not 0 < int(found[1]) <= table.height:
        raise FileFormatError(
            f"{path.name} has {table.height} rows and the last column {table.columns[-1]!r}; accepted is 'Label', in a "
            "file whose name has tr_N, the number of training rows."
        )
    X = table.drop("Label").cast(pl.Float64).to_numpy(order="c")
    return LabelledSeries(X, table["Label"].to_numpy().astype(np.int8), int(found[1]))


SERIES_READERS: dict[str, Callable[[Sequence[Path]], LabelledSeries]] = {
    "ecg5000": read_ecg5000,
    "nab": read_nab,
    "tsb-ad": read_tsb_ad,
}
