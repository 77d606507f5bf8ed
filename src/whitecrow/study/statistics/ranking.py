"""Ranks of detectors over blocks, and the tests on them: Friedman, Wilcoxon with Holm, Nemenyi."""

from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Natural, check
from whitecrow.metrics.intervals import Level
from whitecrow.study.statistics.intervals import figures
from whitecrow.study.statistics.paired import wilcoxon

__all__ = [
    "Blocks",
    "Friedman",
    "average_ranks",
    "complete_blocks",
    "friedman",
    "nemenyi_distance",
    "wilcoxon_holm",
]


class Blocks(NamedTuple):
    """The blocks in which every detector has a figure.

    Attributes
    ----------
    values : ndarray of float, shape [n, k]
        Complete blocks in their order.
    n_dropped : int
        Blocks left out because a figure is missing.
    """

    values: NDArray[np.float64]
    n_dropped: int


class Friedman(NamedTuple):
    """Test of the hypothesis that all detectors are alike.

    Attributes
    ----------
    statistic, p : float
        The test's statistic and its p-value.
    test : {"Friedman", "Wilcoxon"}
        Two detectors are compared by Wilcoxon's signed-rank test, whose statistic is the smaller rank sum.
    """

    statistic: float
    p: float
    test: Literal["Friedman", "Wilcoxon"]


def complete_blocks(values: ArrayLike) -> Blocks:
    """Return the blocks without a missing figure, and how many were left out.

    Parameters
    ----------
    values : array_like, shape [n, k]
        Figures of k detectors in n blocks, NaN where a cell failed or is missing.

    Raises
    ------
    DataError
        If ``values`` is no matrix of numbers.
    """
    array = figures("values", values, 2)
    complete = ~np.isnan(array).any(1)
    return Blocks(array[complete], int((~complete).sum()))


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Return the mean rank of each detector; 1 is best.

    Parameters
    ----------
    values : array_like, shape [n, k]
        Figures of k detectors in n complete blocks; higher = better. Equal figures share their mean rank.

    Returns
    -------
    ndarray of float, shape [k]
        From 1 to k.

    Raises
    ------
    DataError
        If there are fewer than two blocks or detectors, or a figure is missing.
    """
    return _block_ranks(_complete("average_ranks", values)).mean(0)


def friedman(values: ArrayLike) -> Friedman:
    r"""Test whether the detectors' ranks differ by more than chance.

    .. math:: \chi^2 = (k - 1) \frac{\sum_j (R_j - n (k + 1) / 2)^2}{\sum_{ij} (r_{ij} - (k + 1) / 2)^2}

    with the rank sums :math:`R_j`, on k - 1 degrees of freedom. In this form ties need no correction.

    Parameters
    ----------
    values : array_like, shape [n, k]
        Figures of k detectors in n complete blocks.

    Returns
    -------
    Friedman
        With p = 1 if all figures of each block are equal. For k = 2 Wilcoxon's signed-rank test takes its
        place, because Friedman's would only count signs.

    Raises
    ------
    DataError
        As for :func:`average_ranks`.

    References
    ----------
    .. [1] M. Friedman, "The Use of Ranks to Avoid the Assumption of Normality Implicit in the Analysis of
       Variance", Journal of the American Statistical Association 32, 1937.
    """
    array = _complete("friedman", values)
    k = array.shape[1]
    if k == 2:
        result = wilcoxon(array[:, 0], array[:, 1])
        return Friedman(min(result.positive, result.negative), result.p, "Wilcoxon")
    deviations = _block_ranks(array) - (k + 1) / 2
    if not deviations.any():
        return Friedman(0.0, 1.0, "Friedman")
    statistic = float((k - 1) * (deviations.sum(0) ** 2).sum() / (deviations**2).sum())
    return Friedman(statistic, float(stats.chi2.sf(statistic, k - 1)), "Friedman")


def wilcoxon_holm(values: ArrayLike) -> NDArray[np.float64]:
    """Return the p-values of all pairs of detectors, adjusted for their number.

    Each pair is compared by :func:`~whitecrow.study.statistics.paired.wilcoxon`; Holm's step-down method keeps the
    chance of any false difference within the level.

    Parameters
    ----------
    values : array_like, shape [n, k]
        Figures of k detectors in n complete blocks.

    Returns
    -------
    ndarray of float, shape [k, k]
        Two-sided adjusted p-values; symmetric, 1 on the diagonal.

    Raises
    ------
    DataError
        As for :func:`average_ranks`.

    References
    ----------
    .. [1] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
       Statistics 6(2), 1979.
    .. [2] A. Benavoli, G. Corani, F. Mangili, "Should We Really Use Post-Hoc Tests Based on Mean-Ranks?",
       Journal of Machine Learning Research 17, 2016.
    """
    array = _complete("wilcoxon_holm", values)
    k = array.shape[1]
    raw = np.array([wilcoxon(array[:, i], array[:, j]).p for i, j in combinations(range(k), 2)])
    adjusted = np.ones((k, k))
    rows, columns = np.triu_indices(k, 1)
    adjusted[rows, columns] = adjusted[columns, rows] = _holm(raw)
    return adjusted


def nemenyi_distance(n_blocks: int, n_detectors: int, alpha: float = 0.05) -> float:
    r"""Return how far two mean ranks must lie apart to differ by Nemenyi's test.

    .. math:: CD = \frac{q_\alpha}{\sqrt 2} \sqrt{\frac{k (k + 1)}{6 n}}

    with the upper quantile :math:`q_\alpha` of the studentised range. It is the bar of the classical
    critical-difference diagram. The cliques of
    :func:`~whitecrow.study.statistics.comparison.critical_difference` do not use it: whether two detectors
    differ by mean ranks depends on which others are in the study.

    Parameters
    ----------
    n_blocks : int
        Complete blocks n, at least 2.
    n_detectors : int
        Detectors k, at least 2.
    alpha : float, default=0.05
        Level of significance, between 0 and 1.

    Raises
    ------
    DataError
        If there are fewer than two blocks or detectors.
    ParameterError
        If a setting is out of its range.

    References
    ----------
    .. [1] J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", Journal of Machine
       Learning Research 7, 2006.
    """
    check("nemenyi_distance", "n_blocks", n_blocks, Natural)
    check("nemenyi_distance", "n_detectors", n_detectors, Natural)
    check("nemenyi_distance", "alpha", alpha, Level)
    _need_two("nemenyi_distance", n_blocks, n_detectors)
    quantile = stats.studentized_range.isf(alpha, n_detectors, np.inf)
    return float(quantile / np.sqrt(2) * np.sqrt(n_detectors * (n_detectors + 1) / (6 * n_blocks)))


def _holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0)


def _block_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return stats.rankdata(-values, axis=1)


def _complete(owner: str, values: ArrayLike) -> NDArray[np.float64]:
    array, n_dropped = complete_blocks(values)
    if n_dropped:
        raise DataError(
            f"{owner}: {n_dropped} blocks miss a figure; only complete blocks can be ranked. "
            "Call complete_blocks first and report how many it leaves out."
        )
    _need_two(owner, *array.shape)
    return array


def _need_two(owner: str, n_blocks: int, n_detectors: int) -> None:
    if n_blocks < 2 or n_detectors < 2:
        raise DataError(
            f"{owner}: {n_blocks} blocks of {n_detectors} detectors; a ranking needs at least 2 of each. "
            "Add data sets or splits, or report the figures without a ranking."
        )
