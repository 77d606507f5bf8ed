"""How good the detectors of a study are: means with intervals, ranks, and differences to a reference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whitecrow.metrics.intervals import Interval
from whitecrow.study.statistics.comparison import CriticalDifference, NoRanking, critical_difference
from whitecrow.study.statistics.intervals import seed_interval, study_interval
from whitecrow.study.statistics.paired import PairedDifference, paired_difference

__all__ = ["Difference", "Mean", "Ranking", "mean_of", "over_datasets", "paired", "rank_datasets", "rank_splits"]

Grid = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean, and what it is a mean of.

    Attributes
    ----------
    interval : Interval
        Mean and the ends of its interval, NaN where there are too few values.
    std : float
        Standard deviation with Bessel's correction; NaN for fewer than two values.
    n : int
        Seeds, or data sets, that have a value.
    """

    interval: Interval
    std: float
    n: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """An attempt to rank detectors.

    Attributes
    ----------
    result : CriticalDifference or NoRanking
        The ranks, or why there are none.
    left_out : tuple of str
        Detectors without a figure in half of the blocks or more, which had no part in it.
    dropped : tuple of str
        Data sets, or seeds, that were left out because a figure is missing there.
    """

    result: CriticalDifference | NoRanking
    left_out: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def winner(self) -> str | None:
        """The detector that is significantly better than every other, if there is one."""
        return self.result.winner if isinstance(self.result, CriticalDifference) else None

    def rank(self, name: str) -> float:
        """Return the mean rank of a detector, NaN if it has none."""
        if isinstance(self.result, NoRanking) or name not in self.result.names:
            return math.nan
        return float(self.result.ranks[self.result.names.index(name)])


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the detectors lie above a reference on the same seeds; negative = below it.

    Attributes
    ----------
    reference : str
        The detector that the others are compared with.
    chosen : bool
        Whether it was named beforehand, not taken for its good figures.
    by_dataset : tuple of tuple of PairedDifference or None, shape [D][M]
        None where there are fewer than two pairs, and for the reference itself.
    overall : tuple of Interval or None, length M
        Mean over the data sets, each with two pairs or more; None for fewer than two data sets.
    """

    reference: str
    chosen: bool
    by_dataset: tuple[tuple[PairedDifference | None, ...], ...]
    overall: tuple[Interval | None, ...]


def mean_of(values: Grid) -> Mean:
    """Return the mean over seeds; seeds without a figure are left out, and show in the number."""
    kept = values[np.isfinite(values)]
    return Mean(seed_interval(kept), float(kept.std(ddof=1)) if len(kept) > 1 else math.nan, len(kept))


def over_datasets(values: Grid) -> Mean:
    """Return the mean of the data sets' means [D, S]; a NaN without a figure on each of them.

    The standard deviation is that of the means, over data sets.
    """
    sets = [row[np.isfinite(row)] for row in values]
    n = sum(len(one) > 0 for one in sets)
    if not n or n < len(sets):
        return Mean(Interval(math.nan, math.nan, math.nan), math.nan, n)
    means = [one.mean() for one in sets]
    return Mean(study_interval(sets), float(np.std(means, ddof=1)) if n > 1 else math.nan, n)


def rank_datasets(values: Grid, detectors: Sequence[str], datasets: Sequence[str]) -> Ranking:
    """Rank detectors over data sets.

    Parameters
    ----------
    values : ndarray, shape [D, M, S]
        Figures of a seed on a data set, NaN where one is missing.
    detectors, datasets : sequence of str
        Names along the axes.

    Notes
    -----
    A detector that lacks half of the data sets or more is left out, by name. A data set counts by the means over the
    seeds that all others have finished there, if these are at least two. So no detector gains by failing where it is
    hard.
    """
    finite = np.isfinite(values)
    kept = _kept(np.asarray(finite.any(2)))
    part, present = values[:, kept], finite[:, kept]
    common = np.asarray(present.all(1))  # [D, S]
    n_common = common.sum(1)
    usable = n_common >= 2
    blocks = np.full(part.shape[:2], np.nan)
    for d in np.flatnonzero(usable):
        blocks[d] = part[d][:, common[d]].mean(1)
    n_seeds = int(n_common[usable].min()) if usable.any() else 2
    if not usable.any() and present.any() and present.sum(2).max() < 2:
        n_seeds = 1
    for d in np.flatnonzero(~usable):
        # The reason for no ranking names those that lack figures, where it is not all of them.
        enough = present[d].sum(1) >= 2
        if not enough.all():
            blocks[d, enough] = 0.0
    names = [name for name, keep in zip(detectors, kept, strict=True) if keep]
    result = critical_difference(blocks, names, n_seeds=n_seeds)
    return Ranking(result, _others(detectors, kept), _others(datasets, usable))


def rank_splits(values: Grid, detectors: Sequence[str]) -> Ranking:
    """Rank detectors over the seeds of one data set, ``values`` of shape [M, S]; as for :func:`rank_datasets`."""
    finite = np.isfinite(values)
    tried = np.asarray(finite.any(0))
    kept = _kept(np.asarray(finite[:, tried].T))
    blocks = values[kept][:, tried].T
    names = [name for name, keep in zip(detectors, kept, strict=True) if keep]
    complete = np.asarray(finite[kept].all(0))
    seeds = [f"seed {s}" for s in range(values.shape[1])]
    result = critical_difference(blocks, names, n_seeds=int(tried.sum()))
    return Ranking(result, _others(detectors, kept), _others(seeds, complete | ~tried))


def paired(values: Grid, detectors: Sequence[str], reference: str, *, chosen: bool) -> Difference:
    """Compare each detector with one of them, seed by seed; ``values`` of shape [D, M, S]."""
    at = list(detectors).index(reference)
    rows: list[tuple[PairedDifference | None, ...]] = []
    gaps: list[list[Grid]] = [[] for _ in detectors]
    for one in values:
        row: list[PairedDifference | None] = []
        for m in range(len(detectors)):
            gap = one[m] - one[at]
            enough = m != at and int(np.isfinite(gap).sum()) >= 2
            row.append(paired_difference(one[m], one[at]) if enough else None)
            if enough:
                gaps[m].append(gap[np.isfinite(gap)])
        rows.append(tuple(row))
    overall = tuple(study_interval(sets) if len(sets) == len(values) > 1 else None for sets in gaps)
    return Difference(reference, chosen, tuple(rows), overall)


def _kept(present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which detectors have a figure in more than half of the blocks [n, M] in which any has one."""
    started = present[present.any(1)]
    kept = started.mean(0) > 0.5 if len(started) else np.zeros(present.shape[1], dtype=bool)
    # With none left there is nothing to rank; the reason then speaks of them all.
    return kept if kept.any() else np.ones_like(kept)


def _others(names: Sequence[str], kept: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, keep in zip(names, kept, strict=True) if not keep)
