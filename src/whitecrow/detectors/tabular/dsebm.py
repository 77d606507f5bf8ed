"""Deep structured energy-based model: Zhai et al., "Deep Structured Energy Based Models for Anomaly Detection"."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from whitecrow.core.parameters import Count, Positive
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Networks, Noise, mlp, squared_error
from whitecrow.nn.input_gradient import input_gradient
from whitecrow.nn.perceptron import Layers
from whitecrow.train import Batch, Execution

__all__ = ["DSEBM"]


class DSEBM(DeepDetector):
    r"""Learn an energy that is low where rows are dense, from how noisy rows must be moved to become rows again.

    .. math:: E(x) = \tfrac12 \lVert x - b' \rVert^2 - \textstyle\sum_j h_j(x), \qquad                   (eq. 3)
        h(x) = \operatorname{softplus}(W_2 \operatorname{softplus}(W_1 x + b_1) + b_2)

    One step down the energy rebuilds a row, :math:`f(x) = x - \nabla E(x)`, and for these networks it is written out:
    with the pre-activations :math:`a_l` and the sigmoid :math:`\sigma`,

    .. math:: f(x) = b' + W_1^\top [\sigma(a_1) \circ W_2^\top \sigma(a_2)]                               (eq. 7)

    Training is score matching, which needs no normalising constant:
    :math:`\operatorname{mean}_i \lVert x_i - f(x_i + \varepsilon_i) \rVert^2` with
    :math:`\varepsilon \sim N(0, \sigma_n^2 I)`.

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the layers of h, input side first. None takes (128, 256), or (64, 128) for less than 20 features.
    noise_scale : float, default=1
        :math:`\sigma_n`, in units of the scaled features. The energy is that of the data blurred by as much.
    energy : {"encoder", "tied"}, default="encoder"
        Which features are summed: those of the last layer, as above; or the D outputs of a decoder that goes back
        through the transposed weights, as in code that is in use for comparisons.
    score_type : {"energy", "reconstruction"}, default="energy"
        E(x), or :math:`\lVert x - f(x) \rVert = \lVert \nabla E(x) \rVert`, the length of the step.

    References
    ----------
    .. [1] S. Zhai, Y. Cheng, W. Lu, Z. Zhang, "Deep Structured Energy Based Models for Anomaly Detection", ICML 2016,
       arXiv 1605.07717.
    .. [2] P. Vincent, "A Connection Between Score Matching and Denoising Autoencoders", Neural Computation 2011.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Zhai et al., ICML 2016"
    year: ClassVar[int] = 2016
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    hidden_dims: tuple[Count, ...] | None = None
    noise_scale: Positive = 1.0
    energy: Literal["encoder", "tied"] = "encoder"
    score_type: Literal["energy", "reconstruction"] = "energy"

    def networks(self, spec: InputSpec) -> Networks:
        d = spec.n_features
        hidden = self.hidden_dims if self.hidden_dims is not None else (64, 128) if d < 20 else (128, 256)
        # Softplus throughout: the loss differentiates the energy's slope again, which ReLU would make a step function.
        back = (*reversed(hidden[:-1]), d) if self.energy == "tied" else ()
        return Networks(
            features=mlp(d, *hidden, activation="softplus", output="softplus", init="xavier"),
            back_bias=nn.ParameterList([torch.zeros(width) for width in back]),
            b=nn.Parameter(torch.zeros(d)),
            noise=Noise(),
        )

    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        net.b.copy_(X.mean(0))

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        x = batch.x
        # f(x) = b' + the features' gradient
        _, slope = self._features(net, x + self.noise_scale * net.noise.like(x))
        return batch.mean(squared_error(x, net.b + slope))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        h, slope = self._features(net, x)
        if self.score_type == "reconstruction":
            return (x - net.b - slope).norm(dim=-1)
        return 0.5 * (x - net.b).square().sum(-1) - h.sum(-1)

    def _features(self, net: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features ``[B, H]`` and the gradient of their sum ``[B, D]``."""
        layers: Layers = net.features.layers(x.shape[:-1])
        if self.energy == "tied":
            activations, weights, biases, masks = layers
            layers = (
                (*activations, *activations),
                [*weights, *(w.mT for w in reversed(weights))],
                [*biases, *net.back_bias],
                [*masks, *masks],
            )
        return input_gradient(x, layers)
