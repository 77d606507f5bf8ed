"""Images with labels: folders whose sub-folders say what is normal, and IDX files beside one of labels."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.cli.samples import holds_images, is_idx
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.labels import NORMAL_NAMES, Labels, read_labels

if TYPE_CHECKING:
    from whitecrow.data.images import ImageFiles, Images

__all__ = ["LabelledImages", "labelled_images"]

_NORMAL_FOLDERS = (*NORMAL_NAMES, "good")
_TRUTH = "ground_truth"


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images, what each is called, and what is known of it.

    Parameters
    ----------
    images : Images or ImageFiles
        N of them.
    names : tuple of str
        Path of each within its folder, or its number in the IDX file, from 1.
    labels : Labels
        By sub-folder or by the IDX file of labels.
    masks : tuple of Path or None
        Mask file of each image; None where there is none.
    """

    images: "Images | ImageFiles"
    names: tuple[str, ...]
    labels: Labels
    masks: tuple[Path | None, ...]

    def take(self, rows: NDArray[np.intp]) -> "Images | ImageFiles":
        """Return some of the images."""
        from whitecrow.data.images import ImageFiles, Images

        if isinstance(self.images, ImageFiles):
            return ImageFiles(tuple(self.images.paths[i] for i in rows), self.images.sizes, self.images.channels)
        return Images(self.images.pixels[rows], self.images.layout)

    def hashes(self) -> NDArray[np.uint64]:
        """Return a number for the content of each image, ``[N]``."""
        from whitecrow.data.images import ImageFiles

        if isinstance(self.images, ImageFiles):
            contents = (path.read_bytes() for path in self.images.paths)
        else:
            contents = (np.ascontiguousarray(image).tobytes() for image in self.images.pixels)
        return np.array([int.from_bytes(blake2b(c, digest_size=8).digest()) for c in contents], dtype=np.uint64)

    def read_masks(self, rows: NDArray[np.intp], size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the masks of some of the images, ``[n, *size]``; an image without one has an empty mask.

        Raises
        ------
        FileFormatError
            If a mask cannot be read.
        """
        from whitecrow.data.images import ImageFiles, ImageSet

        chosen = self.take(rows)
        if not isinstance(chosen, ImageFiles):
            return np.zeros((len(rows), *size), dtype=np.bool_)
        masks = tuple(self.masks[i] for i in rows)
        return ImageSet(chosen, self.labels.y[rows].astype(np.int64), (), masks).read_masks(size)


def labelled_images(path: Path, label: str | None, normal: list[str] | None) -> LabelledImages:
    """Return the images of a path with their labels.

    Parameters
    ----------
    path : Path
        A folder with sub-folders, of which those below ``test`` are read where there is a folder of that name; masks
        are ``ground_truth/<sub-folder>/<name>_mask.png``. Or an IDX file.
    label : str or None
        The IDX file of labels, for an IDX file of images.
    normal : list of str or None
        Labels that mean normal. None takes the usual words, and "good" for a folder.

    Raises
    ------
    DataError
        If there are no images, or it cannot be told which are normal.
    ParameterError
        If ``label`` is missing or meaningless here.
    """
    if not holds_images(path):
        raise DataError(f"The model scores images, and {path.name} is none: give a folder or an IDX file.")
    if is_idx(path):
        return _of_idx(path, label, normal)
    if label is not None:
        raise ParameterError(
            f"--label {label}: the labels of a folder of images are its sub-folders. Leave it out, and say with "
            "--normal which sub-folders hold normal images."
        )
    if not path.is_dir():
        raise DataError(f"{path.name} is one image. Give a folder with sub-folders of normal and other images.")
    return _of_folder(path, normal)


def _of_idx(path: Path, label: str | None, normal: list[str] | None) -> LabelledImages:
    import polars as pl

    from whitecrow.data.images import as_images, read_idx

    if label is None:
        raise ParameterError(f"--label is needed: give the IDX file with the labels of {path.name}.")
    source = Path(label)
    if not source.is_file():
        raise ParameterError(f"--label {label}: there is no such file. {path.name} needs an IDX file of labels.")
    images, values = as_images(read_idx(path)), read_idx(source)
    if values.shape != (len(images),):
        raise DataError(
            f"{source.name} holds an array of {' x '.join(map(str, values.shape))}, and {path.name} holds "
            f"{len(images):,} images; needed is one label for each image. Give the labels that belong to them."
        )
    names = tuple(f"image {k + 1:,}" for k in range(len(images)))
    return LabelledImages(images, names, read_labels(pl.Series("label", values), normal), (None,) * len(images))


def _of_folder(path: Path, normal: list[str] | None) -> LabelledImages:
    import polars as pl

    from whitecrow.data.images import as_images
    from whitecrow.data.images.images import file_images

    root = path / "test" if (path / "test").is_dir() else path
    truth = (root.parent if root.name == "test" else root) / _TRUTH
    every: Any = as_images(root)
    paths = [p for p in every.paths if p.relative_to(root).parts[0] != _TRUTH]
    loose = [p for p in paths if p.parent == root]
    if loose or not paths:
        raise DataError(
            f"{len(loose)} images lie in {root} itself, such as {loose[0].name}, so nothing says which are normal. "
            "Put them into sub-folders, such as good and defect."
            if loose
            else f"{root} holds no images beside masks. Give a folder with sub-folders of normal and other images."
        )
    families = [p.relative_to(root).parts[0] for p in paths]
    folders = sorted(set(families))
    chosen = normal if normal is not None else [f for f in folders if f.lower() in _NORMAL_FOLDERS]
    if not chosen:
        raise DataError(
            f"{root} has the sub-folders {', '.join(folders[:8])}; none of them is known to mean normal "
            f"({', '.join(_NORMAL_FOLDERS)} are). Say which do with --normal NAMES."
        )
    masks = [truth / p.relative_to(root).parent / f"{p.stem}_mask.png" for p in paths]
    return LabelledImages(
        file_images(paths),
        tuple(str(p.relative_to(path)) for p in paths),
        read_labels(pl.Series("sub-folder", families), chosen),
        tuple(mask if mask.is_file() else None for mask in masks),
    )
