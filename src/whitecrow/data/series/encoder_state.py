"""The strict check of a SeriesEncoder's state on its way back from a model file, which comes from anywhere."""

import math
from collections.abc import Mapping
from typing import Any, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import ModelFileError
from whitecrow.data.columns import Scaling
from whitecrow.data.series.folding import Fold

__all__ = ["LARGEST_ROW", "channels_from_state", "check_state"]

LARGEST_ROW = 1 << 26
"""Most values of a row: a file must not ask for more memory than that."""

_FIELDS = {"window", "fold", "scaling", "clip", "stride", "rank", "length", "source", "columns"}
_MOST_STEPS = 1_000_000


def check_state(document: Any) -> None:
    """Check the JSON document of an encoder.

    Raises
    ------
    ModelFileError
        If it is not exactly as the encoder writes it.
    """
    if not isinstance(document, dict) or set(document) != _FIELDS:
        _bad("the fields", sorted(map(str, document)) if isinstance(document, dict) else document)
    for field, accepted in (("fold", get_args(Fold)), ("scaling", get_args(Scaling)), ("source", ("table", "array"))):
        if not isinstance(document[field], str) or document[field] not in accepted:
            _bad(field, document[field])
    clip = document["clip"]
    if clip is not None and not (type(clip) in (int, float) and 0 < clip < math.inf and clip <= 1e308):
        _bad("clip", clip)
    if document["window"] != "auto":
        _whole(document, "window", _MOST_STEPS)
    _whole(document, "stride", None)
    _whole(document, "rank", 2)
    columns = document["columns"]
    if not isinstance(columns, list) or not columns:
        _bad("columns", columns)
    for column in columns:
        if not isinstance(column, dict) or set(column) != {"name", "kind"} or column["kind"] != "number":
            _bad("a channel", column)
        name = column["name"]
        # JSON can spell half of a surrogate pair, which is no text that could be encoded.
        if not isinstance(name, str) or any("\ud800" <= mark <= "\udfff" for mark in name):
            _bad("a channel's name", name)
    names = [column["name"] for column in columns]
    if len(set(names)) < len(names):
        _bad("columns", "repeated names")
    if document["source"] == "array" and names != [f"x{k}" for k in range(len(names))]:
        _bad("columns", "other channels than x0, x1, ... of an array")
    _whole(document, "length", LARGEST_ROW // len(names))


def channels_from_state(document: dict[str, Any], arrays: Any) -> NDArray[np.float64]:
    """Return the statistics ``[C, 5]`` of the channels of a checked document.

    Raises
    ------
    ModelFileError
        If an array is absent, unknown, of the wrong shape or dtype, not finite or out of range.
    """
    if not isinstance(arrays, Mapping) or set(arrays) != {"channels"}:
        _bad("arrays", list(arrays) if isinstance(arrays, Mapping) else arrays)
    statistics, shape = arrays["channels"], (len(document["columns"]), 5)
    if not isinstance(statistics, np.ndarray) or statistics.dtype != np.float64 or statistics.shape != shape:
        given = statistics
        if isinstance(statistics, np.ndarray):
            given = f"{statistics.dtype} {statistics.shape} instead of float64 {shape}"
        _bad("the array 'channels'", given)
    if not np.isfinite(statistics).all():
        _bad("the array 'channels'", "NaN or inf")
    if (statistics[:, 1] <= 0).any() or (statistics[:, 3] > statistics[:, 4]).any():
        _bad("the array 'channels'", "a scale that is not positive, or a range that ends before it begins")
    return statistics


def _whole(document: dict[str, Any], field: str, most: int | None) -> None:
    value = document[field]
    if type(value) is not int or value < 1 or (most is not None and value > most):
        _bad(field, value)


def _bad(field: str, value: Any) -> NoReturn:
    try:
        given = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        given = f"a {type(value).__name__} too long to show"
    raise ModelFileError(
        f"The model file's series encoder is damaged: {field} is {given if len(given) < 120 else given[:120] + '...'}. "
        "Save the model again, or fetch the file again."
    )
