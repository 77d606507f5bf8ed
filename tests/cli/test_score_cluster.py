"""``whitecrow score`` in parts: a folder on this machine, and a Dask scheduler with workers that die."""

import contextlib
import json
import os
import signal
import subprocess
import time
from typing import NamedTuple

import polars as pl
import pytest

from whitecrow.cli import main
from whitecrow.data import read_table, simulate_traffic
from whitecrow.io import cluster as cluster_module
from whitecrow.io import part_folder

N_FILES, FILE_ROWS = 40, 5000
# A worker that dies at the worst moment: its third part is written under its temporary name and not renamed.
DOOMED = """
import itertools, os, signal
from contextlib import contextmanager
from whitecrow.io import parts

def dying(whole, count):
    @contextmanager
    def atomic_write(path):
        with whole(path) as draft:
            yield draft
            if next(count) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
    return atomic_write

parts.atomic_write = dying(parts.atomic_write, itertools.count(1))
"""


@pytest.fixture(scope="module")
def files(folder, tmp_path_factory):
    """Return a folder of Parquet files: the connections of a test week, over and over."""
    base = tmp_path_factory.mktemp("weeks") / "in"
    base.mkdir()
    week = simulate_traffic(rows=FILE_ROWS, attack_rate=0.05, seed=3).X
    for k in range(N_FILES):
        number = pl.int_range(k * FILE_ROWS, (k + 1) * FILE_ROWS, eager=True)
        week.with_columns(number.alias("number"), pl.col("bytes_out") + k).write_parquet(base / f"{k:03d}.parquet")
    return base


@pytest.fixture(scope="module")
def expected(files, folder, tmp_path_factory):
    """Return the rows as the stream of one machine scores them."""
    whole, out = (tmp_path_factory.mktemp("whole") / name for name in ("rows.parquet", "scores.parquet"))
    pl.read_parquet(files).write_parquet(whole)
    assert main(["score", str(whole), "--model", str(folder.pca), "-o", str(out), "--quiet"]) == 0
    return read_table(out)


def test_a_folder_is_scored_as_one_file_is(run, files, folder, expected, tmp_path):
    answer = run("score", files, "--model", folder.pca, "-o", tmp_path / "out", "--json")
    assert answer.code == 0, answer.err
    assert pl.read_parquet(tmp_path / "out").equals(expected)
    assert answer.document["rows"] == N_FILES * FILE_ROWS
    assert answer.document["flagged"] == expected["is_anomaly"].sum()
    assert (answer.document["parts"], answer.document["kept"]) == (N_FILES, 0)


def test_an_interrupted_folder_goes_on_where_it_stopped(run, files, folder, expected, tmp_path, monkeypatch):
    out, write = tmp_path / "out", part_folder.write_part

    def stops(part):
        if part.number == 7:
            raise KeyboardInterrupt
        return write(part)

    monkeypatch.setattr(part_folder, "write_part", stops)
    words = ("score", files, "--model", folder.pca, "-o", out, "--json")
    answer = run(*words)
    assert answer.code == 130
    assert f"Finished parts are in {out}; the same command goes on from there" in answer.err.replace("\n", " ")
    monkeypatch.undo()
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert len(before) == 7
    assert run(*words).document["kept"] == 7
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in out.iterdir()}.items()
    assert pl.read_parquet(out).equals(expected)


def test_scores_of_another_model_in_the_folder_are_refused(run, files, folder, tmp_path):
    few, out = tmp_path / "in", tmp_path / "out"
    few.mkdir()
    (few / "a.parquet").write_bytes((files / "000.parquet").read_bytes())
    assert run("score", few, "--model", folder.pca, "-o", out).code == 0
    answer = run("score", few, "--model", folder.autoencoder, "-o", out)
    assert answer.code == 1
    assert "scores of another model" in answer.err
    assert len(list(out.iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{files}", "-o", "{tmp}/out.parquet"), "name without a suffix"),
        (("{csv}", "-o", "{tmp}/out", "--cluster", "tcp://127.0.0.1:1"), "takes a Parquet file or a folder"),
        (("{files}", "-o", "{files}"), "the folder of the input"),
        (("{files}", "-o", "{files}/out"), "lies in it"),
        (("{files}", "-o", "{tmp}/no/out"), "does not exist"),
        (("{files}", "-o", "{csv}"), "is a file"),
        (("{files}/000.parquet", "-o", "{tmp}/out.csv", "--cluster", "tcp://127.0.0.1:1"), "name without a suffix"),
    ],
)
def test_wrong_use_is_said_before_any_work(run, files, folder, tmp_path, words, message):
    plain = tmp_path / "table"
    plain.write_text("a\n1\n")
    names = {"files": files, "tmp": tmp_path, "csv": plain}
    answer = run("score", *(word.format(**names) for word in words), "--model", folder.pca)
    assert answer.code in (1, 2)
    assert message in " ".join(answer.err.split())
    assert list(tmp_path.iterdir()) == [plain]


class Cluster(NamedTuple):
    """A scheduler, a worker that dies in its third part, and a worker that lives."""

    address: str
    doomed: subprocess.Popen
    sound: subprocess.Popen


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, preloaded_python):
    base = tmp_path_factory.mktemp("cluster")
    (base / "doomed.py").write_text(DOOMED)
    (base / "sound.py").write_text("import whitecrow.io.parts\n")
    told = base / "scheduler.json"
    with contextlib.ExitStack() as stack:
        log = base / "scheduler.log"
        started(stack, preloaded_python, log, "scheduler", "--port", "0", "--scheduler-file", told)
        wait_for(told.exists, "the start of the scheduler")
        words = ("worker", "--scheduler-file", told, "--no-nanny", "--nthreads", "1", "--preload")
        logs = [base / f"{name}.log" for name in ("doomed", "sound")]
        workers = [started(stack, preloaded_python, log, *words, log.with_suffix(".py")) for log in logs]
        for log in logs:
            wait_for(lambda log=log: "Registered to" in log.read_text(), f"the start of a worker, which logs in {log},")
        yield Cluster(json.loads(told.read_text())["address"], *workers)


def started(stack, python, log, command, *words):
    """Start a command of dask that ends with the stack."""
    module = f"distributed.cli.dask_{command}"
    command = [python, "-m", module, *map(str, words), "--host", "127.0.0.1", "--no-dashboard"]
    stream = stack.enter_context(log.open("w"))
    environment = {**os.environ, "DASK_TEMPORARY_DIRECTORY": str(log.parent), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def wait_for(happened, what, seconds=60):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"{what} took more than {seconds} seconds"
        time.sleep(0.02)


def test_a_killed_worker_costs_no_row_and_doubles_none(run, cluster, files, folder, expected, tmp_path):
    out = tmp_path / "out"
    answer = run("score", files, "--model", folder.pca, "-o", out, "--cluster", cluster.address, "--json")
    assert answer.code == 0, answer.err
    assert cluster.doomed.wait(10) == -signal.SIGKILL
    found = pl.read_parquet(out)
    assert found["number"].to_list() == list(range(N_FILES * FILE_ROWS))
    assert found.equals(expected)
    assert answer.document["rows"] == N_FILES * FILE_ROWS
    assert answer.document["flagged"] == expected["is_anomaly"].sum()
    assert sorted(path.suffix for path in out.iterdir()) == [".parquet"] * N_FILES


def test_an_interrupted_cluster_run_goes_on_where_it_stopped(
    run, cluster, files, folder, expected, tmp_path, monkeypatch
):
    out, result = tmp_path / "out", cluster_module._result
    left = iter(range(3))

    def stops(*arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return result(*arguments)

    monkeypatch.setattr(cluster_module, "_result", stops)
    words = ("score", files, "--model", folder.pca, "-o", out, "--cluster", cluster.address, "--json")
    answer = run(*words)
    assert answer.code == 130
    assert "the same command goes on from there" in answer.err.replace("\n", " ")
    monkeypatch.undo()
    answer = run(*words)
    assert answer.code == 0, answer.err
    assert answer.document["kept"] >= 3
    assert pl.read_parquet(out).equals(expected)


def test_what_is_wrong_with_some_rows_comes_back_with_their_names(run, cluster, files, folder, tmp_path):
    bad, out = tmp_path / "in", tmp_path / "out"
    bad.mkdir()
    for k in range(3):
        rows = read_table(files / "000.parquet").with_columns(pl.col("bytes_out").cast(pl.String))
        if k == 1:
            rows[2345, "bytes_out"] = "many"
        rows.write_parquet(bad / f"{k}.parquet")
    words = ("score", bad, "--model", folder.pca, "-o", out, "--cluster", cluster.address)
    answer = run(*words)
    assert answer.code == 1
    assert "1.parquet, rows 1 to 5,000: " in answer.err.replace("\n", " ")
    assert "'bytes_out'" in answer.err
