"""Compression of what leaves this machine."""

import ipaddress

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

__all__ = ["CompressionBeyondLoopback"]


class CompressionBeyondLoopback(GZipMiddleware):
    """ASGI middleware: compresses as its base class does, but not for a browser on this machine.

    To that one, compressing takes longer than sending. A proxy on this machine counts as the browser behind it if it
    says who that is in ``X-Forwarded-For``.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, to compress its answer or not."""
        answer = self.app if _on_this_machine(scope) else super().__call__
        await answer(scope, receive, send)


def _on_this_machine(scope: Scope) -> bool:
    host, _ = scope.get("client") or ("", 0)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
