"""Every error is a problem document, and says nothing that is nobody's business."""

import json
import logging
import math

import numpy as np
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from whitecrow.core import errors
from whitecrow.server.errors import BodyTooLargeError, FieldError, OverloadedError, RequestError
from whitecrow.server.headers import SecurityHeaders
from whitecrow.server.problems import install_problems
from whitecrow.server.responses import FiniteJSONResponse, to_json


class Costs(BaseModel):
    miss: float
    alarm: int


class OtherError(errors.WhitecrowError):
    """Of a package above."""


def failing(error):
    app = FastAPI()
    install_problems(app, {OtherError: 409})
    app.add_middleware(SecurityHeaders)

    @app.get("/fails")
    async def fails():
        raise error

    @app.post("/costs")
    async def costs(body: Costs, limit: int = 0):
        return {"limit": limit}

    return app


def problem(answer):
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = json.loads(answer.text)
    assert document["status"] == answer.status_code
    assert document["instance"].startswith("urn:whitecrow:request:")
    assert {"type", "title"} <= set(document)
    return document


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.FileFormatError("ragged"), 400, "file-format-error"),
        (errors.ModelFileError("hostile"), 400, "model-file-error"),
        (errors.UnknownNameError("no run"), 404, "unknown-name-error"),
        (errors.DatasetError("absent"), 409, "dataset-error"),
        (errors.FitCancelled("stopped"), 409, "fit-cancelled"),
        (errors.DataError("column"), 422, "data-error"),
        (errors.ParameterError("range"), 422, "parameter-error"),
        (errors.WhitecrowError("other"), 400, "whitecrow-error"),
        (OtherError("conflict"), 409, "other-error"),
        (RequestError("form"), 400, "request-error"),
        (BodyTooLargeError("rows"), 413, "body-too-large-error"),
        (OverloadedError("later", retry_after=7), 503, "overloaded-error"),
    ],
)
def test_errors_of_whitecrow_are_answered_by_their_class(call, error, status, kind):
    answer = call(failing(error), "GET", "/fails")
    assert answer.status_code == status
    document = problem(answer)
    assert document["detail"] == str(error)
    assert document["type"] == f"urn:whitecrow:problem:{kind}"
    assert answer.headers.get("Retry-After") == ("7" if status == 503 else None)


def test_fields_are_named(call):
    error = RequestError("bad", [FieldError("records[3].bytes", "Must be a number."), FieldError("a\ud800", "b")])
    assert problem(call(failing(error), "GET", "/fails"))["errors"] == [
        {"field": "records[3].bytes", "message": "Must be a number."},
        {"field": "a?", "message": "b"},
    ]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", '"s3cret-value"', "[1]", "{}", "null"])
def test_a_value_that_fails_validation_is_named_but_not_said_again(call, literal):
    content = f'{{"miss": 1, "alarm": {literal}}}'
    answer = call(failing(None), "POST", "/costs", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    document = problem(answer)
    assert [one["field"] for one in document["errors"]] == ["body.alarm"]
    assert "s3cret" not in answer.text
    assert "input" not in document["errors"][0]


def test_missing_fields_and_wrong_queries_are_named(call):
    answer = call(failing(None), "POST", "/costs?limit=x", json={})
    fields = {one["field"] for one in problem(answer)["errors"]}
    assert fields == {"query.limit", "body.miss", "body.alarm"}


def test_a_body_that_is_no_json_is_a_problem(call):
    answer = call(failing(None), "POST", "/costs", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    problem(answer)


def test_unknown_addresses_and_methods_are_problems(call):
    app = failing(None)
    assert problem(call(app, "GET", "/nothing"))["status"] == 404
    answer = call(app, "DELETE", "/costs")
    assert problem(answer)["status"] == 405
    assert answer.headers["Allow"] == "POST"
    error = HTTPException(418, "short and stout", headers={"X-Pot": "tea"})
    answer = call(failing(error), "GET", "/fails")
    assert problem(answer)["detail"] == "short and stout"
    assert answer.headers["X-Pot"] == "tea"


def test_an_unexpected_error_is_in_the_log_under_the_id_of_the_answer(call, caplog):
    with caplog.at_level(logging.ERROR, "whitecrow.server"):
        answer = call(failing(ZeroDivisionError("s3cret")), "GET", "/fails", headers={"X-Request-ID": "abcdefgh-1"})
    assert answer.status_code == 500
    assert problem(answer)["instance"] == "urn:whitecrow:request:abcdefgh-1"
    assert "s3cret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    (record,) = caplog.records
    assert record.request_id == "abcdefgh-1"
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("given", ["short", "x" * 65, "with blank", "a\tbcdefghi", "ünicode-id"])
def test_a_request_id_that_could_do_harm_is_replaced(call, given):
    headers = {b"X-Request-ID": given.encode()}
    document = problem(call(failing(errors.DataError("x")), "GET", "/fails", headers=headers))
    assert len(document["instance"].rpartition(":")[2]) == 16


def strictly(data):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(data, parse_constant=refuse)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_what_is_not_finite_is_null_in_json(dtype):
    values = np.array([[1.5, math.nan], [math.inf, -math.inf]], dtype=dtype)
    content = {
        "array": values,
        "strided": values.T,
        "list": values.tolist(),
        "one": values[0, 1],
        "deep": [{"x": math.nan}],
    }
    document = strictly(FiniteJSONResponse(content).body)
    assert document == {
        "array": [[1.5, None], [None, None]],
        "strided": [[1.5, None], [None, None]],
        "list": [[1.5, None], [None, None]],
        "one": None,
        "deep": [{"x": None}],
    }


def test_numbers_survive_json_exactly():
    values = np.random.default_rng(0).normal(size=1000) * 10.0 ** np.arange(-150, 150, 0.3)
    assert strictly(to_json(values)) == values.tolist()
    assert strictly(to_json({1: {3, 2}, "n": np.int64(7), "b": np.bool_(True)})) == {"1": [2, 3], "n": 7, "b": True}
    with pytest.raises(TypeError, match="object"):
        to_json(object())


def test_a_detail_stays_short_and_few_of_many_fields_are_named(call):
    assert len(problem(call(failing(errors.DataError("x" * 10**6)), "GET", "/fails"))["detail"]) == 2000
    app = failing(None)

    @app.post("/many")
    async def many(body: list[int]):
        return {}

    document = problem(call(app, "POST", "/many", json=["x"] * 500))
    assert document["detail"].startswith("500 fields")
    assert len(document["errors"]) == 20
