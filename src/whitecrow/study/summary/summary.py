"""The numbers of a study's report: from stored cells to means, ranks, curves, costs, failures."""

import json
import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import UnknownNameError
from whitecrow.study.figures import figure
from whitecrow.study.statistics.comparison import CriticalDifference
from whitecrow.study.store import Store
from whitecrow.study.summary.accounts import Cost, Count, DataFacts, costs, counts, data_facts
from whitecrow.study.summary.quality import (
    Difference,
    Mean,
    Ranking,
    mean_of,
    over_datasets,
    paired,
    rank_datasets,
    rank_splits,
)
from whitecrow.study.summary.results import Results, load_results
from whitecrow.study.summary.robustness import Curves, Recall, curves, recalls

__all__ = ["Part", "Summary", "overview", "summarise"]

_CURVES = ("auroc", "f1_at_known_ratio")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a study says of one regime.

    Attributes
    ----------
    regime : str
        What the detectors were told about their training rows.
    means : dict of (dataset, figure) to tuple of Mean, length M
        At the smallest share.
    planned : dict of dataset to tuple of int, length M
        Seeds planned at that share.
    overall : dict of figure to tuple of Mean, length M
        Over data sets.
    rankings : dict of figure to Ranking
        Over data sets.
    within : dict of (dataset, figure) to Ranking
        Over the seeds of a data set.
    contaminated : Ranking or None
        By the first figure over data sets at the largest share; None if there is only one share.
    difference : Difference or None
        To the reference, in the first figure; None without two seeds of two detectors.
    curves : dict of figure to tuple of Curves
        Degradation over the shares.
    recalls : tuple of Recall
        By kind of anomaly.
    costs : tuple of Cost
        By data set and detector.
    """

    regime: str
    means: dict[tuple[str, str], tuple[Mean, ...]]
    planned: dict[str, tuple[int, ...]]
    overall: dict[str, tuple[Mean, ...]]
    rankings: dict[str, Ranking]
    within: dict[tuple[str, str], Ranking]
    contaminated: Ranking | None
    difference: Difference | None
    curves: dict[str, tuple[Curves, ...]]
    recalls: tuple[Recall, ...]
    costs: tuple[Cost, ...]

    def order(self, detectors: tuple[str, ...], name: str) -> list[int]:
        """Return the places of the detectors, by mean rank where there is a ranking, else as the study has them."""
        ranking = self.rankings.get(name)
        if ranking is None or not isinstance(ranking.result, CriticalDifference):
            only = [found for (_, figure), found in self.within.items() if figure == name]
            ranking = only[0] if len(only) == 1 else None
        if ranking is None:
            return list(range(len(detectors)))
        ranks = [ranking.rank(detector) for detector in detectors]
        return sorted(range(len(detectors)), key=lambda m: math.inf if math.isnan(ranks[m]) else ranks[m])


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What a study says, and what it cannot say.

    Attributes
    ----------
    results : Results
        The cells.
    first : str
        The figure that is ranked: the first of the study for which higher is better.
    parts : tuple of Part
        One for each regime.
    planned, done, failed : int
        Cells.
    began, ended : str
        When the first and the last stored cell ended, in ISO 8601; empty without a cell.
    codes : dict of str to tuple of str
        Versions of the code behind the cells of each detector.
    failures, notes : tuple of Count
        Errors, and warnings or suspicions, the most frequent first.
    data : tuple of DataFacts
        The data sets.
    """

    results: Results
    first: str
    parts: tuple[Part, ...]
    planned: int
    done: int
    failed: int
    began: str
    ended: str
    codes: dict[str, tuple[str, ...]]
    failures: tuple[Count, ...]
    notes: tuple[Count, ...]
    data: tuple[DataFacts, ...]

    @property
    def missing(self) -> int:
        """Cells of the plan that are not stored yet."""
        return self.planned - self.done - self.failed


def summarise(store: Store, name: str | None = None, *, reference: str | None = None) -> Summary:
    """Return the numbers of a study's report.

    Parameters
    ----------
    store : Store
        Where the cells are.
    name : str, optional
        The study; the latest by default.
    reference : str, optional
        Title of the detector that the others are compared with; by default the one with the best mean rank.

    Raises
    ------
    UnknownNameError
        If there is no such study, or no such detector in it.
    """
    results = load_results(store, name)
    if reference is not None and reference not in results.detectors:
        raise UnknownNameError(f"The study has no detector {reference!r}. It has: {', '.join(results.detectors)}.")
    ranked = [name for name in results.study.figures if figure(name).direction == "higher"]
    first = ranked[0] if ranked else "auroc"
    cells = results.cells
    finished = sorted(cells["finished"].to_list()) if cells.height else [""]
    codes = {
        detector: tuple(sorted(set(cells.filter(pl.col("detector") == detector)["code"].to_list())))
        for detector in results.detectors
    }
    return Summary(
        results,
        first,
        tuple(_part(results, r, first, reference) for r in range(len(results.regimes))),
        int(results.planned.sum()),
        int(results.done.sum()),
        int(results.failed.sum()),
        finished[0],
        finished[-1],
        codes,
        counts(results, lambda cell: [cell["error"]] if cell["error"] else []),
        counts(results, lambda cell: json.loads(cell["notes"])),
        data_facts(results),
    )


def overview(store: Store, name: str | None = None, figure: str | None = None) -> pl.DataFrame:
    """Return mean and standard deviation over seeds: a row per data set and detector, a column per share.

    Parameters
    ----------
    store, name
        As for :func:`summarise`.
    figure : str, optional
        Figure to show; by default the first of the study.

    Returns
    -------
    polars.DataFrame
        Columns ``dataset``, ``detector``, ``regime`` if there are several, and texts such as ``0.912 ± 0.010 (5)``,
        with the number of seeds, under the shares in per cent; empty where no cell is done.

    Raises
    ------
    UnknownNameError
        If there is no such study or figure.
    """
    results = load_results(store, name)
    grid = results.figure(figure or results.study.figures[0])
    rows = []
    for d, dataset in enumerate(results.datasets):
        for m, detector in enumerate(results.detectors):
            for r, regime in enumerate(results.regimes):
                row = {"dataset": dataset, "detector": detector}
                if len(results.regimes) > 1:
                    row["regime"] = regime
                for c, share in enumerate(results.shares):
                    row[f"{100 * share:g} %"] = _text(grid[d, m, r, c])
                rows.append(row)
    return pl.DataFrame(rows)


def _text(values: NDArray[np.float64]) -> str:
    kept = values[np.isfinite(values)]
    if not len(kept):
        return ""
    spread = f" ± {kept.std(ddof=1):.3f}" if len(kept) > 1 else ""
    return f"{kept.mean():.3f}{spread} ({len(kept)})"


def _part(results: Results, r: int, first: str, reference: str | None) -> Part:
    detectors, datasets = results.detectors, results.datasets
    names = results.study.figures
    grids = {name: results.figure(name)[:, :, r] for name in dict.fromkeys((*names, first))}
    clean = {name: grid[:, :, 0] for name, grid in grids.items()}
    ranked = [name for name in clean if figure(name).direction == "higher"]
    rankings = {name: rank_datasets(clean[name], detectors, datasets) for name in ranked}
    planned = results.planned[:, :, r, 0].sum(2)
    several = len(results.shares) > 1
    begun = np.isfinite(clean[first]).any((1, 2))
    return Part(
        regime=results.regimes[r],
        means={
            (dataset, name): tuple(mean_of(values) for values in clean[name][d])
            for d, dataset in enumerate(datasets)
            for name in names
        },
        planned={dataset: tuple(planned[d].tolist()) for d, dataset in enumerate(datasets)},
        # Data sets not yet begun are nobody's failure.
        overall={name: tuple(over_datasets(clean[name][begun, m]) for m in range(len(detectors))) for name in names},
        rankings=rankings,
        within={
            (dataset, name): rank_splits(clean[name][d], detectors)
            for d, dataset in enumerate(datasets)
            for name in ranked
        },
        contaminated=rank_datasets(grids[first][:, :, -1], detectors, datasets) if several else None,
        difference=_difference(clean[first], detectors, rankings[first], reference),
        curves={name: curves(results, r, name) for name in _CURVES} if several else {},
        recalls=recalls(results, r),
        costs=costs(results, r),
    )


def _difference(
    values: NDArray[np.float64], detectors: tuple[str, ...], ranking: Ranking, reference: str | None
) -> Difference | None:
    finite = np.isfinite(values)
    if len(detectors) < 2 or not (finite.sum(2) > 1).any():
        return None
    if reference is not None:
        return paired(values, detectors, reference, chosen=True)
    if isinstance(ranking.result, CriticalDifference):
        return paired(values, detectors, ranking.result.names[0], chosen=False)
    # Of those with a figure on most data sets the best mean, each data set counting alike.
    share = finite.any(2).mean(0)
    candidates = np.flatnonzero(share == share.max())
    means = [
        np.mean([row[np.isfinite(row)].mean() for row in values[:, m] if np.isfinite(row).any()]) for m in candidates
    ]
    return paired(values, detectors, detectors[candidates[int(np.argmax(means))]], chosen=False)
