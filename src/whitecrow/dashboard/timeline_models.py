"""Lanes by model: what several runs on the same data set make of the same rows, each by the ranks of its own scores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.timeline_data import Timeline
from whitecrow.metrics.severity import Rarity, rarity
from whitecrow.metrics.swimlanes import Lane
from whitecrow.workspace import RunRecord, Workspace
from whitecrow.workspace.parts import Part

__all__ = ["MOST_MODELS", "ModelLane", "model_lanes", "runs_alike"]

MOST_MODELS = 12
"""Most lanes."""


class ModelLane(NamedTuple):
    """The rows of the timeline as one run scores them, in B buckets.

    Parameters
    ----------
    run : RunRecord
    threshold : float
        Above which its rows are flagged.
    lane : Lane
        Highest score, rows and alerts of each bucket.
    percentile : ndarray of float64, shape [B]
        Share of the run's reference scores that are below the highest score, from 0 to 100; NaN without rows.
    levels : ndarray of int, shape [B]
        Its band of rarity, from 0 to 4; -1 without rows.
    bands : Rarity
        Where the bands end, in scores of this run.
    trained : int
        Rows of the window that trained the run.
    """

    run: RunRecord
    threshold: float
    lane: Lane
    percentile: NDArray[np.float64]
    levels: NDArray[np.intp]
    bands: Rarity
    trained: int


def runs_alike(workspace: Workspace, run: RunRecord) -> list[RunRecord]:
    """Return the finished runs whose rows are those of a run, in the same order: first itself, then the newest."""

    def reading(one: RunRecord) -> tuple[str | None, str | None]:
        return one.dataset, None if one.request.settings is None else one.request.settings.time

    others = [one for one in workspace.runs.all() if one.state == "done" and one.id != run.id]
    return [run, *(one for one in others if reading(one) == reading(run))]


def model_lanes(
    workspace: Workspace,
    runs: Sequence[RunRecord],
    line: Timeline,
    window: tuple[int, int] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> tuple[ModelLane, ...]:
    """Sum up the rows of a timeline by run.

    Parameters
    ----------
    workspace : Workspace
    runs : sequence of RunRecord
        Of :func:`runs_alike`; the first :data:`MOST_MODELS` have a lane.
    line : Timeline
        Which rows are in view, and their times.
    window : (int, int), optional
        First and last row of the data set, both included; it must hold a row in view.
    thresholds : mapping of str to float, optional
        By id of the run, other thresholds than the runs' own.
    """
    found = []
    for run in runs[:MOST_MODELS]:
        scores = workspace.scores(run.id)
        trained = scores.part == Part.TRAIN
        reference = scores.score[trained] if trained.any() else scores.score
        own = run.threshold if run.threshold is not None else 0.0
        threshold = (thresholds or {}).get(run.id, own)
        lane = replace(line, score=scores.score[line.rows]).buckets(threshold, window).overall
        bands = rarity(reference)
        found.append(
            ModelLane(
                run,
                threshold,
                lane._replace(name=run_name(run), kind="entity"),
                bands.percentiles(lane.max_score),
                bands.levels(lane.max_score),
                bands,
                int(trained[line.rows[line.inside(window)]].sum()),
            )
        )
    return tuple(found)
