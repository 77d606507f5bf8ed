"""Events: maximal runs of flagged steps."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.metrics.inputs import binary

__all__ = ["close_gaps", "events", "flagged_in", "runs"]


def events(y: ArrayLike) -> NDArray[np.intp]:
    """Return the maximal runs of ones as half-open intervals.

    Parameters
    ----------
    y : array_like of {0, 1} or bool, shape [T]
        Labels or flags.

    Returns
    -------
    ndarray of int, shape [n, 2]
        First step of each run and the step after its last, rising.

    Raises
    ------
    DataError
        If ``y`` is no vector of 0 and 1.

    Examples
    --------
    >>> events([0, 1, 1, 0, 1]).tolist()
    [[1, 3], [4, 5]]
    """
    return runs(binary(y))


def runs(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the maximal runs of True as half-open intervals, shape [n, 2]."""
    return np.flatnonzero(np.diff(flags, prepend=False, append=False)).reshape(-1, 2)


def flagged_in(intervals: NDArray[np.intp], flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the number of flagged steps in each interval [n, 2], shape [n]."""
    before = np.append(0, np.cumsum(flags))
    return before[intervals[:, 1]] - before[intervals[:, 0]]


def close_gaps(flags: NDArray[np.bool_], gap: int) -> NDArray[np.bool_]:
    """Return flags in which runs with fewer than ``gap`` steps between them are one run."""
    intervals = runs(flags)
    starts, ends = intervals[1:, 0], intervals[:-1, 1]
    close = starts - ends < gap
    # +1 where a gap to fill begins, -1 where it ends.
    change = np.zeros(len(flags), dtype=np.intp)
    change[ends[close]], change[starts[close]] = 1, -1
    return flags | (np.cumsum(change) > 0)
