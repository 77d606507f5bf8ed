"""Convolutional networks between rows of pixels and codes: rows go in, rows or codes come out."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import grad
from torch.nn.functional import conv2d, pad

from whitecrow.nn.noise import Dropout
from whitecrow.nn.perceptron import Activation, mlp
from whitecrow.nn.spectral_norm import SpectralNorm

__all__ = [
    "PairFeatures",
    "Shape",
    "SpectralConv2d",
    "ToImages",
    "ToRows",
    "code_width",
    "conv_decoder",
    "conv_encoder",
    "conv_stages",
    "diversity",
    "flat_width",
    "gradient_penalty",
    "lenet_encoder",
    "padded",
    "reinitialise",
    "to_images",
]

Shape = tuple[int, ...]  # (C, H, W)
_BACKGROUND = -1.0  # the darkest pixel of an encoded image


def conv_stages(shape: Shape, widest: int = 64) -> tuple[int, ...]:
    """Return channels of stages that halve the sides of an image of this shape down to 4 pixels or less.

    Two stages for 8 pixels, three for 28 or 32, one more for each doubling; the last has ``widest`` channels, each
    before it half as many, and none fewer than 8.
    """
    n = min(max(math.ceil(math.log2(max(shape[1:]) / 4)), 2), 7)
    return tuple(max(widest >> (n - 1 - k), 8) for k in range(n))


def padded(shape: Shape, n_stages: int) -> tuple[int, int]:
    """Return the sides of an image after padding, multiples of ``2 ** n_stages``."""
    unit = 1 << n_stages
    height, width = (-(-side // unit) * unit for side in shape[1:])
    return height, width


def to_images(rows: Tensor, shape: Shape) -> Tensor:
    """Return rows ``[B, C * H * W]`` as images ``[B, C, H, W]``."""
    return rows.unflatten(-1, shape)


class ToImages(nn.Module):
    """Rows ``[B, C * H * W]`` to images ``[B, C, H', W']``, with a border of background where H' > H or W' > W.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).
    sides : (int, int)
        (H', W').
    """

    def __init__(self, shape: Shape, sides: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.border = _border(shape, sides)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the images."""
        images = rows.unflatten(-1, self.shape)
        return pad(images, self.border, value=_BACKGROUND) if any(self.border) else images


class ToRows(nn.Module):
    """Images ``[B, C, H', W']`` to rows ``[B, C * H * W]``: the border is dropped.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).
    sides : (int, int)
        (H', W').
    """

    def __init__(self, shape: Shape, sides: tuple[int, int]) -> None:
        super().__init__()
        self.border = _border(shape, sides)

    def forward(self, images: Tensor) -> Tensor:
        """Return the rows."""
        return (pad(images, tuple(-side for side in self.border)) if any(self.border) else images).flatten(1)


def _border(shape: Shape, sides: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return how many pixels stand left, right, above and below."""
    tall, wide = sides[0] - shape[1], sides[1] - shape[2]
    return wide // 2, wide - wide // 2, tall // 2, tall - tall // 2


class SpectralConv2d(nn.Conv2d):
    """A convolution whose kernel, as a matrix ``[out, in * k * k]``, is divided by its largest singular value."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int = 1, padding: int = 0, *, bias: bool = True
    ) -> None:
        super().__init__(c_in, c_out, kernel, stride, padding, bias=bias)
        self.norm = SpectralNorm(self.weight.detach().flatten(1))

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolved images."""
        weight = self.norm(self.weight.flatten(1)).view_as(self.weight)
        return conv2d(input, weight, self.bias, self.stride, self.padding)


def conv_encoder(
    shape: Shape,
    channels: Sequence[int],
    outputs: int | None,
    *,
    norm: bool = False,
    spectral: bool = False,
    slope: float = 0.2,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return a network from rows ``[B, C * H * W]`` to ``[B, outputs]``.

    Each stage is a 4 x 4 convolution of stride 2, batch normalisation where asked for, LeakyReLU and dropout; then one
    linear layer. The image is padded with background so that each stage halves its sides exactly.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).
    channels : sequence of int
        Channels after each stage.
    outputs : int or None
        Width of the output; None ends with the flattened last stage.
    norm : bool, default=False
        Batch normalisation after each convolution but the first.
    spectral : bool, default=False
        Divide each kernel by its largest singular value.
    slope : float, default=0.2
        Slope of LeakyReLU below 0.
    dropout : float from 0 to 1 (excluded), default=0
        Probability of dropping a value after each stage.
    """
    sides = padded(shape, len(channels))
    layers: list[nn.Module] = [ToImages(shape, sides)]
    before = shape[0]
    for k, after in enumerate(channels):
        normalised = norm and k > 0
        conv = SpectralConv2d if spectral else nn.Conv2d
        layers.append(conv(before, after, 4, 2, 1, bias=not normalised))  # a bias before it is taken away
        if normalised:
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.LeakyReLU(slope))
        if dropout:
            layers.append(Dropout(dropout))
        before = after
    layers.append(nn.Flatten())
    if outputs is not None:
        layers.append(nn.Linear(flat_width(shape, channels), outputs))
    return nn.Sequential(*layers)


def lenet_encoder(shape: Shape, channels: Sequence[int], outputs: int) -> nn.Sequential:
    """Return a network of the LeNet type from rows ``[B, C * H * W]`` to ``[B, outputs]``, without any bias.

    Each stage is a 5 x 5 convolution (3 x 3 below 16 pixels), batch normalisation without scale and shift, LeakyReLU
    and 2 x 2 max-pooling; then one linear layer.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).
    channels : sequence of int
        Channels after each stage.
    outputs : int
        Width of the output.

    References
    ----------
    .. [1] L. Ruff et al., "Deep One-Class Classification", ICML 2018.
    """
    sides = padded(shape, len(channels))
    kernel = 5 if max(shape[1:]) >= 16 else 3
    layers: list[nn.Module] = [ToImages(shape, sides)]
    for before, after in pairwise((shape[0], *channels)):
        layers.append(nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False))
        layers += [nn.BatchNorm2d(after, eps=1e-4, affine=False), nn.LeakyReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat_width(shape, channels), outputs, bias=False))


def flat_width(shape: Shape, channels: Sequence[int]) -> int:
    """Return the width of the flattened last stage of :func:`conv_encoder`."""
    height, width = padded(shape, len(channels))
    return channels[-1] * (height >> len(channels)) * (width >> len(channels))


def conv_decoder(
    inputs: int,
    channels: Sequence[int],
    shape: Shape,
    *,
    norm: bool = False,
    output: Literal["tanh", "linear"] = "tanh",
    outputs: int | None = None,
) -> nn.Sequential:
    """Return a network from codes ``[B, inputs]`` to rows ``[B, C * H * W]``, the mirror of :func:`conv_encoder`.

    A linear layer, then stages of 4 x 4 transposed convolutions of stride 2 with batch normalisation, where asked for,
    and ReLU; the border that pads the image is dropped.

    Parameters
    ----------
    inputs : int
        Width of a code.
    channels : sequence of int
        Channels after each stage of the encoder, which are gone through backwards.
    shape : tuple of int
        (C, H, W).
    norm : bool, default=False
        Batch normalisation in each stage but the last.
    output : {"tanh", "linear"}, default="tanh"
        After the last stage.
    outputs : int, optional
        Channels of the output, where they are not those of the image.
    """
    sides = padded(shape, len(channels))
    height, width = (side >> len(channels) for side in sides)
    backwards = list(reversed(channels))
    layers: list[nn.Module] = [
        nn.Linear(inputs, backwards[0] * height * width, bias=not norm),
        nn.Unflatten(1, (backwards[0], height, width)),
        *([nn.BatchNorm2d(backwards[0])] if norm else []),
        nn.ReLU(),
    ]
    for before, after in pairwise(backwards):
        layers.append(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=not norm))
        layers += [nn.BatchNorm2d(after)] if norm else []
        layers.append(nn.ReLU())
    c = shape[0] if outputs is None else outputs
    layers.append(nn.ConvTranspose2d(backwards[-1], c, 4, 2, 1))
    if output == "tanh":
        layers.append(nn.Tanh())
    return nn.Sequential(*layers, ToRows((c, *shape[1:]), sides))


@torch.no_grad()
def reinitialise(network: nn.Module, std: float = 0.02) -> nn.Module:
    """Draw weights from N(0, std) and scales of batch normalisation from N(1, std), set biases to 0; return it.

    The start of DCGAN (Radford, Metz, Chintala, ICLR 2016, arXiv 1511.06434).
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            if module.weight is not None:
                module.weight.normal_(1.0, std)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            module.weight.normal_(0.0, std)
            if module.bias is not None:
                module.bias.zero_()
    return network


class PairFeatures(nn.Module):
    """Features of pairs of an image and a code, rows ``[B, C * H * W + latent_dim]``, for a discriminator of both.

    The image goes through stages of convolutions and the code through a layer; a joint layer follows.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).
    channels : sequence of int
        Channels after each stage.
    latent_dim : int
        Width of the code.
    width : int
        Width of the code's layer and of the features.
    dropout : float, default=0
        Probability of dropping a value after each stage.
    spectral : bool, default=True
        Divide each weight by its largest singular value.
    """

    def __init__(
        self,
        shape: Shape,
        channels: Sequence[int],
        latent_dim: int,
        width: int,
        *,
        dropout: float = 0.0,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.of_image = conv_encoder(shape, channels, None, spectral=spectral, dropout=dropout)
        leaky: Activation = "leaky-relu"
        self.of_code = mlp(latent_dim, width, output=leaky, init="xavier", spectral=spectral)
        flat = flat_width(shape, channels)
        self.joint = mlp(flat + width, width, output=leaky, init="xavier", spectral=spectral)

    def forward(self, pairs: Tensor) -> Tensor:
        """Return the features ``[B, width]``."""
        image, code = pairs[:, : -self.latent_dim], pairs[:, -self.latent_dim :]
        return self.joint(torch.cat([self.of_image(image), self.of_code(code)], 1))


def code_width(shape: Shape) -> int:
    """Return the width of a code that suits images of this shape: 8 below 16 pixels, else 32."""
    return 8 if max(shape[1:]) < 16 else 32


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, share: Tensor) -> Tensor:
    r"""Return :math:`(\lVert \nabla D(\hat x) \rVert_2 - 1)^2` of each row, ``[B]``.

    Parameters
    ----------
    critic : callable
        Rows ``[B, D]`` to one number each, ``[B]`` or ``[B, 1]``; a row's number depends on no other row.
    real, made : Tensor [B, D]
        Rows, no gradient flows through them.
    share : Tensor [B, 1]
        Uniform on [0, 1]: :math:`\hat x = x + \alpha (G(z) - x)`.

    References
    ----------
    .. [1] I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville, "Improved Training of Wasserstein GANs",
       NeurIPS 2017, arXiv 1704.00028.
    """
    between = real.detach() + share * (made.detach() - real.detach())
    slope = grad(lambda x: critic(x).sum())(between)
    return (slope.norm(dim=-1) - 1).square()


def diversity(made: Tensor, real: Tensor) -> Tensor:
    """Return the mean distance between made rows ``[n, D]`` over that between real rows ``[m, D]``.

    About 1 where they are as diverse as the real ones; below 0.5 the generator has collapsed.
    """
    return torch.pdist(made.flatten(1)).mean() / torch.pdist(real.flatten(1)).mean().clamp_min(1e-12)
