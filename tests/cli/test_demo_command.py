import shlex

import pytest

from whitecrow.cli import demo
from whitecrow.data import read_table
from whitecrow.io import inspect


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "_ROWS", 1500)
    monkeypatch.setattr(demo, "_ATTACK_RATE", 0.05)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_demo_leaves_data_model_scores_and_report(run, small):
    answer = run("demo", "--out", "my demo")
    assert answer.code == 0, answer.err
    folder = small / "my demo"
    names = {"autoencoder.safetensors", "earlier.parquet", "later.parquet", "report.html", "scores.parquet"}
    assert {path.name for path in folder.iterdir()} == names
    earlier, later, scores = (read_table(folder / f"{name}.parquet") for name in ("earlier", "later", "scores"))
    assert earlier["timestamp"].max() <= later["timestamp"].min()
    assert scores.columns == [*later.columns, "score", "p_value", "is_anomaly"]
    assert "label" not in [column["name"] for column in inspect(folder / "autoencoder.safetensors")["columns"]]
    report = (folder / "report.html").read_text("utf-8")
    for name in ("autoencoder", "isolation-forest", "pca"):
        assert name in answer.out
        assert name in report
    assert "not because it came out best" in " ".join(report.split())


def test_the_next_steps_work_as_printed(run, small):
    said = run("demo", "--out", "my demo").out
    steps = [line.strip() for line in said.splitlines() if line.startswith("  whitecrow ")]
    assert len(steps) == 4
    for step in steps:
        answer = run(*shlex.split(step)[1:], "--quiet")
        assert answer.code == 0, f"{step}: {answer.err}"


def test_the_demo_gives_one_document_under_json(run, small):
    document = run("demo", "--json").document
    assert set(document["detectors"]) == {"autoencoder", "isolation-forest", "pca"}
    assert document["files"]["report"] == "whitecrow-demo/report.html"
    assert document["alerts"][0]["score"] >= document["alerts"][-1]["score"]
