"""Watch a detector learn: choose, train, follow it live, and go back through its epochs."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from nicegui import events, ui

from whitecrow.core.spec import Kind
from whitecrow.dashboard.formats import NOTHING, count, percent
from whitecrow.dashboard.lab_charts import LabCharts
from whitecrow.dashboard.lab_epochs import epoch_name, epoch_tiles, kept_epoch, protocol, what_it_is
from whitecrow.dashboard.lab_form import LabForm, watchable
from whitecrow.dashboard.lab_replay import Replay
from whitecrow.dashboard.parts import (
    Text,
    button,
    card,
    details,
    figure_tiles,
    heading,
    link_button,
    notes,
    progress,
    small_table,
    state_mark,
    text_link,
    warnings,
)
from whitecrow.dashboard.run_parts import run_name, standing
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import ViewState
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import DatasetRecord, Epoch, RunRecord

__all__ = ["SCREEN"]

_LOOK_EVERY = 0.5  # seconds
_LISTED = 30
_OPEN = ("queued", "running")
_SPLIT = (
    "Rows are split at random: a share of the normal ones trains, the others test. Of the known anomalies 40 % are set "
    "aside, to be injected into training; none of those is ever shown or tested. A detector that has to work on later "
    "data is judged more strictly by a split in time, on the screen Data."
)


async def build(page: Page) -> None:
    """Make the screen, which follows the run that it shows."""
    view = _Lab(page)
    await view.show()
    ui.timer(_LOOK_EVERY, view.follow)


SCREEN = Screen("Lab", "/lab", "l", "Watch a detector learn, epoch by epoch.", build)


class _Lab:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._run: RunRecord | None = None
        self._epochs: list[Epoch] = []  # that were looked at
        self._other: tuple[str, list[Epoch]] | None = None
        self._charts: LabCharts | None = None
        self._replay: Replay | None = None
        self._fixed = False
        with page.title("Lab", "Watch a detector learn, epoch by epoch."):
            pass
        self._body = ui.element("div").classes("wc-main").style("padding: 0")
        page.on_address(self._moved)
        page.key("p", "Play or stop", self._toggle)
        page.key(",", "Previous epoch", lambda: self._step(-1))
        page.key(".", "Next epoch", lambda: self._step(1))

    async def _moved(self, state: ViewState) -> None:
        if self._run is not None and state.runs[:1] == (self._run.id,) and self._replay is not None and self._epochs:
            self._replay.stop()
            self._draw()
            return
        await self.show()
        await self._page.refresh_badge()

    async def show(self) -> None:
        """Make all of it anew."""
        workspace, wanted = self._page.workspace, self._page.state.runs
        runs, datasets = await in_thread(lambda: (workspace.runs.all(), workspace.datasets.all()))
        known = {run.id: run for run in runs if run.request.watch}
        self._run = known.get(wanted[0]) if wanted else None
        self._epochs, self._other, self._charts, self._replay = [], None, None, None
        if self._run is not None:
            self._epochs = await in_thread(workspace.runs.epochs, self._run.id, watched=True)
            if len(wanted) > 1 and wanted[1] in known:
                beyond = await in_thread(workspace.runs.epochs, wanted[1], watched=True)
                self._other = f"Run {known[wanted[1]].number}", beyond
        # A series as a whole has no random split.
        datasets = [one for one in datasets if one.kind == "table" or one.shape is not None]
        names = {one.kind: await in_thread(watchable, cast("Kind", one.kind)) for one in datasets}
        self._body.clear()
        with self._body:
            if self._run is not None:
                self._run_card(self._run)
            await self._train_card(datasets, names, next((run for run in runs if run.id in wanted[:1]), None))
            self._list_card(list(known.values()), {one.id: one.name for one in datasets})
        if self._epochs:
            self._draw()

    async def follow(self) -> None:
        """Take in what the run has learnt since."""
        run = self._run
        if run is None or run.state not in _OPEN:
            return
        workspace, last = self._page.workspace, self._epochs[-1].place if self._epochs else -1
        now, new = await in_thread(
            lambda: (workspace.runs.get(run.id), workspace.runs.epochs(run.id, last, watched=True))
        )
        if self._run is not run:
            return  # another is looked at meanwhile
        if now.state != run.state and (now.state not in _OPEN or now.state == "queued"):
            await self.show()
            await self._page.refresh_badge()
            self._page.announce(f"Run {run_name(now)} is {now.state}.")
            return
        self._run = now
        self._bar.props["value"] = now.fraction or 0.0
        self._standing.set_text(standing(now))
        if new:
            self._epochs = [*self._epochs, *new]
            if self._charts is None or not self._charts.fits(self._epochs):
                self._make_charts()
            else:
                self._charts.grow(self._epochs)
            self._draw()

    # ---- the run that is looked at --------------------------------------------------------------------------------

    def _run_card(self, run: RunRecord) -> None:
        with card():
            with ui.element("div").classes("wc-card-head"):
                heading(2, run_name(run)).classes("wc-break")
                with ui.element("div").classes("wc-row"):
                    state_mark(run.state)
                    if run.state in _OPEN:
                        self._bar = progress(run.fraction or 0.0, f"Progress of run {run.number}")
                        self._standing = Text(standing(run)).classes("wc-muted")
                        button("Cancel", self._cancel, small=True, label=f"Cancel run {run.number}")
                    if (address := self._page.link("Runs", ViewState(runs=(run.id,)))) is not None:
                        link_button("The run and its model", address, small=True)
            Text(f"{what_it_is(run)}.", "p").classes("wc-muted")
            if run.state not in (*_OPEN, "done"):
                warnings([f"This run is {run.state}. {run.error or 'It can be resumed on the screen Runs.'}"])
            self._stage = ui.element("div").classes("wc-main").style("padding: 0")
        self._make_charts()

    def _make_charts(self) -> None:
        """Make controls and charts anew, as they are when the first epoch comes, or another kind of curve."""
        playing = self._replay is not None and self._replay.playing
        self._stage.clear()
        self._charts = self._replay = None
        with self._stage:
            if not self._epochs or self._run is None:
                text = "No epoch has ended yet." if self._run and self._run.state in _OPEN else "No epoch was recorded."
                Text(text, "p")
                return
            self._replay = Replay(self._page, self._go)
            self._tiles = ui.element("div").style("width: 100%")
            self._doubted = ui.element("div").style("width: 100%")
            with details(("How this is measured: ", "labels colour what is shown, and one seed is no ranking")):
                notes(protocol(self._run, self._epochs))
            box = ui.checkbox("One axis of scores for all epochs", value=self._fixed)
            box.on_value_change(self._fix_axis)
            self._charts = LabCharts(self._epochs, self._index, self._other, fixed=self._fixed)
        if playing and self._replay is not None:
            self._page.announce("The replay has stopped: other curves have come.")

    @property
    def _index(self) -> int:
        """Which of the epochs is looked at: the one of the address, or the nearest before it."""
        wanted = self._page.state.epoch
        if wanted is None:
            return len(self._epochs) - 1
        return max(sum(one.place < wanted for one in self._epochs) - 1, 0)

    def _go(self, index: int) -> None:
        """Look at another epoch; at the last one of a fit that goes on its new ones follow."""
        live = self._run is not None and self._run.state in _OPEN and index == len(self._epochs) - 1
        epoch = None if live else self._epochs[index].place + 1
        self._page.show(self._page.state.with_(epoch=epoch), step=False)
        self._draw()

    def _draw(self) -> None:
        if self._run is None or self._charts is None or self._replay is None:
            return
        index = self._index
        epoch = self._epochs[index]
        kept = kept_epoch(self._run)
        self._replay.set(index, len(self._epochs), epoch_name(epoch, self._epochs, kept))
        self._charts.show(index)
        self._tiles.clear()
        with self._tiles:
            figure_tiles(epoch_tiles(epoch))
        self._doubted.clear()
        with self._doubted:
            warnings(self._doubts(epoch))

    def _doubts(self, epoch: Epoch) -> list[str]:
        doubts = []
        if epoch.seen is not None and epoch.seen["why"] is not None:
            doubts.append(f"This epoch has no scores. {epoch.seen['why']}")
        if epoch.stage != self._epochs[-1].stage:
            doubts.append(
                f"The stage {epoch.stage} comes before the one that the score is learnt in: scores may mean nothing."
            )
        return doubts

    def _fix_axis(self, event: events.ValueChangeEventArguments) -> None:
        self._fixed = bool(event.value)
        if self._charts is not None:
            self._charts.fix_axis(fixed=self._fixed)
            self._draw()

    async def _toggle(self) -> None:
        if self._replay is not None:
            await self._replay.toggle()

    def _step(self, by: int) -> None:
        if self._replay is not None:
            self._replay.step(by)

    async def _cancel(self) -> None:
        with self._page.errors_shown():
            if self._run is not None:
                await in_thread(self._page.workspace.jobs.cancel, self._run.id)
                self._page.announce(f"Run {self._run.number}: cancel is asked for.")

    # ---- what else there is ---------------------------------------------------------------------------------------

    async def _train_card(
        self, datasets: Sequence[DatasetRecord], names: Mapping[str, Sequence[str]], like: RunRecord | None
    ) -> None:
        with card("Train"):
            if not datasets:
                Text("There is no data yet.", "p")
                if (address := self._page.link("Data", ViewState())) is not None:
                    with ui.element("div"):
                        link_button("Bring a table", address, primary=True)
                return
            if like is not None and not like.request.watch:
                Text(f"{run_name(like)} was not watched. Train it here to see its epochs.", "p")
            with details("What is trained, and on what", opened=self._run is None):
                with ui.element("div").classes("wc-main").style("padding: 0.25rem 0 0"):
                    Text(_SPLIT, "p").classes("wc-muted")
                    form = LabForm(self._page, datasets, names, like, self._submitted)
                await form.show_parameters()

    async def _submitted(self, run: RunRecord) -> None:
        self._page.show(self._page.state.with_(dataset=run.dataset, runs=(run.id,), epoch=None))
        await self.show()
        await self._page.refresh_badge()

    def _list_card(self, runs: list[RunRecord], datasets: dict[str, str]) -> None:
        if not runs:
            return

        def row(run: RunRecord) -> list[Any]:
            def named() -> None:
                link = text_link(run_name(run), ViewState(runs=(run.id,)).link(SCREEN.path)).classes("wc-break")
                if self._run is not None and run.id == self._run.id:
                    link.props("aria-current=true")

            injected = run.request.split.injected
            return [
                named, datasets.get(run.dataset or "", NOTHING), run.detector,
                NOTHING if injected is None else percent(float(injected)), str(run.request.seed),
                lambda: state_mark(run.state), lambda: self._lay_over(run),
            ]  # fmt: skip

        with card("Watched runs", count(len(runs), "run")):
            heads = ["Run", "Data set", "Detector", "Anomalies injected", "Seed", "State", "Lay over"]
            small_table(heads, [row(run) for run in runs[:_LISTED]], label="Watched runs", right=(3, 4))
            if len(runs) > _LISTED:
                Text(f"The newest {_LISTED} of {len(runs):,} are listed.", "p").classes("wc-muted")

    def _lay_over(self, run: RunRecord) -> None:
        """Offer to draw the curves of a run over those of the one that is looked at."""
        if self._run is None or run.id == self._run.id:
            Text(NOTHING)
            return
        over = self._page.state.runs[1:2] == (run.id,)
        runs = (self._run.id,) if over else (self._run.id, run.id)
        address = self._page.state.with_(runs=runs).link(SCREEN.path)
        text = "Take off" if over else "Lay over"
        link_button(text, address, small=True, label=f"{text} run {run.number}")
