r"""Affiliation precision and recall (Huet et al., KDD 2022), in closed form.

Time is continuous: step i covers [i, i + 1). The axis is cut half-way between consecutive events, and in its zone
each event is compared with a point dropped there at random.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.metrics.decisions import PrecisionRecallF1
from whitecrow.metrics.inputs import labelled_flags
from whitecrow.metrics.series.events import runs
from whitecrow.metrics.series.rates import with_f1

__all__ = ["affiliation"]

Floats = NDArray[np.float64]


def affiliation(y: ArrayLike, flags: ArrayLike) -> PrecisionRecallF1:
    r"""Return affiliation precision, recall and their harmonic mean.

    With :math:`J` an event, :math:`I` its zone and :math:`X` uniform on :math:`I`,

    .. math::
        \mathrm{precision} &= \mathrm{mean}_{x \in pred \cap I}\;
            \Pr\bigl(\mathrm{dist}(X, J) \ge \mathrm{dist}(x, J)\bigr) \\
        \mathrm{recall} &= \mathrm{mean}_{y \in J}\;
            \Pr\bigl(|X - y| \ge \mathrm{dist}(y, pred \cap I)\bigr)

    Precision is the mean over the zones that hold a flag, recall the mean over all events, with 0 for those
    without a flag in their zone.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [T]
        1 = step of an anomaly; at least one.
    flags : array_like of {0, 1} or bool, shape [T]
        1 = flagged.

    Returns
    -------
    PrecisionRecallF1
        Each from 0 to 1. Where nothing is flagged, precision is NaN, recall 0 and F1 0.

    Raises
    ------
    DataError
        If labels or flags cannot be used.

    Notes
    -----
    Chance is high: scores of pure noise reach an F of about 0.67 at their best threshold, and flagging
    everything does well. Report precision and recall apart, and never as the only figure.

    References
    ----------
    .. [1] A. Huet et al., "Local Evaluation of Time Series Anomaly Detection Algorithms", KDD 2022,
       arXiv:2206.13167.
    """
    labels, flagged = labelled_flags(y, flags)
    events, predicted = runs(labels).astype(float), runs(flagged).astype(float)
    cuts = np.concatenate([[0.0], (events[:-1, 1] + events[1:, 0]) / 2, [float(len(labels))]])
    precisions, recalls = [], []
    for event, zone in zip(events, np.stack([cuts[:-1], cuts[1:]], axis=1), strict=True):
        overlapping = slice(
            np.searchsorted(predicted[:, 1], zone[0], "right"), np.searchsorted(predicted[:, 0], zone[1])
        )
        pieces = np.clip(predicted[overlapping], *zone)
        if len(pieces):
            precisions.append(_precision(pieces, event, zone))
            recalls.append(_recall(pieces, event, zone))
        else:
            recalls.append(0.0)
    return with_f1(float(np.mean(precisions)) if precisions else np.nan, float(np.mean(recalls)))


def _precision(pieces: Floats, event: Floats, zone: Floats) -> float:
    """Return the precision in one zone; ``pieces`` [m, 2] are the flagged parts of it."""
    before, after = np.clip(pieces, zone[0], event[0]), np.clip(pieces, event[1], zone[1])
    near = np.concatenate([event[0] - before[:, 1], after[:, 0] - event[1]])
    far = np.concatenate([event[0] - before[:, 0], after[:, 1] - event[1]])
    # At distance d > 0 a share (|J| + min(d, left room) + min(d, right room)) / |I| of the zone is nearer.
    nearer = np.ptp(event) * (far - near)
    for room in np.abs(event - zone):
        nearer += _ramp(far, room) - _ramp(near, room)
    return 1 - nearer.sum() / (np.ptp(zone) * np.diff(pieces).sum())


def _recall(pieces: Floats, event: Floats, zone: Floats) -> float:
    """Return the recall of one event; ``pieces`` [m, 2] are the flagged parts of its zone."""
    starts, ends = pieces.T
    borders = np.concatenate([zone[:1], (ends[:-1] + starts[1:]) / 2, zone[1:]])
    # Steps of the event that are nearest to the end of a piece, and those nearest to the start of one.
    after, before = (np.clip(v, *event) for v in ([ends, borders[1:]], [borders[:-1], starts]))
    nearer = _tent(after[1] - ends, zone[1] - ends) - _tent(after[0] - ends, zone[1] - ends)
    nearer += _tent(starts - before[0], starts - zone[0]) - _tent(starts - before[1], starts - zone[0])
    return 1 - nearer.sum() / (np.ptp(zone) * np.ptp(event))


def _ramp(d: Floats, room: float) -> Floats:
    r"""Return :math:`\int_0^d \min(t, room)\,dt`."""
    reached = np.minimum(d, room)
    return reached**2 / 2 + room * (d - reached)


def _tent(d: Floats, room: Floats) -> Floats:
    r"""Return :math:`\int_0^d t + \min(t, room - t)\,dt`: a flag at distance t on the side with this room."""
    return d**2 / 2 + np.where(2 * d <= room, d**2 / 2, room * d - d**2 / 2 - room**2 / 4)
