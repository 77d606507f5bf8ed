"""Problem documents (RFC 9457): what every error is answered with."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whitecrow.core.errors import (
    CheckpointError,
    DataError,
    DatasetError,
    FileFormatError,
    FitCancelled,
    MissingExtraError,
    ModelFileError,
    ParameterError,
    TrainingError,
    UnknownNameError,
    WhitecrowError,
)
from whitecrow.server.errors import FieldError, OverloadedError, RequestError
from whitecrow.server.request_id import request_id
from whitecrow.server.responses import to_json

__all__ = ["STATUSES", "ErrorBoundary", "install_problems", "problem", "problem_of"]

_LOG = logging.getLogger("whitecrow.server")
_MEDIA_TYPE = "application/problem+json"
_SHOWN = 20  # fields named in one answer
_LONGEST = 2000  # letters of a detail, which may quote a cell
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

STATUSES: dict[type[WhitecrowError], int] = {
    WhitecrowError: 400,
    FileFormatError: 400,
    ModelFileError: 400,
    UnknownNameError: 404,
    CheckpointError: 409,
    DatasetError: 409,
    FitCancelled: 409,
    MissingExtraError: 409,
    DataError: 422,
    ParameterError: 422,
    TrainingError: 422,
}
"""Status by class of error; the nearest base class decides."""


def problem(
    status: int,
    detail: str = "",
    *,
    kind: str | None = None,
    errors: Sequence[FieldError] = (),
    scope: Scope | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document as an answer.

    Parameters
    ----------
    status : int
        HTTP status, from 400 on; its phrase is the title.
    detail : str
        What is wrong with this request, what is accepted, what to do.
    kind : str, optional
        Kind of problem, in lower case with hyphens; part of ``type``, which is ``about:blank`` without it.
    errors : sequence of FieldError
        What is wrong, field by field.
    scope : ASGI scope, optional
        Of the request; its id becomes ``instance``.
    headers : mapping, optional
        More headers.
    """
    document: dict[str, Any] = {
        "type": f"urn:whitecrow:problem:{kind}" if kind else "about:blank",
        "title": _phrase(status),
        "status": status,
    }
    if detail:
        document["detail"] = _unicode(detail[:_LONGEST])
    if scope is not None:
        document["instance"] = f"urn:whitecrow:request:{request_id(scope)}"
    if errors:
        document["errors"] = [{"field": _unicode(one.field), "message": _unicode(one.message)} for one in errors]
    return Response(to_json(document), status, dict(headers or {}), _MEDIA_TYPE)


def problem_of(
    error: WhitecrowError, scope: Scope | None = None, statuses: Mapping[type[WhitecrowError], int] = STATUSES
) -> Response:
    """Return the problem document of an error that whitecrow raised on purpose."""
    status, errors, headers = 400, (), {}
    if isinstance(error, RequestError):
        status, errors = error.status, error.errors
        if isinstance(error, OverloadedError):
            headers["Retry-After"] = str(error.retry_after)
    else:
        status = next(statuses[base] for base in type(error).__mro__ if base in statuses)
    kind = _WORD.sub("-", type(error).__name__).lower()
    return problem(status, str(error), kind=kind, errors=errors, scope=scope, headers=headers)


def install_problems(app: FastAPI, statuses: Mapping[type[WhitecrowError], int] | None = None) -> None:
    """Answer every error of an application with a problem document.

    Parameters
    ----------
    app : FastAPI
        Without middleware so far: what is added later stands around :class:`ErrorBoundary`, so that its headers are
        on the answers to unexpected errors too.
    statuses : mapping of error class to int, optional
        Statuses of errors beside :data:`STATUSES`, which they override.
    """
    known = {**STATUSES, **(statuses or {})}

    async def of_whitecrow(request: Request, error: Any) -> Response:
        return problem_of(error, request.scope, known)

    app.add_exception_handler(WhitecrowError, of_whitecrow)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_middleware(ErrorBoundary)


class ErrorBoundary:
    """ASGI middleware: an error that nobody expected is logged with its trace, and answered 500 without it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer for what it raises."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            pass  # nobody is there to be answered
        except Exception:
            _LOG.exception("unexpected error", extra={"request_id": request_id(scope)})
            if started:
                raise  # half an answer is out; the server closes the connection, so that it is not taken for a whole
            detail = "The server met an error that it did not expect. Its log has the details under the request's id."
            await problem(500, detail, scope=scope)(scope, receive, send)


async def _of_http(request: Request, error: Any) -> Response:
    if error.status_code in (204, 304):
        return Response(status_code=error.status_code, headers=error.headers)
    detail = error.detail if isinstance(error.detail, str) else ""
    if detail == _phrase(error.status_code):
        detail = {
            404: "There is nothing at this address. The OpenAPI document lists what there is.",
            405: "This address does not know this method. The header Allow lists those that it does.",
        }.get(error.status_code, "")
    answer = problem(error.status_code, detail, scope=request.scope)
    MutableHeaders(raw=answer.raw_headers).update(error.headers or {})
    return answer


async def _of_validation(request: Request, error: Any) -> Response:
    # What was sent is not said again: it may be secret, huge, or a NaN, which JSON has no form for.
    found = error.errors()
    errors = [FieldError(_place(one["loc"]), one["msg"]) for one in found[:_SHOWN]]
    detail = f"{len(found)} field{'s' * (len(found) != 1)} of the request cannot be used."
    return problem(422, detail, kind="validation", errors=errors, scope=request.scope)


def _place(location: Sequence[str | int]) -> str:
    """Return a place in a request as ``body.records[3].bytes``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part[:100]}"
    return text.lstrip(".")


def _unicode(text: str) -> str:
    """Return text without lone surrogates: names that a client sent may hold them, and UTF-8 has no form for them."""
    return text.encode("utf-8", "replace").decode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
