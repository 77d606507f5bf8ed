import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from whitecrow.cli import main
from whitecrow.data import simulate_traffic


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


Run = Callable[..., Answer]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words: object) -> Answer:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Answer(code, *capsys.readouterr())

    return call


class Folder(NamedTuple):
    """Two weeks of simulated traffic and models of the first."""

    train: Path
    test: Path
    autoencoder: Path
    pca: Path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    base = tmp_path_factory.mktemp("cli")
    names = ("train.csv", "test.parquet", "autoencoder.safetensors", "pca.safetensors")
    files = Folder(*(base / name for name in names))
    for path, seed in ((files.train, 1), (files.test, 2)):
        data = simulate_traffic(rows=1500, attack_rate=0.05, seed=seed)
        table = data.X.with_columns(label=data.families)
        (table.write_csv if path.suffix == ".csv" else table.write_parquet)(path)
    common = ["fit", str(files.train), "--label", "label", "--contamination", "0.05", "--quiet"]
    assert main([*common, "--detector", "autoencoder", "--set", "epochs=4", "-o", str(files.autoencoder)]) == 0
    assert main([*common, "--detector", "pca", "-o", str(files.pca)]) == 0
    return files
