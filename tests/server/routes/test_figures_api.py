"""Figures over HTTP: those that anybody computes from the exported scores, to the last digit."""

import io
import struct

import numpy as np
import polars as pl
import pytest
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.workspace.conftest import small_table, wait

from whitecrow.server.cells import safe_csv
from whitecrow.server.schemas.figures import CompareAnswer
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule

COSTS = {"miss": 50, "false_alarm": 3, "alert": 1, "catch": 2, "prevalence": 0.01}


def exported(client, run, form="csv", **wish) -> pl.DataFrame:
    answer = client.get(f"/api/runs/{run}/scores.{form}", params=wish)
    assert answer.status_code == 200
    read = pl.read_csv if form == "csv" else pl.read_parquet
    return read(io.BytesIO(answer.content))


@pytest.fixture(scope="module")
def doubtful(space, client) -> str:
    """Id of a run on a data set of which a third of the labels are not known."""
    table = small_table(seed=4).with_columns(
        label=pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise(pl.col("label"))
    )
    key = space.datasets.add(table, "Doubtful", settings=DatasetSettings(label="label", ignore=("at",))).id
    return wait(space, space.jobs.submit(FitRequest(key, "pca", split=SplitRule("order"))).id).id


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["run", "doubtful"])
def test_figures_are_those_of_the_exported_scores(client, request, form, name):
    run = request.getfixturevalue(name)
    table = exported(client, run, form, part="test")
    for wish in ({}, {"threshold": float(table["score"].median())}, {"by": "alert_count", "value": 9}):
        found = client.get(f"/api/runs/{run}/figures", params={**wish, **COSTS}).json()
        flag, label = table["score"] > found["threshold"], table["label"]
        tp, fp = int((flag & (label == 1)).sum()), int((flag & (label == 0)).sum())
        fn, tn = int((~flag & (label == 1)).sum()), int((~flag & (label == 0)).sum())
        unknown = int(label.is_null().sum())
        assert found["counts"] == {
            "tp": tp, "fp": fp, "fn": fn, "tn": tn, "unknown_flagged": int((flag & label.is_null()).sum()),
            "unknown_passed": int((~flag & label.is_null()).sum()),
        }  # fmt: skip
        assert found["precision"] == tp / max(tp + fp, 1)
        assert found["recall"] == tp / (tp + fn)
        assert found["f1"] == 2 * tp / (2 * tp + fp + fn)
        assert found["false_positive_rate"] == fp / (fp + tn)
        assert found["accuracy"] == (tp + tn) / (tp + tn + fp + fn)
        assert found["alerts_per_1000"] == 1000 * int(flag.sum()) / table.height
        fnr, tpr, fpr = fn / (tp + fn), tp / (tp + fn), fp / (fp + tn)
        cost = 0.01 * (fnr * 50 + tpr * (1 - 2)) + 0.99 * fpr * (3 + 1)
        assert found["cost"]["per_record"] == pytest.approx(cost, rel=1e-12)
        assert found["intervals"]["recall"]["low"] < found["recall"] <= found["intervals"]["recall"]["high"]
        assert (unknown > 0) == (name == "doubtful")


def test_exported_scores_are_those_of_the_model_to_the_last_bit(client, space, run):
    for form in ("csv", "parquet"):
        table = exported(client, run, form)
        np.testing.assert_array_equal(table["score"], space.scores(run).score)
        np.testing.assert_array_equal(table["p_value"], space.scores(run).p_value)
        np.testing.assert_array_equal(table["flag"], space.scores(run).score > space.runs.get(run).threshold)


def test_a_row_without_a_label_is_never_counted_as_normal(client, space, doubtful):
    curves = client.get(f"/api/runs/{doubtful}/curves", params={"max_points": 1_000_000}).json()
    counted, expected = curves["cumulative"], space.scores(doubtful).label[150:]
    assert counted["exact"]
    assert [counted[kind][0] for kind in ("anomalies", "normals", "unknown")] == [
        int((expected == value).sum()) for value in (1, 0, -1)
    ]
    bins = curves["histogram"]
    assert [sum(bins[kind]) for kind in ("anomalies", "normals", "unknown")] == [
        int((expected == value).sum()) for value in (1, 0, -1)
    ]
    assert exported(client, doubtful)["label"].null_count() == 100


def test_without_labels_there_is_only_the_volume_of_alerts(client, space):
    key = space.datasets.add(small_table().drop("label"), "Unlabelled", settings=DatasetSettings(ignore=("at",))).id
    run = wait(space, space.jobs.submit(FitRequest(key, "pca")).id).id
    found = client.get(f"/api/runs/{run}/figures", params=COSTS).json()
    assert found["alerts"] == found["counts"]["unknown_flagged"] > 0
    for name in ("precision", "recall", "f1", "f2", "false_positive_rate", "accuracy", "cost"):
        assert found[name] is None
    curves = client.get(f"/api/runs/{run}/curves").json()
    assert curves["roc"] is None
    assert sum(curves["histogram"]["unknown"]) == curves["rows"]
    assert client.get(f"/api/runs/{run}/figures", params={"by": "cost", **COSTS}).status_code == 422


def test_curves_are_those_of_the_exported_scores(client, run):
    table = exported(client, run, part="test")
    curves = client.get(f"/api/runs/{run}/curves", params={"max_points": 1_000_000}).json()
    area = np.trapezoid(curves["roc"]["tpr"], curves["roc"]["fpr"])
    assert area == pytest.approx(roc_auc_score(table["label"], table["score"]), abs=1e-12)
    precision, recall = np.array(curves["pr"]["precision"]), np.array(curves["pr"]["recall"])
    assert (np.diff(recall) * precision[1:]).sum() == pytest.approx(
        average_precision_score(table["label"], table["score"]), abs=1e-12
    )
    assert len(client.get(f"/api/runs/{run}/curves", params={"max_points": 20}).json()["roc"]["fpr"]) <= 20


def test_the_binary_form_holds_the_same_counts(client, run):
    wish = {"max_points": 1_000_000}
    answer = client.get(f"/api/runs/{run}/curves", params=wish, headers={"Accept": "application/octet-stream"})
    data, k = answer.content, struct.unpack_from("<Q", answer.content, 8)[0]
    assert (data[:4], struct.unpack_from("<I", data, 4)[0]) == (b"WCT1", 1)
    scores = np.frombuffer(data, "<f8", k, 16)
    counts = np.frombuffer(data, "<u4", -1, 16 + 8 * k).reshape(3, k + 1)
    expected = client.get(f"/api/runs/{run}/curves", params=wish).json()["cumulative"]
    np.testing.assert_array_equal(scores, expected["scores"])
    np.testing.assert_array_equal(counts, [expected[name] for name in ("anomalies", "normals", "unknown")])
    assert answer.headers["x-model-version"]


def test_runs_are_compared_on_the_rows_that_all_tested(client, run, other, problem):
    found = client.get("/api/compare", params={"runs": f"{run},{other}", "k": 20}).json()
    tables = {key: exported(client, key, part="test") for key in (run, other)}
    assert CompareAnswer.model_validate(found, strict=True).model_dump() == found
    assert found["rows"] == 150
    for one in found["runs"]:
        table = tables[one["run"]]
        assert one["auroc"]["value"] == pytest.approx(roc_auc_score(table["label"], table["score"]), abs=1e-12)
        assert one["auroc"]["low"] <= one["auroc"]["value"] <= one["auroc"]["high"]
        assert one["flagged"] == int(table["flag"].sum())
    pair = [tables[key]["score"].to_numpy() for key in (run, other)]
    assert found["agreement"]["spearman"][0][1] == pytest.approx(spearmanr(*pair).statistic, abs=1e-12)
    assert found["agreement"]["kendall"][1][0] == pytest.approx(kendalltau(*pair).statistic, abs=1e-12)
    odd = found["disagreements"][0]
    flags = [tables[key]["flag"] for key in (odd["flagged_by"], odd["passed_by"])]
    assert sorted(odd["rows"]) == tables[run].filter(flags[0] & ~flags[1])["row"].to_list()
    assert found["families"][0]["family"] == "scan"
    assert any("no ranking" in note for note in found["notes"])
    problem(client.get("/api/compare", params={"runs": run}), 422)
    problem(client.get("/api/compare", params={"runs": f"{run},nothing"}), 404)


def test_runs_on_other_data_are_not_compared(client, run, doubtful, problem):
    assert (
        "share a data set" in problem(client.get("/api/compare", params={"runs": f"{run},{doubtful}"}), 422)["detail"]
    )


def test_drift_tells_a_moved_world_from_the_same_one(client, space, run, dataset, problem):
    same = client.get("/api/drift", params={"run": run, "current": dataset}).json()
    assert (same["verdict"]["verdict"], same["drifted"]) == ("stable", False)
    assert (same["reference_rows"], same["current_rows"]) == (150, 150)
    moved = space.datasets.add(small_table(seed=1).with_columns(pl.col("size") + 40, pl.col("rate") * 3), "Moved").id
    found = client.get("/api/drift", params={"run": run, "current": moved}).json()
    assert found["verdict"]["verdict"] == "the world moved"
    assert {one["column"] for one in found["columns"] if one["drifted"]} == {"size", "rate"}
    narrow = space.datasets.add(small_table().select("size", "label"), "Narrow").id
    refused = problem(client.get("/api/drift", params={"run": run, "current": narrow}), 422)
    assert [one["field"] for one in refused["errors"]] == ["rate", "service"]


FORMULAS = ["=HYPERLINK('http://x')", "+1", "-1", "@SUM(A1)", "\tx", "\rx"]


def test_no_export_holds_a_formula(client, space):
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "size": rng.normal(-5, 1, 120),
            "=kind": rng.choice(FORMULAS, 120),
            "label": rng.choice(["normal", "=bad"], 120),
        }
    )
    key = space.datasets.add(table, "=Formulas", settings=DatasetSettings(label="label")).id
    run = wait(space, space.jobs.submit(FitRequest(key, "pca")).id).id
    body = {"rows": [3], "verdict": "unsure", "note": "=1+1", "reviewer": "@me", "assignee": "=cmd()"}
    assert client.post(f"/api/runs/{run}/feedback", json=body).status_code == 201
    csv = exported(client, run, values=True)
    for name, dtype in csv.schema.items():
        if dtype == pl.String:
            assert not csv[name].str.contains(r"^[=+\-@\t\r]").any(), name
    assert csv["values.=kind"].to_list() == [f"'{kind}" for kind in table["=kind"]]
    assert csv["values.size"].to_list() == table["size"].to_list()
    assert exported(client, run, "parquet", values=True)["values.=kind"].to_list() == table["=kind"].to_list()
    verdicts = pl.read_csv(io.BytesIO(client.get(f"/api/runs/{run}/feedback.csv").content))
    assert (verdicts["note"][0], verdicts["reviewer"][0]) == ("'=1+1", "'@me")
    assert verdicts["assignee"][0] == "'=cmd()"


def test_a_name_of_a_column_is_no_formula_either(client):
    assert safe_csv(pl.DataFrame({"=a": ["x"], "b": [-1.5]})) == b"'=a,b\nx,-1.5\n"
