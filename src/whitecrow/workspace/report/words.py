"""What the report says in words."""

from typing import TYPE_CHECKING

from whitecrow.page.wording import in_units, percent

if TYPE_CHECKING:
    from whitecrow.metrics import EvaluationReport, Interval

__all__ = ["DEFINITIONS", "between", "headlines", "lead"]

DEFINITIONS = {
    "AUROC": (
        "The chance that a random anomaly scores higher than a random normal row. 0.5 is a coin, 1 is perfect. It "
        "does not depend on how rare anomalies are, and so can look good where most alerts are false."
    ),
    "Average precision": (
        "Precision averaged over all recalls. Without skill it equals the share of anomalies, so it must be read "
        "beside that share."
    ),
    "F1 at the known ratio": (
        "F1 if exactly as many rows are flagged as there are anomalies. Precision, recall and F1 are then the "
        "same number. The ratio is not known in practice."
    ),
    "Recall at 1 % and 0.1 % false alarms": (
        "Share of anomalies that are caught if one normal row in a hundred, or in a thousand, may be flagged."
    ),
    "Best F1": (
        "The highest F1 over all thresholds, found with the labels of these very rows. Optimistic: no threshold "
        "that is set beforehand reaches it, except by luck."
    ),
    "Precision": "Share of the flagged rows that are anomalies.",
    "Recall": "Share of the anomalies that are flagged.",
    "F1, F2": "Harmonic mean of precision and recall; F2 gives recall four times the weight.",
    "p-value": "How often a row held out of training scores at least as high. Small means anomalous.",
    "Interval": (
        "Where the figure would fall in 95 of 100 repetitions on other rows of the same kind. Shares of rows: "
        "Wilson's interval. Others: percentiles of 1,000 bootstrap resamples within each class, copies of a row "
        "drawn together."
    ),
    "Cost per row": "Misses and false alarms, each times its cost, divided by the number of rows.",
}


def between(interval: "Interval") -> str:
    """Return the ends of an interval."""
    return f"{interval.low:.3f} to {interval.high:.3f}"


def lead(report: "EvaluationReport", subject: str, unit: str = "row") -> str:
    """Return the result in two sentences."""
    counts = report.confusion
    anomalies, flagged = counts.tp + counts.fn, counts.tp + counts.fp
    first = (
        f"The {subject} flagged {counts.tp:,} of {anomalies:,} {_plural(anomalies, 'anomaly', 'anomalies')} among "
        f"{report.n:,} {unit}s ({percent(counts.tp / max(anomalies, 1))})."
    )
    if not flagged:
        return f"{first} It flagged nothing at all at this threshold."
    return (
        f"{first} Of its {flagged:,} {_plural(flagged, 'alert', 'alerts')}, {counts.fp:,} "
        f"{_plural(counts.fp, 'was a false alarm', 'were false alarms')} ({percent(counts.fp / flagged)})."
    )


def headlines(report: "EvaluationReport", unit: str = "row") -> list[tuple[str, "Interval", float | None, str]]:
    """Return name, figure, no-skill value and meaning of the figures that come first."""
    m, prevalence = report.metrics, report.prevalence
    lift = m["average_precision"].value / prevalence
    return [
        (
            "AUROC",
            m["auroc"],
            0.5,
            in_units(f"A random anomaly outscores a random normal row in {percent(m['auroc'].value)} of pairs.", unit),
        ),
        (
            "Average precision",
            m["average_precision"],
            prevalence,
            f"{lift:,.0f} times the {prevalence:.3f} of blind guessing, which is the share of anomalies."
            if lift >= 2
            else f"Blind guessing reaches {prevalence:.3f}, the share of anomalies.",
        ),
        ("Recall at the threshold", m["recall"], None, f"{_in_ten(m['recall'].value)} anomalies are flagged."),
        (
            "Precision at the threshold",
            m["precision"],
            prevalence,
            f"{_in_ten(m['precision'].value)} alerts are anomalies.",
        ),
    ]


def _in_ten(value: float) -> str:
    if value > 0.995:
        return "All" if value == 1 else "More than 99 in 100"
    for base in (10, 100, 1000):
        if round(value * base) >= 1:
            return f"About {round(value * base)} in {base}"
    return "Hardly any of the"


def _plural(n: int, one: str, many: str) -> str:
    return one if n == 1 else many
