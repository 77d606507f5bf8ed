"""Deep semi-supervised anomaly detection: Ruff et al., ICLR 2020."""

import warnings
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, tensor

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.core.parameters import Count, NonNegative, Positive
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Activation, Networks, mlp
from whitecrow.train import Batch, Execution, Stage

__all__ = ["DeepSAD"]

_COLLAPSED = 1e-5
_CHUNK = 8192  # rows whose outputs exist at once


class DeepSAD(DeepDetector):
    r"""Map normal rows close to a fixed centre and known anomalies away from it; score by the squared distance.

    .. math:: s(x) = \lVert \phi(x; W) - c \rVert^2

    trained on the mean over all rows of

    .. math:: \begin{cases} d_i & \text{unlabelled} \\ \eta\, d_i & \text{known normal} \\ \eta\, (d_i + \epsilon)^{-1}
        & \text{known anomaly} \end{cases} \qquad d_i = s(x_i) / s_0                                     (eq. 7)

    where :math:`s_0` is the mean score at initialisation. The weight penalty is ``weight_decay``.

    Parameters
    ----------
    eta : float, default=1
        :math:`\eta`, the weight of a labelled row against that of an unlabelled one.
    balanced : bool, default=True
        Whether half of the rows of each step are known anomalies, drawn again and again; otherwise each row comes
        once per epoch, and a handful of labels weighs little.
    hidden_dims : tuple of int, default=(128,)
        Widths of the hidden layers, input side first.
    latent_dim : int, default=128
        Width of the output space of :math:`\phi`.
    activation : str, default="elu"
        Between layers; the output is linear. Bounded ones ("tanh", "sigmoid") make a collapse easier.
    centre_margin : float, default=0.1
        Smallest :math:`|c_j|`. A centre coordinate at 0 is met by zero weights.
    epsilon : float, default=0.01
        :math:`\epsilon`, which bounds the pull of a known anomaly that lies at the centre.

    Attributes
    ----------
    spread_ : list of float [R]
        Variance of each replica's outputs over the training rows, as a share of that at initialisation. Below 1e-5
        the outputs have collapsed to a point.

    Notes
    -----
    Labels are 1 (anomaly), 0 (known normal) and -1 (unlabelled), in the labelled regime; the paper's are -1, 1 and 0.
    Without labels the loss is that of Deep SVDD, divided by :math:`s_0`. That division is not in the paper: it makes
    the two terms of equal size whatever the width of the output. Nor is the larger :math:`\epsilon`: with 1e-6 a
    single known anomaly near the centre has a gradient of 1e12 and decides the step. The centre is the mean over rows
    that are not known anomalies. There is no batch normalisation, so a row's score does not depend on other rows.

    References
    ----------
    .. [1] L. Ruff, R. Vandermeulen, N. Goernitz, A. Binder, E. Mueller, K.-R. Mueller, M. Kloft, "Deep Semi-Supervised
       Anomaly Detection", ICLR 2020, arXiv 1906.02694.
    """

    execution: ClassVar[Execution] = "direct"
    uses_labels: ClassVar[bool] = True
    paper: ClassVar[str] = "Ruff et al., ICLR 2020"
    year: ClassVar[int] = 2020
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    lr: Positive | None = 1e-4
    weight_decay: NonNegative = 1e-6
    eta: Positive = 1.0
    balanced: bool = True
    hidden_dims: tuple[Count, ...] = (128,)
    latent_dim: Count = 128
    activation: Activation = "elu"
    centre_margin: Positive = 0.1
    epsilon: Positive = 1e-2

    @property
    def spread_(self) -> list[float]:
        stacked = self.replicas_.stacked
        return (stacked["variance"] / stacked["first_variance"].clamp_min(1e-30)).tolist()

    def networks(self, spec: InputSpec) -> Networks:
        widths = (spec.n_features, *self.hidden_dims, self.latent_dim)
        return Networks(
            # No bias anywhere: a bias alone can reach c.
            phi=mlp(*widths, activation=self.activation, bias=False),
            c=torch.zeros(self.latent_dim),
            first_score=tensor(1.0),
            first_variance=tensor(0.0),
            variance=tensor(0.0),
        )

    def stages(self) -> Sequence[Stage]:
        return (Stage(balanced=self.balanced),)

    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        X, margin = X[y != 1], self.centre_margin
        mean, variance = self._moments(net, X)
        net.c.copy_(torch.where(mean.abs() < margin, torch.where(mean < 0, -margin, margin), mean))
        net.first_score.copy_(torch.cat([self.score_batch(net, x) for x in X.split(_CHUNK)]).mean().clamp_min(1e-12))
        net.first_variance.copy_(variance)

    def finish(self, net: Networks, X: Tensor) -> None:
        net.variance.copy_(self._moments(net, X)[1])

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        d = self.score_batch(net, batch.x) / net.first_score
        if batch.y is None:
            return batch.mean(d)
        labelled = self.eta * torch.where(batch.y == 1, 1 / (d + self.epsilon), d)
        return batch.mean(torch.where(batch.y == -1, d, labelled))

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
