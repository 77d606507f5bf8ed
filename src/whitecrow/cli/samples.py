"""Images and series from the command line: what a path holds, and tables of their scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from whitecrow.core.errors import DataError, ParameterError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from whitecrow.data.images import ImageFiles, Images
    from whitecrow.detectors import Detector

__all__ = ["holds_images", "is_idx", "read_images", "sample_scores"]

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_IDX = ("-ubyte", "-ubyte.gz", ".idx", ".idx.gz")


def holds_images(path: Path) -> bool:
    """Return whether a path is a folder, an image file or an IDX file."""
    return path.is_dir() or is_idx(path) or path.name.lower().endswith(_PICTURES)


def is_idx(path: Path) -> bool:
    """Return whether a path is named as IDX files are."""
    return path.name.lower().endswith(_IDX)


def read_images(path: Path, size: int | None, part: str) -> "tuple[Images | ImageFiles, dict[str, list[Any]]]":
    """Return the images of a path, and the columns that name each of them.

    Parameters
    ----------
    path : Path
        A folder, an image file, or an IDX file. Of a folder with ``train`` and ``test``, one part is read.
    size : int or None
        Side to which files are resized.
    part : {"train", "test"}
        Which part of such a folder.

    Raises
    ------
    DataError
        If there are no images.
    FileFormatError
        If a file cannot be read.
    """
    from whitecrow.data.images import as_images, read_folder, read_idx

    if is_idx(path):
        if size is not None:
            raise ParameterError("--image-size: the images of an IDX file are of one size, and are not resized.")
        images = as_images(read_idx(path))
        return images, {"image": list(range(1, len(images) + 1))}
    if (path / "train").is_dir() and (path / "test").is_dir():
        found = getattr(read_folder(path, size), part)
        return found.images, {"file": _names(found.images.paths, path), "folder": list(found.families)}
    files = as_images(path, size=size)
    return files, {"file": _names(files.paths, path)}  # pyright: ignore[reportAttributeAccessIssue] - of a path


def _names(paths: tuple[Path, ...], root: Path) -> list[str]:
    return [str(path.relative_to(root)) if root.is_dir() else path.name for path in paths]


def sample_scores(path: Path, detector: "Detector") -> "tuple[pl.DataFrame, NDArray[np.float64]]":
    """Return the table that scores of images or of a series are written beside, and the scores.

    Parameters
    ----------
    path : Path
        Images, for a detector of images; for one of series a table with a row per time step.
    detector : Detector
        Fitted on images or on a series.

    Raises
    ------
    DataError
        If the path holds something else, or what it holds cannot be scored.
    """
    import polars as pl

    from whitecrow.data import read_table

    if detector.spec_.kind == "image":
        if not holds_images(path):
            raise DataError(
                f"The model scores images, and {path.name} is none: give a folder, an image or an IDX file."
            )
        images, names = read_images(path, None, "test")
        return pl.DataFrame(names), detector.anomaly_score(images)
    if holds_images(path):
        raise DataError(
            f"The model scores series, and {path.name} holds images. Give a table with a row per time step."
        )
    table = read_table(path)
    return table, detector.anomaly_score(table)
