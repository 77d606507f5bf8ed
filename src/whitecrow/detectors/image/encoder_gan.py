"""A GAN whose encoder is trained beside it: Berg, Ahlberg and Felsberg, arXiv 1905.11034, 2019."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Linear

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

__all__ = ["EncoderGAN"]

_CHUNK = 1024
_PARTS = ("image", "features", "norm")


class EncoderGAN(DeepDetector):
    r"""Train an encoder on what a GAN generates while the GAN learns; score by the image rebuilt and the code's length.

    .. math:: s(x) = \tilde R(x) + \tilde F(x) + \lvert \tilde N(x) \rvert

    .. math:: R(x) = \tfrac1n \lVert x - G(E(x)) \rVert_1, \qquad F(x) = \tfrac1{n_f} \lVert f(x) - f(G(E(x))) \rVert_1,
        \qquad N(x) = \lVert E(x) \rVert_2

    with f the last hidden layer of the critic; a tilde takes off the median over the training images and divides by
    the median distance from it. In turn, the critic D, the generator G and the encoder E minimise

    .. math:: L_D = D(G(z)) - D(x) + \lambda (\lVert \nabla D(\hat x) \rVert_2 - 1)^2 + \epsilon D(x)^2

    .. math:: L_G = -D(G(z)) + \gamma C(z), \qquad L_E = C(z) = \tfrac1n \lVert G(z) - G(E(G(z))) \rVert_1

    The generator is given the direction of z alone, :math:`z \sqrt d / \lVert z \rVert_2`, so nothing decides how long
    a code of E is; on images unlike those that G makes, its length is unusual.

    Parameters
    ----------
    channels : tuple of int or None, default=None
        Channels of the stages of critic and encoder, each of which halves the sides; the generator mirrors them. None
        takes stages down to 4 pixels or less, the last with 32 channels.
    latent_dim : int or None, default=None
        Width of z. None takes 32, or 8 below 16 pixels.
    n_critic : int, default=1
        Steps of the critic to one of the generator and one of the encoder.
    penalty : float, default=10
        :math:`\lambda`.
    drift : float, default=0.001
        :math:`\epsilon`, which keeps the critic's values near 0.
    coupling : float, default=0
        :math:`\gamma`. At 0, as in the published code, the generator does not know the encoder; the paper speaks of a
        joint training, for which 10 is a value to try.
    average : float from 0 to 1 (excluded), default=0.999
        Decay of the moving average of all parameters over the steps; the scores use the average. 0 uses the last.
    score_type : {"sum", "image", "features", "norm"}, default="sum"
        The score above, or one of its three parts.

    Notes
    -----
    Departures from the paper: residual networks of one size in place of those that grow; no statistics of the batch in
    E or D, with which an image's code would depend on the other images; layer normalisation; a linear output of E. How
    the paper joins the three parts is not clear from it, so the sum is ours.

    References
    ----------
    .. [1] A. Berg, J. Ahlberg, M. Felsberg, "Unsupervised Learning of Anomaly Detection from Contaminated Image Data
       using Simultaneous Encoder Training", 2019, arXiv 1905.11034.
    .. [2] T. Karras, T. Aila, S. Laine, J. Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and
       Variation", ICLR 2018, arXiv 1710.10196.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    paper: ClassVar[str] = "Berg et al., 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    aimed_steps: ClassVar[int] = 2000
    default_lr: ClassVar[Mapping[Kind, float]] = {"image": 1e-3}

    channels: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    n_critic: Count = 1
    penalty: NonNegative = 10.0
    drift: NonNegative = 1e-3
    coupling: NonNegative = 0.0
    average: Probability = 0.999
    score_type: Literal["sum", "image", "features", "norm"] = "sum"
    batch_size: Count = 64
    lr: Positive | None = None
    validation: Probability = 0.0  # the losses of a game do not say which epoch is best

    def networks(self, spec: InputSpec) -> Networks:
        shape, latent = spec.shape, self._latent(spec)
        channels = self.channels if self.channels is not None else conv_stages(shape, 32)
        return Networks(
            generator=residual_generator(latent, channels, shape),
            f=residual_encoder(shape, channels, None),
            critic=Linear(flat_width(shape, channels), 1, bias=False),  # on top of f
            encoder=residual_encoder(shape, channels, latent),
            noise=Noise(),
            shares=Noise("uniform"),
            medians=torch.zeros(3),  # of R, F and N over the training rows
            spreads=torch.ones(3),
        )

    def _latent(self, spec: InputSpec) -> int:
        """Return the width of z."""
        return self.latent_dim if self.latent_dim is not None else code_width(spec.shape)

    def stages(self) -> Sequence[Stage]:
        betas, k = (0.0, 0.99), int(self.n_critic)
        critic = Objective("err_d", trains=("f", "critic"), betas=betas)
        generator = Objective("err_g", trains=("generator",), betas=betas, every=k)
        encoder = Objective("err_e", trains=("encoder",), betas=betas, every=k)
        return (Stage((critic, generator, encoder), average=float(self.average)),)

    def err_d(self, net: Networks, batch: Batch) -> Tensor:
        made = self._made(net, batch.x)
        real_value, made_value = self._values(net, batch.x, made)
        share = net.shares.draw(len(made), 1)
        slopes = gradient_penalty(lambda x: net.critic(net.f(x)), batch.x, made, share)
        return batch.mean(made_value - real_value + self.penalty * slopes + self.drift * real_value.square())

    def err_g(self, net: Networks, batch: Batch) -> Tensor:
        made = self._made(net, batch.x)
        loss = -net.critic(net.f(made)).mean()
        return loss + self.coupling * self._cycle(net, made) if self.coupling else loss

    def err_e(self, net: Networks, batch: Batch) -> Tensor:
        return self._cycle(net, self._made(net, batch.x))

    def finish(self, net: Networks, X: Tensor) -> None:
        parts = torch.cat([self._parts(net, x) for x in X.split(_CHUNK)])
        net.medians.copy_(parts.median(0).values)
        net.spreads.copy_((parts - net.medians).abs().median(0).values.clamp_min(1e-6))

    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        made = self._made(net, X)
        return {"diversity": diversity(made, X), "accuracy": order_accuracy(*self._values(net, X, made))}

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return self._generate(net, net.encoder(x))

    def map_batch(self, net: Networks, x: Tensor) -> Tensor:
        return to_images((x - self.rebuild_batch(net, x)).abs(), self.spec_.shape).sum(1)

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        parts = (self._parts(net, x) - net.medians) / net.spreads
        if self.score_type == "sum":
            return parts[:, 0] + parts[:, 1] + parts[:, 2].abs()
        part = parts[:, _PARTS.index(self.score_type)]
        return part.abs() if self.score_type == "norm" else part

    def _generate(self, net: Networks, z: Tensor) -> Tensor:
        """Return the images of codes, of which the length does not matter."""
        return net.generator(z * (z.square().mean(-1, keepdim=True) + 1e-8).rsqrt())

    def _made(self, net: Networks, x: Tensor) -> Tensor:
        return self._generate(net, net.noise.draw(len(x), self._latent(self.spec_)))

    def _cycle(self, net: Networks, made: Tensor) -> Tensor:
        return (made - self._generate(net, net.encoder(made))).abs().mean()

    def _values(self, net: Networks, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """Return D of real and of made rows, ``[B]`` each."""
        first, second = net.critic(net.f(torch.cat([real, made]))).squeeze(-1).chunk(2)
        return first, second

    def _parts(self, net: Networks, x: Tensor) -> Tensor:
        """Return R, F and N of each row, ``[B, 3]``."""
        code = net.encoder(x)
        rebuilt = self._generate(net, code)
        image, features = (x - rebuilt).abs().mean(-1), (net.f(x) - net.f(rebuilt)).abs().mean(-1)
        return torch.stack([image, features, torch.linalg.vector_norm(code, dim=-1)], -1)
