"""What is said when a cluster cannot do it; scoring on a real one is tests/cli/test_score_cluster.py."""

import sys
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from distributed import KilledWorker
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from whitecrow.core import registry
from whitecrow.core.errors import MissingExtraError, WhitecrowWarning
from whitecrow.io import cluster
from whitecrow.io.cluster import ClusterError, write_on_cluster
from whitecrow.io.parts import plan_parts


@pytest.fixture
def parts(tmp_path):
    rows = pl.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) ** 2})
    rows.write_parquet(tmp_path / "rows.parquet")
    registry.load("pca")(random_state=0).fit(rows).save(tmp_path / "model")
    return plan_parts(tmp_path / "rows.parquet", tmp_path / "model", tmp_path / "out", part_rows=10)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://", "no address", ""])
def test_a_scheduler_that_is_not_there_is_named_before_anything_is_made(parts, tmp_path, address):
    with pytest.raises(ClusterError, match=f"answers at '{address}'.*dask scheduler"):
        next(write_on_cluster(address, parts, timeout=0.2))
    assert not (tmp_path / "out").exists()


def test_without_distributed_the_extra_is_named(parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'whitecrow\[cluster\]'"):
        next(write_on_cluster("tcp://127.0.0.1:1", parts))


class Workers:
    """A client whose workers have these versions of whitecrow."""

    def __init__(self, *versions):
        self.found = {f"tcp://worker-{k}:1": {"packages": {"whitecrow": v}} for k, v in enumerate(versions)}

    def wait_for_workers(self, n, timeout):
        if len(self.found) < n:
            raise TimeoutError

    def get_versions(self, packages):
        return {"workers": self.found}


def test_a_scheduler_without_workers_says_how_to_start_some():
    with pytest.raises(ClusterError, match=r"no workers.*dask worker tcp://here:1"):
        cluster._check_workers(Workers(), "tcp://here:1", 0.1)


def test_a_worker_without_whitecrow_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "version", lambda name: "1.2")
    with pytest.raises(ClusterError, match=r"tcp://worker-1:1 lacks whitecrow.*pip install whitecrow==1\.2"):
        cluster._check_workers(Workers("1.2", None), "tcp://here:1", 0.1)


def test_workers_of_another_version_are_a_warning(monkeypatch):
    monkeypatch.setattr(cluster, "version", lambda name: "1.2")
    cluster._check_workers(Workers("1.2", "1.2"), "tcp://here:1", 0.1)
    with pytest.warns(WhitecrowWarning, match=r"Workers run whitecrow 1\.1, and this command 1\.2"):
        cluster._check_workers(Workers("1.1", "1.2"), "tcp://here:1", 0.1)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KilledWorker("key", SimpleNamespace(address="tcp://x:1"), 3), "rows 1 to 10: every worker .* died, 4 in all"),
        (FutureCancelledError("key", "lost-dependencies"), "tcp://here:1 was lost. Finished parts stay"),
        (CommClosedError("closed"), "tcp://here:1 was lost. Finished parts stay"),
    ],
)
def test_what_ends_a_run_says_what_to_do(parts, error, message):
    def result():
        raise error

    with pytest.raises(ClusterError, match=message):
        cluster._result(SimpleNamespace(result=result), "tcp://here:1", parts[0])


def test_without_a_worker_patience_ends(parts, monkeypatch):
    class Idle:
        loop = None

        def scheduler_info(self):
            return {"workers": {}}

    monkeypatch.setattr("distributed.as_completed", lambda futures, loop: SimpleNamespace(next_batch=lambda block: []))
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 0.0)
    with pytest.raises(ClusterError, match=r"no worker for 0\.2 seconds"):
        next(cluster._finished(Idle(), "tcp://here:1", {object(): parts[0]}, patience=0.2))
