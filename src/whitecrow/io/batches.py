"""A model applied to a batch of rows: one pure function for every engine that maps functions over batches."""

import os
import threading
from collections import Counter, OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.calibrate import p_values
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.encoders import table_encoder
from whitecrow.io.loading import load

if TYPE_CHECKING:
    import pyarrow as pa

    from whitecrow.detectors import Detector

__all__ = [
    "TURN",
    "added_names",
    "check_columns",
    "file_state",
    "load_once",
    "score_batch",
    "score_columns",
    "with_scores",
]

Batch = TypeVar("Batch", "pl.DataFrame", "pa.Table", "pa.RecordBatch")
_ARROW = ("RecordBatch", "Table")
_KEPT_MODELS = 4

TURN = threading.RLock()
"""Held while a batch is scored: a detector sets its networks and torch up for each call, so one goes at a time."""
_LOADED: OrderedDict[tuple[str, ...], "Detector"] = OrderedDict()


def score_batch(batch: Batch, model: "str | os.PathLike[str] | Detector", prefix: str = "") -> Batch:
    """Return the rows with three more columns: their score, p-value, and whether they are flagged.

    The rows keep their order, columns and types, and what is added to a row depends on that row alone: however
    rows are cut into batches, the same come out. Threads may call it; they take turns.

    Parameters
    ----------
    batch : polars.DataFrame, pyarrow.RecordBatch or pyarrow.Table
        Rows with the columns that the model was fitted on; other columns are carried along. No rows are fine.
    model : path-like or Detector
        Model file, which a process loads once and again only when it has changed; or a fitted detector.
    prefix : str, default=""
        What the names of the new columns begin with.

    Returns
    -------
    polars.DataFrame, pyarrow.RecordBatch or pyarrow.Table
        As ``batch`` is, with, behind its own columns,
        ``score`` (64-bit float, higher = more anomalous),
        ``p_value`` (64-bit float from 1 / (n + 1) to 1, lower = more anomalous; empty if the model was fitted
        without held-out rows), and
        ``is_anomaly`` (truth value: the score exceeds the model's threshold).

    Raises
    ------
    ParameterError
        If the batch has a column with the name of a new one.
    DataError
        If it is no such batch, or lacks columns of the model, or holds values that cannot be used.
    ModelFileError
        If the model file is damaged.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import whitecrow as wc
    >>> rows = pl.DataFrame({"a": [0.0, 0.1, 0.2, 0.3, 9.0], "b": [1.0, 1.1, 1.2, 1.3, 1.0]})
    >>> detector = wc.detector("pca", random_state=0, calibration=0).fit(rows)
    >>> score_batch(rows, detector).columns
    ['a', 'b', 'score', 'p_value', 'is_anomaly']
    """
    names = _column_names(batch)
    _check_names(names, prefix)
    detector: Any = load_once(model) if isinstance(model, (str, os.PathLike)) else model
    with TURN:
        detector._check_fitted()
        table_encoder(detector.encoder_, "Scoring a batch of rows")
        scores = _scores_of(_as_polars(batch, names, detector), detector)
    columns = _added(scores, detector, prefix)
    out: Any = batch
    if isinstance(batch, pl.DataFrame):
        return out.hstack(columns)
    for column in columns:
        out = out.append_column(column.name, column.to_arrow())
    return out


def score_columns(rows: pl.DataFrame, detector: "Detector") -> pl.DataFrame:
    """Return the columns that :func:`score_batch` adds, alone; columns that the model does not read may have any name.

    Raises
    ------
    DataError
        If the rows lack columns of the model, or hold values that cannot be used.
    """
    with TURN:
        scores = _scores_of(rows, detector)
    return pl.DataFrame(_added(scores, detector, ""))


def added_names(prefix: str = "") -> list[str]:
    """Return the names of the columns that scoring adds."""
    return [f"{prefix}{name}" for name in ("score", "p_value", "is_anomaly")]


def check_columns(schema: pl.Schema, model: "str | os.PathLike[str] | Detector", prefix: str = "") -> None:
    """Check that rows with these columns can be scored, before any are read.

    Raises
    ------
    ParameterError
        If a column has the name of a new one.
    DataError
        If columns of the model are missing.
    """
    score_batch(pl.DataFrame(schema=schema), model, prefix)


def load_once(path: str | os.PathLike[str]) -> "Detector":
    """Return the detector of a model file, which this process loads again only if the file has changed.

    It is shared: who wants to change it loads it with :func:`whitecrow.io.load`. The last four files are kept.
    """
    if not Path(path).exists():
        return load(path)  # which says that there is none
    key = (str(Path(path).resolve()), *map(str, file_state(path)))
    # Threads that come together wait for the first of them.
    with TURN:
        if key not in _LOADED:
            _LOADED[key] = load(path)
        _LOADED.move_to_end(key)
        while len(_LOADED) > _KEPT_MODELS:
            _LOADED.popitem(last=False)
        return _LOADED[key]


def file_state(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Return what differs once a file is replaced or written again: inode, size, nanosecond of the last change."""
    found = Path(path).stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _column_names(batch: Any) -> list[str]:
    if isinstance(batch, pl.DataFrame):
        return batch.columns
    # By name: whoever has no such object need not have pyarrow either.
    if type(batch).__module__.partition(".")[0] != "pyarrow" or type(batch).__name__ not in _ARROW:
        raise DataError(
            f"score_batch takes a polars DataFrame or a pyarrow RecordBatch or Table, not {type(batch).__name__}. "
            "Turn it into one, for example with polars.from_pandas."
        )
    return list(batch.schema.names)


def with_scores(
    table: pl.DataFrame, scores: NDArray[np.float64], detector: "Detector", prefix: str = ""
) -> pl.DataFrame:
    """Return a table with the columns of :func:`score_batch` for scores that are known already.

    Raises
    ------
    ParameterError
        If the table has a column of one of these names.
    """
    _check_names(table.columns, prefix)
    return table.hstack(_added(scores, detector, prefix))


def _scores_of(rows: pl.DataFrame, detector: "Detector") -> NDArray[np.float64]:
    if rows.height:
        return detector.anomaly_score(rows)
    detector.encoder_.transform(rows)  # the columns are checked all the same
    return np.empty(0)


def _added(scores: NDArray[np.float64], detector: "Detector", prefix: str) -> list[pl.Series]:
    calibration = detector.calibration_scores_
    # Their order is that of added_names. Joined as they are, they cost no query.
    score, p_value, is_anomaly = added_names(prefix)
    known = len(calibration) and len(scores)
    return [
        pl.Series(score, scores),
        pl.Series(p_value, p_values(calibration, scores) if known else [None] * len(scores), dtype=pl.Float64),
        pl.Series(is_anomaly, scores > detector.threshold_),
    ]


def _check_names(names: list[str], prefix: str) -> None:
    if clash := [name for name in added_names(prefix) if name in names]:
        raise ParameterError(
            f"The rows have a column {clash[0]!r} already. Name the new columns otherwise, for example with the "
            "prefix new_ (on the command line: --prefix new_)."
        )
    if repeated := sorted(name for name, times in Counter(names).items() if times > 1):
        raise DataError(f"Column names must differ, but the rows have more than one {', '.join(map(repr, repeated))}.")


def _as_polars(batch: Any, names: list[str], detector: "Detector") -> pl.DataFrame:
    if isinstance(batch, pl.DataFrame):
        return batch
    read = [column.name for column in table_encoder(detector.encoder_, "Scoring a batch of rows").columns_]
    # What is only carried along may be of a type that polars does not know.
    return pl.DataFrame(pl.from_arrow(batch.select(read) if set(read) <= set(names) else batch))
