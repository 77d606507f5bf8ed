"""The order of the tests, and a Python that starts at once."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# What the processes that tests start import, and each of them seconds long.
PRELOADED = (
    "whitecrow.cli.app", "whitecrow.cli.study", "whitecrow.study.execution", "whitecrow.study.runner",
    "whitecrow.detectors.tabular.autoencoder", "whitecrow.detectors.tabular.isolation_forest",
    "whitecrow.detectors.tabular.knn", "whitecrow.detectors.tabular.pca", "sklearn.metrics", "distributed.cli",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep those of one detector together, file by file, so that one process fits it once."""

    def of_detector(item: pytest.Item) -> str:
        return str(item.callspec.params.get("name", "")) if hasattr(item, "callspec") else ""

    ours = [k for k, item in enumerate(items) if item.path.is_relative_to(Path(__file__).parent / "tests")]
    together = sorted((items[k] for k in ours), key=lambda item: (str(item.path), of_detector(item)))
    for k, item in zip(ours, together, strict=True):
        items[k] = item


@pytest.fixture(scope="session")
def preloaded_python() -> Iterator[str]:
    """Return the path of an interpreter that forks a process which has imported whitecrow already."""
    if not hasattr(os, "pidfd_open"):
        yield sys.executable
        return
    script = Path(__file__).parent / "tests" / "preloaded.py"
    with tempfile.TemporaryDirectory() as folder:
        python, place = Path(folder, "python"), str(Path(folder, "socket"))
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{script}" connect "{place}" "$0" "$@"\n')
        python.chmod(0o755)
        command = [sys.executable, "-W", "ignore::RuntimeWarning:runpy", str(script), "serve", place, *PRELOADED]
        # One thread: a process that forks must have no other, and cells of a study have one each.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as server:
            assert server.stdout.readline() == b"ready\n"
            yield str(python)
            server.stdin.close()


@pytest.fixture
def preloaded(preloaded_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test, and what it tests, start that interpreter instead of one that imports everything anew."""
    monkeypatch.setattr(sys, "executable", preloaded_python)
