"""Equal buckets of a time axis, with the edges that decide."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, check

__all__ = ["TimeBuckets", "time_buckets"]


class TimeBuckets(NamedTuple):
    """Which rows lie between which edges.

    Parameters
    ----------
    edges : ndarray, shape [B + 1]
        Rising, of the type of the times. Bucket ``b`` holds the times from ``edges[b]`` to below ``edges[b + 1]``;
        the last one holds its upper edge too.
    bucket : ndarray of int, shape [N]
        Bucket of each row.
    """

    edges: NDArray[Any]
    bucket: NDArray[np.intp]


def time_buckets(times: ArrayLike, max_buckets: int) -> TimeBuckets:
    """Cut the range of the times into equal buckets.

    Parameters
    ----------
    times : array_like of datetime64 or numbers, shape [N]
        In any order. Dates and whole numbers get edges at whole steps of their unit, so that no edge is rounded, and
        the last bucket may then reach beyond the last time.
    max_buckets : int
        At most so many, at least 1.

    Raises
    ------
    DataError
        If times are no vector of datetime64 or numbers, or one is missing.
    ParameterError
        If ``max_buckets`` is below 1.
    """
    check("time_buckets", "max_buckets", max_buckets, Count)
    values = np.asarray(times)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "Mbiuf":
        raise DataError(
            f"times has shape {values.shape} and type {values.dtype}; accepted is a vector [N] of datetime64 or "
            "numbers of at least one row. Parse the column of times first."
        )
    missing = np.isnat(values) if values.dtype.kind == "M" else ~np.isfinite(values)
    if missing.any():
        raise DataError(
            f"{missing.sum()} of {len(values)} times are missing or infinite, the first in row {missing.argmax()}; "
            "accepted are times of every row. Leave those rows out, or use the row number as time."
        )
    if values.dtype.kind == "f":
        edges = _spread(float(values.min()), float(values.max()), max_buckets)
        index = edges.searchsorted(values, side="right") - 1
        return TimeBuckets(edges, np.minimum(index, len(edges) - 2))
    ticks = values.astype(np.int64)
    low, high = int(ticks.min()), int(ticks.max())
    step = -(-(high - low + 1) // max_buckets)
    n_buckets = (high - low) // step + 1
    edges = np.array([low + step * b for b in range(n_buckets + 1)], dtype=np.int64)
    if values.dtype.kind == "M":
        return TimeBuckets(edges.astype(values.dtype), (ticks - low) // step)
    return TimeBuckets(edges, (ticks - low) // step)


def _spread(low: float, high: float, n_buckets: int) -> NDArray[np.float64]:
    edges = np.unique(np.linspace(low, high, n_buckets + 1))
    # Equal times need one bucket of some width.
    return edges if len(edges) > 1 else np.array([low, np.nextafter(low, np.inf)])
