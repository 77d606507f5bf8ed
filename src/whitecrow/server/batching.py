"""Scoring requests that come close together, scored in one call.

A call costs about as much for one row as for a thousand, so that what waits for a call to end goes into the next one.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import polars as pl

from whitecrow.data.encoders import table_encoder
from whitecrow.io.batches import TURN, score_columns
from whitecrow.server.errors import OverloadedError
from whitecrow.server.settings import Settings

__all__ = ["MicroBatcher", "alike", "scored"]

_FEW_ROWS = 64
_KNOWN_MODELS = 64
Score = Callable[[Any, pl.DataFrame], pl.DataFrame]
Observe = Callable[[int, int], None]


def scored(detector: Any, rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``score``, ``p_value`` and ``is_anomaly`` of each row; see :func:`whitecrow.io.batches.score_columns`."""
    return score_columns(rows, detector)


def alike(detector: Any, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows in the form that those of other requests have, with scores that are the same to the last bit.

    The columns that the model reads, in its order; whole numbers and missing values in a column of numbers as 64-bit
    floats, which is how the encoder reads them; a column of text without a value as text.
    """
    columns = table_encoder(detector.encoder_, "Scoring rows").columns_
    names = [column.name for column in columns]
    if rows.columns != names:
        if not set(names) <= set(rows.columns):
            return rows
        rows = rows[names]
    casts: dict[str, type[pl.DataType]] = {}
    for column, dtype in zip(columns, rows.dtypes, strict=True):
        if isinstance(dtype, pl.Float64):
            continue
        if column.kind == "number" and (dtype.is_numeric() or isinstance(dtype, pl.Null)):
            casts[column.name] = pl.Float64
        elif column.kind == "category" and isinstance(dtype, pl.Null):
            casts[column.name] = pl.String
    # Without a query, which costs more than the rest.
    return pl.DataFrame([v.cast(casts.get(v.name, v.dtype)) for v in rows]) if casts else rows


@dataclass(slots=True, eq=False)
class _Job:
    model: Any
    rows: pl.DataFrame
    answer: "asyncio.Future[pl.DataFrame]"
    schema: pl.Schema = field(init=False)

    def __post_init__(self) -> None:
        self.schema = self.rows.schema


class MicroBatcher:
    """Scores tables one call at a time; tables of one model and schema that wait go together.

    A request that comes while nothing is scored starts at once. Those that come during a call wait for it, and are
    then scored together, up to ``settings.batch_rows`` rows. A larger table is cut into pieces of that many, and the
    pieces queue like others, so that a single record waits for one piece and not for the table. If a call fails, its
    requests are halved until the one that fails stands alone.

    A call runs in a thread, but for those with few rows of a model that was quick with as few the last time: these run
    in the event loop. Handed to a thread, they take several times as long, because the two wait for the interpreter's
    lock in turns.

    Parameters
    ----------
    settings : Settings
        ``batch_rows``, ``batch_window_ms`` and ``max_waiting``.
    score : callable (model, rows) -> DataFrame, default=scored
        Gives one row for each row, which must depend on that row alone.
    prepare : callable (model, rows) -> DataFrame, default=alike
        Brings the rows of a request into the form that those of others have.
    observe : callable (requests, rows), optional
        Called after each call with what went into it.
    quick : float, default=0.02
        Seconds of processor time that a call in the event loop may take; 0 for none there.

    Examples
    --------
    >>> import asyncio
    >>> def double(model, rows):
    ...     return rows * model
    >>> async def main():
    ...     batcher = MicroBatcher(Settings(), double, prepare=lambda model, rows: rows)
    ...     answers = await asyncio.gather(*(batcher.score(2, pl.DataFrame({"x": [x]})) for x in (1, 2)))
    ...     await batcher.close()
    ...     return [answer["x"].to_list() for answer in answers]
    >>> asyncio.run(main())
    [[2], [4]]
    """

    def __init__(
        self,
        settings: Settings,
        score: Score = scored,
        *,
        prepare: Score = alike,
        observe: Observe | None = None,
        quick: float = 0.02,
    ) -> None:
        self.settings = settings
        self._quick = quick
        self._score, self._prepare, self._observe = score, prepare, observe
        self._waiting: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="whitecrow-scoring")
        self._running: asyncio.Task[None] | None = None
        self._seconds: dict[int, float] = {}  # of processor time, of the last call with few rows, by the model's id
        self._closed = False

    @property
    def waiting(self) -> int:
        """Number of requests, or pieces of large ones, that wait for their turn."""
        return len(self._waiting)

    async def score(self, model: Any, rows: pl.DataFrame) -> pl.DataFrame:
        """Return what ``score`` gives for these rows alone.

        Parameters
        ----------
        model : object
            Requests with the same object go together.
        rows : polars.DataFrame

        Raises
        ------
        OverloadedError
            If too many wait, or the batcher is closed.
        Exception
            What ``score`` raises for these rows.
        """
        ready = self._prepare(model, rows)
        size = self.settings.batch_rows
        if ready.height <= size:
            return await self._turn(model, ready)
        pieces = [await self._turn(model, piece) for piece in ready.iter_slices(size)]
        return pl.concat(pieces, rechunk=False)

    async def close(self) -> None:
        """Refuse what waits, and return once the call that runs has ended."""
        self._closed = True
        while self._waiting:
            _fail(self._waiting.popleft(), OverloadedError("The server is shutting down. Send the request again."))
        if self._running is not None:
            await asyncio.wait([self._running])
        self._thread.shutdown(wait=False)

    async def _turn(self, model: Any, rows: pl.DataFrame) -> pl.DataFrame:
        if self._closed or len(self._waiting) >= self.settings.max_waiting:
            raise OverloadedError("Too many scoring requests wait already. Send the request again after a moment.")
        job = _Job(model, rows, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._work())
        return await job.answer  # cancelled with the request, so that its rows are left out if they still wait

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            window = self.settings.batch_window_ms if self._rows_waiting() < self.settings.batch_rows else 0
            await asyncio.sleep(window / 1000)  # 0 lets in what has arrived
            jobs = self._next_batch()
            if not jobs:
                continue
            outcomes = self._outcomes_at_once(jobs)
            if outcomes is None:
                outcomes = await loop.run_in_executor(self._thread, self._timed_outcomes, jobs)
            for job, outcome in zip(jobs, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    _fail(job, outcome)
                elif not job.answer.done():
                    job.answer.set_result(outcome)
            if self._observe is not None:
                self._observe(len(jobs), sum(job.rows.height for job in jobs))

    def _rows_waiting(self) -> int:
        return sum(job.rows.height for job in self._waiting)

    def _next_batch(self) -> list[_Job]:
        """Take the longest waiting request, and those behind it that can go with it."""
        taken: list[_Job] = []
        others: deque[_Job] = deque()
        room = self.settings.batch_rows
        for job in self._waiting:
            if job.answer.done():
                continue  # cancelled
            fits = not taken or (
                job.rows.height <= room and job.model is taken[0].model and job.schema == taken[0].schema
            )
            if fits:
                taken.append(job)
                room -= job.rows.height
            else:
                others.append(job)
        self._waiting = others
        return taken

    def _outcomes_at_once(self, jobs: list[_Job]) -> list[pl.DataFrame | BaseException] | None:
        """Return the outcomes if they are there in a moment, else None."""
        quick = self._seconds.get(id(jobs[0].model), math.inf) < self._quick and _few(jobs)
        # Whoever scores at the moment may do so for long, and the event loop must not wait.
        if not quick or not TURN.acquire(blocking=False):
            return None
        try:
            return self._timed_outcomes(jobs)
        finally:
            TURN.release()

    def _timed_outcomes(self, jobs: list[_Job]) -> list[pl.DataFrame | BaseException]:
        began = time.thread_time()
        outcomes = self._outcomes(jobs)
        if _few(jobs):
            if len(self._seconds) >= _KNOWN_MODELS:
                self._seconds.clear()
            self._seconds[id(jobs[0].model)] = time.thread_time() - began
        return outcomes

    def _outcomes(self, jobs: list[_Job]) -> list[pl.DataFrame | BaseException]:
        """Return the results of jobs or what they raise, in their order."""
        try:
            rows = jobs[0].rows if len(jobs) == 1 else pl.concat([job.rows for job in jobs])
            result = self._score(jobs[0].model, rows)
        except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
            if len(jobs) == 1:
                return [error]
            half = len(jobs) // 2
            return self._outcomes(jobs[:half]) + self._outcomes(jobs[half:])
        ends = [0]
        for job in jobs:
            ends.append(ends[-1] + job.rows.height)
        return [result.slice(start, end - start) for start, end in pairwise(ends)]


def _few(jobs: list[_Job]) -> bool:
    return sum(job.rows.height for job in jobs) <= _FEW_ROWS


def _fail(job: _Job, error: BaseException) -> None:
    if not job.answer.done():
        job.answer.set_exception(error)
