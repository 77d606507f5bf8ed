"""Where rows stand in time, or in their order where no time is known of all of them."""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["RowTimes", "row_times"]


class RowTimes(NamedTuple):
    """A time of each row.

    Parameters
    ----------
    name : str
        Of the time column, or "Row".
    note : str
        Why the time column is not used, or empty.
    times : ndarray of datetime64 or numbers, shape [N]
        As :func:`whitecrow.metrics.time_buckets.time_buckets` takes them.
    """

    name: str
    note: str
    times: NDArray[Any]


def row_times(table: pl.DataFrame, column: str | None, rows: NDArray[np.int64]) -> RowTimes:
    """Return the times of rows of a data set.

    Parameters
    ----------
    table : polars.DataFrame, shape [M, C]
        All rows of the data set, in order of time if ``column`` is given.
    column : str or None
        Its time column.
    rows : ndarray of int64, shape [N]
        Rows that are wanted, from 0.
    """
    if column is None or column not in table.columns:
        return RowTimes("Row", "", rows)
    found = table[column][rows]
    absent = found.null_count() + (int((~found.is_finite()).sum()) if found.dtype.is_float() else 0)
    if absent:
        note = f"{column} is missing in {absent:,} of {len(rows):,} rows, so rows are counted in their order instead."
        return RowTimes("Row", note, rows)
    dtype = found.dtype
    if isinstance(dtype, (pl.Time, pl.Duration, pl.Decimal)):
        return RowTimes(column, "", found.to_physical().cast(pl.Float64).to_numpy())
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        found = found.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if dtype.is_temporal():
        return RowTimes(column, "", found.cast(pl.Datetime("us")).to_numpy())
    return RowTimes(column, "", found.to_numpy())
