"""Images in one form: arrays whose axes are known, or files that are read when they are needed."""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, FileFormatError, missing_extra

__all__ = ["SUFFIXES", "ImageFiles", "Images", "Layout", "as_images", "file_images", "read_image"]

Layout = Literal["NHW", "NHWC", "NCHW"]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_CHANNELS = (1, 3, 4)
_LONGEST_SIDE = 4096
# A picture of more pixels than this is refused before it is unpacked: small files can hold huge ones.
_MOST_PIXELS = 1 << 26


@dataclass(frozen=True, slots=True)
class Images:
    """Images in memory.

    Attributes
    ----------
    pixels : ndarray [N, C, H, W]
        Integers or floats, as they were given; a view where that is possible.
    layout : {"NHW", "NHWC", "NCHW"}
        What the axes of the given array were taken to be.
    """

    pixels: NDArray[Any]
    layout: Layout

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def sizes(self) -> set[tuple[int, int]]:
        """Heights and widths of the images."""
        return {self.pixels.shape[2:]}

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return self.pixels.shape[1]

    def blocks(self, rows: NDArray[np.int64] | None, size: int, shape: tuple[int, int, int]) -> Iterator[NDArray[Any]]:
        """Yield the pixels ``[n, C, H, W]`` of the images, or of those chosen, at most ``size`` at a time."""
        n = len(self) if rows is None else len(rows)
        for start in range(0, n, size):
            chosen = slice(start, start + size) if rows is None else rows[start : start + size]
            yield self.pixels[chosen]


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Images in files, read by Pillow when they are needed.

    Attributes
    ----------
    paths : tuple of Path
        One file per image.
    sizes : set of (int, int)
        Heights and widths that occur.
    channels : int
        1 if all files are grey, else 3.
    size : (int, int) or None
        Height and width that each image is resized to; None if they are all of one size.
    """

    paths: tuple[Path, ...]
    sizes: set[tuple[int, int]]
    channels: int
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def blocks(self, rows: NDArray[np.int64] | None, size: int, shape: tuple[int, int, int]) -> Iterator[NDArray[Any]]:
        """Yield the pixels ``[n, C, H, W]`` of the images, or of those chosen, in ``shape``, some at a time."""
        chosen = range(len(self)) if rows is None else rows
        for start in range(0, len(chosen), size):
            yield np.stack([read_image(self.paths[i], shape) for i in chosen[start : start + size]])


def as_images(
    X: Any, layout: Layout | Literal["auto"] = "auto", size: int | tuple[int, int] | None = None
) -> Images | ImageFiles:
    """Return images in one form.

    Parameters
    ----------
    X : ndarray, path, or sequence of them
        An array ``[N, H, W]``, ``[N, H, W, C]`` or ``[N, C, H, W]`` of integers or floats, C being 1, 3 or 4; a list
        of arrays of one shape; an image file, a list of them, or a folder, whose image files are taken in the order
        of their names, sub-folders included.
    layout : {"auto", "NHW", "NHWC", "NCHW"}, default="auto"
        What the axes of an array are. By default 3 axes are NHW; of 4 axes the one of length 1, 3 or 4 holds the
        channels.
    size : int or (int, int), optional
        Height and width to which files are resized as they are read, 1 to 4,096 each. Without it the files of a fit
        must be of one size, and those that are scored are resized to it.

    Raises
    ------
    DataError
        If the array has other axes, its layout is not clear, or it holds no numbers or no pixels.
    FileFormatError
        If a file cannot be read as an image.
    FileNotFoundError
        If there is no such file or folder.
    """
    if isinstance(X, ImageFiles):
        return X if size is None else file_images(X.paths, size)
    if isinstance(X, Images) and size is None:
        return X
    if isinstance(X, (str, os.PathLike)):
        return file_images(_found(Path(X)), size)
    if _are_paths(X):
        return file_images(X, size)
    if size is not None:
        raise DataError(f"as_images(size={size}): only files are resized. Resize an array before it is given.")
    return _array(X, layout)


def _are_paths(X: Any) -> TypeGuard[Sequence[str | os.PathLike[str]]]:
    return isinstance(X, Sequence) and len(X) > 0 and all(isinstance(path, (str, os.PathLike)) for path in X)


def _array(X: Any, layout: Layout | Literal["auto"]) -> Images:
    if layout not in ("auto", *get_args(Layout)):
        known = ", ".join(map(repr, get_args(Layout)))
        raise DataError(f"as_images(layout={layout!r}): layout must be 'auto', {known}.")
    try:
        pixels = np.asarray(X)
    except (ValueError, TypeError, RuntimeError) as error:  # the last two from tensors that are no plain arrays
        raise DataError(f"The images make no array ({error}). Bring them to one shape and a type of NumPy.") from error
    if pixels.dtype.kind not in "buif":
        raise DataError(f"Images have the type {pixels.dtype}; accepted are integers and floats.")
    found = _layout(pixels.shape) if layout == "auto" else layout
    if pixels.ndim != len(found):
        raise DataError(f"Images have the shape {pixels.shape}, which is not {found}: give one axis per letter.")
    if found == "NHW":
        pixels = pixels[:, None]
    elif found == "NHWC":
        pixels = np.moveaxis(pixels, 3, 1)
    if pixels.shape[1] not in _CHANNELS:
        raise DataError(
            f"Images have {pixels.shape[1]} channels (read as {found}); accepted are 1, 3 and 4. If another axis holds "
            "the channels, say so: as_images(X, layout='NHWC') or 'NCHW'."
        )
    if 0 in pixels.shape[1:]:
        raise DataError(f"Images have the shape {pixels.shape[1:]}; each side must have at least 1 pixel.")
    return Images(pixels, found)


def _layout(shape: tuple[int, ...]) -> Layout:
    if len(shape) == 3:
        return "NHW"
    if len(shape) != 4:
        raise DataError(
            f"Images have the shape {shape}; accepted are [N, H, W], [N, H, W, C] and [N, C, H, W]. One image alone is "
            "given as X[None]."
        )
    first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
    if first == last:
        raise DataError(
            f"Images have the shape {shape}, in which {'either end may' if first else 'no axis can'} hold 1, 3 or 4 "
            "channels. Say which: as_images(X, layout='NHWC') or layout='NCHW'."
        )
    return "NCHW" if first else "NHWC"


def file_images(paths: Iterable[str | os.PathLike[str]], size: int | tuple[int, int] | None = None) -> ImageFiles:
    """Return the images of these files, after a look at the header of each; see :func:`as_images`."""
    chosen, sizes, channels, found = _sides(size), set(), 1, tuple(Path(path) for path in paths)
    for path in found:
        height, width, n = _look(path)
        sizes.add((height, width))
        channels = max(channels, n)
    return ImageFiles(found, sizes, channels, chosen)


def _sides(size: Any) -> tuple[int, int] | None:
    """Return height and width to resize to."""
    if size is None:
        return None
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in sides)
    if len(sides) != 2 or not whole or not all(1 <= n <= _LONGEST_SIDE for n in sides):
        raise DataError(f"as_images(size={size!r}): size must be one or two integers from 1 to {_LONGEST_SIDE}.")
    return int(sides[0]), int(sides[1])


def _found(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is neither a folder nor an image file.")
    paths = tuple(sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()))
    if not paths:
        raise DataError(f"{path} holds no image files. Accepted are {', '.join(SUFFIXES)}.")
    return paths


def _open(path: Path) -> Any:
    """Return a picture whose header is read and whose pixels are not."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise missing_extra("pillow", "image", "Reading image files") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            picture = Image.open(path)
    except FileNotFoundError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise FileFormatError(
            f"{path} cannot be read as an image: {error}. Accepted are {', '.join(SUFFIXES)}."
        ) from error
    width, height = picture.size
    problem = None
    if width * height > _MOST_PIXELS:
        problem = (
            f"a picture of {width} x {height} pixels; at most {_MOST_PIXELS:,} pixels are read. Make it smaller, or "
            "cut it into tiles"
        )
    elif picture.mode == "F":
        problem = "a picture of floats, whose range it does not say. Give its pixels as an array"
    if problem:
        picture.close()
        raise FileFormatError(f"{path} is {problem}.")
    return picture


def _look(path: Path) -> tuple[int, int, int]:
    """Return height, width and channels (1 or 3) of an image file from its header."""
    with _open(path) as picture:
        width, height = picture.size
        return height, width, 1 if picture.mode in ("1", "L", "LA") or _is_deep(picture) else 3


def _is_deep(picture: Any) -> bool:
    """Return whether a picture is grey of sixteen bits, little or big end first, or 32."""
    return picture.mode.startswith("I")


def read_image(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the pixels of an image file as ``[C, H, W]`` = ``shape``, grey for C = 1, else red, green, blue.

    An image of another size is resized, with averaging where it shrinks.

    Raises
    ------
    FileFormatError
        If the file is damaged, too large, or holds floats.
    """
    from PIL import Image

    channels, height, width = shape
    with _open(path) as picture:
        try:
            if _is_deep(picture):  # Pillow's own conversion would clip
                picture = Image.fromarray((np.asarray(picture) / 257).round().clip(0, 255).astype(np.uint8))
            elif picture.mode == "P" and "transparency" in picture.info:
                picture = picture.convert("RGBA")
            picture = picture.convert("L" if channels == 1 else "RGB" if channels == 3 else "RGBA")
            if picture.size != (width, height):
                picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3)
            pixels = np.asarray(picture, dtype=np.uint8)
        except (OSError, ValueError, SyntaxError) as error:
            raise FileFormatError(f"{path} is damaged: {error}. Leave it out, or replace it.") from error
    return pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)
