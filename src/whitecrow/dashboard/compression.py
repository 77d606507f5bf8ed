"""Compressed answers; files that never change are compressed once."""

import gzip
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Compression"]

_LEAST = 1000  # bytes
# What is made for one answer is sent the sooner for being packed less tightly.
_QUICK, _BEST = 4, 9
_ROOM = 16 << 20  # bytes kept; one file has many paths, with "/./" in them


class Compression(GZipMiddleware):
    """Compress answers, and keep the compressed files below some addresses for the life of the process.

    A first visit loads some megabytes of scripts: reading and compressing them again for each took longer than the
    browser takes to receive them.

    Parameters
    ----------
    app : ASGI application
        What answers.
    fixed : sequence of str
        Starts of paths, below which every file stays as it is as long as the process lives.
    """

    def __init__(self, app: ASGIApp, fixed: Sequence[str]) -> None:
        super().__init__(app, minimum_size=_LEAST, compresslevel=_QUICK)
        self._fixed = tuple(fixed)
        self._kept: dict[str, Response] = {}
        self._room = _ROOM

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with what is kept where that can be."""
        if not self._is_kept(scope):
            await super().__call__(scope, receive, send)
            return
        path = scope["path"]
        response = self._kept.get(path)
        if response is None:
            answer = _Answer()
            await self.app(scope, receive, answer)
            if answer.status != 200:
                await answer.replay(send)
                return
            response = await run_in_threadpool(answer.compressed)
            if len(response.body) <= self._room and path not in self._kept:
                self._room -= len(response.body)
                self._kept[path] = response
        await response(scope, receive, send)

    def _is_kept(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(self._fixed):
            return False
        headers = Headers(scope=scope)
        # A part of a file, or a question whether it has changed, is the file server's to answer.
        partial = any(name in headers for name in ("range", "if-none-match", "if-modified-since"))
        return "gzip" in headers.get("accept-encoding", "") and not partial


class _Answer:
    """An application's answer, collected."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    async def replay(self, send: Send) -> None:
        for message in self.messages:
            await send(message)

    def compressed(self) -> Response:
        """Return the answer with a compressed body, or as it is where that is no shorter."""
        start, *parts = self.messages
        body = b"".join(part.get("body", b"") for part in parts)
        headers = MutableHeaders(raw=list(start["headers"]))
        headers.add_vary_header("Accept-Encoding")
        packed = gzip.compress(body, _BEST, mtime=0)
        if len(packed) < len(body) and "content-encoding" not in headers:
            body = packed
            headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        response = Response(body)
        response.raw_headers = headers.raw
        return response
