"""What a monitor knows about a connection from the ones before it: counts and shares over sliding windows.

Every function reads only the rows up to and including the current one, so a column never looks ahead.
Rows are in the order of time; the cost is O(N log N) for any number of hosts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Groups", "count_in_last_rows"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Groups:
    """The rows of a stream gathered by a key (a source, a destination, a pair), in the order of time.

    Parameters
    ----------
    key : ndarray of int, shape (N,)
        Non-negative key of each row; at least one row.
    time : ndarray of float, shape (N,)
        Seconds, ascending.
    """

    def __init__(self, key: Ints, time: Floats) -> None:
        self._order = np.argsort(key, kind="stable")
        self._time = time[self._order]
        ordered = key[self._order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        self._first = np.repeat(starts, np.diff(starts, append=len(key)))
        self._position = np.arange(len(key))
        # Groups laid end to end on one time axis, so that one search finds every window's start.
        span = float(time[-1] - time[0]) + 1.0
        self._axis = self._time + ordered * span

    def _back(self, values: NDArray[Any]) -> NDArray[Any]:
        out = np.empty_like(values)
        out[self._order] = values
        return out

    def _start_of_last(self, rows: int) -> Ints:
        return np.maximum(self._first, self._position - rows + 1)

    def _start_of_seconds(self, seconds: float) -> Ints:
        return np.maximum(self._first, np.searchsorted(self._axis, self._axis - seconds, side="right"))

    def _sum(self, values: Floats, start: Ints) -> Floats:
        # Differences of cumulative sums are exact: the values are whole numbers, their sum below 2**53.
        total = np.concatenate([[0.0], np.cumsum(values[self._order])])
        return total[self._position + 1] - total[start]

    def count(self, seconds: float) -> Ints:
        """Return how many rows of the group lie in the last ``seconds``, the current one included."""
        return self._back(self._position - self._start_of_seconds(seconds) + 1)

    def total(self, values: Floats, seconds: float) -> Floats:
        """Return the sum of ``values`` over the group's rows of the last ``seconds``."""
        return self._back(self._sum(values, self._start_of_seconds(seconds)))

    def share(self, flags: NDArray[np.bool_], rows: int) -> Floats:
        """Return the share of the group's last ``rows`` rows for which ``flags`` holds."""
        start = self._start_of_last(rows)
        return self._back(self._sum(flags.astype(np.float64), start) / (self._position - start + 1))

    def share_equal(self, values: Ints, rows: int) -> Floats:
        """Return the share of the group's last ``rows`` rows that have the current row's value."""
        ordered, start = values[self._order], self._start_of_last(rows)
        same = np.zeros(len(ordered))
        for back in range(min(rows, len(ordered))):
            inside = self._position - back >= start
            same += inside & (np.roll(ordered, back) == ordered)
        return self._back(same / (self._position - start + 1))

    def distinct(self, values: Ints, rows: int) -> Ints:
        """Return how many distinct values the group's last ``rows`` rows hold."""
        ordered, start = values[self._order], self._start_of_last(rows)
        # A row is the first of its value in the window if the value's previous row lies before the window.
        pairs = np.lexsort((self._position, ordered, self._first))
        previous = np.full(len(ordered), -1)
        repeats = (ordered[pairs[1:]] == ordered[pairs[:-1]]) & (self._first[pairs[1:]] == self._first[pairs[:-1]])
        previous[pairs[1:][repeats]] = pairs[:-1][repeats]
        found = np.zeros(len(ordered), dtype=np.int64)
        for back in range(min(rows, len(ordered))):
            found += (self._position - back >= start) & (np.roll(previous, back) < start)
        return self._back(found)

    def rate(self, rows: int) -> Floats:
        """Return the group's connections per minute over its last ``rows`` rows, 0 where it has fewer."""
        start = self._position - rows + 1
        full = start >= self._first
        # A second at least: clocks of monitors are no finer, and simultaneous rows would have no rate.
        seconds = np.maximum(self._time - self._time[np.maximum(start, 0)], 1.0)
        return self._back(np.where(full, 60.0 * (rows - 1) / seconds, 0.0))

    def gap(self, longest: float) -> Floats:
        """Return the seconds since the previous row, capped at ``longest``, which the first row has."""
        gap = np.diff(self._time, prepend=self._time[:1])
        gap[self._position == self._first] = longest
        return self._back(np.minimum(gap, longest))


def count_in_last_rows(key: Ints, rows: int) -> Ints:
    """Return how many of the stream's last ``rows`` rows have the current row's key, itself included."""
    return Groups(key, np.arange(len(key), dtype=np.float64)).count(float(rows))
