"""``whitecrow serve``: the REST server and the console over a workspace."""

import gc
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from whitecrow.cli.console import Console, Options
from whitecrow.cli.figures import facts
from whitecrow.core.errors import missing_extra

if TYPE_CHECKING:
    from whitecrow.server.settings import Settings

__all__ = ["serve"]

_TOKEN = "WHITECROW_TOKEN"
_LONGEST_MESSAGE = 64 << 10  # bytes of a websocket
_PATIENCE = 3  # seconds that open answers have when the server ends


def serve(
    *,
    workspace: Path = Path("whitecrow-workspace"),
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    allowed_host: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    allow_webhook: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    follow: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Serve a workspace to browsers and over HTTP: data sets, fits in the background, scores, explanations, verdicts.

    Ctrl-C ends it; fits that run are marked as interrupted and can be resumed.

    Parameters
    ----------
    workspace
        Folder of the workspace; it is made if it is absent.
    host
        Address to listen on. Beyond this machine (127.0.0.1) a token is required.
    port
        Port to listen on.
    token
        Secret that every request must carry, at least 16 characters. Other users of this machine can see it on the
        command line: better give it in the environment variable WHITECROW_TOKEN.
    allowed_host
        Further names that requests may call this server by, such as the one that a proxy uses.
    allow_webhook
        Hosts that webhooks of alert rules may reach; none by default. A host must lead to a public address, unless
        that address is named too; localhost names this machine.
    follow
        Files to which other programs write and that streams may follow, each as NAME=FILE: the name is what the console
        offers and requests say, the file is CSV, or JSON lines if it ends in .jsonl, .ndjson or .json. May be repeated.
    """
    secret = token if token is not None else os.environ.get(_TOKEN) or None
    with options.console() as console:
        if token is not None:
            console.note(f"The token is visible to other users of this machine. Give it in {_TOKEN} instead.")
        run_console(
            console,
            workspace,
            host,
            port,
            secret,
            tuple(allowed_host or ()),
            allowed_webhooks=tuple(allow_webhook or ()),
            follow=tuple(follow or ()),
        )


def run_console(
    console: Console,
    workspace: Path,
    host: str,
    port: int,
    token: str | None = None,
    allowed_hosts: tuple[str, ...] = (),
    *,
    allowed_webhooks: tuple[str, ...] = (),
    follow: tuple[str, ...] = (),
    demo: bool = False,
) -> None:
    """Serve a workspace until Ctrl-C; with ``demo`` it is filled with simulated traffic and fits that learn from it.

    Raises
    ------
    MissingExtraError
        If the extra ``serve`` is not installed.
    ParameterError
        If the server would listen beyond this machine without a token, or a file cannot be followed.
    OSError
        If the port cannot be listened on.
    """
    try:
        import uvicorn

        from whitecrow.dashboard import UploadLimits, mount
        from whitecrow.server.app import create_app
        from whitecrow.server.parquet_sizes import check_parquet
        from whitecrow.server.settings import Settings
        from whitecrow.server.telemetry import configure_logging
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "whitecrow":
            raise
        raise missing_extra(error.name or "fastapi", "serve", "The server") from error
    from whitecrow.workspace import Workspace
    from whitecrow.workspace.demo import fill_with_demo
    from whitecrow.workspace.stream import LiveFile

    settings = Settings(
        host=host, port=port, token=token, allowed_hosts=allowed_hosts, allowed_webhooks=allowed_webhooks,
        live_files=tuple(map(LiveFile.of, follow)),
    )  # fmt: skip

    def check(file: Path) -> None:
        if file.suffix == ".parquet":
            check_parquet(file.read_bytes(), settings)

    with _listener(settings) as listener:
        configure_logging(as_json=console.options.json or not sys.stderr.isatty())
        space = Workspace(workspace)
        if demo:
            fill_with_demo(space)
        app = create_app(space, settings)
        mount(
            app,
            space,
            limits=UploadLimits(settings.max_body_bytes, settings.max_rows, settings.max_columns, check=check),
        )
        config = uvicorn.Config(
            app, access_log=False, log_level="warning", ws="websockets-sansio", ws_max_size=_LONGEST_MESSAGE,
            server_header=False, timeout_graceful_shutdown=_PATIENCE,
        )  # fmt: skip
        _announce(console, settings, workspace)
        sys.stdout.flush()
        # What stands now stays: looking through it for garbage would hold up every answer for a quarter of a second.
        gc.collect()
        gc.freeze()
        # uvicorn ends in its own way, and then raises the signal once more.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
        console.say("Stopped.")


def _listener(settings: "Settings") -> socket.socket:
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Bound before anything is made, so that a port in use costs nothing.
        return socket.create_server((host, settings.port), family=family, backlog=2048)
    except OSError as error:
        remedy = "Name another with --port, or another --host."
        raise OSError(f"{host}, port {settings.port}, cannot be listened on: {error.strerror}. {remedy}") from error


def _announce(console: Console, settings: "Settings", workspace: Path) -> None:
    name = f"[{settings.host.strip('[]')}]" if ":" in settings.host else settings.host
    address = f"http://{name}:{settings.port}"
    entry = "" if settings.token is None else f"?token={settings.token}"
    lines = {"Console": f"{address}/{entry}", "Endpoints": f"{address}/docs{entry}", "Workspace": str(workspace)}
    console.summary({"address": address, "workspace": str(workspace.resolve())}, facts(lines))
