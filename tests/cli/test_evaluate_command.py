import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from whitecrow.data import read_table
from whitecrow.io import load


def evaluate(run, file, model, *more):
    answer = run("evaluate", file, "--model", model, "--label", "label", "--json", *more)
    assert answer.code == 0, answer.err
    return answer.document


def test_figures_are_those_of_scikit_learn(run, folder):
    found = evaluate(run, folder.test, folder.autoencoder)
    rows = read_table(folder.test)
    y = (rows["label"].cast(str) != "normal").to_numpy()
    detector = load(folder.autoencoder)
    scores = detector.anomaly_score(rows)
    fpr, tpr, _ = roc_curve(y, scores, drop_intermediate=False)
    flags = scores > detector.threshold_
    expected = {
        "auroc": roc_auc_score(y, scores),
        "average_precision": average_precision_score(y, scores),
        "recall_at_1_percent_fpr": tpr[fpr <= 0.01].max(),
        "recall_at_0.1_percent_fpr": tpr[fpr <= 0.001].max(),
        "precision": y[flags].mean(),
        "recall": flags[y].mean(),
    }
    for name, value in expected.items():
        figure = found["metrics"][name]
        assert figure["value"] == pytest.approx(value)
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert found["confusion"]["tp"] == int((flags & y).sum())
    assert found["threshold_source"] == detector.threshold_source_


def test_recall_is_told_for_each_kind_of_anomaly(run, folder):
    found = evaluate(run, folder.test, folder.pca)
    rows = read_table(folder.test)
    kinds = set(rows["label"].cast(str).unique()) - {"normal"}
    assert {family["family"] for family in found["families"]} == kinds
    assert sum(family["n"] for family in found["families"]) == 75


def test_costs_are_those_that_were_given(run, folder):
    found = evaluate(run, folder.test, folder.pca, "--cost-miss", "7", "--cost-false-alarm", "2")
    counts = found["confusion"]
    assert found["cost"]["at_threshold"]["value"] == pytest.approx((7 * counts["fn"] + 2 * counts["fp"]) / 1500)
    assert found["cost"]["flag_nothing"] == pytest.approx(7 * 75 / 1500)


def test_rows_of_the_fit_are_recognised(run, folder):
    assert any("share rows" in note for note in evaluate(run, folder.train, folder.autoencoder)["warnings"])
    assert not any("share rows" in note for note in evaluate(run, folder.test, folder.autoencoder)["warnings"])


def test_copies_of_rows_do_not_narrow_the_intervals(run, folder, tmp_path):
    rows = read_table(folder.test)
    once, often = tmp_path / "once.parquet", tmp_path / "often.parquet"
    rows.write_parquet(once)
    pl.concat([rows] * 6).write_parquet(often)
    widths = []
    for path in (once, often):
        found = evaluate(run, path, folder.pca)
        widths.append(found["metrics"]["auroc"]["high"] - found["metrics"]["auroc"]["low"])
    assert widths[1] > 0.8 * widths[0]
    assert any("83 % of the rows are copies" in note for note in found["warnings"])


def test_rows_without_a_label_are_left_out_and_counted(run, folder, tmp_path):
    rows = read_table(folder.test)
    unknown = tmp_path / "unknown.parquet"
    hidden = np.arange(rows.height) % 10 == 0
    rows.with_columns(label=pl.when(pl.Series(hidden)).then(None).otherwise(pl.col("label").cast(str))).write_parquet(
        unknown
    )
    found = evaluate(run, unknown, folder.pca)
    assert found["n"] == rows.height - hidden.sum()
    assert found["labels"]["unlabelled_rows"] == hidden.sum()
    assert any("150 rows have no label" in note for note in found["warnings"])


def test_a_model_that_was_fitted_on_the_label_is_exposed(run, folder, tmp_path):
    assert run("fit", folder.train, "--detector", "pca", "-o", tmp_path / "m").code == 0
    assert any("'label' itself" in note for note in evaluate(run, folder.test, tmp_path / "m")["warnings"])


def test_rows_of_one_class_are_refused(run, folder, tmp_path):
    path = tmp_path / "normal.parquet"
    read_table(folder.test).filter(pl.col("label").cast(str) == "normal").write_parquet(path)
    answer = run("evaluate", path, "--model", folder.pca, "--label", "label")
    assert answer.code == 1
    assert "both classes" in answer.err


def test_explain_shows_the_highest_scores_with_their_rows(run, folder):
    answer = run("explain", folder.test, "--model", folder.autoencoder, "--top", "4", "--json")
    rows = read_table(folder.test)
    scores = load(folder.autoencoder).anomaly_score(rows)
    best = np.argsort(-scores, kind="stable")[:4]
    assert [row["row"] for row in answer.document["rows"]] == (best + 1).tolist()
    assert [row["score"] for row in answer.document["rows"]] == pytest.approx(scores[best].tolist())
    assert [row["values"]["bytes_out"] for row in answer.document["rows"]] == rows["bytes_out"].gather(best).to_list()
    shown = run("explain", folder.test, "--model", folder.autoencoder, "--top", "4").out
    assert f"row {best[0] + 1:,}" in shown
    assert "normally" in shown
