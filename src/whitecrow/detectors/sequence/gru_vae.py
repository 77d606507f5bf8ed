"""Recurrent variational autoencoder with a chain of codes, after OmniAnomaly (Su et al., KDD 2019)."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from whitecrow.core.parameters import Count, NonNegative, Positive
from whitecrow.core.spec import InputSpec
from whitecrow.data.series.encoder import Window
from whitecrow.data.series.folding import Fold
from whitecrow.detectors._series import DeepSeriesDetector
from whitecrow.nn import Networks, Noise, softplus
from whitecrow.train import Batch

__all__ = ["GRUVAE"]

_LEAST_DEVIATION = 1e-4  # of a code


class GRUVAE(DeepSeriesDetector):
    r"""Explain each step by a code that follows the one before; score a step by how improbable its code makes it.

    .. math:: s_t = -\log p(x_t \mid z_{1:t}) - \frac{C}{2} \log 2 \pi v_0

    with :math:`p(x_t \mid z_{1:t}) = N(m_t, \operatorname{diag} v_t)` from a GRU over the codes, the prior
    :math:`p(z_t \mid z_{t-1}) = N(z_{t-1}, I)`, :math:`z_0 = 0`, and the posterior
    :math:`q(z_t \mid z_{t-1}, x_{t:W}) = N(\mu_t, \operatorname{diag} \sigma_t^2)` from a GRU that reads the window
    backwards. Trained on the mean over the steps of
    :math:`-\log p(x_t \mid z_{1:t}) + \beta\, KL(q(z_t \mid z_{t-1}, x_{t:W}) \,\Vert\, p(z_t \mid z_{t-1}))`.

    Parameters
    ----------
    hidden_dim : int, default=32
        Units of each GRU, and of the layer between the first and the codes.
    latent_dim : int or None, default=None
        Width of a code. None takes 3 for one channel and one more for every second further one, up to 8.
    beta : float, default=1
        Weight of the divergence from the prior.
    variance_floor : float, default=0.01
        :math:`v_0`, in squared units of the scaled channels. Without it a constant channel drowns the others.
    window : int or "auto", default=50
        Steps in a window, W.
    fold : {"last", "centre", "mean", "median", "max"}, default="last"
        Each window has a score for each of its steps; *last* takes that of its last one.
    batch_size : int, default=128
        Windows per step.
    lr : float or None, default=3e-3
        Learning rate of Adam.
    clip_norm : float or None, default=10
        Largest norm of a replica's gradient.

    Attributes
    ----------
    history_ : dict of str to list of list of float
        ``"fit.divergence"`` is that of a step, after each epoch; near 0 the codes have collapsed.

    Notes
    -----
    OmniAnomaly passes each code through 20 planar flows and reads the window forwards; it needs the flows, for the
    posterior of a code depends on the steps after it. Here it sees them, and no flow is needed: for a linear Gaussian
    model the form of this posterior is the exact one. Scores are taken at the mean codes. The constant makes each
    channel's part of the score at least 0.

    References
    ----------
    .. [1] Y. Su, Y. Zhao, C. Niu, R. Liu, W. Sun, D. Pei, "Robust Anomaly Detection for Multivariate Time Series
       through Stochastic Recurrent Neural Network", KDD 2019.
    """

    paper: ClassVar[str] = "Su et al., KDD 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    aimed_steps: ClassVar[int] = 600

    hidden_dim: Count = 32
    latent_dim: Count | None = None
    beta: NonNegative = 1.0
    variance_floor: Positive = 1e-2
    window: Window = 50
    fold: Fold = "last"
    batch_size: Count = 128
    lr: Positive | None = 3e-3
    clip_norm: Positive | None = 10.0

    def networks(self, spec: InputSpec) -> Networks:
        n_channels, hidden = spec.shape[1], self.hidden_dim
        latent = self.latent_dim if self.latent_dim is not None else min(3 + n_channels // 2, 8)
        return Networks(
            encoder=nn.GRU(n_channels, hidden, batch_first=True),
            from_steps=nn.Linear(hidden, hidden),
            from_code=nn.Linear(latent, hidden, bias=False),
            code=nn.Linear(hidden, 2 * latent),
            decoder=nn.GRU(latent, hidden, batch_first=True),
            emission=nn.Linear(hidden, 2 * n_channels),
            noise=Noise(),
        )

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        steps = self._steps(batch.x)
        codes, divergence = self._codes(net, steps, net.noise)
        surprise = self._surprise(net, steps, codes).sum(-1)
        return batch.mean((surprise + self.beta * divergence).mean(-1))

    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        return {"divergence": self._codes(net, self._steps(X))[1].mean()}

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        steps = self._steps(x)
        return self._surprise(net, steps, self._codes(net, steps)[0]).sum(-1)

    def _steps(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, self.spec_.shape)

    def _codes(self, net: Networks, steps: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Return codes ``[B, W, L]``, samples or, without noise, means, and their divergences ``[B, W]``."""
        drives = net.from_steps(net.encoder(steps.flip(1))[0].flip(1)).unbind(1)
        latent = net.code.out_features // 2
        z = steps.new_zeros(len(steps), latent)
        draws = None if noise is None else noise.draw(len(drives), len(steps), latent)
        codes, divergences = [], []
        for t, drive in enumerate(drives):
            mean, raw = net.code((drive + net.from_code(z)).tanh()).chunk(2, -1)
            # The posterior begins at the code before, as the prior does.
            mean, deviation = z + mean, softplus(raw) + _LEAST_DEVIATION
            variance = deviation.square()
            divergences.append(0.5 * (variance + (mean - z).square() - 1 - variance.log()).sum(-1))
            z = mean if draws is None else mean + deviation * draws[t]
            codes.append(z)
        return torch.stack(codes, 1), torch.stack(divergences, 1)

    def _surprise(self, net: Networks, steps: Tensor, codes: Tensor) -> Tensor:
        r"""Return :math:`-\log p(x_{tc} \mid z_{1:t}) - \tfrac12 \log 2 \pi v_0`, ``[B, W, C]``, at least 0."""
        mean, raw = net.emission(net.decoder(codes)[0]).chunk(2, -1)
        variance = softplus(raw) + self.variance_floor
        return 0.5 * ((variance / self.variance_floor).log() + (steps - mean).square() / variance)
