"""The epochs of a run over HTTP."""

import pytest
from tests.workspace.conftest import wait


@pytest.fixture(scope="module")
def watched(client, space, dataset) -> str:
    """Id of a run whose five epochs were looked at."""
    fit = {
        "dataset": dataset,
        "detector": "autoencoder",
        "parameters": {"epochs": 5, "validation": 0.0},
        "split": {"injected": 0.0},
        "watch": True,
    }
    answer = client.post("/api/runs", json=fit)
    assert answer.status_code == 202
    return wait(space, answer.json()["id"]).id


def test_epochs_carry_what_was_looked_at(client, space, watched):
    document = client.get(f"/api/runs/{watched}/epochs").json()
    assert document["run"] == watched
    assert [one["place"] for one in document["epochs"]] == [0, 1, 2, 3, 4]
    kept = space.runs.epochs(watched)
    assert [one["seen"] for one in document["epochs"]] == [one.seen for one in kept]
    assert document["epochs"][-1]["seen"]["auroc"] == kept[-1].seen["auroc"] > 0.5
    assert client.get(f"/api/runs/{watched}").json()["request"]["watch"] is True


def test_epochs_come_piece_by_piece(client, watched):
    first = client.get(f"/api/runs/{watched}/epochs", params={"limit": 2}).json()["epochs"]
    assert [one["place"] for one in first] == [0, 1]
    rest = client.get(f"/api/runs/{watched}/epochs", params={"after": 1}).json()["epochs"]
    assert [one["place"] for one in rest] == [2, 3, 4]


def test_a_fit_that_nobody_watches_has_losses_alone(client, space, dataset):
    fit = {"dataset": dataset, "detector": "autoencoder", "parameters": {"epochs": 2, "validation": 0.0}}
    key = wait(space, client.post("/api/runs", json=fit).json()["id"]).id
    epochs = client.get(f"/api/runs/{key}/epochs").json()["epochs"]
    assert [one["seen"] for one in epochs] == [None, None]
    assert all(one["loss"] > 0 for one in epochs)
    assert client.get(f"/api/runs/{key}/epochs", params={"watched": True}).json()["epochs"] == []


def test_what_is_not_there_or_cannot_be_is_refused(client, problem, dataset, watched):
    problem(client.get("/api/runs/000000000000/epochs"), 404)
    problem(client.get(f"/api/runs/{watched}/epochs", params={"limit": 0}), 422)
    problem(client.get(f"/api/runs/{watched}/epochs", params={"after": "x"}), 422)
    fit = {"dataset": dataset, "detector": "pca", "watch": True}
    assert "no epochs to watch" in problem(client.post("/api/runs", json=fit), 422)["detail"]
