"""Alerts over HTTP: sorted, filtered, explained, judged."""

import json

import numpy as np
import pytest
from tests.workspace.conftest import small_table


@pytest.fixture
def listed(client, run):
    """Return a function that lists rows."""

    def rows(**wish):
        if "filter" in wish:
            wish["filter"] = json.dumps(wish["filter"])
        answer = client.get(f"/api/runs/{run}/alerts", params=wish)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return rows


def test_the_most_anomalous_rows_come_first_with_their_original_columns(space, run, listed):
    scores, table = space.scores(run), small_table()
    found = listed(limit=1000)
    assert found["total"] == 150
    assert [row["row"] for row in found["rows"]] == (150 + np.argsort(-scores.score[150:], kind="stable")).tolist()
    first = found["rows"][0]
    assert first["values"] == {**table.row(first["row"], named=True), "at": table["at"][first["row"]].isoformat()}
    assert first["score"] == scores.score[first["row"]]
    assert first["flag"] == (first["score"] > space.runs.get(run).threshold)
    assert found["version"] == space.runs.get(run).version


def test_pages_join_to_the_whole_list(listed):
    whole = listed(limit=1000)["rows"]
    pages = [row for offset in range(0, 150, 40) for row in listed(offset=offset, limit=40)["rows"]]
    assert pages == whole
    assert listed(offset=10**6)["rows"] == []


@pytest.mark.parametrize("field", ["row", "score", "p_value", "values.size", "values.service", "values.at", "label"])
def test_any_field_sorts_both_ways(listed, field):
    def keys(sort):
        rows = listed(sort=sort, limit=1000, part="all")["rows"]
        return [row["values"][field[7:]] if field.startswith("values.") else row[field] for row in rows]

    assert keys(field) == sorted(keys(field))
    assert keys(f"-{field}") == sorted(keys(field), reverse=True)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"field": "values.service", "op": "eq", "value": "telnet"}, lambda r: r["values"]["service"] == "telnet"),
        ({"field": "values.service", "op": "contains", "value": "t"}, lambda r: "t" in r["values"]["service"]),
        ({"field": "values.size", "op": "ge", "value": 110}, lambda r: r["values"]["size"] >= 110),
        ({"field": "flag", "op": "eq", "value": True}, lambda r: r["flag"]),
        ({"field": "label", "op": "ne", "value": 0}, lambda r: r["label"] == 1),
        ({"field": "verdict", "op": "missing"}, lambda r: r["verdict"] is None),
        ({"field": "values.at", "op": "lt", "value": "2026-01-05"}, lambda r: r["values"]["at"] < "2026-01-05"),
    ],
)
def test_a_filter_keeps_the_rows_that_meet_it(listed, condition, holds):
    everything = listed(limit=1000, part="all")["rows"]
    found = listed(limit=1000, part="all", filter=[condition])
    assert found["rows"] == [row for row in everything if holds(row)]
    assert 0 < found["total"] == len(found["rows"])


@pytest.mark.parametrize(
    "wish",
    [
        {"sort": "nothing"}, {"sort": "values.nothing"}, {"sort": "-"}, {"filter": "{"}, {"filter": "[1]"},
        {"filter": '[{"field": "row", "op": "like", "value": 1}]'}, {"filter": '[{"field": "row", "op": "lt"}]'},
        {"filter": '[{"field": "row", "op": "lt", "value": NaN}]'}, {"limit": 0}, {"limit": 10**6}, {"offset": -1},
        {"part": "everything"},
    ],
)  # fmt: skip
def test_a_wish_that_is_none_is_refused(client, run, wish):
    answer = client.get(f"/api/runs/{run}/alerts", params=wish)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_row_tells_where_its_score_stands(client, space, run, problem):
    found = client.get(f"/api/runs/{run}/rows/7").json()
    seen = space.detector(run).fit_scores_
    assert found["percentile"] == 100 * int((seen < found["score"]).sum()) / len(seen)
    assert found["margin"] == found["score"] - space.runs.get(run).threshold
    assert found["values"]["size"] == small_table()["size"][7]
    problem(client.get(f"/api/runs/{run}/rows/300"), 422)
    problem(client.get(f"/api/runs/{run}/rows/-1"), 422)


def test_an_explanation_is_that_of_the_model_in_original_units(client, space, run, listed):
    rows = [row["row"] for row in listed(limit=2)["rows"]]
    found = client.post(f"/api/runs/{run}/explain", json={"rows": rows, "n_neighbours": 3}).json()
    expected = space.explain(run, rows, n_neighbours=3)
    assert found["method"] == "occlusion"
    assert found["version"] == space.runs.get(run).version
    for k, one in enumerate(found["rows"]):
        assert one["row"] == rows[k]
        assert one["text"] == expected.text(k)
        assert one["values"]["size"] == pytest.approx(small_table()["size"][rows[k]], rel=1e-6)
        assert [reason["column"] for reason in one["reasons"]] == [reason.column for reason in expected.top(k, None)]
        assert one["reasons"][0]["typical"] == expected.typical[one["reasons"][0]["column"]]
        assert [near["distance"] for near in one["neighbours"]] == expected.neighbour_distance[k].tolist()
        for near in one["neighbours"]:
            assert near["differs"] == [name for name, v in near["values"].items() if v != one["values"][name]]


def test_an_explanation_of_what_is_not_there_is_refused(client, run, problem):
    problem(client.post(f"/api/runs/{run}/explain", json={"rows": [300]}), 422)
    problem(client.post(f"/api/runs/{run}/explain", json={"rows": []}), 422)
    problem(client.post(f"/api/runs/{run}/explain", json={"rows": list(range(51))}), 422)
    problem(client.post(f"/api/runs/{run}/explain", json={"rows": [1], "method": "guess"}), 422)


def test_verdicts_are_kept_with_their_model_and_undone_in_turn(client, space, other, listed):
    url, version = f"/api/runs/{other}/feedback", space.runs.get(other).version
    client.post(url, json={"rows": [200, 201], "verdict": "confirmed", "note": "<b>", "reviewer": "A"})
    client.post(url, json={"rows": [202], "verdict": "dismissed"})
    found = client.get(url).json()
    assert [(v["row"], v["verdict"], v["version"]) for v in found["verdicts"]] == [
        (200, "confirmed", version), (201, "confirmed", version), (202, "dismissed", version),
    ]  # fmt: skip
    assert (found["confirmed"], found["dismissed"], found["precision"]) == (2, 1, 2 / 3)
    assert client.get(f"/api/runs/{other}/rows/200").json()["note"] == "<b>"
    shown = client.get(
        f"/api/runs/{other}/alerts", params={"filter": '[{"field":"verdict","op":"eq","value":"confirmed"}]'}
    )
    assert sorted(row["row"] for row in shown.json()["rows"]) == [200, 201]
    assert [v["row"] for v in client.post(f"{url}/undo", json={"reviewer": "A"}).json()["undone"]] == [200, 201]
    assert [v["row"] for v in client.post(f"{url}/undo", json={}).json()["undone"]] == [202]
    assert client.post(f"{url}/undo", json={}).json()["undone"] == []
    assert client.get(url).json()["precision"] is None


def test_alerts_are_assigned_with_a_verdict_or_alone_and_undone(client, other):
    url = f"/api/runs/{other}/feedback"
    alone = client.post(url, json={"rows": [210, 211], "assignee": "<b> Ann", "reviewer": "B"})
    assert alone.status_code == 201
    assert alone.json()["verdicts"] == []
    assert [(one["row"], one["assignee"], one["reviewer"]) for one in alone.json()["assignments"]] == [
        (210, "<b> Ann", "B"), (211, "<b> Ann", "B")
    ]  # fmt: skip
    both = client.post(url, json={"rows": [210], "verdict": "unsure", "assignee": "C", "reviewer": "B"}).json()
    assert (both["verdicts"][0]["verdict"], both["assignments"][0]["assignee"]) == ("unsure", "C")
    found = client.get(url).json()
    assert [(one["row"], one["assignee"]) for one in found["assignments"]] == [(210, "C"), (211, "<b> Ann")]
    assert client.get(f"/api/runs/{other}/rows/211").json()["assignee"] == "<b> Ann"
    mine = client.get(
        f"/api/runs/{other}/alerts", params={"filter": '[{"field":"assignee","op":"eq","value":"C"}]', "part": "all"}
    ).json()
    assert [(one["row"], one["verdict"], one["assignee"]) for one in mine["rows"]] == [(210, "unsure", "C")]
    line = client.get("/api/audit").json()["lines"][0]
    assert (line["action"], line["actor"], line["detail"]) == ("assigned", "B", {"rows": [210], "assignee": "C"})
    undone = client.post(f"{url}/undo", json={"reviewer": "B"}).json()
    assert (undone["undone"][0]["row"], undone["unassigned"][0]["assignee"]) == (210, "C")
    undone = client.post(f"{url}/undo", json={"reviewer": "B"}).json()
    assert (undone["undone"], [one["row"] for one in undone["unassigned"]]) == ([], [210, 211])
    assert client.get(url).json()["assignments"] == []


@pytest.mark.parametrize(
    "body",
    [{"rows": [1]}, {"rows": [1], "assignee": "x" * 201}, {"rows": [300], "assignee": "A"},
     {"rows": [1], "assignee": "A", "note": "n"}, {"rows": [1], "assignee": 5}],
)  # fmt: skip
def test_an_assignment_that_is_none_is_refused(client, other, problem, body):
    url = f"/api/runs/{other}/feedback"
    problem(client.post(url, json=body), 422)
    assert client.get(url).json()["assignments"] == []


def test_a_verdict_on_a_row_that_is_not_there_leaves_nothing(client, other, problem):
    url = f"/api/runs/{other}/feedback"
    problem(client.post(url, json={"rows": [1, 300], "verdict": "confirmed"}), 422)
    problem(client.post(url, json={"rows": [1], "verdict": "guilty"}), 422)
    problem(client.post(url, json={"rows": [1], "verdict": "unsure", "note": "x" * 10_001}), 422)
    assert client.get(url).json()["verdicts"] == []
