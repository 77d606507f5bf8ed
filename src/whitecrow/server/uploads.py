"""Uploaded files: streamed to a file of our naming, recognised by content, gone if anything goes wrong."""

import re
import secrets
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import anyio.to_thread

from whitecrow.server.errors import BodyTooLargeError, MediaTypeError, RequestError

__all__ = ["Upload", "display_name", "receive_upload"]

_CHUNK = 1 << 20
_LONGEST_NAME = 120
_UNSAFE = re.compile(r'[<>:"|?*&\x00-\x1f\x7f]')

UploadKind = Literal["csv", "csv.gz", "parquet", "arrow", "npz", "zip", "npy", "safetensors"]

_MAGIC: dict[bytes, UploadKind] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"PK\x03\x04": "npz",
    b"\x93NUMPY": "npy",
    b"\x1f\x8b": "csv.gz",
}
_EXTENSIONS: dict[str, UploadKind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".arff": "csv",
    ".csv.gz": "csv.gz",
    ".tsv.gz": "csv.gz",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".npz": "npz",
    ".zip": "zip",
    ".npy": "npy",
    ".safetensors": "safetensors",
}


class Source(Protocol):
    """What an upload is read from; starlette's ``UploadFile`` is one."""

    filename: str | None

    async def read(self, size: int = -1) -> bytes:
        """Return the next bytes, none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has arrived.

    Parameters
    ----------
    path : pathlib.Path
        Where it lies, under a random name that ends as ``kind`` says.
    label : str
        The client's name for it, cleaned, for display alone.
    kind : str
        Form of the content.
    size : int
        Bytes.
    """

    path: Path
    label: str
    kind: UploadKind
    size: int


@asynccontextmanager
async def receive_upload(
    source: Source, folder: Path, *, max_bytes: int, kinds: tuple[UploadKind, ...] = ("csv", "csv.gz", "parquet")
) -> AsyncIterator[Upload]:
    """Save an upload to a temporary file, which is removed at the end of the block, whatever happens in it.

    Who wants to keep the file moves it away within the block. The client's name is never part of a path: its ending
    has to be that of a kind, and the content has to agree.

    Parameters
    ----------
    source : UploadFile
        What is read, a megabyte at a time.
    folder : pathlib.Path
        Existing folder for the file.
    max_bytes : int
        Largest file.
    kinds : tuple of str, default=("csv", "csv.gz", "parquet")
        Kinds that are taken.

    Yields
    ------
    Upload
        The file, whole.

    Raises
    ------
    MediaTypeError
        If the ending is that of no accepted kind, or the content is of another.
    BodyTooLargeError
        If the file is larger than ``max_bytes``.
    RequestError
        If it is empty.
    """
    label = display_name(source.filename)
    named = _named(label)
    if named is None or named not in kinds:
        endings = ", ".join(ending for ending, kind in _EXTENSIONS.items() if kind in kinds)
        raise MediaTypeError(
            f"The file's name ends as no kind that is taken here. Give it one of the endings {endings}."
        )
    path = folder / f"upload-{secrets.token_hex(16)}.{named}"
    try:
        size = 0
        # "x": a file that exists already is never written to, nor a link followed. Opened here and not in a thread,
        # which could still open it when the request has been cancelled.
        with path.open("xb") as file:
            while chunk := await source.read(_CHUNK):
                if not size:
                    _check_content(chunk[:16], named)
                size += len(chunk)
                if size > max_bytes:
                    raise BodyTooLargeError(
                        f"The file is larger than {max_bytes / 2**20:,.4g} MiB, the most that is taken. Send a part."
                    )
                await anyio.to_thread.run_sync(file.write, chunk)
        if not size:
            raise RequestError("The file is empty. Choose another.")
        yield Upload(path, label, named, size)
    finally:
        path.unlink(missing_ok=True)


def display_name(name: str | None) -> str:
    """Return a client's file name for display: its last part, without characters that mean anything elsewhere.

    Parameters
    ----------
    name : str or None
        As sent; it may be a path, or text that writes from right to left to hide its ending.

    Returns
    -------
    str
        From 1 to 120 characters.
    """
    text = unicodedata.normalize("NFC", name or "").encode("utf-8", "replace").decode()
    text = re.split(r"[/\\]", text)[-1]
    # Categories C: control, format (direction marks among them), private and unassigned characters.
    text = "".join(letter for letter in text if not unicodedata.category(letter).startswith("C"))
    text = _UNSAFE.sub("_", text).strip(" .")
    if len(text) > _LONGEST_NAME:
        text = text[: _LONGEST_NAME - 20] + "…" + text[-19:]
    return text or "unnamed"


def _named(label: str) -> UploadKind | None:
    lower = label.lower()
    return next((kind for ending, kind in _EXTENSIONS.items() if lower.endswith(ending)), None)


def _check_content(head: bytes, named: UploadKind) -> None:
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    # An NPZ file is a zip archive of arrays.
    if found == "npz" and named == "zip":
        found = "zip"
    # A model file begins with the length of its header, of which eight bytes hold few; then comes JSON.
    if found is None and named == "safetensors" and head[8:9] == b"{":
        found = "safetensors"
    if found is None and named == "csv" and b"\0" not in head:
        found = "csv"
    if found != named:
        raise MediaTypeError(f"The file is named like {named}, but its content is not. Save it again, or rename it.")
