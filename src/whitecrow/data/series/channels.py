"""What an encoder of series learns from training steps: the statistics of a channel, and the window."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.data.columns import NumberColumn, Scaling, fit_number
from whitecrow.data.series.periods import period
from whitecrow.data.series.rows import SeriesRows

__all__ = ["fit_channels", "period_window", "training_steps"]

_FLOOR = 1e-8


def training_steps(series: SeriesRows, rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask ``[total]`` of the training steps, from numbers or a mask of steps, or of fixed windows.

    Raises
    ------
    DataError
        If they are neither, or choose nothing.
    """
    n = series.n_scores
    unit = "fixed windows" if series.form == "windows" else "steps"
    if rows.dtype == np.bool_ and rows.shape == (n,):
        chosen = rows
    elif rows.dtype.kind in "iu" and rows.ndim == 1 and rows.size and rows.min() >= 0 and rows.max() < n:
        chosen = np.zeros(n, dtype=np.bool_)
        chosen[rows] = True
    else:
        raise DataError(
            f"rows has the shape {rows.shape} and the type {rows.dtype}; accepted are numbers of {unit} from 0 to "
            f"{n - 1}, or {n} truth values."
        )
    if not chosen.any():
        raise DataError(f"rows chooses none of the {n} {unit}; at least one is needed to learn from.")
    return np.repeat(chosen, np.diff(series.bounds)) if series.form == "windows" else chosen


def fit_channels(
    series: SeriesRows, chosen: NDArray[np.bool_] | None, scaling: Scaling, clip: float | None
) -> list[NumberColumn]:
    """Return the statistics of each channel over the chosen steps."""
    columns: list[NumberColumn] = []
    for k, name in enumerate(series.channels):
        values = series.values[:, k] if chosen is None else series.values[chosen, k]
        values = np.ascontiguousarray(values, dtype=np.float64)
        column = fit_number(pl.Series(name, values), k, scaling, clip)
        low = float(values.min())
        if low == values.max() and scaling != "none":
            # The floor is a share of the size, so that the last digit of a large constant is not taken for a change.
            column = replace(column, offset=low, mean=low, scale=_FLOOR * max(1.0, abs(low)))
        columns.append(column)
    return columns


def period_window(series: SeriesRows, chosen: NDArray[np.bool_] | None, rank: Literal[1, 2]) -> int:
    """Return the period of the first channel over the longest stretch of chosen steps, within the shortest series."""
    lengths = np.diff(series.bounds)
    counts = lengths if chosen is None else np.add.reduceat(chosen, series.bounds[:-1], dtype=np.int64)
    k = int(counts.argmax())
    stretch = slice(series.bounds[k], series.bounds[k + 1])
    values = series.values[stretch, 0]
    found = period(values if chosen is None else values[chosen[stretch]], rank)
    return min(found, int(series.longest_segments.min()))
