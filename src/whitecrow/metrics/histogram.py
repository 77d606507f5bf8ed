"""Histogram of the scores of both classes, on one axis that suits heavy tails."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.parameters import Count, check
from whitecrow.metrics.decisions import finite_threshold
from whitecrow.metrics.inputs import labelled_scores

__all__ = ["ScoreHistogram", "score_histogram"]


class ScoreHistogram(NamedTuple):
    """Counts of normal rows and of anomalies in the same bins.

    Parameters
    ----------
    edges : ndarray of float, shape [K + 1]
        Rising bin edges, in the unit of the scores.
    normals, anomalies : ndarray of int, shape [K]
        Rows in each bin. The outer bins also hold what lies beyond them, so all rows are counted.
    scale : {"linear", "log"}
        Axis on which the bins are equally wide.
    """

    edges: NDArray[np.float64]
    normals: NDArray[np.intp]
    anomalies: NDArray[np.intp]
    scale: Literal["linear", "log"]


def score_histogram(y: ArrayLike, scores: ArrayLike, threshold: float, n_bins: int = 40) -> ScoreHistogram:
    """Bin the scores of both classes.

    The axis spans the middle 99 % of each class and the threshold, so that one huge score does not press
    all others into a single bin. It is logarithmic where positive scores spread over several decades.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly. Both classes are needed.
    scores : array_like, shape [N]
        Finite.
    threshold : float
        In the unit of the scores.
    n_bins : int, default=40
        Number of bins K.

    Raises
    ------
    DataError
        If labels, scores or threshold cannot be used.
    ParameterError
        If ``n_bins`` is below 1.
    """
    check("score_histogram", "n_bins", n_bins, Count)
    labels, values = labelled_scores(y, scores)
    threshold = finite_threshold(threshold)
    ends = [np.quantile(values[rows], (0.005, 0.995), method="nearest") for rows in (labels, ~labels)]
    # A threshold far outside the scores would leave them no room.
    marked = [threshold] if values.min() <= threshold <= values.max() else []
    low, high = float(min([*marked, *(e[0] for e in ends)])), float(max([*marked, *(e[1] for e in ends)]))
    logarithmic = low > 0 and high / low > 1e3 and float(np.median(values)) < 0.05 * high
    if low == high:
        margin = 0.5 * max(abs(low), 1e-12)
        low, high = low - margin, high + margin
    edges = np.geomspace(low, high, n_bins + 1) if logarithmic else np.linspace(low, high, n_bins + 1)
    # Clipping to the outer edges counts the tails in the outer bins.
    inside = np.clip(values, edges[0], edges[-1])
    normals, anomalies = (np.histogram(inside[rows], edges)[0] for rows in (~labels, labels))
    return ScoreHistogram(edges, normals, anomalies, "log" if logarithmic else "linear")
