"""The header of an ARFF file (Weka's attribute-relation format)."""

import re

from whitecrow.core.errors import FileFormatError
from whitecrow.data.dialect import Dialect, distinct_names

__all__ = ["arff_dialect", "is_arff"]

_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)\s+(.+)""", re.IGNORECASE)
_NUMBERS = ("numeric", "real", "integer")


def is_arff(head: bytes) -> bool:
    """Return whether a text starts like an ARFF file: comments and blank lines, then ``@relation``."""
    for line in head.lstrip(b"\xef\xbb\xbf").splitlines():
        if line.strip() and not line.startswith(b"%"):
            return line.strip().lower().startswith(b"@relation")
    return False


def arff_dialect(head: bytes, whole: bool, source: str) -> Dialect:
    """Return the names, the text columns and the start of the data of an ARFF file.

    Nominal and string attributes are text; numbers and dates get their type from their cells.

    Raises
    ------
    FileFormatError
        If the header is malformed, or the data are in the sparse form.
    """
    data = re.search(rb"(?im)^\s*@data[^\n]*\n?", head)
    if data is None:
        where = "" if whole else " in its first megabyte"
        raise FileFormatError(f"{source} is an ARFF file without an @data line{where}. Fetch it again.")
    names: list[str] = []
    text: set[int] = set()
    for line in head[: data.start()].decode("utf-8", errors="replace").splitlines():
        if not line.strip().lower().startswith("@attribute"):
            continue
        found = _ATTRIBUTE.match(line.strip())
        if found is None:
            raise FileFormatError(f"{source}: the ARFF line {line.strip()!r} is no '@attribute NAME TYPE'.")
        name, kind = found.groups()
        if not kind.lower().startswith((*_NUMBERS, "date")):
            text.add(len(names))
        names.append(re.sub(r"\\(.)", r"\1", name[1:-1]) if name[0] in "'\"" else name)
    if not names:
        raise FileFormatError(f"{source} is an ARFF file without attributes. Fetch it again.")
    body = head[data.end() :]
    if re.search(rb"(?m)^\s*\{", body):
        raise FileFormatError(f"{source} is a sparse ARFF file. Save it in the dense form or as CSV.")
    columns = distinct_names(names, source)
    quote = "'" if b"'" in body else '"'
    return Dialect(",", quote, columns, data.end(), text=frozenset(columns[k] for k in text), arff=True)
