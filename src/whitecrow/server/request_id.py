"""The id of a request: in its log line, in its answer, in its problem document."""

import re
import secrets

from starlette.datastructures import Headers
from starlette.types import Scope

__all__ = ["HEADER", "request_id"]

HEADER = "X-Request-ID"
_KEY = "whitecrow.request_id"
# Ids of others are taken if they can do no harm in a log or a header.
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id(scope: Scope) -> str:
    """Return the id of a request, which it gets when first asked for it.

    Parameters
    ----------
    scope : ASGI scope
        Of an HTTP request or a websocket. A proxy's ``X-Request-ID`` of 8 to 64 letters, digits, ``.``, ``_`` and
        ``-`` is kept.
    """
    if _KEY not in scope:
        given = Headers(scope=scope).get(HEADER, "")
        scope[_KEY] = given if _ACCEPTED.fullmatch(given) else secrets.token_hex(8)
    return scope[_KEY]
