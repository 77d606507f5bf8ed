"""Gradients of a batch in slices of rows, for losses whose rows become large."""

from collections.abc import Callable

import torch
from torch import Tensor

from whitecrow.nn.losses import row_shares
from whitecrow.nn.networks import Networks

__all__ = ["sliced_gradient"]


def sliced_gradient(
    row_losses: Callable[[Tensor], Tensor], net: Networks, x: Tensor, weight: Tensor | None, rows: int
) -> tuple[Tensor, dict[Tensor, Tensor]]:
    """Return the mean loss of the rows and its gradient, a slice forth and back before the next.

    What a slice computes stays in the cache, and its memory is taken again by the next.

    Parameters
    ----------
    row_losses : callable
        From rows ``[b, D]`` or ``[R, b, D]`` to one loss each; rows must not meet in it.
    net : Networks
        Whose trainable parameters it is differentiated by.
    x : Tensor [B, D] or [R, B, D]
        Rows.
    weight : Tensor [B] or [R, B], or None
        Weights of the rows.
    rows : int
        Rows of a slice.

    Returns
    -------
    loss : Tensor [] or [R]
        Weighted mean of the losses.
    gradient : dict of Parameter to Tensor
        For every trainable parameter, a tensor of its shape.
    """
    parameters = [p for p in net.parameters() if p.requires_grad]
    total = [torch.zeros_like(p) for p in parameters]
    loss = x.new_zeros(x.shape[:-2])
    for part, share in zip(x.split(rows, -2), row_shares(x, weight).split(rows, -1), strict=True):
        value = (row_losses(part) * share).sum(-1)
        # Replicas share no parameter, so the gradient of the sum is each one's own.
        for sum_so_far, gradient in zip(total, torch.autograd.grad(value.sum(), parameters), strict=True):
            sum_so_far += gradient
        loss += value.detach()
    return loss, dict(zip(parameters, total, strict=True))
