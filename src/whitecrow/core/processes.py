"""What the system tells of a process: its memory, and whether it is still the one that it was."""

import re
from contextlib import suppress
from pathlib import Path

__all__ = ["forget_peak", "peak_mb", "resident_mb", "started"]


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process now, in MB of 2^20 bytes; 0 where the system does not say."""
    return _status_mb(str(pid), "VmRSS")


def peak_mb() -> float:
    """Return the highest resident memory of this process in MB of 2^20 bytes; 0 where the system does not say."""
    return _status_mb("self", "VmHWM")


def forget_peak() -> None:
    """Let :func:`peak_mb` begin anew."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def started(pid: int) -> int | None:
    """Return when a process began, in ticks of the system's clock; None if there is none, or the system does not say.

    A number of a process is given again once it has ended: only the pair of number and start names a process.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold anything
    # A process that has ended but was not waited for is gone.
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _status_mb(process: str, name: str) -> float:
    try:
        text = Path(f"/proc/{process}/status").read_text("ascii", errors="replace")
    except OSError:
        return 0.0
    found = re.search(rf"{name}:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else 0.0
