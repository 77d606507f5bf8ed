"""``whitecrow serve``: the REST server over a workspace."""

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
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Serve a workspace over HTTP: data sets, fits in the background, scores, explanations, verdicts.

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
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn

        from whitecrow.server.app import create_app
        from whitecrow.server.settings import Settings
        from whitecrow.server.telemetry import configure_logging
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "whitecrow":
            raise
        raise missing_extra(error.name or "fastapi", "serve", "The server") from error
    from whitecrow.workspace import Workspace

    secret = token if token is not None else os.environ.get(_TOKEN) or None
    settings = Settings(host=host, port=port, token=secret, allowed_hosts=tuple(allowed_host or ()))
    with options.console() as console, _listener(settings) as listener:
        configure_logging(as_json=options.json or not sys.stderr.isatty())
        app = create_app(Workspace(workspace), settings)
        config = uvicorn.Config(
            app, access_log=False, log_level="warning", ws_max_size=_LONGEST_MESSAGE, server_header=False,
            timeout_graceful_shutdown=_PATIENCE,
        )  # fmt: skip
        _announce(console, settings, workspace, on_command_line=token is not None)
        sys.stdout.flush()
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


def _announce(console: Console, settings: "Settings", workspace: Path, *, on_command_line: bool) -> None:
    name = f"[{settings.host.strip('[]')}]" if ":" in settings.host else settings.host
    address = f"http://{name}:{settings.port}"
    entry = "" if settings.token is None else f"?token={settings.token}"
    if on_command_line:
        console.note(f"The token is visible to other users of this machine. Give it in {_TOKEN} instead.")
    lines = {"Address": address, "Endpoints": f"{address}/docs{entry}", "Workspace": str(workspace)}
    console.summary({"address": address, "workspace": str(workspace.resolve())}, facts(lines))
