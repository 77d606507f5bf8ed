"""The page that lists the endpoints, made from the OpenAPI document; it loads nothing."""

from typing import Any

from whitecrow.page.document import document
from whitecrow.page.markup import Markup, tag
from whitecrow.page.parts import section, table_of

__all__ = ["docs_page"]

_METHODS = ("get", "post", "put", "patch", "delete")


def docs_page(openapi: dict[str, Any]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    openapi : dict
        An OpenAPI document.
    """
    groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, item in openapi["paths"].items():
        for method in _METHODS:
            if method in item:
                group = (item[method].get("tags") or ["other"])[0]
                groups.setdefault(group, []).append((method.upper(), path, item[method]))
    return document(
        f"{openapi['info']['title']} {openapi['info']['version']}",
        "Endpoints",
        [tag("p", *_paragraph(openapi["info"].get("description", "")))],
        [
            section(name.capitalize(), "", *(_endpoint(*one) for one in operations))
            for name, operations in groups.items()
        ],
    )


def _endpoint(method: str, path: str, operation: dict[str, Any]) -> Markup:
    answers = [
        [tag("td", status), tag("td", answer.get("description", "")), tag("td", ", ".join(answer.get("content", {})))]
        for status, answer in operation.get("responses", {}).items()
    ]
    parameters = [
        [
            tag("td", one["name"]),
            tag("td", one["in"] + (", required" if one.get("required") else "")),
            tag("td", one.get("description", "")),
        ]
        for one in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {})
    return tag(
        "details",
        tag("summary", tag("code", f"{method} {path}"), f" {operation.get('summary', '')}"),
        *(tag("p", *_paragraph(part)) for part in operation.get("description", "").split("\n\n") if part),
        table_of(["Parameter", "Where", "Meaning"], parameters) if parameters else None,
        tag("p", f"Body: {', '.join(body)}.") if body else None,
        table_of(["Status", "Answer", "Form"], answers),
    )


def _paragraph(text: str) -> list[object]:
    """Return text with what stands between backquotes as code."""
    parts = text.replace("``", "`").split("`")
    return [tag("code", part) if k % 2 else part for k, part in enumerate(parts)]
