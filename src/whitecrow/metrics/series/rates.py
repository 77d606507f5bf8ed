"""F1 of a precision and a recall that need not come from the same counts."""

from whitecrow.metrics.decisions import PrecisionRecallF1

__all__ = ["with_f1"]


def with_f1(precision: float, recall: float) -> PrecisionRecallF1:
    """Return both with their harmonic mean, which is 0 where either is 0 or precision is undefined (NaN)."""
    f1 = 2 * precision * recall / (precision + recall) if precision > 0 and recall > 0 else 0.0
    return PrecisionRecallF1(float(precision), float(recall), float(f1))
