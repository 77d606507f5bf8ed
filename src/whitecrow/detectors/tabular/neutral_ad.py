"""NeuTraL AD: Qiu et al., "Neural Transformation Learning for Deep Anomaly Detection Beyond Images", ICML 2021."""

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, NonNegative, Range
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Networks, bank, mlp
from whitecrow.train import Batch, Execution

__all__ = ["NeuTraLAD"]


class NeuTraLAD(DeepDetector):
    r"""Learn views of a row that stay like the row and differ from one another; where that fails it is anomalous.

    .. math:: s(x) = -\sum_{k=1}^{K} \log \frac{h(z_k, z_0)}{h(z_k, z_0) + \sum_{l \ne k} h(z_k, z_l)}, \qquad
        h(a, b) = \exp \Bigl( \frac{a^\top b}{\lVert a \rVert \lVert b \rVert \tau} \Bigr)              (eqs. 1, 2)

    with the codes :math:`z_k = \phi(T_k(x))` of the views and :math:`z_0 = \phi(x)` of the row. The transformations
    :math:`T_k` and the encoder :math:`\phi` are trained on the same loss: it contrasts the views of one row, never
    different rows. It lies above 0, and is :math:`K \log K` where all views are alike.

    Parameters
    ----------
    n_transformations : int of at least 2, default=11
        K.
    transformation : {"residual", "multiplicative"}, default="residual"
        :math:`T_k(x) = M_k(x) + x`, or :math:`T_k(x) = \sigma(M_k(x)) \circ x`, which masks features.
    transformation_dim : int or None, default=None
        Width of the hidden layer of each perceptron :math:`M_k`. None takes D + 1, from 16 to 64.
    n_layers : int of at least 2, default=3
        Linear layers of the encoder.
    hidden_dim : int or None, default=None
        Width of the encoder's hidden layers. None takes 2 (D + 1), from 16 to 64.
    latent_dim : int or None, default=None
        Width of the codes. None takes half of ``hidden_dim``.
    temperature : float of at least 0.03, default=0.1
        :math:`\tau`. Smaller values weigh the most similar views more.
    offset : float, default=1
        Value of a constant feature that is added to each row, as a multiple of the root mean squared length of the
        training rows. At 0 the score depends on the direction of a row alone, not on its length.

    Notes
    -----
    No layer has a bias: with biases the views could become constants, which satisfy the loss for every row. A network
    without biases sees only the direction of its input, so that in standardised data a row ten times as far from the
    mean scored the same. The constant feature of ``offset`` turns distance into direction.

    The encoder here has three layers instead of five, and no batch normalisation, since a row's score would depend on
    other rows.

    References
    ----------
    .. [1] C. Qiu, T. Pfrommer, M. Kloft, S. Mandt, M. Rudolph, "Neural Transformation Learning for Deep Anomaly
       Detection Beyond Images", ICML 2021, arXiv 2103.16440.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Qiu et al., ICML 2021"
    year: ClassVar[int] = 2021
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"

    n_transformations: Annotated[int, Range(2)] = 11
    transformation: Literal["residual", "multiplicative"] = "residual"
    transformation_dim: Count | None = None
    n_layers: Annotated[int, Range(2)] = 3
    hidden_dim: Count | None = None
    latent_dim: Count | None = None
    temperature: Annotated[float, Range(0.03)] = 0.1
    offset: NonNegative = 1.0

    def networks(self, spec: InputSpec) -> Networks:
        d = spec.n_features + 1
        width = self.transformation_dim if self.transformation_dim is not None else min(max(d, 16), 64)
        hidden = self.hidden_dim if self.hidden_dim is not None else min(max(2 * d, 16), 64)
        latent = self.latent_dim if self.latent_dim is not None else max(hidden // 2, 2)
        return Networks(
            transformations=bank(self.n_transformations, d, width, d),
            first=mlp(d, hidden, bias=False),
            encoder=mlp(*[hidden] * (self.n_layers - 1), latent, bias=False),
            constant=torch.ones(1),
        )

    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        length = torch.linalg.vector_norm(X, dtype=torch.float64) / len(X) ** 0.5
        net.constant.copy_(self.offset * torch.where(length > 0, length, 1.0).clamp_max(1e30))

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        return batch.mean(self.score_batch(net, batch.x))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        # [B, K + 1, latent], the row first; in one layout, so that replicas are multiplied like a single network
        z = self._codes(net, x).transpose(-2, -3).contiguous()
        gram = z @ z.mT
        norm = gram.diagonal(dim1=-2, dim2=-1).clamp_min(1e-24).rsqrt()
        log_h = gram * norm.unsqueeze(-1) * norm.unsqueeze(-2) / self.temperature
        # All cosines are at most 1, so a shift by 1 / tau is safe in place of a maximum.
        h = (log_h - 1 / self.temperature).exp() * (1 - torch.eye(log_h.shape[-1], device=x.device))
        terms = h.sum(-1).log() + 1 / self.temperature - log_h[..., 0]
        return terms[..., 1:].sum(-1)

    def _codes(self, net: Networks, x: Tensor) -> Tensor:
        """Return the codes of each row and of its K views, ``[K + 1, B, latent]``."""
        x = torch.cat([x, net.constant.expand(*x.shape[:-1], 1)], -1)
        # Without biases the length is of no consequence but for overflow.
        x = x / x.abs().amax(-1, keepdim=True).clamp_min(1e-30)
        x = x / x.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        row = net.first(x).unsqueeze(-3)
        if self.transformation == "residual":
            # The encoder's first layer E is linear, so that E T_k(x) = E x + (E V_k) max(U_k x, 0): no view is formed.
            views = row + net.transformations(x, then=net.first.weight0)
        else:
            views = net.first(torch.sigmoid(net.transformations(x)) * x.unsqueeze(-3))
        return net.encoder(torch.relu_(torch.cat([row, views], -3)))
