"""Losses as one autograd node each: one pass forward, one pass backward."""

from typing import Any

import torch
from torch import Tensor

from whitecrow.core.errors import TrainingError
from whitecrow.nn.perceptron import transforms_active

__all__ = ["squared_error"]


class _SquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, reconstruction: Tensor) -> Tensor:  # type: ignore[override]
        difference = reconstruction - x
        ctx.save_for_backward(difference)
        return torch.linalg.vecdot(difference, difference)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:  # type: ignore[override]
        if torch.is_grad_enabled():
            raise TrainingError("The gradient of squared_error is not differentiable; use torch.func.grad in a loss.")
        (difference,) = ctx.saved_tensors
        slope = difference * (2 * g).unsqueeze(-1)
        return (-slope if ctx.needs_input_grad[0] else None), (slope if ctx.needs_input_grad[1] else None)


def squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    r"""Return the squared reconstruction error of each row, :math:`\lVert x - x' \rVert^2`.

    Parameters
    ----------
    x, reconstruction : Tensor [..., D]
        Rows and their reconstructions, of the same shape.

    Returns
    -------
    Tensor [...]
        Sum over the D features, at least 0.
    """
    if transforms_active():
        return (x - reconstruction).square().sum(-1)
    return _SquaredError.apply(x, reconstruction)
