"""The gradient of a perceptron with respect to its input, written out layer by layer."""

import torch
from torch import Tensor

from whitecrow.nn.perceptron import _BACK, Layers, _values
from whitecrow.nn.product import product

__all__ = ["input_gradient"]


def input_gradient(x: Tensor, layers: Layers) -> tuple[Tensor, Tensor]:
    r"""Return the output of a chain of layers and the gradient of its sum, :math:`\nabla_x \sum_k y_k(x)`.

    It takes plain operations forth and back, so it costs two passes, can itself be differentiated (score matching),
    and records nothing under ``no_grad`` (adversarial search).

    Parameters
    ----------
    x : Tensor [B, D] or [R, B, D]
        Rows.
    layers : tuple
        Names of activations, weights, biases and dropout masks of each layer, as :meth:`MLP.layers` returns them.

    Returns
    -------
    y : Tensor [..., out]
        Output of the last layer.
    gradient : Tensor [..., D]
        For each row, the gradient of the sum of its outputs.
    """
    activations, weights, _, masks = layers
    values = _values(x, layers)
    g = torch.ones_like(values[-1])
    for activation, weight, mask, h in zip(
        reversed(activations), reversed(weights), reversed(masks), reversed(values), strict=False
    ):
        if mask is not None:
            g, h = g * mask, h / mask.clamp_min(1.0)  # kept values are stored scaled
        g = product(_BACK[activation](g, h), weight)
    return values[-1], g
