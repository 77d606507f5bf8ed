"""What can be taken along of a run: its scores with all their digits, its report, and the card of its model."""

import io
from collections.abc import Callable
from typing import Annotated, Any, Literal

import polars as pl
from fastapi import APIRouter, Query
from starlette.responses import Response

from whitecrow.server.cells import safe_csv
from whitecrow.server.openapi import media
from whitecrow.server.routes.alerts import run_table
from whitecrow.server.routes.context import Context, Here, model_headers, model_of
from whitecrow.server.schemas.cards import CardAnswer
from whitecrow.server.schemas.requests import PartName
from whitecrow.workspace.card_text import card_markdown
from whitecrow.workspace.model_card import model_card
from whitecrow.workspace.run_report import run_report

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
    """Return row, score, p-value, flag, part, label, family, verdict and assignee of each row, at full precision.

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
    """Return row, score, p-value, flag, part, label, family, verdict and assignee of each row, as they are."""
    return await here.work.heavy(_exported, here, run, part, values, "parquet")


@router.get(
    "/{run}/report.html",
    response_class=Response,
    responses={200: media("The report.", "text/html")},
    summary="Export the report of a run as HTML",
)
async def report_html(here: Here, run: str) -> Response:
    """Return figures, curves, decisions and highest scores of the test rows as one file that loads and runs nothing.

    Without labels of both classes it shows how the scores are spread, and no figure of merit. The threshold is that
    which the model has now. A model that was brought in has no rows, and so no report.
    """
    return await here.work.heavy(_document, here, run, run_report, "report.html", "text/html")


@router.get(
    "/{run}/card.md",
    response_class=Response,
    responses={200: media("The card.", "text/markdown")},
    summary="Export the model card as Markdown",
)
async def card_md(here: Here, run: str) -> Response:
    """Return what the model is for and not for, its figures and what makes them doubtful, and where it comes from."""
    return await here.work.heavy(
        _document, here, run, lambda space, key: card_markdown(model_card(space, key)), "card.md", "text/markdown"
    )


@router.get("/{run}/card.json", response_model=CardAnswer, summary="Export the model card as JSON")
async def card_json(here: Here, run: str) -> dict[str, Any]:
    """Return the same as values: parameters with their defaults, columns, rows, figures with intervals, caveats."""
    return (await here.work.heavy(model_card, here.workspace, run)).document()


def _document(here: Context, run: str, made: Callable[..., str], name: str, media_type: str) -> Response:
    record = here.workspace.runs.done(run)
    name = f"whitecrow-run-{record.number}-{name}"
    headers = {**model_headers(model_of(record)), "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(made(here.workspace, run), headers=headers, media_type=media_type)


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
