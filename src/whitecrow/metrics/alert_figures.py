"""What a threshold leads to, from six counts: rates, F scores, alert volume and expected cost."""

from typing import NamedTuple

import numpy as np

from whitecrow.metrics.curves import Costs
from whitecrow.metrics.points import OperatingPoints

__all__ = ["AlertCounts", "AlertFigures", "ExpectedCost", "alert_figures"]


class AlertCounts(NamedTuple):
    """Numbers of rows by outcome; rows of unknown class are counted apart, never as normal."""

    tp: int
    fp: int
    fn: int
    tn: int
    unknown_flagged: int
    unknown_passed: int

    @property
    def n(self) -> int:
        """All rows."""
        return sum(self)

    @property
    def alerts(self) -> int:
        """Flagged rows, of whatever class."""
        return self.tp + self.fp + self.unknown_flagged


class ExpectedCost(NamedTuple):
    """Expected cost per record, that of the two rules that need no detector, and what is saved against each."""

    per_record: float
    flag_nothing: float
    flag_everything: float
    saved_against_nothing: float
    saved_against_everything: float


class AlertFigures(NamedTuple):
    """Figures of merit at one threshold; None where the labels do not determine one.

    Parameters
    ----------
    counts : AlertCounts
        What all figures follow from.
    alerts_per_1000 : float
        Flagged rows per 1,000 records, those of unknown class included.
    precision, recall, f1, f2 : float or None
        From 0 to 1, of the rows of known class. None without any known anomaly. Where no row of known class is
        flagged, precision is 0.
    false_positive_rate : float or None
        Share of the known normal rows that are flagged. None without any.
    accuracy : float or None
        Share of the rows of known class that are treated rightly. None without any.
    cost : ExpectedCost or None
        None without costs, or without known rows of both classes.
    """

    counts: AlertCounts
    alerts_per_1000: float
    precision: float | None
    recall: float | None
    f1: float | None
    f2: float | None
    false_positive_rate: float | None
    accuracy: float | None
    cost: ExpectedCost | None


def alert_figures(counts: AlertCounts, costs: Costs | None = None) -> AlertFigures:
    """Return the figures that follow from the counts at one threshold.

    Parameters
    ----------
    counts : AlertCounts
        Of at least one row.
    costs : Costs, optional
        What the outcomes cost, and the share of anomalies where the detector will work; by default that of the
        rows of known class.
    """
    tp, fp, fn, tn, *_ = counts
    anomalies, normals = tp + fn, fp + tn
    return AlertFigures(
        counts=counts,
        alerts_per_1000=1000 * counts.alerts / counts.n,
        precision=tp / max(tp + fp, 1) if anomalies else None,
        recall=tp / anomalies if anomalies else None,
        f1=2 * tp / (2 * tp + fp + fn) if anomalies else None,
        f2=5 * tp / (5 * tp + 4 * fn + fp) if anomalies else None,
        false_positive_rate=fp / normals if normals else None,
        accuracy=(tp + tn) / (anomalies + normals) if anomalies + normals else None,
        cost=_expected_cost(counts, costs) if costs is not None and anomalies and normals else None,
    )


def _expected_cost(counts: AlertCounts, costs: Costs) -> ExpectedCost:
    tp, fp, fn, tn, *_ = counts
    points = OperatingPoints(np.array([0.0, tp, tp + fn]), np.array([0.0, fp, fp + tn]))
    nothing, used, everything = costs.per_row(points).tolist()
    return ExpectedCost(used, nothing, everything, nothing - used, everything - used)
