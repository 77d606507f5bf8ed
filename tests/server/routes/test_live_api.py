"""A live source of the stream: a file that grows, which the operator allowed under a name."""

import json
import os
import time
from pathlib import Path

import pytest
from starlette.websockets import WebSocketDisconnect
from tests.server.routes.conftest import Socket
from tests.workspace.conftest import small_table

from whitecrow.core.errors import ParameterError
from whitecrow.server.settings import Settings
from whitecrow.workspace.stream import LiveFile

TABLE = small_table()
LINES = TABLE.write_csv().splitlines(keepends=True)
HEAD, ROWS = LINES[0], LINES[1:]


@pytest.fixture
def log(tmp_path, client):
    """A file of forty rows that may be followed as "fire wall"."""
    path = tmp_path / "log.csv"
    path.write_text("".join([HEAD, *ROWS[:40]]))
    live = client.app.state.context.workspace.live
    live.allow([LiveFile("fire wall", path)])
    yield path
    live.allow([])


@pytest.fixture
def connect(client):
    """Open further websockets."""
    return lambda: client.websocket_connect("ws://127.0.0.1:8000/api/stream")


def append(path, lines, mode="a"):
    with path.open(mode) as file:
        file.write("".join(lines))


def tail(**more):
    return {"kind": "tail", "name": "fire wall", **more}


def heard_until(socket, position):
    """Return the frames up to a record, which must come."""
    frames = []
    while not frames or frames[-1]["first"] + frames[-1]["count"] < position:
        frames.append(socket.hear("frame"))
    return frames


def test_rows_come_to_all_detectors_as_they_are_written(space, socket, log, run, other):
    socket.say(runs=[run, other], source=tail(), rate=1, listed=1000, costs={"miss": 10, "false_alarm": 1})
    ready = socket.hear("ready")
    assert (ready["position"], ready["length"]) == (0, None)
    append(log, ROWS[40:60])
    frames = heard_until(socket, 20)
    append(log, ROWS[60:100])
    frames += heard_until(socket, 60)
    assert [p for frame in frames for p in frame["position"]] == list(range(60))
    label = space.scores(run).label[40:100]
    assert [one for frame in frames for one in frame["label"]] == label.tolist()
    for key in (run, other):
        score = space.scores(key).score[40:100]
        assert [s for frame in frames for s in frame["scores"][key]] == pytest.approx(score, rel=1e-6)
        standing = frames[-1]["standings"][key]
        flags = score > space.runs.get(key).threshold
        assert standing["counts"]["alerts"] == int(flags.sum())
        assert standing["counts"]["fn"] == int((~flags & (label == 1)).sum())
        assert standing["money"]["cost"] == 10 * standing["counts"]["fn"] + standing["counts"]["fp"]


def test_what_is_there_comes_first_only_if_that_is_asked_for(socket, log, run):
    socket.say(runs=[run], source=tail(from_beginning=True))
    assert heard_until(socket, 40)[0]["first"] == 0


def test_records_without_the_label_column_have_no_label(socket, log, run):
    append(log, [TABLE.drop("label").write_csv()], "w")
    socket.say(runs=[run], source=tail(from_beginning=True), costs={"miss": 10, "false_alarm": 1})
    last = heard_until(socket, 300)[-1]
    counts = last["standings"][run]["counts"]
    assert (counts["unknown"], counts["records"], counts["tp"], counts["fn"]) == (300, 300, 0, 0)
    assert counts["alerts"] > 0
    assert counts["alert_rate"] == counts["alerts"] / 300
    assert set(last["label"]) == {None}
    assert last["standings"][run]["money"]["records"] == 0


def test_a_live_source_has_no_speed_no_mix_and_no_way_back_but_may_be_paused(socket, log, run):
    socket.say(runs=[run], source=tail(), paused=True)
    socket.hear("ready")
    for command in ({"type": "speed", "rate": 50}, {"type": "rewind"}, {"type": "attacks", "attack_rate": 0.1}):
        socket.say(**command)
        assert "live" in socket.hear()["detail"]
    append(log, ROWS[40:50])
    socket.say(type="step", n=3)
    state = socket.hear("state")
    assert (state["rate"], state["paused"]) == (None, True)
    assert socket.hear("frame")["count"] == 3
    socket.say(type="resume")
    assert [p for frame in heard_until(socket, 10) for p in frame["position"]] == list(range(3, 10))


def test_lines_that_are_no_records_and_files_that_are_replaced_are_told_of(socket, log, run):
    socket.say(runs=[run], source=tail())
    socket.hear("ready")
    append(log, ["no record\n"])
    assert socket.hear("source") == {"type": "source", "bad_lines": 1, "restarts": 0}
    append(log, [HEAD, ROWS[1]], "w")
    heard = {(message := socket.hear())["type"]: message for _ in range(2)}
    assert heard["source"]["restarts"] == 1
    assert (heard["frame"]["first"], heard["frame"]["count"]) == (0, 1)
    append(log, ["a,b\n"], "w")
    assert "replaced by a file with the columns a, b" in socket.hear("error")["detail"]


def test_a_file_without_a_column_that_a_model_reads_is_refused_at_once(socket, log, run):
    append(log, ["size,service\n"], "w")
    socket.say(runs=[run], source=tail())
    assert "has no column 'rate'" in socket.hear("error")["detail"]
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.hear()
    assert closed.value.code == 1008


def test_a_file_that_is_gone_is_refused_without_its_path(socket, log, run):
    log.unlink()
    socket.say(runs=[run], source=tail())
    detail = socket.hear("error")["detail"]
    assert "'fire wall' cannot be opened" in detail
    assert str(log) not in detail


@pytest.mark.parametrize(
    "source",
    [{"name": "other"}, {"name": ""}, {"name": "LOG"}, {"name": "../log.csv"}, {"name": "/etc/passwd"},
     {"name": "fire wall\x00"}, {"name": "x" * 200}, {"name": "fire wall", "path": "/etc/passwd"},
     {"name": "fire wall", "from_beginning": "/etc"}, {}],
)  # fmt: skip
def test_only_names_that_the_operator_gave_are_followed(socket, log, run, source):
    name = str(log) if source.get("name") == "LOG" else source.get("name")
    socket.say(runs=[run], source={"kind": "tail", **source, **({} if name is None else {"name": name})})
    heard = socket.hear()
    assert heard["type"] == "error"
    assert "passwd" not in json.dumps(heard) or "No live source is called" in heard["detail"]
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.hear()
    assert closed.value.code == 1008


def test_the_live_sources_are_listed_without_their_paths(client, log):
    answer = client.get("/api/stream/sources")
    (listed,) = answer.json()["live"]
    assert (listed["name"], listed["available"], listed["bytes"]) == ("fire wall", True, log.stat().st_size)
    assert str(log.parent) not in answer.text
    log.unlink()
    assert client.get("/api/stream/sources").json()["live"] == [
        {"name": "fire wall", "available": False, "bytes": None, "changed": None}
    ]


def test_the_file_is_closed_with_the_connection(connect, log, run):
    def opened() -> int:
        return sum(os.path.realpath(one) == str(log) for one in Path("/proc/self/fd").iterdir())

    with connect() as session:
        socket = Socket(session)
        socket.say(runs=[run], source=tail())
        socket.hear("ready")
        assert opened() == 1
    end = time.monotonic() + 20
    while opened():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_file_is_named_as_the_operator_writes_it(tmp_path):
    path = tmp_path / "a=b.csv"
    path.touch()
    assert LiveFile.of(f"log={path}") == LiveFile("log", path)


@pytest.mark.parametrize(
    ("text", "says"),
    [("FILE", "names no live source"), ("=FILE", "names no live source"), ("log=", "names no live source"),
     ("../log=FILE", "cannot be called"), ("a/b=FILE", "cannot be called"), ("log=FILE.not", "does not exist"),
     ("log=FOLDER", "not a regular file")],
)  # fmt: skip
def test_what_names_no_file_is_refused(tmp_path, text, says):
    path = tmp_path / "log.csv"
    path.touch()
    with pytest.raises(ParameterError, match=says):
        LiveFile.of(text.replace("FILE", str(path)).replace("FOLDER", str(tmp_path)))


def test_two_files_of_one_name_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="Two live sources are called 'log'"):
        Settings(live_files=(LiveFile("log", tmp_path / "a"), LiveFile("log", tmp_path / "b")))
