"""What every feature extractor keeps: frozen, deterministic, and known by a fingerprint."""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from whitecrow.core.errors import DataError, ParameterError

__all__ = ["FeatureExtractor", "Preprocessing", "fingerprint_of"]

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_ENOUGH_PIXELS = 64
_MOST_ENLARGED = 4


class FeatureExtractor(ABC):
    """A frozen network from images to maps of features.

    It is called with images ``[B, C, H, W]`` whose pixels lie between -1 and 1, and returns maps ``[B, c, h, w]`` by
    the names of its layers. The same images give the same maps, whatever stands beside them in the batch, and no
    gradient is kept. Copies, those that scikit-learn's ``clone`` makes included, are the extractor itself: nothing
    can change it.

    Attributes
    ----------
    layers : tuple of str
        Names of the maps.
    out_channels : tuple of int
        Channels c of each map.
    reductions : tuple of float
        Image side over map side of each.
    is_random : bool
        Whether the weights were drawn and not learnt.
    """

    layers: tuple[str, ...]
    out_channels: tuple[int, ...]
    reductions: tuple[float, ...]
    is_random: bool

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Digest of the weights and the names of the layers, 32 hexadecimal digits."""

    @torch.no_grad()
    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps ``[B, c, h, w]`` of images ``[B, C, H, W]`` by the names of the layers."""
        return dict(zip(self.layers, self._maps(images), strict=True))

    @abstractmethod
    def _maps(self, images: Tensor) -> Sequence[Tensor]:
        """Return the maps in the order of the layers."""

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(layers={self.layers}, fingerprint={self.fingerprint!r})"


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network that was trained elsewhere expects of its images.

    Attributes
    ----------
    mean, std : tuple of float
        Of each channel, for pixels from 0 to 1; as many as the network has input channels.
    size : tuple of int or None
        Height and width to resize to. None keeps those of the image, but enlarges one whose shorter side is below 64
        pixels by a whole factor of up to 4: deep maps of small images have hardly any places.
    """

    mean: tuple[float, ...] = _IMAGENET[0]
    std: tuple[float, ...] = _IMAGENET[1]
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean) or min(self.std) <= 0:
            raise ParameterError(
                f"Preprocessing(mean={self.mean}, std={self.std}): give one number per input channel of the network, "
                "1 or 3 of them, and standard deviations greater than 0."
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Return images between -1 and 1, ``[B, C, H, W]``, as the network expects them.

        Raises
        ------
        DataError
            If the channels cannot be turned into those of the network.
        """
        images = self._resized(self._recoloured((images + 1) / 2))
        mean, std = (images.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std

    def _recoloured(self, images: Tensor) -> Tensor:
        given, wanted = images.shape[1], len(self.mean)
        if given == wanted:
            return images
        if given == 1:
            return images.expand(-1, wanted, -1, -1)
        if given == 3:
            return (images * images.new_tensor(_LUMA).view(-1, 1, 1)).sum(1, keepdim=True)
        raise DataError(
            f"The images have {given} channels and the extractor takes {wanted}. Leave out those that are neither "
            "grey nor red, green and blue."
        )

    def _resized(self, images: Tensor) -> Tensor:
        size = self.size
        if size is None:
            factor = min(math.ceil(_ENOUGH_PIXELS / min(images.shape[-2:])), _MOST_ENLARGED)
            size = (images.shape[-2] * factor, images.shape[-1] * factor)
        if size == tuple(images.shape[-2:]):
            return images
        return interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def fingerprint_of(parts: Iterable[str | bytes | Tensor]) -> str:
    """Return the digest of texts, bytes and tensors in their order, 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Tensor):
            array = part.detach().cpu().contiguous()
            content = (
                f"{array.dtype}{list(array.shape)}".encode() + array.reshape(-1).view(torch.uint8).numpy().tobytes()
            )
        else:
            content = part.encode() if isinstance(part, str) else part
        # Lengths keep neighbours apart.
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()
