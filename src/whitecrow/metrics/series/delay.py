"""How long after its start an event is noticed."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Share, check
from whitecrow.metrics.inputs import finite_scores, labelled_flags, labelled_scores, same_length
from whitecrow.metrics.points import operating_points
from whitecrow.metrics.series.events import flagged_in, runs

__all__ = ["DetectionDelay", "delay_at_fpr", "detection_delay"]


class DetectionDelay(NamedTuple):
    """Delays over the events that were noticed, and the share of events that were not.

    Attributes
    ----------
    mean, median, p95 : float
        In steps or, with time stamps, in their unit (seconds for dates). The 95th percentile is interpolated
        linearly. All are NaN where no event was noticed: a missed event has no delay.
    missed : float
        From 0 to 1.
    """

    mean: float
    median: float
    p95: float
    missed: float


def detection_delay(y: ArrayLike, flags: ArrayLike, *, times: ArrayLike | None = None) -> DetectionDelay:
    """Return the delay from the start of each event to its first flag.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged. A flag before the event does not count as early notice of it.
    times : array_like of number or datetime64, shape [T], optional
        When each step was taken, never falling. Delays are then in its unit, in seconds for dates.

    Raises
    ------
    DataError
        If labels, flags or times cannot be used.
    """
    labels, flagged = labelled_flags(y, flags)
    clock = np.arange(float(len(labels))) if times is None else _clock(times, labels)
    intervals = runs(labels)
    noticed = intervals[flagged_in(intervals, flagged) > 0, 0]
    missed = 1 - len(noticed) / len(intervals)
    if len(noticed) == 0:
        return DetectionDelay(np.nan, np.nan, np.nan, missed)
    alarms = np.flatnonzero(flagged)
    delays = clock[alarms[np.searchsorted(alarms, noticed)]] - clock[noticed]
    median, p95 = np.percentile(delays, [50, 95])
    return DetectionDelay(float(delays.mean()), float(median), float(p95), missed)


def delay_at_fpr(
    y: ArrayLike, scores: ArrayLike, max_fpr: float = 0.01, *, times: ArrayLike | None = None
) -> DetectionDelay:
    """Return the detection delay at a stated rate of false alarms, which makes detectors comparable.

    The threshold is the lowest one that flags at most ``max_fpr`` of the normal steps *of this series*; a threshold
    set beforehand will meet the rate only roughly.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly. Both classes are needed.
    scores : array_like, shape [T]
        Finite; higher = more anomalous.
    max_fpr : float, default=0.01
        Largest share of the normal steps that may be flagged, from 0 to 1.
    times : array_like of number or datetime64, shape [T], optional
        See :func:`detection_delay`.

    Raises
    ------
    DataError
        If labels, scores or times cannot be used.
    ParameterError
        If ``max_fpr`` is not from 0 to 1.
    """
    check("delay_at_fpr", "max_fpr", max_fpr, Share)
    labels, values = labelled_scores(y, scores)
    thresholds, (_, fp) = operating_points(labels, values)
    threshold = thresholds[np.flatnonzero(fp / fp[-1] <= max_fpr)[-1]]
    return detection_delay(labels, values > threshold, times=times)


def _clock(times: ArrayLike, labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    stamps: NDArray[Any] = np.asarray(times)
    if stamps.dtype.kind == "M" and stamps.size:
        stamps = (stamps - stamps.flat[0]) / np.timedelta64(1, "s")
    clock = finite_scores(stamps, "times")
    same_length("y", labels, "times", clock)
    back = np.flatnonzero(np.diff(clock) < 0)
    if back.size:
        raise DataError(f"times falls after step {back[0]}; accepted are times that never fall. Sort the series first.")
    return clock
