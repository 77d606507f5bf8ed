"""Small applications, and a client that speaks to them without a network."""

import asyncio

import httpx
import pytest


@pytest.fixture
def call():
    """Return a function that sends one request to an ASGI application and returns its answer."""

    def send(app, method, path, *, base="http://127.0.0.1:8000", **request):
        async def answer():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, **request)

        return asyncio.run(answer())

    return send


@pytest.fixture
def connect():
    """Return a function that opens a websocket and returns the types of the messages that came back."""

    def opened(app, path, headers=()):
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        }
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message["type"])

        asyncio.run(app(scope, receive, send))
        return sent

    return opened
