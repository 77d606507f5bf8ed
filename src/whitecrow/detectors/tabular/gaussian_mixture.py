"""Gaussian mixture by expectation maximisation (Dempster et al., 1977), trimmed as by Neykov et al. (2007)."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, Positive, Range
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.nn import Networks, derive_seed
from whitecrow.nn.mixture import Mixture, joint_log_density, mixture_energy

__all__ = ["GaussianMixture"]

_CONTAMINATED_SUPPORT = 0.75
_ROWS_PER_COMPONENT = 20
_BLOCK_NUMBERS = 1 << 20
_EMPTY = 1e-6  # rows
# Of the largest variance of a component: the digits of float64 tell no smaller ones from 0.
_RELATIVE_FLOOR = 1e-9


class GaussianMixture(Detector):
    r"""Fit a mixture of Gaussians to the training rows; score a row by its negative log-density.

    .. math:: s(x) = -\log \sum_{k=1}^{K} \phi_k N(x; \mu_k, \Sigma_k)

    Each iteration takes the responsibilities :math:`\gamma_{ik} \propto \phi_k N(x_i; \mu_k, \Sigma_k)` of the
    training rows, then the :math:`\phi_k, \mu_k, \Sigma_k` of the rows with these weights. With a support h below 1
    it does both for the hN rows of highest density alone.

    Parameters
    ----------
    n_components : int, default=5
        Number K of Gaussians, at most a twentieth of the training rows. Their covariances are full.
    support : float from 0.5 to 1 or None, default=None
        Share h of the training rows that the mixture is fitted to. None takes 0.75 where training rows may be
        anomalous (the contaminated regime), else 1.
    least_variance : float, default=0.01
        No covariance has a smaller eigenvalue. In squared units of the scaled columns.
    max_iterations : int, default=50
        Most iterations.
    tolerance : float, default=1e-4
        The iterations end where the mean log-density of the support rises by less.
    max_rows : int or None, default=20_000
        Of more training rows a random sample of so many is taken. None takes any number.
    clip : float or None, default=10.0
        Largest magnitude of a scaled number.

    Notes
    -----
    Covariances with a lower bound of their eigenvalues still allow exact maximisation: the bound replaces the smaller
    ones. So, with and without support, the mean log-density of the support never falls, except where a component
    without rows is left out. At the start, K distant rows [3]_ are drawn among the hN nearest to the medians of the
    columns, so that no component begins at a group of anomalies, and each of these belongs to the nearest of the K.

    References
    ----------
    .. [1] A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm",
       Journal of the Royal Statistical Society B 39(1), 1977.
    .. [2] N. Neykov, P. Filzmoser, R. Dimova, P. Neytchev, "Robust Fitting of Mixtures Using the Trimmed Likelihood
       Estimator", Computational Statistics & Data Analysis 52(1), 2007.
    .. [3] D. Arthur, S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
    """

    paper: ClassVar[str] = "Dempster et al., JRSS B 1977; Neykov et al., CSDA 2007"
    year: ClassVar[int] = 1977
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"
    chunk_rows: ClassVar[int] = 256

    n_components: Count = 5
    support: Annotated[float, Range(0.5, 1)] | None = None
    least_variance: Positive = 0.01
    max_iterations: Count = 50
    tolerance: Positive = 1e-4
    max_rows: Count | None = 20_000
    clip: Positive | None = 10.0

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        share = self.support
        if share is None:
            share = _CONTAMINATED_SUPPORT if self.regime == "contaminated" else 1.0
        generator = torch.Generator().manual_seed(derive_seed(seed, "mixture"))
        if self.max_rows is not None and len(X) > self.max_rows:
            X = X[torch.randperm(len(X), generator=generator)[: self.max_rows].to(X.device)]
        z = X.double()
        n_components = min(int(self.n_components), max(len(z) // _ROWS_PER_COMPONENT, 1))
        central = _highest(-(z - z.median(0).values).square().sum(1), share)
        mixture, before = self._maximise(z[central], _nearest_seed(z[central], n_components, generator)), -math.inf
        for _ in range(self.max_iterations):
            joint = _joint(z, mixture)
            density = joint.logsumexp(1)
            kept = _highest(density, share)
            level = float(density[kept].mean())
            if level - before < self.tolerance:
                break
            mixture, before = self._maximise(z[kept], joint[kept].softmax(1)), level
        return Networks(**mixture._asdict())

    def _maximise(self, z: Tensor, membership: Tensor) -> Mixture:
        """Return the most likely mixture of rows ``[N, D]`` with responsibilities ``[N, K]``."""
        mass = membership.sum(0)
        membership, mass = membership[:, mass > _EMPTY], mass[mass > _EMPTY]
        means = (membership.mT @ z) / mass.unsqueeze(1)
        covariances = z.new_zeros(len(mass), z.shape[1], z.shape[1])
        for rows, weights in zip(_blocks(z), _blocks(membership, z.shape[1]), strict=True):
            for k, mean in enumerate(means):
                centred = rows - mean
                covariances[k].addmm_((centred * weights[:, k : k + 1]).mT, centred)
        variances, directions = torch.linalg.eigh(covariances / mass[:, None, None])
        floor = (_RELATIVE_FLOOR * variances[:, -1:]).clamp_min(self.least_variance)
        bounded = (directions * variances.maximum(floor).unsqueeze(1)) @ directions.mT
        scale = torch.linalg.cholesky(bounded)
        return Mixture((mass / mass.sum()).log().unsqueeze(0), means, scale)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return mixture_energy(x, Mixture(net.log_weights, net.means, net.scale))

    def check_buffers(self, net: Networks) -> None:
        d, real = self.spec_.n_features, torch.float64
        k = len(net.means) if hasattr(net, "means") and net.means.dim() else 0
        check_layout(
            "GaussianMixture", net, log_weights=(real, (1, k)), means=(real, (k, d)), scale=(real, (k, d, d))
        )  # fmt: skip
        if not 1 <= k <= self.n_components or bool((net.log_weights > 0).any()):
            refuse("GaussianMixture", f"it has {k} components, or weights above 1")
        if bool((net.scale.diagonal(dim1=-2, dim2=-1) <= 0).any()) or not torch.equal(net.scale, net.scale.tril()):
            refuse("GaussianMixture", "the factors of its covariances are not lower triangular and positive")


def _highest(values: Tensor, share: float) -> Tensor:
    """Return the places of the share of rows with the highest values, in order; equal ones by their place."""
    n = math.ceil(share * len(values))
    return values.sort(descending=True, stable=True).indices[:n].sort().values


def _nearest_seed(z: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return to which of at most n rows, drawn by k-means++, each row is nearest, ``[N, n]`` of 0 and 1."""
    place = int(torch.randint(len(z), (), generator=generator))
    distance = (z - z[place]).square().sum(1)
    nearest = torch.zeros(len(z), dtype=torch.int64, device=z.device)
    for k in range(1, n):
        reached = distance.cumsum(0)
        if reached[-1] == 0:
            break  # no other row is left
        drawn = torch.rand((), generator=generator, dtype=torch.float64).to(z.device) * reached[-1]
        place = int(torch.searchsorted(reached, drawn, right=True).clamp_max(len(z) - 1))
        other = (z - z[place]).square().sum(1)
        nearest, distance = torch.where(other < distance, k, nearest), other.minimum(distance)
    return torch.nn.functional.one_hot(nearest, n).double()


def _joint(z: Tensor, mixture: Mixture) -> Tensor:
    """Return the joint log-densities ``[N, K]`` of rows and components."""
    return torch.cat([joint_log_density(rows, mixture) for rows in _blocks(z, z.shape[1] * len(mixture.means))])


def _blocks(values: Tensor, width: int | None = None) -> tuple[Tensor, ...]:
    """Return the rows in blocks, as many at a time as have so many numbers together, ``width`` to a row."""
    return values.split(max(_BLOCK_NUMBERS // (width or values.shape[1]), 1))
