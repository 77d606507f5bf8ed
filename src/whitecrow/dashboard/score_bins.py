"""Bins of anomaly scores on the axis that shows most of them, logarithmic where scores are skewed."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whitecrow.metrics import ScoreHistogram, score_histogram

__all__ = ["score_bins", "score_edges"]

_SKEWED = 5.0  # times the median: scores beyond it are shown on a logarithmic axis
_BINS = 40

Floats = NDArray[np.float64]


def score_bins(label: NDArray[np.int8], scores: Floats, threshold: float) -> ScoreHistogram:
    """Return the scores of both classes in bins that are equally wide on the axis that shows most of them.

    Parameters
    ----------
    label : ndarray of {0, 1}, shape [N]
        Both classes are needed.
    scores : ndarray of float64, shape [N]
    threshold : float
        That the axis shall hold.
    """
    lowest = _lowest(scores)
    highest = max(float(np.quantile(scores[label == kind], 0.995)) for kind in (0, 1))
    if not _skewed(scores, min(threshold, lowest), highest):
        return score_histogram(label, scores, threshold, _BINS)
    found = score_histogram(label, np.log(np.maximum(scores, lowest)), float(np.log(threshold)), _BINS)
    return found._replace(edges=np.exp(found.edges), scale="log")


def score_edges(label: NDArray[np.int8], scores: Floats, threshold: float) -> tuple[Floats, Literal["linear", "log"]]:
    """Return the edges of bins for rows some or all of which may have no label, and the kind of axis.

    Parameters
    ----------
    label : ndarray of int8, shape [N]
        1 anomaly, 0 normal, -1 unknown.
    scores : ndarray of float64, shape [N]
    threshold : float
        That the axis shall hold where both classes are known.
    """
    if (label == 1).any() and (label == 0).any():
        found = score_bins(label[label >= 0], scores[label >= 0], threshold)
        return found.edges, found.scale
    low, high = (float(end) for end in np.quantile(scores, (0.005, 0.995), method="nearest"))
    if _skewed(scores, _lowest(scores), high):
        return np.geomspace(_lowest(scores), high, _BINS + 1), "log"
    return np.histogram_bin_edges(np.clip(scores, low, high), _BINS), "linear"


def _lowest(scores: Floats) -> float:
    # A few scores of 0, such as those of copies of training rows, go into the lowest bin.
    return float(np.quantile(scores, 0.01, method="lower"))


def _skewed(scores: Floats, low: float, high: float) -> bool:
    return low > 0 and high > _SKEWED * float(np.median(scores))
