"""Parts of a table scored by the workers of a Dask cluster."""

import asyncio
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whitecrow.core.errors import WhitecrowError, WhitecrowWarning, missing_extra
from whitecrow.io.parts import Part, Written, write_part

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["ClusterError", "write_on_cluster"]

_POLL_SECONDS = 0.05
_LOOK_SECONDS = 2.0


class ClusterError(WhitecrowError, ConnectionError):
    """A cluster cannot be reached, has no workers, or loses them."""


def write_on_cluster(
    address: str, parts: Sequence[Part], *, timeout: float = 5.0, patience: float = 60.0
) -> Iterator[tuple[Part, Written]]:
    """Write parts on the workers of a Dask cluster, each part a task.

    The part of a worker that dies is given to another; a part written twice has the same content both times.
    If this ends early, the parts that are written stay; :func:`~whitecrow.io.part_folder.missing_parts` names the rest.

    Parameters
    ----------
    address : str
        Address of the scheduler, such as ``tcp://host:8786``.
    parts : sequence of Part
        What to write.
    timeout : float, default=5.0
        Seconds to wait for the scheduler and its first worker.
    patience : float, default=60.0
        Seconds without a single worker, later on, after which to give up.

    Yields
    ------
    Part, Written
        As the parts are finished, in any order.

    Raises
    ------
    MissingExtraError
        If distributed is not installed.
    ClusterError
        If the scheduler is not reached or lost, if there are no workers or they lack whitecrow, or if a part keeps
        killing its workers.
    WhitecrowError, FileNotFoundError
        If a part cannot be written; as :func:`~whitecrow.io.parts.write_part` says it.
    """
    with _connected(address, timeout) as client:
        _check_workers(client, address, timeout)
        Path(parts[0].folder).mkdir(exist_ok=True)
        futures = dict(zip(client.map(write_part, parts, pure=False, key="whitecrow-score"), parts, strict=True))
        yield from _finished(client, address, futures, patience)


@contextmanager
def _connected(address: str, timeout: float) -> Iterator["Client"]:
    try:
        from distributed import Client
    except ImportError as error:
        raise missing_extra("distributed", "cluster", "Scoring on a cluster") from error
    try:
        # Asked first by a bare connection: a client that fails to connect takes long to give up. In a thread, because
        # a notebook runs an event loop of its own.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, _knock(address, timeout)).result()
        client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise ClusterError(
            f"No Dask scheduler answers at {address!r}: {reason}. Start one with 'dask scheduler' and give the address "
            "that it shows, such as tcp://host:8786."
        ) from error
    logger = logging.getLogger("distributed.client")
    before = logger.level
    # What it logs of lost connections, tracebacks and all, is said by ClusterError in a line.
    logger.setLevel(logging.CRITICAL)
    try:
        with client:
            yield client
    finally:
        logger.setLevel(before)


async def _knock(address: str, timeout: float) -> None:
    from distributed import Security
    from distributed.comm.core import connect

    comm = await connect(address, timeout=timeout, **Security().get_connection_args("client"))
    await comm.close()


def _check_workers(client: "Client", address: str, timeout: float) -> None:
    try:
        client.wait_for_workers(1, timeout=timeout)
    except TimeoutError as error:
        raise ClusterError(
            f"The scheduler at {address} has no workers. Start some, on any machine that sees the same files: "
            f"dask worker {address} --nworkers auto --nthreads 1"
        ) from error
    ours = version("whitecrow")
    versions: Any = client.get_versions(packages=["whitecrow"])
    theirs = {worker: found["packages"].get("whitecrow") for worker, found in versions["workers"].items()}
    if without := [worker for worker, found in theirs.items() if found is None]:
        raise ClusterError(f"The worker {without[0]} lacks whitecrow. Install there: pip install whitecrow=={ours}")
    if others := sorted({found for found in theirs.values() if found != ours}):
        warnings.warn(
            f"Workers run whitecrow {', '.join(others)}, and this command {ours}. Scores may differ in small things.",
            WhitecrowWarning,
            stacklevel=2,
        )


def _finished(
    client: "Client", address: str, futures: dict[Any, Part], patience: float
) -> Iterator[tuple[Part, Written]]:
    from distributed import as_completed

    done = as_completed(list(futures), loop=client.loop)
    left = len(futures)
    looked = alive = time.monotonic()
    while left:
        batch = done.next_batch(block=False)
        for future in batch:
            left -= 1
            yield futures[future], _result(future, address, futures[future])
        now = time.monotonic()
        if batch:
            alive = now
            continue
        time.sleep(_POLL_SECONDS)
        # Tasks without a worker wait for one for ever.
        if now - looked > _LOOK_SECONDS:
            looked = now
            alive = now if _n_workers(client, address) else alive
            if now - alive > patience:
                raise ClusterError(
                    f"The scheduler at {address} has had no worker for {patience:g} seconds. Finished parts "
                    "stay: start workers and give the command again."
                )


def _n_workers(client: "Client", address: str) -> int:
    try:
        return len(client.scheduler_info()["workers"])
    except OSError as error:
        raise _lost(address) from error


def _result(future: Any, address: str, part: Part) -> Written:
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    try:
        return future.result()
    except KilledWorker as error:
        raise ClusterError(
            f"{part}: every worker that was given these rows died, {error.allowed_failures + 1} in all. Look into "
            "their logs; most often memory is short."
        ) from error
    except (FutureCancelledError, CommClosedError) as error:
        raise _lost(address) from error


def _lost(address: str) -> ClusterError:
    return ClusterError(
        f"The scheduler at {address} was lost. Finished parts stay: start it and its workers, and give the command "
        "again."
    )
