"""AnoGAN: Schlegl et al., "Unsupervised Anomaly Detection with Generative Adversarial Networks", IPMI 2017."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.func import grad

from whitecrow.core.parameters import Count, Natural, Positive, Probability, Range, Share
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Dropout,
    Networks,
    Noise,
    code_width,
    conv_decoder,
    conv_encoder,
    conv_stages,
    diversity,
    flat_width,
    hidden_width,
    mlp,
    softplus,
)
from whitecrow.train import Batch, Execution, Stage
from whitecrow.train.plan import Objective

__all__ = ["AnoGAN"]

_REACH = 3.0  # largest |z_j| of a search: beyond it the generator has learnt nothing
_ROUNDING = 0.05  # of the kink of |r|, and the slope below which steps get shorter: rounding errors must not grow


class AnoGAN(DeepDetector):
    r"""Train a GAN on normal rows; score a row by how near the generator comes to it in a search for its code.

    .. math:: s(x) = \min_z\; (1 - \lambda) \lVert x - G(z) \rVert_1 + \lambda \lVert f(x) - f(G(z)) \rVert_1

    with f the last hidden layer of the discriminator. The first part is the residual loss, the second the
    discrimination loss by feature matching. The search starts at the best of ``n_starts`` fixed codes, which belong to
    the model, and takes ``n_search_steps`` gradient steps with Adam; the least value that it meets is the score.

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the generator's hidden layers, code side first. None takes h and 2 h, where h is the power of two
        nearest to D, from 16 to 256. For images, the channels of the convolutions that double the sides; None begins
        at 4 pixels or less, with 64 channels.
    latent_dim : int or None, default=None
        Width of :math:`z \sim N(0, I)`. None takes D / 4, from 4 to 32 (for images 32, or 8 below 16 pixels).
    discriminator_dim : int, default=128
        Width of the discriminator's two hidden layers.
    dropout : float from 0 to 1 (excluded), default=0.2
        Probability of dropping a hidden value of the discriminator in training.
    spectral : bool, default=True
        Whether the weights of the discriminator are divided by their largest singular value.
    average : float from 0 to 1 (excluded), default=0.999
        Decay of the moving average of all parameters over the steps; the scores use the average. 0 uses the last.
    beta1 : float from 0 to 1 (excluded), default=0.5
        Decay of Adam's first moment in training.
    n_starts : int from 1 to 10000, default=256
        Fixed codes of which the one nearest to the row, by the score, starts the search.
    n_search_steps : int or None, default=None
        Gradient steps of the search. 0 takes the start itself. Scoring time grows with it. None takes 20, or 100 for
        images.
    search_lr : float, default=0.1
        Adam's rate in the search, in units of z.
    discrimination_weight : float from 0 to 1, default=0.1
        :math:`\lambda`.
    score_type : {"anomaly", "residual", "discrimination"}, default="anomaly"
        The score above, or one of its two parts at the code that the search has found.

    Notes
    -----
    Departures from the paper: fully connected networks instead of convolutions; the paper takes 500 steps from one
    random code, while a good start and the least value met need few, and make the score a function of the row alone;
    codes stay within 3 standard deviations of their prior; the search, not the score, sees absolute values rounded off
    at 0, and spectral normalisation bounds the discriminator.

    References
    ----------
    .. [1] T. Schlegl, P. Seeböck, S. Waldstein, U. Schmidt-Erfurth, G. Langs, "Unsupervised Anomaly Detection with
       Generative Adversarial Networks to Guide Marker Discovery", IPMI 2017, arXiv 1703.05921.
    """

    # The game and the kinked search enlarge rounding errors, so replicas that run stacked would not be solo fits.
    execution: ClassVar[Execution] = "loop"
    kinds: ClassVar[tuple[Kind, ...]] = ("table", "image")
    paper: ClassVar[str] = "Schlegl et al., IPMI 2017"
    year: ClassVar[int] = 2017
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    default_lr: ClassVar[Mapping[Kind, float]] = {"table": 1e-3, "image": 2e-4}
    chunk_rows: ClassVar[int] = 256  # each row is searched for
    most_epochs: ClassVar[int] = 100  # a game has no minimum to wait for: beyond this it wanders

    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    discriminator_dim: Count = 128
    dropout: Probability = 0.2
    spectral: bool = True
    average: Probability = 0.999
    beta1: Probability = 0.5
    n_starts: Annotated[int, Range(1, 10_000)] = 256
    n_search_steps: Natural | None = None
    search_lr: Positive = 0.1
    discrimination_weight: Share = 0.1
    score_type: Literal["anomaly", "residual", "discrimination"] = "anomaly"
    clip: Positive | None = 5.0
    lr: Positive | None = None
    validation: Probability = 0.0  # the losses of a game do not say which epoch is best

    def networks(self, spec: InputSpec) -> Networks:
        return self._of_images(spec) if spec.kind == "image" else self._of_tables(spec)

    def _of_tables(self, spec: InputSpec) -> Networks:
        d, k, p, norm = spec.n_features, self.discriminator_dim, self.dropout, self.spectral
        h = hidden_width(d)
        hidden = self.hidden_dims if self.hidden_dims is not None else (h, 2 * h)
        latent = self._latent(spec)
        leaky: Literal["leaky-relu"] = "leaky-relu"
        return Networks(
            generator=mlp(latent, *hidden, d, init="xavier"),
            f=mlp(d, k, k, activation=leaky, output=leaky, dropout=p, init="xavier", spectral=norm),
            drop=Dropout(p),
            discriminator=mlp(k, 1, init="xavier", spectral=norm),  # on top of f
            noise=Noise(),
            starts=torch.randn(self.n_starts, latent).clamp(-_REACH, _REACH),
        )

    def _of_images(self, spec: InputSpec) -> Networks:
        shape, p, norm = spec.shape, self.dropout, self.spectral
        channels = self.hidden_dims if self.hidden_dims is not None else tuple(reversed(conv_stages(shape)))
        back, latent = tuple(reversed(channels)), self._latent(spec)
        return Networks(
            generator=conv_decoder(latent, back, shape, norm=True),
            f=conv_encoder(shape, back, None, spectral=norm, dropout=p),
            drop=Dropout(p),
            discriminator=mlp(flat_width(shape, back), 1, init="xavier", spectral=norm),  # on top of f
            noise=Noise(),
            starts=torch.randn(self.n_starts, latent).clamp(-_REACH, _REACH),
        )

    def _latent(self, spec: InputSpec) -> int:
        """Return the width of z."""
        if self.latent_dim is not None:
            return self.latent_dim
        return code_width(spec.shape) if spec.kind == "image" else min(max(round(spec.n_features / 4), 4), 32)

    def stages(self) -> Sequence[Stage]:
        betas = (float(self.beta1), 0.999)
        discriminator = Objective("err_d", trains=("f", "discriminator"), betas=betas)
        generator = Objective("err_g", trains=("generator",), betas=betas)
        return (Stage((discriminator, generator), average=float(self.average)),)

    def err_d(self, net: Networks, batch: Batch) -> Tensor:
        logits = self._logit(net, torch.cat([batch.x, self._made(net, batch.x)], -2))
        real, made = logits.chunk(2, -1)
        return batch.mean(softplus(-real)) + softplus(made).mean(-1)

    def err_g(self, net: Networks, batch: Batch) -> Tensor:
        return softplus(-self._logit(net, self._made(net, batch.x))).mean(-1)

    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        return {"diversity": diversity(self._made(net, X), X)}

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        features = net.f(x)

        def total(z: Tensor) -> tuple[Tensor, Tensor]:
            made = net.generator(z)
            differences = x - made, features - net.f(made)
            # Rows do not meet, so the gradient of the sum is each row's own.
            rounded = torch.stack([(r.square() + _ROUNDING**2).sqrt().sum(-1) for r in differences], -1)
            return self._weighted(rounded).sum(), torch.stack([r.abs().sum(-1) for r in differences], -1)

        z = self._start(net, x, features)
        best = total(z)[1]
        m, v = torch.zeros_like(z), torch.zeros_like(z)
        for step in range(1, self._search_steps + 1):
            slope, parts = grad(total, has_aux=True)(z)
            best = self._nearer(parts, best)
            m, v = m.lerp(slope, 0.1), v.lerp(slope.square(), 0.001)
            pace = (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + _ROUNDING)
            z = (z - float(self.search_lr) * pace).clamp(-_REACH, _REACH)
        best = self._nearer(total(z)[1], best)
        if self.score_type == "anomaly":
            return self._weighted(best)
        return best[..., 0 if self.score_type == "residual" else 1]

    @property
    def _search_steps(self) -> int:
        if self.n_search_steps is None:
            return 100 if self.spec_.kind == "image" else 20
        return self.n_search_steps

    def _start(self, net: Networks, x: Tensor, features: Tensor) -> Tensor:
        """Return for each row the fixed code with the least distance, ``[B, latent]``."""
        made = net.generator(net.starts)
        residual, discrimination = torch.cdist(x, made, p=1), torch.cdist(features, net.f(made), p=1)
        nearest = self._weighted(torch.stack([residual, discrimination], -1)).argmin(-1, keepdim=True)
        return net.starts.take_along_dim(nearest, -2)

    def _nearer(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.where((self._weighted(a) < self._weighted(b)).unsqueeze(-1), a, b)

    def _weighted(self, parts: Tensor) -> Tensor:
        w = float(self.discrimination_weight)
        return (1 - w) * parts[..., 0] + w * parts[..., 1]

    def _made(self, net: Networks, x: Tensor) -> Tensor:
        return net.generator(net.noise.draw(x.shape[-2], self._latent(self.spec_)))

    def _logit(self, net: Networks, x: Tensor) -> Tensor:
        return net.discriminator(net.drop(net.f(x))).squeeze(-1)
