"""Products of a weight with the windows of rows, and with what the windows leave: without copying what overlaps."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from whitecrow.core.errors import TrainingError
from whitecrow.nn.perceptron import linear, transforms_active

__all__ = ["complement_product", "window_product"]

_BLOCK = 8  # windows whose complements are computed from one sum of what they share
_MANY = 64  # windows, below which a plain product is as fast


def window_product(x: Tensor, weight: Tensor, width: int) -> Tensor:
    r"""Return :math:`W a_j` for each window :math:`a_j` of ``width`` consecutive features.

    Parameters
    ----------
    x : Tensor [B, D] or [R, B, D]
        Rows.
    weight : Tensor [H, width] or [R, H, width]
        W.
    width : int
        From 1 to D.

    Returns
    -------
    Tensor [m, B, H] or [R, m, B, H]
        With m = D - width + 1, the windows first.
    """
    windows = x.unfold(-1, width, 1).transpose(-2, -3)
    return linear(windows.flatten(-3, -2), weight).unflatten(-2, windows.shape[-3:-1])


def complement_product(x: Tensor, weight: Tensor, width: int) -> Tensor:
    r"""Return :math:`W b_j` for what each window of ``width`` consecutive features leaves of a row.

    .. math:: W b_j = \sum_{p < j} w_p x_p + \sum_{p \ge j} w_p x_{p + width}

    Neighbouring complements differ in one term, so where there are many, those of a block share a sum of all terms
    outside the block. No term is added that has to be subtracted again: a huge feature leaves no rounding error in the
    complements without it.

    Parameters
    ----------
    x : Tensor [B, D] or [R, B, D]
        Rows.
    weight : Tensor [H, D - width] or [R, H, D - width]
        W, with columns :math:`w_p`.
    width : int
        From 1 to D - 1.

    Returns
    -------
    Tensor [m, B, H] or [R, m, B, H]
        With m = D - width + 1, the windows first.
    """
    if x.shape[-1] - width >= _MANY and not transforms_active():
        return _ComplementProduct.apply(x, weight, width)
    place = torch.arange(x.shape[-1] - width, device=x.device)
    start = torch.arange(len(place) + 1, device=x.device).unsqueeze(-1)
    kept = torch.where(place < start, place, place + width)
    complements = x.mT[..., kept, :].mT
    return linear(complements.flatten(-3, -2), weight).unflatten(-2, complements.shape[-3:-1])


class _ComplementProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, width: int) -> Tensor:  # type: ignore[override]
        m = x.shape[-1] - width + 1
        n = -(-m // _BLOCK)
        x, weight = (pad(t, (0, n * _BLOCK - m + 1)) for t in (x, weight))
        # By block: w_p meets x_p where that stands before the window, and the feature at p + width after it.
        before, after = (t.unflatten(-1, (n, -1)).transpose(-2, -3) for t in (x[..., :-width], x[..., width:]))
        w = weight.mT.unflatten(-2, (n, -1))  # [n, block, H]
        shared = _earlier(x, n) @ (before @ w).flatten(-2) + _earlier(x, n).mT @ (after @ w).flatten(-2)  # [n, B H]
        passed = torch.ones(_BLOCK, _BLOCK, dtype=torch.bool, device=x.device).tril(-1).unsqueeze(-2)
        own = torch.where(passed, before.unsqueeze(-3), after.unsqueeze(-3)).flatten(-3, -2)  # [n, windows B, features]
        ctx.save_for_backward(before, after, own)
        ctx.m = m
        sums = (own @ w).unflatten(-2, (_BLOCK, -1))
        sums += shared.unflatten(-1, (-1, w.shape[-1])).unsqueeze(-3)
        return sums.flatten(-4, -3)[..., :m, :, :]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[None, Tensor, None]:  # type: ignore[override]
        if torch.is_grad_enabled() or ctx.needs_input_grad[0]:
            raise TrainingError("A complement_product is differentiated by its weight alone, and once.")
        before, after, own = ctx.saved_tensors
        n = own.shape[-3]
        g = pad(g, (0, 0, 0, 0, 0, n * _BLOCK - ctx.m)).unflatten(-3, (n, _BLOCK))
        shared = g.sum(-3)  # [n, B, H]
        slope = own.mT @ g.flatten(-3, -2)
        for rows, others in ((before, _earlier(g, n).mT), (after, _earlier(g, n))):
            slope += rows.mT @ (others @ shared.flatten(-2)).unflatten(-1, shared.shape[-2:])
        return None, slope.flatten(-3, -2)[..., : ctx.m - 1, :].mT, None


def _earlier(like: Tensor, n: int) -> Tensor:
    """Return a matrix ``[n, n]`` that sums, for each block, all earlier ones; its transpose sums the later ones."""
    return like.new_ones(n, n).tril(-1)
