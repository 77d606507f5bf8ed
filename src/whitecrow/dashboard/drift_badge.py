"""Whether the rows that a run has not learnt from are still what it has learnt, in a line."""

from nicegui import ui

from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.drift_state import DriftState
from whitecrow.dashboard.formats import count
from whitecrow.dashboard.parts import Text
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import DatasetRecord, RunRecord
from whitecrow.workspace.drift_study import DriftStudy, drift_study

__all__ = ["VERDICTS", "drift_badge"]

VERDICTS = {
    "stable": "Stable",
    "some columns moved": "Some columns moved",
    "more anomalies": "More anomalies, in the same world",
    "fewer anomalies": "Fewer anomalies, in the same world",
    "the world moved": "The world moved",
}
"""What a verdict on drift is called on the screens."""

_MOST_ROWS = 200_000  # of more, drift is compared where it is asked for


def drift_badge(page: Page, run: RunRecord, dataset: DatasetRecord) -> None:
    """Say whether a run's data set drifts between the rows that trained and those that no training saw.

    It is compared once the page is shown. Samples that are no rows of a table have no drift to tell of.

    Parameters
    ----------
    page : Page
    run : RunRecord
        Done, on the data set.
    dataset : DatasetRecord
    """
    if dataset.shape is not None:
        return
    with ui.element("p").props('role=group aria-label="Drift"'):
        Text("Drift: ", "strong")
        words = Text("see the rows that no training saw beside those that trained. ")
        if (address := page.link("Drift", DriftState(dataset=dataset.id, runs=(run.id,)))) is not None:
            ui.link("Look at drift", address)
    if dataset.rows > _MOST_ROWS:
        return
    words.set_text("the rows that no training saw are being compared … ")

    async def compare() -> None:
        try:
            text = _told(await in_thread(drift_study, page.workspace, run.id, dataset.id))
        except WhitecrowError as error:
            text = f"not told. {error}"
        if not words.is_deleted:
            words.set_text(f"{text} ")

    page.when_shown(compare)


def _told(study: DriftStudy) -> str:
    report = study.report
    moved = [column.drifted for column in report.columns if column.p_value is not None]
    scores = "scores have drifted" if report.scores.drifted else "scores have not"
    return (
        f"{VERDICTS[report.verdict.verdict]}. {sum(moved)} of {count(len(moved), 'column')} drifted between the rows "
        f"that trained and those that no training saw, {scores}."
    )
