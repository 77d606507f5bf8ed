"""Running statistics of batch normalisation, measured anew."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

__all__ = ["measure_statistics"]

_CHUNK = 1024


@torch.no_grad()
def measure_statistics(networks: Iterable[nn.Module], forward: Callable[[Tensor], object], X: Tensor) -> None:
    """Set the running means and variances of batch normalisation to those that its layers meet on given rows.

    The statistics that training leaves follow the parameters of its last steps. Averaged parameters have others.

    Parameters
    ----------
    networks : iterable of torch.nn.Module
        Their layers of batch normalisation are set; of other layers nothing changes, their mode included.
    forward : callable
        Runs these networks on some of the rows ``[B, D]``, as scoring does.
    X : Tensor [N, D]
        Rows, at least one.
    """
    norms = [m for network in networks for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over the chunks, each of which counts the same
        norm.train()
    for x in X.chunk(math.ceil(len(X) / _CHUNK)):
        forward(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
