"""Figures that count events instead of steps."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.parameters import Natural, check
from whitecrow.metrics.decisions import PrecisionRecallF1
from whitecrow.metrics.inputs import labelled_flags
from whitecrow.metrics.series.events import close_gaps, flagged_in, runs
from whitecrow.metrics.series.rates import with_f1

__all__ = ["composite_f1", "event_wise"]


def event_wise(y: ArrayLike, flags: ArrayLike, *, gap: int = 0) -> PrecisionRecallF1:
    """Return the share of flagged runs that touch an event, the share of events touched, and their F1.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged. Where nothing is flagged, precision is 0.
    gap : int, default=0
        Flagged runs with fewer than ``gap`` steps between them are one run, and the steps between count as
        flagged. State it where it is not 0.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    ParameterError
        If ``gap`` is negative.

    Notes
    -----
    One run over the whole series scores a perfect 1. :func:`composite_f1` has no such hole.
    """
    labels, flagged = _merged("event_wise", y, flags, gap)
    predicted = runs(flagged)
    precision = float(np.mean(flagged_in(predicted, labels) > 0)) if len(predicted) else 0.0
    return with_f1(precision, float(np.mean(flagged_in(runs(labels), flagged) > 0)))


def composite_f1(y: ArrayLike, flags: ArrayLike, *, gap: int = 0) -> PrecisionRecallF1:
    """Return the share of flagged *steps* that are anomalous, the share of *events* touched, and their F1.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged. Where nothing is flagged, precision is 0.
    gap : int, default=0
        See :func:`event_wise`.

    Raises
    ------
    DataError
        If labels or flags cannot be used.
    ParameterError
        If ``gap`` is negative.

    References
    ----------
    .. [1] A. Garg et al., "An Evaluation of Anomaly Detection and Diagnosis in Multivariate Time Series", IEEE
       TNNLS 2021.
    """
    labels, flagged = _merged("composite_f1", y, flags, gap)
    precision = float(np.mean(labels[flagged])) if flagged.any() else 0.0
    return with_f1(precision, float(np.mean(flagged_in(runs(labels), flagged) > 0)))


def _merged(owner: str, y: ArrayLike, flags: ArrayLike, gap: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    check(owner, "gap", gap, Natural)
    labels, flagged = labelled_flags(y, flags)
    return labels, close_gaps(flagged, gap)
