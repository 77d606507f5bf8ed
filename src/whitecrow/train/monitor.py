"""Progress of a running fit, and the way to stop it."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whitecrow.train.replicas import Replicas

__all__ = ["Progress", "Reporter", "monitor"]

_observer: ContextVar[Callable[["Progress"], None] | None] = ContextVar("whitecrow_observer", default=None)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a fit stands.

    Attributes
    ----------
    stage : str
        Name of the stage.
    epoch, epochs : int
        Completed epochs of the stage and the most that it will run.
    fraction : float
        Share of the whole fit that is done, from 0 to 1, if no replica stops early.
    loss : float
        Mean training loss of the last epoch over objectives and replicas; nan before the first has ended.
    measured : dict of str to float
        At the end of an epoch what ``history_`` keeps of it, by the names without the stage's: the loss of each
        objective, ``"validation"``, and what the method measures; means over the replicas that have not diverged.
        Empty within an epoch.
    networks : function without arguments, or None
        At the end of an epoch it returns a copy of the networks as they stand (where the stage averages, the averages),
        with what ``finish`` sets of them. It costs nothing until it is called, the fit never notices, and it may be
        called while the observer is being called only. None within an epoch.
    """

    stage: str
    epoch: int
    epochs: int
    fraction: float
    loss: float
    measured: Mapping[str, float] = field(default_factory=dict)
    networks: "Callable[[], Replicas] | None" = None


@contextmanager
def monitor(observer: Callable[[Progress], None]) -> Iterator[None]:
    """Call ``observer`` some times a second, and after every epoch, during the fits inside the block.

    An observer that raises :class:`~whitecrow.core.errors.FitCancelled` stops the fit; where the detector has a
    ``checkpoint``, the last completed epoch can be resumed. After an epoch,
    :meth:`DeepDetector.as_of <whitecrow.detectors.DeepDetector.as_of>` gives the observer the detector as it stands.
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


class Reporter:
    """Passes progress to the observer; without one, and if asked, writes a line to a terminal after two seconds."""

    def __init__(self, verbose: bool) -> None:
        self._observer = _observer.get()
        self._terminal = verbose and self._observer is None and sys.stderr.isatty()
        self._start = self._last = time.monotonic()
        self._written = False

    @property
    def observed(self) -> bool:
        """Whether somebody hears of the fit."""
        return self._observer is not None

    def __call__(self, progress: Progress, *, force: bool = False) -> None:
        """Report, at most ten times a second unless forced."""
        now = time.monotonic()
        if not force and now - self._last < 0.1:
            return
        self._last = now
        if self._observer is not None:
            self._observer(progress)
        elif self._terminal and now - self._start > 2:
            left = (now - self._start) * (1 / max(progress.fraction, 1e-6) - 1)
            sys.stderr.write(
                f"\r{progress.stage}: epoch {progress.epoch}/{progress.epochs}, loss {progress.loss:.4g}, "
                f"{progress.fraction:4.0%}, {left:.0f} s left \x1b[K"
            )
            sys.stderr.flush()
            self._written = True

    def close(self) -> None:
        """End the line."""
        if self._written:
            sys.stderr.write("\n")
