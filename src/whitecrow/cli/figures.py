"""Tables for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from whitecrow.cli.console import clean
from whitecrow.cli.wording import NAMES, percent

if TYPE_CHECKING:
    from whitecrow.cli.assessment import Alert, Assessment
    from whitecrow.metrics import Interval

__all__ = ["alerts_table", "comparison_table", "evaluation_tables", "facts", "listing"]

_RANKING = (
    "auroc",
    "average_precision",
    "f1_at_known_ratio",
    "recall_at_1_percent_fpr",
    "recall_at_0.1_percent_fpr",
    "best_f1",
)
_DECISION = ("precision", "recall", "operational_f1", "false_positive_rate", "alert_rate")


def facts(lines: Mapping[str, str]) -> Table:
    """Return names and values side by side; empty values are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines.items():
        if value:
            table.add_row(name, Text(clean(value)))
    return table


def listing(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> Table:
    """Return a table of texts; ``right`` names the columns that hold numbers, ``whole`` others that are not broken."""
    table = Table(
        box=SIMPLE_HEAD, title=Text(clean(title), "bold") if title else None, title_justify="left", pad_edge=False
    )
    last = len(columns) - 1
    for k, name in enumerate(columns):
        number = name in right
        # Numbers and the name in front stay whole; the others share the room that is left.
        unbroken = number or (k == 0 and last > 0) or name in whole
        table.add_column(name, justify="right" if number else "left", no_wrap=unbroken, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(clean(str(cell))) for cell in row))
    return table


def share(value: float) -> str:
    """Return a figure of merit with three decimals."""
    return f"{value:.3f}"


def span(interval: "Interval") -> str:
    """Return the ends of an interval."""
    return f"{interval.low:.3f} to {interval.high:.3f}"


def evaluation_tables(assessment: "Assessment") -> RenderableType:
    """Return the figures of an evaluation with their intervals."""
    report = assessment.report
    level = f"{percent(report.level)} interval"
    metrics, baselines = report.metrics, report.baselines
    ranking = listing(
        ["Ranking, no threshold needed", "Value", level, "No skill"],
        [(NAMES[name], share(metrics[name].value), span(metrics[name]), share(baselines[name])) for name in _RANKING],
        right=["Value", level, "No skill"],
    )
    decisions = listing(
        ["At the threshold of the model", "Value", level],
        [(NAMES[name], share(metrics[name].value), span(metrics[name])) for name in _DECISION],
        right=["Value", level],
    )
    counts = report.confusion
    confusion = listing(
        ["Rows", "flagged", "passed"],
        [("anomalies", f"{counts.tp:,}", f"{counts.fn:,}"), ("normal", f"{counts.fp:,}", f"{counts.tn:,}")],
        right=["flagged", "passed"],
    )
    parts: list[RenderableType] = [ranking, decisions, confusion]
    if report.families:
        parts.append(
            listing(
                ["Kind of anomaly", "rows", "flagged", "Recall", level, "AUROC"],
                [
                    (f.family, f"{f.n:,}", f"{f.n_flagged:,}", share(f.recall.value), span(f.recall), share(f.auroc))
                    for f in report.families
                ],
                right=["rows", "flagged", "Recall", level, "AUROC"],
            )
        )
    if report.cost is not None:
        cost = report.cost
        rules = [
            (
                "this threshold",
                f"{cost.at_threshold.value:.4g}",
                f"{cost.at_threshold.low:.4g} to {cost.at_threshold.high:.4g}",
            ),
            (
                "best threshold (optimistic)",
                f"{cost.minimum.value:.4g}",
                f"{cost.minimum.low:.4g} to {cost.minimum.high:.4g}",
            ),
            ("flag nothing", f"{cost.flag_nothing:.4g}", ""),
            ("flag everything", f"{cost.flag_everything:.4g}", ""),
        ]
        parts.append(listing(["Cost per row with", "Cost", level], rules, right=["Cost", level]))
    return Group(*parts)


def comparison_table(assessments: Mapping[str, "Assessment"]) -> Table:
    """Return detectors side by side, each figure with its interval."""
    names = ("auroc", "average_precision", "precision", "recall")

    def cell(interval: "Interval") -> Text:
        ends = f"{interval.low:.3f}–{interval.high:.3f}"
        return Text.assemble(share(interval.value), "\n", (ends, "dim"))

    rows = [
        (Text(name, "bold"), *(cell(assessment.report.metrics[metric]) for metric in names))
        for name, assessment in assessments.items()
    ]
    heads = ["Detector", "AUROC", "Average precision", "Precision", "Recall"]
    return listing(heads, rows, right=heads[1:])


def alerts_table(alerts: Sequence["Alert"], title: str) -> RenderableType:
    """Return the alerts with their reasons, one below the other; the labels too, where there are any."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for alert in alerts:
        head = Text(f"score {alert.score:.4g}", "bold" if alert.flagged else "dim")
        if alert.p_value is not None:
            head.append(f"   p {alert.p_value:.2g}", "default")
        if alert.label is not None:
            head.append(f"   {clean(alert.label)}", "bold" if alert.anomaly else "not bold")
        table.add_row(Text(f"row {alert.number:,}", "bold"), head)
        for text, part in alert.reasons:
            table.add_row(Text(percent(part), "dim"), Text(clean(text)))
        if not alert.reasons:
            table.add_row("", Text(clean(alert.reason)))
        table.add_row("", "")
    return Group(Text(clean(title), "bold"), Text(), table)
