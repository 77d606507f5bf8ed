"""Spectral normalisation that stacks (Miyato, Kataoka, Koyama, Yoshida, ICLR 2018, arXiv 1802.05957)."""

import torch
from torch import Tensor, nn

from whitecrow.nn.product import product

__all__ = ["SpectralNorm"]


class SpectralNorm(nn.Module):
    r"""Divide a weight by an estimate of its largest singular value.

    .. math:: \bar W = W / \sigma(W), \qquad \sigma(W) = u^\top W v                     (eq. 8)

    One step of power iteration per training call keeps ``u`` near the first left singular vector.

    Parameters
    ----------
    weight : Tensor [out, in]
        Weight to normalise; it only gives the shape and the start of the power iteration.
    warm_up : int, default=15
        Power iterations at construction.
    """

    def __init__(self, weight: Tensor, warm_up: int = 15) -> None:
        super().__init__()
        with torch.no_grad():
            u = torch.randn(weight.shape[0], dtype=weight.dtype, device=weight.device)
            if not weight.is_meta:  # a structure without numbers has nothing to iterate
                u = _unit(u)
                for _ in range(warm_up):
                    u = self._iterate(weight, u)[0]
        self.register_buffer("u", u)
        self.u: Tensor

    @staticmethod
    def _iterate(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        v = _unit(product(weight.mT, u.unsqueeze(-1)).squeeze(-1))
        return _unit(product(weight, v.unsqueeze(-1)).squeeze(-1)), v

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised weight ``[out, in]`` or, stacked, ``[R, out, in]``."""
        with torch.no_grad():
            u, v = self._iterate(weight.detach(), self.u)
            if self.training:
                self.u.copy_(u)
        sigma = product(product(u.unsqueeze(-2), weight), v.unsqueeze(-1)).clamp_min(1e-12)
        return weight / sigma


def _unit(x: Tensor) -> Tensor:
    """Return vectors ``[..., n]`` of length 1."""
    # torch.nn.functional.normalize, without its detours, which take longer than the arithmetic.
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1e-12)
