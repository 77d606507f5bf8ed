"""Memory-augmented autoencoder: Gong et al., "Memorizing Normality to Detect Anomaly", ICCV 2019."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from whitecrow.core.parameters import Count, NonNegative, Positive
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Activation,
    Networks,
    code_width,
    conv_decoder,
    conv_encoder,
    conv_stages,
    hidden_width,
    mlp,
    squared_error,
)
from whitecrow.train import Batch, Execution

__all__ = ["MemAE"]


class MemAE(DeepDetector):
    r"""Rebuild rows from a few learnt prototypes of normality; what these cannot make up is anomalous.

    .. math:: s(x) = \lVert x - D(\hat z) \rVert^2, \qquad \hat z = \textstyle\sum_j \hat w_j m_j      (eq. 3)

    The code :math:`z = E(x)` is not decoded; it addresses N slots :math:`m_j` of a memory,

    .. math::
        w_j = \operatorname{softmax}_j \bigl( \cos(z, m_j) / \tau \bigr), \qquad                         (eq. 4, 5)
        \hat w_j \propto w_j \, 1[w_j > \lambda], \quad \textstyle\sum_j \hat w_j = 1                  (eq. 6, 7)

    trained on :math:`\operatorname{mean}_i [\lVert x_i - x'_i \rVert^2 + \alpha H(\hat w_i)]` (eq. 10), where
    :math:`H(\hat w) = -\sum_j \hat w_j \log \hat w_j`.

    Parameters
    ----------
    n_slots : int, default=50
        N, slots of the memory.
    latent_dim : int or None, default=None
        Width of the code and of a slot. None takes D / 8, from 3 to 16 (for images 32, or 8 below 16 pixels).
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the decoder mirrors them. None takes two layers, h and
        h / 2, where h is the power of two nearest to D, from 16 to 256. For images, the channels of the convolutions
        that halve the sides; None goes down to 4 pixels or less, with 64 channels at the end.
    activation : str, default="tanh"
        Between layers; the code and the output are linear. Images have LeakyReLU, and a tanh at the end.
    addressing : {"cosine", "dot"}, default="cosine"
        Similarity of code and slot, by their angle or by their product :math:`z^\top m_j`.
    temperature : float, default=0.2
        :math:`\tau`. Lower values address fewer slots. The products of "dot" need about 1.
    shrinkage : float, default=1
        :math:`\lambda` in units of 1 / N: weights up to it are set to 0. The paper recommends 1 to 3; 0 keeps all. A
        row whose weights are all that small keeps its largest.
    entropy_weight : float, default=2e-4
        :math:`\alpha`, the price of spreading an address over many slots.

    Notes
    -----
    The paper's softmax has no temperature. Cosines are at most 1, so that the largest of 50 weights could not exceed
    0.13 and each row would be rebuilt from nearly all slots. The slots start from the codes of rows spread evenly over
    the training rows, not from random numbers, so that none starts where no code ever comes.

    References
    ----------
    .. [1] D. Gong, L. Liu, V. Le, B. Saha, M. R. Mansour, S. Venkatesh, A. van den Hengel, "Memorizing Normality to
       Detect Anomaly: Memory-augmented Deep Autoencoder for Unsupervised Anomaly Detection", ICCV 2019, arXiv
       1904.02639.
    """

    execution: ClassVar[Execution] = "direct"
    kinds: ClassVar[tuple[Kind, ...]] = ("table", "image")
    paper: ClassVar[str] = "Gong et al., ICCV 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    n_slots: Count = 50
    latent_dim: Count | None = None
    hidden_dims: tuple[Count, ...] | None = None
    activation: Activation = "tanh"
    addressing: Literal["cosine", "dot"] = "cosine"
    temperature: Positive = 0.2
    shrinkage: NonNegative = 1.0
    entropy_weight: NonNegative = 2e-4

    def networks(self, spec: InputSpec) -> Networks:
        if spec.kind == "image":
            return self._of_images(spec)
        d = spec.n_features
        h = hidden_width(d)
        hidden = self.hidden_dims if self.hidden_dims is not None else (h, max(h // 2, 2))
        latent = self.latent_dim if self.latent_dim is not None else min(max(round(d / 8), 3), 16)
        return Networks(
            encoder=mlp(d, *hidden, latent, activation=self.activation),
            decoder=mlp(latent, *reversed(hidden), d, activation=self.activation),
            memory=self._memory(latent),
        )

    def _of_images(self, spec: InputSpec) -> Networks:
        channels = self.hidden_dims if self.hidden_dims is not None else conv_stages(spec.shape)
        latent = self.latent_dim if self.latent_dim is not None else code_width(spec.shape)
        return Networks(
            encoder=conv_encoder(spec.shape, channels, latent, norm=True),
            decoder=conv_decoder(latent, channels, spec.shape, norm=True),
            memory=self._memory(latent),
        )

    def _memory(self, latent: int) -> nn.Parameter:
        return nn.Parameter(torch.empty(self.n_slots, latent).uniform_(-1, 1) * latent**-0.5)

    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        # With fewer rows than slots the rest stay random: equal slots would get equal gradients for ever.
        spread = torch.linspace(0, len(X) - 1, min(self.n_slots, len(X)), device=X.device).round().long()
        net.memory[: len(spread)].copy_(net.encoder(X[spread]))

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        w = self._address(net, batch.x)
        # The logarithm of a weight of 0 must not be taken at all: its slope would be infinite.
        entropy = -(w * torch.where(w > 0, w, 1.0).log()).sum(-1)
        error = squared_error(batch.x, net.decoder(w @ net.memory))
        return batch.mean(error + self.entropy_weight * entropy)

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.decoder(self._address(net, x) @ net.memory)

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        return (x - self.rebuild_batch(net, x)).square()

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return self.feature_scores(net, x).sum(-1)

    def _address(self, net: Networks, x: Tensor) -> Tensor:
        r"""Return the sparse weights :math:`\hat w` of the slots, ``[B, N]``."""
        z, m = net.encoder(x), net.memory
        if self.addressing == "cosine":
            z, m = normalize(z, dim=-1), normalize(m, dim=-1)
        w = (z @ m.mT / self.temperature).softmax(-1)
        w = torch.where((w > self.shrinkage / self.n_slots) | (w == w.amax(-1, keepdim=True)), w, 0.0)
        return w / w.sum(-1, keepdim=True)
