"""Scores over HTTP: those of the model, whatever the form, the company and the order of the rows."""

import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
from tests.workspace.conftest import wait

from whitecrow.server.schemas.figures import ScoresAnswer

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def score(client, run):
    """Return a function that scores and returns the answer."""

    def scored(**request):
        answer = client.post(f"/api/runs/{run}/score", **request)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return scored


def written(table, method) -> bytes:
    stream = io.BytesIO()
    getattr(table, method)(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("text/csv", "write_csv"), ("application/vnd.apache.parquet", "write_parquet"),
        ("application/vnd.apache.arrow.stream", "write_ipc_stream"), ("application/vnd.apache.arrow.file", "write_ipc"),
    ],
)  # fmt: skip
def test_every_form_of_the_rows_gets_the_scores_of_the_model(space, run, rows, score, kind, method):
    detector = space.detector(run)
    found = score(content=written(rows, method), headers={"Content-Type": kind})
    np.testing.assert_array_equal(found["scores"], detector.anomaly_score(rows))
    np.testing.assert_array_equal(found["p_values"], detector.p_value(rows))
    np.testing.assert_array_equal(found["flags"], detector.is_anomaly(rows))
    record = space.runs.get(run)
    assert (found["run"], found["rows"], found["version"]) == (run, 300, record.version)
    assert (found["model_threshold"], found["threshold_source"]) == (record.threshold, record.threshold_source)


def test_records_and_columns_with_rows_are_the_same(rows, score):
    head = rows.head(5)
    by_record = score(json={"records": head.to_dicts()})
    assert ScoresAnswer.model_validate(by_record, strict=True).model_dump() == by_record
    assert score(json=head.to_dicts()) == by_record
    assert score(json={"columns": head.columns, "rows": head.rows()}) == by_record


def test_a_score_depends_neither_on_the_other_rows_nor_on_their_order(rows, score):
    some = rows.head(12).to_dicts()
    together = score(json=some)["scores"]
    assert [score(json=[row])["scores"][0] for row in some] == together
    order = np.random.default_rng(0).permutation(len(some))
    assert score(json=[some[k] for k in order])["scores"] == [together[k] for k in order]


def test_requests_that_come_together_get_the_scores_that_they_get_alone(rows, score):
    some = rows.head(40).to_dicts()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: score(json=[row])["scores"][0], some))
    assert found == score(json=some)["scores"]


def test_normal_rows_and_anomalies_score_alike_apart_and_together(client, dataset, score):
    table = pl.DataFrame(
        client.get(f"/api/datasets/{dataset}/rows", params={"limit": 1000}).json()["rows"], orient="row",
        schema=["at", "size", "rate", "service", "label"],
    )  # fmt: skip
    both = score(json=table.drop("at", "label").to_dicts())["scores"]
    for label in ("normal", "scan"):
        part = table.filter(pl.col("label") == label).drop("at", "label")
        expected = [s for s, told in zip(both, table["label"], strict=True) if told == label]
        assert score(json=part.to_dicts())["scores"] == expected


def test_an_answer_may_be_a_table(client, run, rows, space):
    record = space.runs.get(run)
    readers = {
        "application/vnd.apache.parquet": pl.read_parquet,
        "application/vnd.apache.arrow.stream": pl.read_ipc_stream,
    }
    for form, read in readers.items():
        headers = {"Content-Type": "text/csv", "Accept": form}
        answer = client.post(f"/api/runs/{run}/score", content=rows.write_csv(), headers=headers)
        table = read(io.BytesIO(answer.content))
        assert answer.headers["content-type"] == form
        assert table.columns == ["score", "p_value", "is_anomaly"]
        np.testing.assert_array_equal(table["score"], space.detector(run).anomaly_score(rows))
        assert answer.headers["x-model-version"] == record.version
        assert float(answer.headers["x-threshold"]) == record.threshold
        assert answer.headers["x-threshold-source"].startswith("at most 5 %25 of the scores")


def test_missing_columns_are_named_one_by_one(client, run, problem):
    found = problem(client.post(f"/api/runs/{run}/score", json=[{"size": 1.0, "colour": "red"}]), 422)
    assert [one["field"] for one in found["errors"]] == ["rate", "service"]
    assert "number" in found["errors"][0]["message"]


def test_other_columns_are_left_aside_and_named_or_refused_if_that_is_asked(client, run, rows, score, problem):
    sent = rows.head(2).with_columns(extra=pl.lit("<b>"), label=pl.lit("scan"), score=pl.lit(9.0)).to_dicts()
    found = score(json=sent)
    assert found["ignored_columns"] == ["extra", "label", "score"]
    assert found["scores"] == score(json=rows.head(2).to_dicts())["scores"]
    refused = client.post(f"/api/runs/{run}/score", json=sent, params={"strict": "true"})
    assert [one["field"] for one in problem(refused, 422)["errors"]] == ["extra", "label", "score"]


def test_ids_come_back(client, run, rows, score, problem):
    sent = rows.head(3).with_columns(key=pl.Series(["a", "b", None])).to_dicts()
    assert score(json=sent, params={"id": "key"})["ids"] == ["a", "b", None]
    problem(client.post(f"/api/runs/{run}/score", json=sent, params={"id": "absent"}), 422)


def test_no_rows_have_no_scores(score):
    assert score(content="size,rate,service\n", headers={"Content-Type": "text/csv"})["scores"] == []


@pytest.mark.filterwarnings("ignore::whitecrow.core.errors.WhitecrowWarning")
def test_a_missing_value_is_scored_and_no_answer_holds_nan(client, run):
    answer = client.post(f"/api/runs/{run}/score", json=[{"size": None, "rate": 5.0, "service": "never seen"}])
    assert answer.status_code == 200
    assert "NaN" not in answer.text
    assert np.isfinite(answer.json()["scores"][0])


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ('[{"size": NaN, "rate": 1, "service": "dns"}]', JSON, 400),
        ('[{"size": 1e999, "rate": 1, "service": "dns"}]', JSON, 400),
        ('[{"size": {"a": 1}, "rate": 1, "service": "dns"}]', JSON, 400),
        ('[{"size": "big", "rate": 1, "service": "dns"}]', JSON, 422),
        ('[{"size": 1', JSON, 400),
        ("[" * 100_000, JSON, 400),
        ("", JSON, 400),
        ("a", {"Content-Type": "application/x-python-pickle"}, 415),
        (b"PAR1" + bytes(50), {"Content-Type": "application/vnd.apache.parquet"}, 400),
        (b"x" * (2 << 20), {"Content-Type": "text/csv"}, 413),
        ("size,rate,service\n" + "1,1,dns\n" * 6000, {"Content-Type": "text/csv"}, 413),
        (b"\x1f\x8b" + bytes(100), {"Content-Type": "text/csv", "Content-Encoding": "gzip"}, 400),
    ],
)
def test_a_body_that_cannot_be_scored_is_refused(client, run, problem, body, headers, status):
    problem(client.post(f"/api/runs/{run}/score", content=body, headers=headers), status)


def test_a_declared_length_beyond_the_limit_is_refused_unread(client, run, problem):
    headers = {"Content-Type": "text/csv", "Content-Length": str(1 << 40)}
    problem(client.post(f"/api/runs/{run}/score", content=iter([b"a"]), headers=headers), 413)


def test_scoring_is_counted_and_its_log_line_names_the_model(client, run, rows, score, caplog, space):
    caplog.set_level("INFO", "whitecrow.server.requests")
    score(json=rows.head(3).to_dicts())
    line = next(record for record in caplog.records if getattr(record, "rows", None) == 3)
    assert line.model == space.runs.get(run).version
    assert line.route == "/api/runs/{run}/score"
    assert 'whitecrow_requests_total{method="POST",route="/api/runs/{run}/score",status="200"}' in (
        client.get("/metrics").text
    )


def test_a_threshold_that_is_set_holds_for_the_next_request(client, space, dataset, rows):
    key = wait(space, client.post("/api/runs", json={"dataset": dataset, "detector": "pca"}).json()["id"]).id
    sent = json.dumps(rows.head(50).to_dicts())
    before = client.post(f"/api/runs/{key}/score", content=sent, headers=JSON).json()
    cut = sorted(before["scores"])[24]
    client.put(f"/api/runs/{key}/threshold", json={"threshold": cut})
    after = client.post(f"/api/runs/{key}/score", content=sent, headers=JSON).json()
    assert after["scores"] == before["scores"]
    assert after["flags"] == [score > cut for score in before["scores"]]
    assert after["version"] != before["version"]
    assert after["threshold_source"] == "set by hand"
