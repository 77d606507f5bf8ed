"""What happens to a run, as it happens: server-sent events."""

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header
from starlette.responses import Response, StreamingResponse

from whitecrow.core.errors import UnknownNameError
from whitecrow.server.errors import OverloadedError, RequestError
from whitecrow.server.responses import to_json
from whitecrow.server.routes.context import Context, Here
from whitecrow.workspace.runs import ENDED

__all__ = ["router"]

router = APIRouter(prefix="/api/runs", tags=["runs"])
_LOOK_EVERY = 0.2  # seconds
_HEARTBEAT = 15.0  # seconds of silence
_LONGEST = 3600.0  # seconds, after which the client connects again
_MOST = 24  # followers: fewer than the requests that are answered at once
_STATE = ("state", "error", "stage", "epoch", "epochs", "fraction", "loss", "version", "threshold", "threshold_source")


@router.get(
    "/{run}/events",
    response_class=Response,
    responses={
        200: {"description": "Events until the run has ended.", "content": {"text/event-stream": {"schema": {}}}}
    },
    summary="Follow a run",
)
async def events(here: Here, run: str, last_event_id: Annotated[str, Header(max_length=100)] = "") -> Response:
    """Stream what happens to a run, until it has ended.

    `state` tells the state and the progress whenever they change, `epoch` each epoch once it is recorded, and `end`
    the outcome, after which the stream ends. The id of an event is the place of the last epoch that was told, so that
    who sends it as `Last-Event-ID` misses none and gets none twice. A comment comes after 15 seconds of silence.
    """
    if last_event_id and not (last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) < 10):
        raise RequestError("Last-Event-ID is none that this server gave. Leave it out to get all events.")
    await here.work.light(here.workspace.runs.get, run)
    if here.followers >= _MOST:
        raise OverloadedError(f"{_MOST} clients follow runs already. Try again later.", retry_after=10)
    stream = _events(here, run, int(last_event_id) if last_event_id else -1)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(here: Context, run: str, place: int) -> AsyncIterator[bytes]:
    here.followers += 1
    try:
        end = time.monotonic() + _LONGEST
        told: dict[str, Any] = {}
        heard = time.monotonic()
        while time.monotonic() < end:
            try:
                # The run first: epochs that are recorded before its end are not missed.
                record = await here.work.light(here.workspace.runs.get, run)
                epochs = await here.work.light(here.workspace.runs.epochs, run, place)
            except UnknownNameError:
                yield _event("end", place, {"run": run, "state": "removed"})
                return
            state = {"run": run, **{name: getattr(record, name) for name in _STATE}}
            for epoch in epochs:
                place = epoch.place
                yield _event("epoch", place, {name: getattr(epoch, name) for name in epoch.__slots__})
            if record.state in ENDED:
                yield _event("end", place, {**state, "report": record.report, "notes": record.notes})
                return
            if state != told:
                yield _event("state", place, state)
                told = state
            elif not epochs and time.monotonic() - heard > _HEARTBEAT:
                yield b": still here\n\n"
            else:
                await anyio.sleep(_LOOK_EVERY)
                continue
            heard = time.monotonic()
            await anyio.sleep(_LOOK_EVERY)
    finally:
        here.followers -= 1


def _event(kind: str, place: int, data: dict[str, Any]) -> bytes:
    number = f"id: {place}\n" if place >= 0 else ""
    return f"{number}event: {kind}\ndata: ".encode() + to_json(data) + b"\n\n"
