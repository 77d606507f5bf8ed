"""The shape of a stretch of a series: its values without their level and their scale."""

import torch
from torch import Tensor

__all__ = ["flatness", "reach", "shapes"]

_FLAT = 1e-6


def reach(X: Tensor, n_channels: int) -> Tensor:
    """Return the largest less the smallest value of each channel of windows ``[N, W * C]``, float64 [C]."""
    channels = X.unflatten(1, (-1, n_channels))
    return channels.amax((0, 1)).double() - channels.amin((0, 1)).double()


def flatness(X: Tensor, n_channels: int) -> Tensor:
    """Return the largest standard deviation of a flat stretch: 1e-6 of the range of each channel, float64 [C]."""
    return _FLAT * reach(X, n_channels)


def shapes(values: Tensor, flat: Tensor) -> Tensor:
    """Return values with mean 0 and variance 1 (divisor n) along the last axis, in float64; zeros where it is flat.

    Parameters
    ----------
    values : Tensor [..., n]
    flat : Tensor, broadcastable to [..., 1]
        Largest standard deviation of a flat stretch, whose fluctuation is rounding.
    """
    centred = values.double() - values.mean(-1, keepdim=True, dtype=torch.float64)
    deviation = centred.square().mean(-1, keepdim=True).sqrt()
    return torch.where(deviation > flat, centred / deviation.where(deviation > 0, 1.0), 0.0)
