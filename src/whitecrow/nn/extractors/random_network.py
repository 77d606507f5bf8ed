"""A shallow, wide, pooled convolutional network with random weights."""

import math
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, conv2d

from whitecrow.nn.convolution import Shape
from whitecrow.nn.extractors.extractor import FeatureExtractor, fingerprint_of
from whitecrow.nn.noise import derive_seed

__all__ = ["RandomExtractor"]

_NARROW, _WIDE = 64, 128
_IMAGES = 1024  # that the statistics are taken from
_BLOCK_VALUES = 1 << 16
_FAINT = 0.05
_FRAME = 2.0
_CONSTANT = 1e-6


class RandomExtractor(FeatureExtractor):
    r"""Features of a convolutional network whose weights are drawn, not learnt.

    Each stage is a convolution without bias, 5 x 5 in the first and 3 x 3 after it, the absolute value, and averages
    over 2 x 2 pixels. The maps of the last two stages are standardised, channel by channel, with the statistics of
    the training images, without which a few channels would outweigh all others. The first of these maps has the sides
    of an image of up to 8 pixels, half of them up to 16, a quarter up to 32, and an eighth above; colour and
    brightness join it, since the filters of the first stage have mean 0 and see contrast alone.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W) of the images.
    gain : Tensor []
        Factor of the pixels.
    offset : Tensor [C]
        Subtracted from them then.
    kernels : sequence of Tensor [c_out, c_in, k, k]
        One for each stage.
    means, stds : sequence of Tensor [c]
        Statistics of the maps of the last two stages.

    Notes
    -----
    Such features know directions, scales and textures, but no objects: they follow the structure of the network
    alone [1]_. Shallow and wide networks do better than deep ones [2]_. The absolute value keeps both signs of a
    filter that has no bias to set them apart. Another brightness or contrast of all images, or their negatives, give
    the same features. Around an image stands a frame, two standard deviations away from the usual pixel at the border:
    it tells features near it where they are.

    References
    ----------
    .. [1] A. Saxe, P. W. Koh, Z. Chen, M. Bhand, B. Suresh, A. Y. Ng, "On Random Weights and Unsupervised Feature
       Learning", ICML 2011.
    .. [2] Y. Xue, U. Roshan, "Image classification and retrieval with random depthwise signed convolutional neural
       networks", 2018, arXiv 1806.05789.
    """

    is_random = True

    def __init__(
        self,
        shape: Shape,
        gain: Tensor,
        offset: Tensor,
        kernels: Sequence[Tensor],
        means: Sequence[Tensor],
        stds: Sequence[Tensor],
    ) -> None:
        self.halvings = _halvings(shape)
        self.gain, self.offset, self.kernels = gain, offset, tuple(kernels)
        self.means, self.stds = tuple(means), tuple(stds)
        n = len(self.kernels)
        self.layers = (f"stage{n - 1}", f"stage{n}")
        self.out_channels = (len(self.means[0]), len(self.means[1]))
        self.reductions = (float(1 << self.halvings), float(2 << self.halvings))

    @classmethod
    def drawn(cls, images: Tensor, seed: int) -> Self:
        """Return an extractor with weights drawn from a seed, and the statistics of training images [N, C, H, W]."""
        shape = tuple(images.shape[1:])
        generator = torch.Generator().manual_seed(derive_seed(seed, "random extractor"))
        kernels = [_orthogonal(shape, generator).to(images.device) for shape in _kernel_shapes(shape)]
        kernels[0] -= kernels[0].mean((1, 2, 3), keepdim=True)
        # Statistics need no more images than these.
        chosen = torch.randperm(len(images), generator=generator)[:_IMAGES].sort().values
        sample = images[chosen.to(images.device)]
        gain, offset = _levels(sample)
        widths = len(kernels[-2]) + len(offset), len(kernels[-1])
        zeros = [torch.zeros(c, device=images.device) for c in widths]
        plain = cls(shape, gain, offset, kernels, zeros, [torch.ones_like(z) for z in zeros])
        return cls(shape, gain, offset, kernels, *plain._statistics(sample))

    @property
    def fingerprint(self) -> str:
        """Digest of weights, statistics and the names of the layers."""
        return fingerprint_of([*self.layers, *self.buffers().values()])

    def buffers(self) -> dict[str, Tensor]:
        """Return the tensors that the extractor is rebuilt from, by names."""
        found = {"gain": self.gain, "offset": self.offset}
        for name, tensors in (("kernel", self.kernels), ("mean", self.means), ("std", self.stds)):
            found |= {f"{name}_{k}": tensor for k, tensor in enumerate(tensors)}
        return found

    @classmethod
    def from_buffers(cls, buffers: Mapping[str, Tensor], shape: Shape) -> Self:
        """Return the extractor that :meth:`buffers` described; other tensors may stand beside them."""
        kernels = [buffers[f"kernel_{k}"] for k in range(sum(name.startswith("kernel_") for name in buffers))]
        means, stds = ([buffers[f"{name}_{k}"] for k in range(2)] for name in ("mean", "std"))
        return cls(shape, buffers["gain"], buffers["offset"], kernels, means, stds)

    @staticmethod
    def layout(shape: Shape) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
        """Return dtype and shape of each tensor of :meth:`buffers` for images of a shape (C, H, W)."""
        kernels = _kernel_shapes(shape)
        shapes: dict[str, tuple[int, ...]] = {"gain": (), "offset": (shape[0],)}
        shapes |= {f"kernel_{k}": kernel for k, kernel in enumerate(kernels)}
        for k, width in enumerate((kernels[-2][0] + shape[0], kernels[-1][0])):
            shapes |= {f"mean_{k}": (width,), f"std_{k}": (width,)}
        return {name: (torch.float32, sides) for name, sides in shapes.items()}

    def _maps(self, images: Tensor) -> list[Tensor]:
        # A few images at a time stay in the caches.
        step = max(1, _BLOCK_VALUES // (images.shape[-2] * images.shape[-1]))
        parts = [self._stages(block) for block in images.split(step)]
        maps = [torch.cat(part) for part in zip(*parts, strict=True)]
        return [
            (m - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
            for m, mean, std in zip(maps, self.means, self.stds, strict=True)
        ]

    def _stages(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps of the last two stages before they are standardised."""
        x = pixels = images * self.gain - self.offset.view(-1, 1, 1)
        maps = []
        unhalved = len(self.kernels) - 1 - self.halvings
        for k, kernel in enumerate(self.kernels):
            x = conv2d(x, kernel, padding=kernel.shape[-1] // 2).abs()
            x = x if k < unhalved else avg_pool2d(x, 2, ceil_mode=True)
            maps.append(x)
        first, last = maps[-2:]
        return torch.cat([first, adaptive_avg_pool2d(pixels, first.shape[-2:])], 1), last

    @torch.no_grad()
    def _statistics(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return means and standard deviations ``[c]`` of the maps over images and places."""
        sums = [torch.zeros(2, c, dtype=torch.float64, device=images.device) for c in self.out_channels]
        count = [0, 0]
        for block in images.split(64):
            for k, m in enumerate(self._maps(block)):
                values = m.double()
                sums[k] += torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
                count[k] += values.numel() // values.shape[1]
        means = [s[0] / n for s, n in zip(sums, count, strict=True)]
        variances = [s[1] / n - m.square() for s, n, m in zip(sums, count, means, strict=True)]
        return [m.float() for m in means], [_usable(v) for v in variances]


def _levels(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return gain [] and offset [C] that give pixels unit variance, and those at the border the mean -2.

    The sign of the gain gives those within a larger mean. Convolutions see 0, the frame, around an image.
    """
    border = torch.ones(images.shape[-2:], dtype=torch.bool, device=images.device)
    border[1:-1, 1:-1] = False
    level, inner = images[..., border].mean((0, 2)), images.mean((0, 2, 3))
    std = float(images.var((0, 2, 3), correction=0).mean().sqrt())
    gain = (1 if float((inner - level).sum()) >= 0 else -1) / (std if std > _CONSTANT else 1.0)
    return images.new_tensor(gain), gain * level + _FRAME


def _usable(variance: Tensor) -> Tensor:
    """Return standard deviations ``[c]`` that blow no faint channel up, all 1 where nothing varies."""
    std = variance.clamp_min(0).sqrt()
    # What rounding leaves of the variance of constant images is none.
    typical = float(std.mean())
    return std.clamp_min(_FAINT * typical).float() if typical > _CONSTANT else torch.ones_like(std, dtype=torch.float32)


def _halvings(shape: Shape) -> int:
    """Return how often the sides are halved down to the first map: to about 8 pixels, and at most 3 times."""
    return min(max(math.ceil(math.log2(min(shape[1:]) / 8)), 0), 3)


def _kernel_shapes(shape: Shape) -> list[tuple[int, int, int, int]]:
    """Return the shape of each stage's kernel for images of a shape (C, H, W)."""
    n = max(_halvings(shape), 1) + 1
    widths = [shape[0], *(min(_NARROW << k, _WIDE) for k in range(n))]
    sides = [5, *([3] * (n - 1))]
    return [(widths[k + 1], widths[k], side, side) for k, side in enumerate(sides)]


def _orthogonal(shape: tuple[int, int, int, int], generator: torch.Generator) -> Tensor:
    """Return filters of norm 1, orthogonal to one another in groups as large as there can be."""
    n, d = shape[0], math.prod(shape[1:])
    groups = []
    for _ in range(math.ceil(n / d)):
        q, r = torch.linalg.qr(torch.randn(d, min(n, d), generator=generator, dtype=torch.float64))
        groups.append((q * torch.where(r.diagonal() < 0, -1.0, 1.0)).mT)
    return torch.cat(groups)[:n].float().reshape(shape)
