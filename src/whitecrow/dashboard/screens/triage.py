"""Alerts are judged one after the other, by keyboard alone if one likes; verdicts teach the threshold and a detector.

Keys are ``J K`` next and previous, ``Y N U`` confirm, dismiss and unsure, ``Z`` undo, ``E`` note, ``A`` assignee,
``G`` group, ``Enter`` the record. Several people may review at once: each sees what the others do within two seconds.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from nicegui import ui

from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.formats import count
from whitecrow.dashboard.parts import card, link_button
from whitecrow.dashboard.record_drawer import RecordDrawer
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import DEFAULT_COSTS, ViewState
from whitecrow.dashboard.threads import in_thread
from whitecrow.dashboard.triage_alerts import AlertList, Reasons, load_alerts, reasons_of
from whitecrow.dashboard.triage_browser import GUARD_KEYS, KEEP_NAME, READ_NAME
from whitecrow.dashboard.triage_detail import AlertCard
from whitecrow.dashboard.triage_figures import FiguresCard
from whitecrow.dashboard.triage_list import QueueCard
from whitecrow.dashboard.triage_queue import Alert, QueueView, next_new, place_of
from whitecrow.dashboard.triage_refit import RefitCard
from whitecrow.dashboard.triage_review import Review
from whitecrow.dashboard.triage_threshold import ThresholdCard
from whitecrow.metrics import Costs
from whitecrow.workspace import RunRecord, Workspace
from whitecrow.workspace.assignments import Assignment
from whitecrow.workspace.feedback import Verdict

__all__ = ["SCREEN"]

_LOOK_EVERY = 1.5  # seconds between looks at what others do
_TEST = "not trained on"
_PARTS = {
    _TEST: "Test rows",
    "train": "Training rows",
    "validation": "Rows that set the threshold",
    "left out": "Rows left out",
}
_KEPT_REASONS = 500


async def build(page: Page) -> None:
    """Make the screen."""
    view = _Triage(page)
    await view.load()
    ui.context.client.on_connect(view.greet)
    ui.timer(_LOOK_EVERY, view.follow)


SCREEN = Screen(
    "Triage", "/triage", "t", "Judge alerts, and let the verdicts teach.", build,
    takes=("dataset", "runs", "part", "costs", "base_rate"),
)  # fmt: skip


class _Triage:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._turn = asyncio.Lock()  # verdicts and looks come one after the other
        self._asking = asyncio.Lock()
        self._review = Review()
        self._part: str | None = None
        self._reasons: dict[int, Reasons] = {}
        self._drafts: dict[int, str] = {}  # notes on alerts without a verdict
        self._filled = ""  # what was put into the field of the note
        self._filling = False
        with page.title("Triage", "Judge each alert; your verdicts measure the queue, and can teach it."):
            self._export = link_button("Verdicts as CSV", "#")
        with card() as top, ui.element("div").classes("wc-form"):
            top.props('role=region aria-label="What is reviewed"')
            self._run = ui.select({}, label="Run").props("outlined dense options-dense")
            self._rows = ui.select(_PARTS, label="Rows", value=_TEST).props("outlined dense options-dense")
            self._name = ui.input("Your name").props("outlined dense maxlength=200")
            self._name.props["hint"] = "Stands beside your verdicts; this browser keeps it"
            self._name.on("change", js_handler=KEEP_NAME)
        self._name.on("change", self._named)
        self._people: list[str] = []  # whom the workspace remembers
        self._run.on_value_change(lambda: None if self._filling else self._run_chosen())
        self._rows.on_value_change(lambda: None if self._filling else self._part_chosen())
        with ui.element("div").style("display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start") as body:
            with ui.element("div").style("flex: 2 1 26rem; min-width: 0; max-width: 100%"):
                self._card = AlertCard(
                    self._judge, self._undo, self._step, self._open, self._keep_note, self._assign, self._take
                )
            with ui.element("div").style("flex: 1 1 34rem; min-width: 0; max-width: 100%"):
                self._list = QueueCard(self._viewed, self._costed, self._go)
        with ui.element("div").classes("wc-main").style("padding: 0") as below:
            self._figures = FiguresCard()
            with ui.element("div").classes("wc-grid"):
                self._threshold = ThresholdCard(page, self._known, self._costs, self._reviewer, self._reload)
                self._refit = RefitCard(page, lambda: self._review.found and self._review.found.run, self._reviewer)
        self._work = top, body, below
        with card() as self._none:
            ui.label("No run has alerts to judge: fit a detector first.")
            if (address := page.link("Overview", ViewState())) is not None:
                link_button("Go to the overview", address, primary=True)
        self._drawer = RecordDrawer(page)
        self._add_keys()
        page.on_address(self._moved)

    def _add_keys(self) -> None:
        key = self._page.key
        key("j", "Next alert", lambda: self._step(1))
        key("k", "Previous alert", lambda: self._step(-1))
        key("y", "Confirm the alert: an anomaly", lambda: self._judge("confirmed"))
        key("n", "Dismiss the alert: normal", lambda: self._judge("dismissed"))
        key("u", "Unsure about the alert", lambda: self._judge("unsure"))
        key("z", "Undo your last verdict", self._undo)
        key("e", "Edit the note", self._card.edit_note)
        key("a", "Say who is to look at the alert", self._card.assignee.focus)
        key("g", "Expand or fold the group", self._toggle)
        key("Enter", "Open the full explanation", self._open)

    async def greet(self) -> None:
        """Ask the browser for what it keeps, and show the record that the address names."""
        self._add_keys()  # once more, for here they matter more than those of the navigation
        name = await ui.run_javascript(READ_NAME, timeout=5.0)
        if isinstance(name, str) and not self._name.value:
            self._name.set_value(name[:200])
            self._named()
        ui.run_javascript(GUARD_KEYS)
        await self._drawer.follow(self._review.run)

    # ---- what is looked at ----------------------------------------------------------------------------------------

    @property
    def _view(self) -> QueueView:
        return QueueView.of(self._page.state.filters)

    def _costs(self) -> Costs:
        return self._page.state.costs or DEFAULT_COSTS

    def _reviewer(self) -> str:
        return " ".join(str(self._name.value or "").split())[:200]

    def _known(self) -> tuple[AlertList, Mapping[int, str]] | None:
        return None if self._review.found is None else (self._review.found, self._review.verdicts)

    async def load(self) -> None:
        """Read the run of the state, its alerts and their verdicts, and show them."""
        page, workspace = self._page, self._page.workspace
        runs = [one for one in await in_thread(workspace.runs.all) if one.state == "done" and one.dataset is not None]
        run = next((one for one in runs if one.id in page.state.runs[:1]), None)
        if page.state.runs and run is None:
            page.warn(f"Run {page.state.runs[0]} has no alerts to judge, or is gone. Choose another.")
        elif run is None:
            mine = [one for one in runs if page.state.dataset in (None, one.dataset)]
            run = mine[0] if mine else None
        self._offer(runs, run)
        if run is None or run.id != self._review.run:
            self._drafts.clear()
        self._review.begin(None, {}, {})
        if run is not None:
            page.show(page.state.with_(runs=(run.id,)), step=False)
            with page.errors_shown():
                self._part = page.state.part
                found = await in_thread(load_alerts, workspace, run.id, self._part)
                await in_thread(found.groups, self._view.radius)
                held, assigned = await in_thread(_feedback, workspace, run.id)
                self._review.begin(found, held, assigned)
                self._people = await in_thread(workspace.feedback.names)
        self._reasons.clear()
        self._threshold.clear()
        self._list.offer(self._review.found)
        self._arrange()
        await self._refit.show()
        await self._explain()

    def _offer(self, runs: list[RunRecord], run: RunRecord | None) -> None:
        self._filling = True
        self._run.set_options({one.id: run_name(one) for one in runs}, value=None if run is None else run.id)
        self._rows.set_value(self._page.state.part or _TEST)
        self._export.props["href"] = "#" if run is None else f"/api/runs/{run.id}/feedback.csv"
        for one in self._work:
            one.set_visibility(bool(runs))
        self._export.set_visibility(run is not None)
        self._none.set_visibility(not runs)
        self._filling = False

    async def _run_chosen(self) -> None:
        await self._changed(self._page.state.with_(runs=(str(self._run.value),), record=None, filters={}))

    async def _part_chosen(self) -> None:
        part = None if self._rows.value == _TEST else str(self._rows.value)
        await self._changed(self._page.state.with_(part=part, record=None))

    async def _changed(self, state: ViewState) -> None:
        self._page.show(state)
        await self._reload()

    async def _reload(self) -> None:
        await self.load()
        await self._page.refresh_badge()

    async def _moved(self, state: ViewState) -> None:
        if state.runs[:1] != (self._review.run,) or state.part != self._part:
            await self._reload()
        else:
            await self._look()
            await self._explain()
        await self._drawer.follow(self._review.run)

    async def _viewed(self, view: QueueView) -> None:
        view = replace(view, at=None if self._review.at is None else self._review.at.leader)
        self._page.show(self._page.state.with_(filters=view.filters()))
        await self._look()
        self._page.announce(f"{count(len(self._review.queue), 'alert')} in the queue.")
        await self._explain()

    async def _look(self) -> None:
        """Show the queue as the address says; its groups are found in a thread."""
        if self._review.found is not None:
            await in_thread(self._review.found.groups, self._view.radius)
        self._arrange()

    async def _costed(self, costs: Costs) -> None:
        self._page.show(self._page.state.with_(costs=costs), step=False)
        self._arrange()
        await self._explain()

    # ---- the queue ------------------------------------------------------------------------------------------------

    def _arrange(self, row: int | None = None) -> None:
        """Put the queue into order and show it, with the alert of a row, by default that of the address."""
        view = self._view
        self._keep_draft()
        self._list.set(view, self._costs(), self._people)
        wanted = next((one for one in (row, view.at, self._page.state.record) if one is not None), None)
        self._review.arrange(view, self._costs(), wanted, self._reviewer())
        self._show()

    def _show(self) -> None:
        """Show the alert under review, and the queue around it."""
        review, view = self._review, self._view
        found, alert, place = review.found, review.at, review.place
        total, listed = (0, 0) if found is None else (len(found.rows), found.listed)
        self._list.show(review.queue, place, review.held, review.assignees, total, listed)
        if found is not None:
            self._figures.show(found, review.alerts, review.verdicts, view.k, self._page.state.base_rate)
        self._fill_note()
        names = [] if alert is None else alert.assignees(review.assignees)
        row = None if alert is None else alert.leader
        self._card.assignee.show(row, names[0] if len(names) == 1 else "", self._people)
        if found is None or alert is None or place is None:
            nothing = "Nothing in these rows scores above the threshold."
            if review.alerts:
                nameless = view.assigned == "mine" and not self._reviewer()
                nothing = "Write your name above to see what is yours." if nameless else "The filters leave no alert."
            self._card.show_nothing(nothing)
            return
        if view.at != alert.leader:
            filters = replace(view, at=alert.leader).filters()
            self._page.show(self._page.state.with_(filters=filters), step=False)
        reasons = self._reasons.get(alert.leader)
        self._card.show(found, alert, place, len(review.queue), review.held, reasons)

    def _keep_draft(self) -> None:
        """Keep what was written about the alert under review and belongs to no verdict yet."""
        if (alert := self._review.at) is None:
            return
        if self._card.note != self._filled:
            self._drafts[alert.leader] = self._card.note
        else:
            self._drafts.pop(alert.leader, None)

    def _fill_note(self) -> None:
        alert = self._review.at
        self._filled = self._review.noted()
        self._card.note = self._filled if alert is None else self._drafts.get(alert.leader, self._filled)

    async def _go(self, row: int) -> None:
        self._keep_draft()
        self._review.go(place_of(self._review.queue, row, self._review.among))
        self._show()
        self._page.announce(self._review.words())
        await self._explain()

    async def _step(self, by: int) -> None:
        async with self._turn:
            place = self._review.place
            if place is None:
                return
            there = place + by
            if not 0 <= there < len(self._review.queue):
                end = "last" if by > 0 else "first"
                self._page.announce(f"This is the {end} alert. {self._review.words()}")
                return
            self._keep_draft()
            self._review.go(there)
            self._show()
            self._page.announce(self._review.words())
        await self._explain()

    # ---- verdicts -------------------------------------------------------------------------------------------------

    async def _judge(self, verdict: str) -> None:
        async with self._turn:
            alert = self._review.at
            if alert is None or not await self._give(alert, verdict):
                return
            judged = (
                f"Row {alert.leader} {verdict}"
                if len(alert.rows) == 1
                else f"{count(len(alert.rows), 'row')} {verdict} with row {alert.leader}"
            )
            there = next_new(self._review.among, alert.leader, self._review.verdicts)
            left = "" if there is not None else " Every alert has a verdict."
            # Who looks at those with another verdict goes on among them.
            self._arrange(there if there is not None and self._view.state in (None, "new") else alert.leader)
            self._page.announce(f"{judged}.{left} {self._review.words()}")
        await self._explain()

    async def _give(self, alert: Alert, verdict: str) -> bool:
        found, note = self._review.found, self._card.note
        if found is None:
            return False
        with self._page.errors_shown():
            feedback = self._page.workspace.feedback
            await in_thread(
                feedback.give, found.run.id, alert.rows, verdict,  # pyright: ignore[reportArgumentType] - checked there
                scores=found.scores.score, note=note, reviewer=self._reviewer(),
            )  # fmt: skip
            self._review.held = await in_thread(feedback.current, found.run.id)
            self._drafts.pop(alert.leader, None)
            self._fill_note()
            return True
        return False

    async def _keep_note(self) -> None:
        """Keep the note of an alert that has a verdict: the verdict is given again with it."""
        async with self._turn:
            alert = self._review.at
            if alert is None or self._card.note == self._filled:
                return
            state = alert.state(self._review.verdicts)
            if state == "new":
                self._page.announce("The note is kept with the verdict that you give.")
            elif await self._give(alert, state):
                self._arrange(alert.leader)
                self._page.announce(f"The note on row {alert.leader} is kept.")

    # ---- assignees ------------------------------------------------------------------------------------------------

    def _named(self) -> None:
        """Show what belongs to the name that was written."""
        if self._view.assigned == "mine":
            self._arrange()

    async def _take(self) -> None:
        if not self._reviewer():
            self._name.run_method("focus")
            self._page.announce("Write your name first; this browser keeps it.")
            return
        await self._assign(self._reviewer())

    async def _assign(self, name: str) -> None:
        # Before anything is waited for: the next alert may be under review by then.
        found, alert, place = self._review.found, self._review.at, self._review.place
        if found is None or alert is None or place is None:
            return
        later = self._review.queue[place:]
        async with self._turn:
            with self._page.errors_shown():
                workspace = self._page.workspace
                await in_thread(
                    workspace.feedback.assign, found.run.id, alert.rows, name,
                    n_rows=len(found.scores.score), reviewer=self._reviewer(),
                )  # fmt: skip
                self._review.held, self._review.assigned = await in_thread(_feedback, workspace, found.run.id)
                self._people = await in_thread(workspace.feedback.names)
                names, me = self._review.assignees, self._reviewer()
                # One that the filter no longer leaves makes room for the next.
                stays = [one.leader for one in later if self._view.concerns(one.assignees(names), me)]
                self._arrange(stays[0] if stays else None)
                who = f"assigned to {name}" if name else "nobody's"
                self._page.announce(f"Row {alert.leader} is {who}. {self._review.words()}")
        await self._explain()

    async def _undo(self) -> None:
        async with self._turn:
            found = self._review.found
            if found is None:
                return
            with self._page.errors_shown():
                workspace = self._page.workspace
                undone = await in_thread(workspace.feedback.undo, found.run.id, reviewer=self._reviewer())
                self._review.held, self._review.assigned = await in_thread(_feedback, workspace, found.run.id)
                if not undone:
                    self._page.announce("You have no verdict or assignment on this run that could be undone.")
                    return
                rows = {one.row for one in undone}
                alert = next((one for one in self._review.among if rows & set(one.rows)), None)
                self._arrange(None if alert is None else alert.leader)
                what = "assignment" if isinstance(undone[0], Assignment) else undone[0].verdict
                self._page.announce(f"Undone: {what}, {count(len(rows), 'row')}. {self._review.words()}")
        await self._explain()

    async def _toggle(self) -> None:
        if self._review.at is None or len(self._review.at.rows) == 1:
            self._page.announce("This alert has no near-duplicates.")
            return
        await self._card.toggle()
        rows = count(len(self._review.at.rows), "row")
        self._page.announce(f"The {rows} of the group are {'listed' if self._card.expanded else 'folded'}.")

    async def _open(self) -> None:
        if self._review.found is not None and self._review.at is not None:
            await self._drawer.open(self._review.found.run.id, self._review.at.leader)

    # ---- reasons --------------------------------------------------------------------------------------------------

    async def _explain(self) -> None:
        """Find the reasons of the alert under review, then those of the next one, which are there when it is."""
        for ahead in (0, 1):
            async with self._asking:
                found, place = self._review.found, self._review.place
                if found is None or place is None or place + ahead >= len(self._review.queue):
                    return
                row = self._review.queue[place + ahead].leader
                if row not in self._reasons:
                    reasons = await in_thread(reasons_of, self._page.workspace, found.run.id, row)
                    if found is not self._review.found:
                        return  # another run is reviewed by now
                    self._reasons[row] = reasons
                    if len(self._reasons) > _KEPT_REASONS:
                        del self._reasons[next(iter(self._reasons))]
                    if self._review.at is not None and self._review.at.leader == row:
                        self._keep_draft()
                        self._show()

    # ---- what others do -------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Show verdicts that others gave, a threshold that they set, and how far a refit is."""
        await self._refit.follow()
        if (found := self._review.found) is None:
            return
        workspace = self._page.workspace
        async with self._turn:
            try:
                version = await in_thread(workspace.runs.version, found.run.id)
                held, assigned = await in_thread(_feedback, workspace, found.run.id)
            except WhitecrowError as error:  # the run was deleted meanwhile
                self._review.found = None
                self._page.warn(str(error))
                return
            if found is not self._review.found:
                return
            if (held, assigned) != (self._review.held, self._review.assigned):
                new = [
                    *(one for row, one in held.items() if one != self._review.held.get(row)),
                    *(one for row, one in assigned.items() if one != self._review.assigned.get(row)),
                ]
                what = "Verdicts" if held != self._review.held else "Assignees"
                self._review.held, self._review.assigned = held, assigned
                self._people = await in_thread(workspace.feedback.names)
                self._arrange(None if self._review.at is None else self._review.at.leader)
                who = ", ".join(dict.fromkeys(one.reviewer or "somebody" for one in new)) or "somebody"
                self._page.announce(f"{what} were changed elsewhere, by {who}.")
        if version != found.run.version:
            await self._reload()
            self._page.announce("Another threshold was set for this run; the queue is new.")


def _feedback(workspace: Workspace, run: str) -> tuple[dict[int, Verdict], dict[int, Assignment]]:
    return workspace.feedback.current(run), workspace.feedback.assigned(run)
