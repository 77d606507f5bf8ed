"""What a handful of seeds and data sets can say: bootstrap intervals of means."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from whitecrow.core.errors import DataError
from whitecrow.metrics.intervals import Interval, check_bootstrap, percentile_interval

__all__ = ["figures", "seed_interval", "small_sample_level", "study_interval"]


def figures(name: str, values: ArrayLike, n_axes: int) -> NDArray[np.float64]:
    """Return figures of merit as float64, NaN where one is missing.

    Raises
    ------
    DataError
        If they are no array of numbers with ``n_axes`` axes, or one is infinite.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} is ragged or holds no numbers; accepted are numbers, NaN where missing.") from None
    if array.ndim != n_axes:
        raise DataError(f"{name} has shape {array.shape}; accepted are {n_axes} axes. Reshape or select first.")
    if np.isinf(array).any():
        raise DataError(f"{name} holds {np.isinf(array).sum()} infinite values; accepted are finite ones, or NaN.")
    return array


def small_sample_level(level: float, n: int) -> float:
    r"""Return the level at which a percentile interval from n values covers about ``level``.

    Percentiles of resampled means are too narrow for few values: they use the normal quantile where
    Student's is due, and the spread without Bessel's correction. Both are made up for by percentiles further
    out, with :math:`\Phi(-\sqrt{n / (n - 1)} \, t_{n - 1})` left outside on each side.

    Parameters
    ----------
    level : float
        Confidence level wanted, between 0 and 1.
    n : int
        Number of values that are resampled, at least 2.

    References
    ----------
    .. [1] T. C. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69(4),
       2015, arXiv:1411.5279.
    """
    quantile = float(stats.t.ppf((1 + level) / 2, n - 1))
    return 1 - 2 * float(stats.norm.sf(math.sqrt(n / (n - 1)) * quantile))


def seed_interval(values: ArrayLike, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0) -> Interval:
    """Return the mean over seeds with its bootstrap interval.

    Parameters
    ----------
    values : array_like, shape [S]
        One figure for each seed. A NaN (a failed seed) makes the result NaN: the mean of the seeds that went
        well is another figure, so leave failures out by hand and report their number.
    level : float, default=0.95
        Confidence level, between 0 and 1.
    n_resamples : int, default=2000
        Number of resamples.
    seed : int, default=0
        Seed of the resampling.

    Returns
    -------
    Interval
        ``low`` and ``high`` are NaN for fewer than two seeds: one seed says nothing about its spread.

    Raises
    ------
    DataError
        If ``values`` is no vector of numbers.
    ParameterError
        If a setting is out of its range.

    Notes
    -----
    Percentiles are those of :func:`small_sample_level`. No resampled mean leaves the range of the values, so
    the interval of S seeds covers at most about :math:`1 - 2^{1 - S}`: half for two seeds, 94 % for five. If
    all values are equal it has no width.

    Examples
    --------
    >>> seed_interval([0.8, 0.9])
    Interval(value=0.85..., low=0.8, high=0.9)
    >>> seed_interval([0.8])
    Interval(value=0.8, low=nan, high=nan)
    """
    check_bootstrap("seed_interval", level, n_resamples, seed)
    array = figures("values", values, 1)
    n = len(array)
    if n < 2 or np.isnan(array).any():
        return Interval(float(array.mean()) if n else math.nan, math.nan, math.nan)
    rows = np.random.default_rng(seed).integers(n, size=(n_resamples, n))
    return percentile_interval(array.mean(), array[rows].mean(1), small_sample_level(level, n))


def study_interval(
    values: Iterable[ArrayLike], *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> Interval:
    """Return the mean of the data sets' means with its bootstrap interval.

    Data sets are drawn with replacement, and for each one drawn its seeds. The interval is about data sets
    like these: it does not shrink when only seeds are added.

    Parameters
    ----------
    values : array_like, shape [D, S], or iterable of D vectors
        For each data set one figure for each seed; the numbers of seeds may differ. A NaN makes the result
        NaN.
    level, n_resamples, seed
        As for :func:`seed_interval`.

    Returns
    -------
    Interval
        ``low`` and ``high`` are NaN for fewer than two data sets.

    Raises
    ------
    DataError
        If a data set has no figure, or figures that are no numbers.
    ParameterError
        If a setting is out of its range.
    """
    check_bootstrap("study_interval", level, n_resamples, seed)
    sets = [figures("values of a data set", one, 1) for one in values]
    if any(len(one) == 0 for one in sets):
        raise DataError("A data set has no figure; at least one is needed. Leave the data set out and say so.")
    means = np.array([one.mean() for one in sets])
    n = len(sets)
    if n < 2 or np.isnan(means).any():
        return Interval(float(means.mean()) if n else math.nan, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(n, size=(n_resamples, n))
    resampled = np.empty(drawn.shape)
    for d, one in enumerate(sets):
        places = drawn == d
        resampled[places] = one[rng.integers(len(one), size=(places.sum(), len(one)))].mean(1)
    return percentile_interval(means.mean(), resampled.mean(1), small_sample_level(level, n))
