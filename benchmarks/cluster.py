"""Score millions of rows on one machine, on a Dask cluster, and on one that loses a worker half way.

``python benchmarks/cluster.py`` needs the extra ``cluster``. Scheduler, workers and command are processes of their own
on this machine; the data lie in a temporary folder, which is deleted in the end. A difference in a single score ends
the run with an error.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

import whitecrow as wc
from whitecrow.data import simulate_traffic

N_WORKERS = 2
WEEK_ROWS = 250_000
COLUMNS = [
    "hour", "protocol", "service", "flag", "duration", "bytes_out", "bytes_in", "packets_out", "packets_in",
    "source_count_10min", "source_failed_share", "destination_count_100",
]  # fmt: skip
ADDED = ["score", "p_value", "is_anomaly"]


@dataclass
class Run:
    """What one way of scoring took: seconds from the command to its end, its processes' figures, and its result."""

    name: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: dict[str, float] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    events: list[str] = field(default_factory=list)


def write_rows(path: Path, n: int) -> None:
    """Write simulated traffic, one row group per simulated week; every row has its number and noise of its own."""
    week = simulate_traffic(rows=WEEK_ROWS, attack_rate=0.02, seed=1).X.select(COLUMNS)
    noisy = ["duration", "bytes_out", "bytes_in"]
    folder = path.with_suffix(".weeks")
    folder.mkdir()
    for k, first in enumerate(range(0, n, WEEK_ROWS)):
        rows = week.head(n - first)
        noise = np.random.default_rng(k).lognormal(0.0, 0.05, (rows.height, len(noisy)))
        jittered = [(rows[name] * noise[:, j]).alias(name) for j, name in enumerate(noisy)]
        number = pl.int_range(first, first + rows.height, eager=True).alias("number")
        rows.with_columns(*jittered, number).write_parquet(folder / f"{k:04d}.parquet")
    pl.scan_parquet(folder).sink_parquet(path, row_group_size=WEEK_ROWS, maintain_order=True)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def digest(path: Path) -> str:
    """Return a digest of the row numbers, scores, p-values and flags, in their order."""
    table = pl.scan_parquet(path).select("number", *ADDED).collect()
    total = hashlib.blake2b(digest_size=16)
    for name in table.columns:
        total.update(table[name].to_numpy().tobytes())
    return total.hexdigest()


def started(stack: ExitStack, log: Path, *words: object) -> subprocess.Popen[bytes]:
    """Start a command of dask that ends with the stack."""
    stream = stack.enter_context(log.open("wb"))
    command = [sys.executable, "-m", "dask", *map(str, words), "--host", "127.0.0.1", "--no-dashboard"]
    process = subprocess.Popen(command, stdout=stream, stderr=stream)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def wait_for_text(log: Path, text: str) -> None:
    """Wait until a process has logged a text."""
    for _ in range(3000):
        if text in log.read_text():
            return
        time.sleep(0.02)
    raise RuntimeError(f"{log.name} never said {text!r}: {log.read_text()[-2000:]}")


def peak_mb(pid: int) -> float:
    """Return the peak memory of a process in megabytes."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def command(run: Run, source: Path, model: Path, output: Path, *more: str) -> None:
    """Run ``whitecrow score`` in a process and note its time, its memory and what it says."""
    words = ["score", source, "--model", model, "-o", output, "--json", *more]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "whitecrow.cli", *map(str, words)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    run.seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(text.decode())
    run.cpu_seconds += usage.ru_utime + usage.ru_stime
    run.peak_mb["command"] = usage.ru_maxrss / 1000
    run.document = json.loads(text)


def on_cluster(run: Run, base: Path, source: Path, model: Path, output: Path, *, kill: bool) -> None:
    """Score on a cluster of its own; kill a worker once a third of the parts are there."""
    with ExitStack() as stack:
        told = base / f"{output.name}.json"
        logs = [base / f"{output.name}-{k}.log" for k in range(N_WORKERS + 1)]
        started(stack, logs[-1], "scheduler", "--port", 0, "--scheduler-file", told)
        wait_for_text(logs[-1], "Scheduler at:")
        words = ("worker", "--scheduler-file", told, "--no-nanny", "--nthreads", 1)
        workers = [started(stack, log, *words) for log in logs[:-1]]
        for log in logs[:-1]:
            wait_for_text(log, "Registered to:")
        idle = [sum(psutil.Process(worker.pid).cpu_times()[:2]) for worker in workers]

        def note(k: int) -> None:
            run.cpu_seconds += sum(psutil.Process(workers[k].pid).cpu_times()[:2]) - idle[k]
            run.peak_mb[f"worker {k + 1}"] = peak_mb(workers[k].pid)

        def murder() -> None:
            parts = -(-pl.scan_parquet(source).select(pl.len()).collect().item() // (1 << 17))
            while not output.exists() or len(list(output.glob("*.parquet"))) < parts // 3:
                time.sleep(0.01)
            note(0)
            there = len(list(output.glob("*.parquet")))
            workers[0].send_signal(signal.SIGKILL)
            run.events.append(f"worker 1 was killed (SIGKILL) when {there} of {parts} parts were there")

        killer = threading.Thread(target=murder if kill else lambda: None)
        killer.start()
        address = json.loads(told.read_text())["address"]
        command(run, source, model, output, "--cluster", address)
        killer.join()
        for k in range(1 if kill else 0, N_WORKERS):
            note(k)
        if kill:
            assert workers[0].wait() == -signal.SIGKILL


def page(runs: list[Run], n: int, size: int, columns: int, detector: str, load: float) -> str:
    """Return the page in Markdown."""
    versions = ", ".join(f"{x} {importlib.metadata.version(x)}" for x in ("whitecrow", "dask", "polars", "torch"))
    lines = [
        "# Batch scoring on a cluster",
        "",
        f"`python benchmarks/cluster.py`: {n:,} rows of simulated traffic in {columns} columns ({size / 1e6:.0f} MB of "
        f"Parquet), scored by `{detector}` and written with all their columns. Scheduler, {N_WORKERS} workers of one "
        f"thread each and the command run on one machine with {os.cpu_count()} processor cores, so this shows what a "
        "cluster costs and what a killed worker costs, not what more machines gain. Other work ran on it as well (load "
        f"average {load:.1f} before the first run): look at CPU seconds rather than at seconds. "
        f"Python {platform.python_version()}, {versions}.",
        "",
        "| way | parts | seconds | rows per second | CPU seconds | rows per CPU second | peak memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        peaks = ", ".join(f"{name} {peak:,.0f}" for name, peak in sorted(run.peak_mb.items()))
        lines.append(
            f"| {run.name} | {run.document.get('parts', '')} | {run.seconds:.1f} | {n / run.seconds:,.0f} "
            f"| {run.cpu_seconds:.1f} | {n / run.cpu_seconds:,.0f} | {peaks} |"
        )
    lines += [
        "",
        "Seconds run from the start of the command to its end, its own start of some seconds included; CPU seconds are "
        "those of the command and the workers, without the scheduler and the start of the workers, and without what a "
        "killed worker did after it was last looked at.",
        "",
        *(f"- {run.name}: {event}." for run in runs for event in run.events),
        "",
        "Every way gave the same rows in the same order with the same figures, to the last bit:",
        "",
        "| way | rows | flagged | BLAKE2b of numbers, scores, p-values and flags |",
        "|---|---|---|---|",
        *(f"| {r.name} | {r.document['rows']:,} | {r.document['flagged']:,} | `{r.digest}` |" for r in runs),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Score in three ways, compare, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--detector", default="isolation-forest")
    parser.add_argument("--out", type=Path, default=Path("docs/results/cluster.md"))
    options = parser.parse_args()
    runs = [
        Run("one machine, as a stream"),
        Run(f"Dask, {N_WORKERS} workers"),
        Run(f"Dask, {N_WORKERS} workers, one killed"),
    ]
    with tempfile.TemporaryDirectory(prefix="whitecrow-cluster-") as folder:
        base = Path(folder)
        source, model = base / "rows.parquet", base / "model.safetensors"
        write_rows(source, options.rows)
        rows = pl.read_parquet(source, n_rows=20_000)
        wc.detector(options.detector, random_state=0).fit(rows.drop("number")).save(model)
        load = os.getloadavg()[0]
        outputs = [base / name for name in ("scores.parquet", "parts", "parts-killed")]
        command(runs[0], source, model, outputs[0])
        on_cluster(runs[1], base, source, model, outputs[1], kill=False)
        on_cluster(runs[2], base, source, model, outputs[2], kill=True)
        for run, output in zip(runs, outputs, strict=True):
            run.digest = digest(output)
        if len({(r.document["rows"], r.document["flagged"], r.digest) for r in runs}) > 1:
            raise RuntimeError(f"The results differ: {runs}")
        text = page(runs, options.rows, source.stat().st_size, rows.width, options.detector, load)
    options.out.write_text(text)


if __name__ == "__main__":
    main()
