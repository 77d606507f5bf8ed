"""The OpenAPI document, and whether the server keeps to it whatever is sent."""

import re
import time
import warnings

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from starlette.websockets import WebSocketDisconnect
from tests.server.routes.conftest import BASE, LIMITS, TestClient
from tests.workspace.conftest import small_table, wait

from whitecrow.server.app import create_app
from whitecrow.server.settings import Settings
from whitecrow.workspace import DatasetSettings, FitRequest, Workspace

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

CHECKS = [
    not_a_server_error, content_type_conformance, response_headers_conformance, response_schema_conformance,
    status_code_conformance,
]  # fmt: skip
EXAMPLES = 12
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def prey(tmp_path_factory):
    """A server of its own, and what its parameters may be called that is there: runs, a data set, an alert rule."""
    space = Workspace(tmp_path_factory.mktemp("prey") / "space")
    key = space.datasets.add(small_table(), "Traffic", settings=DatasetSettings(label="label", ignore=("at",))).id
    with TestClient(create_app(space, Settings(**LIMITS)), base_url=BASE) as client:
        run = wait(space, space.jobs.submit(FitRequest(key, "pca")).id).id
        other = wait(space, space.jobs.submit(FitRequest(key, "isolation-forest", {"n_estimators": 5})).id).id
        rule = space.alerting.add(run, "score", 1.0)[0].id
        yield client, {
            "run": run, "runs": f"{run},{other}", "dataset": key, "current": key, "name": "pca", "rule": rule
        }  # fmt: skip


def operations(document) -> list[tuple[str, str, dict]]:
    return [(m, path, item[m]) for path, item in document["paths"].items() for m in METHODS if m in item]


def test_whatever_is_sent_the_answer_is_documented_and_no_fault(prey):
    client, known = prey
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    found = [result.ok() for result in schema.get_all_operations()]
    assert len(found) > 30
    answered: dict[tuple[str, str], set[int]] = {}
    for operation in found:

        @settings(
            max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def probe(case):
            # Otherwise every answer would be "not found"; what deletes meets what is not there.
            if case.path_parameters and case.method != "DELETE":
                case.path_parameters = {name: known.get(name, v) for name, v in case.path_parameters.items()}
            if case.query:
                case.query = {name: known.get(name, v) for name, v in case.query.items()}
            if isinstance(case.body, dict) and isinstance(case.body.get("run"), str):
                case.body = {**case.body, "run": known["run"]}
            # Prepared by requests, for which schemathesis makes its cases.
            sent = requests.Request(**case.as_transport_kwargs(base_url=BASE)).prepare()
            headers = {k: v for k, v in sent.headers.items() if k.lower() != "content-length"}
            answer = client.request(sent.method, sent.url, content=sent.body, headers=headers)
            answered.setdefault((case.method.lower(), case.path), set()).add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

        probe()
    assert {200, 404, 422} <= set.union(*answered.values())
    # What depends on nothing but what is known here has been seen to work.
    for path in (
        "/api/drift", "/api/drift/report.html", "/api/drift/report.csv", "/api/rules", "/api/rules/{rule}",
        "/api/runs/{run}/epochs", "/api/runs/{run}/curves", "/api/compare", "/api/runs/{run}/report.html",
        "/api/runs/{run}/card.md", "/api/runs/{run}/card.json",
    ):  # fmt: skip
        assert 200 in answered["get", path], path
    assert 201 in answered["post", "/api/rules"]
    assert 200 in answered["post", "/api/rules/{rule}/test"]


def test_every_operation_documents_its_problems(client):
    document = client.get("/openapi.json").json()
    for method, path, operation in operations(document):
        if path.startswith("/api/"):
            for status in ("4XX", "503"):
                content = operation["responses"][status]["content"]
                assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
            assert operation["summary"], (method, path)
    assert document["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_endpoints_of_the_console_are_there(client):
    listed = {(method, path) for method, path, _ in operations(client.get("/openapi.json").json())}
    run = "/api/runs/{run}"
    for method, path in [
        ("get", "/api/detectors"), ("get", "/api/datasets"), ("post", "/api/datasets"), ("post", "/api/runs"),
        ("get", run), ("get", f"{run}/events"), ("delete", run), ("post", f"{run}/score"), ("get", f"{run}/curves"),
        ("post", f"{run}/explain"), ("get", "/api/compare"), ("get", f"{run}/feedback"), ("get", "/api/drift"),
        ("put", f"{run}/threshold"), ("get", "/api/audit"), ("get", "/metrics"), ("get", "/ready"),
        ("get", f"{run}/epochs"), ("get", "/api/drift/report.html"), ("get", "/api/drift/report.csv"),
        ("get", f"{run}/report.html"), ("get", f"{run}/card.md"), ("get", f"{run}/card.json"),
        ("get", "/api/rules"), ("post", "/api/rules"), ("delete", "/api/rules/{rule}"),
        ("post", "/api/rules/{rule}/test"), ("get", "/api/stream/sources"),
    ]:  # fmt: skip
        assert (method, path) in listed


def test_the_page_of_endpoints_lists_all_and_loads_nothing(client):
    answer = client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    for method, path, _ in operations(client.get("/openapi.json").json()):
        assert f"{method.upper()} {path}</code>" in answer.text
    assert "<script" not in answer.text
    assert not re.search(r"(?:src|href|url\()=?[\"']?(?:https?:)?//", answer.text)


def test_a_token_is_asked_for_everywhere_but_by_what_watches(tmp_path, problem):
    token = "a-token-of-many-letters"
    app = create_app(Workspace(tmp_path / "space"), Settings(token=token))
    with TestClient(app, base_url=BASE) as client:
        document = client.get("/openapi.json", headers={"Authorization": f"Bearer {token}"}).json()
        assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
        for method, path, _ in [*operations(document), ("get", "/docs", {}), ("get", "/openapi.json", {})]:
            for headers in (
                {},
                {"Authorization": "Bearer a-token-of-other-lettes"},
                {"Authorization": f"Basic {token}"},
            ):
                answer = client.request(method, re.sub(r"\{\w+\}", "1", path), headers=headers)
                if path in ("/health", "/ready"):
                    assert answer.status_code == 200
                else:
                    assert problem(answer, 401)["type"].endswith(":token")
        assert client.get("/api/datasets", headers={"Authorization": f"Bearer {token}"}).json() == {"datasets": []}
        address = "ws://127.0.0.1:8000/api/stream"
        with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect(address):
            pass
        assert closed.value.code == 1008
        with client.websocket_connect(address, headers={"Authorization": f"Bearer {token}"}):
            pass


def test_an_empty_workspace_is_fine(tmp_path):
    with TestClient(create_app(Workspace(tmp_path / "space"), Settings()), base_url=BASE) as client:
        assert client.get("/api/runs").json() == {"runs": []}
        assert client.get("/ready").json()["status"] == "ready"
        assert client.get("/api/audit").json() == {"lines": []}


def test_a_server_whose_queue_is_not_worked_is_not_ready(tmp_path):
    app = create_app(Workspace(tmp_path / "space"), Settings())
    with TestClient(app, base_url=BASE) as client:
        app.state.context.workspace.jobs.close()
        answer = client.get("/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"]["fits"] != "ok"
        assert client.get("/health").status_code == 200


def test_work_that_takes_too_long_is_answered_so(space, problem):
    app = create_app(space, Settings(work_seconds=0.05))
    client = TestClient(app, base_url=BASE)
    app.state.context.workspace = type(
        "Slow", (), {"audit": type("Slow", (), {"lines": lambda *a, **k: time.sleep(1)})}
    )
    answer = client.get("/api/audit")
    assert problem(answer, 503)["detail"].startswith("This took longer than the 0.05 seconds")
    assert answer.headers["retry-after"] == "5"
