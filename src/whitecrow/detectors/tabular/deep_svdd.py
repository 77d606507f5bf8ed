"""Deep Support Vector Data Description: Ruff et al., "Deep One-Class Classification", ICML 2018."""

import warnings
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, int64, tensor

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.core.parameters import Count, Natural, NonNegative, Positive, Range
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Activation, Networks, mlp, squared_error
from whitecrow.train import Batch, Execution, Objective, Stage

__all__ = ["DeepSVDD"]

_COLLAPSED = 1e-5
_CHUNK = 8192  # rows whose outputs exist at once


class DeepSVDD(DeepDetector):
    r"""Map normal rows close to a fixed centre; score by the squared distance to it.

    .. math:: s(x) = \lVert \phi(x; W) - c \rVert^2                                                    (eq. 5)

    trained on :math:`\operatorname{mean}_i s(x_i)` (eq. 4), or, with a soft boundary of radius :math:`R`, on
    :math:`R^2 + \frac{1}{\nu} \operatorname{mean}_i \max(0, s(x_i) - R^2)` (eq. 3). The weight penalty of both is
    ``weight_decay``.

    Parameters
    ----------
    objective : {"one-class", "soft-boundary"}, default="one-class"
        Pull every row to the centre, or only the rows outside a sphere that may leave out the share ``nu``.
    hidden_dims : tuple of int, default=(128,)
        Widths of the hidden layers, input side first.
    latent_dim : int, default=128
        Width of the output space of :math:`\phi`.
    activation : str, default="elu"
        Between layers; the output is linear. Bounded ones ("tanh", "sigmoid") make a collapse easier (prop. 3).
    centre_margin : float, default=0.1
        Smallest :math:`|c_j|`. A centre coordinate at 0 is met by zero weights (prop. 1).
    pretraining : int, default=0
        Epochs that train :math:`\phi` as the encoder of an autoencoder first; the centre is set after them.
    nu : float from 0 (excluded) to 1, default=0.1
        :math:`\nu`, the share of training rows that may lie outside the soft boundary.
    warm_up : int, default=10
        Epochs of the soft boundary with :math:`R = 0`. From then on :math:`R^2` is the (1 - nu)-quantile of the
        distances of all training rows, which minimises eq. 3 in :math:`R`, set anew after every epoch.

    Attributes
    ----------
    spread_ : list of float [R]
        Variance of each replica's outputs over the training rows, as a share of that when the centre was set.
        Below 1e-5 the outputs have collapsed to a point.

    Notes
    -----
    The paper's LeakyReLU, batch normalisation and rates of 1e-4 and 1e-5 are for images. Without batch normalisation a
    row's score does not depend on other rows. A low rate and wide layers keep the map from folding the directions in
    which the normal rows vary, where many anomalies of tables lie.

    References
    ----------
    .. [1] L. Ruff, R. Vandermeulen, N. Goernitz, L. Deecke, S. Siddiqui, A. Binder, E. Mueller, M. Kloft, "Deep
       One-Class Classification", ICML 2018.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Ruff et al., ICML 2018"
    year: ClassVar[int] = 2018
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    lr: Positive = 2e-5
    weight_decay: NonNegative = 1e-6
    objective: Literal["one-class", "soft-boundary"] = "one-class"
    hidden_dims: tuple[Count, ...] = (128,)
    latent_dim: Count = 128
    activation: Activation = "elu"
    centre_margin: Positive = 0.1
    pretraining: Natural = 0
    nu: Annotated[float, Range(0, 1, low_open=True)] = 0.1
    warm_up: Natural = 10

    @property
    def spread_(self) -> list[float]:
        stacked = self.replicas_.stacked
        return (stacked["variance"] / stacked["first_variance"].clamp_min(1e-30)).tolist()

    def networks(self, spec: InputSpec) -> Networks:
        widths = (spec.n_features, *self.hidden_dims, self.latent_dim)
        decoder = {"decoder": mlp(*reversed(widths), activation=self.activation)} if self.pretraining else {}
        return Networks(
            # No bias anywhere: a bias alone can reach c (prop. 2).
            phi=mlp(*widths, activation=self.activation, bias=False),
            **decoder,
            c=torch.zeros(self.latent_dim),
            radius_squared=tensor(0.0),
            first_variance=tensor(0.0),
            variance=tensor(0.0),
            epochs_before_c=tensor(int(self.pretraining), dtype=int64),
        )

    def stages(self) -> Sequence[Stage]:
        fit = Stage((Objective(trains=("phi",)),))
        if not self.pretraining:
            return (fit,)
        pretraining = Objective("reconstruction_loss", lr=1e-3)
        return Stage((pretraining,), epochs=int(self.pretraining), name="pre-training", early_stop=False), fit

    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        self._set_centre(net, X)

    def _set_centre(self, net: Networks, X: Tensor) -> None:
        mean, variance = self._moments(net, X)
        margin = self.centre_margin
        net.c.copy_(torch.where(mean.abs() < margin, torch.where(mean < 0, -margin, margin), mean))
        net.first_variance.copy_(variance)
        net.variance.copy_(variance)

    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> None:
        if net.epochs_before_c > 0:
            self._set_centre(net, X)
            net.epochs_before_c.sub_(1)
        elif self.objective == "soft-boundary" and epoch + 1 >= self.warm_up:
            distances = torch.cat([self.score_batch(net, x) for x in X.split(_CHUNK)])
            inside = min(max(len(distances) - int(self.nu * len(distances)), 1), len(distances) - 1)
            # Half-way between two rows: on a row, rounding would decide whether the hinge sees it.
            between = distances.kthvalue(inside).values + distances.kthvalue(inside + 1).values
            net.radius_squared.copy_(between / 2)

    def finish(self, net: Networks, X: Tensor) -> None:
        net.variance.copy_(self._moments(net, X)[1])

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        distance = self.score_batch(net, batch.x)
        if self.objective == "soft-boundary":
            distance = net.radius_squared + (distance - net.radius_squared).clamp_min(0) / self.nu
        return batch.mean(distance)

    def reconstruction_loss(self, net: Networks, batch: Batch) -> Tensor:
        return batch.mean(squared_error(batch.x, net.decoder(net.phi(batch.x))))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return (net.phi(x) - net.c).square().sum(-1)

    def _moments(self, net: Networks, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of the outputs, and their variance summed over the coordinates."""
        mean = torch.stack([net.phi(x).sum(0) for x in X.split(_CHUNK)]).sum(0) / len(X)
        variance = torch.stack([(net.phi(x) - mean).square().sum() for x in X.split(_CHUNK)]).sum() / len(X)
        return mean, variance

    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...]) -> None:
        super()._fit_networks(X, y, seeds)
        first = self.replicas_.stacked["first_variance"].tolist()
        lost = [r for r, s in enumerate(self.spread_) if first[r] > 0 and not _COLLAPSED < s < 1 / _COLLAPSED]
        if lost:
            warnings.warn(
                f"{type(self).__name__}: the outputs of replicas {lost} have collapsed to a point or blown up, so the "
                f"scores say little (spread_ {self.spread_}). Lower lr (now {self.lr:g}) or weight_decay (now "
                f"{self.weight_decay:g}), or train for fewer epochs.",
                WhitecrowWarning,
                stacklevel=3,
            )
