"""Efficient GAN-based anomaly detection: Zenati et al., ICLR 2018 workshop."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, Positive, Probability, Share
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Dropout,
    Networks,
    Noise,
    PairFeatures,
    code_width,
    conv_decoder,
    conv_encoder,
    conv_stages,
    diversity,
    hidden_width,
    mlp,
    softplus,
    to_images,
)
from whitecrow.train import Batch, Execution, Stage
from whitecrow.train.plan import Objective

__all__ = ["EGBAD"]

_CHUNK = 8192


class EGBAD(DeepDetector):
    r"""Train a GAN together with the inverse of its generator; score by the row rebuilt and by the discriminator.

    .. math:: s(x) = (1 - w)\, \tilde L_G(x) + w\, \tilde L_D(x), \qquad L_G(x) = \lVert x - G(E(x)) \rVert_1

    where :math:`L_D(x) = \lVert f_D(x, E(x)) - f_D(G(E(x)), E(x)) \rVert_1` with :math:`f_D` the last hidden layer of
    the discriminator, or its cross-entropy, and a tilde divides by the standard deviation over the training rows. D
    learns to tell :math:`(x, E(x))` from :math:`(G(z), z)`, :math:`z \sim N(0, I)`; E and G learn to have each taken
    for the other (a BiGAN).

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the generator mirrors them. None takes 2 h and h,
        where h is the power of two nearest to D, from 16 to 256. For images, the channels of the convolutions that
        halve the sides; None goes down to 4 pixels or less, with 64 channels at the end.
    latent_dim : int or None, default=None
        Width of z. None takes D / 4, from 4 to 32 (for images 32, or 8 below 16 pixels).
    discriminator_dim : int, default=128
        Width of the discriminator's two hidden layers.
    dropout : float from 0 to 1 (excluded), default=0.2
        Probability of dropping a hidden value of the discriminator in training.
    spectral : bool, default=True
        Whether the weights of the encoder and of the discriminator are divided by their largest singular value.
    average : float from 0 to 1 (excluded), default=0.999
        Decay of the moving average of all parameters over the steps; the scores use the average. 0 uses the last.
    beta1 : float from 0 to 1 (excluded), default=0.5
        Decay of Adam's first moment.
    discriminator_weight : float from 0 to 1, default=0.1
        :math:`w`. At 0 rows are ranked by :math:`L_G` alone.
    score_type : {"features", "logits"}, default="features"
        :math:`L_D`: the difference in features above, or the cross-entropy of :math:`D(G(E(x)), E(x))` against 1.

    Notes
    -----
    Departures from the paper: both parts of the score are divided by their spread, because they live on scales of
    their own; the discriminator sees x and z joined from the first layer on; spectral normalisation; and a rate a
    hundred times larger, because a few thousand steps are taken, not hundreds of thousands.

    References
    ----------
    .. [1] H. Zenati, C.-S. Foo, B. Lecouat, G. Manek, V. Chandrasekhar, "Efficient GAN-Based Anomaly Detection",
       ICLR 2018 workshop, arXiv 1802.06222.
    .. [2] J. Donahue, P. Krähenbühl, T. Darrell, "Adversarial Feature Learning", ICLR 2017, arXiv 1605.09782.
    """

    execution: ClassVar[Execution] = "direct"
    kinds: ClassVar[tuple[Kind, ...]] = ("table", "image")
    paper: ClassVar[str] = "Zenati et al., ICLR 2018 workshop"
    year: ClassVar[int] = 2018
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    default_lr: ClassVar[Mapping[Kind, float]] = {"table": 1e-3, "image": 1e-3}
    most_epochs: ClassVar[int] = 100  # a game has no minimum to wait for: beyond this it wanders
    most_image_epochs: ClassVar[int | None] = 300  # until then the encoder of images does not invert the generator

    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    discriminator_dim: Count = 128
    dropout: Probability = 0.2
    spectral: bool = True
    average: Probability = 0.999
    beta1: Probability = 0.5
    discriminator_weight: Share = 0.1
    score_type: Literal["features", "logits"] = "features"
    clip: Positive | None = 5.0
    lr: Positive | None = None
    validation: Probability = 0.0  # the losses of a game do not say which epoch is best

    def networks(self, spec: InputSpec) -> Networks:
        return self._of_images(spec) if spec.kind == "image" else self._of_tables(spec)

    def _of_tables(self, spec: InputSpec) -> Networks:
        d, k, p, norm = spec.n_features, self.discriminator_dim, self.dropout, self.spectral
        h = hidden_width(d)
        hidden = self.hidden_dims if self.hidden_dims is not None else (2 * h, h)
        latent = self._latent(spec)
        leaky: Literal["leaky-relu"] = "leaky-relu"
        return Networks(
            encoder=mlp(d, *hidden, latent, activation=leaky, init="xavier", spectral=norm),
            generator=mlp(latent, *reversed(hidden), d, init="xavier"),
            f=mlp(d + latent, k, k, activation=leaky, output=leaky, dropout=p, init="xavier", spectral=norm),
            drop=Dropout(p),
            discriminator=mlp(k, 1, init="xavier", spectral=norm),  # on top of f
            noise=Noise(),
            std=torch.ones(2),  # of L_G and of L_D over the training rows
        )

    def _of_images(self, spec: InputSpec) -> Networks:
        shape, k, p, norm = spec.shape, self.discriminator_dim, self.dropout, self.spectral
        channels = self.hidden_dims if self.hidden_dims is not None else conv_stages(shape)
        latent = self._latent(spec)
        return Networks(
            encoder=conv_encoder(shape, channels, latent, norm=True, spectral=norm),
            generator=conv_decoder(latent, channels, shape, norm=True),
            f=PairFeatures(shape, channels, latent, k, dropout=p, spectral=norm),
            drop=Dropout(p),
            discriminator=mlp(k, 1, init="xavier", spectral=norm),  # on top of f
            noise=Noise(),
            std=torch.ones(2),
        )

    def _latent(self, spec: InputSpec) -> int:
        """Return the width of z."""
        if self.latent_dim is not None:
            return self.latent_dim
        return code_width(spec.shape) if spec.kind == "image" else min(max(round(spec.n_features / 4), 4), 32)

    def stages(self) -> Sequence[Stage]:
        betas = (float(self.beta1), 0.999)
        discriminator = Objective("err_d", trains=("f", "discriminator"), betas=betas)
        inverses = Objective("err_ge", trains=("encoder", "generator"), betas=betas)
        return (Stage((discriminator, inverses), average=float(self.average)),)

    def err_d(self, net: Networks, batch: Batch) -> Tensor:
        real, made = self._logits(net, batch.x)
        return batch.mean(softplus(-real)) + softplus(made).mean(-1)

    def err_ge(self, net: Networks, batch: Batch) -> Tensor:
        real, made = self._logits(net, batch.x)
        return batch.mean(softplus(real)) + softplus(-made).mean(-1)

    def finish(self, net: Networks, X: Tensor) -> None:
        parts = torch.cat([self._parts(net, x) for x in X.split(_CHUNK)])
        net.std.copy_(parts.std(0, correction=0).clamp_min(1e-6))

    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        made = net.generator(net.noise.draw(len(X), self._latent(self.spec_)))
        return {"diversity": diversity(made, X)}

    def map_batch(self, net: Networks, x: Tensor) -> Tensor:
        return to_images((x - net.generator(net.encoder(x))).abs(), self.spec_.shape).sum(1)

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.generator(net.encoder(x))

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        parts = self._parts(net, x) / net.std
        w = float(self.discriminator_weight)
        return (1 - w) * parts[..., 0] + w * parts[..., 1]

    def _logits(self, net: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return D(x, E(x)) and D(G(z), z) before the sigmoid, ``[B]`` each."""
        z = net.noise.draw(x.shape[-2], self._latent(self.spec_))
        real, made = torch.cat([x, net.encoder(x)], -1), torch.cat([net.generator(z), z], -1)
        logits = net.discriminator(net.drop(net.f(torch.cat([real, made], -2))))
        first, second = logits.squeeze(-1).chunk(2, -1)
        return first, second

    def _parts(self, net: Networks, x: Tensor) -> Tensor:
        """Return L_G and L_D of each row, ``[B, 2]``."""
        code = net.encoder(x)
        rebuilt = net.generator(code)
        features = net.f(torch.cat([rebuilt, code], -1))
        if self.score_type == "features":
            surprise = (net.f(torch.cat([x, code], -1)) - features).abs().sum(-1)
        else:
            surprise = softplus(-net.discriminator(features).squeeze(-1))
        return torch.stack([(x - rebuilt).abs().sum(-1), surprise], -1)
