"""Figures of merit on labelled rows: ranking, decisions, curves, intervals, and the report of them all.

Those of time series are in :mod:`whitecrow.metrics.series`.

Everywhere ``y`` is 1 for an anomaly and 0 for a normal row, a higher score means more anomalous, and a row is
flagged if its score is strictly above the threshold. Nothing here changes its input or uses global random
state.
"""

from whitecrow.metrics import series
from whitecrow.metrics.curves import (
    CostCurve,
    Costs,
    PRCurve,
    ROCCurve,
    cost_curve,
    pr_curve,
    roc_curve,
)
from whitecrow.metrics.decisions import (
    BestF1Score,
    Confusion,
    PrecisionRecallF1,
    best_f1,
    confusion,
    f1_at_known_ratio,
    f2,
    f_beta,
    flag_top,
    operational_f1,
    precision_recall_f1,
)
from whitecrow.metrics.evaluation import evaluation_report
from whitecrow.metrics.histogram import ScoreHistogram, score_histogram
from whitecrow.metrics.intervals import Interval, bootstrap_interval, wilson_interval
from whitecrow.metrics.maps import aupro, pixel_auroc
from whitecrow.metrics.ranking import auroc, average_precision, distinct_scores, precision_at_k, recall_at_fpr
from whitecrow.metrics.report import CostSummary, EvaluationReport, FamilyRecall, QueueRow

__all__ = [
    "BestF1Score",
    "Confusion",
    "CostCurve",
    "CostSummary",
    "Costs",
    "EvaluationReport",
    "FamilyRecall",
    "Interval",
    "PRCurve",
    "PrecisionRecallF1",
    "QueueRow",
    "ROCCurve",
    "ScoreHistogram",
    "aupro",
    "auroc",
    "average_precision",
    "best_f1",
    "bootstrap_interval",
    "confusion",
    "cost_curve",
    "distinct_scores",
    "evaluation_report",
    "f1_at_known_ratio",
    "f2",
    "f_beta",
    "flag_top",
    "operational_f1",
    "pixel_auroc",
    "pr_curve",
    "precision_at_k",
    "precision_recall_f1",
    "recall_at_fpr",
    "roc_curve",
    "score_histogram",
    "series",
    "wilson_interval",
]
