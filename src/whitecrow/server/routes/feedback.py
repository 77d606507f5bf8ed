"""Verdicts on alerts, and who is to look at them."""

from collections import Counter
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from whitecrow.server.cells import safe_csv
from whitecrow.server.openapi import media
from whitecrow.server.routes.context import Context, Here, model_headers, model_of
from whitecrow.server.schemas.records import FeedbackAnswer, UndoneAnswer, VerdictsAnswer
from whitecrow.server.schemas.requests import Undo, VerdictGiven
from whitecrow.workspace.assignments import Assignment
from whitecrow.workspace.feedback import Verdict

__all__ = ["router"]

router = APIRouter(prefix="/api/runs", tags=["feedback"])


@router.get("/{run}/feedback", response_model=FeedbackAnswer, summary="List the verdicts that hold")
async def feedback(here: Here, run: str) -> dict[str, Any]:
    """Return the verdict that holds of each row that has one, who is to look at which, and the precision so far."""
    return await here.work.light(_feedback, here, run)


@router.post("/{run}/feedback", status_code=201, response_model=VerdictsAnswer, summary="Give a verdict, or assign")
async def give(here: Here, run: str, given: VerdictGiven) -> dict[str, Any]:
    """Record a verdict on rows, all or none, with the model's version and threshold; none is ever overwritten.

    With `assignee` the rows are assigned too, or alone if there is no `verdict`.
    """
    return await here.work.light(_give, here, run, given)


@router.post("/{run}/feedback/undo", response_model=UndoneAnswer, summary="Undo the last verdict or assignment")
async def undo(here: Here, run: str, wish: Undo) -> dict[str, Any]:
    """Take back the last verdict or assignment on a run, on all rows that it was given on at once."""
    return await here.work.light(_undo, here, run, wish.reviewer)


@router.get(
    "/{run}/feedback.csv",
    response_class=Response,
    responses={200: media("The verdicts that hold.", "text/csv")},
    summary="Export the verdicts",
)
async def feedback_csv(here: Here, run: str) -> Response:
    """Return the verdicts that hold as CSV, with who is to look at each row; rows without a verdict are new.

    Text that a spreadsheet would take for a formula, because it begins with `=`, `+`, `-`, `@`, a tab or a carriage
    return, gets an apostrophe in front.
    """
    record = await here.work.light(here.workspace.runs.done, run)
    data = await here.work.heavy(lambda: safe_csv(here.workspace.feedback.table(run)))
    name = f"whitecrow-run-{record.number}-feedback.csv"
    headers = {**model_headers(model_of(record)), "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, headers=headers, media_type="text/csv")


def _feedback(here: Context, run: str) -> dict[str, Any]:
    record = here.workspace.runs.done(run)
    held = sorted(here.workspace.feedback.current(run).values(), key=lambda verdict: verdict.row)
    counts = Counter(verdict.verdict for verdict in held)
    confirmed, dismissed = counts["confirmed"], counts["dismissed"]
    return {
        **model_of(record),
        "verdicts": [_document(verdict) for verdict in held],
        "assignments": [_document(one) for _, one in sorted(here.workspace.feedback.assigned(run).items())],
        "confirmed": confirmed,
        "dismissed": dismissed,
        "unsure": counts["unsure"],
        "precision": confirmed / (confirmed + dismissed) if confirmed + dismissed else None,
    }


def _give(here: Context, run: str, given: VerdictGiven) -> dict[str, Any]:
    feedback, scores = here.workspace.feedback, here.workspace.scores(run).score
    if given.verdict is not None:
        done = feedback.give(
            run, given.rows, given.verdict, scores=scores, note=given.note, reviewer=given.reviewer,
            assignee=given.assignee,
        )  # fmt: skip
        assigned = feedback.assigned(run) if given.assignee else {}
        return _answer(done, [assigned[row] for row in dict.fromkeys(given.rows) if row in assigned])
    # The request has one of the two.
    assigned = feedback.assign(run, given.rows, given.assignee or "", n_rows=len(scores), reviewer=given.reviewer)
    return _answer([], assigned)


def _undo(here: Context, run: str, reviewer: str | None) -> dict[str, Any]:
    here.workspace.runs.version(run)
    undone = here.workspace.feedback.undo(run, reviewer=reviewer)
    verdicts = [_document(one) for one in undone if isinstance(one, Verdict)]
    return {"undone": verdicts, "unassigned": [_document(one) for one in undone if isinstance(one, Assignment)]}


def _answer(verdicts: list[Verdict], assignments: list[Assignment]) -> dict[str, Any]:
    return {"verdicts": [*map(_document, verdicts)], "assignments": [*map(_document, assignments)]}


def _document(verdict: Verdict | Assignment) -> dict[str, Any]:
    return {name: getattr(verdict, name) for name in verdict.__slots__}
