"""A process that fits, and its owner's end of it.

The owner writes ids of runs that it has claimed, a line each; the process answers with a line once a run is recorded as
done, failed or cancelled. It ends when its owner goes: nobody watches over it any more, and what it has learnt is in
the checkpoint.
"""

import fcntl
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from whitecrow.core.errors import FitCancelled, WhitecrowError
from whitecrow.core.processes import forget_peak, resident_mb

if TYPE_CHECKING:
    from whitecrow.workspace.workspace import Workspace

__all__ = ["Worker", "main"]

_TAIL = 2000  # characters of a dead process's last words
_CANCELLED = threading.Event()


class Worker:
    """The owner's end of a process that fits one run after the other.

    Parameters
    ----------
    folder : Path
        Of the workspace.

    Attributes
    ----------
    idle_since : float
        Time of the monotonic clock at which it answered last.

    Raises
    ------
    OSError
        If the process cannot be started.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "whitecrow.workspace.worker", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C meets the server, which ends its fits in its own way
        )
        self._answered = threading.Event()
        self._words = bytearray()
        self.idle_since = time.monotonic()
        self._listeners = [threading.Thread(target=listen, daemon=True) for listen in (self._hear, self._keep_words)]
        for listener in self._listeners:
            listener.start()

    def begin(self, key: str) -> None:
        """Let the process carry out a run; a process that has died says so by :attr:`exit_code`."""
        self._answered.clear()
        stream = self._process.stdin
        assert stream is not None
        with suppress(BrokenPipeError):
            stream.write(f"{key}\n".encode())
            stream.flush()

    def answered(self) -> bool:
        """Return whether the run has ended."""
        return self._answered.is_set()

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process, negative for a signal; None while it lives."""
        return self._process.poll()

    @property
    def memory_mb(self) -> float:
        """Resident memory now."""
        return resident_mb(self._process.pid)

    @property
    def last_words(self) -> str:
        """What a process that has died said last."""
        self._listeners[1].join(timeout=1.0)
        return bytes(self._words).decode(errors="replace").strip()[-_TAIL:]

    def cancel(self) -> None:
        """Ask the process to stop its run."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for listener in self._listeners:
            listener.join(timeout=1.0)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _hear(self) -> None:
        stream = self._process.stdout
        with suppress(OSError, ValueError):
            while stream is not None and os.read(stream.fileno(), 4096):
                self.idle_since = time.monotonic()
                self._answered.set()

    def _keep_words(self) -> None:
        stream = self._process.stderr
        with suppress(OSError, ValueError):
            while stream is not None and (piece := os.read(stream.fileno(), 4096)):
                self._words += piece
                del self._words[: max(0, len(self._words) - 4 * _TAIL)]


def main(folder: str) -> None:
    """Carry out the runs of the workspace in ``folder`` whose ids come in over standard input."""
    signal.signal(signal.SIGTERM, lambda *_: _CANCELLED.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keys: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(keys,), daemon=True).start()
    # Answers go to the pipe; what a library prints must not be taken for one.
    out = os.dup(1)
    os.dup2(2, 1)
    from whitecrow.workspace.workspace import Workspace

    workspace = Workspace(Path(folder))
    while True:
        key = keys.get()
        _CANCELLED.clear()
        forget_peak()
        _carry_out(workspace, key)
        os.write(out, b"\n")


def _carry_out(workspace: "Workspace", key: str) -> None:
    from whitecrow.workspace.fitting import fit_run

    folder = workspace.runs.folder(key)
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # A predecessor that has lost its owner may still be ending: only one writes to a run's folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            fit_run(workspace.datasets, workspace.runs, workspace.feedback, key, check=_check)
        except FitCancelled:
            workspace.runs.move(key, ("running",), "cancelled")
        except (WhitecrowError, ValueError, OSError, MemoryError) as error:
            workspace.runs.move(key, ("running",), "failed", str(error) or type(error).__name__)
        except Exception as error:
            workspace.runs.move(key, ("running",), "failed", f"{type(error).__name__}: {error}")
            sys.excepthook(type(error), error, error.__traceback__)  # for the log


def _check() -> None:
    if _CANCELLED.is_set():
        raise FitCancelled("The fit was cancelled.")


def _listen(keys: "queue.Queue[str]") -> None:
    held = b""
    with suppress(OSError):
        while piece := os.read(0, 4096):
            *lines, held = (held + piece).split(b"\n")
            for line in lines:
                keys.put(line.decode())
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
