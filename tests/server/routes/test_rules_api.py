"""Alert rules over HTTP: what they are told of, and that scoring sets them off."""

import json

import numpy as np
import pytest
from tests.workspace.test_alert_rules import Receiver

from whitecrow.server.app import create_app
from whitecrow.server.settings import Settings
from whitecrow.workspace import Workspace


@pytest.fixture
def receiver(space):
    made = Receiver()
    space.alerting.allow(["localhost"])
    yield made
    made.server.shutdown()
    made.server.server_close()
    space.alerting.allow([])


@pytest.fixture
def added(client, run, receiver):
    """Return a function that adds a rule, which is gone at the end."""
    ids = []

    def add(**wish):
        answer = client.post("/api/rules", json={"run": run, "url": receiver.url, **wish})
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
        return answer.json()

    yield add
    for key in ids:
        client.delete(f"/api/rules/{key}")


def test_records_that_are_scored_set_a_rule_off(client, run, space, added, receiver, rows):
    rows = rows.to_dicts()
    scores = client.post(f"/api/runs/{run}/score", json={"records": rows}).json()
    limit = float(np.sort(scores["scores"])[-2])
    rule = added(condition="score", value=limit, name="Two highest")
    client.post(f"/api/runs/{run}/score", json={"records": rows})
    space.alerting.wait()
    ((_, _, body),) = receiver.got
    document = json.loads(body)
    order = np.argsort(scores["scores"])[::-1][:2].tolist()
    assert [one["row"] for one in document["records"]] == order
    assert document["version"] == scores["version"]
    assert [one["score"] for one in document["records"]] == [scores["scores"][k] for k in order]
    assert document["records"][0]["p_value"] == scores["p_values"][order[0]]
    state = client.get(f"/api/rules/{rule['id']}").json()
    assert (state["last_state"], state["delivered"]) == ("delivered", 1)


def test_the_secret_is_told_once_and_never_logged(client, added, run, rows, space, caplog):
    caplog.set_level(0)
    made = added(condition="score", value=-1e9)
    assert len(made["secret"]) == 64
    client.post(f"/api/runs/{run}/score", json={"records": rows.head(2).to_dicts()})
    space.alerting.wait()
    listed = client.get("/api/rules")
    assert made["id"] in [rule["id"] for rule in listed.json()["rules"]]
    tested = client.post(f"/api/rules/{made['id']}/test")
    others = [client.get(path).text for path in (f"/api/rules/{made['id']}", "/api/audit", "/metrics", "/openapi.json")]
    for text in (listed.text, tested.text, *others, caplog.text):
        assert made["secret"] not in text
    assert client.delete(f"/api/rules/{made['id']}").content == b""
    assert listed.json()["allowed_hosts"] == ["localhost"]


def test_a_test_delivery_says_what_came_of_it(client, added, receiver):
    rule = added(condition="score", value=1.0)
    assert client.post(f"/api/rules/{rule['id']}/test").json() == {"delivered": True, "detail": "Answered 200."}
    assert json.loads(receiver.got[0][2])["test"] is True
    receiver.statuses = [500]
    assert client.post(f"/api/rules/{rule['id']}/test").json()["delivered"] is False
    assert client.get(f"/api/rules/{rule['id']}").json()["last_state"] == "failed"


def test_hosts_that_the_operator_has_not_named_are_refused(client, run, problem):
    for url in ("http://127.0.0.1:9/", "https://example.com/hook", "http://169.254.169.254/latest/meta-data"):
        wish = {"run": run, "condition": "score", "value": 1.0, "url": url}
        assert "--allow-webhook" in problem(client.post("/api/rules", json=wish), 422)["detail"]
    assert client.get("/api/rules").json() == {"rules": [], "allowed_hosts": []}


@pytest.mark.parametrize(
    "wish",
    [{"condition": "score"}, {"condition": "other", "value": 1.0}, {"condition": "p_value", "value": 2.0},
     {"condition": "count", "value": 2.5, "seconds": 5}, {"condition": "count", "value": 3},
     {"condition": "score", "value": 1.0, "more": 1}],
)  # fmt: skip
def test_what_is_no_rule_is_refused(client, run, problem, wish):
    problem(client.post("/api/rules", json={"run": run, **wish}), 422)


def test_what_is_not_there_is_not_found(client, problem):
    problem(client.get("/api/rules/nothing"), 404)
    problem(client.delete("/api/rules/nothing"), 404)
    problem(client.post("/api/rules/nothing/test"), 404)
    problem(client.post("/api/rules", json={"run": "nothing", "condition": "score", "value": 1.0}), 404)


@pytest.mark.parametrize("asked", [True, False])
def test_a_stream_is_held_against_the_rules_only_if_it_asks_for_it(asked, space, socket, dataset, run, added, receiver):
    scores = space.scores(run)
    limit = float(np.quantile(scores.score, 0.9))
    added(condition="score", value=limit)
    socket.say(runs=[run], source={"kind": "replay", "dataset": dataset}, rate=10_000, alert_rules=asked)
    while socket.hear()["type"] != "end":
        pass
    space.alerting.wait()
    told = sorted(record["score"] for _, _, body in receiver.got for record in json.loads(body)["records"])
    assert told == (sorted(scores.score[scores.score >= limit].tolist()) if asked else [])


def test_the_operator_names_the_hosts(tmp_path):
    made = Workspace(tmp_path / "space")
    assert made.alerting.allowed == frozenset()
    create_app(made, Settings(allowed_webhooks=("Hooks.example", "[::1]")))
    assert made.alerting.allowed == {"hooks.example", "::1"}
