"""What several screens show of runs: their headline figures, their lists, and how far they are."""

from collections.abc import Mapping
from typing import Any

from whitecrow.dashboard.formats import NOTHING, duration, figure, interval, percent
from whitecrow.dashboard.parts import link_button
from whitecrow.workspace import RunRecord

__all__ = ["HEADLINES", "documents", "headline_figures", "metric_rows", "run_name", "standing"]

HEADLINES: Mapping[str, str] = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "precision": "Precision",
    "recall": "Recall",
    "false_positive_rate": "False-positive rate",
    "alert_rate": "Alert rate",
}
"""Figures that are shown large, the ranking ones first."""

_NAMES: Mapping[str, str] = {
    **HEADLINES,
    "f1_at_known_ratio": "F1 when as many are flagged as there are anomalies",
    "recall_at_1_percent_fpr": "Recall at 1 % false positives",
    "recall_at_0.1_percent_fpr": "Recall at 0.1 % false positives",
    "best_f1": "Best F1 (optimistic: by these labels)",
    "operational_f1": "F1 at the threshold",
    "f2": "F2 at the threshold",
    "accuracy": "Accuracy",
}


def run_name(run: RunRecord) -> str:
    """Return the name of a run with its number, by which it is told from others of the same name."""
    return f"{run.number} · {run.name}"


def documents(run: RunRecord, *, small: bool = False) -> None:
    """Offer the report of a run that is done and the card of its model, as files; small in a list."""
    if run.dataset is not None:  # a model that was brought in has no rows to report on
        address = f"/api/runs/{run.id}/report.html"
        link_button("Report", address, small=small, label=f"Report of run {run.number} as HTML")
    text, address = "Card" if small else "Model card", f"/api/runs/{run.id}/card.md"
    link_button(text, address, small=small, label=f"{text} of run {run.number} as Markdown")


def headline_figures(report: Mapping[str, Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return of each headline figure its name, its value, and its interval with what chance reaches."""
    found = []
    for name, title in HEADLINES.items():
        ends = report["metrics"].get(name)
        beside = [f"{percent(report['level'])}: {interval(ends)}"]
        if (without := report["baselines"].get(name)) is not None:
            beside.append(f"by chance: {figure(without)}")
        found.append((title, figure(None if ends is None else ends["value"]), tuple(beside)))
    return found


def metric_rows(report: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return of every figure of a report its name, value, interval, and what chance reaches, for a table."""
    return [
        (_NAMES.get(name, name), figure(ends["value"], 4), interval(ends, 4), figure(report["baselines"].get(name), 4))
        for name, ends in report["metrics"].items()
    ]


def standing(run: RunRecord) -> str:
    """Return where a run stands, in words: its epoch while it runs, how long it took, or why it ended."""
    if run.state == "running":
        share = "" if run.fraction is None else f", {percent(run.fraction)}"
        # A method that is not trained by gradients has no epochs to tell of.
        return f"epoch {run.epoch} of {run.epochs}{share}" if run.epoch and run.epochs else f"fitting{share}"
    if run.state == "queued":
        return "waits for its turn"
    if run.state == "done" and run.cost is not None:
        return f"fitted in {duration(run.cost['fit_s'])}"
    return run.error or NOTHING
