"""Tables in request bodies, by content type: JSON, CSV, Arrow and Parquet, all within bounds."""

import io
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import polars as pl
from starlette.requests import Request

from whitecrow.core.errors import FileFormatError, WhitecrowWarning
from whitecrow.data.delimited import TextTable
from whitecrow.server.arrow_sizes import check_arrow_file, check_arrow_stream
from whitecrow.server.errors import BodyTooLargeError, MediaTypeError, RequestError
from whitecrow.server.inflate import inflate
from whitecrow.server.json_table import read_json
from whitecrow.server.parquet_sizes import check_parquet
from whitecrow.server.settings import Settings
from whitecrow.server.uploads import Upload

__all__ = ["MEDIA_TYPES", "TableBody", "read_body", "read_upload"]

_INLINE_BYTES = 32 << 10  # of JSON: read in less time than it takes to hand it to a thread
_AT_ONCE = 2  # tables read at the same time: each may take several times the bytes of its body
_DELIMITERS = (b",", b";", b"\t", b"|")
_BINARY = (b"PAR1", b"ARROW1", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"\x93NUMPY", b"MATLAB ", b"\x89HDF", b"\0")
_CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "iso-8859-1": "latin-1", "windows-1252": "cp1252"}


class TableBody:
    """Reads tables from the bodies of requests; one for each application.

    Parameters
    ----------
    settings : Settings
        Limits on bytes, rows, columns, cells and decoded bytes.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._turns = anyio.CapacityLimiter(_AT_ONCE)

    async def read(self, request: Request) -> pl.DataFrame:
        """Return the table in a request's body; see :func:`read_body` for forms and errors.

        Small JSON is read at once, everything else in a thread, two at a time.
        """
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > self.settings.max_body_bytes:
                raise _too_many_bytes(self.settings)
        kind = request.headers.get("content-type", "")
        encoding = request.headers.get("content-encoding", "")
        body = b"".join(chunks)
        if _media_type(kind) == "application/json" and not encoding and len(body) <= _INLINE_BYTES:
            return read_body(body, kind, encoding, self.settings)
        return await anyio.to_thread.run_sync(read_body, body, kind, encoding, self.settings, limiter=self._turns)


def read_body(data: bytes, content_type: str, encoding: str, settings: Settings) -> pl.DataFrame:
    """Return the table in a body.

    Parameters
    ----------
    data : bytes
        Body as it came.
    content_type : str
        Header ``Content-Type``: one of :data:`MEDIA_TYPES`. ``application/octet-stream`` is Parquet or Arrow, by its
        first bytes. Text is UTF-8 unless its ``charset`` says ``iso-8859-1`` or ``windows-1252``.
    encoding : str
        Header ``Content-Encoding``: empty or ``gzip``.
    settings : Settings
        Limits.

    Returns
    -------
    polars.DataFrame
        Numbers, text, truth values, dates, times and durations; it may have no rows.

    Raises
    ------
    MediaTypeError
        If the content type or encoding is not read, or the content is of another type than it says.
    BodyTooLargeError
        If there are more bytes, rows, columns or cells than allowed, compressed or not.
    RequestError
        If it is empty, damaged or truncated, or holds nested or binary columns.
    FileFormatError
        If text, Arrow or Parquet is damaged, truncated or ragged.
    """
    if len(data) > settings.max_body_bytes:
        raise _too_many_bytes(settings)
    read = _READERS.get(_media_type(content_type))
    if read is None:
        given = f"Content-Type {content_type[:100]!r} is" if content_type else "There is no Content-Type; none is"
        raise MediaTypeError(f"{given} not read. Send {', '.join(MEDIA_TYPES)}.")
    data = inflate(data, encoding, settings.max_body_bytes)
    if not data:
        raise RequestError("The body is empty. Send a table.")
    if read is _csv:
        data = _as_utf8(data, content_type)
    return _checked(read(data, settings), settings)


def read_upload(upload: Upload, settings: Settings) -> pl.DataFrame:
    """Return the table in an uploaded file, within the limits on bodies; see :func:`read_body`.

    Text may hold lines in Latin-1, as files of old do.

    Raises
    ------
    BodyTooLargeError
        If there are more bytes, rows, columns or cells than allowed, compressed or not.
    RequestError
        If it is damaged or truncated, or holds nested or binary columns.
    FileFormatError
        If text, Arrow or Parquet is damaged, truncated or ragged.
    MediaTypeError
        If the file is of another kind than it says.
    """
    data = upload.path.read_bytes()
    if upload.kind in ("parquet", "arrow"):
        return _checked(_binary(data, settings), settings)
    data = inflate(data, "gzip" if upload.kind == "csv.gz" else "", settings.max_body_bytes)
    if not data or data.startswith(_BINARY):
        raise MediaTypeError("The file holds no text, but it is named like text. Rename it, or save it again.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WhitecrowWarning)
        return _checked(_csv(data, settings), settings)


def _csv(data: bytes, settings: Settings) -> pl.DataFrame:
    line_end = re.search(rb"[\r\n]", data)
    head = data[: line_end.start()] if line_end else data
    # The header's cells are made one by one, so their number is told first; quoted ones may hold separators.
    if max(head.count(mark) for mark in _DELIMITERS) >= 2 * settings.max_columns:
        raise _too_wide(settings)
    with tempfile.TemporaryDirectory(prefix="whitecrow-") as folder:
        path = Path(folder, "body.csv")
        path.write_bytes(data)
        try:
            text = TextTable(path)
            if len(text.dialect.names) > settings.max_columns:
                raise _too_wide(settings)
            # Counted before cells are made of them; those inside quotes too, which is far from the limit.
            if data.count(text.dialect.delimiter.encode()) + data.count(b"\n") > settings.max_cells:
                raise BodyTooLargeError(f"The text has more than {settings.max_cells:,} cells. Send it in parts.")
            return text.read(settings.max_rows + 1)
        except FileFormatError as error:
            raise FileFormatError(str(error).replace(str(path), "The text")) from error


def _parquet(data: bytes, settings: Settings) -> pl.DataFrame:
    check_parquet(data, settings)
    return _decoded(lambda: pl.read_parquet(io.BytesIO(data), use_statistics=False), "Parquet", settings)


def _arrow_stream(data: bytes, settings: Settings) -> pl.DataFrame:
    check_arrow_stream(data, settings)
    return _decoded(lambda: pl.read_ipc_stream(io.BytesIO(data)), "Arrow", settings)


def _arrow_file(data: bytes, settings: Settings) -> pl.DataFrame:
    check_arrow_file(data, settings)
    return _decoded(lambda: pl.read_ipc(io.BytesIO(data)), "Arrow", settings)


def _binary(data: bytes, settings: Settings) -> pl.DataFrame:
    if data.startswith(b"PAR1"):
        return _parquet(data, settings)
    if data.startswith(b"ARROW1"):
        return _arrow_file(data, settings)
    if data.startswith(b"\xff\xff\xff\xff"):
        return _arrow_stream(data, settings)
    raise MediaTypeError("The body is neither Parquet nor Arrow. Send other forms under their own Content-Type.")


_READERS: dict[str, Callable[[bytes, Settings], pl.DataFrame]] = {
    "application/json": read_json,
    "text/csv": _csv,
    "application/vnd.apache.arrow.stream": _arrow_stream,
    "application/vnd.apache.arrow.file": _arrow_file,
    "application/vnd.apache.parquet": _parquet,
    "application/x-parquet": _parquet,
    "application/octet-stream": _binary,
}
MEDIA_TYPES = tuple(_READERS)
"""Content types that are read."""


def _decoded(read: Callable[[], pl.DataFrame], name: str, settings: Settings) -> pl.DataFrame:
    try:
        table = read()
    # A reader in Rust that meets what it never expected panics, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise FileFormatError(f"The {name} data are damaged: {reason}. Save them again.") from error
    letters = 0
    for column in table:
        dtype = column.dtype
        if dtype.is_nested() or isinstance(dtype, (pl.Binary, pl.Object)):
            raise RequestError(
                f"Column {column.name[:100]!r} is {dtype}. Columns hold numbers, text, truth values or times."
            )
        # Rows may share one long text, which becomes one for each of them as soon as anything is done with it.
        if isinstance(dtype, pl.String):
            letters += int(column.str.len_bytes().sum())
        elif isinstance(dtype, (pl.Categorical, pl.Enum)):
            letters += int(column.cat.len_bytes().sum())
        if letters > settings.max_decoded_bytes:
            raise BodyTooLargeError(
                f"The table's texts come to more than {settings.max_decoded_bytes / 2**20:,.4g} MiB. Send it in parts."
            )
    return table


def _checked(table: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Return the table if it is within the limits now that it is known."""
    if table.height > settings.max_rows:
        raise BodyTooLargeError(f"The table has more than {settings.max_rows:,} rows. Send it in parts.")
    if table.width > settings.max_columns:
        raise _too_wide(settings)
    if table.height * table.width > settings.max_cells:
        raise BodyTooLargeError(f"The table has more than {settings.max_cells:,} cells. Send it in parts.")
    return table


def _as_utf8(data: bytes, content_type: str) -> bytes:
    if data.startswith(_BINARY):
        raise MediaTypeError("The body is no text, but the Content-Type says so. Send it under its own Content-Type.")
    charset = _parameter(content_type, "charset") or "utf-8"
    if charset not in _CHARSETS:
        raise MediaTypeError(f"The charset {charset[:100]!r} is not read. Send text in UTF-8.")
    try:
        text = data.decode(_CHARSETS[charset])
    except UnicodeDecodeError as error:
        raise RequestError(
            f"Byte {error.start} of the text is not {charset}. Send UTF-8, or say charset=iso-8859-1."
        ) from error
    return data if _CHARSETS[charset] == "utf-8" else text.encode()


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _parameter(content_type: str, name: str) -> str:
    for part in content_type.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""


def _too_many_bytes(settings: Settings) -> BodyTooLargeError:
    most = settings.max_body_bytes / 2**20
    return BodyTooLargeError(f"The body is larger than {most:,.4g} MiB, the most that is taken. Send it in parts.")


def _too_wide(settings: Settings) -> BodyTooLargeError:
    return BodyTooLargeError(f"The table has more than {settings.max_columns:,} columns. Leave some out.")
