"""The Gaussian law of the errors that a method makes on normal data, over the channels."""

import torch
from torch import Tensor, nn

__all__ = ["ErrorLaw"]

_SHRINKAGE = 1e-3  # of the covariance towards a multiple of the identity
_LEAST_VARIANCE = 1e-8


class ErrorLaw(nn.Module):
    r"""Mean and precision of errors of C channels; before :meth:`fit` those of independent unit errors.

    Parameters
    ----------
    n_channels : int
        C.

    Attributes
    ----------
    mean : Tensor [C]
    precision : Tensor [C, C]
        Inverse of :math:`\Sigma + 10^{-3} \operatorname{tr}(\Sigma) / C \cdot I`, so that channels that hardly err or
        err alike leave it finite.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("precision", torch.eye(n_channels))
        self.mean: Tensor
        self.precision: Tensor

    @torch.no_grad()
    def fit(self, errors: Tensor) -> None:
        """Take mean and covariance of errors ``[..., C]``."""
        rows = errors.flatten(0, -2).double()
        mean = rows.mean(0)
        covariance = (rows - mean).T @ (rows - mean) / len(rows)
        ridge = (_SHRINKAGE * covariance.diagonal().mean()).clamp_min(_LEAST_VARIANCE)
        inverse = torch.linalg.inv(covariance + ridge * torch.eye(len(mean), dtype=rows.dtype, device=rows.device))
        self.mean.copy_(mean)
        self.precision.copy_(inverse)

    def distance(self, errors: Tensor) -> Tensor:
        r"""Return :math:`(e - \mu)^\top \Sigma^{-1} (e - \mu)` of errors ``[..., C]``, ``[...]``, at least 0."""
        centred = errors - self.mean
        return ((centred @ self.precision) * centred).sum(-1)
