"""A field that files are chosen in or dropped on, and where the browser sends them.

It is the browser's own field: it takes the keyboard, drops and screen readers as they are. A file comes as the body of
one request, is written to a name of ours as it comes, and is gone when the function that takes it has returned.
"""

import secrets
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from fastapi import HTTPException, Request, Response
from nicegui import events, ui

from whitecrow.dashboard.formats import size
from whitecrow.dashboard.parts import Text
from whitecrow.dashboard.threads import in_thread
from whitecrow.dashboard.uploads import UploadLimits

__all__ = ["UPLOAD_PATH", "answer_upload", "upload_field"]

UPLOAD_PATH = "/_console/upload"
"""Where fields send files."""

_PIECE = 1 << 20  # bytes written at once


@dataclass(frozen=True)
class _Field:
    """A field on an open page: what takes its files, and where on the page that shows what comes of them."""

    taken: Callable[[Path, str], Awaitable[None]]
    place: ui.element
    max_bytes: int


_fields: dict[str, _Field] = {}


def upload_field(
    label: str,
    limits: UploadLimits,
    taken: Callable[[Path, str], Awaitable[None]],
    refused: Callable[[str], None],
    *,
    accept: str = ".csv,.parquet",
) -> ui.element:
    """Show a field for one file at a time.

    Parameters
    ----------
    label : str
        What is to be chosen.
    limits : UploadLimits
        Its ``max_bytes`` holds, here and at the server.
    taken : async function of Path and str
        Called with the file and the client's name for it, which is for display alone.
    refused : function of str
        Called with the status, as text, of a file that did not arrive.
    accept : str
        Endings that the browser offers.
    """
    key = secrets.token_urlsafe(16)
    with ui.element("label").classes("wc-upload") as made:
        Text(label)
        field = ui.element("input").props("type=file")
        field.props["accept"] = accept
        field.props["data-wc-upload"] = f"{UPLOAD_PATH}/{key}"
        field.props["data-wc-most"] = limits.max_bytes
    # What is taken makes the page anew, this field included: its layout stays.
    _fields[key] = _Field(taken, ui.context.client.content, limits.max_bytes)
    ui.context.client.on_delete(lambda: _fields.pop(key, None))

    def heard(event: events.GenericEventArguments) -> None:
        refused(str(event.args))

    ui.on("wc-upload-refused", heard)
    return made


async def answer_upload(key: str, request: Request) -> Response:
    """Take the file in the body of a request, whose header ``X-File-Name`` says the client's name for it.

    Raises
    ------
    HTTPException
        404 if the page has been closed, 413 if the file is larger than its field takes.
    """
    field = _fields.get(key)
    if field is None:
        raise HTTPException(404, "The page of this field has been closed. Load it again.")
    name = unquote(request.headers.get("x-file-name", ""))[:1000]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "upload")
        with file.open("xb") as stream:
            held, written = bytearray(), 0
            async for chunk in request.stream():
                held += chunk
                written += len(chunk)
                if written > field.max_bytes:
                    raise HTTPException(413, f"The file is larger than {size(field.max_bytes)}. Send a part.")
                if len(held) >= _PIECE:
                    await in_thread(stream.write, bytes(held))
                    held.clear()
            await in_thread(stream.write, bytes(held))
        with field.place:
            await field.taken(file, name)
    return Response(status_code=204)
