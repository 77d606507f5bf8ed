"""Figures of merit of time series: areas with a buffer, ranges, events, delays and archive scores.

Everywhere ``y`` [T] is 1 on the steps of an anomaly and 0 elsewhere, a higher score means more anomalous, and a
step is flagged if its score is strictly above the threshold. An event is a maximal run of ones. Figures whose
threshold was chosen with the labels carry ``oracle`` in their name.
"""

from whitecrow.metrics.series.affiliation import affiliation
from whitecrow.metrics.series.archive import ucr_accuracy, ucr_solved
from whitecrow.metrics.series.delay import DetectionDelay, delay_at_fpr, detection_delay
from whitecrow.metrics.series.event_wise import composite_f1, event_wise
from whitecrow.metrics.series.events import events
from whitecrow.metrics.series.numenta import OracleNAB, nab_score, oracle_nab_score
from whitecrow.metrics.series.oracle import OracleF1, oracle_f1
from whitecrow.metrics.series.point_adjusted import (
    inflated_point_adjusted_f1,
    inflated_random_oracle_f1,
    pa_k_area,
    pa_k_f1,
)
from whitecrow.metrics.series.range_based import range_based, range_precision, range_recall
from whitecrow.metrics.series.volume import RangeArea, range_auc, vus

__all__ = [
    "DetectionDelay",
    "OracleF1",
    "OracleNAB",
    "RangeArea",
    "affiliation",
    "composite_f1",
    "delay_at_fpr",
    "detection_delay",
    "event_wise",
    "events",
    "inflated_point_adjusted_f1",
    "inflated_random_oracle_f1",
    "nab_score",
    "oracle_f1",
    "oracle_nab_score",
    "pa_k_area",
    "pa_k_f1",
    "range_auc",
    "range_based",
    "range_precision",
    "range_recall",
    "ucr_accuracy",
    "ucr_solved",
    "vus",
]
