"""Deep autoencoding Gaussian mixture model (Zong et al., ICLR 2018)."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, Natural, NonNegative, Positive, Probability
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Activation,
    Mixture,
    Networks,
    ResidualMeasure,
    estimate_mixture,
    hidden_width,
    mixture_energy,
    mlp,
    reconstruction_error,
    residual_features,
    squared_error,
)
from whitecrow.train import Batch, Execution, Objective, Stage

__all__ = ["DAGMM"]

_CHUNK = 8192
_LEAST_SHARE = 1e-3  # a component with less of the training rows is no part of the final mixture


class DAGMM(DeepDetector):
    r"""Model the code of a row and the error of its reconstruction by a Gaussian mixture that is learnt with them.

    .. math:: s(x) = E(z) - E_0, \qquad E(z) = -\log \sum_{k=1}^{K} \phi_k N(z; \mu_k, \Sigma_k), \qquad
        z = [z_c, z_r] = [h(x), f(x, x')]                                                            (eqs. 1-3, 6)

    An estimation network gives soft memberships :math:`\hat\gamma = \operatorname{softmax}(M(z))`, from which
    :math:`\phi`, :math:`\mu` and :math:`\Sigma` of a batch follow (eqs. 4, 5). Everything is trained together on

    .. math:: \operatorname{mean}_i \lVert x_i - x'_i \rVert^2 + \lambda_1 \operatorname{mean}_i E(z_i)
        + \lambda_2 \sum_k \sum_j 1 / \Sigma_{kjj}                                                         (eq. 7)

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the decoder mirrors them. None takes two layers, h and
        h / 2, where h is the power of two nearest to D, from 16 to 256.
    latent_dim : int or None, default=None
        Width of the code :math:`z_c`. None takes D / 8, from 2 to 8: a batch has to fill covariances of this width.
    residuals : tuple of {"euclidean", "relative", "cosine"}, default=("euclidean", "cosine")
        What :math:`z_r` consists of: the distance between a row and its reconstruction, that distance in units of the
        row's norm, and the cosine of the angle between them. The paper's experiments have "relative" and "cosine".
    n_components : int, default=4
        K.
    estimator_dims : tuple of int, default=(10,)
        Widths of the hidden layers of the estimation network.
    activation : str, default="relu"
        Between layers of the autoencoder; the code and the output are linear. The paper has "tanh".
    dropout : float from 0 to 1 (excluded), default=0.5
        Probability of dropping a hidden value of the estimation network in training.
    energy_weight : float, default=0.1
        :math:`\lambda_1`.
    covariance_penalty : float, default=0.005
        :math:`\lambda_2`.
    covariance_floor : float, default=1e-6
        Added to the variances of the mixture, so that no covariance is singular.
    warm_up : int, default=5
        Epochs, before those of ``epochs``, that train the autoencoder alone.

    Notes
    -----
    :math:`E_0 = -\log \sum_k \phi_k N(\mu_k; \mu_k, \Sigma_k)` is a constant that no energy lies below: scores are at
    least 0, and those of replicas, whose codes have different units, can be averaged.

    The score uses one mixture, estimated on all training rows after training; no batch enters it. It is estimated
    after each epoch as well, so that early stopping measures rows that had no part in it. Components that hold less
    than a thousandth of the training rows are dropped.

    References
    ----------
    .. [1] B. Zong, Q. Song, M. R. Min, W. Cheng, C. Lumezanu, D. Cho, H. Chen, "Deep Autoencoding Gaussian Mixture
       Model for Unsupervised Anomaly Detection", ICLR 2018.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Zong et al., ICLR 2018"
    year: ClassVar[int] = 2018
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    residuals: tuple[ResidualMeasure, ...] = ("euclidean", "cosine")
    n_components: Count = 4
    estimator_dims: tuple[Count, ...] = (10,)
    activation: Activation = "relu"
    dropout: Probability = 0.5
    energy_weight: NonNegative = 0.1
    covariance_penalty: NonNegative = 0.005
    covariance_floor: Positive = 1e-6
    warm_up: Natural = 5
    clip_norm: Positive | None = 5.0

    def networks(self, spec: InputSpec) -> Networks:
        d, k = spec.n_features, int(self.n_components)
        h = hidden_width(d)
        hidden = self.hidden_dims if self.hidden_dims is not None else (h, max(h // 2, 2))
        latent = self.latent_dim if self.latent_dim is not None else min(max(round(d / 8), 2), 8)
        width = latent + len(self.residuals)
        return Networks(
            encoder=mlp(d, *hidden, latent, activation=self.activation),
            decoder=mlp(latent, *reversed(hidden), d, activation=self.activation),
            estimator=mlp(width, *self.estimator_dims, k, activation="tanh", dropout=self.dropout),
            log_phi=torch.zeros(1, k, dtype=torch.float64),
            mu=torch.zeros(k, width, dtype=torch.float64),
            scale=torch.eye(width, dtype=torch.float64).repeat(k, 1, 1),
        )

    def stages(self) -> Sequence[Stage]:
        autoencoder = Objective("reconstruction_loss", trains=("encoder", "decoder"))
        return Stage((autoencoder,), epochs=int(self.warm_up), name="warm-up", early_stop=False), Stage()

    def reconstruction_loss(self, net: Networks, batch: Batch) -> Tensor:
        return batch.mean(reconstruction_error(batch.x, net.encoder, net.decoder))

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        z, error = self._features(net, batch.x)
        mixture = self._estimate(net, z, batch.weight) if net.training else Mixture(net.log_phi, net.mu, net.scale)
        energy = batch.mean(mixture_energy(z, mixture)).float()
        penalty = mixture.variances.reciprocal().sum((-2, -1)).float()
        return batch.mean(error) + self.energy_weight * energy + self.covariance_penalty * penalty

    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> None:
        self.finish(net, X)

    def finish(self, net: Networks, X: Tensor) -> None:
        z = torch.cat([self._features(net, rows)[0] for rows in X.split(_CHUNK)])
        mixture = self._estimate(net, z, least_share=_LEAST_SHARE)
        for buffer, value in zip((net.log_phi, net.mu, net.scale), mixture, strict=True):
            buffer.copy_(value)

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        z, _ = self._features(net, x)
        mixture = Mixture(net.log_phi, net.mu, net.scale)
        return mixture_energy(z, mixture) - mixture.least_energy

    def _features(self, net: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z, in float64, and the squared error of the reconstruction."""
        z_c = net.encoder(x)
        rebuilt = net.decoder(z_c)
        return torch.cat([z_c, residual_features(x, rebuilt, self.residuals)], -1), squared_error(x, rebuilt)

    def _estimate(self, net: Networks, z: Tensor, weight: Tensor | None = None, least_share: float = 0.0) -> Mixture:
        gamma = net.estimator(z.float()).softmax(-1)
        return estimate_mixture(z, gamma, weight, floor=self.covariance_floor, least_share=least_share)
