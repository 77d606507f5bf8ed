"""Losses as one autograd node each: one pass forward, one pass backward."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from whitecrow.core.errors import TrainingError
from whitecrow.nn.perceptron import transforms_active
from whitecrow.nn.softplus import softplus

__all__ = ["matching_loss", "row_shares", "squared_error"]

_LEAST_LENGTH = 1e-12
_LEAST_WITHOUT_MAXIMUM = 0.025  # above it exp(1 / temperature) is far from overflow


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


class _MatchingLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, temperature: float) -> Tensor:  # type: ignore[override]
        u_scale, v_scale = (_inverse_length(t) for t in (u, v))
        u_scale /= temperature
        # In one layout, so that replicas are multiplied like a single network.
        u, v = (u * u_scale).contiguous(), (v * v_scale).contiguous()
        others = u @ v.mT
        diagonal = others.diagonal(dim1=-2, dim2=-1)
        matched = diagonal.clone()
        diagonal.fill_(-torch.inf)
        if temperature < _LEAST_WITHOUT_MAXIMUM:
            top = others.amax(-1, keepdim=True)
            sums = others.sub_(top).exp_().sum(-1)
            margin = sums.log().add_(top.squeeze(-1)).sub_(matched)
        else:
            sums = others.exp_().sum(-1)
            margin = sums.log().sub_(matched)
        loss = softplus(margin)
        ctx.save_for_backward(u, u_scale, v, v_scale, others, sums, loss)
        ctx.temperature = temperature
        return loss

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        if torch.is_grad_enabled():
            raise TrainingError("The gradient of matching_loss is not differentiable; use torch.func.grad in a loss.")
        u, u_scale, v, v_scale, others, sums, loss = ctx.saved_tensors
        slope = g * -torch.expm1(-loss)
        share, slope = (slope / sums).unsqueeze(-1), slope.unsqueeze(-1)
        du = (others @ v).mul_(share).sub_(slope * v)
        dv = (others.mT @ (share * u)).sub_(slope * u)
        # Of a change of a code only the part at right angles to it changes its direction.
        du.addcmul_(u, torch.linalg.vecdot(du, u).mul_(-(ctx.temperature**2)).unsqueeze(-1)).mul_(u_scale)
        dv.addcmul_(v, torch.linalg.vecdot(dv, v).neg_().unsqueeze(-1)).mul_(v_scale)
        return du, dv, None


def _inverse_length(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(_LEAST_LENGTH).reciprocal_()


def matching_loss(u: Tensor, v: Tensor, temperature: float) -> Tensor:
    r"""Return the cross-entropy of finding the partner :math:`v_j` of each :math:`u_j` among all :math:`v_l`.

    .. math:: -\log \frac{\exp c_{jj}}{\sum_l \exp c_{jl}}
        = \log \Bigl( 1 + \sum_{l \ne j} \exp(c_{jl} - c_{jj}) \Bigr), \qquad
        c_{jl} = \frac{u_j^\top v_l}{\lVert u_j \rVert \lVert v_l \rVert \tau}

    The right-hand side keeps its digits where the partners are found well.

    Parameters
    ----------
    u, v : Tensor [..., m, E]
        m >= 2 pairs.
    temperature : float of at least 0.01
        :math:`\tau`.

    Returns
    -------
    Tensor [..., m]
        Above 0.
    """
    if not transforms_active():
        return _MatchingLoss.apply(u, v, temperature)
    cosines = normalize(u, dim=-1) @ normalize(v, dim=-1).mT
    logits = cosines / temperature
    margin = logits - logits.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
    matched = torch.eye(margin.shape[-1], dtype=torch.bool, device=u.device)
    return softplus(margin.masked_fill(matched, -torch.inf).logsumexp(-1))


def row_shares(x: Tensor, weight: Tensor | None) -> Tensor:
    """Return the share ``[B]`` of each row ``[B, D]`` in a mean over the rows, weighted by ``weight`` if it is given.

    Stacked rows ``[R, B, D]`` have shares ``[R, B]``.
    """
    if weight is None:
        return x.new_full(x.shape[:-1], 1 / x.shape[-2])
    return weight / weight.sum(-1, keepdim=True).clamp_min(1e-12)
