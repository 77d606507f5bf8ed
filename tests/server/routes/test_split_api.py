"""A split that the user chooses: the figures are of exactly its test rows, the threshold of its validation rows."""

import io

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.workspace.conftest import small_table, wait

from whitecrow.calibrate import Quantile
from whitecrow.workspace import DatasetSettings

SPLIT = {"kind": "order", "share": 0.5, "validation": 0.2, "test": 0.3, "time": "at"}
SETTINGS = DatasetSettings(label="label", ignore=("at",))


@pytest.fixture(scope="module")
def shuffled(space) -> str:
    """Id of a data set whose rows are in no order, some of them twice."""
    table = small_table().sample(fraction=1, shuffle=True, seed=3)
    # What is repeated is older in the one copy, and newer in the other.
    copies = table.sort("at").head(40).with_columns(at=table["at"].max())
    return space.datasets.add(pl.concat([copies, table]), "Shuffled", settings=SETTINGS).id


def fitted(client, space, **fit) -> str:
    answer = client.post("/api/runs", json={"detector": "pca", **fit})
    assert answer.status_code == 202, answer.text
    run = wait(space, answer.json()["id"])
    assert run.state == "done", run.error
    return run.id


def exported(client, run, part) -> pl.DataFrame:
    answer = client.get(f"/api/runs/{run}/scores.csv", params={"part": part, "values": True})
    return pl.read_csv(io.BytesIO(answer.content))


@pytest.mark.parametrize(
    ("regime", "source"),
    [
        ("contaminated", "; validation rows"),
        ("clean", "; normal validation rows"),
        ("labelled", "; validation rows without known anomalies"),
    ],
)
def test_threshold_and_figures_come_from_their_own_rows(client, space, shuffled, regime, source):
    run = fitted(client, space, dataset=shuffled, split=SPLIT, regime=regime, parameters={"contamination": 0.1})
    parts = {part: exported(client, run, part) for part in ("train", "validation", "test", "left out")}
    rows = np.concatenate([part["row"] for part in parts.values() if part.height])
    assert sorted(rows) == list(range(340))
    train, validation, test = (parts[part]["values.at"] for part in ("train", "validation", "test"))
    assert train.max() <= validation.min()
    assert validation.max() <= test.min()
    found = client.get(f"/api/runs/{run}").json()
    below = parts["validation"]
    if regime == "labelled":
        below = below.filter(pl.col("label") != 1)
    if regime == "clean":
        assert parts["left out"]["label"].to_list() == [1] * parts["left out"].height != []
        assert below["label"].sum() == 0
    assert found["threshold"] == Quantile(0.1).fit(below["score"])
    assert found["threshold_source"].endswith(source)
    y, score = parts["test"]["label"].to_numpy(), parts["test"]["score"].to_numpy()
    report, flagged = found["report"], score > found["threshold"]
    assert (report["n"], report["n_anomalies"]) == (102, y.sum())
    assert report["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(y, score), abs=1e-12)
    wanted = average_precision_score(y, score)
    assert report["metrics"]["average_precision"]["value"] == pytest.approx(wanted, abs=1e-12)
    assert report["metrics"]["recall"]["value"] == flagged[y == 1].mean()
    assert report["confusion"]["fp"] == flagged[y == 0].sum()
    # The forty rows that are repeated trained, and all of their copies are tested.
    assert any("of the test rows have the values of a training row" in note for note in found["notes"])
    card = client.get(f"/api/runs/{run}/card.json").json()
    assert card["rows"]["set the threshold"] == parts["validation"].height
    assert card["rows"]["tested"] == 102
    assert "the next 20 % set the threshold" in card["split"]


def test_copies_between_threshold_and_test_are_told(client, space):
    table = small_table(150)
    twice = space.datasets.add(pl.concat([table, table, table]), "Thrice", settings=SETTINGS).id
    split = {"kind": "order", "share": 1 / 3, "validation": 1 / 3}
    notes = " ".join(client.get(f"/api/runs/{fitted(client, space, dataset=twice, split=split)}").json()["notes"])
    for sentence in (
        "100 % of the test rows have the values of a training row",
        "100 % of the validation rows have the values of a training row",
        "100 % of the test rows have the values of a validation row",
    ):
        assert sentence in notes


def test_a_test_without_anomalies_is_taken_and_said(client, space):
    table = small_table().sort("label", descending=True)  # the anomalies first
    dataset = space.datasets.add(table, "Anomalies first", settings=SETTINGS).id
    run = fitted(client, space, dataset=dataset, split={"kind": "order", "validation": 0.2})
    found = client.get(f"/api/runs/{run}").json()
    assert found["report"] is None
    assert any("0 labelled anomalies and 90 labelled normal rows" in note for note in found["notes"])


def test_without_a_choice_the_split_and_the_threshold_are_the_detectors_own(client, space, dataset):
    plain = fitted(client, space, dataset=dataset, seed=5)
    given = fitted(client, space, dataset=dataset, seed=5, split={"kind": "random", "share": 0.5, "test": 0.5})
    one, other = (exported(client, run, "all") for run in (plain, given))
    assert one.equals(other)
    sources = {client.get(f"/api/runs/{run}").json()["threshold_source"] for run in (plain, given)}
    assert sources == {"at most 5 % of the scores it was fitted on lie above; training rows"}


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"share": 0.5, "validation": 0.3, "test": 0.3}, "must add up to 1"),
        ({"share": 0.9, "validation": 0.1}, "none is left to test"),
        ({"kind": "order", "time": "service"}, "times or numbers are needed"),
        ({"kind": "order", "time": "nothing"}, "no column 'nothing'"),
        ({"validation": 0.01}, "3 of 300 rows"),
        ({"validation": 1.5}, ""),
        ({"test": -0.1}, ""),
    ],
)
def test_a_split_that_cannot_be_is_refused_before_anything_starts(client, space, dataset, problem, split, said):
    before = len(space.runs.all())
    answer = client.post("/api/runs", json={"dataset": dataset, "detector": "pca", "split": split})
    assert said in problem(answer, 422)["detail"]
    assert len(space.runs.all()) == before
