"""How a text file is laid out: separator, quotes, header. Decided from its first megabyte."""

import csv
import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

from whitecrow.core.errors import FileFormatError, WhitecrowWarning
from whitecrow.data.cells import MISSING, looks_typed

__all__ = ["SAMPLE_BYTES", "Dialect", "record_end", "sniff"]

SAMPLE_BYTES = 1 << 20

_DELIMITERS = ",;\t|"
_SAMPLE_RECORDS = 200
_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """Layout of a delimited text file.

    Parameters
    ----------
    delimiter : str
        Separator of cells.
    quote : str or None
        Character around cells that hold separators or line ends; doubled, it stands for itself.
    names : tuple of str
        Column names, all different.
    skip : int
        Bytes before the first record.
    lone_returns : bool, default=False
        Lines end with a carriage return alone.
    text : frozenset of str
        Columns that are text whatever they hold (nominal attributes of ARFF).
    arff : bool, default=False
        Data section of an ARFF file: ``%`` starts a comment line, ``?`` is missing in every column.
    """

    delimiter: str
    quote: str | None
    names: tuple[str, ...]
    skip: int
    lone_returns: bool = False
    text: frozenset[str] = frozenset()
    arff: bool = False


def sniff(head: bytes, whole: bool, source: str) -> Dialect:
    """Return the layout of the text file that starts with ``head``.

    The first record is a header unless its cells read like the cells below them: a number where the column
    holds numbers. Where no column holds numbers, dates or truth values, it is a header if its cells are
    filled, all different, and not found again in their columns.

    Parameters
    ----------
    head : bytes
        The first bytes of the file, decompressed.
    whole : bool
        Whether ``head`` is the whole file.
    source : str
        The file's name, for messages.

    Raises
    ------
    FileFormatError
        If the file is empty, is no text, or looks like another format.
    """
    _refuse_other_formats(head, source)
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    lone_returns = b"\n" not in head and b"\r" in head
    body = head[start:].replace(b"\r", b"\n") if lone_returns else head[start:]
    start += len(body) - len(body.lstrip(b"\r\n"))
    body = body.lstrip(b"\r\n")
    if not body.strip():
        raise FileFormatError(f"{source} is empty. Give a file with at least one row.")
    quote = _quote_of(body)
    complete = body if whole else body[: record_end(body, quote)] or body
    text = complete.decode("utf-8", errors="replace")
    delimiter = max(_DELIMITERS, key=lambda mark: _evenness(text, mark, quote))
    rows = records(text, delimiter, quote)
    if not _has_header(rows):
        names = tuple(f"column_{k + 1}" for k in range(len(rows[0])))
        return Dialect(delimiter, quote, names, start, lone_returns)
    return Dialect(delimiter, quote, distinct_names(rows[0], source), start + _first_record(body, quote), lone_returns)


def _refuse_other_formats(head: bytes, source: str) -> None:
    for bom, name in _BOMS.items():
        if head.startswith(bom):
            raise FileFormatError(f"{source} is {name} text. Save it as UTF-8.")
    control = sum(head.count(bytes((code,))) for code in range(32) if code not in (9, 10, 12, 13))
    if b"\0" in head or control > len(head) / 100:
        raise FileFormatError(
            f"{source} is not text and of no known binary format. Accepted are CSV, TSV, ARFF (also "
            "gzipped), "
            "Parquet, NPZ, NPY and MAT."
        )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"{", b"[", b"<"):
        kind = "XML or HTML" if start == b"<" else "JSON"
        raise FileFormatError(f"{source} looks like {kind}, not like a table. Save it as CSV or Parquet.")


def _quote_of(body: bytes) -> str | None:
    # A file whose quotes never open a cell has them as ordinary characters: 5" pipe.
    if b'"' not in body:
        return '"'
    opens = body.startswith(b'"') or re.search(rb'[,;\t|\n]"', body) is not None
    return '"' if opens else None


def _evenness(text: str, delimiter: str, quote: str | None) -> tuple[float, int]:
    """Rate a separator: the share of records with the commonest width above one, then that width."""
    widths = Counter(map(len, records(text, delimiter, quote)))
    width, count = widths.most_common(1)[0]
    return (count / widths.total(), width) if width > 1 else (0.0, 1)


def records(text: str, delimiter: str, quote: str | None) -> list[list[str]]:
    """Return the cells of the first records of ``text``, blank lines left out."""
    found: list[list[str]] = []
    for row in reader(text, delimiter, quote):
        if row:
            found.append(row)
        if len(found) == _SAMPLE_RECORDS:
            break
    return found


def reader(text: str, delimiter: str, quote: str | None) -> Any:
    """Return a reader of records, for the few of them that are looked at one by one."""
    csv.field_size_limit(1 << 30)
    if quote is None:
        return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)


def _has_header(rows: list[list[str]]) -> bool:
    first = [cell.strip() for cell in rows[0]]
    below = [[row[k].strip() for row in rows[1:] if k < len(row)] for k in range(len(first))]
    named = unnamed = 0
    for cell, column in zip(first, below, strict=True):
        filled = [other for other in column if other not in MISSING]
        if filled and all(map(looks_typed, filled)) and cell not in MISSING:
            named += not looks_typed(cell)
            unnamed += looks_typed(cell)
    if named or unnamed:
        return named >= unnamed
    if len(rows) == 1 and any(map(looks_typed, first)):
        return False
    return all(first) and len(set(first)) == len(first) and not any(map(_contains, below, first))


def _contains(column: list[str], cell: str) -> bool:
    return cell in column


def distinct_names(cells: list[str], source: str) -> tuple[str, ...]:
    """Return column names without surrounding blanks: empty ones numbered, repeated ones with a suffix."""
    names: list[str] = []
    repeated: list[str] = []
    taken = {cell.strip() for cell in cells}
    for k, cell in enumerate(cells):
        name = cell.strip() or f"column_{k + 1}"
        if name in names:
            repeated.append(name)
            copy = 2
            while f"{name}_{copy}" in taken:
                copy += 1
            name = f"{name}_{copy}"
            taken.add(name)
        names.append(name)
    if repeated:
        warnings.warn(
            f"{source} names these columns more than once: {', '.join(repeated)}. "
            "The later ones were given the suffixes _2, _3 and so on.",
            WhitecrowWarning,
            stacklevel=2,
        )
    return tuple(names)


def _first_record(body: bytes, quote: str | None) -> int:
    end = body.find(b"\n")
    while end >= 0 and quote and body.count(quote.encode(), 0, end) % 2:
        end = body.find(b"\n", end + 1)
    return len(body) if end < 0 else end + 1


def record_end(data: bytes, quote: str | None) -> int:
    """Return the position after the last complete record of ``data``, or 0.

    A line end inside quotes is part of a cell: it has an odd number of quotes before it.
    """
    end = data.rfind(b"\n")
    if quote is None:
        return end + 1
    mark = quote.encode()
    while end >= 0 and data.count(mark, 0, end) % 2:
        opening = data.rfind(mark, 0, end)
        end = data.rfind(b"\n", 0, opening)
    return end + 1
