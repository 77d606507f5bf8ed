"""The stream over a websocket: models that race on the same records, told what to do meanwhile."""

from contextlib import ExitStack

import pytest
from starlette.websockets import WebSocketDisconnect
from tests.workspace.conftest import small_table, wait

from whitecrow.data.traffic import traffic_table
from whitecrow.workspace import DatasetSettings


def replay(dataset, **more):
    return {"source": {"kind": "replay", "dataset": dataset}, "rate": 10_000, **more}


def frames_until_end(socket) -> list[dict]:
    found = []
    while (message := socket.hear())["type"] != "end":
        if message["type"] == "frame":
            found.append(message)
    return found


def test_all_records_come_once_and_the_counts_are_those_of_the_scores(space, socket, dataset, run, other):
    socket.say(runs=[run, other], **replay(dataset, listed=1000, costs={"miss": 10, "false_alarm": 1}))
    ready = socket.hear("ready")
    assert (ready["length"], ready["position"]) == (300, 0)
    frames = frames_until_end(socket)
    assert [p for frame in frames for p in frame["position"]] == list(range(300))
    label = space.scores(run).label
    for key in (run, other):
        record, score = space.runs.get(key), space.scores(key).score
        assert ready["runs"][key]["version"] == record.version
        assert ready["runs"][key]["threshold_source"] == record.threshold_source
        assert [s for frame in frames for s in frame["scores"][key]] == score.tolist()
        counts = frames[-1]["standings"][key]["counts"]
        flag = score > record.threshold
        assert counts["tp"] == int((flag & (label == 1)).sum())
        assert counts["fp"] == int((flag & (label == 0)).sum())
        assert frames[-1]["standings"][key]["money"]["cost"] == 10 * counts["fn"] + counts["fp"]


def test_a_paused_stream_steps_rewinds_and_takes_another_threshold(socket, dataset, run):
    socket.say(runs=[run], **replay(dataset, paused=True))
    socket.hear("ready")
    socket.say(type="step", n=20)
    assert socket.hear("state")["paused"]
    assert socket.hear("frame")["count"] == 20
    socket.say(type="threshold", run=run, value=-1.0)
    assert socket.hear("state")["thresholds"][run] == -1.0
    socket.say(type="step", n=5)
    frame = socket.hear("frame")
    assert (frame["first"], frame["flags"][run]) == (20, [True] * 5)
    socket.say(type="rewind", position=10)
    state = socket.hear("state")
    assert (state["position"], state["standings"][run]["counts"]["records"]) == (10, 0)
    socket.say(type="speed", rate=50)
    assert socket.hear("state")["rate"] == 50
    socket.say(type="resume")
    assert not socket.hear("state")["paused"]
    assert socket.hear("frame")["first"] == 10


@pytest.fixture(scope="module")
def guard(client, space) -> str:
    """Id of a run that was fitted on the simulated network."""
    settings = DatasetSettings(label="label")
    key = space.datasets.add(traffic_table(rows=1000, seed=0), "Network", settings=settings, synthetic=True).id
    return wait(space, client.post("/api/runs", json={"dataset": key, "detector": "pca"}).json()["id"]).id


def test_the_same_seed_gives_the_same_stream(client, guard):
    def heard() -> list:
        with client.websocket_connect("ws://127.0.0.1:8000/api/stream") as session:
            session.send_json(
                {
                    "runs": [guard], "paused": True,
                    "source": {"kind": "simulation", "seed": 5, "attack_rate": 0.3, "week_rows": 500},
                }
            )  # fmt: skip
            assert session.receive_json()["type"] == "ready"
            session.send_json({"type": "step", "n": 200})
            while (message := session.receive_json())["type"] != "frame":
                pass
            return [message["scores"], message["label"], message["family"]]

    first = heard()
    assert heard() == first
    assert len(set(first[0][guard])) == 100  # as many as a frame lists


def test_a_thousand_records_are_a_thousand_and_as_many_anomalies_as_asked_for(client, guard):
    source = {"kind": "simulation", "seed": 1, "attack_rate": 0.05, "week_rows": 1000}
    position, label, scores = [], [], []
    with client.websocket_connect("ws://127.0.0.1:8000/api/stream") as session:
        session.send_json({"runs": [guard], "paused": True, "listed": 1000, "source": source})
        assert session.receive_json()["type"] == "ready"
        session.send_json({"type": "step", "n": 1000})
        while len(position) < 1000:
            if (message := session.receive_json())["type"] == "frame":
                position += message["position"]
                label += message["label"]
                scores += message["scores"][guard]
    assert position == list(range(1000))
    assert sum(label) == 50
    assert len(set(scores)) > 100


@pytest.mark.parametrize(
    "begin",
    [
        "", "{", "[]", '{"runs": []}', '{"runs": ["nothing"]}', '{"runs": ["RUN"], "rate": 1e9}',
        '{"runs": ["RUN"], "rate": NaN}', '{"runs": ["RUN"], "source": {"kind": "file", "path": "/etc/passwd"}}',
        '{"runs": ["RUN"], "source": {"kind": "replay", "dataset": "../.."}}',
        '{"runs": ["RUN"], "thresholds": {"x": 1}}',
    ],
)  # fmt: skip
def test_a_beginning_that_is_none_ends_the_connection_with_a_reason(socket, run, begin):
    socket.raw(begin.replace("RUN", run))
    assert socket.hear()["type"] == "error"
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.hear()
    assert closed.value.code == 1008


def test_records_that_a_model_cannot_score_end_the_stream_with_a_reason(space, socket, run):
    narrow = space.datasets.add(small_table().select("size", "label"), "Narrow").id
    socket.say(runs=[run], **replay(narrow))
    assert "rate" in socket.hear("error")["detail"]


def test_a_command_that_is_none_is_answered_and_the_stream_goes_on(socket, dataset, run):
    socket.say(runs=[run], **replay(dataset, paused=True))
    socket.hear("ready")
    for wrong in ('{"type": "fly"}', "{", '{"type": "threshold", "run": "x", "value": 1}', '{"type": "step", "n": 0}',
                  '{"type": "attacks", "attack_rate": 0.1}', '{"type": "rewind", "position": 1000}'):  # fmt: skip
        socket.raw(wrong)
        assert socket.hear()["type"] == "error"
    socket.say(type="step")
    assert socket.hear("frame")["count"] == 1


def test_a_message_too_long_or_too_many_of_them_end_the_connection(client, dataset, run):
    for messages, code in ((["x" * 20_000], 1009), (['{"type": "pause"}'] * 500, 1008)):
        with client.websocket_connect("ws://127.0.0.1:8000/api/stream") as session:
            session.send_json({"runs": [run], **replay(dataset, paused=True)})
            for message in messages:
                session.send_text(message)
            with pytest.raises(WebSocketDisconnect) as closed:
                list(iter(session.receive_text, None))
            assert closed.value.code == code


def test_only_so_many_streams_are_open_at_once(client):
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(client.websocket_connect("ws://127.0.0.1:8000/api/stream"))
        with client.websocket_connect("ws://127.0.0.1:8000/api/stream") as session:
            with pytest.raises(WebSocketDisconnect) as closed:
                session.receive_text()
            assert closed.value.code == 1013
    assert client.app.state.context.streams == 0
