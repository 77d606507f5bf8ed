"""What the text in a cell stands for: a number, a truth value, a date, or text."""

import re
from collections.abc import Iterator
from itertools import chain

import polars as pl

__all__ = ["MISSING", "TYPES", "cast_text", "clean", "looks_typed", "possible_types"]

MISSING = frozenset(("", "NA", "N/A", "n/a", "<NA>", "NaN", "nan", "NULL", "null", "None", "?", "-"))
"""Cells that mean "no value" in a column of numbers, truth values or dates; in a text column, text."""

TYPES = (pl.Int64(), pl.Float64(), pl.Boolean(), pl.Date(), pl.Datetime("us"), pl.Time())
"""Types that a text column is tried for, in this order; a column that fits none stays text."""

_DATETIMES = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
)
_ZONED = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z")
_TIMES = ("%H:%M:%S%.f", "%H:%M")
_TYPED_CELL = re.compile(r"true|false|\d{4}-\d\d-\d\d([ T].*)?|\d{1,2}:\d\d(:\d\d(\.\d+)?)?", re.IGNORECASE)


def looks_typed(cell: str) -> bool:
    """Return whether one cell reads as a number, a truth value, an ISO date or a time."""
    try:
        float(cell)
    except ValueError:
        return _TYPED_CELL.fullmatch(cell) is not None
    return "_" not in cell


def clean(cells: pl.Series) -> pl.Series:
    """Return text cells without surrounding blanks, and null where they mean "no value"."""
    stripped = cells.str.strip_chars()
    return stripped.set(stripped.is_in(list(MISSING)), None)


def cast_text(cells: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return cleaned text cells as ``dtype``, null where a cell does not read as one.

    Each cell is read by itself. Times with an offset are moved to UTC.
    """
    if isinstance(dtype, pl.Boolean):
        lower = cells.str.to_lowercase()
        return (lower == "true").set(~lower.is_in(["true", "false"]), None)
    if isinstance(dtype, pl.Date):
        return cells.str.to_date("%Y-%m-%d", strict=False)
    if isinstance(dtype, pl.Datetime):
        return _datetimes(cells).cast(dtype)
    if isinstance(dtype, pl.Time):
        return _first_of(cells, (cells.str.to_time(form, strict=False) for form in _TIMES))
    return cells.cast(dtype, strict=False)


def _datetimes(cells: pl.Series) -> pl.Series:
    plain = (cells.str.to_datetime(form, time_unit="us", strict=False) for form in _DATETIMES)
    zoned = (
        cells.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False).dt.replace_time_zone(None)
        for form in _ZONED
    )
    return _first_of(cells, chain(plain, zoned))


def _first_of(cells: pl.Series, readings: Iterator[pl.Series]) -> pl.Series:
    found = next(readings)
    # Most columns keep to one form, so the other forms are tried only for what is still unread.
    while found.null_count() > cells.null_count() and (reading := next(readings, None)) is not None:
        found = reading if found.null_count() == len(found) else found.zip_with(found.is_not_null(), reading)
    return found


def possible_types(cells: pl.Series, types: tuple[pl.DataType, ...]) -> tuple[pl.DataType, ...]:
    """Return those of ``types`` that every cleaned cell reads as."""
    present = cells.drop_nulls()

    def fits(dtype: pl.DataType) -> bool:
        # Most columns fail at once, so the whole column is read only where the first cells pass.
        return all(cast_text(part, dtype).null_count() == 0 for part in (present.head(20), present))

    return tuple(dtype for dtype in types if fits(dtype))
