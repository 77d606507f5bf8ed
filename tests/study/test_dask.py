"""A study on a cluster of which a worker is killed: nothing is lost, nothing counted twice."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from whitecrow.core.errors import ParameterError
from whitecrow.study.runner import run_study
from whitecrow.study.store import Store

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:ResourceWarning")

TIMES = ("fit_s", "score_s", "memory_mb", "finished")


@pytest.fixture
def cluster(tmp_path, preloaded):
    """Start a scheduler and two workers as processes of their own; yield its address and the workers."""
    address = tmp_path / "scheduler.json"
    run = [sys.executable, "-m", "distributed.cli"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    scheduler = subprocess.Popen(
        [*run[:2], "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(address)],
        **quiet,
    )
    workers = [
        subprocess.Popen(
            [*run[:2], "distributed.cli.dask_worker", "--scheduler-file", str(address), "--nthreads", "1", "--no-nanny",
             "--no-dashboard"], **quiet,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        with distributed.Client(scheduler_file=str(address), timeout="60s") as client:
            client.wait_for_workers(2, timeout=60)
            yield client.scheduler.address, workers
    finally:
        for process in (*workers, scheduler):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(make_study, tmp_path, cluster):
    address, workers = cluster
    methods = [{"name": "autoencoder", "parameters": {"epochs": 3}}, "knn", "pca", "isolation-forest"]
    study = make_study(detectors=methods, protocol="robustness", contamination=[0.0, 0.05, 0.1], seeds=5)
    store, seen = Store(tmp_path / "cluster"), []

    def kill_one_of_two():
        while not seen:
            time.sleep(0.05)
        workers[0].kill()

    killer = threading.Thread(target=kill_one_of_two, daemon=True)
    killer.start()
    summary = run_study(
        study, store, backend="dask", address=address, on_progress=lambda p: seen.append(p) if p.latest else None
    )
    killer.join(10)
    assert workers[0].poll() is not None
    assert (summary.done, summary.failed) == (60, 0)
    alone = Store(tmp_path / "alone")
    run_study(study, alone)
    found, expected = (s.cells("small").drop(*TIMES) for s in (store, alone))
    assert found.equals(expected)


def test_a_scheduler_that_does_not_answer_is_named(make_study, tmp_path, monkeypatch):
    client = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: client(address, timeout="0.2s"))
    with pytest.raises(ParameterError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run_study(make_study(), Store(tmp_path), backend="dask", address="tcp://127.0.0.1:9")
