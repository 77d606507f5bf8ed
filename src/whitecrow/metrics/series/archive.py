"""Accuracy on archives with exactly one anomaly in each series, as in the UCR Anomaly Archive."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Natural, check
from whitecrow.metrics.inputs import labelled_scores
from whitecrow.metrics.series.events import runs

__all__ = ["ucr_accuracy", "ucr_solved"]

# Steps beside the anomaly that are forgiven at least: detectors differ in where in a window they put its score.
_MARGIN = 100


def ucr_solved(y: ArrayLike, scores: ArrayLike, train_end: int) -> bool:
    r"""Return whether the highest score of the test part lies at the anomaly.

    With the anomaly on the steps :math:`b` to :math:`e`, both included, and :math:`n = e - b + 1`, the location
    :math:`p` of the highest score must satisfy

    .. math:: \min(b - n, b - 100) < p < \max(e + n, e + 100)

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of the anomaly; exactly one event, in the test part.
    scores : array_like, shape [T]
        Finite; higher = more anomalous. Of tied scores the first counts.
    train_end : int
        Number of training steps at the start, at least 0; their scores do not count.

    Raises
    ------
    DataError
        If labels or scores cannot be used, or there is not exactly one event in the test part.
    ParameterError
        If ``train_end`` is negative.

    References
    ----------
    .. [1] R. Wu and E. Keogh, "Current Time Series Anomaly Detection Benchmarks are Flawed and are Creating the
       Illusion of Progress", IEEE TKDE 2021, arXiv:2009.13807.
    """
    check("ucr_solved", "train_end", train_end, Natural)
    labels, values = labelled_scores(y, scores, normals=False)
    intervals = runs(labels)
    if len(intervals) != 1 or intervals[0, 0] < train_end:
        raise DataError(
            f"y has {len(intervals)} events, the first at step {intervals[0, 0]}, and training ends at {train_end}; "
            "accepted is exactly one event after the training part. Use the other figures for such a series."
        )
    begin, end = intervals[0, 0], intervals[0, 1] - 1
    margin = max(end - begin + 1, _MARGIN)
    location = train_end + int(np.argmax(values[train_end:]))
    return bool(begin - margin < location < end + margin)


def ucr_accuracy(labels: Sequence[ArrayLike], scores: Sequence[ArrayLike], train_ends: Sequence[int]) -> float:
    """Return the share of series that are solved.

    Parameters
    ----------
    labels, scores : sequence of array_like, each of shape [T_i]
        One pair for each series, as in :func:`ucr_solved`.
    train_ends : sequence of int
        Number of training steps of each series.

    Returns
    -------
    float
        From 0 to 1, higher is better.

    Raises
    ------
    DataError
        If a series cannot be used.
    ParameterError
        If the sequences are empty or of different lengths.
    """
    if not len(labels) == len(scores) == len(train_ends) or len(labels) == 0:
        raise ParameterError(
            f"ucr_accuracy: there are {len(labels)} labels, {len(scores)} scores and {len(train_ends)} train_ends; "
            "accepted is one of each for every series, and at least one series."
        )
    return float(np.mean([ucr_solved(*series) for series in zip(labels, scores, train_ends, strict=True)]))
