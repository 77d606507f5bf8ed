"""Bounds on requests: bytes, seconds, and how many at once."""

import asyncio
import time
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whitecrow.server.headers import under
from whitecrow.server.problems import problem
from whitecrow.server.settings import Settings

__all__ = ["UNCOUNTED_PATHS", "RequestLimits"]

UNCOUNTED_PATHS = ("/health", "/ready", "/metrics", "/_nicegui", "/_nicegui_ws", "/_console")
"""Paths, with all below them, that are answered however many requests there are: probes, and what a page loads."""

_BUSY = "The server has as much to do as it takes on at once. Send the request again after a moment."


class RequestLimits:
    """ASGI middleware: refuses what is too large, too slow or too much before it costs memory.

    - A declared length that is no number, or differs from what comes, is answered 400; one beyond
      ``settings.max_body_bytes`` 413, before a byte is read. What comes is counted too, since it need not be declared.
    - A body that has not come within ``settings.request_seconds`` is answered 408.
    - More requests than ``settings.max_concurrent``, or more bytes of bodies than ``settings.max_bytes_in_flight``
      over all of them, are answered 503 with ``Retry-After``.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    uncounted_paths : sequence of str, default=UNCOUNTED_PATHS
        Paths, with all below them, whose requests are not counted. Their bodies are bounded all the same.

    Attributes
    ----------
    active : int
        Counted requests that are being answered.
    bytes_in_flight : int
        Bytes of bodies of all requests that are being answered.
    """

    def __init__(self, app: ASGIApp, settings: Settings, uncounted_paths: Sequence[str] = UNCOUNTED_PATHS) -> None:
        self.app = app
        self.settings = settings
        self.uncounted_paths = tuple(uncounted_paths)
        self.active = 0
        self.bytes_in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within the bounds, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(self, scope, receive, send)
        counted = not under(scope["path"], self.uncounted_paths)
        if counted and self.active >= self.settings.max_concurrent:
            body.refuse(503, _BUSY)
        if body.refusal is not None:
            await body.answer()
            return
        self.active += counted
        try:
            await self.app(scope, body.receive, body.send)
        except Exception:
            # Whatever the refusal made of the application, the refusal is the answer.
            if body.refusal is None:
                raise
        finally:
            self.active -= counted
            self.bytes_in_flight -= body.received
        if body.refusal is not None:
            await body.answer()


class _Body:
    """The body of one request on its way to the application, and the refusal that may take its place."""

    def __init__(self, limits: RequestLimits, scope: Scope, receive: Receive, send: Send) -> None:
        self.received = 0
        self.refusal: tuple[int, str] | None = None
        self._limits = limits
        self._scope, self._receive, self._send = scope, receive, send
        self._end = time.monotonic() + limits.settings.request_seconds
        self._complete = False
        self._started = False
        self._declared = self._declared_length()

    def refuse(self, status: int, detail: str) -> HTTPException:
        """Note the answer, and return what stops the application."""
        self.refusal = self.refusal or (status, detail)
        return HTTPException(status, detail)

    async def answer(self) -> None:
        """Send the refusal, unless half of another answer is out."""
        if self.refusal is None or self._started:
            return
        status, detail = self.refusal
        # What is left of the body is not read, so that the connection cannot serve another request.
        headers = {"Connection": "close"} | ({"Retry-After": "1"} if status == 503 else {})
        await problem(status, detail, kind="limit", scope=self._scope, headers=headers)(
            self._scope, self._receive, self._send
        )

    async def receive(self) -> Message:
        """Return the next part of the body, or raise what refuses the rest."""
        if self._complete:
            return await self._receive()
        if self.refusal is not None:
            raise HTTPException(*self.refusal)
        seconds = self._limits.settings.request_seconds
        try:
            async with asyncio.timeout(self._end - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            detail = f"The body did not arrive within {seconds:g} seconds. Send it faster, or in smaller parts."
            raise self.refuse(408, detail) from None
        if message["type"] == "http.request":
            self._count(len(message.get("body", b"")))
            self._complete = not message.get("more_body", False)
            if self._complete and self._declared is not None and self.received != self._declared:
                raise self.refuse(400, f"Content-Length is {self._declared}, but {self.received} bytes came.")
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on, unless the request has been refused meanwhile."""
        if self.refusal is not None and not self._started:
            return
        self._started = True
        await self._send(message)

    def _count(self, n: int) -> None:
        limits = self._limits
        self.received += n
        limits.bytes_in_flight += n
        if self.received > limits.settings.max_body_bytes:
            raise self.refuse(413, self._too_large())
        if limits.bytes_in_flight > limits.settings.max_bytes_in_flight:
            raise self.refuse(503, _BUSY)

    def _declared_length(self) -> int | None:
        given = Headers(scope=self._scope).getlist("content-length")
        if not given:
            return None
        # Digits only: int() would take "+5", " 5" and "1_0" as well. Beyond 19 digits no length is meant.
        if len(set(given)) > 1 or not (given[0].isascii() and given[0].isdigit()) or len(given[0]) > 19:
            self.refuse(400, "Content-Length must be one whole number of bytes.")
            return None
        length = int(given[0])
        if length > self._limits.settings.max_body_bytes:
            self.refuse(413, self._too_large())
        return length

    def _too_large(self) -> str:
        most = self._limits.settings.max_body_bytes / 2**20
        return f"The body is larger than {most:,.4g} MiB, the most that this server takes. Send it in parts."
