"""The sections of the page, each a function from the numbers of a study to markup."""

import math
from collections.abc import Callable, Iterable, Sequence

from whitecrow.metrics.intervals import Interval
from whitecrow.page.markup import Markup, join, tag
from whitecrow.page.parts import section, table_of
from whitecrow.page.plot import Axis
from whitecrow.study.figures import figure
from whitecrow.study.report import charts, tables, words
from whitecrow.study.report.tables import BEST, Table
from whitecrow.study.statistics.comparison import CriticalDifference
from whitecrow.study.summary import Part, Summary
from whitecrow.study.summary.quality import Ranking
from whitecrow.study.summary.robustness import Curves

__all__ = ["costs", "curves", "differences", "failures", "households", "kinds", "quality", "ranks", "reading"]

_OPEN = 4  # data sets that are shown unfolded


def table_markup(table: Table, class_: str | None = None) -> Markup:
    """Return a table that scrolls by itself where it is too wide."""
    rows = []
    for row in table.rows:
        cells = [tag("th", row[0].text, scope="row")]
        for k, cell in enumerate(row[1:], 1):
            text = [tag("strong", f"{BEST} {cell.text}") if cell.best else cell.text]
            if cell.small:
                text.append(tag("small", cell.small))
            shade = "" if math.isnan(cell.shade) else f" heat-{math.floor(10 * cell.shade + 0.5)}"
            style = f"{'' if k in table.words else 'n'}{shade}".strip()
            cells.append(tag("td", *text, class_=style or None))
        rows.append(cells)
    right = [k for k in range(len(table.heads)) if k not in table.words]
    body = table_of(table.heads, rows, caption=table.caption, right=right, class_=class_)
    return tag("div", body, class_="scroll", tabindex=0, role="group", aria_label=table.caption or table.heads[0])


def _panel(title: str, table: Table, note: str = "", class_: str | None = None) -> Markup:
    return tag("div", tag("h4", title) if title else None, table_markup(table, class_), _small(note), class_="panel")


def _small(text: str) -> Markup | None:
    return tag("p", text, class_="under") if text else None


def _folded(title: str, *parts: Markup | None) -> Markup:
    return tag("details", tag("summary", title), *parts)


def _numbers(table: Table) -> Markup:
    return _folded("The numbers", table_markup(table))


def _unfolded(parts: Sequence[Markup], what: str, class_: str = "stack") -> Markup:
    """Return the first parts as they are, and the others folded away."""
    rest = _folded(f"{len(parts) - _OPEN} more {what}", tag("div", *parts[_OPEN:], class_=class_))
    return join([tag("div", *parts[:_OPEN], class_=class_), rest if len(parts) > _OPEN else None])


def _by_regime(summary: Summary, shown: Callable[[Part], Iterable[Markup | None]]) -> list[Markup]:
    several = len(summary.parts) > 1
    made = []
    for part in summary.parts:
        parts = [one for one in shown(part) if one is not None]
        if parts and several:
            made.append(tag("h3", f"Told that training rows are {part.regime}"))
        made += parts
    return made


def quality(summary: Summary) -> Markup:
    """Return the figures at the smallest share."""
    datasets = summary.results.datasets
    least = words.share_text(summary.results.shares[0])

    def shown(part: Part) -> Iterable[Markup | None]:
        if len(datasets) > 1:
            yield _panel(
                "Over all data sets", tables.overall_table(summary, part),
                "Mean of the data sets' means ± standard deviation over data sets. A detector without a figure on one "
                "of them has no mean.",
            )  # fmt: skip
            ranked = tables.rank_table(summary, part)
            if ranked:
                yield _panel("Mean ranks over data sets", ranked, words.ranking_caveat(part.rankings[summary.first]))
        yield _unfolded([_panel(d, tables.quality_table(summary, part, d)) for d in datasets], "data sets")

    return section(
        "How good the detectors are",
        f"At {least} contamination: mean ± standard deviation over seeds, and below it the 95 % interval of the mean. "
        f"{BEST} marks a detector that is significantly better than every other; without it, the highest number is not "
        "a finding.",
        *_by_regime(summary, shown),
    )


def ranks(summary: Summary) -> Markup:
    """Return critical-difference diagrams over data sets and within each."""
    title = figure(summary.first).title
    datasets, shares = summary.results.datasets, summary.results.shares

    def shown(part: Part) -> Iterable[Markup | None]:
        if len(datasets) > 1:
            for ranking, share in ((part.rankings[summary.first], shares[0]), (part.contaminated, shares[-1])):
                if ranking is not None:
                    at = f"Over data sets, at {words.share_text(share)} contamination"
                    yield _ranking(ranking, at, title, "{n} data sets")
        yield _panel("Each data set by itself", tables.within_table(summary, part), words.WITHIN)
        drawn = [
            _ranking(part.within[dataset, summary.first], dataset, title, f"the {{n}} seeds of {dataset}")
            for dataset in datasets
            if isinstance(part.within[dataset, summary.first].result, CriticalDifference)
        ]
        if len(datasets) == 1:
            yield from drawn
        elif drawn:
            yield _folded("The diagrams of the data sets", tag("div", *drawn, class_="stack"))

    return section(
        "Who differs from whom",
        f"Detectors by their mean rank in {title}, which is the first figure of the study. Rank 1 is best. A bar joins "
        "detectors that the tests cannot tell apart.",
        *_by_regime(summary, shown),
    )


def _ranking(ranking: Ranking, name: str, title: str, blocks: str) -> Markup:
    said = words.ranking_sentence(ranking, title, blocks)
    found = ranking.result
    if not isinstance(found, CriticalDifference):
        return tag("div", tag("h4", name), tag("p", said), _small(words.ranking_caveat(ranking)), class_="panel")
    diagram = charts.rank_diagram(found, f"Critical-difference diagram. {said}")
    return tag(
        "figure",
        tag("h4", name),
        tag("div", diagram, class_="scroll", tabindex=0, role="group", aria_label=name),
        tag("figcaption", said, " ", words.ranking_caveat(ranking)),
        _folded("The p-values", table_markup(tables.p_table(found))),
    )


def differences(summary: Summary) -> Markup | None:
    """Return paired differences to the reference."""
    found = [part.difference for part in summary.parts if part.difference]
    if not found:
        return None
    title = figure(summary.first).title

    def shown(part: Part) -> Iterable[Markup | None]:
        difference, table = part.difference, tables.difference_table(summary, part)
        if difference is None or table is None:
            return
        panels = []
        order = part.order(summary.results.detectors, summary.first)
        rows = [(summary.results.detectors[m], difference.overall[m]) for m in order]
        named = [("Over all data sets", [(name, gap) for name, gap in rows if gap])]
        for dataset, row in zip(summary.results.datasets, difference.by_dataset, strict=True):
            pairs = [(summary.results.detectors[m], row[m]) for m in order]
            named.append((dataset, [(name, pair.difference) for name, pair in pairs if pair]))
        for name, gaps in named:
            if gaps:
                panels.append(_differences(name, gaps, title, difference.reference))
        chosen = (
            "It was named beforehand."
            if difference.chosen
            else "It was taken for its good figures on these very cells, so the differences lean in its favour."
        )
        yield tag("p", f"The reference is {difference.reference}. {chosen}")
        yield _unfolded(panels, "data sets", "pair")
        yield _numbers(table)

    return section(
        "Differences to a reference",
        f"{title} minus that of the reference on the same seeds, which means the same splits, with 95 % intervals. "
        "Left of zero: worse than the reference. An open point: the interval holds zero. Intervals are not adjusted "
        "for their number.",
        *_by_regime(summary, shown),
    )


def _differences(name: str, gaps: Sequence[tuple[str, Interval]], title: str, reference: str) -> Markup:
    ends = [end for _, gap in gaps for end in gap if math.isfinite(end)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    pad = max(0.06 * (high - low), 1e-3)
    axis = Axis(low - pad, high + pad, f"{title} minus that of {reference}")
    what = f"Differences in {title} to {reference}, {name}"
    return tag("figure", tag("h4", name), charts.difference_chart(gaps, axis, what))


def curves(summary: Summary) -> Markup | None:
    """Return degradation curves and breakdown points."""
    if not any(found for part in summary.parts for found in part.curves.values()):
        return None

    def shown(part: Part) -> Iterable[Markup | None]:
        for name, found in part.curves.items():
            if not found:
                continue
            title = figure(name).title
            groups = [_groups(summary, part, one) for one in found]
            alone = all(len(several) == 1 for several in groups)
            panels = [_panels(summary, one, several, title, alone) for one, several in zip(found, groups, strict=True)]
            yield tag("h3", title)
            points = _panel(
                f"Breakdown points by {title}", tables.breakdown_table(summary, part, name),
                "The share of contamination at which a tenth of the distance above chance is lost.",
            )  # fmt: skip
            yield points
            yield _unfolded(panels, "data sets", "pair" if alone else "stack")

    return section(
        "What contamination does",
        "Mean over seeds against the share of anomalies among the training rows, with the 95 % interval as a band. "
        "Where there are many detectors, each panel picks out a few and keeps the others in grey, on one scale.",
        *_by_regime(summary, shown),
    )


def _groups(summary: Summary, part: Part, one: Curves) -> list[list[int]]:
    """Return which detectors each panel of a data set picks out: as few panels as can be, of about one size."""
    there = [m for m in part.order(summary.results.detectors, summary.first) if one.by_detector[m]]
    size = math.ceil(len(there) / math.ceil(len(there) / charts.GROUP))
    return [there[k : k + size] for k in range(0, len(there), size)]


def _panels(summary: Summary, one: Curves, groups: list[list[int]], title: str, alone: bool) -> Markup:
    detectors = summary.results.detectors
    axis = charts.curve_axis(one)
    head, table = tag("h4", f"{title} on {one.dataset}"), _numbers(tables.curve_table(detectors, one))
    drawn = [
        (charts.line_key([detectors[m] for m in group], len(groups) > 1),
         charts.curve_chart(one, group, axis, title, detectors))
        for group in groups
    ]  # fmt: skip
    if alone:
        return tag("figure", head, *drawn[0], table)
    return tag("div", head, tag("div", *(tag("figure", *parts) for parts in drawn), class_="pair"), table)


def kinds(summary: Summary) -> Markup | None:
    """Return recall by kind of anomaly."""
    if not any(part.recalls for part in summary.parts):
        return None

    def shown(part: Part) -> Iterable[Markup | None]:
        made = []
        for dataset, share in dict.fromkeys((r.dataset, r.contamination) for r in sorted(
            part.recalls, key=lambda r: (summary.results.datasets.index(r.dataset), r.contamination)
        )):  # fmt: skip
            name = f"{dataset}, {words.share_text(share)} contamination"
            made.append(_panel(name, tables.recall_table(summary, part, dataset, share), class_="heat"))
        yield _unfolded(made, "tables")

    return section(
        "Which kinds are found",
        "Recall of each kind of anomaly when as many rows are flagged as there are anomalies in the test, mean over "
        "seeds; the darker, the higher. In small print: recall at the detector's own threshold. Anomalies that were "
        "injected into training are of all kinds, unless the protocol says otherwise.",
        *_by_regime(summary, shown),
    )


def costs(summary: Summary) -> Markup | None:
    """Return time and memory beside quality."""
    if not any(part.costs for part in summary.parts):
        return None
    name = summary.first
    title = figure(name).title

    def shown(part: Part) -> Iterable[Markup | None]:
        panels = []
        places = {detector: m for m, detector in enumerate(summary.results.detectors)}
        for dataset in summary.results.datasets:
            points = [
                (c.detector, c.fit_s, _value(part, dataset, name, places[c.detector]))
                for c in part.costs
                if c.dataset == dataset
            ]
            points = [point for point in points if math.isfinite(point[2])]
            if len(points) > 1:
                chart = charts.cost_chart(points, f"{title} against the time of a fit on {dataset}")
                panels.append(tag("figure", tag("h4", f"{title} on {dataset}"), chart))
        yield _unfolded(panels, "data sets", "pair")
        yield _numbers(tables.cost_table(summary, part))

    return section(
        "What they cost",
        "CPU seconds on one thread, mean over seeds at the smallest share. Up is better, left is cheaper. Where cells "
        "trained together, each counts an equal part of their time, which is less than it would take alone. Memory is "
        "the peak of the whole process, data and libraries included.",
        *_by_regime(summary, shown),
    )


def _value(part: Part, dataset: str, name: str, m: int) -> float:
    return part.means[dataset, name][m].interval.value if (dataset, name) in part.means else math.nan


def failures(summary: Summary) -> Markup:
    """Return what failed, and what is suspicious."""
    parts = []
    if summary.failures:
        parts.append(_panel("Errors", tables.count_table(summary.failures, "Error"), class_="wordy"))
    else:
        parts.append(tag("p", "No cell has failed."))
    if summary.notes:
        parts.append(_panel("Warnings and suspicions", tables.count_table(summary.notes, "Note"), class_="wordy"))
    parts.append(
        _panel(
            "The data",
            tables.data_table(summary),
            "A test row with the same values as a training row is easy to call normal: a high share of copies flatters "
            "detectors that remember rows.",
        )
    )
    return section("What failed, and the data", words.state(summary), tag("div", *parts, class_="stack"))


def households(summary: Summary) -> Markup:
    """Return the protocol, the detectors and the versions."""
    entries = [
        tag("tr", tag("th", name, scope="row"), tag("td", text)) for name, text in words.protocol_entries(summary)
    ]
    return section(
        "How it was done",
        "",
        tag("div", tag("table", tag("tbody", *entries), class_="facts"), class_="panel"),
        _folded("Versions of the code", table_markup(tables.code_table(summary))),
    )


def reading(summary: Summary) -> Markup:
    """Return what the figures and the statistics mean."""
    entries = [*words.figure_entries(summary), *words.STATISTICS.items()]
    return section(
        "How to read it",
        "",
        tag("dl", *(part for name, text in entries for part in (tag("dt", name), tag("dd", text)))),
    )
