"""Adversarially learned anomaly detection: Zenati et al., "Adversarially Learned Anomaly Detection", ICDM 2018."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Sequential

from whitecrow.core.parameters import Count, Positive, Probability
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
    flat_width,
    hidden_width,
    mlp,
    softplus,
    to_images,
)
from whitecrow.train import Batch, Execution, Stage
from whitecrow.train.plan import Objective

__all__ = ["ALAD"]


class ALAD(DeepDetector):
    r"""Let an encoder and a generator invert each other on normal rows; score by how a critic sees the row rebuilt.

    .. math:: s(x) = \lVert f_{xx}(x, x) - f_{xx}(x, G(E(x))) \rVert_1

    with :math:`f_{xx}` the last hidden layer of the discriminator :math:`D_{xx}`. Three discriminators learn to tell
    :math:`(x, E(x))` from :math:`(G(z), z)`, :math:`(x, x)` from :math:`(x, G(E(x)))` and :math:`(z, z)` from
    :math:`(z, E(G(z)))`, where :math:`z \sim N(0, I)`; E and G learn to have each pair taken for the other.

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the generator mirrors them. None takes 2 h and h,
        where h is the power of two nearest to D, from 16 to 256. For images, the channels of the convolutions that
        halve the sides; None goes down to 4 pixels or less, with 64 channels at the end.
    latent_dim : int or None, default=None
        Width of z. None takes D / 4, from 4 to 32; narrower codes make the training of narrow tables unstable. For
        images it takes 32, or 8 below 16 pixels.
    discriminator_dim : int, default=128
        Width of each discriminator's hidden layer.
    dropout : float from 0 to 1 (excluded), default=0.2
        Probability of dropping a hidden value of a discriminator in training.
    spectral : bool, default=True
        Whether the weights of the encoder and of the discriminators are divided by their largest singular value,
        which bounds how sharp a discriminator can become.
    average : float from 0 to 1 (excluded), default=0.999
        Decay of the moving average of all parameters over the steps; the scores use the average. 0 uses the last.
    beta1 : float from 0 to 1 (excluded), default=0.5
        Decay of Adam's first moment.
    score_type : {"features", "l1", "l2", "logits"}, default="features"
        The score above; the L1 or the L2 norm of :math:`x - G(E(x))`; or the logit of :math:`D_{xx}(x, G(E(x)))`
        with its sign changed, which orders rows as the cross-entropy does but cannot saturate.

    Notes
    -----
    Departures from the paper: discriminators see their two inputs joined from the first layer on and have one hidden
    layer; no batch normalisation, under which a row's gradient depends on its batch; both steps of a turn use the same
    rows with fresh z; the rate is a hundred times larger, because a few thousand steps are taken, not hundreds of
    thousands.

    References
    ----------
    .. [1] H. Zenati, M. Romain, C.-S. Foo, B. Lecouat, V. Chandrasekhar, "Adversarially Learned Anomaly Detection",
       ICDM 2018, arXiv 1812.02288.
    """

    execution: ClassVar[Execution] = "direct"
    kinds: ClassVar[tuple[Kind, ...]] = ("table", "image")
    paper: ClassVar[str] = "Zenati et al., ICDM 2018"
    year: ClassVar[int] = 2018
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    default_lr: ClassVar[Mapping[Kind, float]] = {"table": 1e-3, "image": 2e-4}
    most_epochs: ClassVar[int] = 100  # a game has no minimum to wait for: beyond this it wanders

    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    discriminator_dim: Count = 128
    dropout: Probability = 0.2
    spectral: bool = True
    average: Probability = 0.999
    beta1: Probability = 0.5
    score_type: Literal["features", "l1", "l2", "logits"] = "features"
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
        return Networks(
            encoder=mlp(d, *hidden, latent, activation="leaky-relu", init="xavier", spectral=norm),
            generator=mlp(latent, *reversed(hidden), d, init="xavier"),
            d_xz=mlp(d + latent, k, 1, activation="leaky-relu", dropout=p, init="xavier", spectral=norm),
            f_xx=mlp(2 * d, k, output="leaky-relu", init="xavier", spectral=norm),
            drop=Dropout(p),
            d_xx=mlp(k, 1, init="xavier", spectral=norm),  # on top of f_xx
            d_zz=mlp(2 * latent, k, 1, activation="leaky-relu", dropout=p, init="xavier", spectral=norm),
            noise=Noise(),
        )

    def _of_images(self, spec: InputSpec) -> Networks:
        shape, k, p, norm = spec.shape, self.discriminator_dim, self.dropout, self.spectral
        channels = self.hidden_dims if self.hidden_dims is not None else conv_stages(shape)
        latent = self._latent(spec)
        both = (2 * shape[0], *shape[1:])  # x and its reconstruction, joined as channels
        return Networks(
            encoder=conv_encoder(shape, channels, latent, norm=True, spectral=norm),
            generator=conv_decoder(latent, channels, shape, norm=True),
            d_xz=Sequential(
                PairFeatures(shape, channels, latent, k, dropout=p, spectral=norm),
                mlp(k, 1, init="xavier", spectral=norm),
            ),
            f_xx=conv_encoder(both, channels[:2], None, spectral=norm),
            drop=Dropout(p),
            d_xx=mlp(flat_width(both, channels[:2]), 1, init="xavier", spectral=norm),  # on top of f_xx
            d_zz=mlp(2 * latent, k, 1, activation="leaky-relu", dropout=p, init="xavier", spectral=norm),
            noise=Noise(),
        )

    def _latent(self, spec: InputSpec) -> int:
        """Return the width of z."""
        if self.latent_dim is not None:
            return self.latent_dim
        return code_width(spec.shape) if spec.kind == "image" else min(max(round(spec.n_features / 4), 4), 32)

    def stages(self) -> Sequence[Stage]:
        betas = (float(self.beta1), 0.999)
        discriminators = Objective("err_d", trains=("d_xz", "f_xx", "d_xx", "d_zz"), betas=betas)
        inverses = Objective("err_ge", trains=("encoder", "generator"), betas=betas)
        return (Stage((discriminators, inverses), average=float(self.average)),)

    def err_d(self, net: Networks, batch: Batch) -> Tensor:
        """Return the sum of the three discriminators' cross-entropies; each depends on its own networks only."""
        (xz, made_xz), (xx, made_xx), (zz, made_zz) = self._logits(net, batch.x)
        real, made = softplus(-xz) + softplus(-xx) + softplus(-zz), softplus(made_xz) + softplus(made_xx)
        return batch.mean(real + made + softplus(made_zz))

    def err_ge(self, net: Networks, batch: Batch) -> Tensor:
        r"""Return :math:`L_E + L_G`, the cycles once and without the pairs that neither network has a part in."""
        (xz, made_xz), (_, made_xx), (_, made_zz) = self._logits(net, batch.x)
        return batch.mean(softplus(xz) + softplus(-made_xz) + softplus(-made_xx) + softplus(-made_zz))

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
        rebuilt = self.rebuild_batch(net, x)
        if self.score_type == "l1":
            return (x - rebuilt).abs().sum(-1)
        if self.score_type == "l2":
            return torch.linalg.vector_norm(x - rebuilt, dim=-1)
        features = net.f_xx(torch.cat([x, rebuilt], -1))
        if self.score_type == "logits":
            return -net.d_xx(features).squeeze(-1)
        return (net.f_xx(torch.cat([x, x], -1)) - features).abs().sum(-1)

    def _logits(self, net: Networks, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the logits ``[B]`` of a real and of a made pair under D_xz, D_xx and D_zz."""
        z = net.noise.draw(x.shape[-2], self._latent(self.spec_))
        code, made = net.encoder(x), net.generator(z)
        xz = net.d_xz(_pairs((x, code), (made, z)))
        xx = net.d_xx(net.drop(net.f_xx(_pairs((x, x), (x, net.generator(code))))))
        zz = net.d_zz(_pairs((z, z), (z, net.encoder(made))))
        halves = (logits.squeeze(-1).chunk(2, -1) for logits in (xz, xx, zz))
        return [(real, fake) for real, fake in halves]


def _pairs(real: tuple[Tensor, Tensor], made: tuple[Tensor, Tensor]) -> Tensor:
    """Return the real pairs above the made ones, ``[2 B, width]``, so that one pass judges both."""
    return torch.cat([torch.cat(real, -1), torch.cat(made, -1)], -2)
