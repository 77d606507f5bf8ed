"""Readers of series: arrays, lists of arrays, fixed windows, and tables with a time column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.data.series.rows import SeriesRows
from whitecrow.data.series.timeline import find_time, read_times
from whitecrow.data.tables import as_table

__all__ = ["as_series"]

_ACCEPTED = (
    "accepted are one series [T] or [T, C], a list of such arrays or tables, fixed windows [N, T, C], and a table with "
    "one column for each channel"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """One series: steps ``[n, C]``, the steps that begin a segment (0 among them), and where its rows went."""

    values: NDArray[Any]
    begins: NDArray[np.int64]
    channels: tuple[str, ...]
    source: Literal["array", "table"]
    rows: int
    places: NDArray[np.int64] | None = None
    times: NDArray[Any] | None = None


def as_series(X: Any, time: str | None = None, channels: Sequence[str] | None = None) -> SeriesRows:
    """Return series of any form as one array of steps.

    The time of a table is the column that is named; else its only column of dates or times; else a column of text
    called time, timestamp, date or datetime; else the index of a pandas table, if it holds times; else the order of
    the rows. All other columns are channels and must be numbers.

    - Rows that are not in the order of time are sorted, with a warning. Scores keep the caller's order.
    - Rows that share a time stamp are averaged, with a warning, and share a score. If more than a tenth of the rows
      repeat a time stamp, the table is refused.
    - The step is the median difference of successive time stamps. A difference of more than 1.5 steps breaks the
      series: no window reaches over it. If more than a tenth of the differences are above 1.5 or below 0.5 steps, the
      table is refused.

    Parameters
    ----------
    X : array, list of arrays or tables, or table
        One series ``[T]`` or ``[T, C]``; a list or tuple of series of any lengths and the same channels; fixed windows
        ``[N, T, C]``, each a sample of its own; or a pandas, polars or Arrow table or column.
    time : str, optional
        Name of the time column of a table. It may then hold numbers.
    channels : sequence of str, optional
        Columns of a table to take, in this order; others but the time are ignored. All by default.

    Returns
    -------
    SeriesRows

    Raises
    ------
    DataError
        If there is no step, the form is another, values are missing, infinite or no numbers, or the time column
        cannot be used.

    Warns
    -----
    WhitecrowWarning
        If rows were sorted or averaged.

    Examples
    --------
    >>> rows = as_series([np.zeros(5), np.ones(3)])
    >>> rows
    SeriesRows(list: 2 series, 2 segments, 8 steps of 1 channels)
    >>> [scores.tolist() for scores in rows.present(np.arange(8))]
    [[0, 1, 2, 3, 4], [5, 6, 7]]
    """
    if isinstance(X, SeriesRows):
        return X
    if getattr(X, "ndim", 0) == 3 and not _is_table(X):
        return _windows(np.asarray(X))
    if not (isinstance(X, (list, tuple)) and any(_is_series(item) for item in X)):
        return _joined([_piece(X, time, channels, "")], "series")
    pieces = [_piece(item, time, channels, f"series {k}, ") for k, item in enumerate(X)]
    first = pieces[0].channels
    for k, piece in enumerate(pieces):
        if piece.channels != first:
            raise DataError(
                f"Series {k} has the channels {', '.join(piece.channels)}, but series 0 has {', '.join(first)}. Give "
                "series of the same channels."
            )
    if len({piece.times is None for piece in pieces}) > 1:
        raise DataError("Some of the series have a time column and others have none. Give all or none of them one.")
    return _joined(pieces, "list")


def _joined(pieces: list[_Piece], form: Literal["series", "list"]) -> SeriesRows:
    first = pieces[0]
    single = all(piece.values.dtype == np.float32 for piece in pieces)
    starts = np.cumsum([0, *(len(piece.values) for piece in pieces)])
    begins = [piece.begins + start for piece, start in zip(pieces, starts[:-1], strict=True)]
    values = first.values
    if len(pieces) > 1:
        values = np.concatenate([piece.values for piece in pieces], dtype=np.float32 if single else np.float64)
    places = None
    if any(piece.places is not None for piece in pieces):
        places = np.concatenate(
            [
                start + (np.arange(piece.rows) if piece.places is None else piece.places)
                for piece, start in zip(pieces, starts[:-1], strict=True)
            ]
        )
    return SeriesRows(
        values,
        np.append(np.concatenate(begins), starts[-1]).astype(np.int64),
        np.repeat(np.arange(len(pieces)), [len(piece.begins) for piece in pieces]).astype(np.int64),
        np.array([piece.rows for piece in pieces], dtype=np.int64),
        first.channels,
        first.source,
        form,
        places,
        None if first.times is None else np.concatenate([piece.times for piece in pieces if piece.times is not None]),
    )


def _windows(X: NDArray[Any]) -> SeriesRows:
    n, length, width = X.shape
    if not X.size:
        raise DataError(
            f"Found fixed windows of the shape {X.shape}; at least one window, step and channel are needed."
        )
    channels = tuple(f"x{k}" for k in range(width))
    values = _floats(X).reshape(-1, width)
    bad = _first_bad(values)
    if bad is not None:
        raise _not_finite(bad, channels, f"window {bad[0] // length}, step {bad[0] % length}")
    bounds = np.arange(0, n * length + 1, length, dtype=np.int64)
    every = np.arange(n, dtype=np.int64)
    return SeriesRows(values, bounds, every, np.full(n, length, dtype=np.int64), channels, "array", "windows")


def _piece(X: Any, time: str | None, channels: Sequence[str] | None, where: str) -> _Piece:
    if _is_table(X):
        return _from_table(_as_polars(X), time, channels, where)
    if time is not None:
        raise DataError(f"time={time!r} names a column, but X is an array. Give a table, or leave time out.")
    try:
        array = np.asarray(X)
    except ValueError:
        raise DataError(f"X is ragged; {_ACCEPTED}. Make each series an array of its own.") from None
    if array.ndim not in (1, 2):
        raise DataError(f"X has the shape {array.shape}; {_ACCEPTED}.")
    if not array.size:
        raise DataError(f"Found {where}0 steps or channels (shape={array.shape}) while a minimum of 1 is required.")
    values = _floats(array).reshape(len(array), -1)
    names = tuple(f"x{k}" for k in range(values.shape[1]))
    bad = _first_bad(values)
    if bad is not None:
        raise _not_finite(bad, names, f"{where}row {bad[0]}")
    return _Piece(values, np.zeros(1, dtype=np.int64), names, "array", len(values))


def _from_table(table: pl.DataFrame, time: str | None, channels: Sequence[str] | None, where: str) -> _Piece:
    stamped = find_time(table if channels is None else table.drop(channels, strict=False), time)
    names = list(channels) if channels is not None else [name for name in table.columns if name != stamped]
    if absent := [name for name in names if name not in table.columns]:
        raise DataError(
            f"The table has no column {', '.join(map(repr, absent))}. Its columns are: {', '.join(table.columns)}."
        )
    if not names or not table.height:
        raise DataError(f"Found {where}{table.height} rows and {len(names)} channels while a minimum of 1 is required.")
    values = np.empty((table.height, len(names)))
    for k, name in enumerate(names):
        column = table[name]
        if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            raise DataError(
                f"Column {name!r} is {column.dtype}; channels must be numbers. Leave it out, turn it into numbers, or "
                f"say time={name!r} if it is the time."
            )
        values[:, k] = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    bad = _first_bad(values)
    if bad is not None:
        raise _not_finite(bad, tuple(names), f"{where}row {bad[0]}")
    start = np.zeros(1, dtype=np.int64)
    if stamped is None:
        return _Piece(values, start, tuple(names), "table", len(values))
    line = read_times(table[stamped])
    begins = np.concatenate([start, line.breaks])
    return _Piece(line.average(values), begins, tuple(names), "table", len(values), line.places, line.times)


def _is_table(X: Any) -> bool:
    return hasattr(X, "columns") or hasattr(X, "to_frame") or hasattr(X, "__arrow_c_stream__")


def _is_series(item: Any) -> bool:
    return _is_table(item) or getattr(item, "ndim", 0) >= 1


def _as_polars(X: Any) -> pl.DataFrame:
    """Return a table, or a column of one, with stamps in UTC and the times of a pandas index as a column."""
    if not hasattr(X, "columns") and hasattr(X, "to_frame"):
        X = X.to_frame("x0" if getattr(X, "name", None) in (None, "") else X.name)
    index: Any = getattr(X, "index", None)
    if getattr(getattr(index, "dtype", None), "kind", "") == "M" and not any(
        dtype.kind == "M" for dtype in X.dtypes if hasattr(dtype, "kind")
    ):
        X = X.reset_index(names="time" if index.name is None else index.name)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        zoned = [
            name
            for name, dtype in frame.schema.items()
            if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None
        ]
        # The clock of a zone goes back once a year; that of UTC does not.
        if zoned:
            X = frame.with_columns(nw.col(*zoned).dt.convert_time_zone("UTC").dt.replace_time_zone(None)).to_native()
    table = as_table(X)
    if not isinstance(table, pl.DataFrame):
        raise DataError(f"X is a {type(X).__name__}; {_ACCEPTED}.")
    return table


def _floats(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise DataError(f"X is of type {array.dtype}; accepted are numbers. Convert it first.")
    single = array.dtype == np.float32
    return np.ascontiguousarray(array, dtype=np.float32 if single else np.float64)


def _first_bad(values: NDArray[Any]) -> tuple[int, int] | None:
    """Return row and column of the first value that is not finite."""
    # A finite sum proves all values finite, at a fraction of the cost and memory; any other sum proves nothing.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return None
    bad = ~np.isfinite(values)
    if not bad.any():
        return None
    row, column = np.unravel_index(int(bad.argmax()), bad.shape)
    return int(row), int(column)


def _not_finite(bad: tuple[int, int], channels: tuple[str, ...], where: str) -> DataError:
    return DataError(
        f"Input X contains NaN or inf: column {channels[bad[1]]!r}, first in {where}. Fill in the values, or cut the "
        "series there and give a list of its parts."
    )
