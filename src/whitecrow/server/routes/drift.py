"""Drift of a data set against the rows that a run was trained on."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from whitecrow.metrics.drift import drift_report
from whitecrow.server.cells import safe_csv
from whitecrow.server.openapi import media
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes.context import Context, Here, model_headers, model_of
from whitecrow.server.routes.scoring import check_columns, scores_of
from whitecrow.server.schemas.figures import DriftAnswer
from whitecrow.workspace.drift_page import drift_page, drift_table
from whitecrow.workspace.drift_study import Window, current_rows, drift_study, reference_rows

__all__ = ["router"]

router = APIRouter(prefix="/api/drift", tags=["figures"])
_MOST_ROWS = 1 << 40  # more than any data set has
Run = Annotated[str, Query(max_length=100, description="Id of a run.")]
Current = Annotated[str, Query(max_length=100, description="Id of a data set with the run's columns.")]
Row = Annotated[int | None, Query(ge=0, le=_MOST_ROWS, description="First or last row of the data set that counts.")]


@router.get("", response_model=DriftAnswer, summary="Compare a data set with a run's training rows")
async def drift(here: Here, run: Run, current: Current, first: Row = None, last: Row = None) -> Response:
    """Say which columns and whether the scores have moved, and whether there are more anomalies or another world.

    If the data set is the run's own, its test rows are compared. Nothing is recalibrated.
    """
    record, reference, expected = await here.work.heavy(reference_rows, here.workspace, run)
    _, detector = await here.model(run)
    now = await here.work.heavy(current_rows, here.workspace, run, current, _window(first, last))
    check_columns(detector, now.table)
    known = now.scores
    scores = known if known is not None else (await scores_of(here, detector, now.table))["score"].to_numpy()
    found = await here.work.heavy(drift_report, reference, now.table.select(reference.columns), expected, scores)
    return FiniteJSONResponse(
        {
            **model_of(record),
            "current": current,
            "reference_rows": reference.height,
            "current_rows": now.table.height,
            "share_drifted": found.share_drifted,
            "drifted": found.drifted,
            "columns": [column._asdict() for column in found.columns],
            "scores": found.scores._asdict(),
            "verdict": found.verdict._asdict(),
        }
    )


@router.get(
    "/report.html",
    response_class=Response,
    responses={200: media("The report.", "text/html")},
    summary="Export the drift report as HTML",
)
async def report_html(here: Here, run: Run, current: Current, first: Row = None, last: Row = None) -> Response:
    """Return the report as one file that loads nothing and runs nothing."""
    return await here.work.heavy(_exported, here, run, current, _window(first, last), "html")


@router.get(
    "/report.csv",
    response_class=Response,
    responses={200: media("A line for each column, and one for the scores.", "text/csv")},
    summary="Export the drift report as CSV",
)
async def report_csv(here: Here, run: Run, current: Current, first: Row = None, last: Row = None) -> Response:
    """Return a line for each column, the drifted ones first, and one for the scores.

    Text that a spreadsheet would take for a formula, because it begins with `=`, `+`, `-`, `@`, a tab or a carriage
    return, gets an apostrophe in front.
    """
    return await here.work.heavy(_exported, here, run, current, _window(first, last), "csv")


def _window(first: int | None, last: int | None) -> Window | None:
    return None if first is None and last is None else (first or 0, _MOST_ROWS if last is None else last)


def _exported(here: Context, run: str, current: str, window: Window | None, form: Literal["html", "csv"]) -> Response:
    study = drift_study(here.workspace, run, current, window)
    name = f"whitecrow-run-{study.run.number}-drift.{form}"
    headers = {**model_headers(model_of(study.run)), "Content-Disposition": f'attachment; filename="{name}"'}
    if form == "csv":
        return Response(safe_csv(drift_table(study)), headers=headers, media_type="text/csv")
    return Response(drift_page(study), headers=headers, media_type="text/html")
