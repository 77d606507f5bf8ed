"""The outer part of a model file: a safetensors container, read with every number checked before its use.

A container is eight bytes with the length of the header, the header (a JSON object that gives each tensor's
dtype, shape and place), and the tensors' bytes. Nothing here is larger than the file that is really there.
"""

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import ModelFileError

__all__ = [
    "DTYPES",
    "Header",
    "Place",
    "canonical",
    "check_values",
    "damaged",
    "digest",
    "dtype_name",
    "fault",
    "opened",
    "parse_json",
    "quoted",
    "read_header",
    "read_tensors",
]

DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}

_REMEDY = " Save the model again, or fetch the file again."
_MAX_FILE = 4 << 30
_MAX_HEADER = 16 << 20
_MAX_TENSORS = 4096
_MAX_RANK = 8
_MAX_VALUES = 500_000  # in one JSON text: what keeps a small text from becoming gigabytes of Python objects
_MAX_DEPTH = 16
_MAX_DIGITS = 100
_NAME = re.compile(r"(networks|encoder)(\.[A-Za-z0-9_]{1,64}){1,8}|calibration_scores|fit_scores|reference")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies: its dtype and shape, and its bytes from ``begin`` to ``end`` of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """The size of the file in bytes, its JSON document as text, and the tensors in the order of the file."""

    size: int
    document: str
    tensors: dict[str, Place]


def dtype_name(array: NDArray[Any]) -> str:
    """Return the name that a container gives to an array's dtype."""
    return next(name for name, dtype in DTYPES.items() if dtype == array.dtype)


def damaged(what: str) -> NoReturn:
    """Raise the error for a file that no version of whitecrow wrote so."""
    raise ModelFileError(f"{what}.{_REMEDY}")


def fault(error: ModelFileError) -> str:
    """Return what an error says is wrong, without its remedy for somebody who reads a file."""
    return str(error).removesuffix(_REMEDY)


def quoted(value: Any, longest: int = 80) -> str:
    """Return a value of the file for a message: escaped and, by default, no longer than a line."""
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BufferedReader]:
    """Open a model file; a fault found inside the block names the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is no regular file, or cannot be used.
    """
    source = Path(path)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist. Check the name and the folder.")
    try:
        # A pipe or a device would block, or never end.
        if not stat.S_ISREG(source.stat().st_mode):
            raise ModelFileError("It is no regular file. Give the name of a model file.")
        with source.open("rb") as file:
            yield file
    except ModelFileError as error:
        raise ModelFileError(f"The model file {source} cannot be used. {error}") from error
    except MemoryError as error:
        raise ModelFileError(f"The model file {source} does not fit into this machine's memory.") from error


def read_header(file: BufferedReader) -> Header:
    """Return the checked header of a container.

    Raises
    ------
    ModelFileError
        If it is malformed, or places a tensor where it cannot be.
    """
    size = os.fstat(file.fileno()).st_size
    if size > _MAX_FILE:
        damaged(f"It has {size:,} bytes; at most {_MAX_FILE:,} are read")
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length < 2 or length > size - 8:
        damaged(f"It has {size:,} bytes, too few for its header: it is truncated, or no model file")
    if length > _MAX_HEADER:
        damaged(f"Its header has {length:,} bytes; at most {_MAX_HEADER:,} are read")
    header = parse_json(file.read(length), "header")
    if not isinstance(header, dict):
        damaged("Its header is no JSON object")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {"whitecrow"}:
        raise ModelFileError("It was not written by whitecrow. Give a file that save(path) wrote.")
    if not isinstance(metadata["whitecrow"], str):
        damaged("Its document is no text")
    if len(header) > _MAX_TENSORS:
        damaged(f"It holds {len(header)} tensors; at most {_MAX_TENSORS} are read")
    places = {name: _place(name, entry, 8 + length, size) for name, entry in header.items()}
    ordered = dict(sorted(places.items(), key=lambda item: (item[1].begin, item[1].end)))
    position = 8 + length
    for name, place in ordered.items():
        if place.begin != position:
            damaged(f"The tensor {quoted(name)} does not begin where the one before it ends")
        position = place.end
    if position != size:
        damaged(f"It has {size:,} bytes, but its tensors end at byte {position:,}")
    return Header(size, metadata["whitecrow"], ordered)


def _place(name: str, entry: Any, data: int, size: int) -> Place:
    if not _NAME.fullmatch(name):
        damaged(f"A tensor has the name {quoted(name)}, which no model file uses")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        damaged(f"The tensor {quoted(name)} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        damaged(f"The tensor {quoted(name)} has the dtype {quoted(dtype)}; known are {', '.join(DTYPES)}")
    if not _are_lengths(shape) or len(shape) > _MAX_RANK:
        damaged(f"The tensor {quoted(name)} has the shape {quoted(shape)}")
    if not _are_lengths(offsets) or len(offsets) != 2:
        damaged(f"The tensor {quoted(name)} has the offsets {quoted(offsets)}")
    # A length of 0 makes a tensor empty, however absurd the others are; they count all the same.
    if math.prod(max(n, 1) for n in shape) > size and math.prod(shape) == 0:
        damaged(f"The empty tensor {quoted(name)} has the shape {quoted(shape)}")
    needed = math.prod(shape) * DTYPES[dtype].itemsize
    begin, end = offsets
    if end - begin != needed or data + end > size:
        damaged(
            f"The tensor {quoted(name)} of shape {quoted(shape)} needs {quoted(needed)} bytes; the file of "
            f"{size:,} bytes places it at {quoted(offsets)}"
        )
    return Place(dtype, tuple(shape), data + begin, data + end)


def _are_lengths(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def read_tensors(file: BufferedReader, header: Header, digests: dict[str, str]) -> dict[str, NDArray[Any]]:
    """Read the tensors and compare their digests, finite numbers and truth values with what must be.

    Parameters
    ----------
    file : file opened for reading bytes
    header : Header
        As :func:`read_header` returned it for this file.
    digests : dict of str to str
        The digest of each tensor, as the document records it.

    Raises
    ------
    ModelFileError
        If the file has changed since it was written, or holds values that cannot be.
    """
    arrays = {}
    for name, place in header.tensors.items():
        array = np.empty(place.shape, DTYPES[place.dtype])
        file.seek(place.begin)
        if file.readinto(_bytes(array)) != array.nbytes:
            damaged(f"It ends within the tensor {quoted(name)}")
        if digest(array) != digests[name]:
            damaged(f"The checksum of the tensor {quoted(name)} does not match: its bytes were changed")
        check_values(name, array)
        arrays[name] = array
    return arrays


def check_values(name: str, array: NDArray[Any]) -> None:
    """Raise an error if numbers are not finite, or bytes of truth values neither 0 nor 1."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        damaged(f"The tensor {quoted(name)} holds numbers that are not finite")
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        damaged(f"The tensor {quoted(name)} holds truth values other than 0 and 1")


def digest(array: NDArray[Any]) -> str:
    """Return the digest of a tensor's bytes, 32 hexadecimal digits."""
    return hashlib.blake2b(_bytes(array), digest_size=16).hexdigest()


def _bytes(array: NDArray[Any]) -> memoryview:
    """Return the memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8).data


def canonical(value: Any) -> str:
    """Return the one JSON text that stands for a value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def parse_json(text: bytes, noun: str) -> Any:
    """Return what a JSON text says, or an error: no repeated keys, NaN or inf; bounded size and depth."""
    if sum(map(text.count, (b",", b"[", b"{"))) > _MAX_VALUES or _depth(text) > _MAX_DEPTH:
        damaged(f"Its {noun} has more than {_MAX_VALUES:,} values, or is nested more than {_MAX_DEPTH} deep")
    try:
        return json.loads(
            text.decode(),
            object_pairs_hook=_object,
            parse_float=_float,
            parse_int=_integer,
            parse_constant=_constant,
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        damaged(f"Its {noun} is no JSON text ({error})")


def _depth(text: bytes) -> int:
    """Return how deep the brackets outside of strings are nested."""
    plain = np.frombuffer(text.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    outside = ~np.logical_xor.accumulate(plain == ord('"'))
    opening = (plain == ord("[")) | (plain == ord("{"))
    closing = (plain == ord("]")) | (plain == ord("}"))
    brackets = np.flatnonzero((opening | closing) & outside)
    return int(np.where(opening[brackets], 1, -1).cumsum().max(initial=0))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        damaged("An object of its header has the same key twice")
    return found


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        damaged(f"The number {quoted(text)} is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        damaged(f"The number {quoted(text)} is too large")
    return int(text)


def _constant(text: str) -> NoReturn:
    damaged(f"The number {text} is not finite")
