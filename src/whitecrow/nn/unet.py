"""A U-Net: an encoder and a decoder of images whose stages of one size are joined."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from whitecrow.nn.convolution import Shape, ToImages, ToRows, padded

__all__ = ["UNet"]


class UNet(nn.Module):
    """Rows ``[B, C * H * W]`` to rows of the same shape, from -1 to 1.

    Stages of 4 x 4 convolutions of stride 2 with LeakyReLU, then as many transposed ones with ReLU, each of which sees
    what the stage before it and the stage of its own size in the first half have made; all with batch normalisation
    but the first, the innermost and the last. The image is padded with background so that each stage halves its sides.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).
    channels : sequence of int
        Channels after each stage of the first half; the second mirrors it.
    skips : bool, default=True
        Whether stages of one size are joined; without, everything goes through the innermost stage.

    References
    ----------
    .. [1] O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
       MICCAI 2015, arXiv 1505.04597.
    .. [2] P. Isola, J.-Y. Zhu, T. Zhou, A. Efros, "Image-to-Image Translation with Conditional Adversarial Networks",
       CVPR 2017, arXiv 1611.07004: the networks.
    """

    def __init__(self, shape: Shape, channels: Sequence[int], *, skips: bool = True) -> None:
        super().__init__()
        sides = padded(shape, len(channels))
        self.skips = skips
        self.images, self.rows = ToImages(shape, sides), ToRows(shape, sides)
        self.down = nn.ModuleList()
        for k, (before, after) in enumerate(pairwise((shape[0], *channels))):
            normalised = 0 < k < len(channels) - 1
            conv = nn.Conv2d(before, after, 4, 2, 1, bias=not normalised)
            self.down.append(nn.Sequential(conv, *([nn.BatchNorm2d(after)] if normalised else []), nn.LeakyReLU(0.2)))
        self.up = nn.ModuleList()
        arriving = channels[-1]
        for after in reversed(channels[:-1]):
            conv = nn.ConvTranspose2d(arriving, after, 4, 2, 1, bias=False)
            self.up.append(nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU()))
            arriving = 2 * after if skips else after
        self.last = nn.Sequential(nn.ConvTranspose2d(arriving, shape[0], 4, 2, 1), nn.Tanh())

    def forward(self, rows: Tensor) -> Tensor:
        """Return the rebuilt rows."""
        x, seen = self.images(rows), []
        for stage in self.down:
            x = stage(x)
            seen.append(x)
        for stage, skip in zip(self.up, reversed(seen[:-1]), strict=True):
            x = torch.cat([stage(x), skip], 1) if self.skips else stage(x)
        return self.rows(self.last(x))
