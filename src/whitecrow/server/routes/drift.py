"""Drift of a data set against the rows that a run was trained on."""

from typing import Annotated

import numpy as np
import polars as pl
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.responses import Response

from whitecrow.metrics.drift import drift_report
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes.context import Context, Here, model_of
from whitecrow.server.routes.scoring import check_columns, scores_of
from whitecrow.server.schemas.figures import DriftAnswer
from whitecrow.workspace import RunRecord
from whitecrow.workspace.parts import Part

__all__ = ["router"]

router = APIRouter(prefix="/api/drift", tags=["figures"])


@router.get("", response_model=DriftAnswer, summary="Compare a data set with a run's training rows")
async def drift(
    here: Here,
    run: Annotated[str, Query(max_length=100, description="Id of a run.")],
    current: Annotated[str, Query(max_length=100, description="Id of a data set with the run's columns.")],
) -> Response:
    """Say which columns and whether the scores have moved, and whether there are more anomalies or another world.

    If the data set is the run's own, its test rows are compared. Nothing is recalibrated.
    """
    record, reference, expected = await here.work.heavy(_reference, here, run)
    _, detector = await here.model(run)
    rows, known = await here.work.heavy(_current, here, record, current)
    check_columns(detector, rows)
    scores = known if known is not None else (await scores_of(here, detector, rows))["score"].to_numpy()
    found = await here.work.heavy(drift_report, reference, rows.select(reference.columns), expected, scores)
    return FiniteJSONResponse(
        {
            **model_of(record),
            "current": current,
            "reference_rows": reference.height,
            "current_rows": rows.height,
            "share_drifted": found.share_drifted,
            "drifted": found.drifted,
            "columns": [column._asdict() for column in found.columns],
            "scores": found.scores._asdict(),
            "verdict": found.verdict._asdict(),
        }
    )


def _reference(here: Context, run: str) -> tuple[RunRecord, pl.DataFrame, NDArray[np.float64]]:
    record, scores = here.workspace.runs.done(run), here.workspace.scores(run)
    assert record.dataset is not None  # or it would have no scores
    table, _ = here.workspace.datasets.rows(record.dataset, record.request.settings)
    train = np.flatnonzero(scores.part == Part.TRAIN)
    return record, table[train], scores.score[train]


def _current(here: Context, record: RunRecord, dataset: str) -> tuple[pl.DataFrame, NDArray[np.float64] | None]:
    """Return the rows to compare, and their scores where they are known."""
    if dataset != record.dataset:
        return here.workspace.datasets.table(dataset), None
    scores = here.workspace.scores(record.id)
    rows = scores.rows()
    return here.workspace.datasets.table(dataset, record.request.settings)[rows], scores.score[rows]
