"""The axis of time: positions and ticks, of dates or of numbered steps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.page.plot import Axis

__all__ = ["TimeAxis"]

_MOST_TICKS = 8
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SECONDS = (
    *(1, 2, 5, 10, 15, 30),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 4, 7, 14)),
)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)


class TimeAxis:
    """Places of the steps of a series from left to right.

    Parameters
    ----------
    n : int
        Number of steps, at least 1.
    times : ndarray of datetime64 [n] or None
        When each was taken, rising. None numbers them from 1.

    Attributes
    ----------
    places : ndarray [n]
        From 0 to 1.
    title : str
        What the axis shows.
    """

    def __init__(self, n: int, times: NDArray[Any] | None) -> None:
        self._times = None if times is None else times.astype("datetime64[ms]")
        if self._times is None:
            self._axis = Axis(1, max(n, 2), "Time step, from 1")
            self.places: NDArray[np.float64] = self._axis.at(np.arange(1, n + 1))
            self.title = self._axis.title
        else:
            first, last = self._times[0], self._times[-1]
            self.places = (self._times - first) / max(last - first, np.timedelta64(1, "ms"))
            self.title = f"Time, from {_text(first)} to {_text(last)}"

    def ticks(self) -> list[tuple[float, str]]:
        """Return places, from 0 to 1, and their labels."""
        if self._times is None:
            return [(float(self._axis.at(v)), f"{v:,.0f}") for v in self._axis.ticks(7) if v == round(v)]
        first, last = self._times[0], self._times[-1]
        span = max((last - first) / np.timedelta64(1, "s"), 1e-3)
        step = next((s for s in _SECONDS if span / s <= _MOST_TICKS), None)
        if step is None:
            stamps = _months(first, last)
            labels = [_label(s, 30 * _DAY) for s in stamps]
        else:
            start = first.astype("datetime64[s]").astype(np.int64)
            seconds = np.arange(-(-start // step), (start + int(span)) // step + 1) * step
            stamps = seconds.astype("datetime64[s]").astype("datetime64[ms]")
            labels = [_label(s, step) for s in stamps]
        return [
            (float((s - first) / (last - first)), text)
            for s, text in zip(stamps, labels, strict=True)
            if first <= s <= last
        ]


def _months(first: Any, last: Any) -> NDArray[Any]:
    low, high = (int(t.astype("datetime64[M]").astype(np.int64)) for t in (first, last))
    step = next((m for m in _MONTHS if (high - low) / m <= _MOST_TICKS), _MONTHS[-1])
    months = np.arange(-(-low // step), high // step + 1) * step
    return months.astype("datetime64[M]").astype("datetime64[ms]")


def _label(time: Any, step: int) -> str:
    moment = time.astype("datetime64[s]").item()
    if step >= 30 * _DAY:
        return moment.strftime("%b %Y")
    if step >= _DAY or (step >= _HOUR and moment.hour == 0):
        return f"{moment.day} {moment:%b}"
    return moment.strftime("%H:%M" if step >= _MINUTE else "%H:%M:%S")


def _text(time: Any) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")
