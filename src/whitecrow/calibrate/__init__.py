"""From scores to decisions: thresholds with a stated meaning, conformal p-values, false-discovery control.

A higher score means more anomalous, and a row is flagged if its score is strictly above the threshold.
"""

from whitecrow.calibrate.conformal import benjamini_hochberg, p_values
from whitecrow.calibrate.dynamic import DynamicThreshold, FlaggedRanges
from whitecrow.calibrate.labelled import BestF1, CostBased
from whitecrow.calibrate.tail import PeaksOverThreshold, Quantile
from whitecrow.calibrate.threshold import Threshold, threshold_from_dict

__all__ = [
    "BestF1",
    "CostBased",
    "DynamicThreshold",
    "FlaggedRanges",
    "PeaksOverThreshold",
    "Quantile",
    "Threshold",
    "benjamini_hochberg",
    "p_values",
    "threshold_from_dict",
]
