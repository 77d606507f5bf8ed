"""Variational autoencoder for tables: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014."""

import warnings
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, int64, tensor

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.core.parameters import Count, Natural, NonNegative, Positive, Range
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Activation, Networks, Noise, hidden_width, mlp, pullback, row_shares, softplus
from whitecrow.train import Batch, Execution, Stage

__all__ = ["VAE"]

_ACTIVE_VARIANCE = 0.01
_LARGEST_LOG_VARIANCE = 10.0  # of the code: rows far from the training data must not overflow


class VAE(DeepDetector):
    r"""Describe each row by a distribution over a narrow code; score by how improbable the rebuilt row makes it.

    .. math:: s(x) = -\log p(x \mid \mu(x)) - \frac{D}{2} \log 2 \pi v_0 + KL(q(z \mid x) \,\Vert\, N(0, I)), \qquad
        q(z \mid x) = N(\mu(x), \operatorname{diag} \sigma^2(x))

    with :math:`p(x \mid z) = N(m(z), \operatorname{diag} v(z))`, whose variances :math:`v \ge v_0` are learnt, and
    trained on :math:`\operatorname{mean}_i [-\log p(x_i \mid z_i) + \beta\, KL(q(z \mid x_i) \,\Vert\, N(0, I))]`.

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the decoder mirrors them. None takes two layers, h
        and h / 2, where h is the power of two nearest to D, from 16 to 256.
    latent_dim : int or None, default=None
        Width of the code. None takes D / 8, from 2 to 32.
    activation : str, default="relu"
        Between layers; the code and the output are linear.
    beta : float, default=1
        Weight of the divergence from the prior. Larger values make fewer units of the code active.
    warm_up : int, default=5
        Epochs, before those of ``epochs``, in which the weight of the divergence rises from 0 to ``beta``, so that
        the code is in use before it has a price.
    variance_floor : float, default=0.01
        :math:`v_0`, in squared units of the scaled features. Without it a constant feature drowns the others.
    score_type : {"elbo", "probability"}, default="elbo"
        The score above, the negative evidence lower bound; or the same without the divergence from the prior, which
        finds unusual codes: the negative reconstruction probability of [2]_.
    n_samples : int from 0 to 1000, default=0
        L. 0 decodes the mean of a row's code; otherwise the log-density is the mean over L samples of the code. The
        draws are part of the model, so a row always gets the same score.

    Attributes
    ----------
    active_units_ : list of int [R]
        Units of each replica's code whose mean varies over the training rows by more than 0.01. At 0 the code has
        collapsed and the score is little more than a distance to the mean of the training rows.

    Notes
    -----
    The constant is left out of the score, so that it is a sum of non-negative parts. [2]_ averages log-densities over
    samples (Algorithm 4); the mean code ranks rows as well, in a twentieth of the time of 20 samples.

    References
    ----------
    .. [1] D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv 1312.6114.
    .. [2] J. An, S. Cho, "Variational Autoencoder based Anomaly Detection using Reconstruction Probability", SNU Data
       Mining Center, Special Lecture on IE, 2015.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Kingma and Welling, ICLR 2014"
    year: ClassVar[int] = 2014
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    activation: Activation = "relu"
    beta: NonNegative = 1.0
    warm_up: Natural = 5
    variance_floor: Positive = 1e-2
    score_type: Literal["elbo", "probability"] = "elbo"
    n_samples: Annotated[int, Range(0, 1000)] = 0

    @property
    def active_units_(self) -> list[int]:
        return self.replicas_.stacked["active_units"].tolist()

    def networks(self, spec: InputSpec) -> Networks:
        d = spec.n_features
        h = hidden_width(d)
        hidden = self.hidden_dims if self.hidden_dims is not None else (h, max(h // 2, 2))
        latent = self.latent_dim if self.latent_dim is not None else min(max(round(d / 8), 2), 32)
        return Networks(
            encoder=mlp(d, *hidden, 2 * latent, activation=self.activation),
            decoder=mlp(latent, *reversed(hidden), 2 * d, activation=self.activation),
            noise=Noise(),
            beta=tensor(0.0 if self.warm_up else float(self.beta)),
            active_units=tensor(0, dtype=int64),
        )

    def stages(self) -> Sequence[Stage]:
        # Losses under different weights of the divergence cannot be compared, so the warm-up does not stop early.
        return Stage(epochs=int(self.warm_up), name="warm-up", early_stop=False), Stage()

    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> None:
        if self.warm_up:
            net.beta.add_(self.beta / self.warm_up).clamp_max_(self.beta)

    def finish(self, net: Networks, X: Tensor) -> None:
        mu, _ = self._code(net, X)
        net.active_units.fill_((mu.var(0) > _ACTIVE_VARIANCE).sum())

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        mu, log_variance = self._code(net, batch.x)
        z = mu + (0.5 * log_variance).exp() * net.noise.like(mu)
        surprise = self._surprise(net, batch.x, z).sum(-1)
        return batch.mean(surprise + net.beta * self._divergence(mu, log_variance))

    @torch.no_grad()
    def gradient(self, net: Networks, batch: Batch) -> tuple[Tensor, dict[Tensor, Tensor]]:
        code, encoder_back = pullback(batch.x, net.encoder)
        mu, free = code.chunk(2, -1)
        log_variance = free.clamp(-_LARGEST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE)
        jump = (0.5 * log_variance).exp_() * net.noise.like(mu)
        output, decoder_back = pullback(mu + jump, net.decoder)
        mean, raw = (half.contiguous() for half in output.chunk(2, -1))
        excess = softplus(raw)
        variance = excess + self.variance_floor
        error = batch.x - mean
        pull = error / variance
        share = row_shares(batch.x, batch.weight)
        surprise = 0.5 * (variance / self.variance_floor).log_().addcmul_(error, pull).sum(-1)
        loss = ((surprise + net.beta * self._divergence(mu, log_variance)) * share).sum(-1)
        # By v, log v + r^2 / v has the slope 1 / v - (r / v)^2; v = s + v_0 with the softplus s has the slope 1 - e^-s.
        by_raw = variance.reciprocal_().addcmul_(pull, pull, value=-1).mul_(excess.neg_().expm1_()).mul_(-0.5)
        by_z, gradient = decoder_back(torch.cat([pull.neg_(), by_raw], -1).mul_(share.unsqueeze(-1)))
        price = (net.beta * share).unsqueeze(-1)
        by_log = 0.5 * (by_z * jump + price * (log_variance.exp() - 1)) * (free == log_variance)
        return loss, gradient | encoder_back(torch.cat([by_z + price * mu, by_log], -1))[1]

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        """Return the parts of the score by feature; the divergence of the elbo belongs to none."""
        return self._surprise_of(net, x, *self._code(net, x))

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return self._code(net, x)[0]

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        code = self._code(net, x)
        score = self._surprise_of(net, x, *code).sum(-1)
        return score + self._divergence(*code) if self.score_type == "elbo" else score

    def _surprise_of(self, net: Networks, x: Tensor, mu: Tensor, log_variance: Tensor) -> Tensor:
        """Return the surprise of each feature at the mean code, or its mean over samples of the code."""
        if not self.n_samples:
            return self._surprise(net, x, mu)
        # The same draws for every row, wherever it stands.
        net.noise.seek(0)
        deviation, total = (0.5 * log_variance).exp(), x.new_zeros(())
        for _ in range(int(self.n_samples)):
            total = total + self._surprise(net, x, mu + deviation * net.noise.draw(1, mu.shape[-1]))
        return total / int(self.n_samples)

    def _code(self, net: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance of the code of each row."""
        mu, log_variance = net.encoder(x).chunk(2, -1)
        return mu, log_variance.clamp(-_LARGEST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE)

    def _surprise(self, net: Networks, x: Tensor, z: Tensor) -> Tensor:
        r"""Return :math:`-\log p(x_j \mid z) - \tfrac12 \log 2 \pi v_0` of each feature, at least 0."""
        mean, raw = net.decoder(z).chunk(2, -1)
        variance = softplus(raw.contiguous()).add_(self.variance_floor)  # a quarter of the time of a strided half
        return 0.5 * torch.addcdiv((variance / self.variance_floor).log(), (x - mean).square(), variance)

    def _divergence(self, mu: Tensor, log_variance: Tensor) -> Tensor:
        return 0.5 * (mu.square() + log_variance.exp() - 1 - log_variance).sum(-1)

    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...], rows: Tensor | None = None) -> None:
        super()._fit_networks(X, y, seeds, rows)
        collapsed = [r for r, units in enumerate(self.active_units_) if units == 0]
        if collapsed:
            warnings.warn(
                f"{type(self).__name__}: no unit of the code is active in replicas {collapsed}, so they rebuild every "
                f"row alike. Lower beta (now {self.beta:g}), lower variance_floor (now {self.variance_floor:g}), or "
                "train longer.",
                WhitecrowWarning,
                stacklevel=3,
            )
