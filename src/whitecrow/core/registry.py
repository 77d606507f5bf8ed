"""Detectors by name, from the entry points of every installed package.

A package registers a detector in the group ``whitecrow.detectors``, as whitecrow itself does::

    [project.entry-points."whitecrow.detectors"]
    my-detector = "my_package.my_module:MyDetector [table]"

The kinds in brackets let :func:`names` filter without importing the class (and so without torch).
"""

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from whitecrow.core.errors import UnknownNameError
from whitecrow.core.spec import Kind

__all__ = ["GROUP", "class_named", "class_names", "load", "name_of", "names", "unknown_name"]

GROUP = "whitecrow.detectors"


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _kinds(entry: EntryPoint) -> tuple[str, ...]:
    # A plugin that names no kind is asked; this imports it.
    return tuple(entry.extras) or tuple(entry.load().kinds)


def names(kind: Kind | None = None) -> list[str]:
    """Return the registered names in alphabetical order.

    Parameters
    ----------
    kind : {"table", "image", "sequence", "tokens"}, optional
        Only detectors for this kind of data.
    """
    return sorted(name for name, entry in _entries().items() if kind is None or kind in _kinds(entry))


def load(name: str) -> Any:
    """Return the detector class that is registered as ``name``.

    Raises
    ------
    UnknownNameError
        If nothing is registered under that name.
    """
    try:
        entry = _entries()[name]
    except (KeyError, TypeError):
        raise unknown_name("detector", name, names()) from None
    return entry.load()


def name_of(cls: type) -> str:
    """Return the name that ``cls`` is registered as.

    Raises
    ------
    UnknownNameError
        If the class is not registered: a model file names its class only through the registry.
    """
    path = f"{cls.__module__}:{cls.__qualname__}"
    for name, entry in _entries().items():
        if f"{entry.module}:{entry.attr}" == path:
            return name
    raise UnknownNameError(
        f"{cls.__qualname__} is not registered. Add it to the entry-point group {GROUP!r} of its package "
        f'(name = "{path}") and install the package.'
    )


def unknown_name(noun: str, given: object, known: list[str]) -> UnknownNameError:
    """Return the error for a name that is not among ``known``, with the nearest ones."""
    near = difflib.get_close_matches(str(given), known, n=3)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return UnknownNameError(f"No {noun} is named {given!r}. {hint}Known are: {', '.join(known)}.")


def class_names() -> list[str]:
    """Return the names of the registered classes, without importing them."""
    return sorted({entry.attr for entry in _entries().values()})


def class_named(class_name: str) -> Any | None:
    """Return the registered class of this name, or None."""
    entry = next((e for e in _entries().values() if e.attr == class_name), None)
    return None if entry is None else entry.load()
