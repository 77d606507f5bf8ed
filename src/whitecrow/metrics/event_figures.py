"""Figures of one stretch of labelled rows in order of time: by rows, by events, and by ranges."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.metrics.decisions import PrecisionRecallF1, finite_threshold, precision_recall_f1
from whitecrow.metrics.inputs import finite_scores, same_length
from whitecrow.metrics.series import RangeArea, event_wise, events, range_based, vus
from whitecrow.metrics.series.events import flagged_in

__all__ = ["EventFigures", "event_figures"]

_LONGEST_BUFFER = 20


class EventFigures(NamedTuple):
    """How well the alerts of a stretch meet its events.

    Parameters
    ----------
    n_events, caught : int
        Events, which are maximal runs of neighbouring anomalies, and those with a flagged row.
    points : PrecisionRecallF1
        Each row counts alike.
    events : PrecisionRecallF1
        Each event and each run of flagged rows counts alike.
    ranges : PrecisionRecallF1
        As events, weighted by how much of each is met.
    areas : RangeArea or None
        VUS-ROC and VUS-PR, of no one threshold; None without known normal rows.
    buffer : int
        Largest number of steps by which an alert may miss an event and still count for the areas.
    """

    n_events: int
    caught: int
    points: PrecisionRecallF1
    events: PrecisionRecallF1
    ranges: PrecisionRecallF1
    areas: RangeArea | None
    buffer: int


def event_figures(label: NDArray[np.int8], scores: NDArray[np.float64], threshold: float) -> EventFigures:
    """Return the figures of rows in order of time.

    Parameters
    ----------
    label : ndarray of int8, shape [T]
        1 anomaly, 0 normal, -1 unknown. Rows without a label are left out, as neither catches nor false alarms.
    scores : ndarray of float64, shape [T]
        Higher = more anomalous.
    threshold : float
        A row is flagged if its score is strictly above.

    Raises
    ------
    DataError
        If no row is a known anomaly, or values cannot be used.

    Notes
    -----
    The buffer is the median length of the events, at most 20 steps: no period is known of a table.
    """
    values, limit = finite_scores(scores), finite_threshold(threshold)
    kinds = np.asarray(label)
    same_length("label", kinds, "scores", values)
    known = kinds >= 0
    y, values = kinds[known], values[known]
    if not (y == 1).any():
        raise DataError("No row is a known anomaly, so there are no events; at least one is needed. Widen the window.")
    flags = values > limit
    stretches = events(y)
    buffer = int(np.clip(np.median(stretches[:, 1] - stretches[:, 0]), 1, _LONGEST_BUFFER))
    return EventFigures(
        n_events=len(stretches),
        caught=int((flagged_in(stretches, flags) > 0).sum()),
        points=precision_recall_f1(y, flags),
        events=event_wise(y, flags),
        ranges=range_based(y, flags),
        areas=vus(y, values, buffer) if (y == 0).any() else None,
        buffer=buffer,
    )
