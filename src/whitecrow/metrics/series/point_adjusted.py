r"""Point-adjusted F1, its stricter variant PA%K, and what pure noise reaches.

Point adjustment counts a whole event as found as soon as one of its steps is flagged. At an alarm rate :math:`p`
noise finds an event of :math:`n` steps with probability :math:`1 - (1 - p)^n`, so long events make it look excellent.
"""

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Natural, Range, check
from whitecrow.metrics.decisions import PrecisionRecallF1
from whitecrow.metrics.inputs import binary, labelled_flags
from whitecrow.metrics.series.events import flagged_in, runs
from whitecrow.metrics.series.oracle import oracle_f1
from whitecrow.metrics.series.rates import with_f1

__all__ = ["inflated_point_adjusted_f1", "inflated_random_oracle_f1", "pa_k_area", "pa_k_f1"]

Percent = Annotated[float, Range(0, 100)]


def inflated_point_adjusted_f1(y: ArrayLike, flags: ArrayLike) -> PrecisionRecallF1:
    """Return point-adjusted precision, recall and F1. Inflated: noise may reach more than published models.

    Use it only to compare with older tables, with :func:`inflated_random_oracle_f1` of the same labels beside it.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged. Where nothing is flagged, precision is 0.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    """
    return pa_k_f1(y, flags, 0)


def pa_k_f1(y: ArrayLike, flags: ArrayLike, k: float) -> PrecisionRecallF1:
    """Return precision, recall and F1 after adjusting only events with at least ``k`` percent of flagged steps.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged. Where nothing is flagged, precision is 0.
    k : float
        Percent, from 0 to 100. 0 adjusts every event with a flag and is as inflated as plain point adjustment;
        100 adjusts nothing.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    ParameterError
        If ``k`` is not from 0 to 100.

    References
    ----------
    .. [1] S. Kim et al., "Towards a Rigorous Evaluation of Time-Series Anomaly Detection", AAAI 2022,
       arXiv:2109.05257.
    """
    check("pa_k_f1", "k", k, Percent)
    hits, lengths, false_alarms = _counts(y, flags)
    return _adjusted(hits, lengths, false_alarms, (hits > 0) & (100 * hits >= k * lengths))


def pa_k_area(y: ArrayLike, flags: ArrayLike) -> float:
    """Return the mean of the F1 of :func:`pa_k_f1` over all k from 0 to 100, exactly.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged.

    Returns
    -------
    float
        From 0 to 1, higher is better; between plain and point-adjusted F1.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    """
    hits, lengths, false_alarms = _counts(y, flags)
    shares = hits / lengths
    # F1 is a step function of k that falls just after each event's share.
    steps = np.unique(np.append(shares[shares > 0], 1.0))
    f1 = [_adjusted(hits, lengths, false_alarms, shares >= step).f1 for step in steps]
    return float(np.diff(steps, prepend=0.0) @ f1)


def inflated_random_oracle_f1(y: ArrayLike, *, seed: int, n_draws: int = 5) -> float:
    """Return the point-adjusted F1 that uniform random scores reach on these labels at their oracle threshold.

    A detector with a point-adjusted F1 near it has shown nothing.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly. Both classes are needed.
    seed : int
        Seed of the draws, at least 0.
    n_draws : int, default=5
        The mean over this many independent score vectors is returned.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    DataError
        If labels cannot be used.
    ParameterError
        If ``seed`` is negative or ``n_draws`` below 1.
    """
    check("inflated_random_oracle_f1", "seed", seed, Natural)
    check("inflated_random_oracle_f1", "n_draws", n_draws, Count)
    labels = binary(y)
    if labels.all() or not labels.any():
        raise DataError("y holds one class only; both 0 and 1 are needed. Simulate on the labels of a whole series.")
    rng = np.random.default_rng(seed)
    found = [oracle_f1(inflated_point_adjusted_f1, labels, rng.random(len(labels))).f1 for _ in range(n_draws)]
    return float(np.mean(found))


def _counts(y: ArrayLike, flags: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Return the flagged steps and the length of each event, and the flagged steps outside all events."""
    labels, flagged = labelled_flags(y, flags)
    intervals = runs(labels)
    return flagged_in(intervals, flagged), np.diff(intervals)[:, 0], int((flagged & ~labels).sum())


def _adjusted(
    hits: NDArray[np.intp], lengths: NDArray[np.intp], false_alarms: int, found: NDArray[np.bool_]
) -> PrecisionRecallF1:
    tp = np.where(found, lengths, hits).sum()
    return with_f1(tp / max(tp + false_alarms, 1), tp / lengths.sum())
