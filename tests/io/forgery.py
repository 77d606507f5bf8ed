"""Model files taken apart, changed and sealed again, written from the description of the format alone."""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import safetensors.numpy

NAMES = {"bool": "BOOL", "uint8": "U8", "int16": "I16", "int32": "I32", "int64": "I64", "float32": "F32"}
NAMES["float64"] = "F64"

# Values that a JSON document can hold in the place of any other.
STRANGE = [None, True, -1, 0, 1.5, 10**50, 1e300, "", "x", "\ud800", [], [1], {}, {"a": 1}]

# What a tensor [R, ...] can be turned into.
ALTERATIONS = (
    lambda a: a.astype(np.float64 if a.dtype != np.float64 else np.float32),
    lambda a: (a > 0).astype(np.int32),
    lambda a: a[:, :0],
    lambda a: np.concatenate([a, a], -1),
    lambda a: np.concatenate([a, a], 0),
    lambda a: np.zeros_like(a),
    lambda a: a.reshape(1, -1),
)


def every_ninth(rows: Any) -> np.ndarray:
    """Return labels of 1 for every ninth row and -1 for the others; only a method that needs them reads them."""
    return np.where(np.arange(len(rows)) % 9, -1, 1)


def header_of(content: bytes) -> dict[str, Any]:
    """Return the outer JSON header."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])


def document_of(content: bytes) -> dict[str, Any]:
    """Return the inner JSON document."""
    return json.loads(header_of(content)["__metadata__"]["whitecrow"])


def data_of(content: bytes) -> bytes:
    """Return the bytes behind the header."""
    return content[8 + int.from_bytes(content[:8], "little") :]


def checksum(document: dict[str, Any], layout: dict[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "checksum"}
    text = json.dumps([rest, layout], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def forge(
    content: bytes,
    document: Callable[[dict[str, Any]], Any] | None = None,
    tensors: Callable[[dict[str, Any]], Any] | None = None,
    *,
    seal: bool = True,
) -> bytes:
    """Return a well-formed container with changed contents, whose checksums are right if it is sealed."""
    arrays = safetensors.numpy.load(content)
    inner = document_of(content)
    if tensors is not None:
        tensors(arrays)
        if seal:
            inner["digests"] = {
                name: hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest() for name, array in arrays.items()
            }
    if document is not None:
        document(inner)
    if seal:
        layout = {name: [NAMES[str(array.dtype)], list(array.shape)] for name, array in arrays.items()}
        inner["checksum"] = checksum(inner, layout)
    return safetensors.numpy.save(arrays, {"whitecrow": json.dumps(inner)})


def with_header(content: bytes, change: Callable[[dict[str, Any]], Any], data: bytes | None = None) -> bytes:
    """Return the file with another outer header, which may be anything; sealed as far as that is possible."""
    header = header_of(content)
    change(header)
    metadata = header.get("__metadata__")
    if isinstance(metadata, dict) and isinstance(metadata.get("whitecrow"), str):
        inner = json.loads(metadata["whitecrow"])
        layout = {
            name: [entry.get("dtype"), entry.get("shape")]
            for name, entry in header.items()
            if name != "__metadata__" and isinstance(entry, dict)
        }
        inner["checksum"] = checksum(inner, layout)
        metadata["whitecrow"] = json.dumps(inner)
    return with_raw_header(json.dumps(header).encode(), data_of(content) if data is None else data)


def with_raw_header(header: bytes, data: bytes = b"") -> bytes:
    """Return a container with this header."""
    return len(header).to_bytes(8, "little") + header + data


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node of a JSON value."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*at, key))


def parent(document: Any, path: tuple[Any, ...]) -> Any:
    """Return what holds the node at a path."""
    for key in path[:-1]:
        document = document[key]
    return document


def setting(path: tuple[Any, ...], value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of a document that puts a value at a path."""

    def change(document: dict[str, Any]) -> None:
        parent(document, path)[path[-1]] = value

    return change


def removing(path: tuple[Any, ...]) -> Callable[[dict[str, Any]], None]:
    """Return a change of a document that removes the node at a path."""

    def change(document: dict[str, Any]) -> None:
        del parent(document, path)[path[-1]]

    return change


def extremes(dtype: str) -> tuple[float, ...]:
    """Return numbers of a safetensors type that no fit leaves everywhere in a tensor."""
    integer = not dtype.startswith("F")
    top = np.iinfo(dtype.replace("I", "int").replace("U", "uint")).max if integer else 3e38
    return (-1, 0, 1, 1000, top, top - 1 if integer else -3e38)
