"""Search for the threshold that suits the labels best: what no deployed detector reaches."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.parameters import Count, check
from whitecrow.metrics.decisions import PrecisionRecallF1
from whitecrow.metrics.inputs import labelled_scores

__all__ = ["OracleF1", "oracle_f1"]


class OracleF1(NamedTuple):
    """Highest F1 on the grid, the precision and recall that make it, and the threshold that reaches it."""

    precision: float
    recall: float
    f1: float
    threshold: float


def oracle_f1(
    figure: Callable[[NDArray[np.bool_], NDArray[np.bool_]], PrecisionRecallF1],
    y: ArrayLike,
    scores: ArrayLike,
    *,
    n_thresholds: int = 100,
) -> OracleF1:
    """Return the highest F1 of a figure over a grid of thresholds. Optimistic: it is chosen on these labels.

    Parameters
    ----------
    figure : callable
        ``figure(y, flags)`` returns precision, recall and F1, for instance
        :func:`~whitecrow.metrics.series.affiliation`.
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    scores : array_like, shape [T]
        Finite; higher = more anomalous. Steps *above* the threshold are flagged.
    n_thresholds : int, default=100
        Thresholds spread evenly from the lowest to the highest score, both included, so that all steps are never
        flagged at once. The grid makes the result depend on the scale of the scores.

    Returns
    -------
    OracleF1
        Among equals, that of the fewest flags. Print the word oracle beside it.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    ParameterError
        If ``n_thresholds`` is below 1.
    """
    check("oracle_f1", "n_thresholds", n_thresholds, Count)
    labels, values = labelled_scores(y, scores, normals=False)
    grid = np.linspace(values.max(), values.min(), n_thresholds)
    # Flags are nested, so thresholds with equally many flags share them all.
    _, first = np.unique(len(values) - np.searchsorted(np.sort(values), grid, side="right"), return_index=True)
    found = [OracleF1(*figure(labels, values > threshold), float(threshold)) for threshold in grid[first]]
    return max(found, key=lambda one: one.f1)
