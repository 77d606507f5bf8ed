"""GANomaly: Akçay et al., "Semi-Supervised Anomaly Detection via Adversarial Training", ACCV 2018."""

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
    code_width,
    conv_decoder,
    conv_encoder,
    conv_stages,
    flat_width,
    measure_statistics,
    reinitialise,
    softplus,
    to_images,
)
from whitecrow.train import Batch, Stage
from whitecrow.train.plan import Objective

__all__ = ["GANomaly"]

_CHUNK = 1024


class GANomaly(DeepDetector):
    r"""Encode, decode and encode again; score by how far the code of the image rebuilt is from that of the image.

    .. math:: s(x) = \tfrac1d \lVert z - \hat z \rVert^2, \qquad z = G_E(x), \quad \hat x = G_D(z), \quad
        \hat z = E(\hat x)

    The generator :math:`G_D \circ G_E` and the encoder E minimise, with f the last hidden layer of a discriminator D
    that learns to tell :math:`x` from :math:`\hat x`,

    .. math:: w_{adv}\, \tfrac1{n_f} \lVert f(x) - f(\hat x) \rVert^2 + w_{con}\, \tfrac1n \lVert x - \hat x \rVert_1
        + w_{enc}\, \tfrac1d \lVert z - \hat z \rVert^2

    Parameters
    ----------
    channels : tuple of int or None, default=None
        Channels after each stage of the encoders and the discriminator, which halve the sides; the decoder mirrors
        them. None takes stages down to 4 pixels or less, the last with 64 channels.
    latent_dim : int or None, default=None
        d. None takes 32, or 8 below 16 pixels.
    adversarial_weight, contextual_weight, encoder_weight : float, default=1, 50, 1
        :math:`w_{adv}`, :math:`w_{con}` and :math:`w_{enc}`.
    beta1 : float from 0 to 1 (excluded), default=0.5
        Decay of Adam's first moment.
    average : float from 0 to 1 (excluded), default=0.999
        Decay of the moving average of all parameters over the steps; the scores use the average. 0 uses the last.
    score_type : {"latent", "recon", "sum"}, default="latent"
        The score above; the mean absolute error of the image rebuilt; or the sum of both, each divided by its mean over
        the training images.

    Notes
    -----
    Batch normalisation uses its running statistics when scoring. The published code normalises test batches by
    themselves, so a score there depends on the images beside it, and where batches are sorted by label it learns the
    label. Here these statistics are measured again on the training images after training, for the averaged parameters.

    Further departures: the code comes from a linear layer; the discriminator is not drawn anew when its loss vanishes;
    scores are not scaled to [0, 1] over a test set.

    References
    ----------
    .. [1] S. Akçay, A. Atapour-Abarghouei, T. Breckon, "GANomaly: Semi-Supervised Anomaly Detection via Adversarial
       Training", ACCV 2018, arXiv 1805.06725.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    paper: ClassVar[str] = "Akçay et al., ACCV 2018"
    year: ClassVar[int] = 2018
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    aimed_steps: ClassVar[int] = 2000
    default_lr: ClassVar[Mapping[Kind, float]] = {"image": 2e-4}

    channels: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    adversarial_weight: NonNegative = 1.0
    contextual_weight: NonNegative = 50.0
    encoder_weight: NonNegative = 1.0
    beta1: Probability = 0.5
    average: Probability = 0.999
    score_type: Literal["latent", "recon", "sum"] = "latent"
    batch_size: Count = 64
    lr: Positive | None = None
    validation: Probability = 0.0  # the losses of a game do not say which epoch is best

    def networks(self, spec: InputSpec) -> Networks:
        shape = spec.shape
        channels = self.channels if self.channels is not None else conv_stages(shape)
        latent = self.latent_dim if self.latent_dim is not None else code_width(shape)
        net = Networks(
            encoder=conv_encoder(shape, channels, latent, norm=True),
            decoder=conv_decoder(latent, channels, shape, norm=True),
            encoder_again=conv_encoder(shape, channels, latent, norm=True),
            f=conv_encoder(shape, channels, None, norm=True),
            discriminator=Linear(flat_width(shape, channels), 1),  # on top of f
            means=torch.ones(2),  # of the latent and of the contextual part over the training rows
        )
        reinitialise(net)
        return net

    def stages(self) -> Sequence[Stage]:
        betas = (float(self.beta1), 0.999)
        generator = Objective("err_g", trains=("encoder", "decoder", "encoder_again"), betas=betas)
        discriminator = Objective("err_d", trains=("f", "discriminator"), betas=betas)
        return (Stage((generator, discriminator), average=float(self.average)),)

    def err_g(self, net: Networks, batch: Batch) -> Tensor:
        z, rebuilt, z_again = self._pass(net, batch.x)
        err_g_adv = (net.f(batch.x) - net.f(rebuilt)).square().mean(-1)
        err_g_con = (batch.x - rebuilt).abs().mean(-1)
        err_g_enc = (z - z_again).square().mean(-1)
        return batch.mean(
            self.adversarial_weight * err_g_adv + self.contextual_weight * err_g_con + self.encoder_weight * err_g_enc
        )

    def err_d(self, net: Networks, batch: Batch) -> Tensor:
        real, made = (self._logit(net, x) for x in (batch.x, net.decoder(net.encoder(batch.x))))
        return batch.mean(softplus(-real) + softplus(made)) / 2

    def finish(self, net: Networks, X: Tensor) -> None:
        measure_statistics((net.encoder, net.decoder, net.encoder_again), lambda x: self._pass(net, x), X)
        parts = torch.cat([self._parts(net, x) for x in X.split(_CHUNK)])
        net.means.copy_(parts.mean(0).clamp_min(1e-6))

    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        z, rebuilt, z_again = self._pass(net, X)
        correct = self._logit(net, X) > 0, self._logit(net, rebuilt) < 0
        return {
            "accuracy": torch.cat(correct).float().mean(),
            "code_spread": z.std(0, correction=0).mean(),  # towards 0 the codes say nothing, and score nothing
            "code_again_spread": z_again.std(0, correction=0).mean(),
        }

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.decoder(net.encoder(x))

    def map_batch(self, net: Networks, x: Tensor) -> Tensor:
        return to_images((x - self.rebuild_batch(net, x)).abs(), self.spec_.shape).sum(1)

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        parts = self._parts(net, x)
        if self.score_type == "sum":
            return (parts / net.means).sum(-1)
        return parts[:, 0 if self.score_type == "latent" else 1]

    def _pass(self, net: Networks, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the code, the image rebuilt, and the code of the latter."""
        z = net.encoder(x)
        rebuilt = net.decoder(z)
        return z, rebuilt, net.encoder_again(rebuilt)

    def _logit(self, net: Networks, x: Tensor) -> Tensor:
        return net.discriminator(net.f(x)).squeeze(-1)

    def _parts(self, net: Networks, x: Tensor) -> Tensor:
        """Return the latent and the contextual part of the score of each row, ``[B, 2]``."""
        z, rebuilt, z_again = self._pass(net, x)
        return torch.stack([(z - z_again).square().mean(-1), (x - rebuilt).abs().mean(-1)], -1)
