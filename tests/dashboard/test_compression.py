"""What leaves this machine is compressed; what stays on it is not."""

import asyncio
import gzip

import pytest

pytest.importorskip("starlette", reason="the serve extra is not installed")

from whitecrow.dashboard.compression import CompressionBeyondLoopback

BODY = b"white crow " * 1000


async def answering(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": BODY})


@pytest.mark.parametrize(
    ("client", "compressed"),
    [
        (("127.0.0.1", 5000), False),
        (("127.8.9.1", 5000), False),
        (("::1", 5000), False),
        (("192.168.1.7", 5000), True),
        (("2001:db8::1", 5000), True),
        (("a name", 0), True),
        (None, True),
    ],
)
def test_only_what_leaves_this_machine_is_compressed(client, compressed):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "client": client, "headers": [(b"accept-encoding", b"gzip")]}
    asyncio.run(CompressionBeyondLoopback(answering, minimum_size=1000)(scope, None, send))
    headers, body = dict(sent[0]["headers"]), sent[1]["body"]
    assert (headers.get(b"content-encoding") == b"gzip") is compressed
    assert (gzip.decompress(body) if compressed else body) == BODY
