"""Fits in the background: one process each, watched over its time and memory, and what is left of those that died."""

import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from whitecrow.core.parameters import Count, check
from whitecrow.core.processes import started
from whitecrow.workspace.database import WorkspaceError
from whitecrow.workspace.datasets import Datasets
from whitecrow.workspace.parts import split_times
from whitecrow.workspace.request import FitRequest
from whitecrow.workspace.runs import RunRecord, Runs, State
from whitecrow.workspace.worker import Worker

__all__ = ["Jobs"]

_log = logging.getLogger("whitecrow.workspace")
_LOOK_EVERY = 0.05  # seconds between looks at the running fits
_PATIENCE = 10.0  # seconds that a cancelled fit has to end by itself
_KEEP_IDLE = 60.0  # seconds that a process waits for another fit, which then starts at once


@dataclass
class _Fit:
    """A fit that runs."""

    run: RunRecord
    worker: Worker
    end: float
    kill_at: float | None = None


class Jobs:
    """Runs queued fits, the oldest first; a fit that crashes is a failed run and nothing else.

    Parameters
    ----------
    folder : Path
        Of the workspace.
    datasets : Datasets
        Its data sets.
    runs : Runs
        Its runs.
    at_once : int, default=1
        Fits that run beside one another.
    """

    def __init__(self, folder: Path, datasets: Datasets, runs: Runs, *, at_once: int = 1) -> None:
        check("Jobs", "at_once", at_once, Count)
        self._folder, self._datasets, self._runs = folder, datasets, runs
        self._at_once = at_once
        self._fits: dict[str, _Fit] = {}
        self._idle: list[Worker] = []
        self._turn = threading.RLock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    # ---- what a face asks for -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Mark runs whose process has gone as interrupted, and begin to work the queue."""
        self.recover()
        self._thread = threading.Thread(target=self._work, name="whitecrow-jobs", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the queue is worked."""
        return self._thread is not None and self._thread.is_alive()

    def submit(self, request: FitRequest, *, actor: str = "") -> RunRecord:
        """Queue a fit.

        Raises
        ------
        ParameterError
            If the request cannot be carried out.
        UnknownNameError
            If there is no such data set or detector.
        """
        checked = request.checked(self._datasets.get(request.dataset))
        if checked.split.time is not None:  # whether it orders the rows is seen by reading it
            split_times(self._datasets.table(checked.dataset, checked.settings), checked.split.time)
        record = self._runs.create(checked, actor=actor)
        self._wake.set()
        return record

    def resume(self, key: str) -> RunRecord:
        """Queue a run again that was interrupted, cancelled or failed; it goes on from its checkpoint, if it has one.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it is done, or has not ended.
        """
        record = self._runs.get(key)
        if not self._runs.move(key, ("interrupted", "cancelled", "failed"), "queued"):
            raise WorkspaceError(
                f"Run {record.number} is {record.state}; only a run that ended without a model resumes."
            )
        self._wake.set()
        return self._runs.get(key)

    def cancel(self, key: str) -> RunRecord:
        """Stop a queued or running fit; a running one ends within seconds, and can be resumed.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has ended, or another server runs it.
        """
        record = self._runs.get(key)
        if self._runs.move(key, ("queued",), "cancelled"):
            return self._runs.get(key)
        with self._turn:
            record = self._runs.get(key)
            # One that has ended may not have been looked at yet.
            fit = self._fits.get(key) if record.state == "running" else None
            if fit is not None:
                fit.worker.cancel()
                fit.kill_at = fit.kill_at or time.monotonic() + _PATIENCE
                return self._runs.get(key)
        if record.state == "running":
            raise WorkspaceError(f"Run {record.number} is run by another server. Cancel it there.")
        raise WorkspaceError(f"Run {record.number} is {record.state}: there is nothing to cancel.")

    def close(self) -> None:
        """End the running fits and mark them as interrupted; what they have learnt is kept."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self._turn:
            for fit in self._fits.values():
                self._bury(fit, "interrupted")
            for worker in self._idle:
                worker.kill()
            self._fits.clear()
            self._idle.clear()

    def recover(self) -> None:
        """Mark running runs whose process has gone as interrupted, and remove what killed processes left behind."""
        self._datasets.tidy()
        self._runs.tidy()
        for record in self._runs.all():
            if record.state == "running" and record.id not in self._fits:
                alive = record.pid is not None and started(record.pid) == record.pid_began is not None
                if not alive:
                    self._runs.move(record.id, ("running",), "interrupted")

    # ---- the thread that works the queue --------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closed:
            try:
                with self._turn:
                    self._look()
                    while len(self._fits) < self._at_once and self._begin():
                        pass
                    idle = not self._fits
            except Exception:  # the queue must outlive whatever goes wrong with one run
                _log.exception("The queue of fits met an error")
                idle = True
            # Another process may have queued a run for us.
            self._wake.wait(1.0 if idle else _LOOK_EVERY)
            self._wake.clear()

    def _begin(self) -> bool:
        # Claimed in our name: if we are killed, the run is seen to be interrupted.
        key = self._runs.claim(os.getpid(), started(os.getpid()))
        if key is None:
            return False
        record = self._runs.get(key)
        try:
            worker = self._idle.pop() if self._idle else Worker(self._folder)
        except OSError as error:
            self._runs.move(key, ("running",), "failed", f"Its process could not be started: {error}.")
            return True
        worker.begin(key)
        self._fits[key] = _Fit(record, worker, time.monotonic() + float(record.request.budget.seconds))
        return True

    def _look(self) -> None:
        """See which fits have ended, and end those that are over their budget or were cancelled long ago."""
        now = time.monotonic()
        for key, fit in list(self._fits.items()):
            budget, code = fit.run.request.budget, fit.worker.exit_code
            seconds, memory_mb = float(budget.seconds), float(budget.memory_mb)
            if code is not None:
                self._bury(fit, "failed", _obituary(key, code, fit.worker.last_words))
            elif fit.worker.answered():
                self._idle.append(fit.worker)
            elif fit.kill_at is not None and now > fit.kill_at:
                self._bury(fit, "cancelled")
            elif now > fit.end:
                self._bury(fit, "failed", f"It took more than its {seconds:g} seconds. Give it more time.")
            elif fit.worker.memory_mb > memory_mb:
                self._bury(fit, "failed", f"It took more than its {memory_mb:g} MB of memory. Train on fewer rows.")
            else:
                continue
            del self._fits[key]
        for worker in [worker for worker in self._idle if now > worker.idle_since + _KEEP_IDLE]:
            self._idle.remove(worker)
            worker.kill()

    def _bury(self, fit: _Fit, state: State, error: str | None = None) -> None:
        """End the process of a fit; if it has not recorded its outcome, its outcome is this."""
        fit.worker.kill()
        self._runs.move(fit.run.id, ("running",), "cancelled" if fit.kill_at is not None else state, error)


def _obituary(key: str, code: int, words: str) -> str:
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    _log.error("The process of run %s ended %s: %s", key, how, words)
    return f"Its process ended {how}. {words.splitlines()[-1] if words else 'It may have run out of memory.'}"
