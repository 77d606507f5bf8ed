r"""Operating points: what is caught and what is falsely flagged as the threshold falls.

Every figure of merit here is a function of these counts. They carry any number of leading axes, so that a
thousand bootstrap resamples go through the same few lines as one table.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "OperatingPoints",
    "auroc",
    "average_precision",
    "f_beta",
    "just_below",
    "operating_points",
    "recall_at_fpr",
    "tp_at_rank",
]

Counts = NDArray[np.float64]


class OperatingPoints(NamedTuple):
    """Cumulative counts, from "flag nothing" to "flag everything".

    Parameters
    ----------
    tp : ndarray of float, shape [..., G + 1]
        Anomalies flagged at each point, first 0, last all of them.
    fp : ndarray of float, shape [..., G + 1]
        Normal rows flagged.
    """

    tp: Counts
    fp: Counts


def just_below(score: float) -> float:
    """Return a number below ``score`` that stays below it when both are rounded to single precision."""
    return float(score - max(abs(score), 1.0) * 1e-6)


def operating_points(y: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], OperatingPoints]:
    """Return the thresholds that make a difference, highest first, and the counts of rows above each.

    A threshold is itself an observed score, because a row is flagged only if its score is *above* it. The
    last one lies below every score.

    Returns
    -------
    thresholds : ndarray of float, shape [G + 1]
        The G distinct scores in falling order, and one below them.
    points : OperatingPoints
        Counts of shape [G + 1].
    """
    distinct, group = np.unique(scores, return_inverse=True)
    thresholds = np.append(distinct[::-1], just_below(distinct[0]))
    tp, fp = (np.bincount(group[rows], minlength=len(distinct))[::-1].cumsum() for rows in (y, ~y))
    return thresholds, OperatingPoints(np.append(0.0, tp), np.append(0.0, fp))


def auroc(points: OperatingPoints) -> Counts:
    """Return the area under the ROC curve, shape [...]; tied pairs count one half."""
    tp, fp = points
    pairs = np.diff(fp) * (tp[..., 1:] + tp[..., :-1])
    return pairs.sum(-1) / (2 * tp[..., -1] * fp[..., -1])


def average_precision(points: OperatingPoints) -> Counts:
    """Return the step sum of precision over recall, shape [...]."""
    tp, fp = points
    flagged = tp[..., 1:] + fp[..., 1:]
    # A resample may leave its highest scores out: there nothing is flagged and nothing is gained.
    precision = tp[..., 1:] / np.maximum(flagged, 1)
    return (np.diff(tp) * precision).sum(-1) / tp[..., -1]


def f_beta(points: OperatingPoints, beta: float = 1.0) -> Counts:
    """Return the F score at every point, shape [..., G + 1]."""
    tp, fp = points
    return (1 + beta**2) * tp / (beta**2 * tp[..., -1:] + tp + fp)


def recall_at_fpr(points: OperatingPoints, max_fpr: float) -> Counts:
    """Return the highest recall whose false-positive rate is at most ``max_fpr``, shape [...]."""
    tp, fp = points
    within = fp / fp[..., -1:] <= max_fpr
    return np.where(within, tp, 0.0).max(-1) / tp[..., -1]


def tp_at_rank(points: OperatingPoints, k: NDArray[np.float64] | float) -> Counts:
    """Return the anomalies among the ``k`` highest scores, shape [...]; a cut tie counts by its share."""
    tp, fp = points
    flagged = tp + fp
    width = np.diff(flagged)
    share = (np.asarray(k, float)[..., None] - flagged[..., :-1]) / np.maximum(width, 1)
    return (np.diff(tp) * np.clip(share, 0.0, 1.0)).sum(-1)
