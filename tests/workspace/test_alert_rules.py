"""Alert rules and their deliveries, to a receiver on this machine."""

import csv
import hashlib
import hmac
import http.server
import json
import socket
import threading

import numpy as np
import polars as pl
import pytest

from whitecrow.core.errors import ParameterError, UnknownNameError
from whitecrow.workspace import Workspace, WorkspaceError
from whitecrow.workspace.alerting import Alerting
from whitecrow.workspace.webhook import Destination, deliver

ROWS = pl.DataFrame({"size": [1.0, float("nan"), 3.0, 4.0], "name": ["a", "=b", None, "d" * 900]})
SCORES = np.array([0.1, 5.0, 7.0, 6.0])
FLAGS = SCORES > 5.5
P_VALUES = np.array([0.9, 0.04, 0.01, 0.02])


class Receiver:
    """Keeps what it was sent, and answers with the statuses that are asked of it, 200 at the end."""

    def __init__(self):
        self.got, self.statuses, self.headers = [], [], {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, dict(self.headers), body))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/hook?a=1"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def alerting(busy, done):
    """The rules of a workspace with a run that is done, with short waits; hosts of this machine are allowed."""
    made = Alerting(busy.folder, busy.alerting.rules._database, backoff=(0.01, 0.01), timeout=1.0)
    made.allow(["localhost"])
    made.start()
    yield made
    made.close()
    for rule in made.rules.all():
        made.remove(rule.id)


def considered(alerting, done, **options):
    found = alerting.consider(done, "v1", ROWS, SCORES, FLAGS, P_VALUES, **options)
    alerting.wait()
    return found


def test_a_delivery_is_signed_and_lists_the_most_anomalous_records_without_nan(alerting, done, receiver):
    rule, secret = alerting.add(done, "score", 5.0, name="High", url=receiver.url)
    assert considered(alerting, done) == 1
    ((path, headers, body),) = receiver.got
    assert path == "/hook?a=1"
    signed = headers["X-Whitecrow-Timestamp"].encode() + b"." + body
    wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Whitecrow-Signature"] == f"sha256={wanted}"
    assert headers["Host"].startswith("localhost:")
    document = json.loads(body, parse_constant=pytest.fail)
    assert document["rule"] == {
        "id": rule.id, "name": "High", "condition": {
            "kind": "score", "value": 5.0, "seconds": None, "words": "score of at least 5"
        },
    }  # fmt: skip
    assert (document["run"], document["version"], document["count"], document["test"]) == (done, "v1", 3, False)
    assert [(one["row"], one["score"], one["p_value"]) for one in document["records"]] == [
        (2, 7.0, 0.01), (3, 6.0, 0.02), (1, 5.0, 0.04)
    ]  # fmt: skip
    assert document["records"][2]["values"] == {"size": None, "name": "=b"}
    state = alerting.rules.get(rule.id)
    assert (state.last_state, state.delivered, state.failed) == ("delivered", 1, 0)
    assert secret not in json.dumps([one.document() for one in alerting.rules.all()])


@pytest.mark.parametrize(
    ("condition", "value", "met"), [("score", 7.0, [2]), ("score", 7.1, []), ("p_value", 0.02, [2, 3])]
)
def test_a_condition_holds_at_its_very_value(alerting, done, receiver, condition, value, met):
    alerting.add(done, condition, value, url=receiver.url)
    assert considered(alerting, done) == bool(met)
    listed = [one["row"] for _, _, body in receiver.got for one in json.loads(body)["records"]]
    assert listed == met


def test_a_count_fires_once_for_each_so_many_alerts_and_begins_again(alerting, done, receiver):
    alerting.add(done, "count", 5, seconds=60.0, url=receiver.url)
    assert [considered(alerting, done) for _ in range(6)] == [0, 0, 1, 0, 0, 1]


def test_alerts_that_are_too_long_ago_do_not_count(alerting, done, receiver, monkeypatch):
    moment = [100.0]
    alerting.add(done, "count", 4, seconds=10.0, url=receiver.url)
    monkeypatch.setattr("whitecrow.workspace.alerting.time.monotonic", lambda: moment[0])
    assert considered(alerting, done) == 0
    moment[0] += 10.5
    assert considered(alerting, done) == 0
    moment[0] += 5
    assert considered(alerting, done) == 1


def test_a_rule_of_another_run_and_a_model_without_p_values_meet_nothing(alerting, done, receiver):
    alerting.add(done, "p_value", 1.0, url=receiver.url)
    assert alerting.consider("another", "v", ROWS, SCORES, FLAGS, P_VALUES) == 0
    assert alerting.consider(done, "v", ROWS, SCORES, FLAGS, None) == 0


def test_a_delivery_is_tried_again_under_the_same_id_and_signature_of_its_own(alerting, done, receiver):
    rule, _ = alerting.add(done, "score", 5.0, url=receiver.url)
    receiver.statuses = [503, 429]
    considered(alerting, done)
    assert len(receiver.got) == 3
    assert len({headers["X-Whitecrow-Delivery"] for _, headers, _ in receiver.got}) == 1
    assert alerting.rules.get(rule.id).last_state == "delivered"


def test_what_cannot_succeed_is_not_tried_again_and_is_seen(alerting, done, receiver):
    rule, _ = alerting.add(done, "score", 5.0, url=receiver.url)
    receiver.statuses = [404]
    considered(alerting, done)
    assert len(receiver.got) == 1
    state = alerting.rules.get(rule.id)
    assert (state.last_state, state.last_detail, state.failed) == ("failed", "Answered 404.", 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(alerting, done, receiver, status):
    rule, _ = alerting.add(done, "score", 5.0, url=receiver.url)
    receiver.statuses, receiver.headers = [status], {"Location": receiver.url}
    considered(alerting, done)
    assert len(receiver.got) == 1
    assert "redirect" in alerting.rules.get(rule.id).last_detail


def test_a_receiver_that_never_answers_is_given_up(alerting, done):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://localhost:{silent.getsockname()[1]}/"
        outcome = deliver(url, b"{}", "k", "d", allowed={"localhost"}, timeout=0.05)
    assert (outcome.delivered, outcome.again) == (False, True)


def test_by_default_nothing_may_be_reached(busy, done):
    with pytest.raises(ParameterError, match="--allow-webhook localhost"):
        busy.alerting.add(done, "score", 1.0, url="http://localhost:1/")
    assert not deliver("http://localhost:1/", b"{}", "k", "d", allowed=()).again


@pytest.mark.parametrize(
    "url",
    ["", "ftp://localhost/", "//localhost", "http://", "http://user@localhost/", "http://localhost:99999/",
     "http://localhost/\n", "http://localhost/ä", "http://localhost/" + "a" * 2000, "file:///etc/passwd"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ParameterError, match="address"):
        Destination.of(url, {"localhost"})


# The last ones lead to IPv4 by a gateway, or are private by a registry that is newer than this Python.
PRIVATE = (
    "127.0.0.1", "10.0.0.8", "169.254.169.254", "100.64.0.1", "192.0.0.8", "224.0.0.1", "0.0.0.0", "::1", "fe80::1",
    "fd00::1", "::ffff:10.0.0.8", "::ffff:127.0.0.1", "::a00:8", "2002:a00:8::1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:8", "fec0::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_allowed_name_that_leads_to_a_private_address_is_refused(address, monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    place = Destination.of("https://hooks.example/", {"hooks.example"})
    with pytest.raises(ParameterError, match="private"):
        place.address({"hooks.example"})
    assert place.address({"hooks.example", address.removeprefix("::ffff:")}) == address


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_a_public_address_is_allowed(address, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (address, 443))])
    assert Destination.of("https://hooks.example/", {"hooks.example"}).address({"hooks.example"}) == address


def test_a_name_that_leads_elsewhere_after_it_was_checked_is_reached_where_it_was_checked(monkeypatch):
    asked, reached = [], []

    def changing(host, *_, **__):
        asked.append(host)
        return [(2, 1, 6, "", ("93.184.216.34" if len(asked) == 1 else "127.0.0.1", 80))]

    def refused(place, *_, **__):
        reached.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    monkeypatch.setattr(socket, "create_connection", refused)
    outcome = deliver("http://hooks.example/", b"{}", "k", "d", allowed={"hooks.example"})
    assert (outcome.delivered, outcome.again) == (False, True)
    assert (asked, reached) == (["hooks.example"], [("93.184.216.34", 80)])


def test_a_file_is_appended_to_with_its_heads_once(alerting, busy, done):
    rule, _ = alerting.add(done, "score", 6.5)
    considered(alerting, done)
    considered(alerting, done)
    with (busy.folder / "alerts" / f"{rule.id}.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [(line["row"], line["score"], line["run"]) for line in lines] == [("2", "7.0", done)] * 2
    assert json.loads(lines[0]["values"]) == {"size": 3.0, "name": None}


def test_no_cell_of_a_file_is_a_formula(alerting, busy, done):
    rows = pl.DataFrame({"=size": [1.0], "name": ["=HYPERLINK('http://x')"]})
    rule, _ = alerting.add(done, "score", -9.0, name="=1+1")
    alerting.consider(done, "v1", rows, np.array([5.0]), np.array([True]), np.array([0.1]))
    alerting.wait()
    with (busy.folder / "alerts" / f"{rule.id}.csv").open(encoding="utf-8", newline="") as stream:
        heads, cells = csv.reader(stream)
    assert not {cell[0] for cell in heads + cells} & set("=+-@\t\r")


def test_the_secret_is_in_no_log_and_in_no_word_about_a_delivery(alerting, done, receiver, caplog):
    caplog.set_level(0)
    rule, secret = alerting.add(done, "score", 5.0, url=receiver.url)
    receiver.statuses = [503, 500, 404]
    considered(alerting, done)
    receiver.statuses = [500]
    outcome = alerting.test(rule.id)
    assert f"alert rule {rule.id}: failed" in caplog.text
    assert secret not in caplog.text + outcome.detail + repr(alerting.rules.get(rule.id))
    # What a receiver could read of a signature is not the key itself.
    assert all(secret not in str(headers) and secret.encode() not in body for _, headers, body in receiver.got)


def test_what_does_not_fit_the_queue_is_recorded_as_dropped(busy, done, monkeypatch):
    monkeypatch.setattr("whitecrow.workspace.alerting._WAITING", 1)
    idle = Alerting(busy.folder, busy.alerting.rules._database)
    rule, _ = idle.add(done, "score", 5.0)
    for _ in range(2):
        idle.consider(done, "v", ROWS, SCORES, FLAGS)
    state = idle.rules.get(rule.id)
    assert (state.last_state, state.failed) == ("dropped", 1)
    idle.remove(rule.id)


def test_what_waits_when_the_server_ends_is_recorded_as_dropped(busy, done):
    idle = Alerting(busy.folder, busy.alerting.rules._database)
    rule, _ = idle.add(done, "score", 5.0)
    idle.consider(done, "v", ROWS, SCORES, FLAGS)
    idle._ended.set()
    idle._work()
    assert "ended" in (idle.rules.get(rule.id).last_detail or "")
    idle.remove(rule.id)


def test_rules_last_and_every_change_is_in_the_audit_without_the_secret(busy, done):
    rule, secret = busy.alerting.add(done, "p_value", 0.01, name="Rare", actor="ann")
    again = Workspace(busy.folder).alerting.rules.get(rule.id)
    assert again == rule
    busy.alerting.remove(rule.id, actor="bob")
    lines = busy.audit.lines(subject=done, limit=2)
    assert [(line.action, line.actor) for line in lines] == [("alert rule removed", "bob"), ("alert rule added", "ann")]
    assert secret not in json.dumps([line.detail for line in lines])
    with pytest.raises(UnknownNameError):
        busy.alerting.remove(rule.id)


@pytest.mark.parametrize(
    ("condition", "value", "options"),
    [("score", float("nan"), {}), ("p_value", 1.5, {}), ("count", 0, {"seconds": 1.0}), ("count", 3, {}),
     ("score", 1.0, {"seconds": 5.0}), ("other", 1.0, {}), ("score", 1.0, {"name": "x" * 201})],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused(busy, done, condition, value, options):
    with pytest.raises(ParameterError):
        busy.alerting.add(done, condition, value, **options)


def test_a_rule_needs_a_run_that_can_score(busy, dataset):
    with pytest.raises(UnknownNameError):
        busy.alerting.add("0" * 12, "score", 1.0)


def test_rules_go_with_their_run(workspace, tmp_path, busy, done):
    model = tmp_path / "m.safetensors"
    busy.detector(done).save(model)
    run = workspace.bring_in(model)
    workspace.alerting.add(run.id, "score", 1.0)
    workspace.runs.remove(run.id)
    assert workspace.alerting.rules.all() == []


def test_a_run_that_is_not_done_scores_nothing(workspace, busy, dataset, done):
    copied = workspace.datasets.add(pl.DataFrame({"a": [1.0, 2.0]}), "Two")
    request = busy.runs.get(done).request
    queued = workspace.runs.create(request.__class__(copied.id, "pca"))
    with pytest.raises(WorkspaceError, match="queued"):
        workspace.alerting.add(queued.id, "score", 1.0)
