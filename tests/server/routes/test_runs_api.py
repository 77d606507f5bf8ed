"""Runs over HTTP: fitted in the background, followed, cancelled, resumed, brought in from a file."""

import json
import struct
import time

import pytest
from tests.workspace.conftest import wait

LONG = {"epochs": 200_000, "validation": 0.0}


def events(text: str) -> list[tuple[str, str | None, dict]]:
    """Return kind, id and data of each event of a stream."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if fields:
            found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


def begun(client, key: str) -> None:
    """Wait until a run has trained some epochs."""
    for _ in range(600):
        if client.get(f"/api/runs/{key}").json()["epoch"]:
            return
        time.sleep(0.05)
    raise AssertionError("the fit has not begun")


@pytest.fixture(scope="module")
def trained(client, space, dataset) -> str:
    """Id of a run that was trained by gradients."""
    fit = {"dataset": dataset, "detector": "autoencoder", "parameters": {"epochs": 4, "validation": 0.0}}
    return wait(space, client.post("/api/runs", json=fit).json()["id"]).id


def test_a_fit_is_queued_and_done(client, space, dataset):
    answer = client.post(
        "/api/runs", json={"dataset": dataset, "detector": "pca", "split": {"kind": "order"}, "name": "Mine", "seed": 3}
    )
    assert answer.status_code == 202
    key = answer.json()["id"]
    assert answer.headers["location"] == f"/api/runs/{key}"
    assert wait(space, key).state == "done"
    document = client.get(f"/api/runs/{key}").json()
    assert document["name"] == "Mine"
    assert document["request"]["seed"] == 3
    assert document["report"]["n"] == 150
    assert document["notes"]
    assert "report" not in client.get("/api/runs").json()["runs"][0]


def test_settings_of_a_request_go_over_those_of_the_data_set(client, space, dataset):
    fit = {"dataset": dataset, "detector": "pca", "settings": {"ignore": ["at", "service"]}}
    record = wait(space, client.post("/api/runs", json=fit).json()["id"])
    assert record.request.settings.label == "label"
    assert record.request.settings.ignore == ("at", "service")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"detector": "nothing"}, 404),
        ({"dataset": "nothing"}, 404),
        ({"parameters": {"latent_dim": 0}, "detector": "autoencoder"}, 422),
        ({"parameters": {"random_state": 1}}, 422),
        ({"regime": "labelled", "settings": {"label": None}}, 422),
        ({"split": {"kind": "random", "share": 1.5}}, 422),
        ({"seed": -1}, 422),
        ({"seed": "1; DROP TABLE runs"}, 422),
        ({"colour": "blue"}, 422),
        ({"budget": {"seconds": 0}}, 422),
        ({"detector": "padim"}, 422),
    ],
)
def test_a_request_that_cannot_be_carried_out_queues_nothing(client, space, dataset, problem, wrong, status):
    before = len(space.runs.all())
    problem(client.post("/api/runs", json={"dataset": dataset, "detector": "pca", **wrong}), status)
    assert len(space.runs.all()) == before


def test_a_number_that_is_none_is_refused_with_a_problem(client, dataset, problem):
    body = f'{{"dataset": "{dataset}", "detector": "pca", "split": {{"share": NaN}}}}'
    found = problem(client.post("/api/runs", content=body, headers={"Content-Type": "application/json"}), 422)
    assert found["errors"][0]["field"] == "body.split.share"


def test_events_tell_every_epoch_once_and_end(client, trained):
    found = events(client.get(f"/api/runs/{trained}/events").text)
    assert [kind for kind, *_ in found] == ["epoch"] * 4 + ["end"]
    assert [(place, data["place"]) for _, place, data in found[:4]] == [(str(k), k) for k in range(4)]
    assert found[-1][2]["state"] == "done"
    assert found[-1][2]["version"]


def test_events_go_on_behind_the_last_one_that_was_heard(client, trained, problem):
    found = events(client.get(f"/api/runs/{trained}/events", headers={"Last-Event-ID": "1"}).text)
    assert [data.get("place") for _, _, data in found] == [2, 3, None]
    problem(client.get(f"/api/runs/{trained}/events", headers={"Last-Event-ID": "-1 OR 1"}), 400)
    problem(client.get("/api/runs/nothing/events"), 404)


def test_a_running_fit_is_cancelled_resumed_and_deleted(client, space, dataset, problem):
    fit = {"dataset": dataset, "detector": "autoencoder", "parameters": LONG}
    key = client.post("/api/runs", json=fit).json()["id"]
    begun(client, key)
    assert client.post(f"/api/runs/{key}/cancel").status_code == 202
    assert wait(space, key).state == "cancelled"
    problem(client.post(f"/api/runs/{key}/cancel"), 409)
    problem(client.get(f"/api/runs/{key}/model"), 409)
    problem(client.post(f"/api/runs/{key}/score", json=[{"a": 1}]), 409)
    trained = client.get(f"/api/runs/{key}").json()["epoch"]
    assert client.post(f"/api/runs/{key}/resume").json()["state"] == "queued"
    begun(client, key)
    # A running one is cancelled and kept, an ended one deleted.
    kept = client.delete(f"/api/runs/{key}")
    assert (kept.status_code, kept.json()["id"]) == (202, key)
    assert wait(space, key).epoch >= trained
    assert client.delete(f"/api/runs/{key}").status_code == 204
    problem(client.get(f"/api/runs/{key}"), 404)
    assert not space.runs.folder(key).exists()


def test_a_run_that_is_done_does_not_resume(client, run, problem):
    problem(client.post(f"/api/runs/{run}/resume"), 409)


def test_a_run_gets_another_name(client, run, problem):
    assert client.patch(f"/api/runs/{run}", json={"name": "<b>Bold</b>"}).json()["name"] == "<b>Bold</b>"
    problem(client.patch(f"/api/runs/{run}", json={"name": ""}), 422)


def test_a_threshold_is_a_new_version_with_its_source(client, space, trained, problem):
    before = client.get(f"/api/runs/{trained}").json()
    after = client.put(f"/api/runs/{trained}/threshold", json={"threshold": 0.5, "source": "as agreed"}).json()
    assert (after["threshold"], after["threshold_source"]) == (0.5, "as agreed")
    assert after["version"] != before["version"]
    found = client.get(f"/api/runs/{trained}/figures").json()
    assert (found["threshold"], found["version"], found["source"]) == (0.5, after["version"], "as agreed")
    for wrong in (
        {}, {"threshold": 1, "by": "cost"}, {"by": "percentile"}, {"by": "cost"}, {"by": "alert_count", "value": 0.5},
        {"by": "percentile", "value": 101}, {"threshold": "high"},
    ):  # fmt: skip
        problem(client.put(f"/api/runs/{trained}/threshold", json=wrong), 422)
    assert client.get(f"/api/runs/{trained}").json() == after


def test_a_wish_leads_to_the_threshold_that_fulfils_it(client, trained):
    for by, value in (("alert_count", 7), ("alerts_per_1000", 40), ("percentile", 95), ("false_positive_rate", 0.05)):
        found = client.get(f"/api/runs/{trained}/figures", params={"by": by, "value": value}).json()
        reached = {
            "alert_count": found["alerts"], "alerts_per_1000": found["alerts_per_1000"],
            "percentile": 95 if found["alerts"] <= 0.05 * found["rows"] else 0,
            "false_positive_rate": found["false_positive_rate"],
        }  # fmt: skip
        assert reached[by] <= value
        assert found["uses_labels"] == (by == "false_positive_rate")


def test_a_model_goes_out_and_comes_back_with_the_same_scores(client, run, rows, problem):
    file = client.get(f"/api/runs/{run}/model")
    assert file.headers["x-model-version"] == client.get(f"/api/runs/{run}").json()["version"]
    answer = client.post("/api/models", files={"file": ("../model.safetensors", file.content)}, data={"name": "Theirs"})
    assert answer.status_code == 201
    copy = answer.json()
    assert (copy["name"], copy["dataset"], copy["state"], copy["detector"]) == ("Theirs", None, "done", "pca")
    sent = {"json": rows.head(20).to_dicts()}
    ours, theirs = (client.post(f"/api/runs/{key}/score", **sent).json() for key in (run, copy["id"]))
    assert ours["scores"] == theirs["scores"]
    assert theirs["threshold_source"] == ours["threshold_source"]
    for path in ("alerts", "curves", "figures", "scores.csv"):
        problem(client.get(f"/api/runs/{copy['id']}/{path}"), 409)
    assert client.delete(f"/api/runs/{copy['id']}").status_code == 204


def hostile(model: bytes, case: str) -> bytes:
    length = struct.unpack("<Q", model[:8])[0]
    header, rest = json.loads(model[8 : 8 + length]), model[8 + length :]
    about = json.loads(header["__metadata__"]["whitecrow"])
    if case == "truncated":
        return model[:-50]
    if case == "a header beyond the end":
        return struct.pack("<Q", 1 << 60) + model[8:]
    if case == "another class":
        about["detector"] = "os.system"
    if case == "a path":
        about["parameters"]["checkpoint"] = "/etc/passwd"
    if case == "changed numbers":
        return model[:-8] + bytes(byte ^ 1 for byte in model[-8:])
    header["__metadata__"]["whitecrow"] = json.dumps(about)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


@pytest.mark.parametrize("case", ["truncated", "a header beyond the end", "another class", "a path", "changed numbers"])
def test_a_hostile_model_file_is_refused_and_nothing_is_written(client, space, run, problem, case):
    model = client.get(f"/api/runs/{run}/model").content
    before = sorted(space.folder.rglob("*.safetensors")), len(space.runs.all())
    problem(client.post("/api/models", files={"file": ("m.safetensors", hostile(model, case))}), 400)
    assert (sorted(space.folder.rglob("*.safetensors")), len(space.runs.all())) == before
    assert list(client.app.state.context.incoming.folder.iterdir()) == []


def test_what_is_no_model_file_is_refused(client, problem):
    problem(client.post("/api/models", files={"file": ("m.pkl", b"\x80\x04cos\nsystem\n.")}), 415)
    problem(client.post("/api/models", files={"file": ("m.safetensors", b"\x80\x04cos\nsystem\n.")}), 415)


@pytest.mark.parametrize("key", ["nothing", "..", "%2e%2e%2f%2e%2e", "a%00b", "' OR 1=1 --", "%ff"])
@pytest.mark.parametrize("path", ["", "/model", "/scores.csv", "/figures", "/feedback"])
def test_an_unknown_run_is_not_found(client, problem, key, path):
    assert client.get(f"/api/runs/{key}{path}").status_code in (200, 404)
    if key not in ("..", "%2e%2e%2f%2e%2e"):
        problem(client.get(f"/api/runs/{key}{path}"), 404)


def test_the_audit_tells_what_was_done(client, trained):
    lines = client.get("/api/audit", params={"subject": trained}).json()["lines"]
    assert [line["action"] for line in lines] == ["threshold set", "run done", "run created"]
