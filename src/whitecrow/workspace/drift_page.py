"""The report of drift as one HTML file that needs nothing else, and as a table."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from whitecrow.metrics.column_drift import ColumnDrift
from whitecrow.metrics.drift import ScoreDrift
from whitecrow.page.document import document
from whitecrow.page.markup import Markup, tag
from whitecrow.page.parts import facts, figure, numbers, section, table_of
from whitecrow.page.plot import Axis, Plot
from whitecrow.workspace.drift_shapes import SHAPE_HEIGHT, SHAPE_WIDTH, column_shape
from whitecrow.workspace.drift_study import DriftStudy

__all__ = ["drift_page", "drift_table"]

_STYLE = """
svg.shape { width: 120px; height: 32px; }
svg.shape path { fill: none; stroke: currentColor; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
svg.shape .reference { stroke-dasharray: 3 2; opacity: 0.7; }
svg.shape .current { fill: currentColor; fill-opacity: 0.18; }
figure > svg { max-width: 40rem; }
"""
_BINS = 40
_HEADS = (
    "Column",
    "Drifted",
    "Test",
    "p-value, adjusted",
    "PSI",
    "Wasserstein",
    "Missing",
    "Distributions",
    "In words",
)


def drift_table(study: DriftStudy) -> pl.DataFrame:
    """Return a row for each column, the drifted ones first, and one for the scores at the end."""
    rows = [{**column._asdict(), "what": "column"} for column in study.report.columns]
    scores = study.report.scores
    rows.append(
        {
            "column": "anomaly score", "test": "ks", "p_value": scores.p_value, "adjusted_p_value": None,
            "psi": scores.psi, "wasserstein": scores.wasserstein, "missing": 0.0, "reference_missing": 0.0,
            "unseen": None, "drifted": scores.drifted, "what": "scores",
        }
    )  # fmt: skip
    names = (
        "what", "column", "drifted", "test", "p_value", "adjusted_p_value", "psi", "wasserstein", "missing",
        "reference_missing", "unseen",
    )  # fmt: skip
    return pl.DataFrame({name: [row[name] for row in rows] for name in names}, strict=False)


def drift_page(study: DriftStudy) -> str:
    """Return the report as HTML; all that comes from data is escaped, and nothing is loaded."""
    report, run = study.report, study.run
    header = [
        tag(
            "p", f"{study.span}, beside the {study.reference.height:,} rows that trained run {run.number} ({run.name})."
        ),
        tag("p", f"Verdict: {report.verdict.verdict}. {report.verdict.reason}"),
    ]
    main = [
        section("What it comes to", "", facts(_facts(study))),
        section("Columns", "Drifted ones first. Dashed: training; filled: now.", _columns(study)),
        section("Anomaly scores", "Scores of training rows may be lower than those of new ones.", _scores(study)),
        _rates(study),
    ]
    return document(f"Drift of {study.dataset.name}", "whitecrow · drift", header, main, style=_STYLE)


def _facts(study: DriftStudy) -> dict[str, str]:
    report, run = study.report, study.run
    moved = [column.drifted for column in report.columns if column.p_value is not None]
    found = {
        "Columns drifted": f"{sum(moved)} of {len(moved)} ({100 * report.share_drifted:.1f} %)",
        "Data set as a whole": "drifted" if report.drifted else "not drifted",
        "Scores against the training": _said(report.scores),
        "Tail": f"{100 * report.verdict.tail:.2f} % score above {report.verdict.tail_threshold:.6g}, "
        f"{100 * report.verdict.reference_tail:.2f} % in the training",
        "Alerts": f"{study.alerts:,} of {len(study.rows):,} rows above {study.threshold:.6g}; ordinary are "
        f"{100 * study.rate:.2f} % (of {study.rate_of})",
        "Threshold from": run.threshold_source or "",
        "Model": f"{run.detector}, version {run.version}",
        "Data": f"SHA-256 {study.dataset.sha256}",
    }
    if study.held_out is not None:
        found["Scores against held-out rows"] = _said(study.held_out)
    return found


def _said(found: ScoreDrift) -> str:
    words = "drifted" if found.drifted else "not drifted"
    return (
        f"{words}: KS {found.ks:.3f}, p-value {found.p_value:.3g}, PSI {found.psi:.3f}, mean moved by "
        f"{found.mean_shift:+.2f} standard deviations"
    )


def _columns(study: DriftStudy) -> Markup:
    rows = [[tag("td", cell) for cell in _cells(study, column)] for column in study.report.columns]
    return table_of(_HEADS, rows)


def _cells(study: DriftStudy, column: ColumnDrift) -> Iterable[object]:
    shape = column_shape(study.reference[column.column], study.current[column.column])
    picture = tag(
        "svg",
        tag("path", d=shape.outline("current"), class_="current"),
        tag("path", d=shape.outline("reference"), class_="reference"),
        viewBox=f"0 0 {SHAPE_WIDTH:g} {SHAPE_HEIGHT:g}",
        preserveAspectRatio="none",
        class_="shape",
        aria_hidden="true",
    )
    return (
        column.column, "▲ yes" if column.drifted else "no", column.test, _number(column.adjusted_p_value),
        _number(column.psi), _number(column.wasserstein),
        f"{100 * column.reference_missing:.1f} % → {100 * column.missing:.1f} %", picture, shape.words,
    )  # fmt: skip


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _scores(study: DriftStudy) -> Markup:
    both = np.concatenate([study.reference_scores, study.scores])
    low, high = (float(end) for end in np.quantile(both, (0.005, 0.995), method="nearest"))
    edges = np.linspace(low, high if high > low else low + max(abs(low), 1.0), _BINS + 1)
    shares = [
        np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
        for values in (study.reference_scores, study.scores)
    ]
    top = max(float(part.max()) for part in shares)
    plot = Plot(Axis(float(edges[0]), float(edges[-1]), "Anomaly score"), Axis(0, top, "Share of the rows"), "Scores")
    for part, style in zip(shares, ("one", "two"), strict=True):
        plot.line(edges, np.append(part, part[-1]), style, steps=True)
    if edges[0] <= study.threshold <= edges[-1]:
        plot.vertical(study.threshold, "three", "threshold")
    heads = ["From", "To", "Training", "Now"]
    rows = [
        (f"{edges[k]:.4g}", f"{edges[k + 1]:.4g}", f"{shares[0][k]:.4f}", f"{shares[1][k]:.4f}") for k in range(_BINS)
    ]
    return figure("Scores, training and now", plot.svg(), "", numbers(heads, rows), legend=("Training", "Now"))


def _rates(study: DriftStudy) -> Markup | None:
    chart = study.chart
    if chart is None:
        return section("Alert rate", f"{100 * study.rate:g} % of {study.rate_of} are alerts, so there are no limits.")
    out = int((chart.too_high | chart.too_low).sum())
    edges = np.datetime_as_string(chart.edges, unit="s") if chart.edges.dtype.kind == "M" else chart.edges
    rows = [
        (
            str(edges[k]), f"{chart.n[k]:,}", f"{chart.alerts[k]:,}", f"{100 * chart.rate[k]:.2f} %",
            f"{100 * chart.low[k]:.2f} to {100 * chart.high[k]:.2f} %",
            "▲ too high" if chart.too_high[k] else "▼ too low" if chart.too_low[k] else "in control",
        )
        for k in np.flatnonzero(chart.n)
    ]  # fmt: skip
    text = (
        f"{out} of {int((chart.n > 0).sum())} stretches are out of control; ordinary are {100 * chart.centre:.2f} % "
        f"(of {study.rate_of})."
    )
    body = [[tag("td", cell) for cell in row] for row in rows]
    table = table_of([study.times.name, "Rows", "Alerts", "Rate", "Limits", "Judged"], body)
    return section("Alert rate over time", text, table)
