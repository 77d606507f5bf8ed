"""The state of a TableEncoder as a JSON document and arrays, and its strict check on the way back.

A model file comes from anywhere: every field is checked before use, and each fault is a ModelFileError.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args

import numpy as np

from whitecrow.core.errors import ModelFileError
from whitecrow.data.columns import (
    CategoryColumn,
    Column,
    DateColumn,
    NumberColumn,
    Scaling,
    number_limit,
    share_lengths,
)

__all__ = ["Settings", "columns_from_state", "columns_to_state", "settings_from_state"]

_FIELDS = {
    "number": {"name", "kind", "missing"},
    "boolean": {"name", "kind", "missing"},
    "category": {"name", "kind", "missing", "declared", "levels", "rare"},
    "date": {"name", "kind", "missing", "parts"},
}
_PARTS = (["hour", "weekday"], ["hour"], ["weekday"])


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked outer part of a document."""

    scaling: Scaling
    clip: float | None
    max_levels: int
    source: Literal["table", "array"]
    columns: list[dict[str, Any]]


def columns_to_state(columns: Sequence[Column]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return the columns as JSON objects and as arrays that hold their numbers in the same order."""
    documents: list[dict[str, Any]] = []
    numbers: list[tuple[float, ...]] = []
    shares: list[np.ndarray] = [np.zeros(0)]
    rare: list[np.ndarray] = [np.zeros(0, np.int64)]
    for column in columns:
        document: dict[str, Any] = {"name": column.name, "kind": column.kind, "missing": column.missing}
        if isinstance(column, NumberColumn):
            numbers.append((column.offset, column.scale, column.mean, column.low, column.high))
        else:
            shares.append(column.shares)
        if isinstance(column, CategoryColumn):
            rare.append(column.rare)
            document |= {"declared": column.declared, "levels": list(column.levels), "rare": len(column.rare)}
        if isinstance(column, DateColumn):
            document["parts"] = list(column.parts)
        documents.append(document)
    arrays = {
        "numbers": np.array(numbers, dtype=np.float64).reshape(-1, 5),
        "shares": np.concatenate(shares),
        "rare": np.concatenate(rare),
    }
    return documents, arrays


def settings_from_state(document: Any) -> Settings:
    """Return the checked outer part of a document.

    Raises
    ------
    ModelFileError
        If it is not exactly as :func:`columns_to_state` and the encoder write it.
    """
    _fields(document, {"scaling", "clip", "max_levels", "source", "columns"}, "the encoder")
    _one_of(document["scaling"], get_args(Scaling), "scaling")
    _one_of(document["source"], ("table", "array"), "source")
    clip = document["clip"]
    if clip is not None and not (type(clip) in (int, float) and 0 < clip < math.inf and clip <= 1e308):
        _bad("clip", clip)
    levels = document["max_levels"]
    if type(levels) is not int or levels < 1:
        _bad("max_levels", levels)
    columns = document["columns"]
    if not isinstance(columns, list) or not columns:
        _bad("columns", columns)
    for column in columns:
        _check_column(column, levels)
    names = [column["name"] for column in columns]
    if len(set(names)) < len(names):
        _bad("columns", "repeated names")
    if document["source"] == "array":
        plain = [{"name": f"x{k}", "kind": "number", "missing": False} for k in range(len(columns))]
        if columns != plain:
            _bad("columns", "other columns than x0, x1, ... of an array")
    return Settings(document["scaling"], None if clip is None else float(clip), levels, document["source"], columns)


def _check_column(column: Any, max_levels: int) -> None:
    kind = column.get("kind") if isinstance(column, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        _bad("a column's kind", kind)
    _fields(column, _FIELDS[kind], "a column")
    _text(column["name"], "a column's name")
    if type(column["missing"]) is not bool:
        _bad("missing", column["missing"])
    if kind == "date" and column["parts"] not in _PARTS:
        _bad("parts", column["parts"])
    if kind != "category":
        return
    levels, rare = column["levels"], column["rare"]
    if type(column["declared"]) is not bool:
        _bad("declared", column["declared"])
    if not isinstance(levels, list):
        _bad("levels", levels)
    for level in levels:
        _text(level, "a level")
    if len(set(levels)) < len(levels):
        _bad("levels", "repeated levels")
    if type(rare) is not int or rare < 0:
        _bad("rare", rare)
    if column["declared"] and (rare or column["missing"]):
        _bad("rare", "slots that declared levels do not have")
    if not column["declared"] and (len(levels) > max_levels or (rare and len(levels) < max_levels)):
        _bad("levels", f"{len(levels)} levels and {rare} rare ones for {max_levels} slots")


def columns_from_state(settings: Settings, arrays: Any) -> list[Column]:
    """Return the columns that checked settings and unchecked arrays describe.

    Raises
    ------
    ModelFileError
        If an array is absent, unknown, of the wrong shape or dtype, not finite or out of range.
    """
    documents = settings.columns
    n_numbers = sum(column["kind"] in ("number", "boolean") for column in documents)
    n_shares = sum(_n_shares(column) for column in documents)
    n_rare = sum(column.get("rare", 0) for column in documents)
    shapes = {"numbers": (n_numbers, 5), "shares": (n_shares,), "rare": (n_rare,)}
    if not isinstance(arrays, Mapping) or set(arrays) != set(shapes):
        _bad("arrays", list(arrays) if isinstance(arrays, Mapping) else arrays)
    numbers, shares, rare = (
        _array(arrays[name], name, shape, np.int64 if name == "rare" else np.float64) for name, shape in shapes.items()
    )
    scale, low, high = numbers[:, 1], numbers[:, 3], numbers[:, 4]
    if (scale <= 0).any() or (low > high).any():
        _bad("numbers", "a scale that is not positive, or a range that ends before it begins")
    if ((shares < 0) | (shares > 1)).any():
        _bad("shares", "a share outside of 0 to 1")
    take_shares, take_rare = _taker(shares), _taker(rare)
    statistics = iter(numbers.tolist())
    columns: list[Column] = []
    start = 0
    for document in documents:
        name, kind, missing = document["name"], document["kind"], document["missing"]
        if kind in ("number", "boolean"):
            off, by, centre, least, most = next(statistics)
            limit = number_limit(kind, settings.scaling, settings.clip)
            column: Column = NumberColumn(name, start, kind, off, by, centre, least, most, missing, limit)
        elif kind == "category":
            digests = take_rare(document["rare"])
            if (digests[1:] <= digests[:-1]).any():
                _bad("rare", "hashes out of order")
            part = take_shares(_n_shares(document))
            column = CategoryColumn(
                name, start, tuple(document["levels"]), document["declared"], missing, digests, part
            )
        else:
            column = DateColumn(name, start, tuple(document["parts"]), missing, take_shares(_n_shares(document)))
        columns.append(column)
        start += len(column.feature_names)
    if start == 0:
        _bad("columns", "no feature at all")
    return columns


def _n_shares(column: dict[str, Any]) -> int:
    if column["kind"] == "date":
        return sum(share_lengths(tuple(column["parts"])))
    if column["kind"] != "category":
        return 0
    special = 0 if column["declared"] else column["missing"] + (column["rare"] > 0) + 1
    return len(column["levels"]) + special


def _taker(values: np.ndarray) -> Callable[[int], np.ndarray]:
    position = 0

    def take(count: int) -> np.ndarray:
        nonlocal position
        position += count
        return values[position - count : position]

    return take


def _array(value: Any, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
        given = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        _bad(f"the array {name!r}", f"{given} instead of {np.dtype(dtype)} {shape}")
    if not np.isfinite(value).all():
        _bad(f"the array {name!r}", "NaN or inf")
    return np.array(value)


def _fields(document: Any, names: set[str], where: str) -> None:
    if not isinstance(document, dict) or set(document) != names:
        _bad(f"the fields of {where}", sorted(map(str, document)) if isinstance(document, dict) else document)


def _one_of(value: Any, accepted: tuple[str, ...], field: str) -> None:
    if not isinstance(value, str) or value not in accepted:
        _bad(field, value)


def _text(value: Any, field: str) -> None:
    # JSON can spell half of a surrogate pair, which is no text that could be encoded.
    if not isinstance(value, str) or any("\ud800" <= mark <= "\udfff" for mark in value):
        _bad(field, value)


def _bad(field: str, value: Any) -> NoReturn:
    given = repr(value)
    raise ModelFileError(
        f"The model file's table encoder is damaged: {field} is "
        f"{given if len(given) < 120 else given[:120] + '...'}. "
        "Save the model again, or fetch the file again."
    )
