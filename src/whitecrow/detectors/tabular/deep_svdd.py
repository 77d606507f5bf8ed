"""Deep Support Vector Data Description: Ruff et al., "Deep One-Class Classification", ICML 2018."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, int64, tensor
from torch.nn import Module

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.core.parameters import Count, Natural, NonNegative, Positive, Range
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Activation,
    Networks,
    conv_decoder,
    lenet_encoder,
    mlp,
    squared_error,
)
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
    hidden_dims : tuple of int or None, default=None
        Widths of the hidden layers, input side first. None takes (128,). For images, the channels of a network
        of the LeNet type, each of whose stages halves the sides; None takes the paper's (8, 4), or (32, 64, 128) for
        images in colour.
    latent_dim : int or None, default=None
        Width of the output space of :math:`\phi`. None takes 128 (for images 32, or 128 in colour).
    activation : str, default="elu"
        Between layers; the output is linear. Bounded ones ("tanh", "sigmoid") make a collapse easier (prop. 3). Images
        have LeakyReLU.
    centre_margin : float, default=0.1
        Smallest :math:`|c_j|`. A centre coordinate at 0 is met by zero weights (prop. 1).
    pretraining : int or None, default=None
        Epochs that train :math:`\phi` as the encoder of an autoencoder first; the centre is set after them. None takes
        none for tables and 30 for images.
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
    kinds: ClassVar[tuple[Kind, ...]] = ("table", "image")
    paper: ClassVar[str] = "Ruff et al., ICML 2018"
    year: ClassVar[int] = 2018
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"
    default_lr: ClassVar[Mapping[Kind, float]] = {"table": 2e-5, "image": 1e-4}

    lr: Positive | None = None
    weight_decay: NonNegative = 1e-6
    objective: Literal["one-class", "soft-boundary"] = "one-class"
    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    activation: Activation = "elu"
    centre_margin: Positive = 0.1
    pretraining: Natural | None = None
    nu: Annotated[float, Range(0, 1, low_open=True)] = 0.1
    warm_up: Natural = 10

    @property
    def spread_(self) -> list[float]:
        stacked = self.replicas_.stacked
        return (stacked["variance"] / stacked["first_variance"].clamp_min(1e-30)).tolist()

    def networks(self, spec: InputSpec) -> Networks:
        phi, decoder = self._of_images(spec) if spec.kind == "image" else self._of_tables(spec)
        pretraining = self._pretraining(spec)
        return Networks(
            phi=phi,
            **({"decoder": decoder} if pretraining else {}),
            c=torch.zeros(self._latent(spec)),
            radius_squared=tensor(0.0),
            first_variance=tensor(0.0),
            variance=tensor(0.0),
            epochs_before_c=tensor(pretraining, dtype=int64),
        )

    def _of_tables(self, spec: InputSpec) -> tuple[Module, Module]:
        hidden = self.hidden_dims if self.hidden_dims is not None else (128,)
        widths = (spec.n_features, *hidden, self._latent(spec))
        # No bias anywhere: a bias alone can reach c (prop. 2).
        phi = mlp(*widths, activation=self.activation, bias=False)
        return phi, mlp(*reversed(widths), activation=self.activation)

    def _of_images(self, spec: InputSpec) -> tuple[Module, Module]:
        channels = self.hidden_dims if self.hidden_dims is not None else (8, 4) if spec.shape[0] == 1 else (32, 64, 128)
        latent = self._latent(spec)
        phi = lenet_encoder(spec.shape, channels, latent)
        return phi, conv_decoder(latent, channels, spec.shape, norm=True)

    def _latent(self, spec: InputSpec) -> int:
        if self.latent_dim is not None:
            return self.latent_dim
        return 32 if spec.kind == "image" and spec.shape[0] == 1 else 128

    def _pretraining(self, spec: InputSpec) -> int:
        if self.pretraining is not None:
            return self.pretraining
        return 30 if spec.kind == "image" else 0

    def stages(self) -> Sequence[Stage]:
        fit = Stage((Objective(trains=("phi",)),))
        epochs = self._pretraining(self.spec_)
        if not epochs:
            return (fit,)
        pretraining = Objective("reconstruction_loss", lr=1e-3)
        return Stage((pretraining,), epochs=epochs, name="pre-training", early_stop=False), fit

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

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.phi(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return (net.phi(x) - net.c).square().sum(-1)

    def _moments(self, net: Networks, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of the outputs, and their variance summed over the coordinates."""
        mean = torch.stack([net.phi(x).sum(0) for x in X.split(_CHUNK)]).sum(0) / len(X)
        variance = torch.stack([(net.phi(x) - mean).square().sum() for x in X.split(_CHUNK)]).sum() / len(X)
        return mean, variance

    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...], rows: Tensor | None = None) -> None:
        super()._fit_networks(X, y, seeds, rows)
        first = self.replicas_.stacked["first_variance"].tolist()
        lost = [r for r, s in enumerate(self.spread_) if first[r] > 0 and not _COLLAPSED < s < 1 / _COLLAPSED]
        if lost:
            warnings.warn(
                f"{type(self).__name__}: the outputs of replicas {lost} have collapsed to a point or blown up, so the "
                f"scores say little (spread_ {self.spread_}). Lower lr (now {self._rate:g}) or weight_decay (now "
                f"{self.weight_decay:g}), or train for fewer epochs.",
                WhitecrowWarning,
                stacklevel=3,
            )
