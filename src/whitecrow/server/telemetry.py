"""One log line and one count for each request, without bodies, tokens or paths."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any, TextIO

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whitecrow.server.metrics import Metrics
from whitecrow.server.request_id import HEADER, request_id

__all__ = ["JsonLines", "Telemetry", "configure_logging", "note_scoring"]

_LOG = logging.getLogger("whitecrow.server.requests")
_NOTES = "whitecrow.notes"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_FIELDS = ("request_id", "method", "route", "status", "milliseconds", "rows", "model")
_NO_ANSWER = 499  # the client left before it was answered


def note_scoring(connection: HTTPConnection, rows: int, model: str) -> None:
    """Say in the request's log line how many rows were scored, and by which version of which model."""
    connection.scope[_NOTES] = {"rows": rows, "model": model}


class Telemetry:
    """ASGI middleware: logs and counts every HTTP request, and gives each answer its ``X-Request-ID``.

    It stands outermost, so that what other middleware refuses is seen as well. The route is its template
    (``/api/runs/{run}``), or ``unmatched``: paths may hold what is nobody's business, and there are endlessly many.

    Parameters
    ----------
    app : ASGI application
    metrics : Metrics
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, then log and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = _NO_ANSWER

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id(scope)
            await send(message)

        self.metrics.begin()
        try:
            await self.app(scope, receive, watched)
        except Exception:
            status = 500
            raise
        finally:
            seconds = time.perf_counter() - started
            route = _route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.end(route, method, status, seconds)
            fields = {
                "request_id": request_id(scope),
                "method": method,
                "route": route,
                "status": status,
                "milliseconds": round(1000 * seconds, 3),
                **scope.get(_NOTES, {}),
            }
            _LOG.log(logging.ERROR if status >= 500 else logging.INFO, "request", extra=fields)


def _route(scope: Scope) -> str:
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else "unmatched"


class JsonLines(logging.Formatter):
    """Formats a log record as one line of JSON: time, level, logger, message, and what is known of the request."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a trace is one text within it."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: getattr(record, name) for name in _FIELDS if hasattr(record, name)})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _PlainLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        known = " ".join(f"{name}={getattr(record, name)}" for name in _FIELDS if hasattr(record, name))
        text = f"{datetime.fromtimestamp(record.created, UTC):%H:%M:%S} {record.levelname.lower()}"
        text = f"{text} {record.getMessage()} {known}".rstrip()
        # A line end in a message would begin a line that looks like another record.
        text = text.replace("\r", "\\r").replace("\n", "\\n")
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configure_logging(*, as_json: bool, stream: TextIO | None = None) -> logging.Handler:
    """Send the server's log to a stream, standard error by default, and return the handler that does it.

    Only the logger ``whitecrow.server`` is touched: an application that embeds the server keeps its own logging.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines() if as_json else _PlainLines())
    logger = logging.getLogger("whitecrow.server")
    for old in [one for one in logger.handlers if isinstance(one.formatter, (JsonLines, _PlainLines))]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return handler
