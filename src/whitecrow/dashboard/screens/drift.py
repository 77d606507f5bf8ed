"""The screen of drift: rows of today beside those of the training, and whether the world or the anomalies changed."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from nicegui import ui

from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.drift_badge import VERDICTS
from whitecrow.dashboard.drift_charts import rate_card, scores_card, shape_picture
from whitecrow.dashboard.drift_recalibration import RecalibrationCard
from whitecrow.dashboard.drift_state import DriftState
from whitecrow.dashboard.formats import count, figure, p_value, percent, value
from whitecrow.dashboard.parts import Text, button, card, figure_tiles, link_button, small_table, warnings
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import ViewState
from whitecrow.dashboard.threads import in_thread
from whitecrow.metrics.column_drift import ColumnDrift
from whitecrow.workspace import DatasetRecord, RunRecord, Workspace
from whitecrow.workspace.drift_shapes import ColumnShape, column_shape
from whitecrow.workspace.drift_study import DriftStudy, drift_study

__all__ = ["SCREEN"]

_MOST_COLUMNS = 200
_HEADS = (
    "Column", "Drifted", "Distributions", "In words", "Test", "Adjusted p-value", "PSI", "Wasserstein", "Missing"
)  # fmt: skip
_TESTS = {"ks": "Kolmogorov-Smirnov", "chi-square": "χ² of homogeneity", "none": "not compared"}


class _Seen(NamedTuple):
    runs: list[RunRecord]
    datasets: list[DatasetRecord]
    run: RunRecord | None
    trouble: str


async def build(page: Page) -> None:
    """Make the screen for the first run of the state, or the newest; its figures come after it."""
    page.state = DriftState.of(ui.context.client.request.url.query)
    await _Drift(page).show()


SCREEN = Screen(
    "Drift", "/drift", "f", "Whether the data is still what the detector has learnt.", build, takes=("runs",)
)


class _Drift:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._asked = 0
        with page.title("Drift", "Rows of today beside those that trained: more anomalies, or another world?"):
            self._exports = ui.element("div").classes("wc-row")
        self._form = ui.element("div")
        self._body = ui.element("div").classes("wc-main").style("padding: 0").props("aria-live=off")
        page.on_address(self._moved)

    @property
    def _state(self) -> DriftState:
        state = self._page.state
        assert isinstance(state, DriftState)
        return state

    async def _moved(self, _: ViewState) -> None:
        # The page reads what every view has; the rest of the address is asked for.
        query = await ui.run_javascript("window.location.search")
        self._page.state = DriftState.of(str(query))
        await self.show()

    async def show(self) -> None:
        """Make all of it anew."""
        seen = await in_thread(_look, self._page.workspace, self._state)
        # What asked for it may be among what is taken away.
        with self._page.main:
            self._fill(seen)

    def _fill(self, seen: _Seen) -> None:
        self._form.clear()
        self._body.clear()
        self._exports.clear()
        if seen.run is None:
            with self._body:
                self._nothing()
            return
        known = {one.id for one in seen.datasets}
        dataset = self._state.dataset if self._state.dataset in known else seen.run.dataset
        assert dataset is not None
        self._page.state = self._state.with_(runs=(seen.run.id,), dataset=dataset)
        self._page.show(self._state, step=False)
        with self._form:
            self._choices(seen, dataset)
        if seen.trouble:
            self._page.warn(seen.trouble)
        run, state = seen.run.id, self._state
        self._asked += 1
        turn = self._asked
        with self._body:
            with card():
                Text("Comparing; rows of another data set are scored first …", "p").props("role=status")
            ui.timer(0.01, lambda: self._compare(run, state, turn), once=True)

    def _nothing(self) -> None:
        with card("No run is done yet") as made:
            made.classes("wc-empty")
            Text("Drift is told from the rows that a detector was trained on. Fit one first.", "p")
            if (address := self._page.link("Overview", ViewState())) is not None:
                link_button("Go to Overview", address, primary=True)

    # ---- what is compared -----------------------------------------------------------------------------------------

    def _choices(self, seen: _Seen, dataset: str) -> None:
        assert seen.run is not None
        own = seen.run.dataset
        names = {
            one.id: f"{one.name} (the run's own: rows that no training saw)" if one.id == own else one.name
            for one in seen.datasets
        }
        with card("What is compared"):
            with ui.element("div").classes("wc-form"):
                run = ui.select(
                    {one.id: run_name(one) for one in seen.runs}, label="Training rows of", value=seen.run.id
                )
                run.props("outlined dense options-dense")
                run.on_value_change(lambda event: self._turn_to(runs=(str(event.value),), dataset=None, window=None))
                now = ui.select(names, label="Current rows from", value=dataset).props("outlined dense options-dense")
                now.on_value_change(lambda event: self._turn_to(dataset=str(event.value), window=None))
                window = self._state.window
                first = ui.number("From row", value=None if window is None else window[0], min=0, step=1)
                last = ui.number("To row", value=None if window is None else window[1], min=0, step=1)
                for field in (first, last):
                    field.props("outlined dense clearable")
            with ui.element("div").classes("wc-row"):
                button("Compare these rows", lambda: self._restrict(first.value, last.value, dataset, seen))
                if window is not None:
                    button("Compare all rows", lambda: self._turn_to(window=None))
            Text(
                "Rows are in order of the time column, if one is set. Empty means from the first, or to the last.", "p"
            ).classes("wc-muted")

    async def _restrict(self, first: float | None, last: float | None, dataset: str, seen: _Seen) -> None:
        rows = next(one.rows for one in seen.datasets if one.id == dataset)
        begin, end = int(first or 0), rows - 1 if last is None else int(last)
        if not 0 <= begin <= end:
            self._page.warn(f"Rows from {begin:,} to {end:,} are none. Give a first row that is not after the last.")
            return
        await self._turn_to(window=None if first is None and last is None else (begin, end))

    async def _turn_to(self, **changes: object) -> None:
        self._page.show(self._state.with_(**changes))
        await self.show()
        await self._page.refresh_badge()

    # ---- what has moved -------------------------------------------------------------------------------------------

    async def _compare(self, run: str, state: DriftState, turn: int) -> None:
        assert state.dataset is not None
        try:
            study, shapes = await in_thread(_studied, self._page.workspace, run, state)
        except WhitecrowError as error:
            if turn == self._asked:
                with self._page.main:
                    self._body.clear()
                    self._page.warn(str(error))
            return
        if turn != self._asked:
            return  # something else has been asked for meanwhile
        with self._page.main:
            self._body.clear()
            self._show_study(run, state, study, shapes)

    def _show_study(self, run: str, state: DriftState, study: DriftStudy, shapes: dict[str, ColumnShape]) -> None:
        assert state.dataset is not None
        with self._exports:
            query = {"run": run, "current": state.dataset}
            if state.window is not None:
                query |= {"first": str(state.window[0]), "last": str(state.window[1])}
            for form in ("html", "csv"):
                link_button(f"Export as {form.upper()}", f"/api/drift/report.{form}?{urlencode(query)}", small=True)
        with self._body:
            _verdict_card(study)
            with (
                ui.element("div")
                .classes("wc-grid")
                .style("grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr))")
            ):
                scores_card(study)
                rate_card(study)
            RecalibrationCard(self._page, study, self._recalibrated)
            _columns_card(study, shapes)
        self._page.announce(f"{VERDICTS[study.report.verdict.verdict]}.")

    async def _recalibrated(self) -> None:
        await self.show()
        await self._page.refresh_badge()


def _verdict_card(study: DriftStudy) -> None:
    report = study.report
    moved = [column.drifted for column in report.columns if column.p_value is not None]
    with card(VERDICTS[report.verdict.verdict]) as made:
        made.props('role=region aria-label="Verdict"')
        Text(report.verdict.reason, "p")
        Text(f"{study.span}, beside the {study.reference.height:,} rows that trained run {study.run.number}.", "p")
        tail = report.verdict
        figure_tiles(
            [
                (
                    "Columns drifted",
                    percent(report.share_drifted),
                    (f"{sum(moved)} of {len(moved)}", f"as a whole: {'drifted' if report.drifted else 'not drifted'}"),
                ),
                (
                    "Scores",
                    "drifted" if report.scores.drifted else "not drifted",
                    (f"KS {figure(report.scores.ks)}, PSI {figure(report.scores.psi)}",),
                ),
                (
                    "High scores",
                    percent(tail.tail),
                    (f"{percent(tail.reference_tail)} in the training", f"above {value(tail.tail_threshold)}"),
                ),
                (
                    "Bulk of the rows",
                    "moved" if tail.bulk_columns or tail.bulk_scores_drifted else "as it was",
                    (
                        f"{count(len(tail.bulk_columns), 'column')} moved in it",
                        f"its scores {'moved' if tail.bulk_scores_drifted else 'as they were'}",
                    ),
                ),
                (
                    "Alerts",
                    f"{study.alerts:,}",
                    (f"{percent(study.alerts / len(study.rows))} of the rows", f"ordinary: {percent(study.rate)}"),
                ),
            ]
        )
        if study.held_out is not None and report.scores.drifted and not study.held_out.drifted:
            warnings(
                [
                    "Scores have not drifted against rows that the fit held out. The detector knows its training rows, "
                    "and may score them lower: the verdict may come from that alone."
                ]
            )
        if study.times.note:
            Text(study.times.note, "p").classes("wc-muted")


def _columns_card(study: DriftStudy, shapes: dict[str, ColumnShape]) -> None:
    columns = study.report.columns
    with card("Columns", "drifted ones first"):
        Text(
            "The pictures: dashed in the training, filled now, long tails pressed together. p-values are adjusted for "
            "the number of columns.",
            "p",
        )
        small_table(
            [
                "Column",
                "Drifted",
                "Distributions",
                "In words",
                "Test",
                "Adjusted p-value",
                "PSI",
                "Wasserstein",
                "Missing",
            ],
            [_column_row(column, shapes[column.column]) for column in columns[:_MOST_COLUMNS]],
            right=(5, 6, 7, 8),
            label="Columns",
        )
        if len(columns) > _MOST_COLUMNS:
            Text(f"{len(columns) - _MOST_COLUMNS:,} more columns are in the exports.", "p").classes("wc-muted")


def _column_row(column: ColumnDrift, shape: ColumnShape) -> list[str | Callable[[], Any]]:
    unseen = f"; {percent(column.unseen)} new values" if column.unseen else ""
    return [
        column.column,
        lambda: Text("▲ drifted" if column.drifted else "no").style("white-space: nowrap"),
        lambda: shape_picture(shape),
        shape.words + unseen,
        _TESTS[column.test],
        p_value(column.adjusted_p_value),
        figure(column.psi),
        figure(column.wasserstein),
        f"{percent(column.reference_missing)} → {percent(column.missing)}",
    ]


def _studied(workspace: Workspace, run: str, state: DriftState) -> tuple[DriftStudy, dict[str, ColumnShape]]:
    assert state.dataset is not None
    study = drift_study(workspace, run, state.dataset, state.window)
    names = [column.column for column in study.report.columns[:_MOST_COLUMNS]]
    return study, {name: column_shape(study.reference[name], study.current[name]) for name in names}


def _look(workspace: Workspace, state: ViewState) -> _Seen:
    runs = [run for run in workspace.runs.all() if run.state == "done" and run.dataset is not None]
    run = next((one for one in runs if one.id in state.runs[:1]), None)
    trouble = ""
    if run is None and runs:
        if state.runs:
            trouble = f"There is no finished run {state.runs[0]} with a data set. Another one is shown."
        run = runs[0]
    return _Seen(runs, workspace.datasets.all(), run, trouble)
