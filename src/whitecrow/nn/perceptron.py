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
from torch.nn import functional

from whitecrow.core.errors import TrainingError
from whitecrow.nn.noise import Dropout
from whitecrow.nn.product import add_product_, product
from whitecrow.nn.spectral_norm import SpectralNorm

__all__ = [
    "MLP",
    "Activation",
    "Initialisation",
    "hidden_width",
    "linear",
    "mean_error_gradient",
    "mlp",
    "pullback",
    "reconstruction_error",
    "transforms_active",
]

Activation = Literal["relu", "leaky-relu", "elu", "tanh", "sigmoid", "softplus", "none"]
Initialisation = Literal["kaiming", "xavier", "normal"]

_SLOPE = 0.2  # of leaky-relu, as in the GAN papers
# In place where there is such a form: a small network's time goes into moving values, not into computing them.
_ACTIVATE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "leaky-relu": lambda z: functional.leaky_relu_(z, _SLOPE),
    "elu": functional.elu_,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
    "softplus": lambda z: functional.logsigmoid(z.neg_()).neg_(),
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
        self.widths = widths
        self.activations: tuple[str, ...] = (*[activation] * (len(widths) - 2), output)
        shapes = list(zip(widths[1:], widths, strict=False))
        for layer, (shape, act) in enumerate(zip(shapes, self.activations, strict=True)):
            self.register_parameter(f"weight{layer}", _initial(torch.empty(shape), init, act))
        for layer, (out, _) in enumerate(shapes if bias else []):
            self.register_parameter(f"bias{layer}", nn.Parameter(torch.zeros(out)))
        self.dropout = Dropout(dropout) if dropout else None
        weights = list(self._parameters.values())[: len(shapes)]
        self.spectral = nn.ModuleList(SpectralNorm(w) for w in weights if w is not None) if spectral else None

    def layers(self, rows: torch.Size) -> "_Layers":
        """Return what the layers compute with, for an input whose shape without the last axis is ``rows``."""
        tensors: list[Any] = list(self._parameters.values())
        n = len(self.activations)
        weights, biases = tensors[:n], tensors[n:] or [None] * n
        if self.spectral is not None:
            weights = [norm(w) for norm, w in zip(self.spectral, weights, strict=True)]
        masks: list[Tensor | None] = [None] * n
        if self.dropout is not None and self.training:
            masks[:-1] = [self.dropout.mask(torch.Size((*rows, width))) for width in self.widths[1:-1]]
        return self.activations, weights, biases, masks

    def forward(self, x: Tensor) -> Tensor:
        """Return the output ``[..., out]`` for an input ``[..., in]`` of at least one row axis."""
        first = len(self._parameters["weight0"].shape) - 2  # type: ignore[union-attr]  # 1 where a replica axis leads
        rows = x if x.dim() == first + 2 else x.flatten(first, -2)
        y = _run(rows, self.layers(rows.shape[:-1]), error=False)
        return y if rows is x else y.unflatten(first, x.shape[first:-1])


def linear(x: Tensor, weight: Tensor, activation: Activation = "none") -> Tensor:
    r"""Return the activation of :math:`x W^\top`, as one node.

    Parameters
    ----------
    x : Tensor [B, in] or [R, B, in]
        Rows.
    weight : Tensor [out, in] or [R, out, in]
        W.
    activation : str, default="none"
        See :func:`mlp`.

    Returns
    -------
    Tensor [B, out] or [R, B, out]
        Values.
    """
    return _run(x, ((activation,), [weight], [None], [None]), error=False)


def reconstruction_error(x: Tensor, *networks: MLP) -> Tensor:
    r"""Return the squared error of each row after a chain of perceptrons, :math:`\lVert x - D(E(x)) \rVert^2`.

    Parameters
    ----------
    x : Tensor [B, D] or [R, B, D]
        Rows.
    *networks : MLP
        Applied one after the other; the last one's output has the shape of ``x``. Chain and error are one node.

    Returns
    -------
    Tensor [B] or [R, B]
        Sum over the D features, at least 0.
    """
    return _run(x, _chain(networks, x.shape[:-1]), error=True)


def mean_error_gradient(x: Tensor, weight: Tensor | None, *networks: MLP) -> tuple[Tensor, dict[Tensor, Tensor]]:
    """Return the mean of :func:`reconstruction_error` and its gradient, without automatic differentiation.

    Parameters
    ----------
    x : Tensor [B, D] or [R, B, D]
        Rows.
    weight : Tensor [B] or [R, B], or None
        Weights of the rows.
    *networks : MLP
        Applied one after the other, without spectral normalisation.

    Returns
    -------
    loss : Tensor [] or [R]
        Weighted mean of the errors.
    gradient : dict of Parameter to Tensor
        For every parameter of the networks, a tensor of its shape.
    """
    with torch.no_grad():
        activations, weights, biases, masks = layers = _chain(networks, x.shape[:-1])
        values, difference = _values_and_difference(x, layers)
        if weight is None:
            n, flat = difference.shape[-2], difference.flatten(-2)
            total = torch.dot(flat, flat) if flat.dim() == 1 else torch.stack([torch.dot(f, f) for f in flat])
            loss, g = total / n, difference.mul_(2 / n)
        else:
            share = weight / weight.sum(-1, keepdim=True).clamp_min(1e-12)
            loss = (torch.linalg.vecdot(difference, difference) * share).sum(-1)
            g = difference.mul_((2 * share).unsqueeze(-1))
        parameters = [p for p in (*weights, *biases) if p is not None]
        grads = _gradients(g, values, weights, activations, masks, [True] * len(weights), biases[0] is not None)[0]
    return loss, dict(zip(parameters, (t for t in grads if t is not None), strict=True))


def pullback(x: Tensor, network: MLP) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, dict[Tensor, Tensor]]]]:
    """Return the output of a perceptron, and a function that takes a gradient back through it.

    For gradients that a method writes out by hand: nothing is recorded for automatic differentiation.

    Parameters
    ----------
    x : Tensor [B, D] or [R, B, D]
        Rows.
    network : MLP
        Without spectral normalisation.

    Returns
    -------
    y : Tensor [..., out]
        Output.
    back : callable
        From the gradient with respect to y to that with respect to x and, by parameter, those of the network. It may
        overwrite the gradient that it is given, and is called once.
    """
    with torch.no_grad():
        activations, weights, biases, masks = layers = network.layers(x.shape[:-1])
        values = _values(x, layers)

    def back(g: Tensor) -> tuple[Tensor, dict[Tensor, Tensor]]:
        with torch.no_grad():
            needed, biased = [True] * len(weights), biases[0] is not None
            grads, slope = _gradients(g, values, weights, activations, masks, needed, biased, x_needed=True)
        parameters = (p for p in (*weights, *biases) if p is not None)
        return slope, dict(zip(parameters, (t for t in grads if t is not None), strict=True))

    return values[-1], back


def _chain(networks: Sequence[MLP], rows: torch.Size) -> "_Layers":
    activations, weights, biases, masks = networks[0].layers(rows)
    for network in networks[1:]:
        further = network.layers(rows)
        activations, weights, biases, masks = (
            activations + further[0],
            weights + further[1],
            biases + further[2],
            masks + further[3],
        )
    return activations, weights, biases, masks


def _initial(weight: Tensor, init: Initialisation, activation: str) -> nn.Parameter:
    fan_out, fan_in = weight.shape
    if init == "normal":
        return nn.Parameter(nn.init.normal_(weight, std=0.02))
    variance = _GAIN.get(activation, 1.0) ** 2 / fan_in if init == "kaiming" else 2 / (fan_in + fan_out)
    bound = math.sqrt(3 * variance)
    return nn.Parameter(nn.init.uniform_(weight, -bound, bound))


_Layers = tuple[tuple[str, ...], list[Tensor], list[Tensor | None], list[Tensor | None]]
Layers = tuple[Sequence[str], Sequence[Tensor], Sequence[Tensor | None], Sequence[Tensor | None]]


def _run(x: Tensor, layers: _Layers, *, error: bool) -> Tensor:
    recording, transformed = torch.is_grad_enabled(), transforms_active()
    if recording and not transformed:
        activations, weights, biases, masks = layers
        return _Perceptron.apply((activations, masks, error), x, *weights, *biases)
    h = x
    *hidden, last = zip(*layers, strict=True)
    for layer in hidden:  # each value is freed when the next is there, and its memory still cached
        h = _layer(h, *layer)
    if not error:
        return _layer(h, *last)
    if transformed:
        return (_layer(h, *last) - x).square().sum(-1)
    difference = _difference(h, x, *last)
    return torch.linalg.vecdot(difference, difference)


def _values(x: Tensor, layers: Layers) -> list[Tensor]:
    """Return the value after each layer, the input first."""
    values = [x]
    for layer in zip(*layers, strict=True):
        values.append(_layer(values[-1], *layer))
    return values


def _values_and_difference(x: Tensor, layers: Layers) -> tuple[list[Tensor], Tensor]:
    """Return the value after each layer, and the last less x, which stands for the last value where it is linear."""
    if layers[0][-1] != "none":
        values = _values(x, layers)
        return values, values[-1] - x
    activations, weights, biases, masks = layers
    values = _values(x, (activations[:-1], weights[:-1], biases[:-1], masks[:-1]))
    difference = _difference(values[-1], x, activations[-1], weights[-1], biases[-1], masks[-1])
    return [*values, difference], difference


def _difference(
    h: Tensor, x: Tensor, activation: str, weight: Tensor, bias: Tensor | None, mask: Tensor | None
) -> Tensor:
    """Return the value after the last layer less x."""
    if activation != "none" or bias is None:
        return _layer(h, activation, weight, bias, mask).sub_(x)
    # The product is added to what it would be compared with: one pass over a wide output less.
    return add_product_(bias.unsqueeze(-2) - x, h, weight.mT)


def _layer(h: Tensor, activation: str, weight: Tensor, bias: Tensor | None, mask: Tensor | None) -> Tensor:
    h = _ACTIVATE[activation](product(h, weight.mT, bias))
    return h if mask is None else h * mask


class _Perceptron(torch.autograd.Function):
    """Arguments: (activations, masks, error), x, n weights, n biases. Returns the output, or its squared error."""

    @staticmethod
    def forward(ctx: Any, plan: tuple[Any, ...], x: Tensor, *tensors: Any) -> Tensor:  # type: ignore[override]
        activations, masks, error = plan
        n = len(activations)
        layers = activations, tensors[:n], tensors[n:], masks
        ctx.plan = plan
        if not error:
            *ctx.hidden, output = _values(x, layers)
            ctx.save_for_backward(*tensors[:n], output)
            return output
        (*ctx.hidden, output), difference = _values_and_difference(x, layers)
        ctx.save_for_backward(*tensors[:n], output, difference)
        return torch.linalg.vecdot(difference, difference)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if torch.is_grad_enabled():
            raise TrainingError(
                "A perceptron's gradient was asked to be differentiable. Inside a loss, take gradients by "
                "torch.func.grad, which may be differentiated again."
            )
        activations, masks, error = ctx.plan
        n = len(activations)
        weights, (output, *rest) = ctx.saved_tensors[:n], ctx.saved_tensors[n:]
        values = [*ctx.hidden, output]
        slope = None
        if error:
            g = slope = rest[0] * (2 * g).unsqueeze(-1)
        needed = ctx.needs_input_grad
        grads, g = _gradients(
            g, values, weights, activations, masks, needed[2 : 2 + n], any(needed[2 + n :]), needed[1]
        )
        if not needed[1]:
            return None, None, *grads
        return None, (g if slope is None else g - slope), *grads


def _gradients(
    g: Tensor,
    values: Sequence[Tensor],
    weights: Sequence[Tensor],
    activations: Sequence[str],
    masks: Sequence[Tensor | None],
    weights_needed: Sequence[bool],
    biases_needed: bool,
    x_needed: bool = False,
) -> tuple[list[Tensor | None], Tensor]:
    """Return the gradients of n weights and n biases, and that of x, from the gradient of the last value."""
    n = len(activations)
    grads: list[Tensor | None] = [None] * (2 * n)
    for layer in range(n - 1, -1, -1):
        h, mask = values[layer + 1], masks[layer]
        if mask is not None:
            g = g * mask
            # What was kept is stored scaled; what was dropped has no gradient, whatever its value.
            h = h / mask.clamp_min(1.0)
        if activations[layer] == "relu" and layer < n - 1:
            g = torch.ops.aten.threshold_backward.grad_input(g, h, 0, grad_input=g)
        else:
            g = _BACK[activations[layer]](g, h)
        if weights_needed[layer]:
            grads[layer] = product(g.mT, values[layer])
        if biases_needed:
            grads[n + layer] = g.sum(-2)
        if layer or x_needed:
            g = product(g, weights[layer])
    return grads, g
