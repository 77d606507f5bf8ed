"""Thresholds from scores alone: the empirical quantile, and an extrapolated tail."""

import math
import warnings
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.calibrate.inputs import finite_vector
from whitecrow.calibrate.threshold import Threshold
from whitecrow.core.errors import ParameterError, WhitecrowWarning
from whitecrow.core.parameters import Contamination, Range

__all__ = ["PeaksOverThreshold", "Quantile"]

# Below this many distinct exceedances a two-parameter tail is guesswork.
_MIN_DISTINCT = 10

OpenUnit = Annotated[float, Range(0, 1, low_open=True, high_open=True)]


def _share(value: float) -> str:
    return f"{100 * value:.6g} %"


def _n_allowed(share: float, n: int) -> int:
    """Return the largest k with k / n <= share, whatever the rounding of share * n."""
    k = round(share * n)
    return k if k / n <= share else k - 1


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """Return the smallest t such that at most ``share`` of the values lie strictly above t."""
    kth = len(values) - 1 - _n_allowed(share, len(values))
    return float(np.partition(values, kth)[kth])


@dataclass(frozen=True)
class Quantile(Threshold):
    """The smallest threshold that flags at most a given share of the scores.

    It is always one of the scores. With ties at the boundary fewer rows than the share are flagged, never
    more; of constant scores none.

    Parameters
    ----------
    contamination : float
        Largest share of the scores that may lie above, from 0 to 0.5. With 0 the threshold is the highest
        score.

    Examples
    --------
    >>> Quantile(0.25).fit([1.0, 2.0, 3.0, 4.0])
    3.0
    """

    name: ClassVar[str] = "quantile"

    contamination: Contamination

    @property
    def source(self) -> str:
        """What the threshold means."""
        if self.contamination == 0:
            return "the highest of the scores it was fitted on; none of them lies above"
        return f"at most {_share(self.contamination)} of the scores it was fitted on lie above"

    def fit(self, scores: ArrayLike, y: ArrayLike | None = None) -> float:
        """Return the threshold; see :meth:`Threshold.fit`."""
        return _quantile(finite_vector("scores", scores), self.contamination)


@dataclass(frozen=True)
class PeaksOverThreshold(Threshold):
    r"""A threshold for a risk too small to count, from a generalised Pareto tail.

    The excesses of the highest scores over their ``level`` quantile :math:`u` follow a generalised Pareto law
    with shape :math:`\gamma` and scale :math:`\sigma`. With :math:`n_u` of :math:`n` scores above u,

    .. math:: z = u + \frac{\sigma}{\gamma}\left[\left(\frac{risk\; n}{n_u}\right)^{-\gamma} - 1\right].

    Parameters
    ----------
    risk : float, default=1e-3
        Probability that a score like those of the fit lies above, below ``1 - level``.
    level : float, default=0.98
        Share of the scores below the tail, between 0 and 1.

    Notes
    -----
    Shape and scale are the estimate of Zhang and Stephens [2]_, a posterior mean over a grid: unlike maximum
    likelihood it always exists, needs no optimiser and is stable in small samples. With fewer than ten
    distinct excesses, or where they span less than rounding, the threshold is that of :class:`Quantile` for
    the same risk, and a warning says so.

    References
    ----------
    .. [1] A. Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017.
    .. [2] J. Zhang, M. A. Stephens, "A New and Efficient Estimation Method for the Generalized Pareto
       Distribution", Technometrics 51(3), 2009.
    """

    name: ClassVar[str] = "peaks-over-threshold"

    risk: OpenUnit = 1e-3
    level: OpenUnit = 0.98

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.risk + self.level >= 1:
            raise ParameterError(
                f"PeaksOverThreshold(risk={self.risk:g}, level={self.level:g}): risk must be below 1 - "
                "level. Choose a lower level or risk, or use Quantile for a share that can be counted."
            )

    @property
    def source(self) -> str:
        """What the threshold means."""
        return (
            f"a score like those it was fitted on lies above with probability {self.risk:g} (generalised "
            f"Pareto tail over the {_share(self.level)} quantile)"
        )

    def fit(self, scores: ArrayLike, y: ArrayLike | None = None) -> float:
        """Return the threshold; see :meth:`Threshold.fit`.

        Warns
        -----
        WhitecrowWarning
            If the tail is too poor and the empirical quantile was taken.
        """
        values = finite_vector("scores", scores)
        start = _quantile(values, 1 - self.level)
        # Halves cannot overflow, and the factor cancels below.
        excess = values[values > start] / 2 - start / 2
        excess = excess[excess > 0]
        distinct = len(np.unique(excess))
        if distinct >= _MIN_DISTINCT:
            top = float(excess.max())
            unit = top * float((excess / top).mean())
            shape, scale = _fit_pareto(excess / unit)
            # expm1 stays exact near an exponential tail, where the shape is almost 0.
            log_ratio = math.log(len(excess) / (len(values) * self.risk))
            reach = _expm1(shape * log_ratio) / shape
            threshold = start + 2 * unit * scale * max(reach, 0.0)
            if math.isfinite(threshold):
                return threshold
        warnings.warn(
            f"PeaksOverThreshold found no tail to extrapolate: {distinct} distinct scores lie above the "
            f"{_share(self.level)} quantile, and at least {_MIN_DISTINCT} of a plausible law are needed. The "
            "threshold is the empirical quantile instead. Pass more scores or a lower level.",
            WhitecrowWarning,
            stacklevel=2,
        )
        return _quantile(values, self.risk)


def _expm1(value: float) -> float:
    try:
        return math.expm1(value)
    except OverflowError:
        return math.inf


def _fit_pareto(excess: NDArray[np.float64]) -> tuple[float, float]:
    r"""Return shape and scale of a generalised Pareto law by the estimator of Zhang and Stephens.

    With :math:`\theta = \gamma / \sigma` the profile log-likelihood is
    :math:`n (\log(\theta/\gamma) - \gamma - 1)` where :math:`\gamma = \mathrm{mean} \log(1 + \theta e)`.
    Theta is averaged over a data-driven grid with the likelihood as weight.

    Parameters
    ----------
    excess : ndarray of float, shape [n]
        Above 0, in units of their mean.
    """
    n = len(excess)
    n_grid = 20 + math.isqrt(n)
    first_quartile = max(0, math.floor(n / 4 + 0.5) - 1)
    # A quarter of near-copies of the level quantile must not blow the grid up.
    quartile = max(float(np.partition(excess, first_quartile)[first_quartile]), 1e-9)
    spread = np.sqrt(n_grid / (np.arange(1, n_grid + 1) - 0.5)) - 1
    theta = np.array([_away_from_zero(t) for t in spread / (3 * quartile) - 1 / excess.max()])
    shape = np.array([np.log1p(t * excess).mean() for t in theta])
    likelihood = n * (np.log(theta / shape) - shape - 1)
    weight = np.exp(likelihood - likelihood.max())
    centre = _away_from_zero(float(theta @ weight / weight.sum()))
    fitted = float(np.log1p(centre * excess).mean())
    return fitted, fitted / centre


def _away_from_zero(theta: float) -> float:
    # Theta = 0 is the exponential law, where shape / theta would be 0 / 0.
    return theta if abs(theta) > 1e-12 else 1e-12
