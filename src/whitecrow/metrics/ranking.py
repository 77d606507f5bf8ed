"""Figures of merit of the order that scores put the rows in; no threshold is involved."""

import numpy as np
from numpy.typing import ArrayLike

from whitecrow.core.parameters import Count, Share, check
from whitecrow.metrics import points as _points
from whitecrow.metrics.decisions import flag_top
from whitecrow.metrics.inputs import finite_scores, labelled_scores

__all__ = ["auroc", "average_precision", "distinct_scores", "precision_at_k", "recall_at_fpr"]


def auroc(y: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that an anomaly scores above a normal row.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly. Both classes are needed.
    scores : array_like, shape [N]
        Finite; higher = more anomalous.

    Returns
    -------
    float
        From 0 to 1, higher is better; 0.5 is chance. A tied pair counts one half. It does not change with
        the share of anomalies, so it says nothing about the share of alerts that are true.

    Raises
    ------
    DataError
        If labels or scores cannot be used.

    Examples
    --------
    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return float(_points.auroc(_points.operating_points(*labelled_scores(y, scores))[1]))


def average_precision(y: ArrayLike, scores: ArrayLike) -> float:
    r"""Return the average precision, :math:`\sum_i (R_i - R_{i-1}) P_i` over the distinct scores.

    This is the step sum; the trapezoidal area under the precision-recall curve is optimistic.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly; at least one.
    scores : array_like, shape [N]
        Finite; higher = more anomalous.

    Returns
    -------
    float
        From 0 to 1, higher is better. Chance is the share of anomalies: figures from tables with
        different shares cannot be compared.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    """
    labels, values = labelled_scores(y, scores, normals=False)
    return float(_points.average_precision(_points.operating_points(labels, values)[1]))


def recall_at_fpr(y: ArrayLike, scores: ArrayLike, max_fpr: float) -> float:
    """Return the recall that a budget of false alarms buys.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly. Both classes are needed.
    scores : array_like, shape [N]
        Finite; higher = more anomalous.
    max_fpr : float
        Largest share of the normal rows that may be flagged, from 0 to 1.

    Returns
    -------
    float
        The highest recall over the thresholds within the budget, from 0 to 1. No interpolation: a
        threshold that reaches it exists.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    ParameterError
        If ``max_fpr`` is not from 0 to 1.
    """
    check("recall_at_fpr", "max_fpr", max_fpr, Share)
    return float(_points.recall_at_fpr(_points.operating_points(*labelled_scores(y, scores))[1], max_fpr))


def precision_at_k(y: ArrayLike, scores: ArrayLike, k: int) -> float:
    """Return the share of anomalies among the ``k`` highest scores.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly.
    scores : array_like, shape [N]
        Finite; higher = more anomalous. Ties are broken as in :func:`~whitecrow.metrics.flag_top`.
    k : int
        Length of the queue, from 1 to N.

    Returns
    -------
    float
        From 0 to 1, higher is better.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    ParameterError
        If ``k`` is not from 1 to N.
    """
    check("precision_at_k", "k", k, Count)
    labels, values = labelled_scores(y, scores, anomalies=False, normals=False)
    return float(labels[flag_top(values, k)].mean())


def distinct_scores(scores: ArrayLike) -> int:
    """Return the number of different scores; few of them betray a collapsed model."""
    return len(np.unique(finite_scores(scores)))
