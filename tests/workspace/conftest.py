"""Small workspaces."""

import time
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from whitecrow.workspace import DatasetSettings, FitRequest, RunRecord, SplitRule, Workspace
from whitecrow.workspace.runs import ENDED


def small_table(rows: int = 300, seed: int = 0) -> pl.DataFrame:
    """Two numbers, a category and a label; the anomalies lie out, mostly with a category of their own."""
    rng = np.random.default_rng(seed)
    odd = rng.random(rows) < 0.1
    return pl.DataFrame(
        {
            "at": pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 12, 31), "1h", eager=True)[:rows],
            "size": rng.normal(100, 10, rows) + 20 * odd,
            "rate": rng.normal(5, 1, rows) - 2 * odd,
            "service": np.where(odd & (rng.random(rows) < 0.7), "telnet", rng.choice(["http", "dns"], rows)),
            "label": np.where(odd, "scan", "normal"),
        }
    )


def wait(workspace: Workspace, key: str, seconds: float = 90.0) -> RunRecord:
    """Return a run once it has ended."""
    end = time.monotonic() + seconds
    while (record := workspace.runs.get(key)).state not in ENDED:
        assert time.monotonic() < end, f"still {record.state} after {seconds} s"
        time.sleep(0.02)
    return record


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    """An empty workspace whose queue is not worked."""
    return Workspace(tmp_path / "space")


@pytest.fixture(scope="module")
def busy(tmp_path_factory) -> Iterator[Workspace]:
    """A workspace whose queue is worked, with a data set."""
    space = Workspace(tmp_path_factory.mktemp("busy") / "space")
    space.datasets.add(small_table(), "Traffic", settings=DatasetSettings(label="label", ignore=("at",)))
    space.jobs.start()
    yield space
    space.jobs.close()


@pytest.fixture(scope="module")
def dataset(busy) -> str:
    """Id of the data set of the busy workspace."""
    return busy.datasets.all()[-1].id


@pytest.fixture(scope="module")
def done(busy, dataset) -> str:
    """Id of a run that is done."""
    return wait(busy, busy.jobs.submit(FitRequest(dataset, "pca", split=SplitRule("order"))).id).id
