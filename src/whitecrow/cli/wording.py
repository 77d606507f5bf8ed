"""Shares and figures of merit in words."""

from whitecrow.page.wording import percent

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
