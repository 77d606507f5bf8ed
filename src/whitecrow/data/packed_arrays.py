"""Arrays and pictures in zip archives from strangers: every size is checked before anything is unpacked.

Nothing is unpickled, no name in an archive is ever part of a path, and what an archive comes to is bounded by what its
directory declares, which unpacking holds it to.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, FileFormatError
from whitecrow.data.images.images import SUFFIXES, file_images, read_image

__all__ = ["LABEL_NAMES", "SAMPLE_NAMES", "declared_bytes", "read_packed_arrays", "read_packed_images"]

SAMPLE_NAMES = ("X", "x", "images", "series", "arr_0")
"""Names under which samples are looked for, in this order."""

LABEL_NAMES = ("y", "Y", "label", "labels")
"""Names under which labels are looked for, in this order."""

_MOST_MEMBERS = 100_000
_LONGEST_HEADER = 10_000
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError, RuntimeError,
    OverflowError, SyntaxError,
)  # fmt: skip


def declared_bytes(path: Path) -> int:
    """Return what an archive comes to once it is unpacked, as its directory says.

    Raises
    ------
    FileFormatError
        If it is no archive, is damaged, or has more than 100,000 members.
    """
    with _opened(path) as archive:
        return sum(member.file_size for member in archive.infolist())


def read_packed_arrays(path: Path, *, max_bytes: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the samples of an NPZ file, and their labels where there are any.

    Parameters
    ----------
    path : Path
        Holds an array named X (or images, series) and perhaps one named y (or labels).
    max_bytes : int
        Most bytes that all members may come to.

    Returns
    -------
    samples : ndarray
        Of numbers, with at least one value.
    labels : ndarray [N] or None
        Of numbers, truth values or text.

    Raises
    ------
    FileFormatError
        If the file is no NPZ, damaged, truncated, or holds objects or shapes that it has no bytes for.
    DataError
        If it comes to too much, has no samples, or labels of another number.
    """
    with _opened(path) as archive:
        _check_size(archive, max_bytes)
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        name = next((one for one in SAMPLE_NAMES if one in members), None)
        if name is None:
            shown = ", ".join(repr(one[:60]) for one in list(members)[:5]) or "nothing"
            raise DataError(f"The file holds {shown}; the samples are looked for under {', '.join(SAMPLE_NAMES)}.")
        samples = _array(archive, members[name], "biuf")
        label = next((one for one in LABEL_NAMES if one in members), None)
        labels = None if label is None else _array(archive, members[label], "biufU")
    if not samples.size:
        raise DataError(f"The array {name} has the shape {samples.shape}, so there is no sample. Give at least one.")
    if labels is not None and labels.shape not in ((len(samples),), (len(samples), 1)):
        raise DataError(
            f"The labels have the shape {labels.shape}, and there are {len(samples):,} samples; one label for each is "
            "needed."
        )
    return samples, None if labels is None else labels.reshape(-1)


def read_packed_images(path: Path, *, max_bytes: int) -> tuple[NDArray[np.uint8], Sequence[str] | None]:
    """Return the pictures of a zip archive in the order of their names, and their folders as labels.

    Parameters
    ----------
    path : Path
        Holds picture files of one size; a folder within it is the label of what lies in it.
    max_bytes : int
        Most bytes that all files may come to, and most that the pixels may.

    Returns
    -------
    pixels : ndarray of uint8 [N, C, H, W]
        C is 1 where all are grey, else 3.
    labels : sequence of str, or None
        Name of each picture's folder; None where all lie in one.

    Raises
    ------
    FileFormatError
        If the archive or a picture in it is damaged.
    DataError
        If there are no pictures, they differ in size, or come to too much.
    MissingExtraError
        If Pillow is not installed.
    """
    with _opened(path) as archive, TemporaryDirectory() as folder:
        _check_size(archive, max_bytes)
        chosen = sorted((m for m in archive.infolist() if _is_picture(m)), key=lambda member: member.filename)
        if not chosen:
            raise DataError(f"The archive holds no pictures. Accepted are {', '.join(SUFFIXES)}.")
        paths = []
        for k, member in enumerate(chosen):
            # A name of ours: that in the archive may lead anywhere.
            ours = Path(folder, f"{k}{PurePosixPath(member.filename).suffix.lower()}")
            ours.write_bytes(_unpacked(archive, member))
            paths.append(ours)
        try:
            pixels = _pixels(paths, max_bytes)
        except FileFormatError as error:
            message = str(error)
            for ours, member in zip(paths, chosen, strict=True):
                if str(ours) in message:
                    raise FileFormatError(message.replace(str(ours), member.filename[-100:])) from error
            raise
    folders = [PurePosixPath(member.filename.replace("\\", "/")).parent.name for member in chosen]
    return pixels, folders if len(set(folders)) > 1 else None


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise FileFormatError("The file is no zip archive, or it is truncated. Save it again.") from error
    if len(archive.infolist()) > _MOST_MEMBERS:
        archive.close()
        raise FileFormatError(f"The archive has more than {_MOST_MEMBERS:,} members. Bring it in parts.")
    return archive


def _check_size(archive: zipfile.ZipFile, most: int) -> None:
    total = sum(member.file_size for member in archive.infolist())
    if total > most:
        raise DataError(
            f"The file comes to {total / 2**20:,.1f} MiB once it is unpacked; at most {most / 2**20:,.1f} MiB are "
            "taken. Bring a part."
        )


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in _PACKINGS or member.flag_bits & 1:
        raise FileFormatError("The archive is encrypted, or packed in another way than deflated. Save it again.")
    try:
        # No more than the directory declares is read, and the checksum must hold.
        return archive.read(member)
    except _DAMAGE as error:
        raise FileFormatError("The archive is damaged or truncated. Save it again.") from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kinds: str) -> NDArray[Any]:
    data = _unpacked(archive, member)
    stream = io.BytesIO(data)
    try:
        shape, fortran, dtype = _header(stream)
    except _DAMAGE as error:
        raise FileFormatError("An array of the file is damaged. Save it with numpy.savez.") from error
    if dtype.kind not in kinds or dtype.hasobject or dtype.itemsize == 0:
        raise FileFormatError(
            f"An array of the file holds {dtype}; accepted are plain numbers"
            f"{', and text for labels' if 'U' in kinds else ''}. Save it without objects."
        )
    values = prod(shape)
    if values * dtype.itemsize != len(data) - stream.tell():
        raise FileFormatError(f"An array of the file declares the shape {str(shape)[:80]}, which it has no bytes for.")
    flat = np.frombuffer(data, dtype=dtype, count=values, offset=stream.tell())
    native = flat.astype(dtype.newbyteorder("="), copy=False)
    return native.reshape(shape, order="F" if fortran else "C")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    major, _ = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    return read(stream, max_header_size=_LONGEST_HEADER)


def _is_picture(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    hidden = any(part.startswith((".", "__MACOSX")) and part not in ("..", ".") for part in name.parts)
    return not member.is_dir() and not hidden and name.suffix.lower() in SUFFIXES


def _pixels(paths: Sequence[Path], most: int) -> NDArray[np.uint8]:
    found = file_images(paths)
    if len(found.sizes) > 1:
        shown = ", ".join(f"{height} × {width}" for height, width in sorted(found.sizes)[:3])
        raise DataError(f"The pictures are of {len(found.sizes)} sizes, such as {shown}. Bring them to one size first.")
    height, width = next(iter(found.sizes))
    shape = found.channels, height, width
    if len(paths) * prod(shape) > most:
        raise DataError(
            f"{len(paths):,} pictures of {height} × {width} come to {len(paths) * prod(shape) / 2**20:,.1f} MiB of "
            f"pixels; at most {most / 2**20:,.1f} MiB are taken. Make them smaller, or bring a part."
        )
    pixels = np.empty((len(paths), *shape), dtype=np.uint8)
    for k, one in enumerate(paths):
        pixels[k] = read_image(one, shape)
    return pixels
