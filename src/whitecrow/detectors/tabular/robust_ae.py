"""Autoencoder for contaminated training rows: Nkashama et al., arXiv 2407.08838, 2024 (there DAE-LR)."""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from whitecrow.core.parameters import Contamination, Count, NonNegative
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Activation, Networks, hidden_width, mlp, squared_error
from whitecrow.train import Batch, Execution
from whitecrow.train.engine import Settings

__all__ = ["RobustAutoEncoder"]

_BLOCK_ROWS = 8192
_LEAST_UNIT = 1e-12


class RobustAutoEncoder(DeepDetector):
    r"""Autoencoder hardened for contaminated training: trimmed loss, code drawn to a learnable centre.

    .. math:: s(x) = (D - k) \frac{\lVert x - x' \rVert^2}{\operatorname{med}_i \lVert x_i - x'_i \rVert^2}
        + k \frac{\lVert z - c \rVert^2}{\operatorname{med}_i \lVert z_i - c \rVert^2}, \qquad z = E(x),\ x' = D(z)

    for D features and a code of width k, with medians over the training rows. The encoder, the decoder and the centre
    c minimise

    .. math:: \operatorname{mean}_i \lVert x_i - x'_i \rVert^2 + \lambda \lVert z_i - c \rVert^2

    over the training rows but for the share ``trim`` whose s was largest after the epoch before.

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the decoder mirrors them. None takes two layers, h
        and h / 2, where h is the power of two nearest to D, from 16 to 256.
    latent_dim : int or None, default=None
        Width k of the code. None takes D / 8, from 2 to 32.
    activation : str, default="relu"
        Between layers; the code and the output are linear.
    centre_weight : float, default=1
        :math:`\lambda`, the pull on the code. A larger one draws the codes closer and costs accuracy of the
        reconstruction.
    score_type : {"sum", "reconstruction", "centre"}, default="sum"
        The score above; :math:`\lVert x - x' \rVert^2` alone; or :math:`\lVert z - c \rVert^2` alone. Rows are always
        left out by the sum.
    trim : float from 0 to 0.5, default=0.05
        Share of the training rows that each epoch leaves out, in the contaminated regime: about as large as the share
        of anomalies among them, or a little larger. In the other regimes all training rows are normal, and none is
        left out.

    Notes
    -----
    From the paper is the objective with its learnable centre. Here the score counts each part in the unit of a
    typical training row, once per dimension, as the squared distances of a Gaussian would: the scale of a code is
    arbitrary, and with fixed weights one part drowns the other. Medians, so that anomalies in training do not move the
    units. Trimming is not in the paper. A decoder can make up for a smaller code, so the centre alone does not keep
    anomalies out.

    References
    ----------
    .. [1] D. Nkashama et al., "Deep Learning for Network Anomaly Detection under Data Contamination: Evaluating
       Robustness and Mitigating Performance Degradation", arXiv 2407.08838, 2024.
    .. [2] P. Rousseeuw, "Least Median of Squares Regression", JASA 79, 1984: trimmed squares.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Nkashama et al., arXiv 2024"
    year: ClassVar[int] = 2024
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    activation: Activation = "relu"
    centre_weight: NonNegative = 1.0
    score_type: Literal["sum", "reconstruction", "centre"] = "sum"
    trim: Contamination = 0.05

    def networks(self, spec: InputSpec) -> Networks:
        d = spec.n_features
        h = hidden_width(d)
        hidden = self.hidden_dims if self.hidden_dims is not None else (h, max(h // 2, 2))
        latent = self.latent_dim if self.latent_dim is not None else min(max(round(d / 8), 2), 32)
        return Networks(
            encoder=mlp(d, *hidden, latent, activation=self.activation),
            decoder=mlp(latent, *reversed(hidden), d, activation=self.activation),
            c=nn.Parameter(torch.zeros(latent)),
            error_unit=torch.tensor(1.0),
            code_unit=torch.tensor(1.0),
        )

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        error, distance = self._parts(net, batch.x)
        return batch.mean(error + self.centre_weight * distance)

    def _parts(self, net: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the squared error and the squared distance of the code from the centre, ``[B]`` each."""
        z = net.encoder(x)
        return squared_error(x, net.decoder(z)), (z - net.c).square().sum(-1)

    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> None:
        # Before the rows are ranked for trimming, so that what is left out is what would be flagged.
        parts = [self._parts(net, x) for x in X.split(_BLOCK_ROWS)]
        error, distance = (torch.cat(values).median() for values in zip(*parts, strict=True))
        k = net.c.shape[-1]
        net.error_unit.copy_((error / max(X.shape[1] - k, 1)).clamp_min(_LEAST_UNIT))
        net.code_unit.copy_((distance / k).clamp_min(_LEAST_UNIT))

    def row_losses(self, net: Networks, x: Tensor) -> Tensor:
        error, distance = self._parts(net, x)
        return error / net.error_unit + distance / net.code_unit

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        if self.score_type == "sum":
            return self.row_losses(net, x)
        error, distance = self._parts(net, x)
        return error if self.score_type == "reconstruction" else distance

    def _settings(self, n: int) -> Settings:
        settings = super()._settings(n)
        return settings if self.regime == "contaminated" else replace(settings, trim=0.0)
