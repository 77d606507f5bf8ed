"""Scores of a run as files, with all their digits."""

import io
from typing import Annotated, Literal

import polars as pl
from fastapi import APIRouter, Query
from starlette.responses import Response

from whitecrow.server.cells import safe_csv
from whitecrow.server.openapi import media
from whitecrow.server.routes.alerts import run_table
from whitecrow.server.routes.context import Context, Here, model_headers, model_of
from whitecrow.server.schemas.requests import PartName

__all__ = ["router"]

router = APIRouter(prefix="/api/runs", tags=["exports"])
_PARQUET = "application/vnd.apache.parquet"
Part = Annotated[PartName, Query(description="Rows to export.")]
WithValues = Annotated[bool, Query(description="Whether the original columns come too.")]


@router.get(
    "/{run}/scores.csv",
    response_class=Response,
    responses={200: media("The scores.", "text/csv")},
    summary="Export the scores as CSV",
)
async def scores_csv(here: Here, run: str, part: Part = "all", values: WithValues = False) -> Response:
    """Return row, score, p-value, flag, part, label, family and verdict of each row, at full precision.

    Text that a spreadsheet would take for a formula, because it begins with `=`, `+`, `-`, `@`, a tab or a carriage
    return, gets an apostrophe in front. Parquet holds it unchanged.
    """
    return await here.work.heavy(_exported, here, run, part, values, "csv")


@router.get(
    "/{run}/scores.parquet",
    response_class=Response,
    responses={200: media("The scores.", _PARQUET)},
    summary="Export the scores as Parquet",
)
async def scores_parquet(here: Here, run: str, part: Part = "all", values: WithValues = False) -> Response:
    """Return row, score, p-value, flag, part, label, family and verdict of each row, as they are."""
    return await here.work.heavy(_exported, here, run, part, values, "parquet")


def _exported(here: Context, run: str, part: str, values: bool, form: Literal["csv", "parquet"]) -> Response:
    record = here.workspace.runs.done(run)
    table = run_table(here.workspace, run, here.workspace.scores(run).rows(part))
    if values:
        original = here.workspace.rows(run)[table["row"]]
        # Names of our columns stay ours, whatever the data set calls its own.
        original = original.rename({name: f"values.{name}" for name in original.columns})
        table = pl.concat([table, original], how="horizontal")
    name = f"whitecrow-run-{record.number}-scores.{form}"
    headers = {**model_headers(model_of(record)), "Content-Disposition": f'attachment; filename="{name}"'}
    if form == "csv":
        return Response(safe_csv(table), headers=headers, media_type="text/csv")
    stream = io.BytesIO()
    table.write_parquet(stream)
    return Response(stream.getvalue(), headers=headers, media_type=_PARQUET)
