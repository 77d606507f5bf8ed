"""Residual convolutional networks for Wasserstein GANs: critics and encoders of images, generators."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from whitecrow.nn.convolution import Shape, ToImages, ToRows, flat_width, padded

__all__ = ["ResidualBlock", "order_accuracy", "residual_encoder", "residual_generator"]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a 1 x 1 shortcut, which together halve or double the sides.

    Each convolution comes after layer normalisation and ReLU. Halving is the mean over 2 x 2 pixels, doubling repeats
    each pixel. Layer normalisation takes an image by itself, as a gradient penalty per row wants it, and has no
    running statistics: the block is the same in training and afterwards.

    Parameters
    ----------
    before, after : int
        Channels of the input and of the output.
    sides : {"halved", "doubled"}
        What becomes of the sides.

    References
    ----------
    .. [1] I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville, "Improved Training of Wasserstein GANs",
       NeurIPS 2017, arXiv 1704.00028.
    """

    def __init__(self, before: int, after: int, sides: Literal["halved", "doubled"]) -> None:
        super().__init__()
        halved = sides == "halved"
        between = before if halved else after
        resized = nn.AvgPool2d(2) if halved else nn.Upsample(scale_factor=2)
        # No biases: the normalisations shift, and what no nonlinearity follows would only move a critic's zero.
        first, second = _conv(before, between), _conv(between, after)
        self.branch = nn.Sequential(
            *(nn.GroupNorm(1, before), nn.ReLU()),
            *((first,) if halved else (resized, first)),
            *(nn.GroupNorm(1, between), nn.ReLU()),
            *((second, resized) if halved else (second,)),
        )
        straight = nn.Conv2d(before, after, 1, bias=False)  # where the image is smaller, which comes to the same
        self.shortcut = nn.Sequential(resized, straight) if halved else nn.Sequential(straight, resized)

    def forward(self, x: Tensor) -> Tensor:
        """Return images ``[B, after, H', W']`` for images ``[B, before, H, W]``."""
        return self.shortcut(x) + self.branch(x)


def residual_encoder(shape: Shape, channels: Sequence[int], outputs: int | None) -> nn.Sequential:
    """Return a network from rows ``[B, C * H * W]`` to ``[B, outputs]``.

    A 3 x 3 convolution, one :class:`ResidualBlock` per stage, each of which halves the sides, and a linear layer. The
    image is padded with background as in :func:`~whitecrow.nn.conv_encoder`.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).
    channels : sequence of int
        Channels of the first convolution and of the blocks, of which the last two have the same number.
    outputs : int or None
        Width of the output; None ends with the flattened last stage, of
        :func:`~whitecrow.nn.flat_width` numbers.
    """
    blocks = (ResidualBlock(before, after, "halved") for before, after in pairwise((*channels, channels[-1])))
    trunk = (ToImages(shape, padded(shape, len(channels))), _conv(shape[0], channels[0]), *blocks, nn.Flatten())
    return nn.Sequential(*trunk, *([] if outputs is None else [nn.Linear(flat_width(shape, channels), outputs)]))


def residual_generator(inputs: int, channels: Sequence[int], shape: Shape) -> nn.Sequential:
    """Return a network from codes ``[B, inputs]`` to rows ``[B, C * H * W]``, the mirror of :func:`residual_encoder`.

    Parameters
    ----------
    inputs : int
        Width of a code.
    channels : sequence of int
        Channels as of the encoder, which are gone through backwards.
    shape : tuple of int
        (C, H, W).
    """
    sides = padded(shape, len(channels))
    height, width = (side >> len(channels) for side in sides)
    backwards = (channels[-1], *reversed(channels))
    return nn.Sequential(
        nn.Linear(inputs, channels[-1] * height * width),
        nn.Unflatten(1, (channels[-1], height, width)),
        *(ResidualBlock(before, after, "doubled") for before, after in pairwise(backwards)),
        nn.GroupNorm(1, channels[0]),
        nn.ReLU(),
        nn.Conv2d(channels[0], shape[0], 3, padding=1),
        nn.Tanh(),
        ToRows(shape, sides),
    )


def _conv(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, bias=False)


def order_accuracy(real: Tensor, made: Tensor) -> Tensor:
    """Return the share of pairs of a real and a made row whose real one a critic ranks higher.

    Parameters
    ----------
    real : Tensor [n]
        The critic's values of real rows.
    made : Tensor [m]
        Those of made rows.

    Returns
    -------
    Tensor []
        From 0 to 1; 0.5 where the critic cannot tell them apart.
    """
    return torch.gt(real.unsqueeze(1), made).float().mean()
