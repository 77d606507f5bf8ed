"""What the OpenAPI document says beyond the endpoints: problem documents, and who may ask."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from whitecrow.server.settings import Settings

__all__ = ["PROBLEMS", "install_openapi", "media", "upload_of"]

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request is refused; the problem document says why.", "content": _PROBLEM},
    503: {"description": "Too much waits already, or it took too long. Try again later.", "content": _PROBLEM},
}
"""Answers that every endpoint may give."""

_TEXT = {"type": "string"}
_SCHEMA = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {**_TEXT, "description": "Kind of problem: urn:whitecrow:problem:KIND, or about:blank."},
        "title": {**_TEXT, "description": "Phrase of the status."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**_TEXT, "description": "What was wrong, what is accepted, what to do."},
        "instance": {**_TEXT, "description": "Id of the request, as in the server's log."},
        "errors": {
            "type": "array",
            "description": "What is wrong, field by field.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": _TEXT, "message": _TEXT},
            },
        },
    },
}
_ABOUT = """\
Data sets, fits in the background, scores, thresholds, explanations and verdicts of one workspace.

Errors are problem documents (`application/problem+json`). Numbers that are not finite are `null`. What a model has
computed carries the model's version and what its threshold means.
"""


def install_openapi(app: FastAPI, settings: Settings) -> None:
    """Let an application describe its problem documents, and the token where one is needed."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
            components = made.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = _SCHEMA
            if settings.token is not None:
                components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                made["security"] = [{"token": []}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def media(description: str, *types: str) -> dict[str, Any]:
    """Return the description of an answer in one of several forms of bytes."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"description": description, "content": dict.fromkeys(types, binary)}


def upload_of(types: tuple[str, ...]) -> dict[str, Any]:
    """Return the description of an operation whose body is a table of one of several content types."""
    cell = {"type": ["number", "string", "boolean", "null"]}
    records = {"type": "array", "items": {"type": "object", "additionalProperties": cell}}
    table = {
        "oneOf": [
            {"type": "object", "required": ["records"], "properties": {"records": records}},
            {
                "type": "object",
                "required": ["columns", "rows"],
                "properties": {
                    "columns": {"type": "array", "items": {"type": "string"}},
                    "rows": {"type": "array", "items": {"type": "array", "items": cell}},
                },
            },
            records,
        ]
    }
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {kind: {"schema": table} if kind == "application/json" else binary for kind in types}
    return {"requestBody": {"required": True, "content": content}}
