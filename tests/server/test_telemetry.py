"""What is logged and counted says what happened, and never what was sent."""

import asyncio
import io
import json
import logging

import pytest
from fastapi import APIRouter, FastAPI, Request
from prometheus_client.parser import text_string_to_metric_families
from starlette.websockets import WebSocket

from whitecrow.core.errors import DataError
from whitecrow.server.health import health_router
from whitecrow.server.metrics import Metrics
from whitecrow.server.settings import Settings
from whitecrow.server.stack import install_guards
from whitecrow.server.telemetry import configure_logging, note_scoring

TOKEN = "a-token-of-24-characters"


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def app(metrics):
    async def works():
        return None

    app = FastAPI()
    settings = Settings(token=TOKEN, max_body_bytes=1000, max_bytes_in_flight=1000)
    install_guards(app, settings, metrics)
    router = APIRouter(prefix="/api")

    @router.post("/runs/{run}/score")
    async def score(run: str, request: Request):
        await request.body()
        note_scoring(request, 3, "model-7")
        if run == "bad":
            raise DataError("bad")
        if run == "worse":
            raise KeyError("s3cret")
        return {}

    @app.websocket("/ws")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.close()

    app.include_router(router)
    app.include_router(health_router({"store": works}, metrics))
    return app


@pytest.fixture
def lines():
    stream = io.StringIO()
    handler = configure_logging(as_json=True, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger = logging.getLogger("whitecrow.server")
    logger.removeHandler(handler)
    logger.propagate = True


def ask(call, app, run="s3cret-run", **request):
    headers = {"Authorization": f"Bearer {TOKEN}", **request.pop("headers", {})}
    return call(app, "POST", f"/api/runs/{run}/score?q=s3cret", headers=headers, **request)


def test_a_request_is_one_line_without_path_body_or_token(call, app, lines):
    answer = ask(call, app, content=b"s3cret")
    (line,) = lines()
    assert {name: line[name] for name in ("level", "method", "route", "status", "rows", "model")} == {
        "level": "info",
        "method": "POST",
        "route": "/api/runs/{run}/score",
        "status": 200,
        "rows": 3,
        "model": "model-7",
    }
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert 0 < line["milliseconds"] < 5000
    assert "s3cret" not in json.dumps(line)
    assert TOKEN not in json.dumps(line)


def test_refusals_and_errors_are_lines_too(call, app, lines):
    assert ask(call, app, "bad").status_code == 422
    assert ask(call, app, content=b"x" * 2000).status_code == 413
    assert call(app, "GET", "/s3cret/path").status_code == 401
    assert call(app, "BREW", "/health").status_code == 405
    assert ask(call, app, "worse").status_code == 500
    requests = [line for line in lines() if line["message"] == "request"]
    assert [line["status"] for line in requests] == [422, 413, 401, 405, 500]
    assert requests[2]["route"] == "unmatched"
    assert requests[3]["method"] == "other"
    fault = next(line for line in lines() if line["message"] == "unexpected error")
    assert fault["request_id"] == requests[4]["request_id"]
    assert "KeyError" in fault["trace"]


def test_a_message_cannot_begin_a_line_of_its_own():
    stream = io.StringIO()
    for as_json in (True, False):
        handler = configure_logging(as_json=as_json, stream=stream)
        logging.getLogger("whitecrow.server.x").warning("a\nb", extra={"route": "/x\r\n"})
        logger = logging.getLogger("whitecrow.server")
        logger.removeHandler(handler)
        logger.propagate = True
    assert len(stream.getvalue().splitlines()) == 2


def sample(metrics, name, **labels):
    for family in text_string_to_metric_families(metrics.response().body.decode()):
        for one in family.samples:
            if one.name == name and one.labels == labels:
                return one.value
    return None


def test_requests_are_counted_by_route_method_and_status(call, app, metrics):
    for run in ("a", "b", "bad"):
        ask(call, app, run)
    labels = {"route": "/api/runs/{run}/score", "method": "POST"}
    assert sample(metrics, "whitecrow_requests_total", status="200", **labels) == 2
    assert sample(metrics, "whitecrow_requests_total", status="422", **labels) == 1
    assert sample(metrics, "whitecrow_request_seconds_count", **labels) == 3
    assert sample(metrics, "whitecrow_requests_active") == 0


def test_calls_of_scoring_are_counted(metrics):
    metrics.observe_batch(3, 40)
    metrics.observe_batch(1, 2)
    metrics.watch_waiting(lambda: 5)
    assert sample(metrics, "whitecrow_rows_scored_total") == 42
    assert sample(metrics, "whitecrow_batch_requests_sum") == 4
    assert sample(metrics, "whitecrow_batch_requests_count") == 2
    assert sample(metrics, "whitecrow_scoring_waiting") == 5


def test_applications_do_not_share_metrics(metrics):
    metrics.observe_batch(1, 1)
    assert sample(Metrics(), "whitecrow_rows_scored_total") == 0


def test_health_and_readiness_need_no_token_and_metrics_do(call, app):
    assert call(app, "GET", "/health").json() == {"status": "alive"}
    assert call(app, "GET", "/ready").json() == {"status": "ready", "checks": {"store": "ok"}}
    assert call(app, "GET", "/metrics").status_code == 401
    shown = call(app, "GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert 'whitecrow_requests_total{method="GET",route="/health",status="200"} 1.0' in shown.text


def test_what_does_not_work_makes_the_server_not_ready(call, metrics):
    async def broken():
        raise OSError("/secret/path")

    async def waiting():
        await asyncio.sleep(0)
        return "no model is loaded"

    app = FastAPI()
    app.include_router(health_router({"store": broken, "models": waiting}, metrics))
    answer = call(app, "GET", "/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"store": "failed (OSError)", "models": "no model is loaded"}


def test_websockets_pass_unlogged(connect, app, lines):
    headers = [("Host", "localhost"), ("Authorization", f"Bearer {TOKEN}")]
    assert connect(app, "/ws", headers) == ["websocket.accept", "websocket.close"]
    assert lines() == []


def test_every_answer_is_logged_and_carries_the_headers(call, app, lines):
    answers = [
        ask(call, app),
        ask(call, app, "worse"),
        ask(call, app, content=b"x" * 2000),
        call(app, "GET", "/"),
        call(app, "GET", "/health", headers={"Host": "evil.example"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 500, 413, 401, 400]
    for answer in answers:
        assert "Content-Security-Policy" in answer.headers
        assert answer.headers["X-Request-ID"] in {line["request_id"] for line in lines()}
