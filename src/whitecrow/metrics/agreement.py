"""How far detectors agree on the same rows: in rank, at the top of the queue, and in what they flag."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Natural, check
from whitecrow.metrics import points as _points
from whitecrow.metrics.decisions import finite_threshold, flag_top
from whitecrow.metrics.inputs import finite_scores, labelled_scores, row_groups, same_length
from whitecrow.metrics.intervals import Interval, check_bootstrap, percentile_interval, resampled_points

__all__ = ["Disagreements", "RankAgreement", "disagreements", "paired_difference", "rank_agreement"]

Floats = NDArray[np.float64]

# Kendall's tau of more rows is left out: Spearman's rho says much the same in a tenth of the time.
_KENDALL_ROWS = 20_000


class RankAgreement(NamedTuple):
    """Agreement of each pair of M detectors, in matrices of shape [M, M].

    Parameters
    ----------
    names : tuple of str
        The detectors, in the order of rows and columns.
    n, k : int
        Number of rows compared, and length of the queue.
    spearman : ndarray
        Rank correlation from -1 to 1, ties at their mean rank; NaN beside a detector whose scores are all equal.
    kendall : ndarray or None
        Kendall's tau-b, NaN likewise. None for more than 20,000 rows.
    jaccard : ndarray
        Rows among the ``k`` highest of both, over those among the ``k`` highest of either; from 0 to 1.
    """

    names: tuple[str, ...]
    n: int
    k: int
    spearman: Floats
    kendall: Floats | None
    jaccard: Floats


class Disagreements(NamedTuple):
    """Rows that one detector flags and another does not, strongest disagreement first.

    Parameters
    ----------
    n : int
        All such rows.
    rows : ndarray of int, shape [at most limit]
        Their positions.
    rank, other_rank : ndarray of float, shape [at most limit]
        Share of all rows that score lower, ties counted half, by either detector; from 0 to 1.
    """

    n: int
    rows: NDArray[np.intp]
    rank: Floats
    other_rank: Floats


def rank_agreement(scores: Mapping[str, ArrayLike], k: int) -> RankAgreement:
    """Compare how detectors rank the same rows.

    Parameters
    ----------
    scores : mapping of str to array_like, shape [N]
        Scores of each detector, of at least one; finite, higher = more anomalous. Their units may differ.
    k : int
        Length of the queue for the Jaccard index, from 1 to N. Cut ties are settled as in
        :func:`~whitecrow.metrics.flag_top`.

    Raises
    ------
    DataError
        If scores cannot be used or their lengths differ.
    ParameterError
        If ``k`` is not from 1 to N.
    """
    check("rank_agreement", "k", k, Count)
    names, columns = _columns(scores)
    n = len(columns[0])
    ranks = [stats.rankdata(column) for column in columns]
    top = [flag_top(column, k) for column in columns]
    m = len(names)
    spearman, jaccard = np.eye(m), np.eye(m)
    kendall = np.eye(m) if n <= _KENDALL_ROWS else None
    constant = [bool(column.min() == column.max()) for column in columns]
    for i, j in combinations(range(m), 2):
        defined = not (constant[i] or constant[j])
        spearman[i, j] = spearman[j, i] = np.corrcoef(ranks[i], ranks[j])[0, 1] if defined else np.nan
        jaccard[i, j] = jaccard[j, i] = np.sum(top[i] & top[j]) / np.sum(top[i] | top[j])
        if kendall is not None:
            kendall[i, j] = kendall[j, i] = _kendall(columns[i], columns[j]) if defined else np.nan
    for matrix in (spearman, kendall):
        if matrix is not None:
            matrix[constant, constant] = np.nan
    return RankAgreement(names, n, k, spearman, kendall, jaccard)


def disagreements(
    scores: ArrayLike, threshold: float, other_scores: ArrayLike, other_threshold: float, *, limit: int = 1000
) -> Disagreements:
    """Return the rows that the first detector flags and the other does not.

    Parameters
    ----------
    scores, other_scores : array_like, shape [N]
        Of the same rows; finite, higher = more anomalous. Their units may differ.
    threshold, other_threshold : float
        A row is flagged if its score is strictly above the detector's own.
    limit : int, default=1000
        At most so many rows are named; all are counted. At least 0.

    Returns
    -------
    Disagreements
        Sorted by the difference of the two ranks, then by position.

    Raises
    ------
    DataError
        If scores or thresholds cannot be used, or the lengths differ.
    ParameterError
        If ``limit`` is below 0.
    """
    check("disagreements", "limit", limit, Natural)
    one, other = finite_scores(scores), finite_scores(other_scores, "other_scores")
    same_length("scores", one, "other_scores", other)
    rows = np.flatnonzero((one > finite_threshold(threshold)) & (other <= finite_threshold(other_threshold)))
    rank, other_rank = ((stats.rankdata(values) - 0.5) / len(values) for values in (one, other))
    ordered = rows[np.argsort(other_rank[rows] - rank[rows], kind="stable")][:limit]
    return Disagreements(len(rows), ordered, rank[ordered], other_rank[ordered])


def paired_difference(
    figure: Literal["auroc", "average_precision"],
    y: ArrayLike,
    scores: ArrayLike,
    other_scores: ArrayLike,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> Interval:
    """Return how much better the first detector is, with its paired bootstrap interval.

    Both detectors are measured on the same resamples, drawn as in :func:`~whitecrow.metrics.bootstrap_interval`.
    An interval that holds 0 does not tell them apart. It covers the doubt about these rows alone: that which comes
    from the seed of training needs several fits.

    Parameters
    ----------
    figure : {"auroc", "average_precision"}
        What is compared.
    y : array_like of {0, 1}, shape [N]
        1 = anomaly; both classes are needed. Leave rows of unknown class out.
    scores, other_scores : array_like, shape [N]
        Of the same rows; finite, higher = more anomalous.
    level : float, default=0.95
        Confidence level, between 0 and 1.
    n_resamples : int, default=1000
        Number of resamples.
    seed : int, default=0
        Same seed, same interval.
    groups : array_like, shape [N], optional
        Number of the distinct row that each row is a copy of. Copies are then drawn together; without this, a
        table with many duplicate rows gets an interval that is far too narrow.

    Raises
    ------
    DataError
        If labels, scores or groups cannot be used.
    ParameterError
        If a setting is out of its range.
    """
    check("paired_difference", "figure", figure, Literal["auroc", "average_precision"])
    check_bootstrap("paired_difference", level, n_resamples, seed)
    of_points = {"auroc": _points.auroc, "average_precision": _points.average_precision}[figure]
    labels, one = labelled_scores(y, scores)
    other = finite_scores(other_scores, "other_scores")
    same_length("scores", one, "other_scores", other)
    unit = None if groups is None else row_groups(groups, labels)

    def value(values: Floats) -> float:
        return float(of_points(_points.operating_points(labels, values)[1]))

    def resampled(values: Floats) -> Floats:
        # The draws depend on the labels, the groups and the seed alone, so they pair.
        blocks = resampled_points(labels, values, n_resamples=n_resamples, seed=seed, groups=unit)
        return np.concatenate([of_points(points) for points, _ in blocks])

    return percentile_interval(value(one) - value(other), resampled(one) - resampled(other), level)


def _kendall(one: Floats, other: Floats) -> float:
    tau: Any = stats.kendalltau(one, other)
    return float(tau.statistic)


def _columns(scores: Mapping[str, ArrayLike]) -> tuple[tuple[str, ...], list[Floats]]:
    if not scores:
        raise DataError("scores is empty; accepted are the scores of at least one detector. Choose a run to compare.")
    names = tuple(str(name) for name in scores)
    columns = [finite_scores(values, f"scores of {name!r}") for name, values in scores.items()]
    for name, column in zip(names[1:], columns[1:], strict=True):
        same_length(f"scores of {name!r}", column, f"scores of {names[0]!r}", columns[0])
    return names, columns
