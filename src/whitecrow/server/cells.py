"""Cells of tables on their way out: in the types of JSON, and as text that a spreadsheet does not run."""

from typing import Any

import polars as pl

__all__ = ["json_ready", "json_rows", "safe_csv"]

_FORMULA = r"^[=+\-@\t\r]"


def json_ready(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose cells all have a form in JSON: durations in seconds, decimals as floats, bytes as hex."""
    return table.with_columns(_ready(column) for column in table)


def json_rows(table: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Return the rows of a table, each cell in a type that JSON has a form for."""
    return json_ready(table).rows()


def safe_csv(table: pl.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8 with all digits of its numbers.

    Text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return gets an apostrophe in front, in cells
    and in column names: a spreadsheet would take it for a formula. Numbers are no text and stay as they are.
    """
    texts = [
        column.cast(pl.String).str.replace(_FORMULA, "'$0")
        for column in json_ready(table)
        if isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum))
    ]
    escaped = table.with_columns(texts)
    names = pl.Series(escaped.columns, dtype=pl.String).str.replace(_FORMULA, "'$0").to_list()
    return json_ready(escaped).rename(dict(zip(escaped.columns, names, strict=True))).write_csv().encode()


def _ready(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if isinstance(dtype, pl.Duration):
        return column.dt.total_microseconds() / 1e6
    if isinstance(dtype, (pl.Decimal, pl.Int128)):
        return column.cast(pl.Float64)
    return column.bin.encode("hex") if isinstance(dtype, pl.Binary) else column
