"""Whether the rows that a run has not learnt from are still what it has learnt, in a line."""

import asyncio
from weakref import WeakKeyDictionary

from nicegui import ui

from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.drift_state import DriftState
from whitecrow.dashboard.formats import count
from whitecrow.dashboard.parts import Text, text_link
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import DatasetRecord, RunRecord, Workspace
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
# Each run of a workspace is compared once: neither its rows nor its scores change.
_compared: WeakKeyDictionary[Workspace, dict[str, asyncio.Task[str]]] = WeakKeyDictionary()


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
            text_link("Look at drift", address)
    if dataset.rows > _MOST_ROWS:
        return
    tasks = _compared.setdefault(page.workspace, {})
    words.set_text("the rows that no training saw are being compared … ")

    async def tell() -> None:
        if run.id not in tasks:
            tasks[run.id] = asyncio.create_task(_compare(page.workspace, run.id, dataset.id))
        # Others may wait for it too when this page is closed.
        text = await asyncio.shield(tasks[run.id])
        if not words.is_deleted:
            words.set_text(f"{text} ")

    page.when_shown(tell)


async def _compare(workspace: Workspace, run: str, dataset: str) -> str:
    try:
        return _in_words(await in_thread(drift_study, workspace, run, dataset))
    except WhitecrowError as error:
        return f"not told. {error}"


def _in_words(study: DriftStudy) -> str:
    report = study.report
    moved = [column.drifted for column in report.columns if column.p_value is not None]
    scores = "scores have drifted" if report.scores.drifted else "scores have not"
    return (
        f"{VERDICTS[report.verdict.verdict]}. {sum(moved)} of {count(len(moved), 'column')} drifted between the rows "
        f"that trained and those that no training saw, {scores}."
    )
