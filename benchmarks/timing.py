"""CPU time, ratios of candidates that took turns, and measurements in a process of their own."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["cpu", "in_new_process", "ratio"]


def cpu(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return the median of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(numerator, denominator, strict=True))


def in_new_process(code: str, **names: str) -> float:
    """Return the number that a script prints; ``{folder!r}`` in it is the folder of the benchmarks."""
    script = code.format(folder=str(Path(__file__).parent), **names)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    return float(done.stdout)
