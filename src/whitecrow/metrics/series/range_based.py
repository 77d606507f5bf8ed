r"""Range-based precision and recall (Tatbul et al., NeurIPS 2018)."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.parameters import Share, check
from whitecrow.metrics.decisions import PrecisionRecallF1
from whitecrow.metrics.inputs import labelled_flags
from whitecrow.metrics.series.events import runs
from whitecrow.metrics.series.rates import with_f1

__all__ = ["Bias", "Gamma", "range_based", "range_precision", "range_recall"]

Bias = Literal["flat", "front", "middle", "back"]
Gamma = Literal["reciprocal", "one"]
Steps = NDArray[np.intp]

# Weight of the i-th step of a range, i = 1 to n, counted from the start of that range.
_BIAS: dict[str, Callable[[Steps, Steps], Steps]] = {
    "flat": lambda i, n: np.ones_like(i),
    "front": lambda i, n: n - i + 1,
    "middle": lambda i, n: np.where(2 * i <= n, i, n - i + 1),
    "back": lambda i, n: i,
}


def range_recall(
    y: ArrayLike, flags: ArrayLike, *, alpha: float = 0.2, bias: Bias = "flat", gamma: Gamma = "reciprocal"
) -> float:
    r"""Return the mean over the events of how well each is found.

    .. math:: \alpha \, \mathrm{Exist}(R_i)
        + (1 - \alpha) \, \gamma(x_i) \sum_j \omega(R_i \cap P_j), \qquad
        \omega(R_i \cap P_j) = \frac{\sum_{t \in R_i \cap P_j} \delta(t)}{\sum_{t \in R_i} \delta(t)}

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged.
    alpha : float, default=0.2
        Reward for touching an event at all, from 0 to 1; the rest rewards overlap.
    bias : {"flat", "front", "middle", "back"}, default="flat"
        Which part of a range counts most: :math:`\delta` is 1, falling, rising to the middle, or rising.
    gamma : {"reciprocal", "one"}, default="reciprocal"
        Factor for an event that meets :math:`x > 1` flagged ranges: :math:`1/x`, or 1 for no penalty.

    Returns
    -------
    float
        From 0 to 1, higher is better.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    ParameterError
        If ``alpha``, ``bias`` or ``gamma`` is not accepted.

    References
    ----------
    .. [1] N. Tatbul et al., "Precision and Recall for Time Series", NeurIPS 2018, arXiv:1803.03639.
    """
    check("range_recall", "alpha", alpha, Share)
    labels, flagged = labelled_flags(y, flags)
    return _reward("range_recall", labels, flagged, alpha, bias, gamma)


def range_precision(y: ArrayLike, flags: ArrayLike, *, bias: Bias = "flat", gamma: Gamma = "reciprocal") -> float:
    """Return the mean over the flagged ranges of how much of each is anomalous.

    This is :func:`range_recall` with the roles swapped and ``alpha`` 0.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged. Where nothing is flagged, precision is 0.
    bias : {"flat", "front", "middle", "back"}, default="flat"
        Which part of a flagged range counts most.
    gamma : {"reciprocal", "one"}, default="reciprocal"
        Factor for a flagged range that meets several events.

    Returns
    -------
    float
        From 0 to 1, higher is better.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    ParameterError
        If ``bias`` or ``gamma`` is not accepted.
    """
    labels, flagged = labelled_flags(y, flags)
    return _reward("range_precision", flagged, labels, 0.0, bias, gamma)


def range_based(
    y: ArrayLike, flags: ArrayLike, *, alpha: float = 0.2, bias: Bias = "flat", gamma: Gamma = "reciprocal"
) -> PrecisionRecallF1:
    """Return range-based precision, recall and their harmonic mean, with one bias for both.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged.
    alpha, bias, gamma
        See :func:`range_recall`; ``alpha`` does not enter precision.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    ParameterError
        If ``alpha``, ``bias`` or ``gamma`` is not accepted.

    Examples
    --------
    >>> [round(figure, 4) for figure in range_based([0, 1, 1, 0], [0, 0, 1, 1])]
    [0.5, 0.6, 0.5455]
    """
    return with_f1(
        range_precision(y, flags, bias=bias, gamma=gamma),
        range_recall(y, flags, alpha=alpha, bias=bias, gamma=gamma),
    )


def _reward(owner: str, of: NDArray[np.bool_], by: NDArray[np.bool_], alpha: float, bias: Bias, gamma: Gamma) -> float:
    """Return the mean reward of the ranges of ``of`` for their overlap with the ranges of ``by``."""
    check(owner, "bias", bias, Bias)
    check(owner, "gamma", gamma, Gamma)
    ranges = runs(of)
    if len(ranges) == 0:
        return 0.0
    length = ranges[:, 1] - ranges[:, 0]
    owner_of = np.repeat(np.arange(len(ranges)), length)  # the range of each step, ranges laid end to end
    steps = np.flatnonzero(of)
    position = steps - ranges[owner_of, 0] + 1
    weight = _BIAS[bias](position, length[owner_of])
    hit = by[steps]
    overlap = np.bincount(owner_of, weight * hit) / np.bincount(owner_of, weight)
    begins = hit & ((position == 1) | ~by[steps - 1])
    met = np.bincount(owner_of, begins)
    cardinality = 1 / np.maximum(met, 1) if gamma == "reciprocal" else 1.0
    return float(np.mean(alpha * (met > 0) + (1 - alpha) * cardinality * overlap))
