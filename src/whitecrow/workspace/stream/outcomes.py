"""What became of the records that a detector has judged: counts, rates and money."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whitecrow.metrics import Costs

__all__ = ["UNKNOWN", "Counts", "Money", "outcome_codes"]

UNKNOWN = 2
"""Class of a record without a label, beside 0 (normal) and 1 (anomaly)."""


def outcome_codes(classes: NDArray[np.int8], flags: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return one number from 0 to 5 for each record: twice its class, plus 1 if it is flagged.

    Parameters
    ----------
    classes : ndarray of int8, shape [n]
        0 normal, 1 anomaly, 2 unknown.
    flags : ndarray of bool, shape [n]
    """
    return (2 * classes + flags).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of records by outcome. A record without a label is neither right nor wrong, flagged or not.

    Parameters
    ----------
    tp, fp, tn, fn : int
        Anomalies flagged, normal records flagged, normal records let pass, anomalies missed.
    unknown : int
        Records without a label.
    unknown_flagged : int
        Those of them that are flagged.
    """

    tp: int = 0
    fp: int = 0
    tn: int = 0
    fn: int = 0
    unknown: int = 0
    unknown_flagged: int = 0

    @classmethod
    def of(cls, codes: NDArray[np.int8]) -> Self:
        """Return the counts of :func:`outcome_codes`."""
        tn, fp, fn, tp, passed, flagged = np.bincount(codes, minlength=6).tolist()
        return cls(tp, fp, tn, fn, passed + flagged, flagged)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.tp + other.tp,
            self.fp + other.fp,
            self.tn + other.tn,
            self.fn + other.fn,
            self.unknown + other.unknown,
            self.unknown_flagged + other.unknown_flagged,
        )

    @property
    def labelled(self) -> int:
        """Records with a label."""
        return self.tp + self.fp + self.tn + self.fn

    @property
    def records(self) -> int:
        """All records."""
        return self.labelled + self.unknown

    @property
    def alerts(self) -> int:
        """Records that are flagged, those without a label included."""
        return self.tp + self.fp + self.unknown_flagged

    @property
    def alert_rate(self) -> float | None:
        """Share of all records that is flagged, from 0 to 1; None before the first record."""
        return _share(self.alerts, self.records)

    @property
    def precision(self) -> float | None:
        """Share of the labelled alerts that are anomalies, from 0 to 1; None while there is none."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Share of the anomalies that is flagged, from 0 to 1; None while there is none."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def fpr(self) -> float | None:
        """Share of the normal records that is flagged, from 0 to 1; None while there is none."""
        return _share(self.fp, self.fp + self.tn)

    def document(self) -> dict[str, Any]:
        """Return counts and rates, for JSON."""
        rates = {name: getattr(self, name) for name in ("alert_rate", "precision", "recall", "fpr")}
        return {**asdict(self), "records": self.records, "alerts": self.alerts, **rates}


@dataclass(frozen=True, slots=True)
class Money:
    r"""What the decisions have cost, beside what two detectors would have cost that do not look at the records.

    .. math:: FN\,C_{miss} + TP\,(C_{alert} - V_{catch}) + FP\,(C_{false} + C_{alert})

    Records without a label do not count: what they cost is not known. If the costs name a prevalence, anomalies and
    normal records are weighted so that the anomalies have that share, and the sum stands for as many records.

    Parameters
    ----------
    cost : float or None
        Cost so far, in the unit of the costs; below 0 is a gain. None if the records lack a class that the
        prevalence gives a weight.
    nothing, everything : float or None
        Cost of the same records if nothing, or everything, had been flagged.
    records : int
        Labelled records that these are the costs of.
    """

    cost: float | None
    nothing: float | None
    everything: float | None
    records: int

    @classmethod
    def of(cls, counts: Counts, costs: Costs) -> Self:
        """Return the money for these outcomes."""
        anomalies, normal = counts.tp + counts.fn, counts.fp + counts.tn
        n = anomalies + normal
        weights = (1.0, 1.0)
        if costs.prevalence is not None:
            wanted = (costs.prevalence * n, (1 - costs.prevalence) * n)
            if any(want and not have for want, have in zip(wanted, (anomalies, normal), strict=True)):
                return cls(None, None, None, n)
            weights = wanted[0] / max(anomalies, 1), wanted[1] / max(normal, 1)

        def cost(caught: int, alarms: int) -> float:
            of_anomalies = (anomalies - caught) * costs.miss + caught * (costs.alert - costs.catch)
            return weights[0] * of_anomalies + weights[1] * alarms * (costs.false_alarm + costs.alert)

        return cls(cost(counts.tp, counts.fp), cost(0, 0), cost(anomalies, normal), n)

    @property
    def per_record(self) -> float | None:
        """Cost per labelled record; None where there is none."""
        return None if self.cost is None or not self.records else self.cost / self.records

    @property
    def saved_against_nothing(self) -> float | None:
        """What is saved against flagging nothing; below 0 is a loss."""
        return None if self.cost is None or self.nothing is None else self.nothing - self.cost

    @property
    def saved_against_everything(self) -> float | None:
        """What is saved against flagging everything; below 0 is a loss."""
        return None if self.cost is None or self.everything is None else self.everything - self.cost

    def document(self) -> dict[str, Any]:
        """Return the sums, for JSON."""
        derived = ("per_record", "saved_against_nothing", "saved_against_everything")
        return {**asdict(self), **{name: getattr(self, name) for name in derived}}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
