"""Diffusion time estimation by a classifier: Livernoche et al., "On Diffusion Modeling ...", ICLR 2024."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from whitecrow.core.parameters import Count, Positive, Probability, Range
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Activation, Networks, Noise, mlp, softplus
from whitecrow.train import Batch, Execution, Stage

__all__ = ["DTECategorical"]

_REACH = 15.0  # length of the largest noise, which is to reach rows that are far off in one feature
_FARTHEST = 1e15  # scaled value beyond which logits could overflow
_AVERAGE = 0.99


class DTECategorical(DeepDetector):
    r"""Blur training rows by noise and learn to tell how much; a row that looks much blurred is anomalous.

    A row :math:`x_0` diffused to time :math:`t \in [0, 1)` is :math:`x_t = x_0 + \sigma_1 t \epsilon` with
    :math:`\epsilon \sim N(0, I)`. A network gives the probabilities of K equal intervals of time. It is trained with t
    drawn uniformly, on

    .. math:: L = -\operatorname{mean}_i \log p_{k_i}(x_{t_i}), \qquad k_i = \lfloor K t_i \rfloor

    and scores a row, as it is, by the interval to be expected, on a scale without an upper end:

    .. math:: s(x) = -\log \left(1 - \frac{\bar k}{K - 1}\right), \qquad \bar k = \sum_{k=0}^{K-1} k\, p_k(x)

    Parameters
    ----------
    hidden_dims : tuple of int, default=(128, 128)
        Widths of the hidden layers, input side first.
    activation : str, default="relu"
        Between layers.
    dropout : float from 0 to 1 (excluded), default=0
        Probability of dropping a hidden value in training.
    n_intervals : int from 2, default=7
        Number K of intervals of time.
    largest_noise : float or None, default=None
        :math:`\sigma_1`, the standard deviation of the noise at the end of time, in units of the scaled features. None
        takes :math:`15 / \sqrt D`, at least 1: noise about as long as a row is that is 15 off in one feature.

    Notes
    -----
    The paper scores by :math:`\bar k`, which ranks rows alike, but rounds to K - 1 where the network is certain.

    Departures from the paper: its noise ends at :math:`\sigma_1 = 0.88` for any D, and what a network says of rows that
    lie farther off than any it was shown is left to chance. Time is continuous; along the paper's 300 steps the noise
    also grows nearly in proportion to time. The network is smaller and has no dropout, which blurs the probabilities.
    Weights are averaged over about the last 100 steps, and the whole training is done (``validation=0``), since the
    loss on held-out rows does not tell how well rows are ranked.

    References
    ----------
    .. [1] V. Livernoche, V. Jain, Y. Hezaveh, S. Ravanbakhsh, "On Diffusion Modeling for Anomaly Detection", ICLR
       2024, arXiv 2305.18593.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Livernoche et al., ICLR 2024"
    year: ClassVar[int] = 2024
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    validation: Probability = 0.0
    hidden_dims: tuple[Count, ...] = (128, 128)
    activation: Activation = "relu"
    dropout: Probability = 0.0
    n_intervals: Annotated[int, Range(2)] = 7
    largest_noise: Positive | None = None

    def networks(self, spec: InputSpec) -> Networks:
        widths = (spec.n_features, *self.hidden_dims, self.n_intervals)
        return Networks(
            classifier=mlp(*widths, activation=self.activation, dropout=self.dropout),
            time=Noise("uniform"),
            noise=Noise(),
        )

    def stages(self) -> Sequence[Stage]:
        return (Stage(average=_AVERAGE),)

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        n_rows, d = batch.x.shape[-2:]
        t = net.time.draw(n_rows)
        sigma = self._largest_noise(d) * t
        log_p = log_softmax(net.classifier(batch.x + sigma.unsqueeze(-1) * net.noise.draw(n_rows, d)), -1)
        k = (self.n_intervals * t).long().clamp_max(self.n_intervals - 1)
        return batch.mean(-log_p.gather(-1, k.unsqueeze(-1)).squeeze(-1))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        log_p = log_softmax(net.classifier(x.clamp(-_FARTHEST, _FARTHEST)), -1)
        log_k = torch.arange(1, self.n_intervals, dtype=log_p.dtype, device=x.device).log()
        # log of the mean of k, and of that of K - 1 - k; each leaves out the interval that it gives no weight.
        late, early = (log_p[..., 1:] + log_k).logsumexp(-1), (log_p[..., :-1] + log_k.flip(0)).logsumexp(-1)
        return softplus(late - early)  # log((late + early) / early), exact at either end

    def _largest_noise(self, d: int) -> float:
        return max(_REACH / math.sqrt(d), 1.0) if self.largest_noise is None else float(self.largest_noise)
