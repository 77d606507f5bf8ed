"""One line of CSV or JSON as the texts of its cells, or None if it is no record."""

import csv
import json
from collections.abc import Sequence
from typing import Any

__all__ = ["Cells", "csv_cells", "json_cells", "json_object"]

Cells = Sequence[str | None]


def csv_cells(line: bytes, delimiter: str) -> Cells | None:
    """Return the cells of a line of delimited text; None if its quotes do not match."""
    try:
        return next(csv.reader([_text(line)], delimiter=delimiter, strict=True), None)
    except csv.Error:
        return None


def json_object(line: bytes) -> dict[str, Any] | None:
    """Return the object of a JSON line; None if it is none, or has lists or objects in it."""
    try:
        found = json.loads(_text(line))
    except (ValueError, RecursionError):
        return None
    plain = isinstance(found, dict) and not any(isinstance(value, (dict, list)) for value in found.values())
    return found if plain else None


def json_cells(found: dict[str, Any], names: Sequence[str]) -> Cells | None:
    """Return the cells of an object under these names; None if it has none of them."""
    return [_cell(found.get(name)) for name in names] if any(name in found for name in names) else None


def _text(line: bytes) -> str:
    try:
        return line.decode().rstrip("\r")
    except UnicodeDecodeError:
        return line.decode("latin-1").rstrip("\r")


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else repr(value)
