"""Confidence intervals: bootstrap for any figure of merit, Wilson's for shares."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from statistics import NormalDist
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.parameters import Count, Natural, NonNegative, Range, Share, check
from whitecrow.metrics import points as _points
from whitecrow.metrics import ranking as _ranking
from whitecrow.metrics.inputs import labelled_scores, row_groups
from whitecrow.metrics.points import OperatingPoints

__all__ = [
    "Interval",
    "Level",
    "bootstrap_interval",
    "check_bootstrap",
    "percentile_interval",
    "resampled_points",
    "wilson_interval",
]

# Cells of one block of resamples: two float64 arrays of this size stay within a few megabytes.
_BLOCK = 2**18

Level = Annotated[float, Range(0, 1, low_open=True, high_open=True)]

# Figures that are functions of the operating points alone, and how to compute them from those.
_FROM_POINTS: dict[Callable[..., Any], Callable[..., NDArray[np.float64]]] = {
    _ranking.auroc: _points.auroc,
    _ranking.average_precision: _points.average_precision,
    _ranking.recall_at_fpr: _points.recall_at_fpr,
}


class Interval(NamedTuple):
    """A figure and the ends of its confidence interval, ``low <= high``."""

    value: float
    low: float
    high: float


class _Resampler:
    """Draws multiplicities of rows, within each class, whole groups at a time."""

    def __init__(self, y: NDArray[np.bool_], groups: NDArray[np.intp] | None, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.classes: list[tuple[NDArray[np.intp], NDArray[np.intp] | None, int]] = []
        for mask in (y, ~y):
            rows = np.flatnonzero(mask)
            unit = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
            self.classes.append((rows, unit, len(rows) if unit is None else int(unit.max()) + 1))

    def draw(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield for each class its rows [n] and how often each is drawn [n]."""
        for rows, unit, size in self.classes:
            times = np.bincount(self.rng.integers(size, size=size), minlength=size)
            yield rows, times if unit is None else times[unit]


def resampled_points(
    y: NDArray[np.bool_],
    scores: NDArray[np.float64],
    *,
    n_resamples: int,
    seed: int,
    groups: NDArray[np.intp] | None = None,
    threshold: float | None = None,
) -> Iterator[tuple[OperatingPoints, int]]:
    """Yield blocks of bootstrap resamples as operating points.

    The rows are sorted once; a resample is then only a count for each. Runs of scores that no anomaly has
    are one step, because no figure of merit changes its best point inside such a run.

    Parameters
    ----------
    y : ndarray of bool, shape [N]
        True = anomaly; both classes are needed.
    scores : ndarray of float, shape [N]
        Finite; higher = more anomalous.
    n_resamples, seed : int
        Number of resamples, and the seed that alone determines them.
    groups : ndarray of int, shape [N], optional
        Rows of one class and one group are drawn together.
    threshold : float, optional
        A point is kept between the rows above it and the others.

    Yields
    ------
    points : OperatingPoints
        Counts of shape [R, S + 1] for the R resamples of the block.
    above : int
        Index of the point at which the rows above ``threshold`` are flagged; 0 without a threshold.
    """
    distinct, group = np.unique(scores, return_inverse=True)
    group = len(distinct) - 1 - group
    has_anomaly = np.bincount(group[y], minlength=len(distinct)) > 0
    n_above = 0 if threshold is None else int(np.count_nonzero(distinct > threshold))
    starts = np.zeros(len(distinct), dtype=bool)
    starts[1:] = has_anomaly[1:] | has_anomaly[:-1]
    starts[n_above : n_above + 1] = n_above > 0
    starts[0] = False
    step_of_score = starts.cumsum()
    step = step_of_score[group]
    n_steps = int(step_of_score[-1]) + 1
    above = int(step_of_score[n_above - 1]) + 1 if n_above else 0

    resampler = _Resampler(y, groups, seed)
    size = max(1, min(n_resamples, _BLOCK // n_steps))
    for first in range(0, n_resamples, size):
        block = np.zeros((2, min(size, n_resamples - first), n_steps + 1))
        for r in range(block.shape[1]):
            for c, (rows, times) in enumerate(resampler.draw()):
                block[c, r, 1:] = np.bincount(step[rows], weights=times, minlength=n_steps)
        yield OperatingPoints(*block.cumsum(-1, out=block)), above


def percentile_interval(value: float, resampled: NDArray[np.float64], level: float) -> Interval:
    """Return the interval between the percentiles that leave ``1 - level`` outside, half on each side."""
    tail = (1 - level) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail))
    return Interval(float(value), float(low), float(high))


def bootstrap_interval(
    metric: Callable[[Any, Any], float],
    y: ArrayLike,
    scores: ArrayLike,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> Interval:
    """Return a figure of merit with its bootstrap percentile interval.

    Rows are drawn with replacement within each class, so that every resample holds both classes at the
    share of the table: the interval does not cover doubt about that share.

    Parameters
    ----------
    metric : callable
        ``metric(y, scores) -> float``. :func:`auroc`, :func:`average_precision` and
        ``functools.partial(recall_at_fpr, max_fpr=...)`` take a fast path: the rows are sorted once, not
        once for each resample.
    y : array_like of {0, 1}, shape [N]
        1 = anomaly. Both classes are needed.
    scores : array_like, shape [N]
        Finite; higher = more anomalous.
    level : float, default=0.95
        Confidence level, between 0 and 1.
    n_resamples : int, default=1000
        Number of resamples. The ends are read off as percentiles: below a few hundred they are rough.
    seed : int, default=0
        Same seed, same interval; no global random state is read or changed.
    groups : array_like, shape [N], optional
        Name or number of the distinct row that each row is a copy of. Copies are then drawn together.
        Without this, a table with many duplicate rows gets an interval that is far too narrow. A group
        with rows of both classes counts as two.

    Returns
    -------
    Interval
        ``value`` on the table itself, ``low`` and ``high``. A perfect figure has an interval of no width,
        however few the anomalies are.

    Raises
    ------
    DataError
        If labels, scores or groups cannot be used.
    ParameterError
        If ``level``, ``n_resamples`` or ``seed`` is out of its range.
    """
    check_bootstrap("bootstrap_interval", level, n_resamples, seed)
    labels, values = labelled_scores(y, scores)
    unit = None if groups is None else row_groups(groups, labels)
    given, options = metric, {}
    if isinstance(metric, partial) and not metric.args:
        given, options = metric.func, metric.keywords
    value = float(metric(labels, values))
    fast = _FROM_POINTS.get(given)
    if fast is not None:
        blocks = resampled_points(labels, values, n_resamples=n_resamples, seed=seed, groups=unit)
        resampled = np.concatenate([fast(points, **options) for points, _ in blocks])
    else:
        resampler = _Resampler(labels, unit, seed)
        resampled = np.empty(n_resamples)
        for r in range(n_resamples):
            rows = np.concatenate([np.repeat(rows, times) for rows, times in resampler.draw()])
            resampled[r] = metric(labels[rows], values[rows])
    return percentile_interval(value, resampled, level)


def check_bootstrap(owner: str, level: float, n_resamples: int, seed: int) -> None:
    """Raise a ParameterError unless an interval can be drawn with these settings."""
    check(owner, "level", level, Level)
    check(owner, "n_resamples", n_resamples, Count)
    check(owner, "seed", seed, Natural)


def wilson_interval(share: float, n: float, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a share; it stays honest at 0, at 1 and for a handful of rows.

    Parameters
    ----------
    share : float
        Observed share, from 0 to 1.
    n : float
        Number of independent rows it was observed on. With 0 the interval is (0, 1).
    level : float, default=0.95
        Confidence level, between 0 and 1.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
       Journal of the American Statistical Association 22, 1927.

    Examples
    --------
    >>> low, high = wilson_interval(1.0, 5)[1:]
    >>> round(low, 3), round(high, 3)
    (0.566, 1.0)
    """
    check("wilson_interval", "level", level, Level)
    check("wilson_interval", "share", share, Share)
    check("wilson_interval", "n", n, NonNegative)
    if n == 0:
        return Interval(float(share), 0.0, 1.0)
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2 / n
    centre = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    # Rounding must not push the interval off the share itself.
    return Interval(float(share), max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))
