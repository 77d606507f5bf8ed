"""Headers that tell a browser what an answer may do: load nothing from outside, be framed by nobody."""

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["API_PATHS", "SecurityHeaders", "under"]

API_PATHS = ("/api", "/health", "/ready", "/metrics", "/openapi.json")
"""Paths, with all below them, whose answers are data and not pages."""

# The dashboard's pages carry their own scripts and styles inline and compile templates in the browser; 'self' covers
# websockets to the same host. No outside host is named anywhere.
_PAGE = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_DATA = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: forms of the page itself would then be sent with the origin "null".
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeaders:
    """ASGI middleware: sets the headers on every answer, those to refused requests too if it stands outside.

    Parameters
    ----------
    app : ASGI application
    api_paths : sequence of str, default=API_PATHS
        Paths whose answers are data: nothing may run in them, and nobody may keep them.
    """

    def __init__(self, app: ASGIApp, api_paths: Sequence[str] = API_PATHS) -> None:
        self.app = app
        self.api_paths = tuple(api_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and set the headers on its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        data = under(scope["path"], self.api_paths)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers[name] = value
                headers["Content-Security-Policy"] = _DATA if data else _PAGE
                if data or message["status"] >= 400:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, with_headers)


def under(path: str, roots: Sequence[str]) -> bool:
    """Return whether a path is one of these or below one."""
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)
