"""The REST server over a workspace."""

import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse

from whitecrow.detectors import NotFittedError
from whitecrow.server.docs_page import docs_page
from whitecrow.server.health import health_router
from whitecrow.server.metrics import Metrics
from whitecrow.server.openapi import PROBLEMS, install_openapi
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes import (
    alerts,
    audit,
    compare,
    curves,
    datasets,
    detectors,
    drift,
    events,
    exports,
    feedback,
    models,
    rules,
    runs,
    scoring,
    stream,
)
from whitecrow.server.routes.context import Context
from whitecrow.server.settings import Settings
from whitecrow.server.stack import install_guards
from whitecrow.workspace import Workspace, WorkspaceError

__all__ = ["create_app"]

# Scoring first: the parts are searched in turn.
_PARTS = (
    scoring, detectors, datasets, runs, events, models, curves, alerts, feedback, exports, compare, drift, stream,
    rules, audit,
)  # fmt: skip
_LEAST_DISK = 100 << 20  # bytes


def create_app(workspace: Workspace, settings: Settings) -> FastAPI:
    """Return the server of a workspace; while it runs, so do the fits that wait in the workspace.

    Parameters
    ----------
    workspace : Workspace
        Its queue must not be worked by another application of this process.
    settings : Settings
        Who may speak to the server, and how much it takes.

    Returns
    -------
    FastAPI
        ``app.state.context`` holds what its endpoints share. Pages may be mounted on it: they stand behind the same
        guards.
    """
    metrics = Metrics()
    workspace.alerting.allow(settings.allowed_webhooks)
    workspace.live.allow(settings.live_files)
    context = Context(workspace, settings, metrics)
    app = FastAPI(
        title="whitecrow",
        version=version("whitecrow"),
        docs_url=None,
        redoc_url=None,
        default_response_class=FiniteJSONResponse,
        lifespan=lambda app: _life(context),
        # A slash too many is not found, rather than a redirect that loses the body.
        redirect_slashes=False,
    )
    app.state.context = context
    for part in _PARTS:
        app.include_router(part.router, responses=PROBLEMS)
    checks = {
        "database": lambda: _database(context),
        "disk": lambda: _disk(context),
        "fits": lambda: _fits(context),
    }
    app.include_router(health_router(checks, metrics))

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page(request.app.openapi()))

    install_openapi(app, settings)
    install_guards(app, settings, metrics, statuses={WorkspaceError: 409, NotFittedError: 409})
    return app


@asynccontextmanager
async def _life(context: Context) -> AsyncIterator[None]:
    await anyio.to_thread.run_sync(context.incoming.open)
    await anyio.to_thread.run_sync(context.workspace.jobs.start)
    context.workspace.alerting.start()
    try:
        yield
    finally:
        # Whatever ends the server must not end this: fits are marked as interrupted here.
        with anyio.CancelScope(shield=True):
            await context.batcher.close()
            await anyio.to_thread.run_sync(context.workspace.jobs.close)
            await anyio.to_thread.run_sync(context.workspace.alerting.close)
            context.work.close()
            await anyio.to_thread.run_sync(context.incoming.close)


async def _database(context: Context) -> str | None:
    await context.work.light(context.workspace.audit.lines, limit=1)
    return None


async def _disk(context: Context) -> str | None:
    return await context.work.light(_writable, context)


async def _fits(context: Context) -> str | None:
    return None if context.workspace.jobs.alive else "the queue of fits is not worked"


def _writable(context: Context) -> str | None:
    probe = context.incoming.folder / f"probe-{secrets.token_hex(8)}"
    try:
        probe.write_bytes(os.urandom(16))
    except OSError as error:
        return f"the workspace cannot be written to: {error.strerror}"
    finally:
        probe.unlink(missing_ok=True)
    free = shutil.disk_usage(context.workspace.folder).free
    return None if free >= _LEAST_DISK else f"only {free >> 20} MiB are free on the disk"
