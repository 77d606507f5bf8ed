"""Convolutional autoencoder, with the SSIM variant of Bergmann et al. (VISAPP 2019)."""

from typing import ClassVar, Literal

from torch import Tensor

from whitecrow.core.parameters import Count, Natural, NonNegative
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Networks,
    Noise,
    box_filter,
    conv_decoder,
    conv_encoder,
    conv_stages,
    structural_dissimilarity,
    to_images,
)
from whitecrow.train import Batch

__all__ = ["ConvAutoEncoder"]


class ConvAutoEncoder(DeepDetector):
    r"""Squeeze images through a narrow code by convolutions; what the code cannot rebuild is anomalous.

    .. math:: s(x) = \frac{1}{CHW} \sum_{chw} (x - x')_{chw}^2, \qquad x' = D(E(x))

    trained on the mean of the same error, of absolute differences, or of :math:`(1 - SSIM) / 2`.

    Parameters
    ----------
    channels : tuple of int or None, default=None
        Channels after each stage of the encoder, which halves the sides; the decoder mirrors it. None takes stages
        down to 4 pixels or less, the last with 64 channels.
    latent_dim : int or None, default=None
        Width of the code. None takes 32, or 8 below 16 pixels. The code is all that stops the network from copying.
    error : {"squared", "absolute", "ssim", "squared+ssim"}, default="squared"
        What is trained and scored, by pixel. "ssim" sees edges and texture where intensities hardly differ.
    noise : float, default=0
        Standard deviation of noise added to the training images, whose clean form is to be rebuilt; images span 2.
    score_type : {"mean", "max"}, default="mean"
        Mean of the error over the image, or the largest value of its smoothed map, for small defects.
    smoothing : int, default=3
        Side of the square over which the map is averaged, in pixels; odd. 1 leaves it as it is.

    References
    ----------
    .. [1] L. Ruff et al., "Deep One-Class Classification", ICML 2018: the baseline DCAE.
    .. [2] P. Bergmann, S. Löwe, M. Fauser, D. Sattlegger, C. Steger, "Improving Unsupervised Defect Segmentation by
       Applying Structural Similarity to Autoencoders", VISAPP 2019, arXiv 1807.02011.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    paper: ClassVar[str] = "Bergmann et al., VISAPP 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    aimed_steps: ClassVar[int] = 1500

    channels: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    error: Literal["squared", "absolute", "ssim", "squared+ssim"] = "squared"
    noise: NonNegative = 0.0
    score_type: Literal["mean", "max"] = "mean"
    smoothing: Natural = 3
    batch_size: Count = 64

    def networks(self, spec: InputSpec) -> Networks:
        channels = self.channels if self.channels is not None else conv_stages(spec.shape)
        latent = self.latent_dim if self.latent_dim is not None else (8 if max(spec.shape[1:]) < 16 else 32)
        return Networks(
            encoder=conv_encoder(spec.shape, channels, latent, norm=True),
            decoder=conv_decoder(latent, channels, spec.shape, norm=True),
            noise=Noise(),
        )

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        x = batch.x
        seen = x + self.noise * net.noise.like(x) if self.noise else x
        return batch.mean(self._errors(x, net.decoder(net.encoder(seen))).mean(-1))

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.decoder(net.encoder(x))

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        return self._errors(x, self.rebuild_batch(net, x))

    def map_batch(self, net: Networks, x: Tensor) -> Tensor:
        return box_filter(to_images(self.feature_scores(net, x), self.spec_.shape).mean(1), self._side)

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        if self.score_type == "max":
            return self.map_batch(net, x).amax((-2, -1))
        return self.feature_scores(net, x).mean(-1)

    @property
    def _side(self) -> int:
        return max(self.smoothing - 1 + self.smoothing % 2, 1)

    def _errors(self, x: Tensor, rebuilt: Tensor) -> Tensor:
        """Return the error of each pixel, ``[B, C * H * W]``."""
        if self.error == "squared":
            return (x - rebuilt).square()
        if self.error == "absolute":
            return (x - rebuilt).abs()
        shape = self.spec_.shape
        side = min(11, *(n - 1 + n % 2 for n in shape[1:])) if min(shape[1:]) >= 16 else 3
        # Images span 2 here and 1 in the definition of SSIM.
        a, b = (to_images((t + 1) / 2, shape) for t in (x, rebuilt))
        unlike = structural_dissimilarity(a, b, side).flatten(1)
        return unlike if self.error == "ssim" else unlike + (x - rebuilt).square()
