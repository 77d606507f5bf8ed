"""Pixel maps: smoothing, and structural similarity."""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

__all__ = ["box_filter", "gaussian_filter", "structural_dissimilarity"]

_C1, _C2 = 0.01**2, 0.03**2  # for pixels that span 1


def box_filter(maps: Tensor, side: int) -> Tensor:
    """Return each pixel's mean over a square of odd ``side`` around it, ``[B, H, W]``; the border cuts the square."""
    if side == 1:
        return maps
    smooth = avg_pool2d(maps.unsqueeze(1), side, stride=1, padding=side // 2, count_include_pad=False)
    return smooth.squeeze(1)


def gaussian_filter(maps: Tensor, sigma: float) -> Tensor:
    """Return maps ``[B, H, W]`` after convolution with a Gaussian of ``sigma`` pixels, the border reflected.

    The Gaussian ends after three sigma, or where the reflection would have to be reflected again.
    """
    if sigma <= 0:
        return maps
    tall, wide = (min(math.ceil(3 * sigma), side - 1) for side in maps.shape[-2:])
    images = pad(maps.unsqueeze(1), (wide, wide, tall, tall), mode="reflect")
    down = _gaussian(2 * tall + 1, sigma, maps).view(1, 1, -1, 1)
    across = _gaussian(2 * wide + 1, sigma, maps).view(1, 1, 1, -1)
    return conv2d(conv2d(images, down), across).squeeze(1)


def structural_dissimilarity(a: Tensor, b: Tensor, side: int = 11, sigma: float = 1.5) -> Tensor:
    r"""Return :math:`(1 - SSIM) / 2` of two images at each pixel, ``[B, C, H, W]``, from 0 to 1.

    .. math:: SSIM = \frac{(2 \mu_a \mu_b + c_1)(2 \sigma_{ab} + c_2)}
                          {(\mu_a^2 + \mu_b^2 + c_1)(\sigma_a^2 + \sigma_b^2 + c_2)}                (eq. 13)

    with Gaussian windows; equal images give exactly 0.

    Parameters
    ----------
    a, b : Tensor [B, C, H, W]
        Pixels that span 1.
    side : int, default=11
        Side of the window, odd; at most the shorter side of the image.
    sigma : float, default=1.5
        Width of the window's Gaussian in pixels.

    References
    ----------
    .. [1] Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image Quality Assessment: From Error Visibility to
       Structural Similarity", IEEE Transactions on Image Processing 13, 2004.
    """
    kernel, n = _gaussian(side, sigma, a), a.shape[1]
    tall, wide = kernel.view(1, 1, -1, 1).expand(n, 1, -1, 1), kernel.view(1, 1, 1, -1).expand(n, 1, 1, -1)

    def local_mean(x: Tensor) -> Tensor:
        x = pad(x, (side // 2,) * 4, mode="replicate")
        return conv2d(conv2d(x, tall, groups=n), wide, groups=n)

    mean_a, mean_b = local_mean(a), local_mean(b)
    difference = local_mean((a - b).square())
    variances = local_mean(a.square()) - mean_a.square() + local_mean(b.square()) - mean_b.square()
    variances = variances.clamp_min(0)
    # 2 cov(a, b) = var a + var b - var(a - b), so that equal images leave no rounding error.
    spread = (difference - (mean_a - mean_b).square()).clamp_min(0)
    luminance = (mean_a - mean_b).square() / (mean_a.square() + mean_b.square() + _C1)
    contrast = spread / (variances + _C2)
    return (luminance + contrast - luminance * contrast) / 2


def _gaussian(side: int, sigma: float, like: Tensor) -> Tensor:
    x = torch.arange(side, dtype=like.dtype, device=like.device) - side // 2
    kernel = torch.exp(-0.5 * (x / sigma).square())
    return kernel / kernel.sum()
