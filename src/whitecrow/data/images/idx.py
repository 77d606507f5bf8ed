"""IDX files, the format of MNIST: a magic number, the lengths of the axes, the values."""

import gzip
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import FileFormatError

__all__ = ["read_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return the array of an IDX file, which may be gzipped, in the machine's byte order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is truncated, too long, or not IDX.
    """
    path = Path(path)
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not 1 <= head[3] <= 8:
                raise FileFormatError(f"{path} does not begin as an IDX file does: {head.hex() or 'it is empty'}.")
            lengths = file.read(4 * head[3])
            if len(lengths) < 4 * head[3]:
                raise FileFormatError(f"{path} is truncated: it ends within the lengths of its axes.")
            shape = struct.unpack(f">{head[3]}I", lengths)
            dtype = np.dtype(_TYPES[head[2]])
            wanted = dtype.itemsize * int(np.prod([int(n) for n in shape], dtype=object))
            # Read as it comes: what a file declares is not worth an allocation before it is there.
            data = bytearray()
            while len(data) <= wanted and (part := file.read(_CHUNK)):
                data += part
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise FileFormatError(f"{path} cannot be unpacked: {error}.") from error
    if len(data) != wanted:
        beyond = "more" if len(data) > wanted else f"{len(data):,}"
        raise FileFormatError(
            f"{path} declares {' x '.join(map(str, shape))} values, {wanted:,} bytes, but holds {beyond}. "
            "Fetch it again."
        )
    try:
        array = np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:  # no value, and other axes so long that NumPy cannot count
        raise FileFormatError(f"{path} declares an impossible shape, {' x '.join(map(str, shape))}.") from error
    return array.astype(dtype.newbyteorder("="), copy=False)
