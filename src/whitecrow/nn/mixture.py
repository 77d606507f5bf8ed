"""What models of codes and residuals by a Gaussian mixture share: in float64, by Cholesky factors and log-sum-exp."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Mixture",
    "ResidualMeasure",
    "estimate_mixture",
    "joint_log_density",
    "mixture_energy",
    "residual_features",
]

ResidualMeasure = Literal["euclidean", "relative", "cosine"]

_LEAST_NORM = 0.01  # per feature: a row of zeros is not infinitely far from its reconstruction
_RELATIVE_FLOOR = 1e-6  # of a covariance's mean variance
_EMPTY = 1e-12
_NEVER = -1e30  # the log-weight of a component that is left out: finite, so that it can be saved


class Mixture(NamedTuple):
    r"""A mixture of K Gaussians in D dimensions, or R of them stacked.

    Attributes
    ----------
    log_weights : Tensor [..., 1, K], float64
        :math:`\log \phi_k`. The 1 stands for the rows of a batch.
    means : Tensor [..., K, D], float64
        :math:`\mu_k`.
    scale : Tensor [..., K, D, D], float64
        Lower triangular :math:`L_k` with :math:`L_k L_k^\top = \Sigma_k`.
    """

    log_weights: Tensor
    means: Tensor
    scale: Tensor

    @property
    def variances(self) -> Tensor:
        r"""The diagonals of the covariances, ``[..., K, D]``."""
        return self.scale.square().sum(-1)

    @property
    def log_peaks(self) -> Tensor:
        r"""The log-densities at the means, :math:`\log N(\mu_k; \mu_k, \Sigma_k)`, ``[..., 1, K]``."""
        constant = 0.5 * self.means.shape[-1] * math.log(2 * math.pi)
        return -(self.scale.diagonal(dim1=-2, dim2=-1).log().sum(-1) + constant).unsqueeze(-2)

    @property
    def least_energy(self) -> Tensor:
        """A bound that no row's energy is below, reached where all means coincide, ``[..., 1]``."""
        return -torch.logsumexp(self.log_weights + self.log_peaks, -1)


def estimate_mixture(
    z: Tensor, membership: Tensor, weight: Tensor | None = None, *, floor: float = 1e-6, least_share: float = 0.0
) -> Mixture:
    r"""Return the mixture with the weights, means and covariances of softly assigned rows.

    .. math:: \phi_k = \tfrac1N \sum_i \gamma_{ik}, \qquad
        \mu_k = \frac{\sum_i \gamma_{ik} z_i}{\sum_i \gamma_{ik}}, \qquad
        \Sigma_k = \frac{\sum_i \gamma_{ik} (z_i - \mu_k)(z_i - \mu_k)^\top}{\sum_i \gamma_{ik}} + \epsilon_k I

    Gradients flow through all three.

    Parameters
    ----------
    z : Tensor [..., N, D]
        Rows.
    membership : Tensor [..., N, K]
        :math:`\gamma`, at least 0, of sum 1 over the components.
    weight : Tensor [..., N], optional
        Weights of the rows, at least 0.
    floor : float, default=1e-6
        :math:`\epsilon_k` is this plus a millionth of the mean variance of the component, so that no covariance is
        singular.
    least_share : float, default=0
        Components with a smaller :math:`\phi_k` are left out, whatever the distance.
    """
    z, gamma = z.double(), membership.double()
    if weight is not None:
        gamma = gamma * weight.unsqueeze(-1)
    mass = gamma.sum(-2)
    phi = mass / mass.sum(-1, keepdim=True).clamp_min(_EMPTY)
    share = gamma / mass.clamp_min(_EMPTY).unsqueeze(-2)
    means = share.mT @ z
    centred = z.unsqueeze(-3) - means.unsqueeze(-2)  # [..., K, N, D]
    covariances = (centred * share.mT.unsqueeze(-1)).mT @ centred
    variance = covariances.diagonal(dim1=-2, dim2=-1).mean(-1)
    epsilon = (_RELATIVE_FLOOR * variance + floor)[..., None, None]
    identity = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    # Without the check of cholesky(): numbers that are not finite are the trainer's to report.
    scale = torch.linalg.cholesky_ex(covariances + epsilon * identity).L
    log_phi = phi.clamp_min(_EMPTY).log()
    if least_share:
        log_phi = torch.where(phi < least_share, _NEVER, log_phi)
    return Mixture(log_phi.unsqueeze(-2), means, scale)


def mixture_energy(z: Tensor, mixture: Mixture) -> Tensor:
    r"""Return the negative log-density of rows under a mixture.

    .. math:: E(z) = -\log \sum_k \phi_k N(z; \mu_k, \Sigma_k)

    Parameters
    ----------
    z : Tensor [..., N, D]
        Rows, of any finite size: the energy grows with the square of the distance and does not saturate.
    mixture : Mixture
        With the same leading axes.

    Returns
    -------
    Tensor [..., N], float64
        Not bounded below: a narrow component has a density above 1.
    """
    return -torch.logsumexp(joint_log_density(z, mixture), -1)


def joint_log_density(z: Tensor, mixture: Mixture) -> Tensor:
    r"""Return :math:`\log \phi_k N(z; \mu_k, \Sigma_k)` for each row and component.

    Its softmax over the components is their share in a row.

    Parameters
    ----------
    z, mixture
        As for :func:`mixture_energy`.

    Returns
    -------
    Tensor [..., N, K], float64
    """
    centred = z.double().unsqueeze(-3) - mixture.means.unsqueeze(-2)
    u = torch.linalg.solve_triangular(mixture.scale, centred.mT, upper=False)  # [..., K, D, N]
    log_density = mixture.log_peaks - 0.5 * u.square().sum(-2).mT  # [..., N, K]
    return mixture.log_weights + log_density


def residual_features(x: Tensor, rebuilt: Tensor, measures: Sequence[ResidualMeasure]) -> Tensor:
    r"""Return measures of how a row and its reconstruction differ.

    Parameters
    ----------
    x, rebuilt : Tensor [..., D]
        Rows and their reconstructions.
    measures : sequence of {"euclidean", "relative", "cosine"}
        :math:`\lVert x - x' \rVert / \sqrt D`, :math:`\lVert x - x' \rVert / \lVert x \rVert`, and
        :math:`x \cdot x' / (\lVert x \rVert \, \lVert x' \rVert)`, where a norm below :math:`0.01 \sqrt D` counts as
        that.

    Returns
    -------
    Tensor [..., len(measures)], float64
    """
    x, rebuilt = x.double(), rebuilt.double()
    root = math.sqrt(x.shape[-1])
    # Adding under the root keeps its slope finite where a row is rebuilt exactly.
    distance = ((x - rebuilt).square().sum(-1) + 1e-12).sqrt()
    norm = x.norm(dim=-1).clamp_min(_LEAST_NORM * root)
    features = []
    for measure in measures:
        if measure == "euclidean":
            features.append(distance / root)
        elif measure == "relative":
            features.append(distance / norm)
        else:
            norm_rebuilt = (rebuilt.square().sum(-1) + 1e-24).sqrt().clamp_min(_LEAST_NORM * root)
            features.append((x * rebuilt).sum(-1) / (norm * norm_rebuilt))
    return torch.stack(features, -1)
