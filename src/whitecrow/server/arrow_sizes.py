"""What Arrow IPC messages would come to, told from their metadata before a buffer is decompressed or a row is read."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from whitecrow.core.errors import FileFormatError
from whitecrow.server.errors import BodyTooLargeError, RequestError
from whitecrow.server.settings import Settings

__all__ = ["check_arrow_file", "check_arrow_stream"]

_FILE = b"ARROW1"
_CONTINUES = b"\xff\xff\xff\xff"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
# Null, Int, FloatingPoint, Utf8, Bool, Decimal, Date, Time, Timestamp, Duration, LargeUtf8, Utf8View.
_FLAT = frozenset((1, 2, 3, 5, 6, 7, 8, 9, 10, 18, 20, 24))
_MOST_MESSAGES = 20_000
_AGAIN = "Save it again."


def check_arrow_stream(data: bytes, settings: Settings) -> None:
    """Check that a stream of Arrow messages is flat, whole, and within the limits on rows, columns, cells and bytes.

    Raises
    ------
    FileFormatError
        If it is truncated or malformed.
    RequestError
        If columns are nested or binary.
    BodyTooLargeError
        If it has more rows, columns or cells than allowed, or its buffers come to too many bytes.
    """
    _check(_of_stream(data), settings)


def check_arrow_file(data: bytes, settings: Settings) -> None:
    """Check an Arrow file as :func:`check_arrow_stream` does: those messages that its footer points at.

    Raises
    ------
    FileFormatError
        If it is truncated or malformed.
    RequestError
        If columns are nested or binary.
    BodyTooLargeError
        If it has more rows, columns or cells than allowed, or its buffers come to too many bytes.
    """
    if not data.startswith(_FILE) or not data.endswith(_FILE) or len(data) < 24:
        raise FileFormatError("The body is no whole Arrow file: it must begin and end with ARROW1. Send it again.")
    _check(_of_file(data), settings)


def _check(messages: "Iterator[_Message]", settings: Settings) -> None:
    try:
        _count(messages, settings)
    except (struct.error, IndexError, OverflowError) as error:
        raise FileFormatError(f"The Arrow data end in the midst of a message, or are none. {_AGAIN}") from error


def _count(messages: "Iterator[_Message]", settings: Settings) -> None:
    width = None
    rows = decoded = 0
    for count, (kind, header, body) in enumerate(messages):
        if count > _MOST_MESSAGES:
            raise FileFormatError("The Arrow data hold too many messages. Write them in larger batches.")
        if kind == _SCHEMA:
            if width is not None:
                raise FileFormatError(f"The Arrow data hold two schemas. {_AGAIN}")
            width = _width(header, settings)
            continue
        batch = header.table(1) if kind == _DICTIONARY else header
        if width is None or batch is None:
            raise FileFormatError(f"The Arrow data begin without a schema, or hold an empty dictionary. {_AGAIN}")
        n = batch.long(0)
        rows += n if kind == _BATCH else 0
        if not 0 <= n <= settings.max_rows or rows > settings.max_rows:
            raise BodyTooLargeError(f"The data have more than {settings.max_rows:,} rows. Send them in parts.")
        if rows * width > settings.max_cells:
            raise BodyTooLargeError(f"The data have more than {settings.max_cells:,} cells. Send them in parts.")
        decoded += _buffer_bytes(batch, body)
        if decoded > settings.max_decoded_bytes:
            raise BodyTooLargeError(
                f"The data come to more than {settings.max_decoded_bytes / 2**20:,.4g} MiB once they are "
                "decompressed. Send them in parts."
            )
    if width is None:
        raise FileFormatError(f"The Arrow data hold no schema. {_AGAIN}")


def _of_stream(data: bytes) -> "Iterator[_Message]":
    at = 0
    while at < len(data):
        start, length = _prefix(data, at)
        if length == 0:
            return
        message = _message(data, start, length)
        yield message
        at = start + length + len(message.body)


def _of_file(data: bytes) -> "Iterator[_Message]":
    end = len(data) - len(_FILE) - 4
    length = int.from_bytes(data[end : end + 4], "little")
    if length > end:
        raise struct.error("footer beyond the beginning")
    footer = _root(memoryview(data)[end - length : end])
    schema = footer.table(1)
    if schema is None:
        raise FileFormatError(f"The Arrow file holds no schema. {_AGAIN}")
    yield _Message(_SCHEMA, schema, memoryview(b""))
    for field in (2, 3):  # dictionaries, record batches
        blocks = footer.vector(field)
        for k in range(blocks.length):
            offset, metadata, body = struct.unpack_from("<qixxxxq", blocks.data, blocks.at + 24 * k)
            if offset < 0:
                raise struct.error("block before the beginning")
            start, size = _prefix(data, offset)
            message = _message(data, start, size)
            # A reader goes by the block or by the message; they must say the same.
            if start + size != offset + metadata or len(message.body) != body or message.kind == _SCHEMA:
                raise FileFormatError(f"The Arrow file contradicts itself about where its batches are. {_AGAIN}")
            yield message


def _prefix(data: bytes, at: int) -> tuple[int, int]:
    """Return where the metadata of a message begin and how long they are."""
    # What was written before Arrow 0.15 has no continuation marker.
    at += 4 if data[at : at + 4] == _CONTINUES else 0
    return at + 4, struct.unpack_from("<i", data, at)[0]


def _message(data: bytes, at: int, length: int) -> "_Message":
    if not 0 < length <= len(data) - at:
        raise struct.error("message beyond the end")
    view = memoryview(data)
    root = _root(view[at : at + length])
    at += length
    size, kind, header = root.long(3), root.byte(1), root.table(2)
    if not 0 <= size <= len(data) - at:
        raise struct.error("body beyond the end")
    if header is None or kind not in (_SCHEMA, _DICTIONARY, _BATCH):
        raise FileFormatError(f"The Arrow data hold a message of the unknown kind {kind}. {_AGAIN}")
    return _Message(kind, header, view[at : at + size])


def _width(schema: "_Table", settings: Settings) -> int:
    fields = schema.tables(1, most=settings.max_columns)
    if fields is None:
        raise BodyTooLargeError(f"The data have more than {settings.max_columns:,} columns. Leave some out.")
    for one in fields:
        if one.byte(2) not in _FLAT or one.vector(5).length:
            name = one.text(0)[:100]
            raise RequestError(
                f"Column {name!r} is nested or binary. Columns hold numbers, text, truth values or times."
            )
    return len(fields)


def _buffer_bytes(batch: "_Table", body: memoryview) -> int:
    """Return how many bytes the buffers of a record batch come to once they are decompressed."""
    buffers = batch.vector(2)
    compressed = batch.table(3) is not None
    if buffers.length * 16 > len(buffers.data) - buffers.at:
        raise struct.error("buffers beyond the message")
    total = 0
    for offset, length in struct.iter_unpack("<qq", buffers.data[buffers.at : buffers.at + 16 * buffers.length]):
        if offset < 0 or length < 0 or offset + length > len(body):
            raise struct.error("buffer beyond the body")
        # A compressed buffer begins with its length before compression; -1 says that it was left as it is.
        declared = struct.unpack_from("<q", body, offset)[0] if compressed and length >= 8 else -1
        if declared < -1:
            raise struct.error("a negative length")
        total += length if declared == -1 else declared
    return total


class _Message(NamedTuple):
    kind: int
    header: "_Table"
    body: memoryview


class _Vector(NamedTuple):
    data: memoryview
    at: int
    length: int


class _Table(NamedTuple):
    """A table of the FlatBuffers format, read at its place; struct.error or IndexError where it leaves the buffer."""

    data: memoryview
    at: int

    def place(self, field: int) -> int:
        """Return where a field's value stands, 0 if it is absent."""
        index = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        if index < 0:
            raise IndexError(index)
        slot = 4 + 2 * field
        if slot + 2 > struct.unpack_from("<H", self.data, index)[0]:
            return 0
        offset = struct.unpack_from("<H", self.data, index + slot)[0]
        return self.at + offset if offset else 0

    def byte(self, field: int) -> int:
        at = self.place(field)
        return self.data[at] if at else 0

    def long(self, field: int) -> int:
        at = self.place(field)
        return struct.unpack_from("<q", self.data, at)[0] if at else 0

    def table(self, field: int) -> "_Table | None":
        at = self.place(field)
        return _Table(self.data, at + struct.unpack_from("<I", self.data, at)[0]) if at else None

    def vector(self, field: int) -> _Vector:
        at = self.place(field)
        if not at:
            return _Vector(self.data, 0, 0)
        start = at + struct.unpack_from("<I", self.data, at)[0]
        return _Vector(self.data, start + 4, struct.unpack_from("<I", self.data, start)[0])

    def tables(self, field: int, most: int) -> "list[_Table] | None":
        """Return a vector of tables, or None if it has more than ``most``."""
        vector = self.vector(field)
        if vector.length > most:
            return None
        places = range(vector.at, vector.at + 4 * vector.length, 4)
        return [_Table(self.data, at + struct.unpack_from("<I", self.data, at)[0]) for at in places]

    def text(self, field: int) -> str:
        letters = self.vector(field)
        return bytes(letters.data[letters.at : letters.at + min(letters.length, 1000)]).decode(errors="replace")


def _root(data: memoryview) -> _Table:
    return _Table(data, struct.unpack_from("<I", data, 0)[0])
