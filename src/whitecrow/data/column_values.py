"""The values of a column as numbers, texts or times, whatever type they arrive in."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.data.cells import cast_text, clean

__all__ = ["number_values", "scaled", "text_values", "time_steps", "time_values", "unusable"]

_PER_SECOND = {"ns": 1e9, "us": 1e6, "ms": 1e3}
_FIRST_WEEKDAY = 3  # 1 January 1970 was a Thursday
# Days that polars knows the calendar of, from 1 January -262143 to 31 December 262142.
_CALENDAR = tuple(np.array(["-262143-01-01", "262142-12-31"], dtype="datetime64[D]").astype(np.int64).tolist())


def number_values(column: pl.Series, kind: str) -> np.ndarray:
    """Return a column as float64 with NaN for missing values."""
    dtype = column.dtype
    if isinstance(dtype, pl.Duration):
        column = column.to_physical().cast(pl.Float64) / _PER_SECOND[dtype.time_unit]
    elif isinstance(dtype, (pl.String, pl.Categorical, pl.Enum)):
        column = _parsed(column, kind)
    elif dtype.is_numeric() or isinstance(dtype, (pl.Boolean, pl.Null)):
        # A cast to what it is already takes a single row as long as its scaling.
        column = column if isinstance(dtype, pl.Float64) else column.cast(pl.Float64)
    else:
        raise DataError(
            f"Column {column.name!r} held a {kind} in training, but is now {dtype}. Give it the type it had."
        )
    values = column.to_numpy()
    if count := np.count_nonzero(np.isinf(values)):
        raise DataError(
            f"Column {column.name!r} holds inf or -inf in {count} rows. Replace them by missing values or by a bound."
        )
    if kind == "boolean" and not ((values == 0) | (values == 1) | np.isnan(values)).all():
        raise DataError(f"Column {column.name!r} held truth values in training, but now other numbers than 0 and 1.")
    return values


def _parsed(column: pl.Series, kind: str) -> pl.Series:
    cells = clean(column.cast(pl.String))
    values = cast_text(cells, pl.Float64())
    if kind == "boolean":
        values = values.zip_with(values.is_not_null(), cast_text(cells, pl.Boolean()).cast(pl.Float64))
    bad = values.is_null() & cells.is_not_null()
    if bad.any():
        raise DataError(
            f"Column {column.name!r} held a {kind} in training, but now holds text that is none, "
            f"for example {cells.filter(bad)[0]!r}. Correct it or leave the cell empty."
        )
    return values


def text_values(column: pl.Series) -> pl.Series:
    """Return a column as text."""
    dtype = column.dtype
    if dtype.is_nested() or isinstance(dtype, (pl.Binary, pl.Object)):
        raise unusable(column)
    return column.cast(pl.String)


def time_values(column: pl.Series, parts: tuple[str, ...]) -> pl.Series:
    """Return a column as a temporal type that has these parts; a date without a time is midnight."""
    if isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        cells = clean(column.cast(pl.String))
        column = cast_text(cells, pl.Time() if parts == ("hour",) else pl.Datetime("us"))
        bad = column.is_null() & cells.is_not_null()
        if bad.any():
            raise DataError(
                f"Column {column.name!r} held a date or time in training, but now holds text that is none, "
                f"for example {cells.filter(bad)[0]!r}. Write dates as 2026-01-31 and times as 23:59:59."
            )
    dtype = column.dtype
    if isinstance(dtype, pl.Date):
        return column.cast(pl.Datetime("us"))
    if isinstance(dtype, pl.Datetime) or (isinstance(dtype, pl.Time) and "weekday" not in parts):
        return column
    raise DataError(f"Column {column.name!r} held a date in training, but is now {dtype}. Give it the type it had.")


def time_steps(column: pl.Series, parts: tuple[str, ...]) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Return the steps of a column of :func:`time_values` along each of its cycles, and which values are missing.

    Parameters
    ----------
    column : polars.Series of n times
        Times with a zone are read off the clock of this zone.
    parts : tuple of "hour" and "weekday"

    Returns
    -------
    steps : list of ndarray [n]
        For each part, the minute of the day (part "hour") or the day of the week (Monday is 0), of 1 January 1970
        where the time is missing. Where the calendar of polars does not reach, the minute is 0.
    missing : ndarray of bool [n]
    """
    if isinstance(column.dtype, pl.Time):
        column = column.cast(pl.Duration("ns"))
    elif isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        column = column.dt.replace_time_zone(None)
    # NumPy reckons without a query, which for one row takes a hundred times as long as the reckoning.
    times = column.to_numpy()
    ticks, missing = times.view(np.int64), np.zeros(len(times), dtype=np.bool_)
    if column.null_count():
        missing = column.is_null().to_numpy()
        ticks = np.where(missing, 0, ticks)
    per_day = int(86_400 * _PER_SECOND[np.datetime_data(times.dtype)[0]])
    days = ticks // per_day
    return [_weekdays(days) if part == "weekday" else _minutes(ticks, days, per_day) for part in parts], missing


def _weekdays(days: NDArray[np.int64]) -> NDArray[np.int64]:
    days = days + _FIRST_WEEKDAY
    return days - days // 7 * 7


def _minutes(ticks: NDArray[np.int64], days: NDArray[np.int64], per_day: int) -> NDArray[np.int64]:
    minutes = (ticks - days * per_day) // (per_day // 1440)
    if len(days) and (days.min() < _CALENDAR[0] or days.max() > _CALENDAR[1]):
        minutes[(days < _CALENDAR[0]) | (days > _CALENDAR[1])] = 0
    return minutes


def unusable(column: pl.Series) -> DataError:
    """Return the error for a column of a type that has no code."""
    return DataError(
        f"Column {column.name!r} is {column.dtype}; accepted are numbers, truth values, text, categories, "
        "dates and times. Leave it out, or turn it into columns of these types."
    )


def scaled(values: np.ndarray, offset: Any, scale: Any, limit: Any) -> np.ndarray:
    """Return (values − offset) / scale within ±limit, in float64; a result too large for it is ±limit."""
    with np.errstate(over="ignore"):
        return ((values - offset) / scale).clip(-limit, limit)
