"""Protocols by name: who trains, who tests, who is injected, whose label is known."""

from typing import Any

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import fields
from whitecrow.core.registry import unknown_name
from whitecrow.core.spec import Kind
from whitecrow.study.protocols.house import House, Robustness, SemiSupervised
from whitecrow.study.protocols.images import OneClassImages
from whitecrow.study.protocols.literature import (
    ADBenchOneClass,
    ADBenchUnsupervised,
    ALADSplit,
    DAGMMSplit,
    DeepadSplit,
    GOADSplit,
)
from whitecrow.study.protocols.series import ECG5000Split, NABSplit, TSBADSplit
from whitecrow.study.protocols.splits import Protocol

__all__ = ["protocol", "protocol_names"]

_PROTOCOLS: dict[str, type[Protocol]] = {
    cls.name: cls
    for cls in (
        House,
        DAGMMSplit,
        ALADSplit,
        GOADSplit,
        ADBenchUnsupervised,
        ADBenchOneClass,
        DeepadSplit,
        Robustness,
        SemiSupervised,
        OneClassImages,
        TSBADSplit,
        NABSplit,
        ECG5000Split,
    )
}


def protocol_names(kind: Kind | None = None) -> list[str]:
    """Return the names of the protocols (for one kind of data), in alphabetical order."""
    return sorted(name for name, cls in _PROTOCOLS.items() if kind is None or kind in cls.kinds)


def protocol(name: str, **options: Any) -> Protocol:
    """Return a protocol by name.

    Parameters
    ----------
    name : str
        One of :func:`protocol_names`.
    **options
        Its options, as named in the docstring of its class.

    Raises
    ------
    UnknownNameError
        If there is no such protocol; the message lists them.
    ParameterError
        If an option is unknown or out of its range.

    Examples
    --------
    >>> split = protocol("house", holdout=0.2).split([0] * 20 + [1] * 10, seed=0)
    >>> len(split.train), len(split.test)
    (10, 18)
    """
    cls = _PROTOCOLS.get(name) if isinstance(name, str) else None
    if cls is None:
        raise unknown_name("protocol", name, protocol_names())
    accepted = list(fields(cls))
    if unknown := [option for option in options if option not in accepted]:
        raise ParameterError(f"{name} has no option {', '.join(unknown)}; accepted are {', '.join(accepted)}.")
    return cls(**options)
