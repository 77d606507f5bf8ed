"""What a Parquet file would come to, told from its metadata and page headers before anything is decompressed.

The footer alone may lie: what a reader allocates stands in the header of each page, so these are walked too.
"""

from typing import Any

from whitecrow.core.errors import FileFormatError
from whitecrow.server.errors import BodyTooLargeError, RequestError
from whitecrow.server.settings import Settings
from whitecrow.server.thrift import CompactReader

__all__ = ["check_parquet"]

_MAGIC = b"PAR1"
_MOST_VALUES = 2_000_000  # of metadata: about four seconds of reading
_REPEATED = 2
_AGAIN = "Save the file again."


def check_parquet(data: bytes, settings: Settings) -> None:
    """Check that a Parquet file is flat, whole, and within the limits on rows, columns, cells and decoded bytes.

    Raises
    ------
    FileFormatError
        If the file is truncated or its parts contradict one another.
    RequestError
        If columns are nested, encrypted or in other files.
    BodyTooLargeError
        If it has more rows, columns or cells than allowed, or its pages come to too many bytes.
    """
    view = memoryview(data)
    if len(data) < 12 or data[:4] != _MAGIC or data[-4:] != _MAGIC:
        raise FileFormatError("The body is no whole Parquet file: it must begin and end with PAR1. Send it again.")
    end = len(data) - 8
    length = int.from_bytes(data[end : end + 4], "little")
    if length > end - 4:
        raise FileFormatError(f"The Parquet file is truncated: its metadata begin before it does. {_AGAIN}")
    reader = CompactReader(view[:end], _MOST_VALUES)
    footer, _ = reader.struct(end - length)
    names = _columns(footer, settings)
    rows = _number(footer, 3)
    if rows > settings.max_rows:
        raise BodyTooLargeError(
            f"The file has {rows:,} rows; at most {settings.max_rows:,} are taken. Send it in parts."
        )
    if rows * len(names) > settings.max_cells:
        raise BodyTooLargeError(
            f"The file has {rows:,} rows of {len(names):,} columns; at most {settings.max_cells:,} cells are taken. "
            "Send it in parts."
        )
    groups = _list(footer, 4)
    if sum(_number(group, 3) for group in groups) != rows:
        raise FileFormatError(f"The Parquet file contradicts itself about its number of rows. {_AGAIN}")
    decoded = 0
    for group in groups:
        chunks = _list(group, 1)
        if len(chunks) != len(names):
            raise FileFormatError(f"The Parquet file contradicts itself about its number of columns. {_AGAIN}")
        for chunk in chunks:
            decoded += _chunk_bytes(reader, chunk, _number(group, 3), end - length)
            if decoded > settings.max_decoded_bytes:
                raise BodyTooLargeError(
                    f"The file's pages come to more than {settings.max_decoded_bytes / 2**20:,.4g} MiB once they are "
                    "decompressed. Send it in parts."
                )


def _columns(footer: dict[int, Any], settings: Settings) -> list[str]:
    elements = _list(footer, 2)
    if not elements or 8 in footer:
        raise RequestError("The Parquet file has no columns, or is encrypted. Send it plain.")
    columns = elements[1:]
    names = [_text(one.get(4)) for one in columns]
    # A flat table is one root with as many children as there are further elements, none of them a group or a list.
    nested = [name for name, one in zip(names, columns, strict=True) if one.get(5) or one.get(3) == _REPEATED]
    if nested:
        raise RequestError(f"Column {nested[0][:100]!r} is nested. Columns hold numbers, text, truth values or times.")
    if _number(elements[0], 5) != len(columns):
        raise FileFormatError(f"The Parquet file contradicts itself about its columns. {_AGAIN}")
    if len(columns) > settings.max_columns:
        raise BodyTooLargeError(
            f"The file has {len(columns):,} columns; at most {settings.max_columns:,} are taken. Leave some out."
        )
    return names


def _chunk_bytes(reader: CompactReader, chunk: dict[int, Any], rows: int, end: int) -> int:
    """Return how many bytes the pages of a column chunk come to."""
    about = chunk.get(3)
    if not isinstance(about, dict) or 1 in chunk or 8 in chunk:
        raise RequestError("The Parquet file keeps columns in other files, or encrypted. Send one plain file.")
    offsets = [_number(about, key) for key in (9, 11) if key in about]
    at = min((offset for offset in offsets if offset > 0), default=0)
    stop = at + _number(about, 7)
    if not 4 <= at <= stop <= end or _number(about, 5) != rows:
        raise FileFormatError(f"The Parquet file contradicts itself about where its columns are. {_AGAIN}")
    decoded = values = 0
    while at < stop:
        header, body = reader.struct(at)
        size = _number(header, 2)
        at = body + _number(header, 3)
        decoded += size
        data = header.get(5) or header.get(8)
        values += _number(data, 1) if isinstance(data, dict) else 0
        if at > stop or values > rows:
            raise FileFormatError(f"The pages of the Parquet file do not fit its metadata. {_AGAIN}")
    if values != rows:
        raise FileFormatError(f"The Parquet file lacks pages. {_AGAIN}")
    return decoded


def _number(fields: dict[int, Any], key: int) -> int:
    value = fields.get(key, 0)
    if not isinstance(value, int) or value < 0:
        raise FileFormatError(f"The Parquet file's metadata hold a size that is none. {_AGAIN}")
    return value


def _list(fields: dict[int, Any], key: int) -> list[dict[int, Any]]:
    value = fields.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise FileFormatError(f"The Parquet file's metadata are malformed. {_AGAIN}")
    return value


def _text(value: Any) -> str:
    return bytes(value).decode(errors="replace") if isinstance(value, memoryview) else ""
