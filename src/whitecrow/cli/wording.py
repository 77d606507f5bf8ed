"""Shares and figures of merit in words."""

__all__ = ["NAMES", "percent"]

NAMES = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "f1_at_known_ratio": "F1 at the known ratio",
    "recall_at_1_percent_fpr": "Recall at 1 % false alarms",
    "recall_at_0.1_percent_fpr": "Recall at 0.1 % false alarms",
    "best_f1": "Best F1 (optimistic)",
    "precision": "Precision",
    "recall": "Recall",
    "operational_f1": "F1",
    "f2": "F2",
    "false_positive_rate": "False-alarm rate",
    "alert_rate": "Alert rate",
    "accuracy": "Accuracy",
}


def percent(share: float) -> str:
    """Return a share as a whole percentage, or with one decimal below 10 %.

    >>> [percent(share) for share in (0.0002, 0.021, 0.634, 0.9999, 1)]
    ['<0.1 %', '2.1 %', '63 %', '>99.9 %', '100 %']
    """
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    digits = 1 if 0 < share < 0.0995 or 0.99 <= share < 1 else 0
    return f"{100 * share:.{digits}f} %"
