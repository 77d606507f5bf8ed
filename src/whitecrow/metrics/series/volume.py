r"""Areas under curves that forgive a small lag: Range-AUC and the volume under the surface (VUS).

The labels get a soft border of ``buffer`` steps. VUS is the mean of Range-AUC over all buffers up to a largest
one, so it depends on no single choice; it still depends on the largest, which belongs beside every figure.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.parameters import Count, Natural, check
from whitecrow.metrics.inputs import labelled_scores
from whitecrow.metrics.series.events import runs

__all__ = ["RangeArea", "range_auc", "vus"]

# Distance to an event that does not exist: beyond any buffer, and safe to add to.
_NEVER = np.iinfo(np.int64).max // 4


class RangeArea(NamedTuple):
    """Areas under the ROC and under the precision-recall curve, each from 0 to 1, higher is better."""

    roc: float
    pr: float


def range_auc(y: ArrayLike, scores: ArrayLike, buffer: int, *, n_thresholds: int = 250) -> RangeArea:
    r"""Return Range-AUC-ROC and Range-AUC-PR for one buffer length.

    A step at distance :math:`d \le \lfloor\ell/2\rfloor` from an event weighs
    :math:`\tilde y = \sqrt{1 - d/\ell}` (summed over the events, at most 1) when it is flagged. With
    :math:`p_t` the flags at a threshold, :math:`A` the number of labelled steps and :math:`N` that of flags,

    .. math::
        TP = \sum_t \tilde y_t p_t, \quad P = A + \tfrac12 \sum_{t:\,y_t=0} \tilde y_t p_t, \quad
        TPR = \min(TP / P, 1) \cdot E, \quad FPR = \frac{N - TP}{T - P}, \quad Prec = TP / N

    where :math:`E` is the share of events, grown by :math:`\lfloor\ell/2\rfloor` on both sides and merged where
    they overlap, that hold a flag. ROC is integrated by trapezoids from (0, 0) to (1, 1); PR is the step sum.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly. Both classes are needed.
    scores : array_like, shape [T]
        Finite; higher = more anomalous.
    buffer : int
        :math:`\ell`, in steps, at least 0; 0 forgives no lag.
    n_thresholds : int, default=250
        Thresholds are the scores at this many evenly spread ranks, both ends included.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    ParameterError
        If ``buffer`` is negative or ``n_thresholds`` below 1.

    References
    ----------
    .. [1] J. Paparrizos et al., "Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series
       Anomaly Detection", PVLDB 15(11), 2022.
    .. [2] "VUS: Effective and Efficient Accuracy Measures for Time-Series Anomaly Detection", arXiv:2502.13318.
    """
    return _Surface("range_auc", y, scores, buffer, n_thresholds).areas(buffer)


def vus(y: ArrayLike, scores: ArrayLike, buffer: int, *, n_thresholds: int = 250) -> RangeArea:
    r"""Return VUS-ROC and VUS-PR: the means of Range-AUC over the buffers 0, 1, ..., ``buffer``.

    Sorting happens once, and only steps near an event change with the buffer: :math:`O(T \log T + L\,T)`.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly. Both classes are needed.
    scores : array_like, shape [T]
        Finite; higher = more anomalous.
    buffer : int
        :math:`L`, the largest buffer in steps, at least 0; usually the period of the series. State it.
    n_thresholds : int, default=250
        See :func:`range_auc`. Figures of other counts cannot be compared with published ones.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    ParameterError
        If ``buffer`` is negative or ``n_thresholds`` below 1.

    References
    ----------
    .. [1] J. Paparrizos et al., "Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series
       Anomaly Detection", PVLDB 15(11), 2022.

    Examples
    --------
    >>> vus([0, 0, 1, 1, 0], [0.1, 0.2, 0.9, 0.8, 0.3], buffer=0)
    RangeArea(roc=1.0, pr=1.0)
    """
    surface = _Surface("vus", y, scores, buffer, n_thresholds)
    areas = np.array([surface.areas(length) for length in range(buffer + 1)])
    return RangeArea(*areas.mean(0).tolist())


class _Surface:
    """What all buffer lengths share: which threshold flags each step first, and how far the events are."""

    def __init__(self, owner: str, y: ArrayLike, scores: ArrayLike, buffer: int, n_thresholds: int) -> None:
        check(owner, "buffer", buffer, Natural)
        check(owner, "n_thresholds", n_thresholds, Count)
        labels, values = labelled_scores(y, scores)
        falling = -np.sort(-values)
        thresholds = falling[np.linspace(0, len(values) - 1, n_thresholds).astype(int)]
        self.n_thresholds = n_thresholds
        self.first = np.searchsorted(-thresholds, -values)  # [T]
        self.flagged = self._up_to(self.first)  # [K]
        self.caught = self._up_to(self.first[labels])
        self.n_anomalies = int(labels.sum())
        self.events = runs(labels)
        steps = np.flatnonzero(~labels)
        nearest, second = _distances(self.events, steps)
        order = np.argsort(nearest, kind="stable")
        order = order[: np.searchsorted(nearest[order], buffer // 2, side="right")]
        # Only these steps may lie in a border, the nearest first.
        self.distance, self.second, self.border = nearest[order], second[order], self.first[steps[order]]

    def _up_to(self, first: NDArray[np.intp], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return for each threshold the number (or weight) of the steps that it flags, shape [K]."""
        return np.bincount(first, weights, self.n_thresholds)[: self.n_thresholds].cumsum()

    def areas(self, buffer: int) -> RangeArea:
        """Return both areas for one buffer length."""
        reach = buffer // 2
        n = np.searchsorted(self.distance, reach, side="right")
        # A ramp ends at sqrt(1/2), so where two of them meet their sum exceeds the cap of 1.
        ramp = np.sqrt(1 - self.distance[:n] / max(buffer, 1))
        soft = self._up_to(self.border[:n], np.where(self.second[:n] <= reach, 1.0, ramp))
        tp, positives = self.caught + soft, self.n_anomalies + soft / 2
        alarms = self._first_alarms(reach)
        tpr = np.minimum(tp / positives, 1) * self._up_to(alarms) / len(alarms)
        fpr = (self.flagged - tp) / (len(self.first) - positives)
        roc = np.trapezoid(np.concatenate([[0], tpr, [1]]), np.concatenate([[0], fpr, [1]]))
        return RangeArea(float(roc), float(np.diff(tpr, prepend=0) @ (tp / self.flagged)))

    def _first_alarms(self, reach: int) -> NDArray[np.intp]:
        """Return the first threshold that flags a step of each grown and merged event, shape [E]."""
        grown = np.clip(self.events + np.array([-reach, reach]), 0, len(self.first))
        apart = grown[1:, 0] >= grown[:-1, 1]
        edges = np.stack([grown[np.append(True, apart), 0], grown[np.append(apart, True), 1]], axis=1)
        # The appended entry lets a segment end with the series.
        return np.minimum.reduceat(np.append(self.first, self.n_thresholds), edges.ravel())[::2]


def _distances(events: NDArray[np.intp], steps: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how far the nearest and the second nearest event are from steps outside all events."""
    starts = np.append(events[:, 0], [_NEVER, _NEVER])
    ends = np.append([-_NEVER, -_NEVER], events[:, 1])
    i = np.searchsorted(events[:, 0], steps)  # events to the left of each step
    four = np.stack([steps - ends[i + 1] + 1, steps - ends[i] + 1, starts[i] - steps, starts[i + 1] - steps])
    nearest, second = np.partition(four, 1, axis=0)[:2]
    return nearest, second
