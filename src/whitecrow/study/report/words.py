"""What the report says in words: the result, its limits, and how to read the figures."""

import math
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from whitecrow.core.registry import load
from whitecrow.metrics.intervals import Interval
from whitecrow.study.figures import figure
from whitecrow.study.statistics.comparison import NoRanking
from whitecrow.study.statistics.paired import smallest_p
from whitecrow.study.summary import Part, Summary
from whitecrow.study.summary.quality import Mean, Ranking

__all__ = [
    "STATISTICS",
    "WITHIN",
    "between",
    "figure_entries",
    "lead",
    "listed",
    "mean_text",
    "number",
    "protocol_entries",
    "ranking_caveat",
    "ranking_sentence",
    "share_text",
    "state",
]

DASH = "–"
WITHIN = (
    "Each data set by itself, over its seeds. Splits of one data set share rows, so these p-values are a little small, "
    "and they speak of that data set alone. With many data sets some will show a winner by chance."
)
STATISTICS = {
    "Mean ± standard deviation": (
        "Over the seeds that are done. Each seed draws a split of the rows, where the protocol draws one, and an "
        "initialisation."
    ),
    "Interval": (
        "95 % interval of the mean, from 2,000 bootstrap resamples of the seeds, widened for their small number "
        "(Hesterberg, arXiv:1411.5279). No interval from one seed. With fewer than five seeds it covers less than "
        "95 %: no resample leaves the range of the values."
    ),
    "Interval over data sets": (
        "Data sets are resampled, and the seeds of each. It speaks of data sets like these, and does not shrink when "
        "only seeds are added."
    ),
    "Mean rank": (
        "In each block the best detector has rank 1, and equal ones share their rank. A block is a data set, by its "
        "means over seeds, or one seed of a single data set. Blocks in which a detector has no figure are left out; a "
        "detector without a figure in half of the blocks is left out instead, by name."
    ),
    "Significant": (
        "The Friedman test finds that not all detectors are alike, and Wilcoxon's signed-rank test finds that two of "
        "them differ, both at the 5 % level, with Holm's adjustment for all pairs (Demšar, JMLR 7, 2006). A winner "
        "differs so from every other detector. Nothing is ranked from one seed."
    ),
    "Critical-difference diagram": "A bar joins detectors of which no two differ significantly.",
    "Breakdown point": (
        "The first share of contamination at which the mean has lost a tenth of its distance above chance on clean "
        "rows, interpolated between the shares measured. Its interval comes from resampling seeds as whole curves."
    ),
    "Failed cells": (
        "A cell that fails has no figure. Means are over the others and say over how many; in ranks and differences "
        "nobody gains by failing, because all are compared on the same blocks."
    ),
}


_NO_CURVES = "none against contamination: a breakdown point is relative to the share 0, which the study leaves out"


def number(value: float, digits: int = 3, *, scale: float = 0.0) -> str:
    """Return a figure as the report writes it, a dash for NaN; counts, and what has their ``scale``, are whole."""
    return DASH if math.isnan(value) else f"{value:,.{0 if max(abs(value), scale) >= 100 else digits}f}"


def between(interval: Interval) -> str:
    """Return the ends of an interval, or nothing if it has none."""
    if math.isnan(interval.low):
        return ""
    scale = abs(interval.value)
    return f"{number(interval.low, scale=scale)} to {number(interval.high, scale=scale)}"


def mean_text(mean: Mean) -> str:
    """Return a mean with its standard deviation."""
    spread = "" if math.isnan(mean.std) else f" ± {number(mean.std, scale=abs(mean.interval.value))}"
    return f"{number(mean.interval.value)}{spread}"


def share_text(share: float) -> str:
    """Return a share of contamination."""
    return f"{100 * share:.4g} %"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return names in a row, the last ones as a number if there are many."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)


def state(summary: Summary) -> str:
    """Return how much of the study is there."""
    total = f"{summary.planned:,} cell{'s' * (summary.planned != 1)}"
    if not summary.done and not summary.failed:
        return f"Nothing has been computed yet: none of {total} is in the store."
    whole = "All" if not summary.missing and not summary.failed else f"{summary.done:,} of"
    parts = [f"{whole} {total} are done"]
    if summary.failed:
        parts.append(f"{summary.failed:,} failed")
    if summary.missing:
        parts.append(f"{summary.missing:,} are missing: this is a partial study, and what follows may change")
    return ", ".join(parts) + "."


def lead(summary: Summary) -> list[str]:
    """Return the result in a few sentences, one regime after the other."""
    if not summary.done:
        return [state(summary)]
    several = len(summary.parts) > 1
    told = [
        f"{f'Told that training rows are {part.regime}: ' if several else ''}{_result(summary, part)}"
        for part in summary.parts
    ]
    return [*told, state(summary)]


def _result(summary: Summary, part: Part) -> str:
    title = figure(summary.first).title
    datasets = summary.results.datasets
    if len(datasets) == 1:
        ranking = part.within[datasets[0], summary.first]
        return ranking_sentence(ranking, title, f"the {{n}} seeds of {datasets[0]}, the only data set")
    return ranking_sentence(part.rankings[summary.first], title, "{n} data sets")


def ranking_sentence(ranking: Ranking, title: str, blocks: str) -> str:
    """Return what a ranking says; ``blocks`` names what it is over, with ``{n}`` for their number."""
    found = ranking.result
    if isinstance(found, NoRanking):
        return f"No detector can be called best by {title}. {found.reason}"
    n = f"{found.n_blocks} of {found.n_blocks + found.n_dropped}" if found.n_dropped else str(found.n_blocks)
    over = blocks.replace("{n}", n)
    if found.winner is not None:
        return (
            f"{found.winner} is significantly best by {title} over {over}: mean rank {found.ranks[0]:.2f} of "
            f"{len(found.names)} detectors, adjusted p < {found.alpha:g} against each of the others."
        )
    first = f"No detector is significantly best by {title} over {over}."
    if found.smallest_p >= found.alpha:
        k = len(found.names)
        enough = next(n for n in count(found.n_blocks) if smallest_p(n, k) < found.alpha)
        return (
            f"{first} So few cannot show a winner among {k} detectors, however clear the figures: the smallest "
            f"adjusted p-value possible is {found.smallest_p:.2g}. It takes at least {enough}."
        )
    clique = next((clique for clique in found.cliques if found.names[0] in clique), ())
    if len(clique) == len(found.names):
        return f"{first} The tests find no difference between any two of the {len(clique)} detectors."
    if clique:
        return f"{first} Of the best ranked, {listed(clique)} do not differ significantly."
    return first


def ranking_caveat(ranking: Ranking) -> str:
    """Return who and what had no part in a ranking; empty if all had."""
    said = []
    if ranking.left_out:
        one = len(ranking.left_out) == 1
        said.append(f"{listed(ranking.left_out)} {'has' if one else 'have'} too few figures to be ranked.")
    # Without a ranking the reason itself tells what is missing.
    if ranking.dropped and not isinstance(ranking.result, NoRanking):
        said.append(f"Left out, because a detector has no figure there: {listed(ranking.dropped)}.")
    return " ".join(said)


def figure_entries(summary: Summary) -> list[tuple[str, str]]:
    """Return the titles of the figures shown and what they mean, test labels they use included."""
    names = dict.fromkeys((*summary.results.study.figures, "auroc", "f1_at_known_ratio"))
    shown = [figure(name) for name in names]
    return [
        (f.title, f"{f.description} Uses test labels: {f.uses_test_labels}" if f.uses_test_labels else f.description)
        for f in shown
    ]


def protocol_entries(summary: Summary) -> list[tuple[str, str]]:
    """Return the protocol, where it comes from, its options and faults, the threshold and the budget."""
    study = summary.results.study
    used = study.protocol_for(study.data[0])
    options = study.options
    own = {d.title: d.options for d in study.data if d.options}
    threshold = "each detector's own" if study.threshold == "model" else study.threshold
    entries = [
        ("Protocol", f"{used.name}. {used.description}"),
        ("Source", used.source),
        *(("Fault" if k else "Its faults", text) for k, text in enumerate(used.faults)),
        ("Options", _settings(options) or "as they stand"),
        *((f"Options for {name}", _settings(given)) for name, given in own.items()),
        *([("Curves", _NO_CURVES)] if min(study.contamination) > 0 else []),
        ("Threshold", f"{threshold}, set without test labels"),
        ("Budget", f"{study.budget.seconds:g} s and {study.budget.memory_mb:g} MB for a cell"),
    ]
    for choice in study.detectors:
        set_here = _settings(choice.parameters)
        if choice.max_train is not None:
            set_here = f"{set_here}, " * bool(set_here) + f"at most {choice.max_train:,} training rows"
        same = choice.title == choice.name
        entries.append((choice.title, f"{load(choice.name).__name__}{'' if same else f' ({choice.name})'}: "
                        f"{set_here or 'default parameters'}"))  # fmt: skip
    return entries


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())
