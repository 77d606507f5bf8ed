"""Work that would hold up every page if it ran on the event loop."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio.to_thread

__all__ = ["in_thread"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], /, *args: _P.args, **named: _P.kwargs) -> _T:
    """Return what a function returns, called in a thread: whatever reads a disk or takes milliseconds belongs there."""
    return await anyio.to_thread.run_sync(lambda: function(*args, **named))
