"""GOAD: Bergman and Hoshen, "Classification-Based Anomaly Detection for General Data", ICLR 2020."""

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from whitecrow.core.parameters import Count, NonNegative, Range
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Networks, mlp
from whitecrow.train import Batch, Execution

__all__ = ["GOAD"]

_LARGEST = 1e15  # of a scaled value; beyond it the products overflow


class GOAD(DeepDetector):
    r"""Transform rows by random affine maps and learn to tell which map it was; on anomalies that fails.

    .. math:: s(x) = -\sum_{m=1}^{M} \log P(m \mid T_m(x)), \qquad
        P(m' \mid t) = \frac{\exp(-\lVert f(t) - c_{m'} \rVert^2)}{\sum_{\tilde m} \exp(-\lVert f(t) - c_{\tilde m}
        \rVert^2)}

    with :math:`T_m(x) = W_m x + b_m` and the centre :math:`c_m` of the training rows' :math:`f(T_m(x))`. The network
    :math:`f` is trained to keep each map's rows at least a margin s closer to their own centre than to any other,

    .. math:: L = \lambda \operatorname{mean}_{i, m} \max \bigl( \lVert f(T_m(x_i)) - c_m \rVert^2 + s
        - \min_{m' \ne m} \lVert f(T_m(x_i)) - c_{m'} \rVert^2, 0 \bigr) + L_{ce},

    and, with a linear head on :math:`f`, on the cross-entropy :math:`L_{ce}` of telling the maps apart.

    Parameters
    ----------
    n_transformations : int of at least 2, default=64
        M. A batch takes memory in proportion to its square.
    transformation_dim : int, default=64
        Width r of a transformed row; it may exceed D.
    shift : float, default=0.3
        Standard deviation of the entries of :math:`b_m`. Larger values draw the score towards the distance from the
        mean of the training rows.
    hidden_dim : int, default=32
        Width of the layers of :math:`f`, and of its output.
    n_layers : int, default=5
        Layers of :math:`f`, which all maps share.
    margin : float, default=1
        s.
    centre_weight : float, default=0.1
        :math:`\lambda`.
    epochs : int or None, default=None
        None takes as many as make about 1,500 steps, from 1 to 25: on a table of 200,000 rows 25 epochs ranked worse
        than two.

    Notes
    -----
    The squared norm of :math:`f(t)` cancels in P, so that the score needs one product with the centres and is computed
    from logarithms: it does not saturate, and the paper's constant added to the probabilities is not needed.

    The authors' code has no :math:`b_m`. On standardised data the centres of all maps then coincide if :math:`f` is
    linear, and the score says little. :math:`W_m` is drawn from :math:`N(0, 1 / D)`, so that ``shift`` means the same
    for any number of features. In training the centres are means of the batch, afterwards of all training rows.

    References
    ----------
    .. [1] L. Bergman, Y. Hoshen, "Classification-Based Anomaly Detection for General Data", ICLR 2020,
       arXiv 2005.02359.
    """

    execution: ClassVar[Execution] = "vmap"
    paper: ClassVar[str] = "Bergman and Hoshen, ICLR 2020"
    chunk_rows: ClassVar[int] = 256  # each row is transformed M times
    aimed_steps: ClassVar[int] = 1500
    least_epochs: ClassVar[int] = 1
    most_epochs: ClassVar[int] = 25
    year: ClassVar[int] = 2020
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    n_transformations: Annotated[int, Range(2)] = 64
    transformation_dim: Count = 64
    shift: NonNegative = 0.3
    hidden_dim: Count = 32
    n_layers: Count = 5
    margin: NonNegative = 1.0
    centre_weight: NonNegative = 0.1

    def networks(self, spec: InputSpec) -> Networks:
        d, m, r = spec.n_features, self.n_transformations, self.transformation_dim
        return Networks(
            maps=torch.randn(m * r, d) / d**0.5,
            shifts=self.shift * torch.randn(m * r),
            f=mlp(r, *[self.hidden_dim] * self.n_layers, activation="leaky-relu", bias=False),
            head=mlp(self.hidden_dim, m),
            centres=torch.zeros(m, self.hidden_dim),
        )

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        f = self._features(net, batch.x)
        nearness = _nearness(f, batch.mean(f.movedim(-3, -1)))
        own = nearness.diagonal(dim1=-2, dim2=-1)
        same = torch.eye(self.n_transformations, dtype=torch.bool, device=f.device)
        nearest = nearness.masked_fill(same, -torch.inf).amax(-1)
        triplet = torch.relu(nearest + self.margin - own).mean(-1)
        return batch.mean(self.centre_weight * triplet + self._head_losses(net, f))

    def finish(self, net: Networks, X: Tensor) -> None:
        total = torch.zeros_like(net.centres)
        for x in X.split(4096):
            total += self._features(net, x).sum(0)
        net.centres.copy_(total / len(X))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return _surprise(_nearness(self._features(net, x), net.centres)).sum(-1)

    def row_losses(self, net: Networks, x: Tensor) -> Tensor:
        # The centres of the score are not known before the end.
        return self._head_losses(net, self._features(net, x))

    def _features(self, net: Networks, x: Tensor) -> Tensor:
        """Return ``f(T_m(x))`` of each row and map, ``[B, M, hidden_dim]``."""
        t = x.clamp(-_LARGEST, _LARGEST) @ net.maps.mT + net.shifts
        return net.f(t.unflatten(-1, (self.n_transformations, -1)))

    def _head_losses(self, net: Networks, f: Tensor) -> Tensor:
        return _surprise(net.head(leaky_relu(f, 0.2))).mean(-1)


def _nearness(f: Tensor, centres: Tensor) -> Tensor:
    """Return ``|f|² - |f - c|²`` for every centre, ``[B, M, F] -> [B, M, M]``."""
    return 2 * f @ centres.mT - centres.square().sum(-1)


def _surprise(logits: Tensor) -> Tensor:
    """Return the negative log-probability of the map that was applied, ``[B, M, M] -> [B, M]``."""
    return logits.logsumexp(-1) - logits.diagonal(dim1=-2, dim2=-1)
