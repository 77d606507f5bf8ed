"""Multilayer perceptrons as one autograd node, on ``[B, D]`` and on ``[R, B, D]``.

Small networks spend more time in the bookkeeping of automatic differentiation than in arithmetic. Here the forward and
the backward pass of a whole perceptron are written out, so a training step records one node instead of some thirty.
Inside ``torch.func`` transformations (vmap, a gradient within a loss) the same layers run one by one, so they can be
differentiated twice.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch._C import _are_functorch_transforms_active as transforms_active
from torch.autograd.function import once_differentiable
from torch.nn import functional

from whitecrow.nn.noise import Dropout
from whitecrow.nn.spectral_norm import SpectralNorm

__all__ = ["MLP", "Activation", "Initialisation", "hidden_width", "mlp", "transforms_active"]

Activation = Literal["relu", "leaky-relu", "elu", "tanh", "sigmoid", "softplus", "none"]
Initialisation = Literal["kaiming", "xavier", "normal"]

_SLOPE = 0.2  # of leaky-relu, as in the GAN papers
_ACTIVATE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky-relu": lambda z: functional.leaky_relu(z, _SLOPE),
    "elu": functional.elu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": functional.softplus,
    "none": lambda z: z,
}
# The gradient before the activation from the gradient g and the value h after it.
_BACK: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda g, h: torch.ops.aten.threshold_backward(g, h, 0),
    "leaky-relu": lambda g, h: torch.ops.aten.leaky_relu_backward(g, h, _SLOPE, True),
    "elu": lambda g, h: torch.ops.aten.elu_backward(g, 1.0, 1.0, 1.0, True, h),
    "tanh": torch.ops.aten.tanh_backward,
    "sigmoid": torch.ops.aten.sigmoid_backward,
    "softplus": lambda g, h: g * -torch.expm1(-h),
    "none": lambda g, h: g,
}
_GAIN = {"relu": math.sqrt(2), "leaky-relu": math.sqrt(2 / (1 + _SLOPE**2)), "elu": math.sqrt(2), "tanh": 5 / 3}


def hidden_width(n_features: int) -> int:
    """Return the default width of a hidden layer: the power of two nearest to D, from 16 to 256."""
    return min(max(2 ** round(math.log2(n_features)), 16), 256)


def mlp(
    *widths: int,
    activation: Activation = "relu",
    output: Activation = "none",
    bias: bool = True,
    dropout: float = 0.0,
    init: Initialisation = "kaiming",
    spectral: bool = False,
) -> "MLP":
    """Return a perceptron with the given widths, input first.

    Parameters
    ----------
    *widths : int
        At least two: the widths of the input, of each hidden layer, and of the output.
    activation, output : {"relu", "leaky-relu", "elu", "tanh", "sigmoid", "softplus", "none"}
        After each hidden layer, and after the last.
    bias : bool, default=True
        Whether the layers have biases (initially zero).
    dropout : float, default=0
        Probability of dropping a hidden value in training.
    init : {"kaiming", "xavier", "normal"}, default="kaiming"
        Uniform weights of variance gain² / in (Kaiming) or 2 / (in + out) (Xavier), or N(0, 0.02²).
    spectral : bool, default=False
        Divide each weight by its largest singular value.
    """
    return MLP(widths, activation, output, bias, dropout, init, spectral)


class MLP(nn.Module):
    """A perceptron that runs on ``[..., D]``, or on ``[R, ..., D]`` with stacked parameters; see :func:`mlp`."""

    def __init__(
        self,
        widths: tuple[int, ...],
        activation: Activation,
        output: Activation,
        bias: bool,
        dropout: float,
        init: Initialisation,
        spectral: bool,
    ) -> None:
        super().__init__()
        n_layers = len(widths) - 1
        self.widths = widths
        self.activations = (*[activation] * (n_layers - 1), output)
        self.weights = nn.ParameterList(
            nn.Parameter(_initial(torch.empty(o, i), init, act))
            for i, o, act in zip(widths, widths[1:], self.activations, strict=False)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(o)) for o in widths[1:]) if bias else None
        self.dropout = Dropout(dropout) if dropout else None
        self.spectral = nn.ModuleList(SpectralNorm(w) for w in self.weights) if spectral else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the output ``[..., out]`` for an input ``[..., in]`` of at least one row axis."""
        weights = list(self.weights)
        biases = list(self.biases) if self.biases is not None else [None] * len(weights)
        if self.spectral is not None:
            weights = [norm(w) for norm, w in zip(self.spectral, weights, strict=True)]
        first = weights[0].dim() - 2  # 1 where a replica axis leads
        rows = x if x.dim() == first + 2 else x.flatten(first, -2)
        masks: list[Tensor | None] = [None] * (len(weights) - 1)
        if self.dropout is not None and self.training:
            masks = [self.dropout.mask(torch.Size((*rows.shape[:-1], width))) for width in self.widths[1:-1]]
        if transforms_active():
            y = _values(self.activations, rows, weights, biases, masks)[-1]
        else:
            y = _Perceptron.apply(self.activations, rows, *weights, *biases, *masks)
        return y if rows is x else y.unflatten(first, x.shape[first:-1])


def _initial(weight: Tensor, init: Initialisation, activation: Activation) -> nn.Parameter:
    fan_out, fan_in = weight.shape
    if init == "normal":
        return nn.Parameter(nn.init.normal_(weight, std=0.02))
    variance = _GAIN.get(activation, 1.0) ** 2 / fan_in if init == "kaiming" else 2 / (fan_in + fan_out)
    bound = math.sqrt(3 * variance)
    return nn.Parameter(nn.init.uniform_(weight, -bound, bound))


def _values(
    activations: Sequence[str],
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    masks: Sequence[Tensor | None],
) -> list[Tensor]:
    """Return the value after each layer, the input first."""
    values = [x]
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        h = values[-1]
        if bias is None:
            z = h @ weight.mT
        elif weight.dim() == 3:
            z = torch.baddbmm(bias.unsqueeze(1), h, weight.mT)
        else:
            z = torch.addmm(bias, h, weight.t())
        h = _ACTIVATE[activations[layer]](z)
        if layer < len(masks) and masks[layer] is not None:
            h = h * masks[layer]
        values.append(h)
    return values


class _Perceptron(torch.autograd.Function):
    """Arguments: activations, x, n weights, n biases, n - 1 masks. Returns the output."""

    @staticmethod
    def forward(ctx: Any, activations: Sequence[str], x: Tensor, *tensors: Tensor | None) -> Tensor:  # type: ignore[override]
        n = len(activations)
        weights, biases, masks = tensors[:n], tensors[n : 2 * n], tensors[2 * n :]
        values = _values(activations, x, weights, biases, masks)  # type: ignore[arg-type]
        ctx.activations, ctx.has_bias = activations, biases[0] is not None
        ctx.save_for_backward(*values, *weights, *masks)
        return values[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        n = len(ctx.activations)
        saved = ctx.saved_tensors
        values, weights, masks = saved[: n + 1], saved[n + 1 : 2 * n + 1], saved[2 * n + 1 :]
        product = torch.bmm if g.dim() == 3 else torch.mm
        grads: list[Tensor | None] = [None] * (3 * n - 1)
        for layer in range(n - 1, -1, -1):
            h = values[layer + 1]
            if layer < n - 1 and masks[layer] is not None:
                g = g * masks[layer]
                # What was kept is stored scaled; what was dropped has no gradient, whatever its value.
                h = h / masks[layer].clamp_min(1.0)
            g = _BACK[ctx.activations[layer]](g, h)
            if ctx.needs_input_grad[2 + layer]:
                grads[layer] = product(g.mT, values[layer])
            if ctx.has_bias and ctx.needs_input_grad[2 + n + layer]:
                grads[n + layer] = g.sum(-2)
            if layer or ctx.needs_input_grad[1]:
                g = product(g, weights[layer])
        return None, g if ctx.needs_input_grad[1] else None, *grads
