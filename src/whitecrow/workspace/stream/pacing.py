"""How many records are due, and how many frames a page gets of them."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Natural, Positive, Range, check
from whitecrow.workspace.stream.frames import Frame

__all__ = ["FrameMerger", "Pacer"]

_Rate = Annotated[float, Range(1, 10_000)]
_MOST = 10_000  # however many were recorded at one moment
Clock = Callable[[], float]


class Pacer:
    """Turns the time that passes into numbers of records that are due.

    Parameters
    ----------
    rate : float, default=1000
        Records per second, from 1 to 10,000; with ``times`` how many times as fast as they were recorded, above 0.
    times : array_like of float [N], optional
        Seconds from the first record to each, rising: the records then come with their own gaps.
    catch_up : float, default=0.25
        Longest stretch, in seconds above 0, that is made up for: whoever did not ask for longer than that gets the
        records of so many seconds, and not a burst of all that would have come.
    clock : callable, default=time.monotonic
        Returns the present time in seconds.

    Raises
    ------
    ParameterError
        If a number is out of its range.
    DataError
        If the times do not rise.
    """

    def __init__(
        self,
        rate: float = 1000.0,
        *,
        times: ArrayLike | None = None,
        catch_up: float = 0.25,
        clock: Clock = time.monotonic,
    ) -> None:
        check("Pacer", "catch_up", catch_up, Positive)
        self._times = None if times is None else _rising(times)
        self._check_rate(rate)
        self._rate, self._catch_up, self._clock = float(rate), float(catch_up), clock
        self._paused = False
        self._granted = 0
        self.restart()

    @property
    def rate(self) -> float:
        """Records per second, or how many times as fast as recorded. What is due by now is due at the old rate."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._check_rate(rate)
        self._settle()
        self._rate = float(rate)

    @property
    def paused(self) -> bool:
        """Whether no record is due until :meth:`resume` or :meth:`step`."""
        return self._paused

    def due(self) -> int:
        """Return how many further records are due now, at most 10,000; they count as handed out."""
        self._settle()
        n, self._granted = self._granted, 0
        if n:
            # Single steps move the present on, so that what was stepped through does not come again.
            self._handed += n
            self._elapsed = max(self._elapsed, self._time_of(self._handed - 1) if self._recorded else self._handed)
        if not self._paused:
            rest = min(max(self._arrived() - self._handed, 0), _MOST)
            self._handed += rest
            n += rest
        return n

    def pause(self) -> None:
        """Stop; the part of a record's time that has passed is kept."""
        self._settle()
        self._paused = True

    def resume(self) -> None:
        """Go on; the time of the pause does not count."""
        self._settle()
        self._paused = False

    def step(self, n: int = 1) -> None:
        """Pause, and make ``n`` records due.

        Raises
        ------
        ParameterError
            If ``n`` is not at least 1.
        """
        check("step", "n", n, Count)
        self.pause()
        self._granted += n

    def restart(self, position: int = 0) -> None:
        """Go on from a record, as after a rewind; it is due at once if the records have times of their own.

        Raises
        ------
        ParameterError
            If it is not the number of a record.
        """
        check("restart", "position", position, Natural)
        self._handed, self._granted = position, 0
        self._elapsed = self._time_of(position) if self._recorded else float(position)
        self._last = self._clock()

    @property
    def _recorded(self) -> bool:
        return self._times is not None

    def _time_of(self, position: int) -> float:
        assert self._times is not None
        return float(self._times[min(position, len(self._times) - 1)])

    def _arrived(self) -> int:
        """Return how many records have come since the first one."""
        if self._times is None:
            return int(self._elapsed)
        return int(self._times.searchsorted(self._elapsed, side="right"))

    def _settle(self) -> None:
        now = self._clock()
        passed, self._last = min(max(now - self._last, 0.0), self._catch_up), now
        if not self._paused:
            self._elapsed += passed * self._rate

    def _check_rate(self, rate: float) -> None:
        check("Pacer", "rate", rate, _Rate if self._times is None else Positive)


class FrameMerger:
    """Joins frames until the next one may be shown.

    Parameters
    ----------
    per_second : float, default=30
        Most frames per second, above 0.
    listed : int, default=100
        Most records that a frame lists, the latest ones; its counts are of all.
    clock : callable, default=time.monotonic
        Returns the present time in seconds.

    Raises
    ------
    ParameterError
        If a number is out of its range.
    """

    def __init__(self, per_second: float = 30.0, *, listed: int = 100, clock: Clock = time.monotonic) -> None:
        check("FrameMerger", "per_second", per_second, Positive)
        check("FrameMerger", "listed", listed, Count)
        self._gap, self._listed, self._clock = 1.0 / per_second, listed, clock
        self._next = -np.inf
        self._held: Frame | None = None

    def add(self, frame: Frame) -> None:
        """Add the frame of the latest records; one that does not follow the others replaces them."""
        held = self._held
        if held is None or frame.first != held.first + held.count:
            self._held = frame.latest(self._listed)
            return
        # A frame of no records may have no columns either.
        seen = [part.features for part in (held, frame) if part.count]
        merged = replace(
            frame,
            first=held.first,
            count=held.count + frame.count,
            records=pl.concat([held.records, frame.records]),
            features=pl.concat(seen) if seen else frame.features,
        )
        self._held = merged.latest(self._listed)

    def take(self, *, at_once: bool = False) -> Frame | None:
        """Return the frame to show now, or None if there is none or it is too early.

        Parameters
        ----------
        at_once : bool, default=False
            Return what there is however early it is, as after a pause or a single step.
        """
        now = self._clock()
        if self._held is None or (now < self._next and not at_once):
            return None
        frame, self._held = self._held, None
        # A little late each time does not lower the rate; a long silence earns nothing.
        late = now - self._next
        self._next = now + self._gap - (late if late < self._gap else 0.0)
        return frame


def _rising(times: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(times, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all() or (np.diff(values) < 0).any():
        raise DataError(
            f"Pacer: times of shape {values.shape}; accepted are finite seconds that do not fall, one for each record."
        )
    return values - values[0]
