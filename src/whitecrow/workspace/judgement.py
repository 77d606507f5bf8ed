"""The figures of a run at a threshold."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whitecrow.workspace.assessment import Assessment, assess_parts

if TYPE_CHECKING:
    from whitecrow.data.labels import Labels
    from whitecrow.detectors import Detector
    from whitecrow.workspace.workspace import Workspace

__all__ = ["Judgement", "judged"]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What is known of the scores of a run's test rows.

    Parameters
    ----------
    assessment : Assessment or None
        None where the tested rows are not of both classes, or nothing was tested.
    notes : tuple of str
        What makes the figures doubtful.
    labels : Labels or None
        Of all rows of the data set, as the run read them.
    """

    assessment: Assessment | None
    notes: tuple[str, ...]
    labels: "Labels | None"


def judged(workspace: "Workspace", run: str, detector: "Detector | None" = None) -> Judgement:
    """Judge the test rows of a run by the threshold of its model.

    Parameters
    ----------
    workspace : Workspace
    run : str
        Id of the run.
    detector : Detector, optional
        Its model with a threshold that is not recorded yet; by default with the one that it has.

    Raises
    ------
    UnknownNameError
        If there is no such run.
    WorkspaceError
        If it has no model, or no data set.
    """
    record, scores = workspace.runs.done(run), workspace.scores(run)
    assert record.dataset is not None  # or it would have no scores
    request = record.request
    table, labels = workspace.datasets.rows(record.dataset, request.settings)
    told = request.verdicts is not None or request.regime == "labelled"
    assessment, notes = assess_parts(
        workspace.detector(run) if detector is None else detector,
        scores.score,
        scores.part,
        labels,
        table.hash_rows(seed=0).to_numpy(),
        told=told,
    )
    return Judgement(assessment, tuple(notes), labels)
