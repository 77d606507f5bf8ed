"""The sections of the report, each a function from figures to markup."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from whitecrow.page.markup import Markup, join, tag
from whitecrow.page.parts import (
    STYLES,
    facts,
    figure,
    key,
    number_cell,
    numbers,
    section,
    some,
    swatch,
    table_of,
)
from whitecrow.page.wording import METRIC_NAMES, in_units, percent
from whitecrow.workspace.report.charts import cost_chart, histogram_chart, interval_bar, pr_chart, roc_chart
from whitecrow.workspace.report.words import DEFINITIONS, between

if TYPE_CHECKING:
    from whitecrow.metrics import EvaluationReport, Interval
    from whitecrow.workspace.assessment import Assessment
    from whitecrow.workspace.report.alerts import Alert

__all__ = [
    "alert_list",
    "cards",
    "comparison",
    "costs",
    "decisions",
    "definitions",
    "doubts",
    "kinds",
    "provenance",
    "ranking",
]


def cards(headlines: Iterable[tuple[str, "Interval", float | None, str]]) -> Markup:
    """Return the figures that come first."""
    return tag(
        "div",
        *(
            tag(
                "div",
                tag("p", name, class_="name"),
                tag("p", f"{shown.value:.3f}", class_="value"),
                tag("p", between(shown), class_="range"),
                interval_bar(shown, baseline),
                tag("p", meaning, class_="means"),
                class_="card",
            )
            for name, shown, baseline, meaning in headlines
        ),
        class_="cards",
    )


def doubts(notes: Sequence[str]) -> Markup | None:
    """Return what makes the figures doubtful."""
    if not notes:
        return None
    return tag(
        "div", tag("h3", "Read these figures with care"), tag("ul", *(tag("li", n) for n in notes)), class_="notes"
    )


def comparison(rivals: Mapping[str, "Assessment"]) -> Markup:
    """Return detectors side by side."""
    metrics = ("auroc", "average_precision", "recall", "precision")
    reports = {name: assessment.report for name, assessment in rivals.items()}
    rows = [
        [tag("th", key(style, name), scope="row")]
        + [
            tag("td", _bar(report, m, style), tag("span", f"{report.metrics[m].value:.3f} "),
                tag("small", between(report.metrics[m])), class_="bars")
            for m in metrics
        ]
        for (name, report), style in zip(reports.items(), STYLES, strict=False)
    ]  # fmt: skip
    table = table_of(
        ["Detector", *(METRIC_NAMES[m] for m in metrics)],
        rows,
        caption="Same rows, same labels, same kind of threshold.",
    )
    return section(
        "The detectors compared",
        "Where two intervals overlap widely, these rows do not tell the two detectors apart.",
        tag("div", table, class_="panel scroll", tabindex=0),
        tag(
            "div",
            figure("ROC", roc_chart(reports), "Points mark the threshold of each detector.", legend=list(reports)),
            figure("Precision and recall", pr_chart(reports), "Dotted: no skill.", legend=list(reports)),
            class_="pair",
        ),
    )


def _bar(report: "EvaluationReport", metric: str, style: str) -> Markup:
    return interval_bar(report.metrics[metric], report.baselines.get(metric), style)


def ranking(report: "EvaluationReport", unit: str = "row") -> Markup:
    """Return how well the scores order the rows, at any threshold."""
    names = (
        "auroc", "average_precision", "f1_at_known_ratio", "recall_at_1_percent_fpr", "recall_at_0.1_percent_fpr",
        "best_f1",
    )  # fmt: skip
    roc_rows = [(f"{x:.4f}", f"{y:.4f}") for x, y in some(report.roc.fpr, report.roc.tpr)]
    pr_rows = [(f"{x:.4f}", f"{y:.4f}") for x, y in some(report.pr.recall, report.pr.precision)]
    queue = [(f"{q.k:,}", percent(q.precision), percent(q.recall)) for q in report.queue]
    return section(
        "How well the scores rank",
        in_units("These figures need no threshold: they ask whether anomalies score higher than normal rows.", unit),
        tag(
            "div",
            figure(
                "ROC",
                roc_chart({"": report}, unit),
                "Up is good, right is expensive. The dotted diagonal is no skill.",
                numbers(["False-positive rate", "Recall"], roc_rows),
            ),
            figure(
                "Precision and recall",
                pr_chart({"": report}),
                f"Harder, where anomalies are rare. No skill is a precision of {report.prevalence:.3f}, their share.",
                numbers(["Recall", "Precision"], pr_rows),
            ),
            class_="pair",
        ),
        tag(
            "div",
            tag("div", _metric_table(report.metrics, report.baselines, names), class_="panel scroll", tabindex=0),
            tag(
                "div",
                table_of(
                    ["Highest scores", "of them anomalies", "of all anomalies"],
                    [[number_cell(c) for c in row] for row in queue],
                    caption="If somebody works through the scores from the top",
                    numbers=True,
                ),
                class_="panel scroll",
                tabindex=0,
            ),
            class_="pair",
        ),
    )


def _metric_table(figures: Mapping[str, "Interval"], baselines: Mapping[str, float], names: Sequence[str]) -> Markup:
    """Return figures with their intervals and the values of no skill."""
    rows = [
        [
            tag("th", METRIC_NAMES[name], scope="row"),
            number_cell(f"{figures[name].value:.3f}"),
            number_cell(between(figures[name])),
            number_cell(f"{baselines[name]:.3f}" if name in baselines else ""),
        ]
        for name in names
    ]
    return table_of(["", "Value", "Interval", "No skill"], rows, right=(1, 2, 3))


def decisions(report: "EvaluationReport", unit: str = "row") -> Markup:
    """Return what the threshold makes of the scores."""
    names = ("precision", "recall", "operational_f1", "f2", "false_positive_rate", "alert_rate", "accuracy")
    linear = histogram_chart(report.histogram, report.threshold, log_counts=False, unit=unit)
    logarithmic = histogram_chart(report.histogram, report.threshold, log_counts=True, unit=unit)
    h = report.histogram
    rows = [
        (f"{a:.4g} to {b:.4g}", f"{n:,}", f"{m:,}")
        for a, b, n, m in zip(h.edges[:-1], h.edges[1:], h.normals, h.anomalies, strict=True)
    ]
    switch = tag(
        "div",
        tag("input", type="radio", name="counts", id="counts-log", checked="checked"),
        tag("label", "Logarithmic counts", for_="counts-log"),
        tag("input", type="radio", name="counts", id="counts-linear", class_="to-second"),
        tag("label", "Linear counts", for_="counts-linear"),
        tag("div", logarithmic, class_="first"),
        tag("div", linear, class_="second"),
        class_="switch",
    )
    return section(
        "What the threshold does",
        in_units("A row is flagged if its score exceeds", unit)
        + f" {report.threshold:.6g}. What this is: {report.threshold_source}.",
        tag(
            "div",
            tag(
                "figure",
                tag("h3", "Scores of both classes"),
                tag(
                    "ul",
                    tag("li", swatch("normal"), f"normal {unit}s"),
                    tag("li", swatch("anomaly"), "anomalies"),
                    class_="key",
                ),
                switch,
                tag("figcaption", "Both classes in the same bins. The outer bins also hold what lies beyond them."),
                numbers(["Score", f"Normal {unit}s", "Anomalies"], rows),
            ),
            tag(
                "div",
                tag("div", _confusion(report), class_="panel"),
                tag("div", _metric_table(report.metrics, report.baselines, names), class_="panel scroll", tabindex=0),
                class_="stack",
            ),
            class_="pair",
        ),
    )


def _confusion(report: "EvaluationReport") -> Markup:
    counts = report.confusion

    def cell(n: int, of: int, what: str, style: str) -> Markup:
        return tag("td", f"{n:,}", tag("small", f"{what}, {percent(n / max(of, 1))}"), class_=f"cell {style}")

    anomalies, normals = counts.tp + counts.fn, counts.fp + counts.tn
    return join(
        [
            tag("h3", "Decisions"),
            tag(
                "table",
                tag("caption", "Shares are of each line."),
                tag(
                    "thead",
                    tag("tr", tag("td"), tag("th", "flagged", scope="col"), tag("th", "let pass", scope="col")),
                ),
                tag(
                    "tbody",
                    tag("tr", tag("th", "anomalies", scope="row"), cell(counts.tp, anomalies, "caught", "good"),
                        cell(counts.fn, anomalies, "missed", "bad")),
                    tag("tr", tag("th", "normal", scope="row"), cell(counts.fp, normals, "false alarms", "bad"),
                        cell(counts.tn, normals, "left alone", "good")),
                ),
                class_="confusion",
            ),
        ]
    )  # fmt: skip


def kinds(report: "EvaluationReport", unit: str = "row") -> Markup | None:
    """Return how each kind of anomaly fares."""
    if not report.families:
        return None
    rows = [
        [
            tag("th", f.family, scope="row"),
            number_cell(f"{f.n:,}"),
            number_cell(f"{f.n_flagged:,}"),
            tag("td", interval_bar(f.recall, None, "two"), class_="bars"),
            tag("td", f"{f.recall.value:.3f} ", tag("small", between(f.recall)), class_="n"),
            number_cell(f"{f.auroc:.3f}"),
        ]
        for f in report.families
    ]
    heads = ["Kind", in_units("Rows", unit), "Flagged", "", "Recall", "AUROC"]
    table = table_of(
        heads,
        rows,
        caption=f"The worst detected first. AUROC is against all normal {unit}s.",
        right=(1, 2, 4, 5),
        class_="kinds",
    )
    return section("Kinds of anomaly", "", tag("div", table, class_="panel scroll", tabindex=0))


def costs(report: "EvaluationReport", unit: str = "row") -> Markup | None:
    """Return what the decisions cost."""
    cost = report.cost
    if cost is None:
        return None
    given = cost.costs
    rows = [
        [tag("th", name, scope="row"), number_cell(value), tag("td", note)]
        for name, value, note in (
            (
                "This threshold",
                f"{cost.at_threshold.value:.4g}",
                f"{cost.at_threshold.low:.4g} to {cost.at_threshold.high:.4g}",
            ),
            (
                "Cheapest threshold",
                f"{cost.minimum.value:.4g}",
                f"at {cost.minimum_threshold:.4g}; optimistic, found on these labels",
            ),
            ("Flag nothing", f"{cost.flag_nothing:.4g}", "every anomaly is missed"),
            ("Flag everything", f"{cost.flag_everything:.4g}", f"every normal {unit} is a false alarm"),
        )
    ]
    curve = [(f"{t:.4g}", f"{c:.4g}") for t, c in some(cost.curve.thresholds, cost.curve.costs)]
    return section(
        "What it costs",
        f"If a missed anomaly costs {given.miss:g} and a false alarm {given.false_alarm:g}, at the share of anomalies "
        f"found here ({report.prevalence:.3f}). Labelled data often hold more anomalies than the world does.",
        tag(
            "div",
            figure(
                "Cost over the threshold",
                cost_chart(cost, report.threshold, float(report.histogram.edges[0]), unit),
                "Left: much is flagged. Right: little is.",
                numbers(["Threshold", f"Cost per {unit}"], curve),
            ),
            tag(
                "div",
                table_of(["Rule", f"Cost per {unit}", ""], rows, caption="In the unit of the costs", right=(1,)),
                class_="panel scroll",
                tabindex=0,
            ),
            class_="pair",
        ),
    )


def alert_list(alerts: Sequence["Alert"]) -> Markup | None:
    """Return the highest scores with their reasons, and their labels where there are any."""
    if not alerts:
        return None
    labelled = any(alert.label is not None for alert in alerts)
    rows = []
    for alert in alerts:
        p = "" if alert.p_value is None else f"{alert.p_value:.2g}"
        rows.append(
            [
                tag("td", f"{alert.number:,}", class_="n", data_name="row"),
                tag("td", f"{alert.score:.4g}", class_="n", data_name="score"),
                tag("td", p, class_="n", data_name="p"),
                *([_label(alert)] if labelled else []),
                tag("td", _reasons(alert), class_="why"),
            ]
        )
    heads = ["Row", "Score", "p-value", *(["Label"] if labelled else []), "Why it stands out"]
    table = table_of(heads, rows, right=(0, 1, 2), class_="alerts")
    text = (
        "Each reason has its share of the score, the value in original units, and what is normal there. Reasons come "
        "from the detector itself."
    )
    return section(
        "The highest scores, and why",
        f"✓ the label says anomaly, ✗ it says normal. {text}" if labelled else text,
        tag("div", table, class_="panel scroll", tabindex=0),
    )


def _label(alert: "Alert") -> Markup:
    verdict = "unknown" if alert.anomaly is None else "anomaly" if alert.anomaly else "normal"
    mark = {"anomaly": "✓ ", "normal": "✗ ", "unknown": ""}[verdict]
    return tag("td", tag("span", mark, alert.label or "", class_=f"tick {verdict}"))


def _reasons(alert: "Alert") -> Markup:
    if not alert.reasons:
        return join([alert.reason])
    lines = (tag("li", tag("b", percent(part)), " ", text) for text, part in alert.reasons)
    return tag("ul", *lines, class_="reasons")


def provenance(model: Mapping[str, str], data: Mapping[str, str], unit: str = "row") -> Markup:
    """Return where everything comes from."""
    return section(
        "Where this comes from",
        "",
        tag(
            "div",
            tag("div", tag("h3", "Model"), facts(model), class_="panel"),
            tag("div", tag("h3", in_units("Rows", unit)), facts(data), class_="panel"),
            class_="stack",
        ),
    )


def definitions(meanings: Mapping[str, str] = DEFINITIONS, unit: str = "row") -> Markup:
    """Return what the figures mean."""
    shown = ((in_units(name, unit), in_units(text, unit)) for name, text in meanings.items())
    entries = (part for name, text in shown for part in (tag("dt", name), tag("dd", text)))
    return section("What the figures mean", "", tag("dl", *entries))
