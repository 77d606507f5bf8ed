"""Runs side by side on the rows that all of them tested: figures, curves, cost, agreement, and where they disagree."""

from collections.abc import Callable
from typing import Any, NamedTuple

from nicegui import ui

from whitecrow.core.errors import ParameterError, WhitecrowError
from whitecrow.dashboard.comparison import Comparison, compare
from whitecrow.dashboard.comparison_charts import cost_chart, curves_card, histograms_card
from whitecrow.dashboard.comparison_pair import PairView
from whitecrow.dashboard.comparison_parts import agreement_card, families_card, figures_card
from whitecrow.dashboard.formats import NOTHING, count, percent
from whitecrow.dashboard.parts import Text, button, card, details, notes, small_table, warnings
from whitecrow.dashboard.record_drawer import RecordDrawer
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import DEFAULT_COSTS, ViewState
from whitecrow.dashboard.threads import in_thread
from whitecrow.metrics import Costs, EvaluationReport, ScoreHistogram
from whitecrow.metrics.agreement import RankAgreement
from whitecrow.metrics.family_catches import FamilyCatches
from whitecrow.workspace import DatasetRecord, RunRecord

__all__ = ["SCREEN"]

_MOST = 12  # runs of a state
_QUEUE = 100  # rows of the queues that are compared
_COST_NAMES = {
    "miss": "Cost of a miss",
    "false_alarm": "Cost of a false alarm",
    "alert": "Cost of any alert",
    "catch": "Value of a catch",
}


class _Found(NamedTuple):
    comparison: Comparison
    reports: dict[str, EvaluationReport]
    histograms: dict[str, ScoreHistogram]
    agreement: RankAgreement
    catches: tuple[FamilyCatches, ...]


async def build(page: Page) -> None:
    """Make the screen; its figures come after it, for they may take seconds."""
    view = _Compare(page)
    await view.list_runs()
    ui.timer(0.05, view.show, once=True)


SCREEN = Screen(
    "Compare",
    "/compare",
    "c",
    "Detectors side by side on the same rows.",
    build,
    takes=("dataset", "runs", "costs", "base_rate"),
)


class _Compare:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._turn = 0
        self._costs_turn = 0
        self._boxes: dict[str, ui.checkbox] = {}
        self._shown: ViewState | None = None
        with page.title("Compare", "Detectors side by side on the rows that all of them tested."):
            pass
        self._picker = ui.element("div").style("width: 100%")
        self._body = ui.element("div").classes("wc-main").style("padding: 0")
        self._body.props["aria-busy"] = "true"
        self._cost: ui.element
        self._drawer = RecordDrawer(page)
        page.on_address(self._moved)

    # ---- which runs -----------------------------------------------------------------------------------------------

    async def list_runs(self) -> None:
        """Show what can be compared."""
        workspace = self._page.workspace
        runs, datasets = await in_thread(lambda: (workspace.runs.all(), workspace.datasets.all()))
        names = {one.id: one for one in datasets}
        done = [run for run in runs if run.state == "done" and run.dataset is not None]
        known = {run.id for run in done}
        if gone := [key for key in self._page.state.runs if key not in known]:
            self._page.warn(f"{count(len(gone), 'run')} of the address cannot be compared: deleted, or not done.")
            self._page.show(self._page.state.with_(runs=tuple(k for k in self._page.state.runs if k in known)))
        self._picker.clear()
        with self._picker, card("Runs"):
            if len(done) < 2:
                Text(f"A comparison takes two runs that are done; there is {len(done)}.", "p")
                return
            # In one place per data set: only such runs can be compared.
            done.sort(key=lambda run: (run.dataset or "", run.number))
            with details(("Choose runs. ", f"{count(len(done), 'run')} can be chosen, up to {_MOST} at once."),
                         opened=len(self._page.state.runs) < 2):  # fmt: skip
                heads = ["Run", "Compare", "Data set", "Detector", "Seed", "Split"]
                small_table(heads, [self._row(run, names) for run in done], label="Runs to compare", right=(4,))

    def _row(self, run: RunRecord, datasets: dict[str, DatasetRecord]) -> list[str | Callable[[], Any]]:
        def pick() -> None:
            box = ui.checkbox(value=run.id in self._page.state.runs)
            box.props["aria-label"] = f"Compare run {run.number}"
            box.on_value_change(lambda event: self._pick(run.id, chosen=bool(event.value)))
            self._boxes[run.id] = box

        dataset = datasets.get(run.dataset or "")
        split = run.request.split
        return [
            run_name(run), pick, NOTHING if dataset is None else dataset.name, run.detector, str(run.request.seed),
            f"{split.kind}, {percent(split.share)} train"
            + ("" if split.validation is None else f", {percent(split.validation)} set the threshold"),
        ]  # fmt: skip

    async def _pick(self, key: str, *, chosen: bool) -> None:
        picked = self._page.state.runs
        if (key in picked) == chosen:
            return  # the address moved, and the box after it
        if chosen and len(picked) == _MOST:
            self._page.warn(f"At most {_MOST} runs are compared at once. Take one out first.")
            self._boxes[key].set_value(False)
            return
        wanted = (*picked, key) if chosen else tuple(one for one in picked if one != key)
        self._page.show(self._page.state.with_(runs=wanted, record=None))
        await self.show()
        await self._page.refresh_badge()

    async def _moved(self, state: ViewState) -> None:
        if self._shown == state.with_(record=None) and state.runs:
            await self._drawer.follow(state.runs[0])
            return
        for key, box in self._boxes.items():
            box.set_value(key in state.runs)
        await self.show()
        await self._page.refresh_badge()

    # ---- what comes of it -----------------------------------------------------------------------------------------

    async def show(self) -> None:
        """Make all of it anew."""
        self._turn += 1
        turn, keys = self._turn, self._page.state.runs
        self._shown = self._page.state.with_(record=None)
        self._body.clear()
        self._body.props["aria-busy"] = "true"
        with self._body:
            if len(keys) < 2:
                Text("Choose two runs or more of one data set.", "p")
                self._body.props["aria-busy"] = "false"
                return
            Text(f"{count(len(keys), 'run')} are being compared …", "p").classes("wc-muted")
        try:
            found = await in_thread(self._find)
        except WhitecrowError as error:
            if turn == self._turn:
                self._refuse(str(error))
            return
        if turn != self._turn:
            return  # others were chosen meanwhile
        self._body.clear()
        with self._body:
            pair = self._fill(found)
        await pair.show()
        if turn == self._turn:
            self._body.props["aria-busy"] = "false"
            words = f"{count(len(keys), 'run')} compared on {count(len(found.comparison.rows), 'row')}."
            self._page.announce(words)
            await self._drawer.follow(self._page.state.runs[0])

    def _find(self) -> _Found:
        found = compare(self._page.workspace, self._page.state.runs)
        histograms = {run.id: found.histogram(run.id) for run in found.runs} if found.judged else {}
        return _Found(found, found.reports(self._costs()), histograms, found.agreement(_QUEUE), found.catches())

    def _refuse(self, reason: str) -> None:
        self._body.clear()
        self._body.props["aria-busy"] = "false"
        with self._body, card("These runs cannot be compared"):
            Text(reason, "p")
        self._page.announce(reason)

    def _fill(self, found: _Found) -> PairView:
        comparison, reports = found.comparison, found.reports
        unknown = int((~comparison.known).sum())
        anomalies = int((comparison.label == 1).sum())
        with card("What is compared", count(len(comparison.rows), "row")):
            told = [
                f"{count(len(comparison.rows), 'row')} that every one of these runs tested and none trained on, "
                f"{count(anomalies, 'anomaly', 'anomalies')} among them. Other rows do not count.",
                "A row is flagged above each model's own threshold; the runs stand in the order of their numbers.",
            ]
            if unknown:
                told.append(f"{count(unknown, 'row')} without a label count in no figure of merit.")
            notes(told)
            seeds = [{run.request.seed for run in group} for group in comparison.seed_groups()]
            if any(len(one) < 2 for one in seeds):
                warnings(["One seed of a method is one draw. A difference to it is no ranking of methods."])
        if not reports:
            warnings(["No figures of merit: anomalies and normal rows with labels are needed among these rows."])
        figures_card(comparison, reports)
        if reports:
            curves_card(comparison, reports)
            histograms_card(comparison, reports, found.histograms)
            with card("What it costs", "each threshold, in the units of your costs"):
                self._cost_form(comparison)
                self._cost = ui.element("div").style("width: 100%")
                with self._cost:
                    cost_chart(comparison, reports)
        agreement_card(comparison.runs, found.agreement)
        families_card(comparison, found.catches)
        with card("One against another"):
            return PairView(self._page, comparison, self._drawer)

    # ---- cost -----------------------------------------------------------------------------------------------------

    def _costs(self) -> Costs:
        given = self._page.state.costs or DEFAULT_COSTS
        return Costs(given.miss, given.false_alarm, given.alert, given.catch, self._page.state.base_rate)

    def _cost_form(self, comparison: Comparison) -> None:
        costs = self._costs()
        fields: dict[str, ui.number] = {}

        async def changed() -> None:
            await self._change_costs(comparison, {name: field.value for name, field in fields.items()})

        with ui.element("div").classes("wc-form"):
            for name, title in _COST_NAMES.items():
                fields[name] = _number(title, getattr(costs, name))
            share = costs.prevalence
            fields["base_rate"] = _number("Anomalies in use, %", None if share is None else 100 * share)
            observed = int((comparison.label == 1).sum()) / max(int(comparison.known.sum()), 1)
            fields["base_rate"].props["hint"] = f"Empty: the observed {percent(observed)}"
        for field in fields.values():
            field.on("keydown.enter", changed)
        with ui.element("div").classes("wc-row"):
            button("Use these costs", changed)

    async def _change_costs(self, comparison: Comparison, given: dict[str, float | None]) -> None:
        self._costs_turn += 1
        turn, costs_turn = self._turn, self._costs_turn
        with self._page.errors_shown():
            state = self._page.state.with_(**_costs_of(given))
            self._page.show(state)
            reports = await in_thread(comparison.reports, self._costs())
            if (turn, costs_turn) != (self._turn, self._costs_turn):
                return
            self._cost.clear()
            with self._cost:
                cost_chart(comparison, reports)
            self._page.announce("The costs are computed again.")


def _number(label: str, given: float | None) -> ui.number:
    return ui.number(label, value=given, min=0, step=1).props("outlined dense")


def _costs_of(given: dict[str, float | None]) -> dict[str, Any]:
    """Return the fields of the state for what was filled in.

    Raises
    ------
    ParameterError
        If a cost is negative, or the share no share.
    """
    costs = Costs(**{name: float(given[name] or 0.0) for name in _COST_NAMES})
    share = given["base_rate"]
    if share is not None and not 0 <= share <= 100:
        raise ParameterError(f"The anomalies in use are {share:g} %; accepted is 0 to 100, or nothing.")
    return {"costs": costs, "base_rate": None if share is None else share / 100}
