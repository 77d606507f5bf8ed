"""The screens on an ASGI application."""

import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nicegui
from fastapi import FastAPI, Request
from nicegui import app as screens_app
from nicegui import ui

from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.assets import STATIC_PATH, asset
from whitecrow.dashboard.compression import Compression
from whitecrow.dashboard.palette import custom_properties
from whitecrow.dashboard.screens import SCREENS
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import ViewState
from whitecrow.dashboard.tables import ROWS_PATH, answer_rows
from whitecrow.dashboard.upload_field import UPLOAD_PATH, answer_upload
from whitecrow.dashboard.uploads import UploadLimits
from whitecrow.workspace import Workspace

__all__ = ["mount"]

_STATIC = Path(__file__).parent / "static"
# What NiceGUI serves from the files of its package.
_PACKAGE_FILES = [
    f"/_nicegui/{nicegui.__version__}/{kind}/" for kind in ("static", "libraries", "components", "resources", "esm")
]
# A chart is drawn a moment after its element is there; one that is taken away before has nothing to dispose of, and
# what it waits to show goes nowhere.
_UNDRAWN_CHARTS = """
        app.mixin({
          beforeUnmount() {
            if (!this.$el?.classList?.contains("nicegui-echart")) return;
            this.chart ??= { dispose() {}, getOption() {}, setOption() {} };
          },
        });
"""
# Asked for with the stylesheets already: the page itself asks once those are read.
_EARLY = "".join(
    f'<link rel="preload" as="script" href="/_nicegui/{nicegui.__version__}/static/{name}.js">'
    for name in ("quasar.umd.prod", "nicegui")
)
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0072B2"/>'
    '<path d="M6 21c5-1 7-9 12-9 3 0 4 2 8 2-2 1-3 2-4 5-2 5-8 7-13 6l-4 2z" fill="#fff"/></svg>'
)


def mount(app: FastAPI, workspace: Workspace, *, limits: UploadLimits | None = None) -> None:
    """Put the console on an application, beneath whatever guards and routes it has; routes come first.

    Nothing is loaded from another host, nothing is kept of a visitor but the theme, in the browser itself. The
    workspace's queue (``workspace.jobs``) is the caller's to start and to close.

    Parameters
    ----------
    app : FastAPI
        All routes that are to be found must have been added, for everything else is answered by the console.
    workspace : Workspace
        What is shown.
    limits : UploadLimits, optional
        What uploads may be.

    Raises
    ------
    WhitecrowError
        If this process has a console already: NiceGUI has one application for each process.
    """
    if screens_app.config.has_run_config:
        raise WhitecrowError("This process has a console already. Start another process for another workspace.")
    app.get(ROWS_PATH + "/{key}", include_in_schema=False)(answer_rows)
    app.post(UPLOAD_PATH + "/{key}", include_in_schema=False)(answer_upload)
    screens_app.add_static_files(STATIC_PATH, _STATIC, max_cache_age=365 * 86_400)
    for screen in SCREENS:
        _add_page(screen, workspace, limits or UploadLimits())
    screens_app.config.vue_config_script += _UNDRAWN_CHARTS
    # The bar at the top of every request has no name that could be read out; screens say themselves what they wait for.
    screens_app.config.quasar_config["loadingBar"] = {"skipHijack": True}
    ui.run_with(
        app,
        title="whitecrow",
        favicon=_ICON,
        dark=None,
        language="en-US",
        tailwind=False,
        gzip_middleware_factory=partial(Compression, fixed=[STATIC_PATH + "/", *_PACKAGE_FILES]),
        reconnect_timeout=10.0,
        show_welcome_message=False,
    )
    _start_quietly(app)


def _start_quietly(app: FastAPI) -> None:
    """Let NiceGUI start without a warning that is none of its users' concern.

    It looks at every object of the process for its server, and one of torch's warns when it is looked at.
    """
    begun = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*torch.distributed.reduce_op", category=FutureWarning)
                state = await stack.enter_async_context(begun(app))
            yield state

    app.router.lifespan_context = lifespan


def _add_page(screen: Screen, workspace: Workspace, limits: UploadLimits) -> None:
    head = _head()

    @ui.page(screen.path, title=f"{screen.title} · whitecrow", response_timeout=30.0)
    async def page(request: Request) -> None:
        ui.add_head_html(head)
        state = ViewState.of(request.url.query)
        await Page(workspace, screen, SCREENS, state, limits).build()


def _head() -> str:
    return _EARLY + (
        f"<style>{custom_properties()}</style>"
        f'<link rel="stylesheet" href="{asset("theme.css")}">'
        f'<script src="{asset("console.js")}"></script>'
    )
