"""Measure the scoring server on loopback: single records at a fixed rate, a large body, memory over many requests.

Run ``python benchmarks/server.py``; it ends by itself. Requests are sent when they are due, whether the ones before
them have been answered or not, and what is measured begins when they were due.
"""

import argparse
import asyncio
import http.client
import io
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl

from whitecrow.core.processes import resident_mb
from whitecrow.io import score_batch
from whitecrow.workspace import FitRequest, SplitRule, Workspace
from whitecrow.workspace.runs import ENDED

COLUMNS = 20
FITTED = 5_000
LARGE = 100_000
CONNECTIONS = 32


def table(rows: int, seed: int = 0) -> pl.DataFrame:
    """Return correlated numbers and a category."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 5)) @ rng.normal(size=(5, COLUMNS - 1)) + rng.normal(size=(rows, COLUMNS - 1))
    columns = {f"x{k}": numbers[:, k] for k in range(COLUMNS - 1)}
    return pl.DataFrame({**columns, "kind": rng.choice(["a", "b", "c"], rows)})


def fitted(folder: Path, detector: str) -> tuple[str, Path]:
    """Fit a detector in a workspace; return its run and its model file."""
    space = Workspace(folder)
    space.jobs.start()
    try:
        key = space.jobs.submit(
            FitRequest(space.datasets.add(table(FITTED), "Rows").id, detector, split=SplitRule("all"))
        ).id
        while space.runs.get(key).state not in ENDED:
            time.sleep(0.1)
        return key, space.runs.model_file(key, space.runs.version(key))
    finally:
        space.jobs.close()


def post(port: int, path: str, body: bytes, kind: str, accept: str) -> float:
    """Send a body and return the seconds until the whole answer is here."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    began = time.perf_counter()
    connection.request("POST", path, body, {"Content-Type": kind, "Accept": accept})
    answer = connection.getresponse()
    answer.read()
    seconds = time.perf_counter() - began
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"status {answer.status}")
    return seconds


async def at_rate(port: int, path: str, body: bytes, rate: float, n: int) -> tuple[list[float], int]:
    """Return the seconds from when each request was due to its answer, and how many answers were no 200."""
    request = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    seconds: list[float] = []
    wrong = 0

    async def one(due: float) -> None:
        nonlocal wrong
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        seconds.append(time.perf_counter() - due)
        wrong += not head.startswith(b"HTTP/1.1 200")
        free.put_nowait((reader, writer))

    began = time.perf_counter()
    tasks = []
    for k in range(n):
        due = began + k / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    while not free.empty():
        free.get_nowait()[1].close()
    return seconds, wrong


def measure(detector: str, rate: float, requests: int, rounds: int) -> list[tuple[str, str, str]]:
    """Return rows (what, figure, target) for one detector."""
    with tempfile.TemporaryDirectory() as folder:
        run, model = fitted(Path(folder) / "space", detector)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "whitecrow.cli",
            "serve",
            "--workspace",
            f"{folder}/space",
            "--port",
            str(port),
        ]
        environment = {name: value for name, value in os.environ.items() if name != "WHITECROW_TOKEN"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env=environment, **quiet) as server:
            try:
                return _measured(port, run, model, server.pid, rate, requests, rounds)
            finally:
                server.terminate()


def _measured(
    port: int, run: str, model: Path, pid: int, rate: float, requests: int, rounds: int
) -> list[tuple[str, str, str]]:
    path = f"/api/runs/{run}/score"
    record = json.dumps(table(1, 1).to_dicts()).encode()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError):
            post(port, path, record, "application/json", "application/json")
            break
        time.sleep(0.2)
    asyncio.run(at_rate(port, path, record, rate, int(rate)))
    before = resident_mb(pid)
    seconds, wrong = asyncio.run(at_rate(port, path, record, rate, requests))
    after = resident_mb(pid)
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1000

    rows = table(LARGE, 2)
    stream = io.BytesIO()
    rows.write_parquet(stream)
    parquet = "application/vnd.apache.parquet"
    score_batch(rows.head(1000), model)
    over: dict[str, list[float]] = {"here": [], "read": [], parquet: [], "application/json": []}
    for _ in range(rounds):
        began = time.perf_counter()
        score_batch(rows, model)
        over["here"].append(time.perf_counter() - began)
        began = time.perf_counter()
        score_batch(pl.read_parquet(io.BytesIO(stream.getvalue())), model)
        over["read"].append(time.perf_counter() - began)
        for accept in (parquet, "application/json"):
            over[accept].append(post(port, path, stream.getvalue(), parquet, accept))
    rates = {name: LARGE / statistics.median(values) for name, values in over.items()}
    return [
        (f"{requests:,} single records at {rate:g}/s: median", f"{p50:.1f} ms", "below 8 ms"),
        ("the same: 99th percentile", f"{p99:.1f} ms", "below 60 ms"),
        ("the same: answers that were no 200", str(wrong), "0"),
        (f"memory before and after them ({after - before:+.1f} MB)", f"{before:.0f}, {after:.0f} MB", "flat"),
        (f"{LARGE:,} rows in this process", f"{rates['here']:,.0f} rows/s", ""),
        ("the same from Parquet", f"{rates['read']:,.0f} rows/s", ""),
        (
            "Parquet there and back / in this process from Parquet",
            f"{rates[parquet] / rates['read']:.2f}",
            "at least 0.5",
        ),
        (
            "Parquet there, JSON back / in this process from Parquet",
            f"{rates['application/json'] / rates['read']:.2f}",
            "",
        ),
        ("Parquet there and back / in this process from a table", f"{rates[parquet] / rates['here']:.2f}", ""),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", default="autoencoder")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    sys.stdout.write(f"{given.detector} on {platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before\n")
    for what, figure, target in measure(given.detector, given.rate, given.requests, given.rounds):
        sys.stdout.write(f"{what:66s} {figure:>18s}   {target}\n")


if __name__ == "__main__":
    main()
