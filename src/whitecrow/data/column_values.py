"""The values of a column as numbers, texts or times, whatever type they arrive in."""

from typing import Any

import numpy as np
import polars as pl

from whitecrow.core.errors import DataError
from whitecrow.data.cells import cast_text, clean

__all__ = ["number_values", "scaled", "text_values", "time_steps", "time_values", "unusable"]

_PER_SECOND = {"ns": 1e9, "us": 1e6, "ms": 1e3}


def number_values(column: pl.Series, kind: str) -> np.ndarray:
    """Return a column as float64 with NaN for missing values."""
    dtype = column.dtype
    if isinstance(dtype, pl.Duration):
        column = column.to_physical().cast(pl.Float64) / _PER_SECOND[dtype.time_unit]
    elif isinstance(dtype, (pl.String, pl.Categorical, pl.Enum)):
        column = _parsed(column, kind)
    elif not (dtype.is_numeric() or isinstance(dtype, (pl.Boolean, pl.Null))):
        raise DataError(
            f"Column {column.name!r} held a {kind} in training, but is now {dtype}. Give it the type it had."
        )
    values = column.cast(pl.Float64).to_numpy()
    if count := int(np.isinf(values).sum()):
        raise DataError(
            f"Column {column.name!r} holds inf or -inf in {count} rows. Replace them by missing values or by a bound."
        )
    if kind == "boolean" and not np.isin(values[~np.isnan(values)], (0, 1)).all():
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
    if column.dtype.is_nested() or isinstance(column.dtype, (pl.Binary, pl.Object)):
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


def time_steps(column: pl.Series, part: str) -> pl.Series:
    """Return the minute of the day (part "hour") or the day of the week (Monday is 0)."""
    if part == "weekday":
        return column.dt.weekday().cast(pl.Int64) - 1
    return column.dt.hour().cast(pl.Int64) * 60 + column.dt.minute().cast(pl.Int64)


def unusable(column: pl.Series) -> DataError:
    """Return the error for a column of a type that has no code."""
    return DataError(
        f"Column {column.name!r} is {column.dtype}; accepted are numbers, truth values, text, categories, "
        "dates and times. Leave it out, or turn it into columns of these types."
    )


def scaled(values: np.ndarray, offset: Any, scale: Any, limit: Any) -> np.ndarray:
    """Return (values − offset) / scale within ±limit, in float64; a result too large for it is ±limit."""
    with np.errstate(over="ignore"):
        return np.clip((values - offset) / scale, -limit, limit)
