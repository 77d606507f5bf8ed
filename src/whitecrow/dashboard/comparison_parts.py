"""Tables of runs that are compared."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from whitecrow.dashboard.comparison import Comparison, Difference, spread
from whitecrow.dashboard.formats import NOTHING, count, duration, figure, percent
from whitecrow.dashboard.parts import Text, card, heading, notes, small_table
from whitecrow.dashboard.run_parts import run_name
from whitecrow.metrics import EvaluationReport, Interval
from whitecrow.metrics.agreement import RankAgreement
from whitecrow.metrics.family_catches import FamilyCatches
from whitecrow.workspace import RunRecord

__all__ = [
    "agreement_card",
    "difference_table",
    "families_card",
    "figures_card",
    "interval_cell",
    "with_interval",
]

Reports = Mapping[str, EvaluationReport]

_FIGURES = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "recall_at_1_percent_fpr": "Recall at 1 % FPR",
    "precision": "Precision",
    "recall": "Recall",
    "false_positive_rate": "False-positive rate",
    "alert_rate": "Alert rate",
}
_STRONGEST = 35  # percent of the accent behind a number: text on it keeps its contrast in both themes


def with_interval(found: Interval | None, digits: int = 3, *, sign: bool = False) -> str:
    """Return a figure with the ends of its interval.

    >>> with_interval(Interval(0.95, 0.9312, 0.9688)), with_interval(Interval(0.01, -0.004, 0.02), sign=True)
    ('0.950 (0.931 to 0.969)', '+0.010 (-0.004 to +0.020)')
    """
    if found is None or not np.isfinite(found.value):
        return NOTHING
    style = f"{'+' if sign else ''}.{digits}f"
    return f"{found.value:{style}} ({found.low:{style}} to {found.high:{style}})"


def interval_cell(found: Interval | None, digits: int = 3) -> str | Callable[[], None]:
    """Return a cell with the interval beneath its figure, which keeps tables of many figures narrow."""
    text = with_interval(found, digits)
    if text == NOTHING:
        return text
    first, _, rest = text.partition(" ")

    def fill() -> None:
        Text(first).style("display: block; font-weight: 600")
        Text(rest).classes("wc-muted").style("font-size: 0.8125rem")

    return fill


# ---- figures ------------------------------------------------------------------------------------------------------


def figures_card(comparison: Comparison, reports: Reports) -> None:
    """Show figures of merit with intervals, spread over seeds, time and memory."""
    with card("Figures", f"with {percent(0.95)} intervals, in the order of the runs' numbers"):
        if reports:
            rows: list[list[str | Callable[[], None]]] = [
                [run_name(run), *(interval_cell(reports[run.id].metrics.get(name)) for name in _FIGURES)]
                for run in comparison.runs
            ]
            chance = next(iter(reports.values())).baselines
            rows.append(["By chance", *(figure(chance.get(name)) for name in _FIGURES)])
            columns = range(1, len(_FIGURES) + 1)
            small_table(["Run", *_FIGURES.values()], rows, label="Figures of merit", right=columns)
            text = "The last four hold at each model's own threshold, the others need none."
            Text(text, "p").classes("wc-muted")
        _seeds(comparison, reports)
        heading(3, "Time and memory")
        heads = ["Run", "Fit", "Scoring", "Per 1,000 rows", "Memory at most"]
        small_table(heads, map(_cost_row, comparison.runs), label="Time and memory", right=range(1, 5))


def _seeds(comparison: Comparison, reports: Reports) -> None:
    rows, single = [], []
    for group in comparison.seed_groups():
        seeds = {run.request.seed: run for run in group}
        if len(seeds) < 2:
            single += [run_name(run) for run in group]
        elif reports:
            spreads = (spread([reports[run.id].metrics[name].value for run in seeds.values()]) for name in _FIGURES)
            numbers = ", ".join(str(run.number) for run in group)
            rows.append(
                [
                    f"{group[0].detector} (runs {numbers})",
                    str(len(seeds)),
                    *(f"{one.mean:.3f} ± {one.deviation:.3f}" for one in spreads),
                ]
            )
    heading(3, "Over seeds")
    if rows:
        heads = ["Method", "Seeds", *_FIGURES.values()]
        small_table(
            heads, rows, caption="Mean ± standard deviation over seeds", right=range(1, len(heads)), label="Over seeds"
        )
    if single:
        words = "; ".join(single)
        notes(
            [
                f"Fitted with one seed only: {words}. How far such a method varies by itself is not known, so a "
                "difference to it is no ranking. Fit it with further seeds, and choose those runs too."
            ]
        )


def _cost_row(run: RunRecord) -> list[str]:
    cost = run.cost or {}
    rows, seconds = cost.get("rows_scored"), cost.get("score_s")
    each = duration(1000 * seconds / rows) if rows and seconds is not None else NOTHING
    memory = cost.get("memory_mb")
    return [
        run_name(run),
        duration(cost.get("fit_s")),
        f"{duration(seconds)} for {count(int(rows), 'row')}" if rows else NOTHING,
        each,
        NOTHING if memory is None else f"{memory:,.0f} MB",
    ]


def difference_table(reference: RunRecord, found: Sequence[Difference]) -> None:
    """Show how much better a run is than each other, with paired intervals, in words besides."""
    rows = [
        [
            f"{run_name(reference)} minus {run_name(one.other)}",
            with_interval(one.auroc, 4, sign=True),
            _told_apart(one.auroc),
            with_interval(one.average_precision, 4, sign=True),
            _told_apart(one.average_precision),
        ]
        for one in found
    ]
    heads = ["Difference", "AUROC", "In words", "Average precision", "In words"]
    small_table(heads, rows, label="Paired differences", right=(1, 3))


def _told_apart(found: Interval) -> str:
    if found.low <= 0 <= found.high:
        return "not told apart"
    return "higher on these rows" if found.value > 0 else "lower on these rows"


# ---- agreement ----------------------------------------------------------------------------------------------------


def agreement_card(runs: Sequence[RunRecord], found: RankAgreement) -> None:
    """Show how alike the runs rank the rows, and how many of the highest they have in common."""
    with card("Do they agree?", f"on {count(found.n, 'row')}"):
        with ui.element("div").classes("wc-grid"):
            _heat_table("Spearman's rank correlation", runs, found.spearman)
            _heat_table(f"Jaccard index of the {found.k:,} highest scores", runs, found.jaccard)
        text = "1 is full agreement. The Jaccard index is the share of rows in both queues among those in either."
        Text(text, "p").classes("wc-muted")


def _heat_table(caption: str, runs: Sequence[RunRecord], matrix: NDArray[np.float64]) -> None:
    rows = [[run_name(run), *map(_heat, matrix[i].tolist())] for i, run in enumerate(runs)]
    heads = ["Run", *(str(run.number) for run in runs)]
    small_table(heads, rows, caption=caption, right=range(1, len(heads)), label=caption)


def _heat(number: float) -> Callable[[], None]:
    def fill() -> None:
        strength = 0.0 if np.isnan(number) else _STRONGEST * max(number, 0.0)
        tint = f"color-mix(in srgb, var(--wc-accent) {strength:.0f}%, var(--wc-surface))"
        Text(figure(number, 2)).style(f"display: block; padding: 0.25rem 0.5rem; background: {tint}")

    return fill


def families_card(comparison: Comparison, found: Sequence[FamilyCatches]) -> None:
    """Show the recall of each kind of anomaly, and who alone catches it."""
    with card("Who catches what?", "recall by kind of anomaly, at each model's own threshold"):
        if not found:
            Text("No row is known to be an anomaly.", "p")
            return
        heads = ["Kind", "Rows", *map(run_name, comparison.runs), "Missed by all"]
        rows = [
            [
                one.family,
                f"{one.n:,}",
                *(_catch(one, run.id) for run in comparison.runs),
                f"{one.missed_by_all:,}",
            ]
            for one in found
        ]
        small_table(heads, rows, label="Recall by kind of anomaly", right=range(1, len(heads)))
        alone = [
            f"{run_name(run)} alone catches {one.alone[run.id]:,} of {one.n:,} {one.family}."
            for one in found
            for run in comparison.runs
            if one.alone[run.id]
        ]
        notes(alone or ["Nothing is caught by one run alone."])


def _catch(one: FamilyCatches, key: str) -> Callable[[], None]:
    def fill() -> None:
        recall = one.recall[key]
        alone = f" · {one.alone[key]:,} alone" if one.alone[key] else ""
        Text(f"{recall.value:.2f}{alone}").style("display: block; font-weight: 600")
        Text(f"({recall.low:.2f} to {recall.high:.2f})").classes("wc-muted").style("font-size: 0.8125rem")

    return fill
