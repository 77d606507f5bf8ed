"""Which detector ranks best over many data sets, and whether the difference is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Natural, check
from whitecrow.metrics.intervals import Level
from whitecrow.study.statistics.intervals import figures
from whitecrow.study.statistics.paired import smallest_p, wilcoxon
from whitecrow.study.statistics.ranking import Friedman, average_ranks, complete_blocks, friedman, wilcoxon_holm

__all__ = ["CriticalDifference", "NoRanking", "critical_difference"]


@dataclass(frozen=True, slots=True)
class NoRanking:
    """There is no ranking, and why.

    Attributes
    ----------
    reason : str
        A sentence or two for the reader of a report.
    n_blocks, n_dropped : int
        Complete blocks, and blocks left out because a figure is missing.
    """

    reason: str
    n_blocks: int
    n_dropped: int


@dataclass(frozen=True, slots=True)
class CriticalDifference:
    """Detectors in the order of their mean ranks, and which of them differ.

    Attributes
    ----------
    names : tuple of str
        Detectors, best mean rank first; equal ranks by name. All fields are in this order.
    ranks : ndarray of float, shape [k]
        Mean ranks, from 1 (best in every block) to k.
    p : ndarray of float, shape [k, k]
        Wilcoxon p-values adjusted by Holm; symmetric, 1 on the diagonal.
    cliques : tuple of tuple of str
        Longest runs of two or more neighbours in rank order of which no two differ significantly; a single
        run of all detectors if the Friedman test finds no difference.
    friedman : Friedman
        Test of all detectors at once.
    winner : str or None
        The detector that is significantly better than every other, if there is one.
    alpha : float
        Level of significance.
    n_blocks, n_dropped : int
        Blocks ranked, and blocks left out because a figure is missing.
    """

    names: tuple[str, ...]
    ranks: NDArray[np.float64]
    p: NDArray[np.float64]
    cliques: tuple[tuple[str, ...], ...]
    friedman: Friedman
    winner: str | None
    alpha: float
    n_blocks: int
    n_dropped: int

    @property
    def smallest_p(self) -> float:
        """The smallest adjusted p-value that so few blocks could reach for so many detectors."""
        return smallest_p(self.n_blocks, len(self.names))


def critical_difference(
    values: ArrayLike, names: Sequence[str], *, n_seeds: int, alpha: float = 0.05
) -> CriticalDifference | NoRanking:
    """Rank detectors and say which of them differ.

    Parameters
    ----------
    values : array_like, shape [n, k]
        Figures of k detectors; higher = better. A block is a data set (means over its seeds), or one split of
        a single data set. A block with a NaN is left out and counted, for a mean over what went well favours
        detectors that fail where it is hard.
    names : sequence of str, length k
        Names of the detectors, all different.
    n_seeds : int
        The smallest number of seeds behind a data set's figures; where blocks are splits, their number. With
        one seed there is no ranking.
    alpha : float, default=0.05
        Level of significance, between 0 and 1.

    Returns
    -------
    CriticalDifference or NoRanking
        ``NoRanking`` says in words why: one seed, one detector, or fewer than two complete blocks. A winner
        needs the best mean rank, p < alpha in the Friedman test, and against each other detector an adjusted
        p < alpha with the larger rank sum on its side.

    Raises
    ------
    DataError
        If ``values`` is no matrix of numbers, or the names do not fit it.
    ParameterError
        If a setting is out of its range.

    References
    ----------
    .. [1] J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", Journal of Machine
       Learning Research 7, 2006.
    """
    check("critical_difference", "n_seeds", n_seeds, Natural)
    check("critical_difference", "alpha", alpha, Level)
    given = figures("values", values, 2)
    blocks = complete_blocks(given)
    n, k = blocks.values.shape
    if len(names) != k or len(set(names)) != k:
        raise DataError(f"{len(names)} names for {k} detectors; accepted is one name for each, all different.")
    reason = _why_no_ranking(given, names, n, n_seeds)
    if reason:
        return NoRanking(reason, n, blocks.n_dropped)

    ranks = average_ranks(blocks.values)
    order = sorted(range(k), key=lambda j: (ranks[j], names[j]))
    ranked = blocks.values[:, order]
    ordered_names, ordered_ranks = tuple(names[j] for j in order), ranks[order]
    p, overall = wilcoxon_holm(ranked), friedman(ranked)
    differ = (p < alpha) & (overall.p < alpha)
    cliques = tuple(ordered_names[first:end] for first, end in _runs_without(differ))
    first_wins = (
        ordered_ranks[0] < ordered_ranks[1]
        and differ[0, 1:].all()
        and all(_is_higher(ranked[:, 0], ranked[:, j]) for j in range(1, k))
    )
    winner = ordered_names[0] if first_wins else None
    return CriticalDifference(
        ordered_names, ordered_ranks, p, cliques, overall, winner, alpha, n_blocks=n, n_dropped=blocks.n_dropped
    )


def _why_no_ranking(given: NDArray[np.float64], names: Sequence[str], n_complete: int, n_seeds: int) -> str:
    if len(names) < 2:
        return f"{len(names)} detector is no field to rank; at least 2 are needed."
    if n_seeds < 2:
        return f"A ranking needs at least 2 seeds, and there is {n_seeds}: a difference in one run may be chance."
    if n_complete >= 2:
        return ""
    missing = np.isnan(given).sum(0)
    holes = ", ".join(f"{name} in {count}" for name, count in zip(names, missing, strict=True) if count)
    counts = f"A ranking needs at least 2 complete blocks, and {n_complete} of {len(given)} is complete."
    return f"{counts} Figures are missing for {holes}." if holes else counts


def _runs_without(differ: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the longest runs [first, end) of two or more neighbours of which no two differ."""
    k = len(differ)
    runs: list[tuple[int, int]] = []
    for first in range(k):
        end = first + 1
        while end < k and not differ[first : end + 1, first : end + 1].any():
            end += 1
        if end - first > 1 and (not runs or end > runs[-1][1]):
            runs.append((first, end))
    return runs


def _is_higher(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    # Mean ranks count wins, the signed-rank test weighs them: they may point in opposite directions.
    result = wilcoxon(a, b)
    return result.positive > result.negative
