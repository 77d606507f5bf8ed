"""Fence GAN: Ngo et al., "Fence GAN: Towards Better Anomaly Detection", ICTAI 2019."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Sequential

from whitecrow.core.parameters import Count, Natural, NonNegative, Positive, Probability, Share
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Networks,
    Noise,
    code_width,
    conv_decoder,
    conv_encoder,
    conv_stages,
    diversity,
    flat_width,
    mlp,
    softplus,
)
from whitecrow.train import Batch, Execution, Stage
from whitecrow.train.plan import Objective

__all__ = ["FenceGAN"]

_FENCE_ROWS = 64  # least rows that a centre of mass is taken of


class FenceGAN(DeepDetector):
    r"""Generate rows around the boundary of the normal ones, as a fence, until the discriminator tells in from out.

    .. math:: s(x) = -\log D(x)

    The discriminator minimises :math:`CE(D(x), 1) + \gamma\, CE(D(G(z)), 0)`, the generator

    .. math:: CE(D(G(z)), \alpha) + \beta \Big/ \operatorname{mean}_i \lVert G(z_i) - \mu \rVert_2, \qquad
        \mu = \operatorname{mean}_i G(z_i), \quad z \sim N(0, I)

    where CE is the cross-entropy: rows of level :math:`\alpha`, far from one another.

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the hidden layers of both networks. None takes (64, 64). For images, the channels of the convolutions
        that halve the sides; None goes down to 4 pixels or less, with 64 channels at the end.
    latent_dim : int or None, default=None
        Width of z. None takes 16 (for images 32, or 8 below 16 pixels).
    alpha : float from 0 to 1, default=0.5
        Level of D on which the fence stands. Lower values move it outwards.
    beta : float or None, default=None
        Weight of the dispersion of the generated rows. None takes 1.5 times the root of D, since distances grow so.
    gamma : float, default=1
        Weight of the generated rows for the discriminator. Towards 0 it calls every row normal.
    spectral : bool, default=True
        Whether the weights of the discriminator are divided by their largest singular value, which bounds how fast it
        changes between the rows and the fence.
    discriminator_decay : float, default=0
        Factor of the squared weights of the discriminator in its loss, the paper's remedy; of use where ``spectral``
        is False.
    warm_up : int, default=5
        Epochs, before those of ``epochs``, in which the discriminator alone learns, against an untrained generator.
    average : float from 0 to 1 (excluded), default=0.999
        Decay of the moving average of all parameters over the steps; the scores use the average. 0 uses the last.

    Notes
    -----
    Departures from the paper: the published code keeps the epoch that tells known anomalies best, here the last average
    is kept; spectral normalisation in the place of a penalty on the weights, with which :math:`\gamma` can be 1 instead
    of 0.1; the score orders rows as :math:`1 - D(x)` does and does not saturate.

    References
    ----------
    .. [1] P. C. Ngo, A. A. Winarto, C. K. L. Kou, S. Park, F. Akram, H. K. Lee, "Fence GAN: Towards Better Anomaly
       Detection", ICTAI 2019, arXiv 1904.01209.
    """

    execution: ClassVar[Execution] = "direct"
    kinds: ClassVar[tuple[Kind, ...]] = ("table", "image")
    paper: ClassVar[str] = "Ngo et al., ICTAI 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    default_lr: ClassVar[Mapping[Kind, float]] = {"table": 1e-3, "image": 2e-4}
    most_epochs: ClassVar[int] = 100  # a game has no minimum to wait for: beyond this it wanders

    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    alpha: Share = 0.5
    beta: NonNegative | None = None
    gamma: Positive = 1.0
    spectral: bool = True
    discriminator_decay: NonNegative = 0.0
    warm_up: Natural = 5
    average: Probability = 0.999
    lr: Positive | None = None
    validation: Probability = 0.0  # the losses of a game do not say which epoch is best

    def networks(self, spec: InputSpec) -> Networks:
        d, latent, norm = spec.n_features, self._latent(spec), self.spectral
        if spec.kind == "image":
            channels = self.hidden_dims if self.hidden_dims is not None else conv_stages(spec.shape)
            return Networks(
                generator=conv_decoder(latent, channels, spec.shape, norm=True),
                discriminator=Sequential(
                    conv_encoder(spec.shape, channels, None, spectral=norm),
                    mlp(flat_width(spec.shape, channels), 1, init="xavier", spectral=norm),
                ),
                noise=Noise(),
            )
        hidden = self.hidden_dims if self.hidden_dims is not None else (64, 64)
        return Networks(
            generator=mlp(latent, *hidden, d, activation="leaky-relu"),
            discriminator=mlp(d, *hidden, 1, activation="leaky-relu", spectral=norm),
            noise=Noise(),
        )

    def _latent(self, spec: InputSpec) -> int:
        """Return the width of z."""
        if self.latent_dim is not None:
            return self.latent_dim
        return code_width(spec.shape) if spec.kind == "image" else 16

    def stages(self) -> Sequence[Stage]:
        discriminator = Objective("err_d", trains=("discriminator",))
        # Twice the discriminator's rate, as in the paper.
        generator = Objective("err_g", trains=("generator",), lr=2 * self._rate)
        warm_up = Stage((discriminator,), epochs=int(self.warm_up), name="warm-up", early_stop=False)
        return warm_up, Stage((discriminator, generator), average=float(self.average))

    def err_d(self, net: Networks, batch: Batch) -> Tensor:
        real = batch.mean(softplus(-self._logit(net, batch.x)))
        made = softplus(self._logit(net, self._fence(net, batch.x))).mean(-1)
        loss = real + self.gamma * made
        if self.discriminator_decay:
            named = net.discriminator.named_parameters()
            weights = (w for name, w in named if name.rpartition(".")[2].startswith("weight"))
            # Kernels of convolutions have four axes, and are never stacked.
            squares = (w.square().sum() if w.dim() == 4 else w.square().sum((-2, -1)) for w in weights)
            loss = loss + self.discriminator_decay * sum(squares)
        return loss

    def err_g(self, net: Networks, batch: Batch) -> Tensor:
        made = self._fence(net, batch.x)
        logit = self._logit(net, made)
        encirclement = (softplus(logit) - self.alpha * logit).mean(-1)  # CE(D(G(z)), alpha)
        spread = torch.linalg.vector_norm(made - made.mean(-2, keepdim=True), dim=-1).mean(-1)
        beta = 1.5 * math.sqrt(made.shape[-1]) if self.beta is None else self.beta
        return encirclement + beta / spread.clamp_min(1e-3)

    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        return {"diversity": diversity(self._fence(net, X)[: len(X)], X)}

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return softplus(-self._logit(net, x))

    def _fence(self, net: Networks, x: Tensor) -> Tensor:
        return net.generator(net.noise.draw(max(x.shape[-2], _FENCE_ROWS), self._latent(self.spec_)))

    def _logit(self, net: Networks, x: Tensor) -> Tensor:
        return net.discriminator(x).squeeze(-1)
