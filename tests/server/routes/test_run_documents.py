"""The report of a run and the card of its model, as files: what they say follows from the exported scores."""

import io
import re

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.workspace.conftest import small_table, wait

from whitecrow.core import parameters, registry
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule

HOSTILE = "<script>alert(1)</script>|*b* [x](javascript:a) https://out.example `c`"


@pytest.fixture(scope="module")
def hostile(space, client) -> str:
    """Id of a run whose names, columns and categories hold markup of HTML and of Markdown."""
    table = small_table().rename({"service": HOSTILE}).with_columns(
        pl.col(HOSTILE).replace("telnet", f"t{HOSTILE}"), pl.col("label").replace("scan", f"s{HOSTILE}")
    )  # fmt: skip
    dataset = space.datasets.add(table, HOSTILE, settings=DatasetSettings(label="label", ignore=("at",)))
    given = {"contamination": 0.1}
    return wait(space, space.jobs.submit(FitRequest(dataset.id, "pca", given, 3, name=f"my {HOSTILE}")).id).id


def rows_tested(client, run) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(client.get(f"/api/runs/{run}/scores.csv", params={"part": "test"}).content))


def test_the_report_shows_figures_that_follow_from_the_exported_scores(client, space, run):
    answer = client.get(f"/api/runs/{run}/report.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-model-version"] == space.runs.get(run).version
    page, rows = answer.text.replace("\u00a0", " "), rows_tested(client, run)
    y, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    flagged = score > space.runs.get(run).threshold
    assert f'<p class="value">{roc_auc_score(y, score):.3f}</p>' in page
    assert f'<p class="value">{average_precision_score(y, score):.3f}</p>' in page
    assert f"flagged {(flagged & (y == 1)).sum()} of {y.sum()} anomalies among {len(y)} rows" in page
    for row in rows.sort("score", descending=True)["row"].head(12):
        assert f'data-name="row">{row}</td>' in page


def test_the_report_follows_a_threshold_that_was_set_later(client, space, hostile):
    rows = rows_tested(client, hostile)
    threshold = float(np.quantile(rows["score"], 0.5))
    client.put(f"/api/runs/{hostile}/threshold", json={"threshold": threshold}).raise_for_status()
    y, flagged = rows["label"].to_numpy() == 1, rows["score"].to_numpy() > threshold
    page = client.get(f"/api/runs/{hostile}/report.html").text
    assert f"flagged {(flagged & y).sum()} of {y.sum()}" in page
    card = client.get(f"/api/runs/{hostile}/card.json").json()
    recall = next(one for one in card["figures"] if one["name"] == "recall")
    assert recall["value"] == (flagged & y).sum() / y.sum()
    assert (card["threshold"], card["threshold_source"]) == (threshold, "set by hand")


def test_nothing_of_the_data_becomes_markup(client, hostile):
    page = client.get(f"/api/runs/{hostile}/report.html").text
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(?:src|href)=|url\(|@import", page)
    assert "default-src &#x27;none&#x27;" in page
    text = client.get(f"/api/runs/{hostile}/card.md").text
    assert not re.search(r"<(?!!--)", text)
    assert not re.search(r"(?<!\\)\]\(", text)
    assert "https://" not in text
    for line in [line for line in text.splitlines() if line.startswith("|")]:
        assert len(re.findall(r"(?<!\\)\|", line)) in (4, 5), line


def test_the_card_says_what_the_run_and_its_rows_say(client, space, run, dataset):
    card = client.get(f"/api/runs/{run}/card.json").json()
    record, data = space.runs.get(run), space.datasets.get(dataset)
    assert (card["detector"], card["version"], card["seed"]) == ("pca", record.version, 0)
    assert card["paper"] == registry.load("pca").paper
    assert card["data"]["SHA-256"] == data.sha256
    parts = space.scores(run).part
    assert card["rows"]["tested"] == (parts == 1).sum() == 150
    assert card["rows"]["trained"] + card["rows"]["held out to calibrate"] == (parts == 0).sum()
    metrics = client.get(f"/api/runs/{run}").json()["report"]["metrics"]
    found = {one["name"]: {end: one[end] for end in ("value", "low", "high")} for one in card["figures"]}
    assert found == metrics
    assert card["n_anomalies"] == int((rows_tested(client, run)["label"] == 1).sum())
    assert {one["name"] for one in card["columns"]} == {"size", "rate", "service"}
    train = small_table()["size"][:150]
    low, high = (float(end) for end in card["columns"][0]["typical"].split(" to "))
    assert train.min() < low < train.median() < high < train.max()
    assert "One seed only" in " ".join(card["caveats"])
    text = client.get(f"/api/runs/{run}/card.md").text
    for sentence in (*card["use"], *card["limits"], *card["caveats"], card["threshold_source"], data.sha256):
        assert sentence in text


def test_the_card_lists_all_parameters_and_marks_those_that_were_changed(client, hostile):
    given = {one["name"]: one for one in client.get(f"/api/runs/{hostile}/card.json").json()["parameters"]}
    assert set(parameters.fields(registry.load("pca"))) - set(given) == {"random_state", "device", "verbose", "regime"}
    assert [name for name, one in given.items() if not one["is_default"]] == ["contamination"]
    assert given["contamination"] == {"name": "contamination", "value": 0.1, "default": 0.05, "is_default": False}
    assert "| contamination | 0.1 | default is 0.05 |" in client.get(f"/api/runs/{hostile}/card.md").text


def test_without_labels_there_are_scores_and_no_figures(client, space):
    data = space.datasets.add(small_table().drop("label"), "No labels", settings=DatasetSettings(ignore=("at",)))
    run = wait(space, space.jobs.submit(FitRequest(data.id, "pca")).id).id
    page = client.get(f"/api/runs/{run}/report.html").text.replace("\u00a0", " ")
    flagged = int(rows_tested(client, run)["flag"].sum())
    assert f"flagged {flagged} of 150 rows that it was not trained on" in page
    assert "AUROC" not in page
    assert "<th>Label" not in page
    card = client.get(f"/api/runs/{run}/card.json").json()
    assert (card["figures"], card["n_tested"]) == ([], None)
    assert "no figures of merit" in client.get(f"/api/runs/{run}/card.md").text


def test_a_model_that_was_brought_in_has_a_card_and_no_report(client, space, run, problem):
    file = space.runs.model_file(run, space.runs.get(run).version)
    brought = space.bring_in(file, name="from elsewhere").id
    assert "brought in" in problem(client.get(f"/api/runs/{brought}/report.html"), 409)["detail"]
    card = client.get(f"/api/runs/{brought}/card.json").json()
    assert (card["name"], card["data"], card["figures"]) == ("from elsewhere", {}, [])
    assert client.get(f"/api/runs/{brought}/card.md").status_code == 200


@pytest.mark.parametrize("name", ["report.html", "card.md", "card.json"])
def test_a_run_that_is_not_there_or_not_done_has_none(client, space, dataset, problem, name):
    problem(client.get(f"/api/runs/nothing/{name}"), 404)
    failed = wait(space, space.jobs.submit(FitRequest(dataset, "pca", split=SplitRule("order", 0.001))).id)
    assert "has no model" in problem(client.get(f"/api/runs/{failed.id}/{name}"), 409)["detail"]
