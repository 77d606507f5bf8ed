"""Scores of rows that a request brings."""

import asyncio
import io
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from whitecrow.data.encoders import table_encoder
from whitecrow.detectors import Detector
from whitecrow.server.bodies import MEDIA_TYPES
from whitecrow.server.cells import json_ready
from whitecrow.server.errors import ColumnsError, FieldError, OverloadedError
from whitecrow.server.openapi import media, upload_of
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes.context import Here, model_headers
from whitecrow.server.schemas.figures import ScoresAnswer
from whitecrow.server.telemetry import note_scoring

__all__ = ["check_columns", "router", "scores_of"]

router = APIRouter(prefix="/api/runs", tags=["scores"])
_PARQUET, _ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
_SHOWN = 20
_INLINE_ROWS = 2000  # of an answer: written in less time than it takes to hand it to a thread


@router.post(
    "/{run}/score",
    response_model=ScoresAnswer,
    responses={200: media("Scores in the order of the rows.", _PARQUET, _ARROW)},
    openapi_extra=upload_of(MEDIA_TYPES),
    summary="Score rows",
)
async def score(
    here: Here,
    request: Request,
    run: str,
    strict: Annotated[bool, Query(description="Refuse columns that the model does not read.")] = False,
    id: Annotated[str | None, Query(max_length=1000, description="Column whose cells come back as ids.")] = None,
) -> Response:
    """Score the rows of a JSON document, CSV, Arrow or Parquet body.

    A row's score depends on that row alone. Columns that the model lacks are refused and named one by one; columns
    that it does not read are left aside and named in the answer. With `Accept: application/vnd.apache.parquet` or
    `application/vnd.apache.arrow.stream` the answer is a table with the columns `score`, `p_value` and `is_anomaly`;
    the model's version, threshold and its source are then headers.
    """
    version, detector = await here.model(run)
    rows = await here.body.read(request)
    ignored = check_columns(detector, rows, strict=strict)
    if id is not None and id not in rows.columns:
        raise ColumnsError(f"The rows have no column {id[:100]!r} for the ids.", [FieldError(id[:100], "Is missing.")])
    found = await scores_of(here, detector, rows)
    note_scoring(request, rows.height, version)
    alerting = here.workspace.alerting
    if rows.height and alerting.watches(run):
        columns = [found[name].to_numpy() for name in ("score", "is_anomaly")]
        p_values = None if len(detector.calibration_scores_) == 0 else found["p_value"].to_numpy()
        await here.work.heavy(alerting.consider, run, version, rows, *columns, p_values)
    model = {
        "run": run,
        "version": version,
        "model_threshold": detector.threshold_,
        "threshold_source": detector.threshold_source_,
    }
    form = _form(request.headers.get("accept", ""))
    work = here.work.heavy if rows.height > _INLINE_ROWS else None
    if form is not None:
        data = await here.work.heavy(_written, found, form)
        return Response(data, headers=model_headers(model), media_type=form)
    document = {
        **model,
        "rows": found.height,
        "scores": found["score"].to_numpy(),
        "p_values": None if len(detector.calibration_scores_) == 0 else found["p_value"].to_numpy(),
        "flags": found["is_anomaly"].to_list(),
        "ids": None if id is None else json_ready(rows.select(id)).to_series().to_list(),
        "ignored_columns": ignored,
    }
    return FiniteJSONResponse(document) if work is None else await work(FiniteJSONResponse, document)


async def scores_of(here: Here, detector: Detector, rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``score``, ``p_value`` and ``is_anomaly`` of rows, scored together with those of other requests.

    Raises
    ------
    OverloadedError
        If too much waits, or it takes too long.
    DataError
        If values cannot be used.
    """
    seconds = here.settings.work_seconds
    try:
        async with asyncio.timeout(seconds):
            return await here.batcher.score(detector, rows)
    except TimeoutError:
        raise OverloadedError(f"Scoring took longer than {seconds:g} seconds. Send fewer rows.") from None


def check_columns(detector: Detector, rows: pl.DataFrame, *, strict: bool = False) -> list[str]:
    """Return the columns that the model does not read.

    Raises
    ------
    ColumnsError
        If columns of the model are missing, or, if ``strict``, any it does not read are there.
    DataError
        If the model does not read tables.
    """
    wanted = {column.name: column.kind for column in table_encoder(detector.encoder_, "Scoring rows").columns_}
    given = dict.fromkeys(rows.columns)
    missing = [name for name in wanted if name not in given]
    unread = [name for name in given if name not in wanted]
    wrong = [FieldError(name[:100], f"Is missing; the model reads it as a {wanted[name]}.") for name in missing]
    wrong += [FieldError(name[:100], "Is no column of the model.") for name in unread if strict]
    if wrong:
        raise ColumnsError(
            f"The rows lack {len(missing)} of the {len(wanted)} columns that the model reads, and have {len(unread)} "
            "others. Send all of its columns under their names.",
            wrong[:_SHOWN],
        )
    return unread


def _form(accept: str) -> str | None:
    """Return the form of bytes that the client names, None for JSON."""
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((name for name in named if name in (_PARQUET, _ARROW)), None)


def _written(table: pl.DataFrame, form: str) -> bytes:
    stream = io.BytesIO()
    if form == _PARQUET:
        table.write_parquet(stream, compression="lz4", statistics=False)
    else:
        table.write_ipc_stream(stream)
    return stream.getvalue()
