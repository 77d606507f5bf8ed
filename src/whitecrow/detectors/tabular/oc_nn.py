"""One-class neural network: Chalapathy, Menon, Chawla, arXiv 1802.06360, 2018."""

import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, tensor

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.core.parameters import Count, NonNegative, Positive, Range
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Networks, mlp
from whitecrow.train import Batch, Execution, Objective, Stage

__all__ = ["OneClassNN"]

_COLLAPSED = 1e-5
_CHUNK = 8192  # rows whose hidden values exist at once

_G: dict[str, Callable[[Tensor], Tensor]] = {
    "bump": lambda z: 1 / (1 + z.square()),
    "sigmoid": torch.sigmoid,
    "linear": lambda z: z,
}


class OneClassNN(DeepDetector):
    r"""Replace the kernel of a one-class SVM by a hidden layer that is trained with it; score by its output.

    .. math:: s(x) = -\hat y(x), \qquad \hat y(x) = w^\top g(V x)

    trained on

    .. math:: \tfrac{\lambda}{2} \lVert w \rVert^2 + \tfrac{\lambda}{2} \lVert V \rVert_F^2
        + \tfrac{1}{\nu} \operatorname{mean}_i \max(0, r - \hat y(x_i)) - r                              (eq. 4)

    by turns: an epoch of steps on :math:`w` and :math:`V`, then :math:`r` = the :math:`\nu`-quantile of :math:`\hat y`
    over all training rows, which minimises it in :math:`r` (theorem 1).

    Parameters
    ----------
    hidden_dim : int, default=256
        Number of hidden units, the rows of :math:`V`.
    activation : {"bump", "sigmoid", "linear"}, default="bump"
        :math:`g`: :math:`1 / (1 + z^2)`, or one of the paper's two, which find anomalies on one side only; see Notes.
    nu : float from 0 (excluded) to 1, default=0.05
        :math:`\nu`, the share of training rows whose output is below the margin :math:`r`.
    penalty : float, default=1
        :math:`\lambda`, 1 in the paper.
    lr_hidden : float, default=2e-5
        Learning rate of :math:`V`; that of :math:`w` is ``lr``.

    Attributes
    ----------
    spread_ : list of float [R]
        Variance of each replica's :math:`\hat y` over the training rows, as a share of that at initialisation. Below
        1e-5 the network has collapsed to a constant.

    Notes
    -----
    The paper's score, :math:`r - \hat y`, is this one plus a constant. Without it the scores of rows far away, whose
    outputs are close to 0, keep all their digits.

    The objective has a trivial optimum: :math:`V = 0` makes every :math:`\hat y` equal. On columns of mean 0 nothing
    that the paper's activations can represent is better, and on the way there :math:`\hat y` keeps rising along some
    direction, so that rows far out on one side look most normal. A bump falls on both sides of the training rows, as
    a kernel does; a slow :math:`V` keeps the features from becoming constant before :math:`w` has settled.

    References
    ----------
    .. [1] R. Chalapathy, A. Menon, S. Chawla, "Anomaly Detection using One-Class Neural Networks", arXiv 1802.06360,
       2018.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Chalapathy et al., 2018"
    year: ClassVar[int] = 2018
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    hidden_dim: Count = 256
    activation: Literal["bump", "sigmoid", "linear"] = "bump"
    nu: Annotated[float, Range(0, 1, low_open=True)] = 0.05
    penalty: NonNegative = 1.0
    lr_hidden: Positive = 2e-5

    @property
    def spread_(self) -> list[float]:
        stacked = self.replicas_.stacked
        return (stacked["variance"] / stacked["first_variance"].clamp_min(1e-30)).tolist()

    def networks(self, spec: InputSpec) -> Networks:
        return Networks(
            V=mlp(spec.n_features, self.hidden_dim, bias=False),
            w=mlp(self.hidden_dim, 1, bias=False),
            r=tensor(0.0),
            first_variance=tensor(0.0),
            variance=tensor(0.0),
        )

    def stages(self) -> Sequence[Stage]:
        return (Stage((Objective(trains=("w",)), Objective(trains=("V",), lr=self.lr_hidden))),)

    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        net.first_variance.copy_(self._set_r(net, X).var(correction=0))

    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> None:
        self._set_r(net, X)

    def finish(self, net: Networks, X: Tensor) -> None:
        net.variance.copy_(self._set_r(net, X).var(correction=0))

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        missed = net.r + self.score_batch(net, batch.x)
        squares = net.w.weight0.square().sum((-2, -1)) + net.V.weight0.square().sum((-2, -1))
        return 0.5 * self.penalty * squares + batch.mean(missed.clamp_min(0) / self.nu - net.r)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return -net.w(_G[self.activation](net.V(x))).squeeze(-1)

    def _set_r(self, net: Networks, X: Tensor) -> Tensor:
        r"""Set r to the best value for all rows and return their :math:`\hat y`."""
        y_hat = -torch.cat([self.score_batch(net, x) for x in X.split(_CHUNK)])
        below = min(max(int(self.nu * len(y_hat)), 1), len(y_hat) - 1)
        # Half-way between two rows: on a row, rounding would decide whether the hinge sees it.
        net.r.copy_((y_hat.kthvalue(below).values + y_hat.kthvalue(below + 1).values) / 2)
        return y_hat

    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...], rows: Tensor | None = None) -> None:
        super()._fit_networks(X, y, seeds, rows)
        first = self.replicas_.stacked["first_variance"].tolist()
        lost = [r for r, s in enumerate(self.spread_) if first[r] > 0 and not _COLLAPSED < s < 1 / _COLLAPSED]
        if lost:
            warnings.warn(
                f"{type(self).__name__}: the outputs of replicas {lost} have collapsed to a constant or blown up, so "
                f"the scores say little (spread_ {self.spread_}). Lower lr (now {self._rate:g}), lr_hidden (now "
                f"{self.lr_hidden:g}) or penalty (now {self.penalty:g}).",
                WhitecrowWarning,
                stacklevel=3,
            )
