"""Folders of images with a split by sub-folder, as the inspection data sets have it."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.data.images.images import SUFFIXES, ImageFiles, file_images, read_image

__all__ = ["ImageFolder", "ImageSet", "read_folder"]


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images of one part of a folder.

    Attributes
    ----------
    images : ImageFiles
        In the order of their paths.
    labels : ndarray of int64 [N]
        0 for images of the sub-folder "good", 1 for those of any other.
    families : tuple of str
        Sub-folder of each image: "good", or the kind of defect.
    masks : tuple of Path or None
        Mask file of each image; None where there is none.
    """

    images: ImageFiles
    labels: NDArray[np.int64]
    families: tuple[str, ...]
    masks: tuple[Path | None, ...]

    def read_masks(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the masks as bool ``[N, *size]``; an image without one has an empty mask.

        Raises
        ------
        FileFormatError
            If a mask cannot be read.
        """
        out = np.zeros((len(self.images), *size), dtype=np.bool_)
        for i, path in enumerate(self.masks):
            if path is not None:
                out[i] = read_image(path, (1, *size))[0] > 127
        return out


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """A folder in the layout of MVTec AD: ``train/good``, ``test/good``, ``test/<defect>``, ``ground_truth/<defect>``.

    Attributes
    ----------
    train, test : ImageSet
        The two parts.
    """

    train: ImageSet
    test: ImageSet


def read_folder(path: str | os.PathLike[str], size: int | tuple[int, int] | None = None) -> ImageFolder:
    """Find the images of a folder in the layout of MVTec AD.

    Parameters
    ----------
    path : path-like
        Holds ``train`` and ``test``, each with sub-folders of images; ``good`` holds normal ones. Masks are
        ``ground_truth/<defect>/<name>_mask.png``.
    size : int or (int, int), optional
        Height and width to which the images are resized as they are read.

    Raises
    ------
    DataError
        If a part is absent or empty.
    """
    root = Path(path)
    return ImageFolder(_part(root, "train", size), _part(root, "test", size))


def _part(root: Path, name: str, size: int | tuple[int, int] | None) -> ImageSet:
    folder = root / name
    if not folder.is_dir():
        raise DataError(f"{root} has no folder {name!r}. Expected are train/good, test/good and test/<kind of defect>.")
    paths = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"{folder} holds no images. Expected are sub-folders such as good, with image files.")
    families = tuple(p.parent.name for p in paths)
    masks = [root / "ground_truth" / p.parent.name / f"{p.stem}_mask.png" for p in paths]
    return ImageSet(
        file_images(paths, size),
        np.array([family != "good" for family in families], dtype=np.int64),
        families,
        tuple(mask if mask.is_file() else None for mask in masks),
    )
