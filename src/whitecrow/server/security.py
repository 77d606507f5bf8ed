"""Who may speak to the server: a token, kept from other web sites, and hosts that are ours."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from whitecrow.server.headers import API_PATHS, under
from whitecrow.server.problems import problem
from whitecrow.server.settings import Settings

__all__ = ["OPEN_PATHS", "Guard", "cookie_name", "cookie_value", "matches"]

OPEN_PATHS = ("/health", "/ready")
"""Paths that need no token: what watches the server has none."""

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_MISSING = "This server asks for a token. Send the header Authorization: Bearer TOKEN"
_HOW = f"{_MISSING}, or open the console once at the address with ?token= that the server printed when it started."


def matches(given: str | bytes, expected: str | bytes) -> bool:
    """Return whether two secrets are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(_bytes(given), _bytes(expected))


def cookie_name(port: int) -> str:
    """Return the name of the cookie: browsers share cookies between the ports of a host."""
    return f"whitecrow-{port}"


def cookie_value(token: str) -> str:
    """Return what the cookie holds: a digest, from which the token cannot be found."""
    return hmac.new(_bytes(token), b"whitecrow console", hashlib.sha256).hexdigest()


class Guard:
    """ASGI middleware for HTTP and websockets: hosts, token, and requests that other web sites cause.

    - The Host header must be one of ``settings.hosts``, so that no name that is rebound to this address passes.
    - With a token in the settings, a request carries it as ``Authorization: Bearer TOKEN`` or has the cookie, which a
      browser gets by opening a page once with ``?token=TOKEN``; it is then sent to the same address without it.
    - A websocket, and any method that changes something, must come from a page of this server if the browser says
      where it comes from; with the cookie the browser has to say it. A bearer token needs no such proof.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    open_paths : sequence of str, default=OPEN_PATHS
        Paths, with all below them, that need no token.
    api_paths : sequence of str, default=API_PATHS
        Paths that a browser does not open as a page, so that no cookie is given there.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        open_paths: Sequence[str] = OPEN_PATHS,
        api_paths: Sequence[str] = API_PATHS,
    ) -> None:
        self.app = app
        self.open_paths = tuple(open_paths)
        self.api_paths = tuple(api_paths)
        self._hosts = settings.hosts
        self._token = settings.token
        self._name = cookie_name(settings.port)
        self._cookie = None if settings.token is None else cookie_value(settings.token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": ""})

    def _refusal(self, scope: Scope) -> Response | None:
        """Return what answers the request in place of the application, or None."""
        headers = Headers(scope=scope)
        if self._hosts is not None and _host_name(headers) not in self._hosts:
            detail = "The header Host names another server. Use the address that this one printed when it started."
            return problem(400, detail, kind="host", scope=scope)
        path = scope["path"]
        if under(path, self.open_paths):
            return None
        page = scope["type"] == "http" and scope["method"] == "GET" and not under(path, self.api_paths)
        if page and self._token is not None and (entry := self._entry(scope)) is not None:
            return entry
        proof = self._proof(headers)
        if proof is None:
            return problem(401, _HOW, kind="token", scope=scope, headers={"WWW-Authenticate": "Bearer"})
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if changes and proof != "bearer" and not _from_here(headers, required=proof == "cookie"):
            detail = "The request was caused by a page of another web site. Send it from the console, or with a token."
            return problem(403, detail, kind="origin", scope=scope)
        return None

    def _proof(self, headers: Headers) -> Literal["bearer", "cookie", "none"] | None:
        """Return what shows that the request may come in, or None."""
        if self._token is None or self._cookie is None:
            return "none"
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Headers are decoded as Latin-1, so this gives the bytes that were sent.
        if scheme.lower() == "bearer" and matches(given.strip(" \t").encode("latin-1"), self._token):
            return "bearer"
        return "cookie" if matches(_cookie(headers, self._name), self._cookie) else None

    def _entry(self, scope: Scope) -> Response | None:
        """Return the answer to a page that is opened with a token: the cookie, and the address without the token."""
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in pairs if name == "token"]
        if not given or self._token is None or self._cookie is None:
            return None
        if not matches(given[0], self._token):
            return problem(401, _HOW, kind="token", scope=scope, headers={"WWW-Authenticate": "Bearer"})
        rest = urlencode([(name, value) for name, value in pairs if name != "token"])
        # One slash in front: two would name another host.
        address = "/" + quote(scope["path"].lstrip("/\\"))
        answer = RedirectResponse(f"{address}?{rest}" if rest else address, 303)
        answer.headers["Cache-Control"] = "no-store"
        secure = scope.get("scheme") == "https"
        answer.set_cookie(self._name, self._cookie, path="/", httponly=True, samesite="strict", secure=secure)
        return answer


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def _cookie(headers: Headers, name: str) -> str:
    """Return a cookie's value, empty if there is none."""
    found = ""
    for line in headers.getlist("cookie"):
        for pair in line.split(";"):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                found = value.strip().strip('"')
    return found


def _host_name(headers: Headers) -> str:
    """Return the name in the Host header in lower case, without port and brackets; empty if it is not just one."""
    given = headers.getlist("host")
    if len(given) != 1:
        return ""
    host = given[0].strip().lower()
    if host.startswith("["):
        return host[1 : host.find("]")]
    return host.partition(":")[0]


def _from_here(headers: Headers, *, required: bool) -> bool:
    """Return whether a browser says that a page of this server sent the request.

    A client that says nothing passes unless it is ``required`` to.
    """
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return not required or "sec-fetch-site" in headers
    # The scheme is not compared: behind a proxy that ends TLS it differs.
    return origin.partition("://")[2].lower() == headers.get("host", "").strip().lower()
