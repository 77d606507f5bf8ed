"""Charts of runs that are compared, each with its numbers behind it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from whitecrow.dashboard.charts import Chart, axis, line
from whitecrow.dashboard.comparison import Comparison, threshold_of
from whitecrow.dashboard.comparison_parts import interval_cell, with_interval
from whitecrow.dashboard.formats import count, figure, value
from whitecrow.dashboard.parts import card, small_table
from whitecrow.dashboard.run_parts import run_name
from whitecrow.metrics import EvaluationReport, ScoreHistogram
from whitecrow.metrics.curves import thin
from whitecrow.workspace import RunRecord

__all__ = ["cost_chart", "curves_card", "histograms_card"]

Reports = Mapping[str, EvaluationReport]

_DRAWN = 300  # points of a curve
_SHARES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)  # percent of the records


def curves_card(comparison: Comparison, reports: Reports) -> None:
    """Show ROC and precision-recall curves of all runs, with intervals of their areas and of single points."""
    runs = comparison.runs

    def drawn(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[float, float]]:
        kept = thin(x, y, _DRAWN)
        return list(zip(x[kept].tolist(), y[kept].tolist(), strict=True))

    def areas(name: str) -> str:
        return "; ".join(f"{run_name(run)}: {with_interval(reports[run.id].metrics[name])}" for run in runs)

    top = 26 * (1 + len(runs) // 4)
    common = {"grid": {"left": 64, "right": 24, "top": top + 16, "bottom": 48}}
    with card("Ranking quality", "over all thresholds"), ui.element("div").classes("wc-grid"):
        roc = Chart(
            "ROC curves",
            f"Recall against the false-positive rate. Area (AUROC), by chance 0.5: {areas('auroc')}.",
            {
                **common,
                "xAxis": axis("False-positive rate", min=0, max=1),
                "yAxis": axis("Recall", min=0, max=1, nameGap=40),
                "series": [
                    line(run_name(run), drawn(reports[run.id].roc.fpr, reports[run.id].roc.tpr), k, showSymbol=False)
                    for k, run in enumerate(runs)
                ],
            },
            height="22rem",
        )
        points = ("auroc", "recall_at_1_percent_fpr", "recall_at_0.1_percent_fpr")
        heads = ["Run", "AUROC", "Recall at 1 % false positives", "Recall at 0.1 % false positives"]
        roc.table(heads, [_merits(run, reports, points) for run in runs])
        prevalence = next(iter(reports.values())).prevalence
        pr = Chart(
            "Precision-recall curves",
            f"Precision against recall. Average precision, by chance {figure(prevalence)}: "
            f"{areas('average_precision')}.",
            {
                **common,
                "xAxis": axis("Recall", min=0, max=1),
                "yAxis": axis("Precision", min=0, max=1, nameGap=40),
                # Between two points precision is that of the later one: a straight line would flatter it.
                "series": [
                    line(
                        run_name(run), drawn(reports[run.id].pr.recall, reports[run.id].pr.precision), k,
                        showSymbol=False, step="start",
                    )
                    for k, run in enumerate(runs)
                ],
            },
            height="22rem",
        )  # fmt: skip
        points = ("average_precision", "precision", "recall", "best_f1")
        heads = ["Run", "Average precision", "Precision at its threshold", "Recall at its threshold", "Best F1"]
        pr.table(heads, [_merits(run, reports, points) for run in runs])


def _merits(run: RunRecord, reports: Reports, names: Sequence[str]) -> list[str]:
    return [run_name(run), *(with_interval(reports[run.id].metrics.get(name)) for name in names)]


def histograms_card(comparison: Comparison, reports: Reports, histograms: Mapping[str, ScoreHistogram]) -> None:
    """Show the scores of both classes, one small chart for each run, for their units differ."""
    with card("Scores of both classes", "each in its own unit"), ui.element("div").classes("wc-grid"):
        for run in comparison.runs:
            report = reports[run.id]
            found = histograms[run.id]
            logarithmic = found.scale == "log"
            edges = np.log(found.edges) if logarithmic else found.edges
            middles = (edges[1:] + edges[:-1]) / 2
            middles = np.exp(middles) if logarithmic else middles
            shares = [100 * counts / max(counts.sum(), 1) for counts in (found.normals, found.anomalies)]
            caught = int(report.confusion.tp)
            chart = Chart(
                run_name(run),
                f"Share of each class by score. Above the threshold of {value(threshold_of(run))} lie {caught:,} of "
                f"{count(report.n_anomalies, 'anomaly', 'anomalies')} and {report.confusion.fp:,} of "
                f"{count(report.n - report.n_anomalies, 'normal row')}.",
                {
                    "grid": {"left": 64, "right": 16, "top": 52, "bottom": 48},
                    "xAxis": axis("Anomaly score", kind="log" if logarithmic else "value", scale=True),
                    "yAxis": axis("% of the class", nameGap=36),
                    "series": _histogram_lines(middles, shares, threshold_of(run)),
                },
                hues=("normal", "anomaly"),
                height="13rem",
            )
            chart.table(
                ["Score from", "to", "Normal rows", "Anomalies"],
                [
                    (value(low), value(high), f"{n:,}", f"{a:,}")
                    for low, high, n, a in zip(
                        found.edges[:-1], found.edges[1:], found.normals, found.anomalies, strict=True
                    )
                ],
            )


def _histogram_lines(
    middles: NDArray[np.float64], shares: list[NDArray[np.float64]], threshold: float
) -> list[dict[str, Any]]:
    series = [
        line(
            name, list(zip(middles.tolist(), share.tolist(), strict=True)), k,
            step="middle", showSymbol=False, areaStyle={"opacity": 0.15},
        )
        for k, (name, share) in enumerate(zip(("Normal", "Anomaly"), shares, strict=True))
    ]  # fmt: skip
    series[0]["markLine"] = {
        "symbol": "none",
        "silent": True,
        "animation": False,
        "lineStyle": {"type": "solid", "width": 2, "color": "#808A94"},
        "label": {"formatter": "threshold", "color": "#808A94", "position": "end"},
        "data": [{"xAxis": threshold}],
    }
    return series


def cost_chart(comparison: Comparison, reports: Reports) -> None:
    """Show the expected cost per record against the share of records flagged, and where each is least."""
    series, rows, drawn = [], [], []
    for k, run in enumerate(comparison.runs):
        summary = reports[run.id].cost
        assert summary is not None  # costs were given
        share = 100 * comparison.flagged(run.id, summary.curve.thresholds)
        best = 100 * float(comparison.flagged(run.id, summary.minimum_threshold))
        kept = thin(share, summary.curve.costs, _DRAWN)
        mark = {"name": "minimum", "coord": [best, summary.minimum.value], "symbol": "pin", "symbolSize": 22}
        points = list(zip(share[kept].tolist(), summary.curve.costs[kept].tolist(), strict=True))
        curve = line(run_name(run), points, k, showSymbol=False)
        curve["markPoint"] = {"silent": True, "animation": False, "label": {"show": False}, "data": [mark]}
        series.append(curve)
        drawn.append([run_name(run), *(value(float(one)) for one in np.interp(_SHARES, share, summary.curve.costs))])
        rows.append(
            [
                run_name(run),
                interval_cell(summary.at_threshold, 4),
                interval_cell(summary.minimum, 4),
                value(summary.minimum_threshold),
                f"{10 * best:,.1f}",
                value(summary.flag_nothing - summary.at_threshold.value),
                value(summary.flag_everything - summary.at_threshold.value),
            ]
        )
    summaries = [report.cost for report in reports.values() if report.cost is not None]
    nothing, everything = summaries[0].flag_nothing, summaries[0].flag_everything
    chart = Chart(
        "Expected cost",
        f"Expected cost per record against the share that is flagged; a pin marks each minimum. Flagging nothing "
        f"costs {value(nothing)}, flagging everything {value(everything)}. The minima were found on the labels that "
        "are shown, so they are optimistic.",
        {
            "grid": {"left": 72, "right": 24, "top": 26 * (1 + len(series) // 5) + 16, "bottom": 48},
            "xAxis": axis("Records flagged, %", min=0, max=100),
            "yAxis": axis("Cost per record", nameGap=52, scale=True),
            "series": series,
        },
        height="20rem",
    )
    chart.table(["Run", *(f"{share:g} % flagged" for share in _SHARES)], drawn)
    heads = [
        "Run",
        "At its own threshold",
        "Least cost (optimistic)",
        "at the score",
        "alerts per 1,000",
        "saved vs nothing",
        "saved vs everything",
    ]
    small_table(heads, rows, label="Cost per record", right=range(1, len(heads)))
