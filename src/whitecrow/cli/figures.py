"""Tables for the terminal."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from whitecrow.cli.console import clean
from whitecrow.cli.wording import duration, in_units, percent
from whitecrow.page.wording import METRIC_NAMES

if TYPE_CHECKING:
    from whitecrow.cli.image_assessment import PixelFigures
    from whitecrow.cli.series_figures import SeriesFigures
    from whitecrow.metrics import Interval
    from whitecrow.workspace.assessment import Assessment
    from whitecrow.workspace.report.alerts import Alert

__all__ = [
    "alerts_table",
    "comparison_table",
    "evaluation_tables",
    "facts",
    "listing",
    "pixel_table",
    "series_tables",
]

_RANKING = (
    "auroc",
    "average_precision",
    "f1_at_known_ratio",
    "recall_at_1_percent_fpr",
    "recall_at_0.1_percent_fpr",
    "best_f1",
)
_MOST_WINDOWS = 20
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
    """Return a figure of merit with three decimals, a dash where it is undefined."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def span(interval: "Interval") -> str:
    """Return the ends of an interval."""
    return f"{interval.low:.3f} to {interval.high:.3f}"


def evaluation_tables(assessment: "Assessment", unit: str = "row") -> RenderableType:
    """Return the figures of an evaluation with their intervals; ``unit`` is what a sample is called."""
    report = assessment.report
    level = f"{percent(report.level)} interval"
    metrics, baselines = report.metrics, report.baselines
    ranking = listing(
        ["Ranking, no threshold needed", "Value", level, "No skill"],
        [
            (METRIC_NAMES[name], share(metrics[name].value), span(metrics[name]), share(baselines[name]))
            for name in _RANKING
        ],
        right=["Value", level, "No skill"],
    )
    decisions = listing(
        ["At the threshold of the model", "Value", level],
        [(METRIC_NAMES[name], share(metrics[name].value), span(metrics[name])) for name in _DECISION],
        right=["Value", level],
    )
    counts = report.confusion
    confusion = listing(
        [in_units("Rows", unit), "flagged", "passed"],
        [("anomalies", f"{counts.tp:,}", f"{counts.fn:,}"), ("normal", f"{counts.fp:,}", f"{counts.tn:,}")],
        right=["flagged", "passed"],
    )
    parts: list[RenderableType] = [ranking, decisions, confusion]
    if report.families:
        parts.append(
            listing(
                ["Kind of anomaly", f"{unit}s", "flagged", "Recall", level, "AUROC"],
                [
                    (f.family, f"{f.n:,}", f"{f.n_flagged:,}", share(f.recall.value), span(f.recall), share(f.auroc))
                    for f in report.families
                ],
                right=[f"{unit}s", "flagged", "Recall", level, "AUROC"],
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
        parts.append(listing([f"Cost per {unit} with", "Cost", level], rules, right=["Cost", level]))
    return Group(*parts)


def pixel_table(pixels: "PixelFigures") -> RenderableType:
    """Return how well maps mark the pixels that masks mark."""
    rows = [
        ("Pixel AUROC", share(pixels.auroc), share(0.5)),
        (f"AUPRO up to {percent(pixels.fpr_limit)} false alarms", share(pixels.aupro), share(pixels.fpr_limit / 2)),
    ]
    head = f"Pixels of {pixels.images:,} images, {pixels.masked:,} with masks"
    return listing([head, "Value", "No skill"], rows, right=["Value", "No skill"])


def series_tables(figures: "SeriesFigures") -> RenderableType:
    """Return the figures of a series, and its true windows one by one."""
    from whitecrow.cli.series_figures import RANKING, SERIES_NAMES

    def line(name: str) -> tuple[str, str, str]:
        baseline = figures.baselines.get(name)
        return SERIES_NAMES[name], share(figures.metrics[name]), "" if baseline is None else share(baseline)

    right = ["Value", "No skill"]
    ranking = listing(["Ranking, no threshold needed", *right], map(line, RANKING), right=right)
    decisions = [name for name in figures.metrics if name not in RANKING]
    at_threshold = listing(["At the threshold of the model", *right], map(line, decisions), right=right)
    shown = figures.windows[:_MOST_WINDOWS]
    more = f" (the first {len(shown)})" if len(shown) < len(figures.windows) else ""
    windows = listing(
        [f"True windows from{more}", "Steps", "Flagged", "Delay", "Peak score"],
        [
            (
                f"step {w.first:,}" if w.start is None else w.start.removesuffix(":00"),
                f"{w.last - w.first + 1:,}",
                f"{w.flagged:,}",
                "missed" if w.delay is None else duration(w.delay, w.delay_seconds),
                f"{w.peak:.4g}",
            )
            for w in shown
        ],
        right=["Steps", "Flagged", "Delay", "Peak score"],
    )
    counts = facts(
        {
            "Found": f"{figures.found:,} of {len(figures.windows):,} true windows",
            "Alarms": f"{figures.alarms:,}, {figures.false_alarms:,} of them touch no true window",
            "Delay": "" if not figures.found else _delays(figures),
            "VUS": f"a lag of up to {figures.buffer:,} steps is forgiven",
        }
    )
    return Group(ranking, at_threshold, windows, counts)


def _delays(figures: "SeriesFigures") -> str:
    late = figures.delay
    median, p95 = (duration(late[key], late.get(f"{key}_seconds")) for key in ("median", "p95"))
    return f"median {median}, 95th percentile {p95}"


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
