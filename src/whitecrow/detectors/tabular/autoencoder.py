"""Autoencoder for tables: Hawkins et al., "Outlier Detection Using Replicator Neural Networks", DaWaK 2002."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, NonNegative, Probability
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Activation,
    Networks,
    hidden_width,
    mean_error_gradient,
    mlp,
    reconstruction_error,
    squared_error,
)
from whitecrow.train import Batch, Execution

__all__ = ["AutoEncoder"]


class AutoEncoder(DeepDetector):
    r"""Squeeze rows through a narrow code; what the code cannot rebuild is anomalous.

    .. math:: s(x) = \lVert x - x' \rVert^2, \qquad x' = D(E(x))

    trained on :math:`\operatorname{mean}_i \lVert x_i - x'_i \rVert^2 + \lambda_z \lVert z_i \rVert^2`.

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the decoder mirrors them. None takes two layers, h and
        h / 2, where h is the power of two nearest to D, from 16 to 256.
    latent_dim : int or None, default=None
        Width of the code. None takes D / 8, from 2 to 32.
    activation : str, default="tanh"
        Between layers; the code and the output are linear. A bounded one cannot rebuild rows far out by going on along
        the lines on which it rebuilds normal rows.
    dropout : float from 0 to 1 (excluded), default=0
        Probability of dropping a hidden value in training.
    code_penalty : float, default=0
        :math:`\lambda_z`, the weight of the squared norm of the code.
    score_type : {"sum", "max", "standardised"}, default="sum"
        Sum of the squared errors of the features; the largest of them, for anomalies of a single feature; or their sum
        after division by each feature's mean error on training rows, where features have unequal noise.

    References
    ----------
    .. [1] S. Hawkins, H. He, G. Williams, R. Baxter, "Outlier Detection Using Replicator Neural Networks", DaWaK 2002.
    .. [2] M. Sakurada, T. Yairi, "Anomaly Detection Using Autoencoders with Nonlinear Dimensionality Reduction",
       MLSDA 2014.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Hawkins et al., DaWaK 2002"
    year: ClassVar[int] = 2002
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    activation: Activation = "tanh"
    dropout: Probability = 0.0
    code_penalty: NonNegative = 0.0
    score_type: Literal["sum", "max", "standardised"] = "sum"

    def networks(self, spec: InputSpec) -> Networks:
        d = spec.n_features
        h = hidden_width(d)
        hidden = self.hidden_dims if self.hidden_dims is not None else (h, max(h // 2, 2))
        latent = self.latent_dim if self.latent_dim is not None else min(max(round(d / 8), 2), 32)
        return Networks(
            encoder=mlp(d, *hidden, latent, activation=self.activation, dropout=self.dropout),
            decoder=mlp(latent, *reversed(hidden), d, activation=self.activation, dropout=self.dropout),
            noise_level=torch.ones(d),
        )

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        if not self.code_penalty:
            return batch.mean(reconstruction_error(batch.x, net.encoder, net.decoder))
        z = net.encoder(batch.x)
        return batch.mean(squared_error(batch.x, net.decoder(z)) + self.code_penalty * z.square().sum(-1))

    def gradient(self, net: Networks, batch: Batch) -> tuple[Tensor, dict[Tensor, Tensor]] | None:
        return None if self.code_penalty else mean_error_gradient(batch.x, batch.weight, net.encoder, net.decoder)

    def finish(self, net: Networks, X: Tensor) -> None:
        # A floor keeps a feature that is rebuilt exactly from drowning the others.
        error = (X - net.decoder(net.encoder(X))).square().mean(0)
        net.noise_level.copy_(error.clamp_min(1e-3 * error.mean()).clamp_min(1e-12))

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        error = (x - net.decoder(net.encoder(x))).square()
        return error / net.noise_level if self.score_type == "standardised" else error

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        if self.score_type == "sum":
            return reconstruction_error(x, net.encoder, net.decoder)
        error = self.feature_scores(net, x)
        return error.amax(-1) if self.score_type == "max" else error.sum(-1)
