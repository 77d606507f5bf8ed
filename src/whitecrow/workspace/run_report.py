"""The report of a run as one HTML file that needs nothing else."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.page.wording import in_units
from whitecrow.workspace.card_text import card_sections, data_facts, model_facts
from whitecrow.workspace.database import WorkspaceError
from whitecrow.workspace.judgement import judged
from whitecrow.workspace.model_card import ModelCard, model_card
from whitecrow.workspace.parts import Part
from whitecrow.workspace.report.alerts import Alert, alerts_of
from whitecrow.workspace.report.page import Page, render
from whitecrow.workspace.report.score_page import ScorePage, render_scores

if TYPE_CHECKING:
    from whitecrow.data.labels import Labels
    from whitecrow.workspace.workspace import Workspace

__all__ = ["run_report"]

_ALERTS = 12
_REASONS = 3


def run_report(workspace: "Workspace", run: str) -> str:
    """Return the report of a run's test rows, or of all rows where every row trained, at its present threshold.

    Where these rows have labels of both classes it is that of ``whitecrow evaluate --report``; elsewhere it shows how
    the scores are spread, and no figure of merit. All that comes from data is escaped, and nothing is loaded.

    Parameters
    ----------
    workspace : Workspace
    run : str
        Id of the run.

    Raises
    ------
    UnknownNameError
        If there is no such run.
    WorkspaceError
        If it has no model, or its model was brought in and has no rows.
    """
    record = workspace.runs.done(run)
    if record.dataset is None:
        raise WorkspaceError(
            f"The model of run {record.number} was brought in: it has no data set, so no rows to report on. Take its "
            "model card, or judge the file on labelled rows by whitecrow evaluate."
        )
    scores = workspace.scores(run)
    judgement = judged(workspace, run)
    card = model_card(workspace, run)
    rows = scores.rows()
    notes = [in_units(note, card.unit) for note in card.caveats]
    highest = scores.falling(rows)[:_ALERTS]
    alerts: tuple[Alert, ...] = ()
    if card.kind == "table":
        try:
            alerts = _alerts(workspace, run, highest, scores.score[highest], judgement.labels)
        except DataError as error:
            notes.append(str(error))
    common: dict[str, Any] = {
        "title": f"{record.name} on {workspace.datasets.get(record.dataset).name}",
        "subject": record.detector,
        "alerts": alerts,
        "model": model_facts(card),
        "data": _data(card),
        "notes": notes,
        "unit": card.unit,
        "more": card_sections(card),
    }
    if judgement.assessment is not None:
        return render(Page(assessment=judgement.assessment, **common))
    return render_scores(
        ScorePage(
            scores=scores.score[rows],
            threshold=card.threshold,
            threshold_source=card.threshold_source,
            trained=not (scores.part == Part.TEST).any(),
            **common,
        )
    )


def _alerts(
    workspace: "Workspace", run: str, rows: NDArray[np.int64], scores: NDArray[np.float64], labels: "Labels | None"
) -> tuple[Alert, ...]:
    numbers = rows.tolist()
    explanation = workspace.explain(run, numbers)
    return alerts_of(explanation, numbers, scores.tolist(), _REASONS, labels, numbers)


def _data(card: ModelCard) -> dict[str, str]:
    return {"Rows are numbered": "from 0, as everywhere in the workspace", **data_facts(card)}
