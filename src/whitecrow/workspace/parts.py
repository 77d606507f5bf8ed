"""Which part of a data set each row belongs to, in a run."""

from enum import IntEnum
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.contamination import house_split
from whitecrow.data.labels import Labels
from whitecrow.workspace.request import FEWEST_VALIDATION, HELD_OUT, FitRequest

__all__ = ["Part", "part_rows", "split_times"]


class Part(IntEnum):
    """What a row was used for: to train, to test, for nothing, or to set the threshold."""

    TRAIN = 0
    TEST = 1
    LEFT_OUT = 2
    VALIDATION = 3


def part_rows(
    request: FitRequest, n_rows: int, labels: Labels | None, times: NDArray[Any] | None = None
) -> NDArray[np.uint8]:
    """Return the part of each row.

    Parameters
    ----------
    request : FitRequest
        Its split, regime and seed decide.
    n_rows : int
        Rows of the data set.
    labels : Labels or None
        Their labels, where there are any.
    times : ndarray, shape [N], or None
        Of the rows, where a split by order means these; see :func:`split_times`. Of equal times the first row comes
        first.

    Returns
    -------
    ndarray of uint8, shape [N]
        Values of :class:`Part`. In the clean regime only rows labelled normal train or set the threshold; the anomalies
        and the rows without a label among those are tested in a random split, and left out in one by order, whose test
        is later than its training.

    Raises
    ------
    DataError
        If fewer than 2 rows would train, or too few set the threshold, or none would test where a test is asked for.
    """
    split = request.split
    if split.injected is not None and labels is not None:
        parts = _injected(request, labels)
    else:
        parts = np.full(n_rows, Part.TEST, dtype=np.uint8)
        n_train = n_rows if split.kind == "all" else round(split.share * n_rows)
        order = _order(request, n_rows, times)
        parts[order[:n_train]] = Part.TRAIN
        if split.validation is not None:
            parts[order[n_train : n_train + round(split.validation * n_rows)]] = Part.VALIDATION
        if request.regime == "clean" and labels is not None:
            elsewhere = Part.TEST if split.kind == "random" else Part.LEFT_OUT
            parts[(parts != Part.TEST) & (labels.y != 0)] = elsewhere
    _check(request, parts, labels)
    return parts


def split_times(table: pl.DataFrame, column: str) -> NDArray[Any]:
    """Return the times by whose order the rows of a table are split, shape [N], as numbers.

    Parameters
    ----------
    table : polars.DataFrame
        All rows with all columns.
    column : str
        Of times or numbers.

    Raises
    ------
    ParameterError
        If there is no such column, it holds neither times nor numbers, or rows have no time.
    """
    if column not in table.columns:
        raise ParameterError(f"There is no column {column!r}. The columns are: {', '.join(table.columns[:50])}.")
    times = table[column]
    if not (times.dtype.is_temporal() or times.dtype.is_numeric()):
        raise ParameterError(
            f"The rows cannot be put in the order of {column!r}, which holds {times.dtype}: times or numbers are "
            "needed. Read it as a date, or name another."
        )
    absent = times.null_count() + (int((~times.is_finite()).sum()) if times.dtype.is_float() else 0)
    if absent:
        raise ParameterError(
            f"{absent:,} of {len(times):,} rows have no time in {column!r}, so that they are neither before nor after "
            "the others. Fill them in, name another column, or split by the order of the rows."
        )
    numbers = times.cast(pl.Float64) if times.dtype.is_decimal() else times.to_physical()
    return numbers.to_numpy()


def _order(request: FitRequest, n_rows: int, times: NDArray[Any] | None) -> NDArray[np.intp]:
    """Return the rows in the order in which the split takes them."""
    if request.split.kind == "random":
        return np.random.default_rng(request.seed).permutation(n_rows)
    return np.arange(n_rows) if times is None else np.argsort(times, kind="stable")


def _check(request: FitRequest, parts: NDArray[np.uint8], labels: Labels | None) -> None:
    split = request.split
    if (parts == Part.TRAIN).sum() < 2:
        raise DataError("Fewer than 2 rows would train. Let a larger share train, or take the regime 'contaminated'.")
    if (split.validation, split.test) != (None, None) and not (parts == Part.TEST).any():
        raise DataError("No row would be tested. Let smaller shares train and set the threshold.")
    if split.validation is None:
        return
    found = parts == Part.VALIDATION
    if request.regime == "labelled" and labels is not None:
        found &= labels.y != 1
    if found.sum() < FEWEST_VALIDATION:
        raise DataError(
            f"The threshold would be set on {found.sum():,} rows that are not known to be anomalous; "
            f"{FEWEST_VALIDATION} are needed. Let a larger share set it."
        )


def _injected(request: FitRequest, labels: Labels) -> NDArray[np.uint8]:
    known = np.flatnonzero(labels.y >= 0)
    rule = request.split
    split = house_split(
        labels.y[known], request.seed, contamination=rule.injected or 0.0, holdout=HELD_OUT, train_share=rule.share
    )
    # Anomalies that were set aside and not injected are in no part, so that the test is the same for every share.
    parts = np.full(len(labels.y), Part.LEFT_OUT, dtype=np.uint8)
    parts[known[split.train]] = Part.TRAIN
    parts[known[split.test]] = Part.TEST
    return parts
