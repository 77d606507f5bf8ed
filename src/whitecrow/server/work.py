"""Work that would hold up the event loop: in threads, and awaited for a bounded time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import polars as pl

from whitecrow.server.errors import OverloadedError

__all__ = ["Work"]

_LIGHT, _HEAVY = 4, 3  # threads
T = TypeVar("T")


class Work:
    """Runs functions in two sets of threads, so that what is short never waits behind what is long.

    A thread cannot be stopped: work whose time is over goes on to its end and keeps its thread until then, so that
    there is never more of it than there are threads.

    Parameters
    ----------
    seconds : float
        Longest time that is waited for an outcome, above 0; the time until a thread is free counts.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._light = ThreadPoolExecutor(_LIGHT, thread_name_prefix="whitecrow-light")
        self._heavy = ThreadPoolExecutor(_HEAVY, thread_name_prefix="whitecrow-heavy")

    async def light(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Return what a function returns that takes milliseconds, such as a look into the database.

        Raises
        ------
        OverloadedError
            If it takes too long.
        """
        return await self._run(self._light, partial(function, *arguments, **options))

    async def heavy(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Return what a function returns that may take seconds.

        Raises
        ------
        OverloadedError
            If it takes too long.
        """
        return await self._run(self._heavy, partial(function, *arguments, **options))

    def close(self) -> None:
        """Begin nothing any more."""
        for pool in (self._light, self._heavy):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, pool: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        outcome = asyncio.get_running_loop().run_in_executor(pool, _guarded, function)
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                return await outcome
        except TimeoutError:
            if not limit.expired():
                raise
            raise OverloadedError(
                f"This took longer than the {self._seconds:g} seconds that the server waits for it. Ask for fewer rows "
                "or runs, or try again when it has less to do.",
                retry_after=5,
            ) from None


def _guarded(function: Callable[[], T]) -> T:
    try:
        return function()
    except pl.exceptions.PanicException as error:  # no Exception, so that nobody would answer for it
        raise RuntimeError(f"polars panicked: {error}") from error
