"""Deep robust one-class classification: Goyal et al., "DROCC: Deep Robust One-Class Classification", ICML 2020."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, Natural, NonNegative, Positive, Range
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Networks, Noise, mlp, softplus
from whitecrow.nn.input_gradient import input_gradient
from whitecrow.train import Batch, Execution, Objective, Stage

__all__ = ["DROCC"]

_RADIUS = 1.5  # of the default, in root mean square distances of the training rows from their mean
_ROUNDING = 1e-3  # of distances, which must not exclude a row's own adversary


class DROCC(DeepDetector):
    r"""Train a classifier to tell rows from the most normal-looking points at a distance from them.

    Normal rows lie on a low-dimensional manifold, so what is r or more away from all of them is anomalous:

    .. math::
        \min_\theta \operatorname{mean}_i \Bigl[ \ell(f_\theta(x_i), 1) + \mu \max_{\tilde x \in N_i(r)}
        \ell(f_\theta(\tilde x), -1) \Bigr],                                                            (eq. 1)

    .. math::
        N_i(r) = \{ \tilde x : \lVert \tilde x - x_i \rVert \le \gamma r, \;
        \lVert \tilde x - x_j \rVert \ge r \text{ for all } j \}

    with the logistic loss :math:`\ell`. The maximum is sought by gradient ascent from random points of
    :math:`N_i(r)` with a projection onto it after each step (algorithm 1). The score is the negative logit of "normal",

    .. math:: s(x) = -f_\theta(x)

    Parameters
    ----------
    hidden_dims : tuple of int, default=(128,)
        Widths of the classifier's hidden layers, input side first.
    radius : float or None, default=None
        r, in units of the scaled features. None takes 1.5 times the root of the mean squared distance of the training
        rows from their mean, which is 1.5 times the root of D for standardised columns.
    gamma : float of at least 1, default=2
        :math:`\gamma`, the outer radius over the inner one.
    adversarial_weight : float, default=1
        :math:`\mu`.
    ascent_steps : int, default=5
        Steps of the search. 0 trains against random points of :math:`N_i(r)`.
    ascent_rate : float, default=0.04
        Length of a step, as a share of r. Long searches reach other normal rows, and training against those leaves the
        classifier flat.
    warm_up : int, default=10
        Epochs, before those of ``epochs``, that train against random points of :math:`N_i(r)`.

    Notes
    -----
    The paper's :math:`N_i(r)` also keeps adversaries r away from every other row, which its experiments do not. Here
    an adversary closer than that to a row of its batch does not count: pushed down there, the classifier ends up flat.
    The paper warms up on normal rows alone, which any constant solves; here on rows against random points of
    :math:`N_i(r)`. The steps of the search are a share of r, and each is followed by the projection; the paper's 50
    steps of 0.001 barely move, whatever r. The default radius is 1.5 times what the radii of the paper's experiments
    come to, the root of D.

    References
    ----------
    .. [1] S. Goyal, A. Raghunathan, M. Jain, H. V. Simhadri, P. Jain, "DROCC: Deep Robust One-Class Classification",
       ICML 2020, arXiv 2002.12718.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Goyal et al., ICML 2020"
    year: ClassVar[int] = 2020
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    hidden_dims: tuple[Count, ...] = (128,)
    radius: Positive | None = None
    gamma: Annotated[float, Range(1)] = 2.0
    adversarial_weight: NonNegative = 1.0
    ascent_steps: Natural = 5
    ascent_rate: Positive = 0.04
    warm_up: Natural = 10

    def networks(self, spec: InputSpec) -> Networks:
        return Networks(classifier=mlp(spec.n_features, *self.hidden_dims, 1), noise=Noise(), radius=torch.tensor(1.0))

    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        spread = (X - X.mean(0)).square().mean(0).sum().sqrt()
        net.radius.fill_(self.radius if self.radius is not None else _RADIUS * float(spread) or 1.0)

    def stages(self) -> Sequence[Stage]:
        warm_up = Stage((Objective("warm_up_loss"),), epochs=int(self.warm_up), name="warm-up", early_stop=False)
        return warm_up, Stage()

    def warm_up_loss(self, net: Networks, batch: Batch) -> Tensor:
        return self._contrast(net, batch, 0)

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        return self._contrast(net, batch, self.ascent_steps)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return -self._logit(net, x)

    def _logit(self, net: Networks, x: Tensor) -> Tensor:
        return net.classifier(x).squeeze(-1)

    def _contrast(self, net: Networks, batch: Batch, ascent_steps: int) -> Tensor:
        adversaries, counts = self._adversaries(net, batch.x, ascent_steps)
        normal, anomalous = self._logit(net, torch.cat([batch.x, adversaries], -2)).chunk(2, -1)
        # l(f, 1) = softplus(-f) and l(f, -1) = softplus(f)
        return batch.mean(softplus(-normal) + self.adversarial_weight * counts * softplus(anomalous))

    @torch.no_grad()
    def _adversaries(self, net: Networks, x: Tensor, ascent_steps: int) -> tuple[Tensor, Tensor]:
        """Return a point of each row's shell that the classifier calls normal, and 1 where it is in N_i(r), else 0."""
        r = net.radius.unsqueeze(-1)
        layers = net.classifier.layers(x.shape[:-1])
        h = self._project(net.noise.like(x), r)
        for _ in range(ascent_steps):
            # The loss rises along the logit's gradient; its factor sigmoid(f) is lost in the normalisation.
            _, g = input_gradient(x + h, layers)
            h = self._project(h + self.ascent_rate * r * g / g.norm(dim=-1, keepdim=True).clamp_min(1e-12), r)
        nearest = torch.cdist(x + h, x).amin(-1)
        return x + h, (nearest >= (1 - _ROUNDING) * net.radius).to(x.dtype)

    def _project(self, h: Tensor, r: Tensor) -> Tensor:
        """Scale steps to a length between r and gamma r."""
        length = h.norm(dim=-1, keepdim=True)
        return h * (length.clamp(r, self.gamma * r) / length.clamp_min(1e-12))
