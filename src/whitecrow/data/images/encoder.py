"""Images to float32 rows between -1 and 1."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ModelFileError
from whitecrow.core.spec import Kind
from whitecrow.data.encoders import Unfolded
from whitecrow.data.images.images import ImageFiles, Images, as_images

__all__ = ["ImageEncoder"]

_BLOCK_VALUES = 1 << 22
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_BEYOND = 1e-3  # of the range: rounding by whoever scaled the image before
_LARGEST = 1e30  # above it differences overflow
_NARROWEST = 1e-30  # range, below which its inverse overflows
_MOST_VALUES = 1 << 26  # of one image


class ImageEncoder:
    """Turn images into rows of pixels between -1 and 1, channel after channel.

    Unsigned integers of 8 or 16 bits are divided by the largest value of their type, truth values by 1. Floats and
    other integers, whose type says nothing, keep the range that the training images had: [0, 1] or [-1, 1] or [0, 255]
    if they lie within it and exceed half of its upper end, in this order, else from the least to the greatest training
    value. So the same image as bytes or as floats from 0 to 1 gives the same row.

    A grey image given to a detector of coloured ones is repeated, a coloured one given to a detector of grey ones is
    turned to luma. Files of another size are resized; arrays of another size are refused.

    Attributes
    ----------
    shape : tuple of int
        (C, H, W) of the training images.
    low, high : float
        Values that become -1 and 1, in an image whose type does not say it.
    """

    kind: ClassVar[Kind] = "image"
    shape: tuple[int, int, int]
    low: float
    high: float

    @staticmethod
    def read(X: Any) -> Images | ImageFiles:
        """Return images in one form; see :func:`whitecrow.data.as_images`."""
        return as_images(X)

    def reread(self, X: Any) -> Images | ImageFiles:
        """Return images in one form, as :meth:`read` does."""
        return as_images(X)

    @property
    def n_features_out_(self) -> int:
        """Number of values of a row, C * H * W."""
        return math.prod(self.shape)

    def fit(self, X: Any, rows: NDArray[np.int64] | None = None) -> Self:
        """Learn the shape and the range.

        Parameters
        ----------
        X : images
            See :func:`whitecrow.data.as_images`.
        rows : ndarray of int [n], optional
            Training images, from which the range is learnt. All by default.

        Raises
        ------
        DataError
            If there is no image, the files differ in size and ``size`` says nothing, the images are too large, or
            values are not finite or beyond 1e30.
        """
        images = as_images(X)
        if len(images) == 0:
            raise DataError("Found 0 images while a minimum of 1 is required.")
        size = images.size if isinstance(images, ImageFiles) else None
        if size is None and len(images.sizes) > 1:
            raise DataError(
                f"The images have {len(images.sizes)} sizes, such as {sorted(images.sizes)[:3]} (height, width). Say "
                "to which they shall be resized: as_images(folder, size=64), for instance."
            )
        height, width = size or next(iter(images.sizes))
        self.shape = (images.channels, int(height), int(width))
        if self.n_features_out_ > _MOST_VALUES:
            raise DataError(
                f"Images of {height} x {width} pixels and {images.channels} channels have {self.n_features_out_:,} "
                f"values each; at most {_MOST_VALUES:,} are accepted. Make them smaller, or cut them into tiles."
            )
        self.low, self.high = self._range(images, rows)
        return self

    def _range(self, images: Images | ImageFiles, rows: NDArray[np.int64] | None) -> tuple[float, float]:
        if isinstance(images, ImageFiles) or _full_scale(images.pixels.dtype) is not None:
            return 0.0, 1.0
        low, high = math.inf, -math.inf
        for block in images.blocks(rows, self._block_rows, self.shape):
            _refuse_not_finite(block)
            low, high = min(low, float(block.min())), max(high, float(block.max()))
        for known in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
            # Values up to 16, as scanned digits have them, are no bytes.
            if known[0] <= low and high <= known[1] and high > known[1] / 2:
                return known
        if max(-low, high) >= _LARGEST:
            raise DataError(f"Images hold values from {low:g} to {high:g}; accepted are values below {_LARGEST:g}.")
        # Images that are all of one value leave the unit open; what departs from them shall still have finite scores.
        return low, high if high - low > _NARROWEST else low + max(1.0, abs(low))

    @property
    def _block_rows(self) -> int:
        return max(1, _BLOCK_VALUES // self.n_features_out_)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the rows of images, ``[N, C * H * W]``; a row depends on its image alone.

        Raises
        ------
        DataError
            If images have another size, range or number of channels than can be read, or values are not finite.
        """
        images = self._checked(as_images(X))
        out = np.empty((len(images), self.n_features_out_), dtype=np.float32)
        start = 0
        for pixels in images.blocks(None, self._block_rows, self.shape):
            out[start : start + len(pixels)] = self._scaled(pixels).reshape(len(pixels), -1)
            start += len(pixels)
        return out

    def fill(self, X: Any, block: NDArray[np.float32]) -> Iterator[int]:
        """Write the rows of :meth:`transform` into a block ``[rows, C * H * W]``, some at a time; yield how many."""
        images = self._checked(as_images(X))
        for pixels in images.blocks(None, len(block), self.shape):
            n = len(pixels)
            block[:n] = self._scaled(pixels).reshape(n, -1)
            yield n

    def _checked(self, images: Images | ImageFiles) -> Images | ImageFiles:
        if isinstance(images, ImageFiles):
            return images  # read in the size of the training images
        if images.pixels.shape[2:] != self.shape[1:]:
            height, width = images.pixels.shape[2:]
            raise DataError(
                f"Images have {height} x {width} pixels (read as {images.layout}), but this detector was fitted on "
                f"{self.shape[1]} x {self.shape[2]}. Resize or cut them first."
            )
        if images.channels != self.shape[0] and {images.channels, self.shape[0]} != {1, 3}:
            raise DataError(
                f"Images have {images.channels} channels (read as {images.layout}), but this detector was fitted on "
                f"{self.shape[0]}. Only grey and colour can be turned into one another."
            )
        return images

    def _scaled(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return pixels ``[n, C, H, W]`` of any type between -1 and 1, in the channels of the training images."""
        full_scale = _full_scale(pixels.dtype)
        if full_scale is None:
            _refuse_not_finite(pixels)
            low, high = self.low, self.high
            beyond = _BEYOND * (high - low)
            # A range that was learnt may be left; one that a convention gives may not.
            if (low, high) in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)) and (
                float(pixels.min()) < low - beyond or float(pixels.max()) > high + beyond
            ):
                raise DataError(
                    f"Images hold values from {pixels.min():g} to {pixels.max():g}, but this detector reads "
                    f"{pixels.dtype} from {low:g} to {high:g}, as in training. Scale them likewise, or give uint8."
                )
        else:
            low, high = 0.0, full_scale
        values = pixels.astype(np.result_type(pixels.dtype, np.float32))  # 64 bits for what 32 would round
        scaled: NDArray[np.float32] = ((values - low) * (2 / (high - low)) - 1).astype(np.float32, copy=False)
        if scaled.shape[1] == self.shape[0]:
            return scaled
        if scaled.shape[1] == 1:
            return np.repeat(scaled, 3, axis=1)
        return np.tensordot(scaled, _LUMA, axes=(1, 0)).astype(np.float32, copy=False)[:, None]

    def folding(self, X: Any, n_replicas: int) -> Unfolded:
        """Return what collects the scores of the rows of :meth:`fill`: one score for each sample."""
        return Unfolded(len(X), n_replicas)

    def present(self, X: Any, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the samples in the form in which they were given: as they are."""
        return values

    def decode(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Return rows as images between 0 and 1, ``[N, H, W]`` or ``[N, H, W, C]``, for display."""
        rows = np.asarray(features, dtype=np.float32).reshape(-1, *self.shape)
        pixels = np.clip((rows + 1) / 2, 0, 1).astype(np.float32, copy=False)
        return pixels[:, 0] if self.shape[0] == 1 else np.moveaxis(pixels, 1, 3)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fitted state as a JSON document and no arrays."""
        return {"shape": list(self.shape), "low": self.low, "high": self.high}, {}

    @classmethod
    def check_state(cls, document: Any) -> None:
        """Check a document of :meth:`to_state`.

        Raises
        ------
        ModelFileError
            If a field is absent, unknown, of the wrong type or out of range.
        """
        if not isinstance(document, dict) or set(document) != {"shape", "low", "high"}:
            raise ModelFileError("The encoder of images needs the fields shape, low and high.")
        shape, low, high = document["shape"], document["low"], document["high"]
        lengths = isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n >= 1 for n in shape)
        if not lengths or shape[0] not in (1, 3, 4) or math.prod(shape) > _MOST_VALUES:
            raise ModelFileError(f"The encoder of images has the shape {str(shape)[:80]}.")
        numbers = all(type(v) in (int, float) and -2 * _LARGEST < v < 2 * _LARGEST for v in (low, high))
        if not numbers or high - low <= _NARROWEST:
            raise ModelFileError(f"The encoder of images has the range {str(low)[:40]} to {str(high)[:40]}.")

    @classmethod
    def from_state(cls, document: Any, arrays: Mapping[str, Any]) -> Self:
        """Return the encoder that :meth:`to_state` described.

        Raises
        ------
        ModelFileError
            If the document is not one of :meth:`to_state`, or there are arrays.
        """
        cls.check_state(document)
        if arrays:
            raise ModelFileError(f"The encoder of images has no tensors, but the file holds {sorted(arrays)[:3]}.")
        encoder = cls()
        encoder.shape = tuple(document["shape"])
        encoder.low, encoder.high = float(document["low"]), float(document["high"])
        return encoder


def _full_scale(dtype: np.dtype[Any]) -> float | None:
    """Return the largest value of a type that images are stored in; None for one that says nothing of their range."""
    if dtype.kind == "b":
        return 1.0
    return float(np.iinfo(dtype).max) if dtype.kind == "u" and dtype.itemsize <= 2 else None


def _refuse_not_finite(pixels: NDArray[Any]) -> None:
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        bad = np.flatnonzero(~np.isfinite(pixels).reshape(len(pixels), -1).all(1))
        raise DataError(
            f"Input X contains NaN or inf: in {len(bad)} images of the {len(pixels)} read together, first image "
            f"{bad[0]} of them. Fill in the pixels, or leave these images out."
        )
