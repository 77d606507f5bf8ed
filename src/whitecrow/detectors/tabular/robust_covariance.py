"""Minimum covariance determinant: Rousseeuw and Van Driessen, Technometrics 41(3), 1999."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, Positive, Range
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.nn import Networks, derive_seed

__all__ = ["RobustCovariance"]

_CONTAMINATED_SUPPORT = 0.75
_BLOCK_NUMBERS = 1 << 21
# The ridge is a share of the support's mean variance, or of this share of the other rows' spread if that is more: a
# support of many copies of one row has no extent, and every other row would be infinitely far from it.
_LEAST_EXTENT = 0.01


class RobustCovariance(Detector):
    r"""Fit mean and covariance to the most central training rows; score a row by its Mahalanobis distance to them.

    Of the training rows a share h, the support H, is sought whose covariance has the smallest determinant. A
    concentration step takes the mean :math:`\mu` and the covariance :math:`\Sigma` of the support, and as the next
    support the rows nearest to them, which never raises the determinant (theorem 1):

    .. math:: d(x) = \sqrt{(x - \mu)^\top (\Sigma + \epsilon I)^{-1} (x - \mu)}, \qquad
        H \leftarrow \{\text{the } hN \text{ rows of smallest } d\}

    until the support repeats. The score is d.

    Parameters
    ----------
    support : float from 0.5 to 1 or None, default=None
        Share h of the training rows. The others have no influence, be they as far away as they like. None takes 0.75
        where training rows may be anomalous (the contaminated regime), else 1: the plain mean and covariance.
    ridge : float, default=0.01
        :math:`\epsilon` as a share of the mean variance of the support. Directions without variance in training get a
        finite weight, and there may be more columns than rows.
    max_steps : int, default=30
        Most concentration steps.
    max_rows : int or None, default=20_000
        Of more training rows, the steps run on a random sample of so many, and a last one on all. None runs all steps
        on all rows.
    scaling : {"robust", "standard", "minmax", "none"}, default="robust"
        As for every detector. It decides where the steps start and what the ridge means.
    clip : float or None, default=10.0
        Largest magnitude of a scaled number.

    Notes
    -----
    The paper starts from many random supports and keeps the best end. Here the steps start from the rows nearest to
    the medians of the columns, so that a fit has one outcome for any seed, up to ``max_rows`` rows. No factor makes
    the covariance consistent at a normal distribution: it would change all scores alike.

    The square of the score is :math:`\lVert W (x - \mu) \rVert^2` with the symmetric :math:`W = (\Sigma + \epsilon
    I)^{-1/2}`, a sum over the features, whose terms divided by the score are the feature scores.

    References
    ----------
    .. [1] P. J. Rousseeuw, K. Van Driessen, "A Fast Algorithm for the Minimum Covariance Determinant Estimator",
       Technometrics 41(3), 1999. doi:10.1080/00401706.1999.10485670
    """

    paper: ClassVar[str] = "Rousseeuw & Van Driessen, Technometrics 1999"
    year: ClassVar[int] = 1999
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"
    chunk_rows: ClassVar[int] = 256

    support: Annotated[float, Range(0.5, 1)] | None = None
    ridge: Positive = 0.01
    max_steps: Count = 30
    max_rows: Count | None = 20_000
    scaling: Literal["standard", "robust", "minmax", "none"] = "robust"
    clip: Positive | None = 10.0

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        share = self.support
        if share is None:
            share = _CONTAMINATED_SUPPORT if self.regime == "contaminated" else 1.0
        sample = X
        if self.max_rows is not None and len(X) > self.max_rows:
            generator = torch.Generator().manual_seed(derive_seed(seed, "sample"))
            sample = X[torch.randperm(len(X), generator=generator)[: self.max_rows].to(X.device)]
        median = sample.double().median(0).values
        start = _distances(sample, median, torch.eye(len(median), dtype=torch.float64, device=X.device))
        away = start[start > 0]
        least = _LEAST_EXTENT * float(away.square().median()) / len(median) if len(away) else 1.0
        centre, whitening = self._concentrate(sample, share, start, least)
        if len(sample) < len(X):
            chosen = _nearest(_distances(X, centre, whitening), share)
            centre, whitening = self._moments(X[chosen], least)
        return Networks(centre=centre, whitening=whitening)

    def _concentrate(self, X: Tensor, share: float, distances: Tensor, least: float) -> tuple[Tensor, Tensor]:
        """Return centre and whitening of the support at which the steps end that start from these distances."""
        chosen = _nearest(distances, share)
        centre, whitening = self._moments(X[chosen], least)
        for _ in range(self.max_steps):
            before, chosen = chosen, _nearest(_distances(X, centre, whitening), share)
            if torch.equal(chosen, before):
                break
            centre, whitening = self._moments(X[chosen], least)
        return centre, whitening

    def _moments(self, X: Tensor, least: float) -> tuple[Tensor, Tensor]:
        r"""Return the mean of rows and the symmetric :math:`(\Sigma + \epsilon I)^{-1/2}`."""
        centre = X.mean(0, dtype=torch.float64)
        covariance = torch.zeros(X.shape[1], X.shape[1], dtype=torch.float64, device=X.device)
        for block in _blocks(X):
            rows = block.double() - centre
            covariance.addmm_(rows.mT, rows, alpha=1 / len(X))
        variances, directions = torch.linalg.eigh(covariance)
        variances = variances.clamp_min(0)
        variances += self.ridge * max(float(variances.mean()), least)
        whitening = (directions * variances.rsqrt()) @ directions.mT
        return centre, (whitening + whitening.mT) / 2

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return _distances(x, net.centre, net.whitening)

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        squares = ((x.double() - net.centre) @ net.whitening).square()
        distance = squares.sum(-1, keepdim=True).sqrt()
        return squares / distance.where(distance > 0, 1.0)

    def check_buffers(self, net: Networks) -> None:
        d, real = self.spec_.n_features, torch.float64
        check_layout("RobustCovariance", net, centre=(real, (d,)), whitening=(real, (d, d)))
        if not torch.equal(net.whitening, net.whitening.mT):
            refuse("RobustCovariance", "its whitening matrix is not symmetric")


def _distances(X: Tensor, centre: Tensor, whitening: Tensor) -> Tensor:
    return torch.cat([((rows.double() - centre) @ whitening).square().sum(-1).sqrt() for rows in _blocks(X)])


def _nearest(distances: Tensor, share: float) -> Tensor:
    """Return the places of the share of rows with the smallest distances, in order; equal ones by their place."""
    n = math.ceil(share * len(distances))
    return distances.sort(stable=True).indices[:n].sort().values


def _blocks(X: Tensor) -> tuple[Tensor, ...]:
    return X.split(max(_BLOCK_NUMBERS // X.shape[1], 1))
