"""Skip-GANomaly: Akçay et al., "Skip Connected and Adversarially Trained Encoder-Decoder", IJCNN 2019."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Linear

from whitecrow.core.parameters import Count, NonNegative, Positive, Probability, Share
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Networks,
    Noise,
    UNet,
    conv_encoder,
    conv_stages,
    measure_statistics,
    reinitialise,
    softplus,
    to_images,
)
from whitecrow.nn.convolution import padded
from whitecrow.train import Batch, Stage
from whitecrow.train.plan import Objective

__all__ = ["SkipGANomaly"]

_INNERMOST = 2  # pixels of the smallest map


class SkipGANomaly(DeepDetector):
    r"""Rebuild images by a U-Net that plays against a discriminator; score by the image and by its features.

    .. math:: s(x) = (1 - \lambda)\, \tfrac1n \lVert x - \hat x \rVert^2
        + \lambda\, \tfrac1{n_f} \lVert f(x) - f(\hat x) \rVert^2, \qquad \hat x = G(x)

    with f the last hidden layer of the discriminator D, which learns to tell :math:`x` from :math:`\hat x`. G minimises

    .. math:: w_{adv}\, CE(D(\hat x), 1) + w_{con}\, \tfrac1n \lVert x - \hat x \rVert_1
        + w_{lat}\, \tfrac1{n_f} \lVert f(x) - f(\hat x) \rVert^2

    where CE is the cross-entropy and, in training, :math:`\hat x = G(x + \text{noise})`.

    Parameters
    ----------
    channels : tuple of int or None, default=None
        Channels after each stage of the U-Net's first half. None takes stages down to 2 pixels, the last with 64
        channels.
    feature_dim : int, default=100
        :math:`n_f`.
    skips : bool, default=True
        Whether the stages of one size are joined. Without, this is an adversarial autoencoder.
    noise : float, default=0.4
        Standard deviation of noise added to what the U-Net sees in training; images span 2. At 0 nothing stops it from
        copying whatever it is given through its outermost join.
    adversarial_weight, contextual_weight, latent_weight : float, default=1, 50, 1
        :math:`w_{adv}`, :math:`w_{con}` and :math:`w_{lat}`.
    latent_in_d : bool, default=False
        Whether the discriminator minimises the last of these terms too, as in the published code.
    feature_weight : float from 0 to 1, default=0.1
        :math:`\lambda`.
    beta1 : float from 0 to 1 (excluded), default=0.5
        Decay of Adam's first moment.
    average : float from 0 to 1 (excluded), default=0.999
        Decay of the moving average of all parameters over the steps; the scores use the average. 0 uses the last.

    Notes
    -----
    Batch normalisation uses its running statistics when scoring; the published code normalises test batches, sorted by
    label, by themselves, which gives the label away. Further departures: the noise; scores are not scaled to [0, 1]
    over a test set.

    References
    ----------
    .. [1] S. Akçay, A. Atapour-Abarghouei, T. Breckon, "Skip-GANomaly: Skip Connected and Adversarially Trained
       Encoder-Decoder Anomaly Detection", IJCNN 2019, arXiv 1901.08954.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    paper: ClassVar[str] = "Akçay et al., IJCNN 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    aimed_steps: ClassVar[int] = 2000
    default_lr: ClassVar[Mapping[Kind, float]] = {"image": 2e-4}

    channels: tuple[Count, ...] | None = None
    feature_dim: Count = 100
    skips: bool = True
    noise: NonNegative = 0.4
    adversarial_weight: NonNegative = 1.0
    contextual_weight: NonNegative = 50.0
    latent_weight: NonNegative = 1.0
    latent_in_d: bool = False
    feature_weight: Share = 0.1
    beta1: Probability = 0.5
    average: Probability = 0.999
    batch_size: Count = 64
    lr: Positive | None = None
    validation: Probability = 0.0  # the losses of a game do not say which epoch is best

    def networks(self, spec: InputSpec) -> Networks:
        shape, stages = spec.shape, conv_stages(spec.shape)
        channels = self.channels
        if channels is None:
            deeper = max(padded(shape, len(stages))) >> len(stages) > _INNERMOST
            channels = (*stages, stages[-1]) if deeper else stages
        net = Networks(
            generator=UNet(shape, channels, skips=self.skips),
            f=conv_encoder(shape, stages, self.feature_dim, norm=True),
            discriminator=Linear(self.feature_dim, 1),  # on top of f
            noise=Noise(),
        )
        reinitialise(net)
        return net

    def stages(self) -> Sequence[Stage]:
        betas = (float(self.beta1), 0.999)
        generator = Objective("err_g", trains=("generator",), betas=betas)
        discriminator = Objective("err_d", trains=("f", "discriminator"), betas=betas)
        return (Stage((generator, discriminator), average=float(self.average)),)

    def err_g(self, net: Networks, batch: Batch) -> Tensor:
        rebuilt = self._rebuilt(net, batch.x)
        features = net.f(rebuilt)
        err_g_adv = softplus(-net.discriminator(features).squeeze(-1))
        err_g_con = (batch.x - rebuilt).abs().mean(-1)
        err_g_lat = (net.f(batch.x) - features).square().mean(-1)
        return batch.mean(
            self.adversarial_weight * err_g_adv + self.contextual_weight * err_g_con + self.latent_weight * err_g_lat
        )

    def err_d(self, net: Networks, batch: Batch) -> Tensor:
        real, made = (net.f(x) for x in (batch.x, self._rebuilt(net, batch.x)))
        loss = softplus(-net.discriminator(real)) + softplus(net.discriminator(made))
        latent = (real - made).square().mean(-1) if self.latent_in_d else 0.0
        return batch.mean(loss.squeeze(-1) + latent)

    def finish(self, net: Networks, X: Tensor) -> None:
        measure_statistics((net.generator, net.f), lambda x: (net.f(x), net.f(self._rebuilt(net, x))), X)

    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        real, made = (net.discriminator(net.f(x)) for x in (X, net.generator(X)))
        return {"accuracy": torch.cat([real > 0, made < 0]).float().mean()}

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.generator(x)

    def map_batch(self, net: Networks, x: Tensor) -> Tensor:
        return to_images((x - self.rebuild_batch(net, x)).abs(), self.spec_.shape).sum(1)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        rebuilt = net.generator(x)
        image, features = (r.square().mean(-1) for r in (x - rebuilt, net.f(x) - net.f(rebuilt)))
        return (1 - self.feature_weight) * image + self.feature_weight * features

    def _rebuilt(self, net: Networks, x: Tensor) -> Tensor:
        return net.generator(x + self.noise * net.noise.like(x) if self.noise else x)
