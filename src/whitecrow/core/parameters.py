"""Hyperparameters as annotated class fields: their types, their checks and their forms.

A detector writes ``latent_dim: Count = 16`` in its class body. From this one line come the constructor, the
check before training, the command-line flag, and the JSON schema that a form is drawn from.
"""

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from whitecrow.core.errors import ParameterError

__all__ = [
    "Contamination",
    "Count",
    "Field",
    "Natural",
    "NonNegative",
    "Positive",
    "Probability",
    "Range",
    "Share",
    "check",
    "describe",
    "fields",
    "parse",
    "schema",
]


@dataclass(frozen=True, slots=True)
class Range:
    """Interval that a number must lie in; its ends belong to it unless they are called open."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    remedy: str = ""

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        low, high = f"{self.low:g}", f"{self.high:g}"
        if math.isinf(self.high):
            return f"greater than {low}" if self.low_open else f"of at least {low}"
        if self.low_open or self.high_open:
            low += " (excluded)" if self.low_open else ""
            high += " (excluded)" if self.high_open else ""
        return f"from {low} to {high}"


Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Positive = Annotated[float, Range(0, low_open=True)]
NonNegative = Annotated[float, Range(0)]
Probability = Annotated[float, Range(0, 1, high_open=True)]
Share = Annotated[float, Range(0, 1)]
Contamination = Annotated[float, Range(0, 0.5, remedy="If most rows are anomalous, fit on the other class.")]


@dataclass(frozen=True, slots=True)
class Field:
    """One hyperparameter: its name, its annotation and its default."""

    name: str
    annotation: Any
    default: Any


def fields(cls: type) -> dict[str, Field]:
    """Return the public annotated fields of a class that have a default, base classes first."""
    hints = get_type_hints(cls, include_extras=True)
    order: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        order.update(dict.fromkeys(vars(base).get("__annotations__", {})))
    return {
        name: Field(name, hints[name], getattr(cls, name))
        for name in order
        if not name.startswith("_")
        and not name.endswith("_")
        and hasattr(cls, name)
        and get_origin(hints[name]) is not ClassVar
    }


def describe(annotation: Any) -> str:
    """Return what an annotation accepts, in words that complete "must be ..."."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        noun = "an integer" if args[0] is int else "a number"
        return " ".join([noun, *(str(a) for a in args[1:] if isinstance(a, Range))])
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in args)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(a) for a in args)
    if origin is tuple:
        return f"a tuple whose entries are each {describe(args[0])}"
    names = {bool: "True or False", int: "an integer", float: "a number", str: "a string", type(None): "None"}
    return names.get(annotation, f"a {getattr(annotation, '__name__', annotation)}")


def _accepts(annotation: Any, value: Any) -> bool:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        ranges = [a for a in args[1:] if isinstance(a, Range)]
        return _accepts(args[0], value) and all(value in r for r in ranges)
    if origin is Literal:
        return any(value is a or (type(value) is type(a) and value == a) for a in args)
    if origin in (Union, types.UnionType):
        return any(_accepts(a, value) for a in args)
    if origin is tuple:
        return isinstance(value, (tuple, list)) and all(_accepts(args[0], v) for v in value)
    if annotation is Any:
        return True
    if annotation is bool:
        return isinstance(value, bool) or type(value).__name__ == "bool"  # numpy's bool
    if annotation is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if annotation is float:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if annotation is type(None):
        return value is None
    return isinstance(value, annotation)


def check(owner: str, name: str, value: Any, annotation: Any) -> None:
    """Check one value against its annotation.

    Raises
    ------
    ParameterError
        With the value given, what is accepted, and what to do.
    """
    if _accepts(annotation, value):
        return
    remedies = [a.remedy for a in get_args(annotation)[1:] if isinstance(a, Range) and a.remedy]
    message = f"{owner}({name}={value!r}): {name} must be {describe(annotation)}."
    raise ParameterError(" ".join([message, *remedies]))


def parse(owner: str, name: str, text: str, annotation: Any) -> Any:
    """Return the value that a command-line text stands for.

    Tuples are written with commas (``64,32``), ``None`` as ``none``, booleans as ``true`` or ``false``.

    Raises
    ------
    ParameterError
        If the text stands for no accepted value.
    """
    for value in _readings(text.strip(), annotation):
        if _accepts(annotation, value):
            return value
    raise ParameterError(f"{owner}({name}={text}): {name} must be {describe(annotation)}.")


def _readings(text: str, annotation: Any) -> list[Any]:
    """Return the values that ``text`` may stand for, the most specific first."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _readings(text, args[0])
    if origin in (Union, types.UnionType):
        return [value for a in args for value in _readings(text, a)]
    if origin is tuple:
        parts = [part for part in text.strip("()[] ").split(",") if part.strip()]
        entries = [next((v for v in _readings(p.strip(), args[0]) if _accepts(args[0], v)), p) for p in parts]
        return [tuple(entries)]
    if origin is Literal:
        return [a for a in args if str(a).lower() == text.lower()]
    if annotation is type(None):
        return [None] if text.lower() == "none" else []
    if annotation is bool:
        return [{"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower())]
    if annotation in (int, float):
        try:
            return [annotation(text)]
        except ValueError:
            return []
    return [text]


def schema(cls: type) -> dict[str, Any]:
    """Return a JSON schema (draft 2020-12) of a class's parameters, defaults included."""
    properties: Mapping[str, Any] = {
        field.name: {**_schema(field.annotation), "default": field.default} for field in fields(cls).values()
    }
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _schema(annotation: Any) -> dict[str, Any]:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        out = _schema(args[0])
        for r in (a for a in args[1:] if isinstance(a, Range)):
            if math.isfinite(r.low):
                out["exclusiveMinimum" if r.low_open else "minimum"] = r.low
            if math.isfinite(r.high):
                out["exclusiveMaximum" if r.high_open else "maximum"] = r.high
        return out
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(a) for a in args]}
    if origin is tuple:
        return {"type": "array", "items": _schema(args[0])}
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return {"type": names[annotation]} if annotation in names else {}
