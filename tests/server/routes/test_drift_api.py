"""Drift over HTTP: windows, and the report as a file."""

import io
import re

import numpy as np
import polars as pl
import pytest
from tests.workspace.conftest import small_table, wait

from whitecrow.metrics.drift import drift_report
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule
from whitecrow.workspace.drift_study import drift_study
from whitecrow.workspace.parts import Part

HOSTILE = "<script>alert(1)</script>\"'"


@pytest.fixture(scope="module")
def moved(space):
    """Id of a data set whose sizes have moved, with markup in its name and in a value."""
    table = small_table(250, seed=5).with_columns(
        pl.col("size") + 60, service=pl.when(pl.int_range(250) < 20).then(pl.lit(HOSTILE)).otherwise("service")
    )
    settings = DatasetSettings(label="label", ignore=("at",))
    return space.datasets.add(table, f"Moved {HOSTILE}", settings=settings).id


def test_a_window_of_the_runs_own_data_holds_rows_that_no_training_saw(client, space, run, dataset):
    scores = space.scores(run)
    rows = scores.rows()
    first, last = int(rows[10]), int(rows[80])
    found = client.get("/api/drift", params={"run": run, "current": dataset, "first": 0, "last": last}).json()
    assert found["current_rows"] == int((rows <= last).sum())
    found = client.get("/api/drift", params={"run": run, "current": dataset, "first": first, "last": last}).json()
    table = space.datasets.rows(dataset, space.runs.get(run).request.settings)[0]
    train = np.flatnonzero(scores.part == Part.TRAIN)
    inside = rows[10:81]
    wanted = drift_report(table[train], table[inside], scores.score[train], scores.score[inside])
    assert found["verdict"]["verdict"] == wanted.verdict.verdict
    assert [one["psi"] for one in found["columns"]] == [one.psi for one in wanted.columns]


def test_a_window_without_rows_is_refused(client, run, dataset, problem):
    params = {"run": run, "current": dataset, "first": 0, "last": 0}
    assert "Choose others" in problem(client.get("/api/drift", params=params), 422)["detail"]


def test_the_page_holds_what_the_study_found_and_nothing_of_the_data_becomes_markup(client, space, run, moved):
    answer = client.get("/api/drift/report.html", params={"run": run, "current": moved})
    assert answer.headers["content-disposition"].startswith("attachment")
    page, study = answer.text, drift_study(space, run, moved)
    assert study.report.verdict.verdict == "the world moved"
    assert study.report.verdict.reason in page
    assert HOSTILE not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(?:src|href)=|url\(|@import", page)
    for column in study.report.columns:
        assert f"<td>{column.column}</td>" in page
    # The column that moved the most comes first.
    assert page.index("<td>size</td>") < page.index("<td>rate</td>")


def test_the_table_has_a_line_for_each_column_and_one_for_the_scores(client, space, run, moved):
    answer = client.get("/api/drift/report.csv", params={"run": run, "current": moved})
    table, study = pl.read_csv(io.BytesIO(answer.content)), drift_study(space, run, moved)
    assert table["column"].to_list() == [*(one.column for one in study.report.columns), "anomaly score"]
    assert table["psi"].to_list() == [*(one.psi for one in study.report.columns), study.report.scores.psi]
    assert table["drifted"].to_list() == [*(one.drifted for one in study.report.columns), study.report.scores.drifted]


def test_no_cell_of_the_table_is_a_formula(client, space):
    table = small_table(200, seed=3).rename({"service": "=HYPERLINK('http://x')"})
    dataset = space.datasets.add(table, "=1+1", settings=DatasetSettings(label="label", ignore=("at",)))
    run = wait(space, space.jobs.submit(FitRequest(dataset.id, "pca", split=SplitRule("order"))).id).id
    answer = client.get("/api/drift/report.csv", params={"run": run, "current": dataset.id})
    found = pl.read_csv(io.BytesIO(answer.content))
    assert "'=HYPERLINK('http://x')" in found["column"].to_list()
    texts = found.select(pl.col(pl.String)).unpivot()["value"].drop_nulls()
    assert not texts.str.contains(r"^[=+\-@\t\r]").any()


def test_scores_of_another_data_set_are_those_of_the_scoring_endpoint(client, space, run, moved):
    study = drift_study(space, run, moved, (50, 99))
    rows = space.datasets.table(moved)[50:100].select("size", "rate", "service").to_dicts()
    assert study.scores.tolist() == client.post(f"/api/runs/{run}/score", json={"records": rows}).json()["scores"]
    assert study.rows.tolist() == list(range(50, 100))


def test_the_alert_rate_in_the_ordinary_is_that_of_held_out_rows(space, run, moved):
    study, detector = drift_study(space, run, moved), space.detector(run)
    assert study.rate == (detector.calibration_scores_ > detector.threshold_).mean()
    assert study.chart is not None
    assert study.chart.alerts.sum() == study.alerts == (study.scores > detector.threshold_).sum()


def test_a_data_set_without_the_columns_is_refused(client, space, run, problem):
    other = space.datasets.add(pl.DataFrame({"size": [1.0] * 50, "other": [2.0] * 50}), "Other columns")
    params = {"run": run, "current": other.id}
    assert "'rate'" in problem(client.get("/api/drift/report.csv", params=params), 422)["detail"]


def test_rows_are_in_the_order_of_time(space, client):
    table = small_table(200, seed=2)[::-1]
    dataset = space.datasets.add(table, "In time", settings=DatasetSettings(label="label", time="at"))
    run = wait(space, space.jobs.submit(FitRequest(dataset.id, "pca", split=SplitRule("order"))).id).id
    study = drift_study(space, run, dataset.id)
    assert study.times.name == "at"
    assert (np.diff(study.times.times).astype(np.int64) > 0).all()
