"""The pictures of the Drift screen: scores of training and now, alert rate with its limits, and a column's shapes."""

import math

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from whitecrow.dashboard.charts import Chart, axis, line
from whitecrow.dashboard.formats import NOTHING, count, p_value, percent, value
from whitecrow.dashboard.parts import Text, card
from whitecrow.dashboard.score_bins import score_edges
from whitecrow.dashboard.timeline_data import bucket_labels
from whitecrow.metrics.control_chart import AlertRateChart
from whitecrow.workspace.drift_shapes import SHAPE_HEIGHT, SHAPE_WIDTH, ColumnShape
from whitecrow.workspace.drift_study import DriftStudy

__all__ = ["rate_card", "scores_card", "shape_picture"]

_TICK = "(x) => String(Number(x.toPrecision(3)))"


def scores_card(study: DriftStudy) -> None:
    """Show how the scores are distributed among the training rows and now."""
    both = np.concatenate([study.reference_scores, study.scores])
    edges, scale = score_edges(np.full(len(both), -1, dtype=np.int8), both, study.threshold)
    shares = [
        100 * np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0] / len(scores)
        for scores in (study.reference_scores, study.scores)
    ]
    top = max(float(part.max()) for part in shares)
    series = [
        line(name, list(zip(edges.tolist(), [*part.tolist(), float(part[-1])], strict=True)), k, step="end")
        for k, (name, part) in enumerate(zip(("Training", "Now"), shares, strict=True))
    ]
    mark = float(np.clip(study.threshold, edges[0], edges[-1]))
    series.append(line("Threshold", [(mark, 0.0), (mark, top)], 5))
    for one in series:
        one |= {"showSymbol": False}
    options = {
        "xAxis": axis(
            "Anomaly score",
            kind="log" if scale == "log" else "value",
            min=float(edges[0]),
            max=float(edges[-1]),
            axisLabel={":formatter": _TICK, "hideOverlap": True},
        ),
        "yAxis": axis("% of the rows", nameGap=40),
        "series": series,
    }
    found = study.report.scores
    caption = (
        f"Kolmogorov-Smirnov distance {found.ks:.3f}, p-value {p_value(found.p_value)}, PSI {found.psi:.3f}; the mean "
        f"has moved by {found.mean_shift:+.2f} standard deviations."
    )
    with card():
        chart = Chart("Anomaly scores", caption, options, hues=["series-0", "series-1", "text"])
        chart.table(
            ["From", "To", "% of the training", "% now"],
            [
                (value(edges[k]), value(edges[k + 1]), f"{shares[0][k]:.2f}", f"{shares[1][k]:.2f}")
                for k in range(len(edges) - 1)
            ],
        )
        if study.held_out is not None:
            words = "have drifted" if study.held_out.drifted else "have not drifted"
            Text(
                "A detector may score the rows that it has learnt from lower. Against rows that it held out, scores "
                f"{words}: distance {study.held_out.ks:.3f}, p-value {p_value(study.held_out.p_value)}, PSI "
                f"{study.held_out.psi:.3f}.",
                "p",
            )


def rate_card(study: DriftStudy) -> None:
    """Show the alert rate over time with its control limits."""
    with card():
        if study.chart is None:
            Text("Alert rate over time", "h3")
            Text(
                f"{percent(study.rate)} of the {study.rate_of} are alerts, so there are no limits to keep to.", "p"
            ).classes("wc-muted")
            return
        _rates(study.chart, study)


def _rates(found: AlertRateChart, study: DriftStudy) -> None:
    labels = list(bucket_labels(found.edges))
    # A stretch without rows has no limits.
    rates, low, high = (np.where(found.n, 100 * part, np.nan) for part in (found.rate, found.low, found.high))
    out = found.too_high | found.too_low
    points, lowest, highest = (_points(part) for part in (rates, low, high))
    series = [
        line("Alert rate", [], 0, data=points, showSymbol=False),
        line("Upper limit", [], 1, data=highest, showSymbol=False, step="middle"),
        line("Lower limit", [], 2, data=lowest, showSymbol=False, step="middle"),
        {
            "type": "scatter",
            "name": "Out of control",
            "symbol": "diamond",
            "symbolSize": 14,
            "data": [point if bad else None for point, bad in zip(points, out.tolist(), strict=True)],
        },
    ]
    options = {
        "xAxis": axis(study.times.name, kind="category", data=labels, axisLabel={"hideOverlap": True}),
        "yAxis": axis("% of the rows", nameGap=40, min=0),
        "series": series,
    }
    caption = (
        f"{count(int(out.sum()), 'stretch', 'stretches')} of {int((found.n > 0).sum())} out of control. Ordinary are "
        f"{100 * found.centre:.3g} %, the alert rate of the {study.rate_of}; chance explains what lies within limits."
    )
    chart = Chart("Alert rate over time", caption, options, hues=["series-0", "series-1", "series-2", "bad"])
    judged = np.where(found.too_high, "too high", np.where(found.too_low, "too low", "in control"))
    chart.table(
        [study.times.name, "Rows", "Alerts", "Rate", "Lower limit", "Upper limit", "Judged"],
        [
            (
                labels[k], f"{found.n[k]:,}", f"{found.alerts[k]:,}",
                _share(points[k]), _share(lowest[k]), _share(highest[k]), str(judged[k]),
            )
            for k in range(len(labels))
        ],
        most=len(labels),
    )  # fmt: skip


def _points(values: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _share(number: float | None) -> str:
    return NOTHING if number is None else f"{number:.2f} %"


def shape_picture(shape: ColumnShape) -> None:
    """Show both distributions small: filled now, dashed in the training; the words beside it say the same."""
    box = f'viewBox="0 0 {SHAPE_WIDTH:g} {SHAPE_HEIGHT:g}" preserveAspectRatio=none aria-hidden=true'
    with ui.element("svg").classes("wc-shape").props(box):
        for which in ("current", "reference"):
            ui.element("path").props["d"] = shape.outline(which)
