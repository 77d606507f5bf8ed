import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from whitecrow.cli import fit as fit_module
from whitecrow.data import read_table
from whitecrow.io import inspect, load

# A true SIGINT, sent where the third epoch ends.
INTERRUPTED = """
import os, signal, sys
from whitecrow.cli import fit, main
state = fit._state
def stop(progress):
    if progress.epoch == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return state(progress)
fit._state = stop
sys.exit(main(sys.argv[1:]))
"""


def columns_of(model):
    return [column["name"] for column in inspect(model)["columns"]]


def test_the_model_is_that_of_the_python_face(run, folder, tmp_path):
    import whitecrow as wc

    model = tmp_path / "m.safetensors"
    answer = run(
        "fit", folder.train, "--detector", "pca", "--set", "n_components=5", "score_type=reconstruction",
        "--label", "label", "--contamination", "0.03", "--seed", "7", "-o", model,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    rows = read_table(folder.train).drop("label")
    expected = wc.detector("pca", n_components=5, score_type="reconstruction", contamination=0.03, random_state=7)
    expected.fit(rows)
    loaded = load(model)
    assert np.array_equal(loaded.anomaly_score(rows), expected.anomaly_score(rows))
    assert loaded.threshold_ == expected.threshold_


def test_labels_and_ignored_columns_never_reach_training(run, folder, tmp_path):
    model = tmp_path / "m.safetensors"
    answer = run(
        "fit", folder.train, "--detector", "pca", "--label", "label", "--ignore", "timestamp", "source", "-o", model,
        "--json",
    )  # fmt: skip
    kept = columns_of(model)
    assert not {"label", "timestamp", "source"} & set(kept)
    assert len(kept) == read_table(folder.train, n_rows=1).width - 3
    assert answer.document["left_out"] == ["label", "timestamp", "source"]
    assert answer.document["labels"]["anomalous_rows"] == 75
    everything = model.read_bytes()
    assert b"port_scan" not in everything


def test_labelled_rows_that_are_anomalous_are_kept_out_of_training(run, folder, tmp_path):
    model = tmp_path / "m.safetensors"
    answer = run(
        "fit", folder.train, "--detector", "pca", "--label", "label", "--regime", "labelled", "-o", model, "--json"
    )
    summary = answer.document["summary"]
    assert summary["rows_trained_on"] + summary["rows_held_out"] == 1500 - 75
    assert "label" not in columns_of(model)


def test_a_clean_regime_that_the_labels_deny_is_noted(run, folder, tmp_path):
    answer = run(
        "fit",
        folder.train,
        "--detector",
        "pca",
        "--label",
        "label",
        "--regime",
        "clean",
        "-o",
        tmp_path / "m",
        "--json",
    )
    assert "75 are labelled as anomalies" in answer.document["warnings"][0]


def test_labels_that_cannot_be_read_are_dropped_all_the_same(run, tmp_path):
    path = tmp_path / "t.csv"
    rng = np.random.default_rng(0)
    pl.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "class": rng.integers(3, 6, 60)}).write_csv(path)
    answer = run("fit", path, "--detector", "pca", "--label", "class", "-o", tmp_path / "m", "--json")
    assert answer.code == 0
    assert answer.document["labels"] is None
    assert columns_of(tmp_path / "m") == ["a", "b"]


def test_a_file_without_a_header_has_numbered_columns(run, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("".join(f"{k % 7},tcp,{k * 3 % 11},{'normal.' if k % 9 else 'smurf.'}\n" for k in range(90)))
    answer = run("fit", path, "--detector", "pca", "--label", "column_4", "-o", tmp_path / "m", "--json")
    assert answer.code == 0, answer.err
    assert columns_of(tmp_path / "m") == ["column_1", "column_2", "column_3"]
    assert answer.document["labels"]["counts"] == {"normal.": 80, "smurf.": 10}


def test_the_same_command_gives_the_same_model(run, folder, tmp_path):
    rows = read_table(folder.test)
    scores = []
    for name in ("a", "b"):
        fast = ("--set", "epochs=2", "--replicas", "2", "--label", "label")
        assert run("fit", folder.train, "--detector", "autoencoder", *fast, "-o", tmp_path / name).code == 0
        scores.append(load(tmp_path / name).anomaly_score(rows))
    assert np.array_equal(*scores)
    assert len(inspect(tmp_path / "a")["replica_seeds"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.usefixtures("preloaded")
def test_an_interrupted_fit_leaves_a_checkpoint_and_the_same_command_ends_it(run, folder, tmp_path):
    model = tmp_path / "m.safetensors"
    words = [
        "fit", str(folder.train), "--detector", "autoencoder", "--label", "label", "--set", "epochs=8",
        "-o", str(model),
    ]  # fmt: skip
    stopped = subprocess.run([sys.executable, "-c", INTERRUPTED, *words], capture_output=True, text=True, check=False)
    assert stopped.returncode == 130, stopped.stderr
    assert "Stopped at epoch 2/8" in stopped.stderr
    assert "The same command" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors.checkpoint"]

    assert run(*words).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    whole = tmp_path / "whole.safetensors"
    assert run(*words[:-1], whole).code == 0
    rows = read_table(folder.test)
    resumed, undisturbed = load(model), load(whole)
    assert np.array_equal(resumed.anomaly_score(rows), undisturbed.anomaly_score(rows))
    assert resumed.history_ == undisturbed.history_


def test_a_checkpoint_of_another_fit_is_refused(run, folder, tmp_path, monkeypatch):
    model = tmp_path / "m.safetensors"
    words = ["fit", str(folder.train), "--detector", "autoencoder", "--label", "label", "-o", str(model), "--set"]

    def stop(progress):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "_state", stop)
        assert run(*words, "epochs=5").code == 130
    answer = run(*words, "epochs=6")
    assert answer.code == 1
    assert "other parameters" in answer.err
    assert not model.exists()


@pytest.mark.parametrize("detector", ["pca", "isolation-forest"])
def test_a_model_that_was_there_stays_where_the_new_fit_fails(run, tmp_path, detector):
    model, path = tmp_path / "m.safetensors", tmp_path / "one.csv"
    model.write_bytes(b"old")
    path.write_text("a,b\n1,2\n")
    answer = run("fit", path, "--detector", detector, "-o", model)
    assert answer.code == 1
    assert model.read_bytes() == b"old"
