"""How a detector degrades as anomalies contaminate its training data, and where it breaks down."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import check
from whitecrow.metrics.intervals import Level, check_bootstrap
from whitecrow.study.statistics.intervals import figures, small_sample_level

__all__ = ["Breakdown", "Degradation", "degradation"]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The share of contamination at which a detector has lost too much.

    Attributes
    ----------
    share : float
        Interpolated between measured shares; ``inf`` if the detector does not break down within them, 0 if it
        is no better than chance on clean data, NaN if no curve is complete.
    low, high : float
        Ends of the interval, either of which may be ``inf``; NaN for fewer than two curves.
    largest : float
        Largest share measured.
    """

    share: float
    low: float
    high: float
    largest: float

    def __str__(self) -> str:
        if math.isnan(self.share):
            return "unknown: no complete curve"
        text = self._percent(self.share)
        if math.isnan(self.low):
            return f"{text} (no interval from one seed)"
        return f"{text} ({self._percent(self.low)} to {self._percent(self.high)})"

    def _percent(self, share: float) -> str:
        return f"beyond {100 * self.largest:.3g} %" if math.isinf(share) else f"{100 * share:.3g} %"


@dataclass(frozen=True, slots=True)
class Degradation:
    """Mean score over the shares of contamination.

    Attributes
    ----------
    shares : ndarray of float, shape [C]
        Shares of contamination, 0 first.
    mean, low, high : ndarray of float, shape [C]
        Mean over seeds and the ends of its interval at each share; the ends are NaN for fewer than two seeds.
    breakdown : Breakdown
        Where the mean falls below the tolerated score.
    n_seeds, n_dropped : int
        Curves used, and curves left out because a figure is missing.
    """

    shares: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    breakdown: Breakdown
    n_seeds: int
    n_dropped: int


def degradation(
    shares: ArrayLike,
    values: ArrayLike,
    *,
    fraction: float = 0.9,
    chance: float = 0.0,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Degradation:
    r"""Return the degradation curve of a detector and its breakdown point.

    The breakdown point is the first share at which the mean falls below

    .. math:: chance + fraction \cdot (\bar v_0 - chance)

    with the mean :math:`\bar v_0` on clean data, interpolated linearly between the shares measured. A curve
    that comes back up later has broken down all the same.

    Parameters
    ----------
    shares : array_like, shape [C]
        Shares of contamination, rising from 0.
    values : array_like, shape [C, S]
        Figures at each share and seed; higher = better. The curve of a seed with a NaN is left out and
        counted, because curves are resampled whole.
    fraction : float, default=0.9
        Part of the clean score's distance above chance that must be kept, between 0 and 1.
    chance : float, default=0.0
        Score of guessing, such as 0.5 for AUROC and the share of anomalies for average precision.
    level, n_resamples, seed
        As for :func:`~whitecrow.study.statistics.intervals.seed_interval`.

    Returns
    -------
    Degradation
        With intervals from resampling seeds as whole curves, each resample measured against its own clean
        mean.

    Raises
    ------
    DataError
        If the shares do not rise from 0 to at most 1, or do not fit the values.
    ParameterError
        If a setting is out of its range.

    Examples
    --------
    >>> curve = degradation([0, 0.1, 0.2], [[0.9, 0.9], [0.85, 0.85], [0.75, 0.75]])
    >>> print(curve.breakdown)
    14 % (14 % to 14 %)
    """
    check_bootstrap("degradation", level, n_resamples, seed)
    check("degradation", "fraction", fraction, Level)
    check("degradation", "chance", chance, float)
    at, array = _checked(shares, values)
    curves = array[:, ~np.isnan(array).any(0)].T
    n = len(curves)
    unknown = np.full(len(at), math.nan)
    mean = curves.mean(0) if n else unknown
    share = float(_first_crossing(at, mean[None], fraction, chance)[0]) if n else math.nan
    low, high, ends = unknown, unknown, (math.nan, math.nan)
    if n >= 2:
        rows = np.random.default_rng(seed).integers(n, size=(n_resamples, n))
        means = curves[rows].mean(1)  # [R, C]
        tail = (1 - small_sample_level(level, n)) / 2
        low, high = np.quantile(means, (tail, 1 - tail), axis=0)
        crossings = _first_crossing(at, means, fraction, chance)
        # No interpolation between percentiles: half-way to infinity is not a number.
        ends = (
            float(np.quantile(crossings, tail, method="lower")),
            float(np.quantile(crossings, 1 - tail, method="higher")),
        )
    return Degradation(at, mean, low, high, Breakdown(share, *ends, float(at[-1])), n, array.shape[1] - n)


def _first_crossing(
    shares: NDArray[np.float64], means: NDArray[np.float64], fraction: float, chance: float
) -> NDArray[np.float64]:
    """Return for each mean curve [R, C] the share at which it first falls below what is tolerated, or inf."""
    clean = means[:, 0]
    tolerated = chance + fraction * (clean - chance)
    below = means < tolerated[:, None]
    crossing = np.full(len(means), math.inf)
    rows = np.flatnonzero(below.any(1) & (clean > chance))
    after = below[rows].argmax(1)
    upper, lower = means[rows, after - 1], means[rows, after]
    part = (upper - tolerated[rows]) / (upper - lower)
    crossing[rows] = shares[after - 1] + part * (shares[after] - shares[after - 1])
    crossing[clean <= chance] = 0.0
    return crossing


def _checked(shares: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at, array = figures("shares", shares, 1), figures("values", values, 2)
    rising = len(at) > 0 and at[0] == 0 and at[-1] <= 1 and bool((np.diff(at) > 0).all())
    if not rising:
        raise DataError(
            f"shares is {at.tolist()}; accepted are shares that rise from 0 to at most 1. "
            "Sort them, and measure the clean score too: the breakdown point is relative to it."
        )
    if len(array) != len(at):
        raise DataError(
            f"values has {len(array)} rows for {len(at)} shares; accepted is one row [S] for each share. "
            "Transpose the values if their rows are seeds."
        )
    return at, array
