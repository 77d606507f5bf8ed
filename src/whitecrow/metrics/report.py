"""What an evaluation found, for showing and for JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from whitecrow.metrics.curves import CostCurve, Costs, PRCurve, ROCCurve
from whitecrow.metrics.decisions import Confusion
from whitecrow.metrics.histogram import ScoreHistogram
from whitecrow.metrics.intervals import Interval

__all__ = ["CostSummary", "EvaluationReport", "FamilyRecall", "QueueRow"]


class FamilyRecall(NamedTuple):
    """How one kind of anomaly fares: its rows, those flagged, recall with interval, AUROC against normals."""

    family: str
    n: int
    n_flagged: int
    recall: Interval
    auroc: float


class QueueRow(NamedTuple):
    """What the ``k`` highest scores hold: share of anomalies among them, share of all anomalies."""

    k: int
    precision: float
    recall: float


@dataclass(frozen=True, eq=False)
class CostSummary:
    """Expected cost per row, and what it is compared with.

    Parameters
    ----------
    costs : Costs
        What the outcomes cost.
    at_threshold : Interval
        With the threshold in use.
    minimum : Interval
        With the best threshold for these labels: optimistic.
    minimum_threshold : float
        Where that minimum lies.
    flag_nothing, flag_everything : float
        Cost of the two rules that need no detector.
    curve : CostCurve
        At most 500 points.
    """

    costs: Costs
    at_threshold: Interval
    minimum: Interval
    minimum_threshold: float
    flag_nothing: float
    flag_everything: float
    curve: CostCurve


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """All that is shown about one detector on one labelled table.

    Parameters
    ----------
    n, n_anomalies : int
        Rows, and anomalies among them.
    prevalence : float
        Share of anomalies, from 0 to 1.
    n_distinct_scores : int
        Different scores; few of them betray a collapsed model.
    n_distinct_rows : int or None
        Groups of equal rows, if groups were given.
    threshold : float
        A row is flagged if its score is above.
    threshold_source : str
        What the threshold was fitted on and what it promises. Show it beside every figure.
    level : float
        Confidence level of every interval.
    metrics : mapping of str to Interval
        ``auroc``, ``average_precision``, ``f1_at_known_ratio``, ``recall_at_1_percent_fpr``,
        ``recall_at_0.1_percent_fpr`` and ``best_f1`` (optimistic) need no threshold; ``operational_f1``, ``f2``,
        ``precision``, ``recall``, ``false_positive_rate``, ``alert_rate`` and ``accuracy`` hold at the threshold.
    baselines : mapping of str to float
        What scores without any information reach, for the metrics where that is known.
    confusion : Confusion
        Counts at the threshold.
    queue : tuple of QueueRow
        The 10, 20, 50, 100, ... highest scores.
    families : tuple of FamilyRecall
        Kinds of anomaly, the worst detected first; empty if none were named.
    roc : ROCCurve
        At most 500 points.
    pr : PRCurve
        At most 500 points.
    histogram : ScoreHistogram
        Scores of both classes.
    cost : CostSummary or None
        If costs were given.
    notes : tuple of str
        Sentences on what makes these figures doubtful.
    """

    n: int
    n_anomalies: int
    prevalence: float
    n_distinct_scores: int
    n_distinct_rows: int | None
    threshold: float
    threshold_source: str
    level: float
    metrics: Mapping[str, Interval]
    baselines: Mapping[str, float]
    confusion: Confusion
    queue: tuple[QueueRow, ...]
    families: tuple[FamilyRecall, ...]
    roc: ROCCurve
    pr: PRCurve
    histogram: ScoreHistogram
    cost: CostSummary | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values; what is not finite becomes None."""
        return _plain(self)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
