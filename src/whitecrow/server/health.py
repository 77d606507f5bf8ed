"""Is the process alive, can it serve, what has it done: three addresses for what watches it."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from starlette.responses import Response

from whitecrow.server.metrics import Metrics
from whitecrow.server.responses import FiniteJSONResponse

__all__ = ["health_router"]

Check = Callable[[], Awaitable[str | None]]


def health_router(checks: Mapping[str, Check], metrics: Metrics) -> APIRouter:
    """Return the routes ``/health``, ``/ready`` and ``/metrics``.

    Parameters
    ----------
    checks : mapping of str to async callable
        By the name of what must work before requests can be served; each returns None, or in words what is wrong.
        One that raises counts as wrong, without its words, which may not be for everybody.
    metrics : Metrics
        What ``/metrics`` shows.
    """
    router = APIRouter(tags=["health"])

    @router.get("/health", summary="Whether the process answers", response_class=FiniteJSONResponse)
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/ready", summary="Whether requests can be served", responses={503: {"description": "Not yet."}})
    async def ready() -> Response:
        found = {name: await _outcome(check) for name, check in checks.items()}
        wrong = any(text is not None for text in found.values())
        content = {
            "status": "not ready" if wrong else "ready",
            "checks": {name: text or "ok" for name, text in found.items()},
        }
        return FiniteJSONResponse(content, 503 if wrong else 200)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def shown() -> Response:
        return metrics.response()

    return router


async def _outcome(check: Check) -> str | None:
    try:
        return await check()
    except Exception as error:
        return f"failed ({type(error).__name__})"
