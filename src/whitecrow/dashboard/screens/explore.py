"""The screen where a threshold is chosen: what each choice flags, misses and costs, and the alerts it makes."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

from nicegui import events, ui

from whitecrow.dashboard.alert_rows import AlertRows, alert_columns
from whitecrow.dashboard.assets import script
from whitecrow.dashboard.drift_state import DriftState
from whitecrow.dashboard.explore_curves import curve_data
from whitecrow.dashboard.explore_state import MEANINGS, ExploreState
from whitecrow.dashboard.explore_view import View
from whitecrow.dashboard.formats import count, value
from whitecrow.dashboard.parts import Text, button, card, heading, link_button
from whitecrow.dashboard.record_drawer import RecordDrawer
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import PARTS, ViewState
from whitecrow.dashboard.tables import Changing, rows_table
from whitecrow.dashboard.threads import in_thread
from whitecrow.dashboard.threshold_panel import ThresholdPanel
from whitecrow.dashboard.timeline_panel import TimelinePanel
from whitecrow.workspace import RunRecord, Workspace

__all__ = ["SCREEN"]

_UNSEEN = ""
_PART_NAMES = {
    "train": "Rows that trained",
    "test": "Test rows",
    "left out": "Rows in no part",
    "validation": "Rows that set the threshold",
}
_SOURCE_LENGTH = 300


async def build(page: Page) -> None:
    """Make the screen for the first run of the state, or the newest."""
    for name in ("threshold.js", "timeline.js"):
        ui.add_head_html(script(name))
    request = ui.context.client.request
    page.state = ExploreState.of(request.url.query)
    await _Explore(page).show()


SCREEN = Screen(
    "Explore", "/explore", "x", "Where to draw the line, and what it costs.", build, takes=("dataset", "runs", "costs")
)


class _Seen(NamedTuple):
    runs: list[RunRecord]
    parts: list[str]
    view: View | None
    rows: AlertRows | None
    trouble: str


class _Alerts:
    """The list of alerts; another window puts other rows into the same grid, which takes long to make."""

    def __init__(self, rows: AlertRows) -> None:
        self._rows = Changing(rows)
        with card("Alerts"):
            with ui.element("p").classes("wc-muted"):
                self._count = Text(count(rows.n, "row"))
                Text(", the highest score first. Enter or a click on a row tells why it scores so.")
            self.grid = rows_table(self._rows, label="Alerts", extra=alert_columns(rows))

    def change(self, rows: AlertRows) -> None:
        """Show other rows of the same run."""
        self._count.set_text(count(rows.n, "row"))
        self._rows.change(self.grid, rows)


class _Explore:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._panel: ThresholdPanel | None = None
        self._timeline = TimelinePanel(page, self._turn_to)
        self._figures: ui.element
        self._alerts: _Alerts
        self._scale = "linear"
        self._run: RunRecord | None = None
        self._shown = ExploreState()
        self._draw: Callable[[], Awaitable[None]] | None = None
        with page.title("Explore", "Move the threshold and see at once what it flags, misses and costs."):
            pass
        self._body = ui.element("div").classes("wc-main").style("padding: 0")
        self._drawer = RecordDrawer(page)
        page.on_address(self._moved)
        ui.on("wc-threshold", self._settled)
        ui.on("wc-record", self._opened)
        ui.on("wc-window", self._brushed)
        ui.on("wc-figures", self._draw_pictures)
        page.when_shown(self._open_record)

    @property
    def _state(self) -> ExploreState:
        state = self._page.state
        assert isinstance(state, ExploreState)
        return state

    async def _moved(self, _: ViewState) -> None:
        # The page reads what every view has; the rest of the address is asked for.
        query = await ui.run_javascript("window.location.search")
        state = self._page.state = ExploreState.of(str(query))
        if state.with_(record=None) != self._shown.with_(record=None):
            await self.show()
            await self._page.refresh_badge()
        await self._open_record()

    async def _open_record(self) -> None:
        await self._drawer.follow(None if self._run is None else self._run.id)

    # ---- what is shown --------------------------------------------------------------------------------------------

    async def show(self) -> None:
        """Make all of it anew."""
        seen = await in_thread(_look, self._page.workspace, self._state)
        self._panel, self._run = None, None if seen.view is None else seen.view.run
        self._body.clear()
        with self._body:
            if not seen.runs:
                self._nothing()
                return
            if self._run is not None and self._page.state.runs[:1] != (self._run.id,):
                self._page.show(self._state.with_(runs=(self._run.id,)), step=False)
            self._shown = self._state
            self._pickers(seen)
            if seen.trouble:
                self._page.warn(seen.trouble)
            if seen.view is None or seen.rows is None:
                return
            self._figures = ui.element("div").classes("wc-main").style("padding: 0")
            over_time = ui.element("div")
            self._alerts = _Alerts(seen.rows)
            panel = self._fill(seen.view)
            if self._state.window != seen.view.state.window:
                self._page.show(self._state.with_(window=seen.view.state.window), step=False)
                self._shown = self._state
        run = seen.view.run

        async def draw() -> None:
            panel.draw()
            if not over_time.is_deleted:
                with over_time:
                    await self._timeline.build(run, self._state, self._scale)

        self._draw = draw

    async def _draw_pictures(self) -> None:
        """Draw the pictures of what is shown, once the browser has its figures: those need not wait for them."""
        draw, self._draw = self._draw, None
        if draw is not None:
            await draw()

    def _fill(self, view: View) -> ThresholdPanel:
        """Show what the window decides beside the alerts: figures, and room for their curves."""
        self._scale = view.curves.scale
        self._figures.clear()
        with self._figures:
            if view.state.window is not None:
                self._window_note(view)
            panel = self._panel = ThresholdPanel(view, self._adopt)
        panel.start(self._alerts.grid.id)
        return panel

    def _window_note(self, view: View) -> None:
        assert view.state.window is not None
        first, last = view.state.window
        with ui.element("div").classes("wc-row").props('role=region aria-label="Window"'):
            Text(f"Only rows {first:,} to {last:,} are looked at, {count(view.table.n, 'row')} in view.", "strong")
            button("Look at all rows", lambda: self._turn_to(self._state.with_(window=None)), small=True)
            compared = DriftState(dataset=view.run.dataset, runs=(view.run.id,), window=view.state.window)
            if (address := self._page.link("Drift", compared)) is not None:
                link_button("Compare with the training", address, small=True)

    async def _brushed(self, event: events.GenericEventArguments) -> None:
        """Look at the rows that were brushed; without any at all again."""
        told = event.args if isinstance(event.args, dict) else {}
        given = ExploreState.of(urlencode({name: str(one) for name, one in told.items()}))
        await self._turn_to(self._state.with_(window=given.window))

    async def _turn_to(self, state: ExploreState) -> None:
        """Look at another window, or at other lanes."""
        if state == self._shown or self._run is None:
            return
        zoomed = state.window != self._shown.window
        self._page.show(state)
        self._shown = state
        if zoomed:
            seen = await in_thread(_look, self._page.workspace, state)
            if seen.view is None or seen.rows is None or state.window != self._shown.window:
                return  # another window has been chosen meanwhile
            # The button that asked for it is among what is taken away; the threshold may have moved since.
            with self._page.main:
                self._fill(replace(seen.view, state=self._state)).draw()
            self._alerts.change(seen.rows)
            self._page.announce(f"{count(seen.view.table.n, 'row')} in view.")
        with self._page.main:
            await self._timeline.follow(self._state, self._scale)

    def _nothing(self) -> None:
        with card("No run is done yet") as made:
            made.classes("wc-empty")
            Text("A threshold is drawn on the scores of a fitted detector. Fit one first.", "p")
            if (address := self._page.link("Overview", ViewState())) is not None:
                link_button("Go to Overview", address, primary=True)

    def _pickers(self, seen: _Seen) -> None:
        chosen = self._page.state.runs[0] if self._page.state.runs else None
        runs = {run.id: run_name(run) for run in seen.runs}
        with ui.element("div").classes("wc-form"):
            run = ui.select(runs, label="Run", value=chosen if chosen in runs else None)
            run.props("outlined dense options-dense").on_value_change(lambda event: self._pick(str(event.value)))
            parts = {_UNSEEN: "Rows that no training saw"} | {name: _PART_NAMES[name] for name in seen.parts}
            current = self._page.state.part or _UNSEEN
            part = ui.select(parts, label="Rows in view", value=current if current in parts else _UNSEEN)
            part.props("outlined dense options-dense").on_value_change(lambda event: self._restrict(str(event.value)))

    async def _pick(self, run: str) -> None:
        others = tuple(one for one in self._page.state.runs[1:] if one != run)
        self._page.show(self._state.with_(runs=(run, *others), threshold=None, record=None, window=None, lanes=None))
        await self.show()
        await self._page.refresh_badge()

    async def _restrict(self, part: str) -> None:
        self._page.show(self._state.with_(part=part or None))
        await self.show()

    # ---- what is done ---------------------------------------------------------------------------------------------

    async def _settled(self, event: events.GenericEventArguments) -> None:
        """Take over what the browser has come to; the address follows without a step of history."""
        told = event.args if isinstance(event.args, dict) else {}
        # Read like an address, so that what is malformed is left out.
        given = ExploreState.of(urlencode({name: str(one) for name, one in told.items()}))
        before = self._state
        state = before.with_(
            threshold=given.threshold, meaning=given.meaning, costs=given.costs, base_rate=given.base_rate
        )
        self._page.show(state, step=False)
        self._shown = state
        if self._panel is not None:
            self._panel.follow(state)
            if before.threshold != state.threshold:
                await self._timeline.follow(state, self._scale)
        if (before.threshold is None) != (state.threshold is None):
            await self._page.refresh_badge()

    async def _opened(self, event: events.GenericEventArguments) -> None:
        if self._run is not None and isinstance(event.args, int):
            await self._drawer.open(self._run.id, event.args)

    async def _adopt(self) -> None:
        """Make the threshold the run's own, once it is confirmed and said where it is from."""
        run, state = self._run, self._state
        if run is None:
            return
        if state.threshold is None or state.threshold == run.threshold:
            self._page.warn("This is the run's own threshold already. Move it first.")
            return
        source = await self._asked_source(run, state.threshold)
        if source is None:
            return
        with self._page.errors_shown():
            await in_thread(self._page.workspace.set_threshold, run.id, state.threshold, source=source)
            self._page.show(state.with_(threshold=None, meaning="score"), step=False)
            await self.show()
            await self._page.refresh_badge()
            self._page.announce(f"Run {run.number} flags above {value(state.threshold)} from now on.")

    async def _asked_source(self, run: RunRecord, threshold: float) -> str | None:
        with ui.dialog() as dialog, ui.card().classes("wc-dialog"):
            heading(2, f"Let run {run.number} flag above {value(threshold, 6)}?")
            ui.label(
                f"Its own is {value(run.threshold, 6)} now: {run.threshold_source}. Scores stay; a new version of the "
                "model is written, and the old one is kept."
            )
            field = ui.input("What this threshold means", value=_source(self._state.meaning))
            field.props(f"outlined dense maxlength={_SOURCE_LENGTH} autofocus").style("width: 100%")
            with ui.element("div").classes("wc-row"):
                button("Keep the old one", lambda: dialog.submit(None))
                button("Set the threshold", lambda: dialog.submit(str(field.value or "")), kind="primary")
        dialog.props["aria-label"] = "Set the run's threshold"
        answer: Any = await dialog
        dialog.delete()
        if answer is None:
            return None
        return " ".join(str(answer).split())[:_SOURCE_LENGTH] or _source(self._state.meaning)


def _source(meaning: str) -> str:
    if meaning in ("fpr", "cost"):
        return f"set in the console by {MEANINGS[meaning].lower()} on the labels in view"
    return f"set by hand in the console, by {MEANINGS[meaning].lower()}, while rows were looked at"


def _look(workspace: Workspace, state: ExploreState) -> _Seen:
    runs = [run for run in workspace.runs.all() if run.state == "done" and run.dataset is not None]
    run = next((one for one in runs if one.id in state.runs[:1]), None)
    trouble = ""
    if run is None:
        if state.runs:
            trouble = f"There is no finished run {state.runs[0]} with a data set. Another one is shown."
        run = next((one for one in runs if one.report is not None), runs[0] if runs else None)
    if run is None:
        return _Seen(runs, [], None, None, trouble)
    scores = workspace.scores(run.id)
    parts = [name for name in PARTS if len(scores.rows(name))]
    part = state.part if state.part in parts else None
    if part != state.part:
        trouble = f"Run {run.number} has no rows in the part {state.part!r}. Those that no training saw are shown."
    window = state.window
    if window is not None and not len(scores.rows(part, window)):
        trouble = f"There are no rows in view from row {window[0]} to {window[1]}. All are shown."
        window = None
    rows = scores.rows(part, window)
    table = workspace.alert_table(run.id, part, window)
    own = run.threshold if run.threshold is not None else 0.0
    curves = curve_data(table, scores.label[rows], scores.score[rows], own)
    view = View(run, table, curves, state.with_(part=part, window=window, runs=(run.id, *state.runs[1:])))
    return _Seen(runs, parts, view, AlertRows(workspace, run.id, rows), trouble)
