"""The time column of a table: found, read, put in order, and searched for gaps."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, WhitecrowWarning
from whitecrow.data.cells import cast_text, clean

__all__ = ["Timeline", "find_time", "read_times"]

_NAMES = ("time", "timestamp", "date", "datetime")
_GAP = 1.5  # median steps
_TOO_CLOSE = 0.5
_MOST_IRREGULAR = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Where each row goes on the axis of time.

    Attributes
    ----------
    times : ndarray, shape [steps]
        Distinct time stamps, ascending.
    places : ndarray of int64, shape [rows], or None
        Step that each row belongs to; None if that is the row itself.
    breaks : ndarray of int64
        Steps before which there is a gap.
    """

    times: NDArray[Any]
    places: NDArray[np.int64] | None
    breaks: NDArray[np.int64]

    def average(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return rows ``[rows, C]`` as steps ``[steps, C]``, the mean where rows share a time stamp."""
        if self.places is None:
            return values
        sums = np.zeros((len(self.times), values.shape[1]))
        np.add.at(sums, self.places, values)
        counts = np.bincount(self.places, minlength=len(self.times))[:, None]
        return (sums / counts).astype(values.dtype)


def find_time(table: pl.DataFrame, name: str | None) -> str | None:
    """Return the name of the column that holds the time, or None.

    Raises
    ------
    DataError
        If there is no column of the name given, or several columns may be meant.
    """
    if name is not None:
        if name not in table.columns:
            raise DataError(
                f"The table has no column {name!r} for the time. Its columns are: {_listed(table.columns)}."
            )
        return name
    stamps = [column.name for column in table if isinstance(column.dtype, (pl.Datetime, pl.Date))]
    if not stamps:
        stamps = [column for column in table.columns if column.lower() in _NAMES]
    if len(stamps) > 1:
        raise DataError(f"The columns {_listed(stamps)} may all be the time. Name it: time={stamps[0]!r}, for example.")
    if stamps and table[stamps[0]].dtype.is_numeric():
        raise DataError(
            f"Column {stamps[0]!r} holds numbers, so it may be the time or a channel. Say time={stamps[0]!r}, or "
            "rename the column if it is a channel."
        )
    return stamps[0] if stamps else None


def read_times(column: pl.Series) -> Timeline:
    """Read time stamps and put the rows in order.

    Rows that are not in the order of time are sorted, and rows of one time stamp become their mean; both are said
    by a warning. The step is the median difference. A difference of more than 1.5 steps is a gap.

    Raises
    ------
    DataError
        If stamps are missing or cannot be read, if more than a tenth of the rows repeat a time stamp, or if more
        than a tenth of the differences are above 1.5 or below 0.5 steps.

    Warns
    -----
    WhitecrowWarning
        If rows were sorted or averaged.
    """
    stamps = _stamps(column)
    times, places = np.unique(stamps, return_inverse=True)
    ordered = bool((stamps[1:] >= stamps[:-1]).all())
    repeated = len(stamps) - len(times)
    if repeated > _MOST_IRREGULAR * len(stamps):
        raise DataError(
            f"{repeated} of {len(stamps)} rows repeat a time stamp of column {column.name!r}; accepted is at most a "
            "tenth. If the table holds several series, give a list with one table for each; else aggregate the rows."
        )
    if not ordered:
        _warn(f"The rows are not in the order of column {column.name!r}. They were sorted; scores keep your order.")
    if repeated:
        _warn(
            f"{repeated} rows repeat a time stamp of column {column.name!r}. Rows of one time stamp were averaged and "
            "get the same score."
        )
    gaps = _gaps(times, column.name)
    return Timeline(times, None if ordered and not repeated else places.astype(np.int64), gaps)


def _stamps(column: pl.Series) -> NDArray[Any]:
    """Return time stamps as datetime64 or float64; the caller has moved those with a zone to UTC."""
    dtype = column.dtype
    if isinstance(dtype, pl.Duration) or dtype.is_numeric():
        stamps = column.to_physical().cast(pl.Float64)
        bad = stamps.is_null() | ~stamps.is_finite()
    else:
        if isinstance(dtype, (pl.String, pl.Categorical, pl.Enum)):
            stamps = cast_text(clean(column.cast(pl.String)), pl.Datetime("us"))
        elif isinstance(dtype, pl.Datetime):
            stamps = column
        elif isinstance(dtype, pl.Date):
            stamps = column.cast(pl.Datetime("us"))
        else:
            raise DataError(
                f"Column {column.name!r} is {dtype}; accepted as the time are dates, times, text and numbers."
            )
        bad = stamps.is_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"Column {column.name!r} holds {column[row]!r} in row {row}, which is no time stamp, and {int(bad.sum())} "
            "such values in all. Write them as 2026-01-31 23:59:59, or remove these rows."
        )
    return stamps.to_numpy()


def _gaps(times: NDArray[Any], name: str) -> NDArray[np.int64]:
    if len(times) < 2:
        return np.zeros(0, dtype=np.int64)
    steps = np.diff(times).astype(np.float64)
    step = float(np.median(steps))
    wide = steps > _GAP * step
    irregular = int(wide.sum() + (steps < _TOO_CLOSE * step).sum())
    if irregular > _MOST_IRREGULAR * len(steps):
        raise DataError(
            f"{irregular} of the {len(steps)} steps of column {name!r} are longer than 1.5 or shorter than 0.5 times "
            "the median step; accepted is at most a tenth. Resample the series to equal steps, or leave the column "
            "out if the order of the rows alone matters."
        )
    return np.flatnonzero(wide) + 1


def _warn(message: str) -> None:
    warnings.warn(message, WhitecrowWarning, stacklevel=6)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))
