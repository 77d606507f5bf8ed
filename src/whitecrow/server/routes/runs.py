"""Runs: fits in the background, their model, their threshold."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import FileResponse, Response

from whitecrow.core.errors import ParameterError
from whitecrow.metrics.threshold_search import (
    ThresholdChoice,
    threshold_for_alert_count,
    threshold_for_alert_rate,
    threshold_for_cost,
    threshold_for_false_positive_rate,
    threshold_for_percentile,
)
from whitecrow.server.openapi import media
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes.context import Context, Here, model_headers, model_of
from whitecrow.server.schemas.records import EpochsAnswer, RunAnswer, RunsAnswer
from whitecrow.server.schemas.requests import Fit, Rename, ThresholdWish
from whitecrow.workspace import RunRecord, Workspace
from whitecrow.workspace.runs import ENDED

__all__ = ["chosen_threshold", "router"]

router = APIRouter(prefix="/api/runs", tags=["runs"])


@router.get("", response_model=RunsAnswer, summary="List the runs")
async def runs(here: Here) -> dict[str, Any]:
    """Return all runs, the newest first, without their reports."""
    found = await here.work.light(here.workspace.runs.all)
    return {"runs": [record.document() for record in found]}


@router.post("", status_code=202, response_model=RunAnswer, summary="Fit a detector")
async def add_run(here: Here, response: Response, fit: Fit) -> dict[str, Any]:
    """Queue a fit; its events tell how far it is."""
    record = await here.work.heavy(_submit, here, fit)
    response.headers["Location"] = f"/api/runs/{record.id}"
    return record.document()


@router.get("/{run}", response_model=RunAnswer, summary="Describe a run")
async def run(here: Here, run: str) -> dict[str, Any]:
    """Return what was asked, how far it is, what came of it."""
    return (await here.work.light(here.workspace.runs.get, run)).document()


@router.get("/{run}/epochs", response_model=EpochsAnswer, summary="List the epochs of a run")
async def epochs(
    here: Here,
    run: str,
    after: Annotated[int, Query(ge=-1, lt=1 << 31)] = -1,
    watched: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """Return the epochs behind a place: their losses and, of a fit that was asked to `watch`, what was looked at.

    With `watched` only those that were looked at, about two hundred of a fit.
    """
    await here.work.light(here.workspace.runs.get, run)
    found = await here.work.light(here.workspace.runs.epochs, run, after, watched=watched, limit=limit)
    return {"run": run, "epochs": [asdict(one) for one in found]}


@router.patch("/{run}", response_model=RunAnswer, summary="Rename a run")
async def rename(here: Here, run: str, change: Rename) -> dict[str, Any]:
    """Give a run another name."""
    return (await here.work.light(here.workspace.runs.rename, run, change.name)).document()


@router.post("/{run}/cancel", status_code=202, response_model=RunAnswer, summary="Cancel a fit")
async def cancel(here: Here, run: str) -> dict[str, Any]:
    """Stop a queued or running fit; a running one ends within seconds, and can be resumed."""
    return (await here.work.light(here.workspace.jobs.cancel, run)).document()


@router.post("/{run}/resume", status_code=202, response_model=RunAnswer, summary="Resume a fit")
async def resume(here: Here, run: str) -> dict[str, Any]:
    """Queue a fit again that was interrupted, cancelled or failed; it goes on from its checkpoint, if it has one."""
    return (await here.work.light(here.workspace.jobs.resume, run)).document()


@router.delete(
    "/{run}",
    status_code=204,
    responses={202: {"model": RunAnswer, "description": "It was queued or running, and is cancelled; it is kept."}},
    summary="Cancel a run, or delete one that has ended",
)
async def remove(here: Here, run: str) -> Response:
    """Delete a run that has ended with its model, scores and verdicts (204); cancel one that has not (202).

    Who wants to cancel and in no case to delete posts to its `cancel`.
    """
    record = await here.work.light(_cancel_or_remove, here.workspace, run)
    return Response(status_code=204) if record is None else FiniteJSONResponse(record.document(), 202)


@router.get(
    "/{run}/model",
    response_class=Response,
    responses={200: media("The model file.", "application/octet-stream")},
    summary="Download the model",
)
async def model_file(here: Here, run: str) -> Response:
    """Return the `.safetensors` file of the run's model."""
    record = await here.work.light(here.workspace.runs.done, run)
    file = here.workspace.runs.model_file(run, record.version or "")
    name = f"whitecrow-run-{record.number}-{record.version}.safetensors"
    return FileResponse(file, 200, model_headers(model_of(record)), "application/octet-stream", filename=name)


@router.put("/{run}/threshold", response_model=RunAnswer, summary="Set the threshold of a model")
async def set_threshold(here: Here, run: str, wish: ThresholdWish) -> dict[str, Any]:
    """Set another threshold, which makes another version of the model.

    The source that every later answer states says how it was found, and whether that used labels of the rows in view.
    """
    return (await here.work.heavy(_set_threshold, here.workspace, run, wish)).document()


def chosen_threshold(workspace: Workspace, run: str, wish: ThresholdWish) -> ThresholdChoice:
    """Return the threshold that a wish leads to on the rows of a run.

    Raises
    ------
    ParameterError
        If the wish is none, or two.
    DataError
        If the rows in view have not the labels that it needs.
    """
    if (wish.threshold is None) == (wish.by is None):
        raise ParameterError("A threshold is given either as a score (threshold), or by what it is to reach (by).")
    if wish.threshold is not None:
        return ThresholdChoice(wish.threshold, wish.source or "set by hand", uses_labels=False)
    table = workspace.alert_table(run, wish.part)
    if wish.by == "cost":
        if wish.costs is None:
            raise ParameterError("The threshold of the lowest cost needs the costs: at least miss and false_alarm.")
        return threshold_for_cost(table, wish.costs.costs())
    if wish.value is None:
        raise ParameterError(f"A threshold by {wish.by} needs a value.")
    if wish.by == "alert_count":
        if wish.value != int(wish.value):
            raise ParameterError(f"A number of alerts is a whole number, not {wish.value:g}.")
        return threshold_for_alert_count(table, int(wish.value))
    find = {
        "percentile": threshold_for_percentile,
        "alerts_per_1000": threshold_for_alert_rate,
        "false_positive_rate": threshold_for_false_positive_rate,
    }
    return find[wish.by or ""](table, wish.value)


def _submit(here: Context, fit: Fit) -> RunRecord:
    settings = here.workspace.datasets.get(fit.dataset).settings
    return here.workspace.jobs.submit(fit.request(settings))


def _cancel_or_remove(workspace: Workspace, run: str) -> RunRecord | None:
    if workspace.runs.get(run).state not in ENDED:
        return workspace.jobs.cancel(run)
    workspace.runs.remove(run)
    return None


def _set_threshold(workspace: Workspace, run: str, wish: ThresholdWish) -> RunRecord:
    workspace.runs.version(run)  # whether there is a model comes before what is wished
    choice = chosen_threshold(workspace, run, wish)
    return workspace.set_threshold(run, choice.threshold, source=choice.source)
