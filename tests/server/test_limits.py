"""Too large, too slow, too much: refused before it costs memory."""

import asyncio
import json

import httpx
import pytest
from fastapi import FastAPI, Request

from whitecrow.server.limits import RequestLimits
from whitecrow.server.problems import install_problems
from whitecrow.server.settings import Settings

KIB = 1024


def limited(**settings):
    app = FastAPI()
    install_problems(app)

    @app.post("/raw")
    async def raw(request: Request):
        return {"bytes": len(await request.body())}

    @app.post("/json")
    async def parsed(body: dict):
        return body

    @app.post("/stubborn")
    async def stubborn(request: Request):
        try:
            await request.body()
        except Exception:
            return {"swallowed": True}

    return RequestLimits(app, Settings(max_body_bytes=64 * KIB, max_bytes_in_flight=100 * KIB, **settings))


async def parts(*sizes):
    for size in sizes:
        yield b"x" * size


def drive(app, headers, messages, path="/raw"):
    """Send raw ASGI messages; after the last of them nothing more ever comes. Return the answer's messages."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "http_version": "1.1",
        "headers": [(b"host", b"127.0.0.1"), *headers],
    }
    queue, sent = list(messages), []

    async def receive():
        if not queue:
            await asyncio.sleep(3600)
        return queue.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def part(size, more=True):
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


def status(sent):
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert json.loads(sent[1]["body"])["status"] == sent[0]["status"]
    return sent[0]["status"]


def test_a_body_at_the_limit_passes_and_a_byte_more_does_not(call):
    app = limited()
    assert call(app, "POST", "/raw", content=b"x" * 64 * KIB).json() == {"bytes": 64 * KIB}
    assert call(app, "POST", "/raw", content=b"x" * (64 * KIB + 1)).status_code == 413


@pytest.mark.parametrize("path", ["/raw", "/json", "/stubborn"])
def test_a_body_without_a_declared_length_is_counted_as_it_comes(call, path):
    answer = call(limited(), "POST", path, content=parts(*[KIB] * 65))
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Connection"] == "close"


def test_a_declared_length_beyond_the_limit_is_refused_before_a_byte_is_read():
    assert status(drive(limited(), [(b"content-length", b"999999999999")], [])) == 413


@pytest.mark.parametrize("length", [b"-1", b"+5", b"5 5", b"1_0", b"abc", b"", b"0x10", b"1e3", b"\xb2", b"9" * 40])
def test_a_length_that_is_none_is_refused(length):
    assert status(drive(limited(), [(b"content-length", length)], [part(5, more=False)])) == 400


def test_two_lengths_are_refused():
    headers = [(b"content-length", b"5"), (b"content-length", b"6")]
    assert status(drive(limited(), headers, [part(5, more=False)])) == 400


@pytest.mark.parametrize("declared", [b"4", b"6"])
def test_a_length_that_differs_from_what_comes_is_refused(declared):
    assert status(drive(limited(), [(b"content-length", declared)], [part(5, more=False)])) == 400


def test_a_body_that_never_ends_is_answered_in_time():
    app = limited(request_seconds=0.05)
    assert status(drive(app, [], [part(5)])) == 408
    assert status(drive(app, [], [])) == 408
    assert app.active == app.bytes_in_flight == 0


def test_a_client_that_leaves_in_the_midst_gets_no_answer_and_does_no_harm():
    app = limited()
    assert drive(app, [(b"content-length", b"10")], [part(5), {"type": "http.disconnect"}]) == []
    assert app.active == app.bytes_in_flight == 0


def crowd(app, n, size, path="/raw"):
    """Send n requests whose bodies end only when all have begun; return their answers."""

    async def answers():
        go = asyncio.Event()

        async def body():
            yield b"x" * size
            await go.wait()

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            sent = [asyncio.create_task(client.post(path, content=body())) for _ in range(n)]
            await asyncio.sleep(0.05)
            go.set()
            return await asyncio.gather(*sent)

    return asyncio.run(answers())


def test_more_requests_than_are_taken_at_once_are_told_to_come_again():
    app = limited(max_concurrent=3)
    answers = crowd(app, 5, 1)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 503, 503]
    assert {answer.headers["Retry-After"] for answer in answers if answer.status_code == 503} == {"1"}
    assert app.active == 0


def test_the_bytes_of_all_bodies_together_are_bounded():
    app = limited()
    assert sorted(answer.status_code for answer in crowd(app, 3, 40 * KIB)) == [200, 200, 503]
    assert app.bytes_in_flight == 0
