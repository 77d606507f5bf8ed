"""Several models race on one stream of records: a websocket."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from whitecrow.core.errors import DataError, WhitecrowError
from whitecrow.server.responses import to_json
from whitecrow.server.routes.context import Context, Here
from whitecrow.server.routes.stream_race import Models, close_race, make_race, watch
from whitecrow.server.schemas.streaming import Begin, Command, LiveAnswer
from whitecrow.workspace.stream import FrameMerger, Pacer, Race, TailSource

__all__ = ["router"]

router = APIRouter(prefix="/api/stream", tags=["stream"])
_MOST_STREAMS = 8
_LONGEST_MESSAGE = 16 << 10
_MESSAGES_PER_SECOND, _BURST = 30.0, 60.0
_FIRST_MESSAGE = 10.0  # seconds
_TICK = 1 / 60
_LOOK_EVERY = 0.1  # seconds between looks at a live source that has given all it has
_FASTEST = 10_000.0
_REFUSED, _TOO_BIG, _BUSY = 1008, 1009, 1013
_BEGIN: TypeAdapter[Begin] = TypeAdapter(Begin)
_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)


class _Refused(Exception):  # noqa: N818 - what the client did, which ends the connection
    """The client keeps to no rule of this socket."""

    def __init__(self, reason: str, code: int = _REFUSED) -> None:
        super().__init__(reason)
        self.code = code


@router.get("/sources", response_model=LiveAnswer, summary="List the live sources")
async def sources(here: Here) -> dict[str, Any]:
    """Return the files that streams may follow as they grow, by the names that the operator gave them."""
    return await here.work.light(lambda: {"live": [one.document() for one in here.workspace.live.all()]})


@router.websocket("")
async def stream(socket: WebSocket, here: Here) -> None:
    """Let models judge the same records in lock-step, and send what comes of it.

    The client begins with a :class:`~whitecrow.server.schemas.streaming.Begin` and goes on with
    :data:`~whitecrow.server.schemas.streaming.Command`. The server answers with ``ready`` (of each run its model's
    version, threshold and source), ``frame``, ``state`` after each command, ``error`` for a command that cannot be
    followed, and ``end``, after which the client may rewind. Of a live source, which has no speed, no way back and no
    end, ``source`` says how many lines were no records, and how often the file was replaced.
    """
    await socket.accept()
    if here.streams >= _MOST_STREAMS:
        await socket.close(_BUSY, "Too many streams are open.")
        return
    here.streams += 1
    try:
        await _serve(socket, here)
    except _Refused as refusal:
        await _leave(socket, refusal.code, str(refusal))
    except (ValidationError, WhitecrowError) as error:
        with suppress(WebSocketDisconnect, RuntimeError):
            await _send(socket, {"type": "error", **_fault(error)})
        await _leave(socket, _REFUSED, "The stream cannot go on.")
    except WebSocketDisconnect:
        pass
    finally:
        here.streams -= 1


async def _serve(socket: WebSocket, here: Context) -> None:
    try:
        async with asyncio.timeout(_FIRST_MESSAGE):
            begin = _BEGIN.validate_json(await _text(socket))
    except TimeoutError:
        raise _Refused("No message came.") from None
    race, models, detectors = await here.work.heavy(make_race, here, begin)
    turns = _Turns()
    try:
        await _send(socket, {"type": "ready", "runs": models, "position": race.position, "length": race.source.length})
        commands: asyncio.Queue[Any] = asyncio.Queue(32)
        listening = asyncio.create_task(_listen(socket, commands))
        running = asyncio.create_task(_Show(socket, here, race, turns, begin, detectors).run(commands))
        try:
            done, _ = await asyncio.wait((listening, running), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (listening, running):
                task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(listening, running, return_exceptions=True)
    finally:
        # However the connection ended, the thread of the race and the file that it follows end too.
        with anyio.CancelScope(shield=True):
            await here.work.heavy(turns.take, close_race, race)


class _Turns:
    """Lets one thread at a time use a race: a step whose socket has gone may still be computed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def take(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self._lock:
            return function(*arguments)


class _Show:
    """Steps a race as fast as it was asked to, and sends what a page can show."""

    def __init__(
        self, socket: WebSocket, here: Context, race: Race, turns: _Turns, begin: Begin, detectors: Models
    ) -> None:
        self._socket, self._here, self._race, self._turns = socket, here, race, turns
        self._begin = begin
        self._detectors = detectors
        self._live = race.source if isinstance(race.source, TailSource) else None
        self._told = (0, 0)
        self._pacer = Pacer(begin.rate if self._live is None else _FASTEST)
        self._merger = self._new_merger()
        self._ended = False
        if begin.paused:
            self._pacer.pause()

    def _new_merger(self) -> FrameMerger:
        return FrameMerger(self._begin.frames_per_second, listed=self._begin.listed)

    async def run(self, commands: "asyncio.Queue[Any]") -> None:
        while True:
            while not commands.empty():
                await self._follow(commands.get_nowait())
            n, exhausted = 0 if self._ended else self._pacer.due(), False
            if n:
                frame = await self._here.work.heavy(self._turns.take, self._race.step, n)
                if frame.count:
                    self._merger.add(frame)
                    if self._begin.alert_rules:
                        await self._here.work.heavy(watch, self._here, self._detectors, frame)
                exhausted = frame.count < n
                length = self._race.source.length
                self._ended = length is not None and self._race.position >= length
            shown = self._merger.take(at_once=self._ended or self._pacer.paused)
            if shown is not None:
                await _send(self._socket, {"type": "frame", **shown.document()})
            if self._ended and n:
                await _send(self._socket, {"type": "end", "position": self._race.position})
            await self._tell_of_source()
            await asyncio.sleep(_LOOK_EVERY if self._live is not None and exhausted else _TICK)

    async def _tell_of_source(self) -> None:
        """Say what became of lines and files of a live source, once it has changed."""
        if self._live is not None and (now := (self._live.bad_lines, self._live.restarts)) != self._told:
            self._told = now
            await _send(self._socket, {"type": "source", "bad_lines": now[0], "restarts": now[1]})

    async def _follow(self, message: Any) -> None:
        try:
            await self._here.work.heavy(self._turns.take, self._carry_out, _COMMAND.validate_json(message))
        except (ValidationError, WhitecrowError) as error:
            await _send(self._socket, {"type": "error", **_fault(error)})
            return
        rate = self._pacer.rate if self._live is None else None
        state = {"rate": rate, "paused": self._pacer.paused, "thresholds": self._race.thresholds}
        standings = {name: standing.document() for name, standing in self._race.standings().items()}
        position = self._race.position
        await _send(self._socket, {"type": "state", **state, "position": position, "standings": standings})

    def _carry_out(self, command: Any) -> None:
        if self._live is not None and command.type in ("speed", "rewind"):
            raise DataError(
                "A live source gives its records as they are written: it has no speed and no way back. To see what "
                "came before, begin anew with from_beginning."
            )
        match command.type:
            case "pause":
                self._pacer.pause()
            case "resume":
                self._pacer.resume()
            case "step":
                self._pacer.step(command.n)
            case "speed":
                self._pacer.rate = command.rate
            case "threshold":
                self._race.set_threshold(command.run, command.value)
            case "attacks":
                self._race.set_attacks(command.attack_rate, command.mix)
            case _:
                self._race.rewind(command.position)
                self._pacer.restart(command.position)
                self._merger = self._new_merger()  # what was not sent yet is of the time before
                self._ended = False


async def _listen(socket: WebSocket, commands: "asyncio.Queue[Any]") -> None:
    """Pass messages on, within bounds on their size and rate."""
    left, last = _BURST, time.monotonic()
    while True:
        message = await _text(socket)
        now = time.monotonic()
        left, last = min(left + (now - last) * _MESSAGES_PER_SECOND, _BURST) - 1, now
        if left < 0 or commands.full():
            raise _Refused(f"More than {_MESSAGES_PER_SECOND:g} messages a second.")
        commands.put_nowait(message)


async def _text(socket: WebSocket) -> str:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    text = message.get("text")
    if text is None:
        raise _Refused("Messages are text.")
    if len(text) > _LONGEST_MESSAGE:
        raise _Refused(f"A message has at most {_LONGEST_MESSAGE:,} characters.", _TOO_BIG)
    return text


async def _send(socket: WebSocket, document: dict[str, Any]) -> None:
    await socket.send_text(to_json(document).decode())


async def _leave(socket: WebSocket, code: int, reason: str) -> None:
    # The client may have gone, or been told already.
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code, reason)


def _fault(error: Exception) -> dict[str, Any]:
    if isinstance(error, ValidationError):
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        fields = [{"field": ".".join(map(str, one["loc"]))[:200], "message": one["msg"]} for one in wrong[:20]]
        return {"detail": "The message is none that this socket knows.", "errors": fields}
    return {"detail": str(error)[:2000], "errors": []}
