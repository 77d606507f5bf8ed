"""Products of matrices, to the same last bit alone and among replicas.

Torch adds up some products in another order in a batch than alone: those of few multiplications, of one row or column,
and many whose rows or columns are fewer than twelve and no multiple of four. Last bits that differ grow over a long
training to digits that matter, so such products are made one by one, or, where they are small, alone as a batch of one.
Which ones differ was measured on x86 with MKL; elsewhere replicas may differ from single networks in the last bit.
"""

import torch
from torch import Tensor

__all__ = ["add_product_", "product"]

_SMALL = 400  # multiplications
_NARROW = 12


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the matrix product, with a bias added to each row if one is given.

    Parameters
    ----------
    a : Tensor [M, K] or [R, M, K]
        Rows.
    b : Tensor [K, N] or [R, K, N]
        A map of each row.
    bias : Tensor [N] or [R, N], optional
        What is added to each row.

    Returns
    -------
    Tensor [M, N] or [R, M, N]
        Products.
    """
    if a.dim() == 2:
        if _is_small(a, b):
            a, b = a.unsqueeze(0), b.unsqueeze(0)
            return (torch.bmm(a, b) if bias is None else torch.baddbmm(bias, a, b)).squeeze(0)
        return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)
    if _is_one_by_one(a, b):
        if bias is None:
            return torch.stack([torch.mm(*one) for one in zip(a, b, strict=True)])
        return torch.stack([torch.addmm(*one) for one in zip(bias, a, b, strict=True)])
    return torch.bmm(a, b) if bias is None else torch.baddbmm(bias.unsqueeze(1), a, b)


def add_product_(start: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add the product of ``a`` and ``b`` to ``start``, in place, and return that; shapes as in :func:`product`."""
    if a.dim() == 2:
        if not _is_small(a, b):
            return start.addmm_(a, b)
        start.unsqueeze(0).baddbmm_(a.unsqueeze(0), b.unsqueeze(0))
        return start
    if not _is_one_by_one(a, b):
        return start.baddbmm_(a, b)
    for one, *factors in zip(start, a, b, strict=True):
        one.addmm_(*factors)
    return start


def _is_small(a: Tensor, b: Tensor) -> bool:
    return a.numel() * b.shape[1] < _SMALL


def _is_one_by_one(a: Tensor, b: Tensor) -> bool:
    """Return whether a batch of these products is added up in another order than each alone."""
    (m, k), n = a.shape[1:], b.shape[2]
    if m * k * n < _SMALL:
        return False
    if m == 1 or n == 1:
        return True
    if m % 4 == 0 or min(m, n) >= _NARROW:
        return False
    return (m < _NARROW and max(k, n) > 16) or (n % 4 != 0 and b.is_contiguous())
