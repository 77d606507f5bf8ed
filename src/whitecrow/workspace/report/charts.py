"""The pictures of the report."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from whitecrow.page.markup import Markup, join, tag
from whitecrow.page.parts import STYLES
from whitecrow.page.plot import Axis, Plot
from whitecrow.page.wording import in_units

if TYPE_CHECKING:
    from whitecrow.metrics import CostSummary, EvaluationReport, Interval, ScoreHistogram

__all__ = ["cost_chart", "histogram_chart", "interval_bar", "pr_chart", "roc_chart"]


def roc_chart(reports: Mapping[str, "EvaluationReport"], unit: str = "row") -> Markup:
    """Draw ROC curves, the operating point of each, and the diagonal of no skill; ``unit`` is what a row is called."""
    plot = Plot(
        Axis(0, 1, "False-positive rate"),
        Axis(0, 1, "Recall"),
        f"ROC curve: share of anomalies flagged against share of normal {unit}s flagged, for every threshold",
    )
    plot.line([0, 1], [0, 1], "none")
    for (_, report), style in zip(reports.items(), STYLES, strict=False):
        plot.line(report.roc.fpr, report.roc.tpr, style, filled=len(reports) == 1)
        x, y = report.metrics["false_positive_rate"].value, report.metrics["recall"].value
        plot.dot(x, y, style, "this threshold" if len(reports) == 1 else "")
    return plot.svg()


def pr_chart(reports: Mapping[str, "EvaluationReport"]) -> Markup:
    """Draw precision-recall curves, the operating point of each, and the line of no skill."""
    plot = Plot(
        Axis(0, 1, "Recall"),
        Axis(0, 1, "Precision"),
        "Precision-recall curve: share of true alerts against share of anomalies flagged, for every threshold",
    )
    for (_, report), style in zip(reports.items(), STYLES, strict=False):
        # The precision of a recall holds back to the recall before it: steps, not slopes.
        plot.line(report.pr.recall[::-1], report.pr.precision[::-1], style, steps=True, filled=len(reports) == 1)
        x, y = report.metrics["recall"].value, report.metrics["precision"].value
        plot.dot(x, y, style, "this threshold" if len(reports) == 1 else "", left=x > 0.6)
    prevalence = next(iter(reports.values())).prevalence
    plot.horizontal(prevalence, "none", f"no skill: {prevalence:.3f}")
    return plot.svg()


def histogram_chart(histogram: "ScoreHistogram", threshold: float, *, log_counts: bool, unit: str = "row") -> Markup:
    """Draw the scores of both classes in the same bins, with the threshold.

    Normal rows are bars and anomalies a stepped outline, so that neither hides the other. ``unit`` is what a row is
    called.
    """
    edges = histogram.edges
    most = int(max(histogram.normals.max(), histogram.anomalies.max(), 1))
    rows = in_units("Rows", unit)
    counts = Axis(0.7, most * 1.5, f"{rows} (logarithmic)", True) if log_counts else Axis(0, most * 1.08, rows)
    plot = Plot(
        Axis(float(edges[0]), float(edges[-1]), "Anomaly score", histogram.scale == "log"),
        counts,
        in_units(f"Histogram of anomaly scores of normal rows and of anomalies, threshold at {threshold:.4g}", unit),
    )
    floor = counts.low
    plot.bars(edges.tolist(), histogram.normals.tolist(), "normal")
    outline = np.concatenate([[floor], np.maximum(histogram.anomalies, floor), [floor]])
    plot.line(np.concatenate([[edges[0]], edges]), outline, "anomaly", steps=True, filled=True)
    if edges[0] <= threshold <= edges[-1]:
        plot.vertical(threshold, "threshold", f"threshold {threshold:.4g}")
    return plot.svg()


def cost_chart(cost: "CostSummary", threshold: float, normal_low: float, unit: str = "row") -> Markup:
    """Draw the expected cost per row over the threshold, with the one in use and the cheapest.

    Parameters
    ----------
    cost : CostSummary
        The curve.
    threshold : float
        The threshold in use.
    normal_low : float
        Lower end of the scores worth drawing.
    unit : str, default="row"
        What a sample is called.
    """
    thresholds, costs = cost.curve.thresholds, cost.curve.costs
    positive = thresholds[thresholds > 0]
    low, high = max(float(thresholds.min()), normal_low), float(thresholds.max())
    logarithmic = len(positive) > 1 and high > 0 and low > 0 and high / low > 50
    if low >= high:
        low, high = float(thresholds.min()) - 0.5, float(thresholds.max()) + 0.5
    top = max(cost.flag_nothing, cost.flag_everything, float(costs.max()), 1e-12)
    plot = Plot(
        Axis(low, high, "Threshold on the anomaly score", logarithmic),
        Axis(0 if costs.min() >= 0 else float(costs.min()), top * 1.08, f"Expected cost per {unit}"),
        f"Expected cost per {unit} against the threshold",
    )
    plot.horizontal(cost.flag_nothing, "none", "flag nothing")
    if abs(cost.flag_everything - cost.flag_nothing) > 0.07 * top:
        plot.horizontal(cost.flag_everything, "none", "flag everything")
    inside = (thresholds >= low) & (thresholds <= high)
    plot.line(thresholds[inside], costs[inside], "one")
    # The two may coincide: one text stands above its point, the other below.
    plot.dot(cost.minimum_threshold, cost.minimum.value, "three", "cheapest", left=_right(plot, cost.minimum_threshold))
    plot.dot(threshold, cost.at_threshold.value, "two", "this threshold", left=_right(plot, threshold), above=True)
    return plot.svg()


def _right(plot: Plot, x: float) -> bool:
    return float(plot.x.at(x)) > 0.6


def interval_bar(interval: "Interval", baseline: float | None, style: str = "one") -> Markup:
    """Draw a figure from 0 to 1 as a bar with its interval, and a tick where no skill would be."""
    width, height, middle = 200.0, 18.0, 9.0
    value, low, high = (width * float(np.clip(v, 0, 1)) for v in interval)
    parts = [
        tag("rect", x=0, y=middle - 2.5, width=width, height=5, class_="track", rx="2.5"),
        tag("rect", x=0, y=middle - 2.5, width=value, height=5, class_=f"bar {style}", rx="2.5"),
        tag("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker"),
        *(tag("line", x1=x, x2=x, y1=middle - 5, y2=middle + 5, class_="whisker") for x in (low, high)),
    ]
    if baseline is not None:
        at = width * baseline
        parts.append(tag("line", x1=at, x2=at, y1=1, y2=height - 1, class_="line none"))
    name = f"{interval.value:.3f}, interval {interval.low:.3f} to {interval.high:.3f}"
    return tag(
        "svg", tag("title", name), join(parts), viewBox=f"-3 0 {width + 6:g} {height:g}", role="img", aria_label=name,
        class_="figure-bar",
    )  # fmt: skip
