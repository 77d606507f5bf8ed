"""Detectors in pairs: Wilcoxon's signed-rank test, differences seed by seed, agreement of rankings."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Natural, check
from whitecrow.metrics.intervals import Interval
from whitecrow.study.statistics.intervals import figures, seed_interval

__all__ = [
    "PairedDifference",
    "RankAgreement",
    "SignedRank",
    "paired_difference",
    "rank_agreement",
    "smallest_p",
    "wilcoxon",
]

# Up to this many pairs the signed-rank test is exact, beyond it normal; SciPy changes over at the same number.
_EXACT_PAIRS = 50


class SignedRank(NamedTuple):
    """Wilcoxon's signed-rank test of two paired samples.

    Attributes
    ----------
    positive, negative : float
        Rank sums of the pairs in which the first, or the second, sample is higher.
    p : float
        Two-sided p-value; 1 if no pair differs.
    """

    positive: float
    negative: float
    p: float


class PairedDifference(NamedTuple):
    """How far one detector lies above another on the same seeds.

    Attributes
    ----------
    difference : Interval
        Mean of ``a - b`` and its interval; the ends are NaN for fewer than two pairs.
    p : float
        Two-sided p-value of Wilcoxon's signed-rank test; NaN without a pair.
    n, n_dropped : int
        Pairs used, and pairs left out because a figure is missing.
    """

    difference: Interval
    p: float
    n: int
    n_dropped: int


class RankAgreement(NamedTuple):
    """How well two rankings agree, from -1 (reversed) to 1 (the same); NaN if either ranks nothing.

    Attributes
    ----------
    kendall, spearman : float
        Kendall's tau-b and Spearman's rho; both allow ties.
    n, n_dropped : int
        Entries compared, and entries left out because either side is missing.
    """

    kendall: float
    spearman: float
    n: int
    n_dropped: int


def wilcoxon(a: ArrayLike, b: ArrayLike) -> SignedRank:
    """Test whether paired figures differ, by Wilcoxon's signed-rank test.

    Parameters
    ----------
    a, b : array_like, shape [n]
        Complete pairs, no NaN.

    Returns
    -------
    SignedRank
        Rank sums and the two-sided p-value.

    Raises
    ------
    DataError
        If the vectors differ in length, are empty or hold NaN.

    Notes
    -----
    Pairs without a difference are left out (``zero_method="wilcox"`` in SciPy), equal differences share their
    mean rank. Up to 50 differing pairs the p-value is exact, given those ties; SciPy takes the normal
    approximation from 14 pairs on if there are ties, and so do we beyond 50, without continuity correction.
    Differences are compared to twelve digits, because rounding decides whether 0.9 - 0.8 equals 0.8 - 0.7.

    References
    ----------
    .. [1] F. Wilcoxon, "Individual Comparisons by Ranking Methods", Biometrics Bulletin 1(6), 1945.
    """
    first, second = _pairs(a, b)
    if len(first) == 0 or np.isnan(first - second).any():
        raise DataError("wilcoxon needs at least one pair and no NaN. Drop incomplete pairs and report their number.")
    return _signed_rank(first, second)


def _signed_rank(first: NDArray[np.float64], second: NDArray[np.float64]) -> SignedRank:
    scale = max(np.abs(first).max(), np.abs(second).max())
    difference = np.round((first - second) / scale, 12) if scale else first
    difference = difference[difference != 0]
    if len(difference) == 0:
        return SignedRank(0.0, 0.0, 1.0)
    ranks = stats.rankdata(np.abs(difference))
    positive, negative = ranks[difference > 0].sum(), ranks[difference < 0].sum()
    smaller = min(positive, negative)
    if len(ranks) > _EXACT_PAIRS:
        p = 2 * stats.norm.cdf((smaller - ranks.sum() / 2) / math.sqrt((ranks**2).sum() / 4))
    else:
        p = 2 * _share_of_signs_at_most(smaller, ranks)
    return SignedRank(float(positive), float(negative), min(1.0, float(p)))


def _share_of_signs_at_most(rank_sum: float, ranks: NDArray[np.float64]) -> float:
    """Return for which share of all 2^n signs the positive ranks add up to ``rank_sum`` or less."""
    # Mean ranks are halves, so twice a rank counts steps; the counts stay exact below 2^53.
    steps = np.rint(2 * ranks).astype(int)
    ways = np.zeros(steps.sum() + 1)
    ways[0] = 1
    for step in steps:
        ways[step:] = ways[step:] + ways[:-step]
    return float(ways[: round(2 * rank_sum) + 1].sum() / 2.0 ** len(ranks))


def smallest_p(n_blocks: int, n_detectors: int = 2) -> float:
    r"""Return the smallest adjusted p-value that so few blocks can reach.

    .. math:: \min(1, \; \tfrac{k (k - 1)}{2} \, 2^{1 - n})

    for n blocks and k detectors: the exact signed-rank test on n pairs that all differ in one direction, times
    Holm's first factor. Where this is not below the level, no winner can be found, whatever the figures.

    Parameters
    ----------
    n_blocks : int
        Complete blocks, at least 0.
    n_detectors : int, default=2
        Detectors compared in all pairs, at least 1.

    Examples
    --------
    >>> smallest_p(4)  # four data sets cannot show a difference at the 5 % level
    0.125
    >>> smallest_p(10, n_detectors=6) < 0.05 < smallest_p(9, n_detectors=6)
    True
    """
    check("smallest_p", "n_blocks", n_blocks, Natural)
    check("smallest_p", "n_detectors", n_detectors, Count)
    n_pairs = max(1, n_detectors * (n_detectors - 1) // 2)
    return min(1.0, n_pairs * 2.0 ** (1 - n_blocks))


def paired_difference(
    a: ArrayLike, b: ArrayLike, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> PairedDifference:
    """Compare two detectors seed by seed.

    Parameters
    ----------
    a, b : array_like, shape [S]
        Figures on the same data set; entry i of both belongs to the same seed, that is the same split. NaN
        where a seed failed: the pair is left out and counted.
    level, n_resamples, seed
        As for :func:`seed_interval`.

    Raises
    ------
    DataError
        If the vectors differ in length or hold no numbers.
    ParameterError
        If a setting is out of its range.

    Notes
    -----
    Splits of one data set share rows, so the p-value speaks of this data set alone and is on the small side.
    """
    first, second = _pairs(a, b)
    complete = ~np.isnan(first - second)
    first, second = first[complete], second[complete]
    n = len(first)
    interval = seed_interval(first - second, level=level, n_resamples=n_resamples, seed=seed)
    p = _signed_rank(first, second).p if n else math.nan
    return PairedDifference(interval, p, n, len(complete) - n)


def rank_agreement(a: ArrayLike, b: ArrayLike) -> RankAgreement:
    """Return Kendall's tau-b and Spearman's rho of two rankings of the same entries.

    Parameters
    ----------
    a, b : array_like, shape [k]
        Ranks, or the figures themselves, in the same sense of direction; NaN where missing.

    Raises
    ------
    DataError
        If the vectors differ in length or hold no numbers.
    """
    first, second = _pairs(a, b)
    complete = ~np.isnan(first - second)
    first, second = first[complete], second[complete]
    n, n_dropped = len(first), int((~complete).sum())
    if n < 2 or not np.ptp(first) or not np.ptp(second):
        return RankAgreement(math.nan, math.nan, n, n_dropped)
    # Indexed rather than by attribute: SciPy's result classes changed names over its versions.
    kendall: Any = stats.kendalltau(first, second)
    spearman: Any = stats.spearmanr(first, second)
    return RankAgreement(float(kendall[0]), float(spearman[0]), n, n_dropped)


def _pairs(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = figures("a", a, 1), figures("b", b, 1)
    if len(first) != len(second):
        raise DataError(f"a has {len(first)} figures and b has {len(second)}; both need one for each seed, in order.")
    return first, second
