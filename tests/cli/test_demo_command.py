import contextlib
import io
import shlex
from pathlib import Path

import pytest

from whitecrow.cli import demo, main
from whitecrow.core import registry
from whitecrow.data import read_table
from whitecrow.io import inspect

DETECTORS = {"auto", "autoencoder", "isolation-forest"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A smaller demo, run once: the folder it was run in, and what it said."""
    base = tmp_path_factory.mktemp("demo")
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(demo, "_ROWS", 1500)
        patch.setattr(demo, "_ATTACK_RATE", 0.05)
        patch.setenv("COLUMNS", "80")
        patch.chdir(base)
        assert main(["demo", "--out", "my demo"]) == 0
    return base, said.getvalue()


def test_the_demo_leaves_data_model_scores_and_report(finished):
    base, said = finished
    folder = base / "my demo"
    names = {"auto.safetensors", "earlier.parquet", "later.parquet", "report.html", "scores.parquet"}
    assert {path.name for path in folder.iterdir()} >= names
    earlier, later, scores = (read_table(folder / f"{name}.parquet") for name in ("earlier", "later", "scores"))
    assert earlier["timestamp"].max() <= later["timestamp"].min()
    assert scores.columns == [*later.columns, "score", "p_value", "is_anomaly"]
    assert "label" not in [column["name"] for column in inspect(folder / "auto.safetensors")["columns"]]
    report = (folder / "report.html").read_text("utf-8")
    for name in DETECTORS:
        assert name in said
        assert name in report
    assert "not because it came out best" in " ".join(report.split())


def test_the_next_steps_work_as_printed(finished, run, monkeypatch):
    base, said = finished
    steps = [line.strip() for line in said.splitlines() if line.startswith("  whitecrow ")]
    assert len(steps) == 4
    monkeypatch.chdir(base)
    for step in steps:
        answer = run(*shlex.split(step)[1:], "--quiet")
        assert answer.code == 0, f"{step}: {answer.err}"


def test_the_demo_gives_one_document_under_json(run, tmp_path, monkeypatch):
    def quick(name, earlier, seed):
        fast = {"autoencoder": {"epochs": 2}, "auto": {"budget": "fast"}}.get(name, {})
        return registry.load(name)(random_state=seed, verbose=False, **fast).fit(earlier.drop("label"))

    monkeypatch.setattr(demo, "_ROWS", 800)
    monkeypatch.setattr(demo, "_ATTACK_RATE", 0.05)
    monkeypatch.setattr(demo, "_fit", quick)
    monkeypatch.chdir(tmp_path)
    document = run("demo", "--json").document
    assert set(document["detectors"]) == DETECTORS
    assert document["files"]["report"] == str(Path("whitecrow-demo", "report.html"))
    assert document["alerts"][0]["score"] >= document["alerts"][-1]["score"]
