"""A process that runs blocks of cells, and what watches over its time and memory.

The two speak in lines of JSON over pipes. A worker whose owner has gone ends by itself.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from whitecrow.core.errors import WhitecrowError
from whitecrow.core.processes import forget_peak, peak_mb, resident_mb
from whitecrow.study.plan import Budget, Cell

__all__ = ["BudgetError", "Worker", "WorkerError", "main"]

_LOOK_EVERY = 0.1  # seconds between looks at time and memory
_GRACE = 60.0  # seconds to load the data, beyond the budget


class BudgetError(WhitecrowError, RuntimeError):
    """A block took more time or memory than its budget."""

    def __init__(self, message: str, *, out_of_time: bool) -> None:
        super().__init__(message)
        self.out_of_time = out_of_time


class WorkerError(WhitecrowError, RuntimeError):
    """The worker's process ended, or said what no worker says."""


class Worker:
    """Runs blocks in a process of its own, one after the other; started when it is first needed.

    Parameters
    ----------
    root : str or None
        Folder of the named data sets.
    """

    def __init__(self, root: str | None = None) -> None:
        self._root = root
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def run(self, cells: Sequence[Cell], budget: Budget, *, owner: int | None = None) -> list[dict[str, Any]]:
        """Return the outcomes of the cells of a block, as JSON has them.

        Parameters
        ----------
        cells : sequence of Cell
            Of one block.
        budget : Budget
            What each of them may take.
        owner : int, optional
            Parent process for which this one works; once that is gone, nobody waits for the outcome.

        Raises
        ------
        BudgetError
            If the block exceeds its time or memory; the process is ended.
        WorkerError
            If the process ends otherwise, or the owner is gone.
        """
        _check_owner(owner)
        process = self._running()
        assert process.stdin is not None
        request = {"cells": [cell.document() for cell in cells], "root": self._root}
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            self._died(process)
        seconds = budget.seconds * len(cells) + _GRACE
        end = time.monotonic() + seconds
        while True:
            try:
                answer = json.loads(self._answers.get(timeout=_LOOK_EVERY))
            except queue.Empty:
                if process.poll() is not None and self._answers.empty():
                    self._died(process)
                try:
                    _check_owner(owner)
                except WorkerError:
                    self.close()
                    raise
                memory = resident_mb(process.pid)
                if memory > budget.memory_mb:
                    self.close()
                    message = f"It took more than its {budget.memory_mb:g} MB of memory."
                    raise BudgetError(message, out_of_time=False) from None
                if time.monotonic() > end:
                    self.close()
                    each = f"{budget.seconds:g} seconds for each of {len(cells)} cells that train together"
                    raise BudgetError(f"It took more than its time: {each}.", out_of_time=True) from None
                continue
            if "error" in answer:
                raise WorkerError(answer["error"])
            return answer["outcomes"]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._answers = queue.Queue()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "whitecrow.study.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                # One thread each: cells run beside one another. A group of its own, so that Ctrl-C meets the owner.
                env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
                start_new_session=True,
            )
            threading.Thread(target=_collect, args=(self._process, self._answers), daemon=True).start()
            self._await_start(self._process)
        return self._process

    def _await_start(self, process: subprocess.Popen[str]) -> None:
        """Wait until the process has imported all that it needs, which is not the time of a cell."""
        while True:
            try:
                self._answers.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                if process.poll() is not None:
                    self._died(process)
            else:
                return

    def _died(self, process: subprocess.Popen[str]) -> None:
        code = process.wait()
        self.close()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise WorkerError(f"The process that ran it ended by {how}. It may have run out of memory.")


def _check_owner(owner: int | None) -> None:
    if owner is not None and os.getppid() != owner:
        raise WorkerError("The run that asked for it is gone.")


def _collect(process: subprocess.Popen[str], answers: "queue.Queue[str]") -> None:
    with suppress(ValueError):  # the pipe was closed
        for line in process.stdout or ():
            answers.put(line)


def _requests(requests: "queue.Queue[str | None]") -> None:
    for line in sys.stdin:
        requests.put(line)
    # The owner is gone: nobody waits for what is being computed.
    os._exit(0)


def main() -> None:
    """Answer requests until the owner goes."""
    import torch

    from whitecrow.study.execution import run_block

    torch.set_num_threads(1)
    # Answers go to the pipe; what a library prints must not be taken for one.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    out.write("{}\n")  # ready
    out.flush()
    requests: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_requests, args=(requests,), daemon=True).start()
    while True:
        request = json.loads(str(requests.get()))
        forget_peak()
        try:
            outcomes = run_block([Cell.of(document) for document in request["cells"]], request["root"])
            measured = {"memory_mb": peak_mb()}
            answer: dict[str, Any] = {"outcomes": [outcome.document() | measured for outcome in outcomes]}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
