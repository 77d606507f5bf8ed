"""Runs what a store lacks of a study: blocks of cells in watched processes, spread by joblib."""

import atexit
import os
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import joblib
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from whitecrow.core import registry
from whitecrow.core.errors import ParameterError, WhitecrowError, missing_extra
from whitecrow.core.parameters import Count, check
from whitecrow.study.outcome import Outcome
from whitecrow.study.plan import Budget, Cell, DataChoice, Study, code_version
from whitecrow.study.sources import Rows, load_rows
from whitecrow.study.store import Store
from whitecrow.study.worker import BudgetError, Worker, WorkerError

__all__ = ["Backend", "Progress", "Summary", "run_study"]

Backend = Literal["loky", "dask"]
_ATTEMPTS = 3  # at a run that loses a process of joblib itself
_COST = {"low": 1.0, "medium": 4.0, "high": 16.0}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is.

    Attributes
    ----------
    done, failed, total : int
        Cells; those that were in the store before count as well.
    latest : str
        Data set and detector of the block that ended last.
    seconds_left : float or None
        Wall time to go, from the times of like blocks; None before the first.
    """

    done: int
    failed: int
    total: int
    latest: str = ""
    seconds_left: float | None = None


@dataclass(slots=True)
class Summary:
    """What a run did.

    Attributes
    ----------
    total, stored, done, failed : int
        Cells of the study; those that were in the store; those that this run finished; those of them that failed.
    seconds : float
        Wall time.
    errors : dict of str to int
        How often each error ended a cell of this run.
    """

    total: int
    stored: int
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Block:
    cells: tuple[Cell, ...]
    keys: tuple[str, ...]


def run_study(
    study: Study,
    store: Store,
    *,
    root: str | None = None,
    jobs: int = 1,
    backend: Backend = "loky",
    address: str | None = None,
    retry_failed: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Run the cells of a study that the store lacks.

    Each block of cells (those that differ in their seed alone, by fives) runs in a process that is ended when it
    exceeds its time or memory; what becomes of it is written at once, whole. The run may be stopped at any moment, and
    another may take it up, or go on beside it.

    Parameters
    ----------
    study : Study
        What to run.
    store : Store
        Where results are, and go.
    root : str, optional
        Folder of the named data sets, as for :func:`whitecrow.data.load_dataset`.
    jobs : int, default=1
        Blocks at once. With "dask" the cluster decides.
    backend : {"loky", "dask"}, default="loky"
        Processes of this machine, or the workers of a Dask cluster, which must see the same files.
    address : str, optional
        Scheduler of the Dask cluster, such as ``"tcp://10.0.0.5:8786"``.
    retry_failed : bool, default=False
        Whether cells that failed before are run again.
    on_progress : callable, optional
        Called after each block.

    Returns
    -------
    Summary
        What was done.

    Raises
    ------
    ParameterError
        If ``jobs`` or ``address`` cannot be used, or a data set has too few rows for a share of contamination.
    MissingExtraError
        If the backend is "dask" and the extra ``cluster`` is not installed.
    WhitecrowError
        If a data set cannot be loaded.
    """
    check("run_study", "jobs", jobs, Count)
    check("run_study", "backend", backend, Backend)
    if (backend == "dask") != (address is not None):
        raise ParameterError('run_study: backend="dask" and the address of its scheduler go together.')
    started = time.monotonic()
    fingerprints = {}
    for choice in study.data:
        rows = load_rows(choice, root)
        _try_splits(study, choice, rows)
        fingerprints[choice.title] = rows.fingerprint
    keys = [cell.key(fingerprints[cell.data.title]) for cell in study.cells]
    store.plan(study, keys)
    before = store.finished()
    wanted = {key for key in keys if key not in before or (retry_failed and not before[key])}
    summary = Summary(total=len(keys), stored=len(keys) - len(wanted))
    clock = _Clock(study, keys, before, wanted, jobs, on_progress)
    clock.tell()
    for attempt in range(_ATTEMPTS):
        try:
            with _parallel(jobs, backend, address) as run:
                for block, outcomes in run(_blocks(study, keys, wanted), study.budget, root):
                    _keep(store, block, outcomes, summary)
                    wanted -= set(block.keys)
                    clock.ended(block, outcomes)
            break
        except TerminatedWorkerError:
            # A process between us and the worker was killed. What it ran is still wanted.
            if attempt == _ATTEMPTS - 1:
                raise
    summary.seconds = time.monotonic() - started
    return summary


def _try_splits(study: Study, choice: DataChoice, rows: Rows) -> None:
    """Refuse, before anything is trained, what the protocol cannot do with these rows."""
    rule = study.protocol_for(choice)
    for share in study.contamination:
        try:
            rows.split(rule, seed=0, contamination=share)
        except WhitecrowError as error:
            raise ParameterError(f"study {study.name!r}, data set {choice.title!r}: {error}") from error


def _blocks(study: Study, keys: Sequence[str], wanted: set[str]) -> list[_Block]:
    """Return what is wanted, data set by data set, the costly methods first."""
    groups: dict[tuple[object, ...], list[tuple[Cell, str]]] = defaultdict(list)
    for cell, key in zip(study.cells, keys, strict=True):
        if key in wanted:
            groups[cell.block].append((cell, key))
    blocks = [_Block(*zip(*members, strict=True)) for members in groups.values()]
    places = {choice.title: place for place, choice in enumerate(study.data)}
    return sorted(blocks, key=lambda b: (places[b.cells[0].data.title], -_cost(b.cells[0])))


def _cost(cell: Cell) -> float:
    return _COST[registry.load(cell.detector.name).cost]


def _keep(store: Store, block: _Block, outcomes: Sequence[dict[str, Any]], summary: Summary) -> None:
    code = code_version(block.cells[0].detector.name)
    store.write((k, c, code, o) for k, c, o in zip(block.keys, block.cells, outcomes, strict=True))
    for outcome in outcomes:
        summary.done += 1
        if outcome["error"]:
            summary.failed += 1
            summary.errors[outcome["error"]] = summary.errors.get(outcome["error"], 0) + 1


class _Clock:
    """Counts cells and guesses the time left from the times of the same method."""

    def __init__(
        self,
        study: Study,
        keys: Sequence[str],
        before: dict[str, bool],
        wanted: set[str],
        jobs: int,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._total, self._jobs, self._on_progress = len(set(keys)), jobs, on_progress
        stored = set(keys) - wanted
        self._done, self._failed = len(stored), sum(not before[key] for key in stored)
        self._left = defaultdict(int)
        for cell, key in zip(study.cells, keys, strict=True):
            self._left[cell.data.title, cell.detector.title, _cost(cell)] += key in wanted
        self._times: dict[tuple[str, str], list[float]] = defaultdict(list)

    def ended(self, block: _Block, outcomes: Sequence[dict[str, Any]]) -> None:
        first = block.cells[0]
        where = first.data.title, first.detector.title
        self._left[*where, _cost(first)] -= len(block.cells)
        self._times[where] += [o["fit_s"] + o["score_s"] for o in outcomes]
        self._done += len(outcomes)
        self._failed += sum(bool(o["error"]) for o in outcomes)
        self.tell(f"{first.detector.title} on {first.data.title}")

    def tell(self, latest: str = "") -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(self._done, self._failed, self._total, latest, self._seconds_left()))

    def _seconds_left(self) -> float | None:
        if not self._times:
            return None
        everything = statistics.fmean(t for times in self._times.values() for t in times)
        total = 0.0
        for (dataset, detector, _), n in self._left.items():
            same = self._times.get((dataset, detector))
            elsewhere = [t for (_, d), times in self._times.items() if d == detector for t in times]
            total += n * (statistics.fmean(same or elsewhere) if same or elsewhere else everything)
        return total / self._jobs


# ---- where blocks run ---------------------------------------------------------------------------------------------

_Runs = Callable[[Sequence[_Block], Budget, str | None], Iterator[tuple[_Block, list[dict[str, Any]]]]]
_OWN = threading.local()  # a worker for each thread of this process that runs blocks


@contextmanager
def _parallel(jobs: int, backend: Backend, address: str | None) -> Iterator[_Runs]:
    """Yield what runs blocks and gives each back as it ends."""

    def run(blocks: Sequence[_Block], budget: Budget, root: str | None) -> Iterator[Any]:
        # One task each: joblib would put short ones together, and lose them together.
        one: Any = 1  # joblib's stub knows only "auto"
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=one, max_nbytes=None)
        yield from parallel(joblib.delayed(_run)(block, budget, root, owner) for block in blocks)

    # A process that loky starts outlives a run that is killed, until its block ends.
    owner = os.getpid() if backend == "loky" and jobs > 1 else None
    if backend == "dask":
        with _dask_client(address) as client, joblib.parallel_config("dask", client=client):
            yield run
        return
    try:
        with joblib.parallel_config("loky"):
            yield run
    finally:
        # Stops what is still running, too: a worker ends with the process that owns it.
        if jobs > 1:
            get_reusable_executor().shutdown(wait=True, kill_workers=True)
        _close_own()


@contextmanager
def _dask_client(address: str | None) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise missing_extra("distributed", "cluster", 'backend="dask"') from error
    try:
        client = Client(address, timeout="5s")
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"No Dask scheduler answers at {address}: {error}. Start one with: dask scheduler, and workers with: dask "
            "worker ADDRESS."
        ) from error
    with client:
        yield client


def _run(block: _Block, budget: Budget, root: str | None, owner: int | None) -> tuple[_Block, list[dict[str, Any]]]:
    """Run a block in the worker of this thread; what ends the worker is an error of its cells."""
    worker = getattr(_OWN, "worker", None)
    if worker is None:
        worker = _OWN.worker = Worker(root)
        atexit.register(worker.close)
    try:
        return block, worker.run(block.cells, budget, owner=owner)
    except (BudgetError, WorkerError) as error:
        # Together they take more memory than alone, and one that crashes takes the others with it.
        out_of_time = isinstance(error, BudgetError) and error.out_of_time
        if len(block.cells) > 1 and not out_of_time:
            alone = [_Block((cell,), (key,)) for cell, key in zip(block.cells, block.keys, strict=True)]
            return block, [outcome for one in alone for outcome in _run(one, budget, root, owner)[1]]
        failed = Outcome(error=f"{type(error).__name__}: {error}").document()
        return block, [failed for _ in block.cells]


def _close_own() -> None:
    worker = getattr(_OWN, "worker", None)
    if worker is not None:
        worker.close()
        del _OWN.worker
