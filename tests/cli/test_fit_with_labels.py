"""Fits that learn from the labels of a file."""

import numpy as np
import polars as pl
import pytest

import whitecrow as wc
from whitecrow.data import read_table
from whitecrow.io import load


@pytest.fixture
def learn(run, tmp_path):
    """Run a short fit of a detector that learns from known anomalies; return the answer and the model file."""

    def call(file, *words):
        model = tmp_path / "m.safetensors"
        return run("fit", file, "--detector", "devnet", "--set", "epochs=4", *words, "-o", model), model

    return call


def test_labels_as_text_are_those_of_the_python_face(folder, learn):
    answer, model = learn(folder.train, "--label", "label", "--regime", "labelled")
    assert answer.code == 0, answer.err
    table = read_table(folder.train)
    rows, y = table.drop("label"), (table["label"] != "normal").to_numpy().astype(int)
    expected = wc.detector("devnet", epochs=4, random_state=0).fit(rows, y)
    loaded = load(model)
    np.testing.assert_array_equal(loaded.anomaly_score(rows), expected.anomaly_score(rows))
    assert loaded.threshold_ == expected.threshold_
    assert "without known anomalies" in loaded.threshold_source_


def test_rows_without_a_label_are_unlabelled(folder, learn, tmp_path):
    table = read_table(folder.train).with_columns(pl.col("label").cast(str))
    # Nobody has looked at the rows of the second half.
    table = table.with_columns(label=pl.when(pl.int_range(pl.len()) < 750).then("label"))
    table.write_parquet(tmp_path / "half.parquet")
    answer, model = learn(tmp_path / "half.parquet", "--label", "label", "--regime", "labelled", "--json")
    assert answer.code == 0, answer.err
    y = np.where(np.arange(1500) < 750, (table["label"] != "normal").fill_null(False).to_numpy().astype(int), -1)
    assert answer.document["labels"]["unlabelled_rows"] == 750
    rows = table.drop("label")
    expected = wc.detector("devnet", epochs=4, random_state=0).fit(rows, y)
    np.testing.assert_array_equal(load(model).anomaly_score(rows), expected.anomaly_score(rows))


def test_other_words_for_normal_are_named(folder, learn, tmp_path):
    table = read_table(folder.train).with_columns(pl.col("label").cast(str).replace("normal", "good"))
    table.write_parquet(tmp_path / "good.parquet")
    answer, _ = learn(tmp_path / "good.parquet", "--label", "label", "--regime", "labelled")
    assert answer.code == 1
    assert "--normal VALUE" in answer.err
    answer, model = learn(tmp_path / "good.parquet", "--label", "label", "--normal", "good", "--regime", "labelled")
    assert answer.code == 0, answer.err
    assert load(model).summary_["regime"] == "labelled"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--label", "label"), "--regime contaminated: devnet learns from known anomalies. Use --regime labelled"),
        (("--label", "label", "--regime", "clean"), "--regime clean: devnet learns from known anomalies"),
        (("--regime", "labelled"), "--label COLUMN"),
    ],
)
def test_a_fit_without_labels_is_refused_before_reading(folder, learn, words, says):
    answer, model = learn(folder.train, *words)
    assert answer.code == 2
    assert says in answer.err
    assert not model.exists()


def test_a_file_without_known_anomalies_is_refused(folder, learn, tmp_path):
    read_table(folder.train).filter(pl.col("label").cast(str) == "normal").write_parquet(tmp_path / "calm.parquet")
    answer, model = learn(tmp_path / "calm.parquet", "--label", "label", "--regime", "labelled")
    assert answer.code == 1
    assert "learns from known anomalies. Label at least one row 1" in answer.err
    assert not model.exists()
