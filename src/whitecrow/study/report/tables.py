"""The tables of the report, as text: HTML and Markdown show the same ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whitecrow.page.wording import percent
from whitecrow.study.figures import figure
from whitecrow.study.report.words import between, listed, mean_text, number, share_text
from whitecrow.study.statistics.comparison import CriticalDifference
from whitecrow.study.statistics.degradation import Degradation
from whitecrow.study.summary import Part, Summary
from whitecrow.study.summary.accounts import Count
from whitecrow.study.summary.quality import Ranking
from whitecrow.study.summary.robustness import Curves

__all__ = [
    "BEST",
    "Cell",
    "Table",
    "breakdown_table",
    "code_table",
    "cost_table",
    "count_table",
    "curve_table",
    "data_table",
    "difference_table",
    "overall_table",
    "p_table",
    "quality_table",
    "rank_table",
    "recall_table",
    "within_table",
]

BEST = "▲"
_LISTED_CELLS = 12


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text, small : str
        What it says, and what stands beside it in small print.
    best : bool
        Whether it belongs to a significant winner.
    shade : float
        From 0 to 1, for tables that are also pictures; NaN for none.
    """

    text: str
    small: str = ""
    best: bool = False
    shade: float = math.nan


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column names the rows.

    Attributes
    ----------
    heads : tuple of str
        Headings of the columns.
    rows : tuple of tuple of Cell
        Cells.
    caption : str
        What it shows.
    words : tuple of int
        Columns of text; the others are numbers.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    words: tuple[int, ...] = (0,)


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[Cell | str]], caption: str = "", words: tuple[int, ...] = (0,)
) -> Table:
    cells = tuple(tuple(Cell(cell) if isinstance(cell, str) else cell for cell in row) for row in rows)
    return Table(tuple(heads), cells, caption, words)


def quality_table(summary: Summary, part: Part, dataset: str) -> Table:
    """Return the figures of a data set at the smallest share, with the number of seeds."""
    names, detectors = summary.results.study.figures, summary.results.detectors
    rows = []
    for m in part.order(detectors, summary.first):
        means = [part.means[dataset, name][m] for name in names]
        cells = [
            Cell(mean_text(mean), between(mean.interval), _wins(part.within.get((dataset, name)), detectors[m]))
            for name, mean in zip(names, means, strict=True)
        ]
        done, planned = max(mean.n for mean in means), part.planned[dataset][m]
        rows.append([detectors[m], *cells, f"{done}" if done == planned else f"{done} of {planned}"])
    return _table(["Detector", *_titles(names), "Seeds"], rows)


def overall_table(summary: Summary, part: Part) -> Table:
    """Return the means over data sets."""
    names, detectors = summary.results.study.figures, summary.results.detectors
    rows = [
        [
            detectors[m],
            *(
                Cell(
                    mean_text(part.overall[name][m]),
                    between(part.overall[name][m].interval),
                    _wins(part.rankings.get(name), detectors[m]),
                )
                for name in names
            ),
            str(max(part.overall[name][m].n for name in names)),
        ]
        for m in part.order(detectors, summary.first)
    ]
    return _table(["Detector", *_titles(names), "Data sets"], rows)


def rank_table(summary: Summary, part: Part) -> Table | None:
    """Return mean ranks over data sets by each figure; None if there is no ranking at all."""
    names = [name for name in part.rankings if isinstance(part.rankings[name].result, CriticalDifference)]
    if not names:
        return None
    detectors = summary.results.detectors
    rows = [
        [
            detectors[m],
            *(
                Cell(number(part.rankings[name].rank(detectors[m]), 2), "", _wins(part.rankings[name], detectors[m]))
                for name in names
            ),
        ]
        for m in part.order(detectors, summary.first)
    ]
    tests = [part.rankings[name].result for name in names]
    last = [Cell(f"{t.friedman.p:.3g}") for t in tests if isinstance(t, CriticalDifference)]
    return _table(["Mean rank by", *_titles(names)], [*rows, ["p of all alike (Friedman)", *last]])


def p_table(found: CriticalDifference) -> Table:
    """Return ranks and the adjusted p-values of all pairs."""
    rows = [
        [name, f"{rank:.2f}", *("" if i == j else f"{found.p[i, j]:.3g}" for j in range(len(found.names)))]
        for i, (name, rank) in enumerate(zip(found.names, found.ranks.tolist(), strict=True))
    ]
    caption = (
        f"{found.n_blocks} blocks. {found.friedman.test}: p = {found.friedman.p:.3g}. Pairs: Wilcoxon's p-values, "
        "adjusted by Holm."
    )
    return _table(["Detector", "Mean rank", *found.names], rows, caption)


def within_table(summary: Summary, part: Part) -> Table:
    """Return for each data set whether its seeds show a winner."""
    rows = []
    for dataset in summary.results.datasets:
        ranking = part.within[dataset, summary.first]
        found = ranking.result
        if isinstance(found, CriticalDifference):
            low = f"{found.smallest_p:.2g}"
            top = [f"{n} ({r:.2f})" for n, r in zip(found.names[:3], found.ranks[:3].tolist(), strict=True)]
            cells = [str(found.n_blocks), ", ".join(top), found.winner or "none", f"{found.friedman.p:.2g}", low]
        else:
            cells = [str(found.n_blocks), f"No ranking. {found.reason}", "", "", ""]
        rows.append([dataset, *cells])
    heads = ["Data set", "Seeds", "Lowest mean ranks", "Significantly best", "Friedman p", "Smallest p possible"]
    return _table(heads, rows, words=(0, 2, 3))


def difference_table(summary: Summary, part: Part) -> Table | None:
    """Return the paired differences to the reference; None if there are none."""
    difference = part.difference
    if difference is None:
        return None
    rows = []
    detectors = summary.results.detectors
    for m in part.order(detectors, summary.first):
        interval = difference.overall[m]
        if interval is not None:
            rows.append(["all data sets", detectors[m], f"{interval.value:+.3f}", _signed(interval), "", ""])
    for dataset, row in zip(summary.results.datasets, difference.by_dataset, strict=True):
        for m in part.order(detectors, summary.first):
            pair = row[m]
            if pair is not None:
                p = f"{pair.p:.3g}"
                gap = pair.difference
                rows.append([dataset, detectors[m], f"{gap.value:+.3f}", _signed(gap), p, str(pair.n)])
    heads = ["Data set", "Detector", "Difference", "95 % interval", "p, not adjusted", "Pairs"]
    return _table(heads, rows, words=(0, 1))


def breakdown_table(summary: Summary, part: Part, name: str) -> Table:
    """Return the breakdown points by one figure, a column for each data set with a curve."""
    found = part.curves[name]
    detectors = summary.results.detectors
    rows = []
    for m in part.order(detectors, summary.first):
        cells = []
        for one in found:
            curve = one.by_detector[m]
            point, _, interval = str(curve.breakdown).partition(" (") if curve else ("–", "", "")
            low, _, high = interval.rstrip(")").partition(" to ")
            cells.append(Cell(point, "" if low == high == point else interval.rstrip(")")))
        rows.append([detectors[m], *cells])
    return _table(["Detector", *(one.dataset for one in found)], rows)


def curve_table(detectors: Sequence[str], one: Curves) -> Table:
    """Return the numbers behind degradation curves."""
    drawn = [(name, curve) for name, curve in zip(detectors, one.by_detector, strict=True) if curve]
    rows = [[name, *_points(curve), str(curve.n_seeds)] for name, curve in drawn]
    return _table(["Detector", *(share_text(share) for share in drawn[0][1].shares.tolist()), "Seeds"], rows)


def recall_table(summary: Summary, part: Part, dataset: str, share: float) -> Table:
    """Return recall by kind of anomaly, a column for each detector."""
    found = [r for r in part.recalls if r.dataset == dataset and r.contamination == share]
    by_place = {(r.family, r.detector): r for r in found}
    detectors = [name for name in summary.results.detectors if any(r.detector == name for r in found)]
    rows = []
    for family in dict.fromkeys(r.family for r in found):
        kinds = [by_place.get((family, name)) for name in detectors]
        cells = [
            Cell("–")
            if r is None
            else Cell(number(r.known_ratio, 2), f"{number(r.operational, 2)}", shade=r.known_ratio)
            for r in kinds
        ]
        rows.append([family, number(float(np.mean([r.n for r in kinds if r])), 0), *cells])
    return _table(["Kind", "Rows", *detectors], rows)


def cost_table(summary: Summary, part: Part) -> Table:
    """Return time and memory beside quality."""
    places = {name: m for m, name in enumerate(summary.results.detectors)}
    rows = [
        [
            c.dataset,
            c.detector,
            mean_text(part.means[c.dataset, summary.results.study.figures[0]][places[c.detector]]),
            _seconds(c.fit_s),
            _seconds(c.score_s),
            f"{c.memory_mb:,.0f}",
            f"{c.n_train:,.0f}",
            str(c.together),
        ]
        for c in part.costs
    ]
    title = figure(summary.results.study.figures[0]).title
    heads = ["Data set", "Detector", title, "Fit, s", "Score, s", "Peak MB", "Training rows", "Trained together"]
    return _table(heads, rows, words=(0, 1))


def count_table(counts: Sequence[Count], what: str) -> Table:
    """Return texts and the cells that have them in common."""
    rows = []
    for count in counts:
        shown = list(count.cells[:_LISTED_CELLS])
        if len(count.cells) > len(shown):
            shown.append(f"and {len(count.cells) - len(shown)} more like these")
        rows.append([count.text, f"{count.n:,}", "; ".join(shown)])
    return _table([what, "Cells", "Which"], rows, words=(0, 2))


def data_table(summary: Summary) -> Table:
    """Return the data sets as the study saw them."""
    rows = [
        [
            facts.dataset,
            number(facts.n_train, 0),
            number(facts.n_test, 0),
            "–" if math.isnan(facts.prevalence) else percent(facts.prevalence),
            "–" if math.isnan(facts.copies) else percent(facts.copies),
            str(facts.seeds),
        ]
        for facts in summary.data
    ]
    heads = [
        "Data set",
        "Training rows",
        "Test rows",
        "Anomalies in test",
        "Test rows that copy a training row",
        "Seeds",
    ]
    return _table(heads, rows, "Means over the cells that are done.")


def code_table(summary: Summary) -> Table:
    """Return the versions of the code behind each detector's cells."""
    rows = [[name, listed(codes) if codes else "–"] for name, codes in summary.codes.items()]
    return _table(["Detector", "Release and hash of the method's file"], rows, words=(0, 1))


def _titles(names: Sequence[str]) -> list[str]:
    return [figure(name).title for name in names]


def _wins(ranking: Ranking | None, name: str) -> bool:
    return ranking is not None and ranking.winner == name


def _signed(interval: tuple[float, float, float]) -> str:
    return f"{interval[1]:+.3f} to {interval[2]:+.3f}"


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _points(curve: Degradation) -> list[Cell]:
    ends = zip(curve.mean.tolist(), curve.low.tolist(), curve.high.tolist(), strict=True)
    return [Cell(number(m), "" if math.isnan(low) else f"{number(low)} to {number(high)}") for m, low, high in ends]
