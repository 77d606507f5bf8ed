"""Delimited text, read as a stream: blocks of whole records, each parsed by polars with the same types."""

import gzip
import re
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import polars as pl

from whitecrow.core.errors import FileFormatError, WhitecrowWarning
from whitecrow.data.arff import arff_dialect, is_arff
from whitecrow.data.cells import TYPES, cast_text, clean, possible_types
from whitecrow.data.dialect import SAMPLE_BYTES, Dialect, reader, record_end, sniff

__all__ = ["TextTable"]

_BLOCK_BYTES = 4 << 20
_LONGEST_RECORD = 64 << 20
_GZIP = b"\x1f\x8b"


class TextTable:
    """A delimited text file and the type of each of its columns.

    A column is whole numbers, numbers, truth values, dates, date-times or times if every filled cell reads
    as such; otherwise it is text. In a typed column the cells listed in :data:`whitecrow.data.cells.MISSING`
    are missing; in a text column only an empty cell is. Blank lines are skipped. A line that is not valid
    UTF-8 is read as Latin-1, with one warning.

    Parameters
    ----------
    path : pathlib.Path
        The file, gzipped or not.
    columns : list of str, optional
        Columns to read; all by default.
    schema : mapping of str to polars dtype, optional
        Types of columns by name; columns that it does not name get theirs from their cells.

    Raises
    ------
    FileFormatError
        If the file is empty, truncated, ragged or no text.
    """

    def __init__(
        self, path: Path, columns: list[str] | None = None, schema: Mapping[str, pl.DataType] | None = None
    ) -> None:
        self.path = path
        with self._open() as stream:
            head = self._read(stream, SAMPLE_BYTES, 1)
            whole = len(head) < SAMPLE_BYTES
        find = arff_dialect if is_arff(head) else sniff
        self.dialect = find(head, whole, str(path))
        self._kept = [k for k, name in enumerate(self.dialect.names) if columns is None or name in columns]
        self._given = {
            self.dialect.names[k]: dtype
            for k in self._kept
            if (dtype := _given_type(self.dialect, schema or {}, self.dialect.names[k])) is not None
        }
        # None until a filled cell was seen: a column of nothing but missing cells may yet be anything.
        self._possible: dict[str, tuple[pl.DataType, ...] | None] = {
            self.dialect.names[k]: None for k in self._kept if self.dialect.names[k] not in self._given
        }
        self._through_text: set[str] = set()
        self._settled = False
        self._warned = False

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Type of each column that is read, as far as the blocks parsed so far tell."""
        return {self.dialect.names[k]: self._type(self.dialect.names[k]) for k in self._kept}

    def settle(self) -> None:
        """Fix every column's type, by parsing the whole file once if that is needed."""
        if self._possible:
            for _ in self.frames():
                pass
        self._settled = True

    def read(self, n_rows: int | None) -> pl.DataFrame:
        """Return the first ``n_rows`` rows, or all of them, with the types that these rows have."""
        frames = list(self._first(n_rows))
        final = self.schema
        if any(frame.schema != final for frame in frames):
            # Some later cell widened a type: with all types known, the second pass cannot.
            frames.clear()
            self._settled = True
            frames.extend(self._first(n_rows))
        if not frames:
            return pl.DataFrame(schema=final)
        return pl.concat(frames, rechunk=False)

    def _first(self, n_rows: int | None) -> Iterator[pl.DataFrame]:
        left = n_rows
        for frame in self.frames():
            yield frame if left is None else frame.head(left)
            if left is not None:
                left -= frame.height
                if left <= 0:
                    return

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the file's rows in blocks of a few megabytes of text."""
        for line, block in self._blocks():
            tidy = self._tidy(block, line)
            if tidy:
                yield self._parse(tidy, block, line)

    # ---- bytes to whole records ----

    def _open(self) -> BinaryIO | gzip.GzipFile:
        raw = self.path.open("rb")
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        if not packed:
            return raw
        raw.close()
        return gzip.open(self.path, "rb")

    def _read(self, stream: BinaryIO | gzip.GzipFile, size: int, line: int) -> bytes:
        try:
            data = stream.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileFormatError(
                f"{self.path} is a damaged or truncated gzip file: it cannot be read on after about "
                f"line {line}. Fetch it again."
            ) from error
        return data

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield (line number of the first record, whole records)."""
        quote = self.dialect.quote
        with self._open() as stream:
            skipped = self._read(stream, self.dialect.skip, 1)
            line = 1 + self._lines(skipped)
            held = b""
            while chunk := self._read(stream, _BLOCK_BYTES, line + held.count(b"\n")):
                held += chunk.replace(b"\r", b"\n") if self.dialect.lone_returns else chunk
                end = record_end(held, quote)
                if end:
                    yield line, held[:end]
                    line += held.count(b"\n", 0, end)
                    held = held[end:]
                elif len(held) > _LONGEST_RECORD:
                    raise FileFormatError(
                        f"{self.path}, line {line}: this record has no end within "
                        f"{_LONGEST_RECORD >> 20} MB. "
                        "Look for a quote that is never closed."
                    )
            if held.strip(b"\r\n"):
                yield line, held

    def _lines(self, data: bytes) -> int:
        return data.count(b"\r" if self.dialect.lone_returns else b"\n")

    def _tidy(self, block: bytes, line: int) -> bytes:
        """Return the block as UTF-8 without blank lines and comments."""
        if b"\0" in block:
            at = line + block.count(b"\n", 0, block.index(b"\0"))
            raise FileFormatError(f"{self.path}, line {at}: a zero byte, so this is no text. Fetch it again.")
        block = self._as_utf8(block)
        if b"\r" in block or b"\n\n" in block or block[:1] == b"\n" or self.dialect.arff:
            mark = (self.dialect.quote or "\n").encode()
            # Quoted cells, the odd pieces between quotes, keep their line ends.
            pieces = block.split(mark) if self.dialect.quote else [block]
            for k in range(0, len(pieces), 2):
                if self.dialect.arff:
                    # Blanks before a quote would make it an ordinary character.
                    pieces[k] = re.sub(rb",[ \t]+", b",", re.sub(rb"(?m)^%[^\n]*\n?", b"", pieces[k]))
                pieces[k] = re.sub(rb"\n(?:\r?\n)+", b"\n", pieces[k].replace(b"\r\n", b"\n"))
            block = mark.join(pieces).lstrip(b"\r\n")
        return block

    def _as_utf8(self, block: bytes) -> bytes:
        if block.isascii() or _is_utf8(block):
            return block
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{self.path} has lines that are not UTF-8; they were read as Latin-1.",
                WhitecrowWarning,
                stacklevel=2,
            )
        # Line by line, so that what a line reads as never depends on where blocks begin.
        lines = block.split(b"\n")
        return b"\n".join(one if _is_utf8(one) else one.decode("latin-1").encode() for one in lines)

    # ---- records to typed columns ----

    def _type(self, name: str) -> pl.DataType:
        if name in self._given:
            return self._given[name]
        return (self._possible[name] or (pl.String(),))[0]

    def _parse(self, tidy: bytes, block: bytes, line: int) -> pl.DataFrame:
        schema = self.schema
        direct = {
            name: dtype if dtype.is_numeric() and name not in self._through_text else pl.String()
            for name, dtype in schema.items()
        }
        unseen = [] if self._settled else [name for name, types in self._possible.items() if types is None]
        if not unseen:
            frame = self._scan(tidy, direct)
            typed = None if frame is None else self._typed(frame, schema)
            if frame is not None and typed is not None:
                self._refuse_short_rows(frame, tidy, block, line)
                return typed
        frame = self._scan(tidy, dict.fromkeys(schema, pl.String()))
        if frame is None:
            self._refuse_ragged(block, line)
            raise FileFormatError(f"{self.path}: malformed text near line {line}. Look for a quote that is not closed.")
        self._refuse_short_rows(frame, tidy, block, line)
        if not self._settled:
            self._narrow(frame)
        typed = self._typed(frame, self.schema)
        if typed is None:
            raise self._unfit(frame, line)
        return typed

    def _scan(self, tidy: bytes, schema: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
        """Return the block as polars reads it with these types, or None where it cannot."""
        names = self.dialect.names
        full = {name: schema.get(name, pl.String()) for name in names}
        try:
            frame = pl.read_csv(
                tidy,
                has_header=False,
                schema=full,
                columns=None if len(self._kept) == len(names) else self._kept,
                separator=self.dialect.delimiter,
                quote_char=self.dialect.quote,
            )
        except pl.exceptions.PolarsError:
            return None
        nans = [pl.col(name).fill_nan(None) for name, dtype in frame.schema.items() if dtype.is_float()]
        return frame.with_columns(nans) if nans else frame

    def _typed(self, frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
        """Return the block with the text of typed columns read, or None if some cell does not fit."""
        columns = []
        for cells in frame:
            dtype = schema[cells.name]
            if cells.dtype == dtype or cells.dtype != pl.String:
                columns.append(self._arff_text(cells))
                continue
            tidy = clean(cells)
            typed = cast_text(tidy, dtype)
            if typed.null_count() > tidy.null_count():
                return None
            if dtype.is_numeric() and tidy.null_count() > cells.null_count():
                # Its missing cells are words that polars' number parser refuses: go through text at once.
                self._through_text.add(cells.name)
            columns.append(typed)
        return pl.DataFrame(columns)

    def _arff_text(self, cells: pl.Series) -> pl.Series:
        if not self.dialect.arff or cells.dtype != pl.String:
            return cells
        stripped = cells.str.strip_chars()
        return stripped.set(stripped == "?", None)

    def _narrow(self, frame: pl.DataFrame) -> None:
        for name, types in self._possible.items():
            cells = clean(frame[name])
            if cells.null_count() < cells.len():
                self._possible[name] = possible_types(cells, TYPES if types is None else types)

    # ---- what is wrong with a block ----

    def _unfit(self, frame: pl.DataFrame, line: int) -> FileFormatError:
        for name, dtype in self.schema.items():
            cells = frame[name]
            if dtype == pl.String:
                continue
            tidy = clean(cells)
            bad = cast_text(tidy, dtype).is_null() & tidy.is_not_null()
            if bad.any():
                example = cells.filter(bad)[0]
                return FileFormatError(
                    f"{self.path}, after line {line}: column {name!r} must hold {dtype}, but a cell is "
                    f"{example!r}. Correct the cell, or read the column as text: "
                    f"schema={{{name!r}: polars.String}}."
                )
        return FileFormatError(f"{self.path}: malformed text near line {line}.")

    def _refuse_short_rows(self, frame: pl.DataFrame, tidy: bytes, block: bytes, line: int) -> None:
        # polars fills short rows with nulls, so only a null in the last column can hide one.
        last = self.dialect.names[-1]
        if last in frame.columns and not frame[last].null_count():
            return
        quoted = self.dialect.quote is not None and self.dialect.quote.encode() in tidy
        separators = frame.height * (len(self.dialect.names) - 1)
        if quoted or tidy.count(self.dialect.delimiter.encode()) != separators:
            self._refuse_ragged(block, line)

    def _refuse_ragged(self, block: bytes, line: int) -> None:
        width = len(self.dialect.names)
        text = self._as_utf8(block).decode()
        rows = reader(text, self.dialect.delimiter, self.dialect.quote)
        before = 0
        for row in rows:
            if row and len(row) != width and not (self.dialect.arff and row[0].startswith("%")):
                raise FileFormatError(
                    f"{self.path}, line {line + before}: this row has {len(row)} cells, but the "
                    f"first has {width}. "
                    "Correct the row, or look for a separator that should be quoted."
                )
            before = rows.line_num


def _given_type(dialect: Dialect, schema: Mapping[str, pl.DataType], name: str) -> pl.DataType | None:
    if name in schema:
        return pl.Series(dtype=schema[name]).dtype
    return pl.String() if name in dialect.text else None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
