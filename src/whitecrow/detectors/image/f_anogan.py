"""f-AnoGAN: Schlegl et al., "f-AnoGAN: Fast Unsupervised Anomaly Detection with GANs", Medical Image Analysis 2019."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Linear, Sequential, Tanh

from whitecrow.core.parameters import Count, NonNegative, Positive, Probability
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Networks,
    Noise,
    code_width,
    conv_stages,
    diversity,
    flat_width,
    gradient_penalty,
    order_accuracy,
    residual_encoder,
    residual_generator,
    to_images,
)
from whitecrow.train import Batch, Stage
from whitecrow.train.plan import Objective

__all__ = ["FAnoGAN"]

_CHUNK = 1024


class FAnoGAN(DeepDetector):
    r"""Train a Wasserstein GAN, then an encoder into it; score by the image rebuilt and by how the critic sees it.

    .. math:: s(x) = \frac{A_R(x)}{\bar A_R} + \kappa \frac{A_D(x)}{\bar A_D}, \qquad
        A_R(x) = \tfrac1n \lVert x - G(E(x)) \rVert^2, \quad A_D(x) = \tfrac1{n_f} \lVert f(x) - f(G(E(x))) \rVert^2

    with f the last hidden layer of the critic and a bar for the mean over the training images. The first stage trains
    the critic :math:`D` and the generator :math:`G`, with :math:`z \sim N(0, I)` and :math:`\hat x` a random point
    between an image and a generated one:

    .. math:: L_D = D(G(z)) - D(x) + \lambda (\lVert \nabla D(\hat x) \rVert_2 - 1)^2, \qquad L_G = -D(G(z))

    The second trains the encoder E alone, by ``encoder_loss``; G and D stay as they are.

    Parameters
    ----------
    channels : tuple of int or None, default=None
        Channels of the stages of critic and encoder, each of which halves the sides; the generator mirrors them. None
        takes stages down to 4 pixels or less, the last with 32 channels.
    latent_dim : int or None, default=None
        Width of z. None takes 32, or 8 below 16 pixels.
    n_critic : int, default=3
        Steps of the critic to one of the generator.
    penalty : float, default=10
        :math:`\lambda`.
    encoder_loss : {"izi_f", "izi", "ziz"}, default="izi_f"
        What the encoder minimises: :math:`A_R + \kappa A_D` of training images, :math:`A_R` alone, or
        :math:`\lVert z - E(G(z)) \rVert^2 / d`, for which it sees no training image.
    feature_weight : float, default=1
        :math:`\kappa`.
    encoder_output : {"tanh", "linear"}, default="tanh"
        "tanh" keeps codes within (-1, 1), where a third of the z that G was trained on is not.
    average : float from 0 to 1 (excluded), default=0.999
        Decay of the moving average of the first stage's parameters; the encoder is trained into the average.

    Notes
    -----
    Departures from the paper: layer normalisation in all three networks, where the paper has batch normalisation in G
    and E, because it does the same in training and afterwards, so that the frozen networks are those that were
    trained, and their average needs no statistics of its own; both parts of the score are divided by their means,
    because the critic's features live on a scale of their own; Adam for the encoder; and a rate ten times larger,
    because a few thousand steps are taken, not hundreds of thousands.

    References
    ----------
    .. [1] T. Schlegl, P. Seeböck, S. Waldstein, G. Langs, U. Schmidt-Erfurth, "f-AnoGAN: Fast Unsupervised Anomaly
       Detection with Generative Adversarial Networks", Medical Image Analysis 54, 2019.
    .. [2] I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville, "Improved Training of Wasserstein GANs",
       NeurIPS 2017, arXiv 1704.00028.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    paper: ClassVar[str] = "Schlegl et al., MedIA 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    aimed_steps: ClassVar[int] = 2000
    default_lr: ClassVar[Mapping[Kind, float]] = {"image": 1e-3}

    channels: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    n_critic: Count = 3
    penalty: NonNegative = 10.0
    encoder_loss: Literal["izi_f", "izi", "ziz"] = "izi_f"
    feature_weight: NonNegative = 1.0
    encoder_output: Literal["tanh", "linear"] = "tanh"
    average: Probability = 0.999
    batch_size: Count = 64
    lr: Positive | None = None
    validation: Probability = 0.0  # the losses of a game do not say which epoch is best

    def networks(self, spec: InputSpec) -> Networks:
        shape, latent = spec.shape, self._latent(spec)
        channels = self.channels if self.channels is not None else conv_stages(shape, 32)
        encoder = residual_encoder(shape, channels, latent)
        return Networks(
            generator=residual_generator(latent, channels, shape),
            f=residual_encoder(shape, channels, None),
            critic=Linear(flat_width(shape, channels), 1, bias=False),  # on top of f
            encoder=Sequential(encoder, Tanh()) if self.encoder_output == "tanh" else encoder,
            noise=Noise(),
            shares=Noise("uniform"),
            means=torch.ones(2),  # of A_R and of A_D over the training rows
        )

    def _latent(self, spec: InputSpec) -> int:
        """Return the width of z."""
        return self.latent_dim if self.latent_dim is not None else code_width(spec.shape)

    def stages(self) -> Sequence[Stage]:
        critic = Objective("err_d", trains=("f", "critic"), betas=(0.0, 0.9))
        generator = Objective("err_g", trains=("generator",), betas=(0.0, 0.9), every=int(self.n_critic))
        encoder = Objective("err_e", trains=("encoder",))
        game = Stage((critic, generator), name="gan", average=float(self.average), early_stop=False)
        return game, Stage((encoder,), name="encoder")

    def err_d(self, net: Networks, batch: Batch) -> Tensor:
        made = self._made(net, batch.x)
        real_value, made_value = self._values(net, batch.x, made)
        share = net.shares.draw(len(made), 1)
        slopes = gradient_penalty(lambda x: net.critic(net.f(x)), batch.x, made, share)
        return batch.mean(made_value - real_value + self.penalty * slopes)

    def err_g(self, net: Networks, batch: Batch) -> Tensor:
        return -net.critic(net.f(self._made(net, batch.x))).mean()

    def err_e(self, net: Networks, batch: Batch) -> Tensor:
        if self.encoder_loss == "ziz":
            z = net.noise.draw(len(batch.x), self._latent(self.spec_))
            return (z - net.encoder(net.generator(z))).square().mean()
        rebuilt = net.generator(net.encoder(batch.x))
        loss = (batch.x - rebuilt).square().mean(-1)
        if self.encoder_loss == "izi_f":
            loss = loss + self.feature_weight * (net.f(batch.x) - net.f(rebuilt)).square().mean(-1)
        return batch.mean(loss)

    def finish(self, net: Networks, X: Tensor) -> None:
        parts = torch.cat([self._parts(net, x) for x in X.split(_CHUNK)])
        net.means.copy_(parts.mean(0).clamp_min(1e-6))

    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        made = self._made(net, X)
        return {"diversity": diversity(made, X), "accuracy": order_accuracy(*self._values(net, X, made))}

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.generator(net.encoder(x))

    def map_batch(self, net: Networks, x: Tensor) -> Tensor:
        return to_images((x - self.rebuild_batch(net, x)).abs(), self.spec_.shape).sum(1)

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        image, features = (self._parts(net, x) / net.means).unbind(-1)
        return image + self.feature_weight * features

    def _made(self, net: Networks, x: Tensor) -> Tensor:
        return net.generator(net.noise.draw(len(x), self._latent(self.spec_)))

    def _values(self, net: Networks, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """Return D of real and of made rows, ``[B]`` each."""
        first, second = net.critic(net.f(torch.cat([real, made]))).squeeze(-1).chunk(2)
        return first, second

    def _parts(self, net: Networks, x: Tensor) -> Tensor:
        """Return A_R and A_D of each row, ``[B, 2]``."""
        rebuilt = self.rebuild_batch(net, x)
        differences = x - rebuilt, net.f(x) - net.f(rebuilt)
        return torch.stack([r.square().mean(-1) for r in differences], -1)
