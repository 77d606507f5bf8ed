"""Figures of merit of flags: confusion matrix, precision, recall, F scores, and how to choose the flags."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Natural, Positive, check
from whitecrow.metrics import points as _points
from whitecrow.metrics.inputs import finite_scores, labelled_flags, labelled_scores

__all__ = [
    "BestF1Score",
    "Confusion",
    "PrecisionRecallF1",
    "best_f1",
    "confusion",
    "f1_at_known_ratio",
    "f2",
    "f_beta",
    "finite_threshold",
    "flag_top",
    "operational_f1",
    "precision_recall_f1",
]

# Multiples of it modulo 1 fill the unit interval evenly, however many are taken.
_GOLDEN_RATIO = (5**0.5 - 1) / 2


class Confusion(NamedTuple):
    """Numbers of rows: normal and let pass, normal and flagged, anomaly and missed, anomaly and flagged."""

    tn: int
    fp: int
    fn: int
    tp: int


class PrecisionRecallF1(NamedTuple):
    """Precision, recall and their harmonic mean, each from 0 to 1."""

    precision: float
    recall: float
    f1: float


class BestF1Score(NamedTuple):
    """Highest F1 over all thresholds, and the threshold that reaches it."""

    f1: float
    threshold: float


def confusion(y: ArrayLike, flags: ArrayLike) -> Confusion:
    """Count the four outcomes.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly.
    flags : array_like of {0, 1} or bool, shape [N]
        1 = flagged.

    Raises
    ------
    DataError
        If the lengths differ or a value is neither 0 nor 1.
    """
    labels, flagged = labelled_flags(y, flags, anomalies=False)
    fn_tp, tn_fp = (np.bincount(flagged[rows], minlength=2).tolist() for rows in (labels, ~labels))
    return Confusion(*tn_fp, *fn_tp)


def precision_recall_f1(y: ArrayLike, flags: ArrayLike) -> PrecisionRecallF1:
    """Return precision, recall and F1 of the anomaly class.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [N]
        1 = flagged. Where nothing is flagged, precision is 0.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    """
    labels, flagged = labelled_flags(y, flags)
    _, fp, fn, tp = confusion(labels, flagged)
    return PrecisionRecallF1(tp / max(tp + fp, 1), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn))


def f_beta(y: ArrayLike, flags: ArrayLike, beta: float) -> float:
    r"""Return :math:`F_\beta`, in which recall weighs ``beta`` times as much as precision.

    .. math:: F_\beta = \frac{(1 + \beta^2)\,TP}{(1 + \beta^2)\,TP + \beta^2\,FN + FP}

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [N]
        1 = flagged.
    beta : float
        Above 0.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    ParameterError
        If ``beta`` is not above 0.
    """
    check("f_beta", "beta", beta, Positive)
    labels, flagged = labelled_flags(y, flags)
    _, fp, fn, tp = confusion(labels, flagged)
    return (1 + beta**2) * tp / ((1 + beta**2) * tp + beta**2 * fn + fp)


def f2(y: ArrayLike, flags: ArrayLike) -> float:
    """Return the F score in which recall weighs twice as much as precision; see :func:`f_beta`."""
    return f_beta(y, flags, 2.0)


def flag_top(scores: ArrayLike, k: int) -> NDArray[np.bool_]:
    r"""Flag exactly the ``k`` highest scores.

    Where the k-th score is tied, the j-th of the rows that share it (j = 0, 1, ... in file order) has the
    key :math:`j (\sqrt 5 - 1) / 2 \bmod 1`, and the lowest keys are flagged. This order needs neither seed
    nor label and picks evenly from the whole run of tied rows: in a file sorted by class, plain file order
    would hand a detector with constant scores a perfect or a zero result.

    Parameters
    ----------
    scores : array_like, shape [N]
        Finite; higher = more anomalous.
    k : int
        Number of rows to flag, from 0 to N.

    Returns
    -------
    ndarray of bool, shape [N]
        Exactly ``k`` are True.

    Raises
    ------
    DataError
        If scores are not finite.
    ParameterError
        If ``k`` is not from 0 to N.
    """
    values = finite_scores(scores)
    check("flag_top", "k", k, Natural)
    if k > len(values):
        raise ParameterError(
            f"k is {k}; accepted is at most the number of rows, {len(values)}. Pass more rows or a smaller k."
        )
    if k == 0:
        return np.zeros(len(values), dtype=bool)
    kth = np.partition(values, len(values) - k)[len(values) - k]
    flags = values > kth
    tied = np.flatnonzero(values == kth)
    key = np.arange(len(tied)) * _GOLDEN_RATIO % 1.0
    flags[tied[np.argsort(key, kind="stable")[: k - flags.sum()]]] = True
    return flags


def f1_at_known_ratio(y: ArrayLike, scores: ArrayLike, k: int | None = None) -> PrecisionRecallF1:
    """Return precision, recall and F1 when exactly as many rows are flagged as there are anomalies.

    With the default ``k`` all three are equal. The number of anomalies is known only in a study, so this
    is an oracle, but a mild one that compares methods fairly. :func:`operational_f1` is what a deployed
    detector reaches.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly; at least one.
    scores : array_like, shape [N]
        Finite; higher = more anomalous. Ties are broken as in :func:`flag_top`.
    k : int, optional
        Number of rows to flag; by default the number of anomalies.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    ParameterError
        If ``k`` is not from 0 to N.
    """
    labels, values = labelled_scores(y, scores, normals=False)
    return precision_recall_f1(labels, flag_top(values, int(labels.sum()) if k is None else k))


def finite_threshold(threshold: float) -> float:
    """Return a threshold as float; a :class:`DataError` if it is no finite number."""
    try:
        value = float(threshold)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise DataError(f"threshold is {threshold!r}; accepted is a finite number. Fit it on scores of training rows.")
    return value


def operational_f1(y: ArrayLike, scores: ArrayLike, threshold: float) -> PrecisionRecallF1:
    """Return precision, recall and F1 at a threshold that was set without these labels.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly; at least one.
    scores : array_like, shape [N]
        Finite; a row is flagged if its score is above ``threshold``.
    threshold : float
        Fitted on the scores of training rows, in the unit of the scores.

    Raises
    ------
    DataError
        If labels, scores or threshold cannot be used.
    """
    labels, values = labelled_scores(y, scores, normals=False)
    return precision_recall_f1(labels, values > finite_threshold(threshold))


def best_f1(y: ArrayLike, scores: ArrayLike) -> BestF1Score:
    r"""Return the highest F1 over all thresholds. Optimistic: the threshold is chosen on these very labels.

    No deployed detector reaches it, and scores of pure noise reach at least :math:`2\pi / (1 + \pi)` where
    :math:`\pi` is the share of anomalies. Report it under this name or not at all.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly; at least one.
    scores : array_like, shape [N]
        Finite; higher = more anomalous.

    Returns
    -------
    BestF1Score
        ``f1`` from 0 to 1 and the ``threshold`` that reaches it, the highest one if several do.

    Raises
    ------
    DataError
        If labels or scores cannot be used.
    """
    thresholds, points = _points.operating_points(*labelled_scores(y, scores, normals=False))
    f1 = _points.f_beta(points)
    best = int(f1.argmax())
    return BestF1Score(float(f1[best]), float(thresholds[best]))
