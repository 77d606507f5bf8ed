"""Convolutional variational autoencoder: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from whitecrow.core.parameters import Count, Natural, NonNegative, Positive, Range
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Networks, Noise, code_width, conv_decoder, conv_encoder, conv_stages
from whitecrow.train import Batch, Stage

__all__ = ["ConvVAE"]

_ACTIVE_VARIANCE = 0.01
_CHUNK = 1024
_LARGEST_LOG_VARIANCE = 10.0  # of the code: images far from the training data must not overflow


class ConvVAE(DeepDetector):
    r"""Describe each image by a distribution over a narrow code; score by how improbable the rebuilt image makes it.

    .. math:: s(x) = -\frac1L \sum_{l=1}^{L} \log p(x \mid z_l), \qquad z_l \sim q(z \mid x) =
        N(\mu(x), \operatorname{diag} \sigma^2(x))

    up to a constant, trained on the sum over the pixels

    .. math:: -\log p(x \mid z) + \beta\, KL(q(z \mid x) \,\Vert\, N(0, I)), \qquad
        KL = -\tfrac12 \sum_j (1 + \log \sigma_j^2 - \mu_j^2 - \sigma_j^2)

    with :math:`p(x \mid z) = N(m(z), v I)`. Its one variance v says what a pixel weighs against the code; after each
    epoch it becomes the mean squared error of the training images, for which they are most probable, plus :math:`v_0`.

    Parameters
    ----------
    channels : tuple of int or None, default=None
        Channels after each stage of the encoder, which halves the sides; the decoder mirrors it. None takes stages
        down to 4 pixels or less, the last with 64 channels.
    latent_dim : int or None, default=None
        Width of the code. None takes 32, or 8 below 16 pixels.
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        The normal law of a pixel as above; or each pixel's intensity from 0 to 1 taken for a probability, for images
        that are almost black and white.
    beta : float, default=1
        Weight of the divergence from the prior. Larger values make fewer units of the code active.
    warm_up : int, default=5
        Epochs, before those of ``epochs``, in which the weight of the divergence rises from 0 to ``beta``, so that
        the code is in use before it has a price.
    variance_floor : float, default=0.001
        :math:`v_0`, in squared units of images that span 2.
    score_type : {"recon-prob", "elbo", "recon"}, default="recon-prob"
        The score above, the negative reconstruction probability of [2]_; the same with the divergence, the negative
        evidence lower bound; or the mean squared error at the mean of the code.
    n_samples : int from 0 to 1000, default=10
        L. 0 decodes the mean of an image's code. The draws are part of the model, so an image always gets the same
        score.

    Notes
    -----
    A constant is left out of the score, so that it is a sum of non-negative parts. ``history_["fit.active_units"]``
    counts the units of the code whose mean varies by more than 0.01 over some training images; at 0 the code has
    collapsed, and every image is rebuilt alike.

    References
    ----------
    .. [1] D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv 1312.6114.
    .. [2] J. An, S. Cho, "Variational Autoencoder based Anomaly Detection using Reconstruction Probability", SNU Data
       Mining Center, Special Lecture on IE, 2015.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    paper: ClassVar[str] = "Kingma and Welling, ICLR 2014"
    year: ClassVar[int] = 2014
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    aimed_steps: ClassVar[int] = 1500

    channels: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    likelihood: Literal["gaussian", "bernoulli"] = "gaussian"
    beta: NonNegative = 1.0
    warm_up: Natural = 5
    variance_floor: Positive = 1e-3
    score_type: Literal["recon-prob", "elbo", "recon"] = "recon-prob"
    n_samples: Annotated[int, Range(0, 1000)] = 10
    batch_size: Count = 64

    def networks(self, spec: InputSpec) -> Networks:
        channels = self.channels if self.channels is not None else conv_stages(spec.shape)
        latent = self.latent_dim if self.latent_dim is not None else code_width(spec.shape)
        gaussian = self.likelihood == "gaussian"
        decoder = conv_decoder(latent, channels, spec.shape, norm=True, output="tanh" if gaussian else "linear")
        return Networks(
            encoder=conv_encoder(spec.shape, channels, 2 * latent, norm=True),
            decoder=decoder,
            noise=Noise(),
            beta=tensor(0.0 if self.warm_up else float(self.beta)),
            variance=torch.ones(()),  # v
        )

    def stages(self) -> Sequence[Stage]:
        # Losses under different weights of the divergence cannot be compared, so the warm-up does not stop early.
        return Stage(epochs=int(self.warm_up), name="warm-up", early_stop=False), Stage()

    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        net.variance.copy_(X.var(0, correction=0).mean() + self.variance_floor)

    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> None:
        errors = [x - self._mean(net, self._draw(net, *self._code(net, x))) for x in X.split(_CHUNK)]
        net.variance.copy_(torch.cat(errors).square().mean() + self.variance_floor)
        if self.warm_up:
            net.beta.add_(self.beta / self.warm_up).clamp_max_(self.beta)

    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        mu, _ = self._code(net, X)
        return {"active_units": (mu.var(0, correction=0) > _ACTIVE_VARIANCE).sum()}

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        code = self._code(net, batch.x)
        surprise = self._surprise(net, batch.x, self._draw(net, *code)).sum(-1)
        return batch.mean(surprise + net.beta * self._divergence(*code))

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return self._mean(net, self._code(net, x)[0])

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        """Return the parts of the score by pixel; the divergence of the elbo belongs to none."""
        mu, log_variance = self._code(net, x)
        if self.score_type == "recon":
            return (x - self._mean(net, mu)).square() / x.shape[-1]
        if not self.n_samples:
            return self._surprise(net, x, mu)
        # The same draws for every row, wherever it stands.
        net.noise.seek(0)
        deviation, total = (0.5 * log_variance).exp(), torch.zeros_like(x)
        for _ in range(int(self.n_samples)):
            total = total + self._surprise(net, x, mu + deviation * net.noise.draw(1, mu.shape[-1]))
        return total / int(self.n_samples)

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return self._code(net, x)[0]

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        score = self.feature_scores(net, x).sum(-1)
        return score + self._divergence(*self._code(net, x)) if self.score_type == "elbo" else score

    def _code(self, net: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance of the code of each row."""
        mu, log_variance = net.encoder(x).chunk(2, -1)
        return mu, log_variance.clamp(-_LARGEST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE)

    def _draw(self, net: Networks, mu: Tensor, log_variance: Tensor) -> Tensor:
        """Return one draw of the code of each row."""
        return mu + (0.5 * log_variance).exp() * net.noise.like(mu)

    def _mean(self, net: Networks, z: Tensor) -> Tensor:
        """Return m(z), pixels from -1 to 1."""
        decoded = net.decoder(z)
        return decoded if self.likelihood == "gaussian" else 2 * decoded.sigmoid() - 1

    def _surprise(self, net: Networks, x: Tensor, z: Tensor) -> Tensor:
        r"""Return :math:`-\log p(x_j \mid z)` of each pixel, less :math:`\tfrac12 \log 2 \pi v_0` for a Gaussian."""
        if self.likelihood == "bernoulli":
            return binary_cross_entropy_with_logits(net.decoder(z), (x + 1) / 2, reduction="none")
        return 0.5 * ((net.variance / self.variance_floor).log() + (x - net.decoder(z)).square() / net.variance)

    def _divergence(self, mu: Tensor, log_variance: Tensor) -> Tensor:
        return 0.5 * (mu.square() + log_variance.exp() - 1 - log_variance).sum(-1)
