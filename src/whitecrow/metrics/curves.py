"""ROC, precision-recall and cost curves; cost of errors."""

from dataclasses import dataclass, fields
from typing import NamedTuple, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.parameters import NonNegative, Share, check
from whitecrow.metrics.inputs import labelled_scores
from whitecrow.metrics.points import OperatingPoints, operating_points

__all__ = ["CostCurve", "Costs", "PRCurve", "ROCCurve", "cost_curve", "pr_curve", "roc_curve", "thin"]

Floats = NDArray[np.float64]


class ROCCurve(NamedTuple):
    """False-positive rates, recalls and thresholds, each of shape [G + 1], thresholds falling."""

    fpr: Floats
    tpr: Floats
    thresholds: Floats


class PRCurve(NamedTuple):
    """Precisions, recalls and thresholds, each of shape [G + 1], thresholds falling."""

    precision: Floats
    recall: Floats
    thresholds: Floats


class CostCurve(NamedTuple):
    """Thresholds, falling, and the expected cost per row at each, both of shape [G + 1]."""

    thresholds: Floats
    costs: Floats


@dataclass(frozen=True)
class Costs:
    r"""What the outcomes cost, all in one unit of money or effort.

    .. math:: \pi\,[FNR\,C_{miss} + TPR\,(C_{alert} - V_{catch})] + (1 - \pi)\,FPR\,(C_{false} + C_{alert})

    Parameters
    ----------
    miss : float
        Cost of an anomaly that is not flagged, at least 0.
    false_alarm : float
        Cost of a normal row that is flagged, at least 0.
    alert : float, default=0
        Cost of handling any alert, true or false, at least 0.
    catch : float, default=0
        Value of an anomaly that is flagged, at least 0; it lowers the cost.
    prevalence : float, optional
        Share of anomalies :math:`\pi` where the detector will work, from 0 to 1. By default that of the
        labelled rows; test tables are often enriched, and the cost then misleads.

    Raises
    ------
    ParameterError
        If a value is out of its range.
    """

    miss: NonNegative
    false_alarm: NonNegative
    alert: NonNegative = 0.0
    catch: NonNegative = 0.0
    prevalence: Share | None = None

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            check("Costs", field.name, getattr(self, field.name), hints[field.name])

    def per_row(self, points: OperatingPoints) -> Floats:
        """Return the expected cost per row at each operating point, shape [..., G + 1]."""
        tp, fp = points
        tpr, fpr = tp / tp[..., -1:], fp / fp[..., -1:]
        pi = tp[..., -1:] / (tp[..., -1:] + fp[..., -1:]) if self.prevalence is None else self.prevalence
        caught = self.alert - self.catch
        return pi * ((1 - tpr) * self.miss + tpr * caught) + (1 - pi) * fpr * (self.false_alarm + self.alert)


def roc_curve(y: ArrayLike, scores: ArrayLike) -> ROCCurve:
    """Return the ROC curve, one point for each distinct score, from (0, 0) to (1, 1).

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly. Both classes are needed.
    scores : array_like, shape [N]
        Finite; higher = more anomalous. Tied rows enter together, as one slanted step.

    Returns
    -------
    ROCCurve
        Rates of the rows whose score is *above* each threshold.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    """
    thresholds, (tp, fp) = operating_points(*labelled_scores(y, scores))
    return ROCCurve(fp / fp[-1], tp / tp[-1], thresholds)


def pr_curve(y: ArrayLike, scores: ArrayLike) -> PRCurve:
    """Return the precision-recall curve, one point for each distinct score.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly; at least one.
    scores : array_like, shape [N]
        Finite; higher = more anomalous. Tied rows enter together.

    Returns
    -------
    PRCurve
        Of the rows whose score is *above* each threshold. At the first point nothing is flagged; its
        precision is 1 by convention. Draw the curve in steps: between points it is not linear.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    """
    thresholds, (tp, fp) = operating_points(*labelled_scores(y, scores, normals=False))
    precision = np.append(1.0, tp[1:] / (tp[1:] + fp[1:]))
    return PRCurve(precision, tp / tp[-1], thresholds)


def cost_curve(
    y: ArrayLike,
    scores: ArrayLike,
    cost_miss: float,
    cost_false_alarm: float,
    *,
    cost_alert: float = 0.0,
    catch_value: float = 0.0,
    prevalence: float | None = None,
) -> CostCurve:
    """Return the expected cost per row at every threshold that makes a difference.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly. Both classes are needed.
    scores : array_like, shape [N]
        Finite; higher = more anomalous.
    cost_miss, cost_false_alarm, cost_alert, catch_value, prevalence : float
        See :class:`Costs`.

    Returns
    -------
    CostCurve
        The first entry is the cost of flagging nothing, the last that of flagging everything. A minimum
        read off here is optimistic for new rows: it was found on these labels.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    ParameterError
        If a cost is negative or the prevalence is not from 0 to 1.
    """
    costs = Costs(cost_miss, cost_false_alarm, cost_alert, catch_value, prevalence)
    thresholds, points = operating_points(*labelled_scores(y, scores))
    return CostCurve(thresholds, costs.per_row(points))


def thin(x: Floats, y: Floats, limit: int = 500) -> NDArray[np.intp]:
    """Return the indices of at most ``limit`` points that keep the shape of a curve, ends included.

    Points are spread evenly along the drawn length, so that steep parts keep as many as flat ones.

    Parameters
    ----------
    x, y : ndarray, shape [P]
        Coordinates in drawing order.
    limit : int, default=500
        At least 2.

    Returns
    -------
    ndarray of int, shape [at most limit]
        Rising.
    """
    if len(x) <= limit:
        return np.arange(len(x))
    steps = sum(np.abs(np.diff(v)) / (np.ptp(v) or 1.0) for v in (x, y))
    length = np.append(0.0, np.cumsum(steps))
    return np.unique(np.append(np.searchsorted(length, np.linspace(0, length[-1], limit)[:-1]), len(x) - 1))
