"""Run the cells of a results table in parallel; each result is kept as it comes, so a run can be taken up again."""

import csv
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

Cell = tuple[str, ...]


def read(path: Path, key: tuple[str, ...]) -> dict[Cell, dict[str, str]]:
    """Return the results in a file by their keys."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {tuple(row[k] for k in key): row for row in csv.DictReader(file)}


def complete(
    path: Path,
    key: tuple[str, ...],
    figures: tuple[str, ...],
    cells: Iterable[Cell],
    run: Callable[..., dict[str, Any]],
    jobs: int,
) -> dict[Cell, dict[str, str]]:
    """Run the cells that the file lacks, one thread each, and return all of its results.

    A cell that fails is reported and left out; the next run tries it again.

    Parameters
    ----------
    path : Path
        CSV file with the columns ``key`` and ``figures``; it grows by a line per finished cell.
    cells : iterable of tuple of str
        Values of ``key``, and the arguments of ``run``.
    run : callable
        Function of a module that returns the figures.
    jobs : int
        Processes.
    """
    done = read(path, key)
    missing = [cell for cell in cells if cell not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(",".join((*key, *figures)) + "\n")
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the new processes start
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool, path.open("a", newline="") as file:
        writer = csv.writer(file)
        running = {pool.submit(run, *cell): cell for cell in missing}
        for i, future in enumerate(as_completed(running)):
            cell = running[future]
            if error := future.exception():
                sys.stderr.write(f"[{i + 1}/{len(missing)}] {' '.join(cell)}: FAILED: {error!r}\n")
                continue
            result = future.result()
            writer.writerow([*cell, *(result[name] for name in figures)])
            file.flush()
            shown = ", ".join(f"{name} {result[name]}" for name in figures)
            sys.stderr.write(f"[{i + 1}/{len(missing)}] {' '.join(cell)}: {shown}\n")
    return read(path, key)


def rounded(value: float) -> str:
    """Return a figure with the digits that are worth keeping."""
    return f"{value:.5g}"
