"""Several detectors race on records that are simulated, replayed or live, with what each catches and costs so far.

The elements are made here. ``static/stream.js`` speaks with the server's websocket and paints the figures into the
nodes that carry ``data-wcs``, whose ``data-value`` holds each figure with all its digits: nothing of the page's own
connection is used while records stream.
"""

import json
from typing import Any

from nicegui import events, ui

from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.assets import script
from whitecrow.dashboard.parts import Text, card, details, small_table
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import DEFAULT_COSTS, ViewState
from whitecrow.dashboard.stream_parts import (
    PLAYED,
    action,
    confusion,
    cost_chart,
    number_field,
    rules_field,
    source_field,
    source_note,
    standings_card,
    stream_tiles,
    truth,
)
from whitecrow.dashboard.threads import in_thread
from whitecrow.data.traffic_stream import USUAL_MIX
from whitecrow.metrics import Costs
from whitecrow.workspace import DatasetRecord, RunRecord
from whitecrow.workspace.demo import DEMO_NAME

__all__ = ["SCREEN"]

_MOST = 8  # runs of a race
_FIRST = 4
_COST_NAMES = {"miss": "A miss", "false_alarm": "A false alarm", "alert": "Any alert", "catch": "Value of a catch"}
_WEEK_ROWS, _LEAST_WEEK, _MOST_WEEK = 20_000, 100, 200_000


async def build(page: Page) -> None:
    """Make the screen."""
    ui.add_head_html(script("stream.js"))
    await _Stream(page).build()


SCREEN = Screen(
    "Stream",
    "/stream",
    "s",
    "Detectors race on the same records.",
    build,
    takes=("dataset", "runs", "costs"),
)


class _Stream:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._runs: list[RunRecord] = []
        self._boxes: dict[str, ui.checkbox] = {}
        self._body: ui.element

    async def build(self) -> None:
        page = self._page
        workspace = page.workspace
        runs, datasets = await in_thread(lambda: (workspace.runs.all(), workspace.datasets.all()))
        self._runs = sorted((run for run in runs if run.state == "done"), key=lambda run: run.number)
        known = {run.id for run in self._runs}
        picked = tuple(key for key in page.state.runs if key in known)[:_MOST] or _usual(self._runs)
        if picked != page.state.runs:
            page.show(page.state.with_(runs=picked), step=False)
        with page.title("Stream", "Detectors judge the same records at the same time."):
            pass
        if not picked:
            with card("Nothing can race yet"):
                Text("A race takes a run that is done. Fit one first.", "p")
            return
        Text("").classes("wc-alert").props("role=alert data-wcs=alert")
        Text("").classes("wc-hidden").props("role=status aria-live=polite data-wcs=live")
        self._controls(datasets)
        self._body = ui.element("div").classes("wc-main").style("padding: 0")
        self._lanes()
        page.on_address(self._moved)
        ui.on("wc-stream-costs", self._costs_changed)
        page.key("p", "Start, pause or go on", lambda: self._tell("toggle"))
        page.key(".", "Step", lambda: self._tell("step"))
        page.key("b", "Rewind", lambda: self._tell("rewind"))

    def _tell(self, what: str) -> None:
        ui.run_javascript(f"whitecrow.stream.{what}()")

    # ---- what streams ---------------------------------------------------------------------------------------------

    def _controls(self, datasets: list[DatasetRecord]) -> None:
        costs = self._page.state.costs or DEFAULT_COSTS
        live, simulated = self._page.workspace.live.all(), "simulation"
        with card("The stream"):
            with ui.element("div").classes("wc-row"):
                action("Start", "toggle", primary=True)
                action("Step", "step")
                action("Rewind", "rewind", kinds=PLAYED)
                action("Stop", "close")
                Text("…").classes("wc-muted").props("data-wcs=standing")
            stream_tiles()
            with ui.element("div").classes("wc-form"):
                number_field(
                    "rate", "Records per second, 1 to 10,000", 1000, low=1, high=10_000, step="any", kinds=PLAYED
                )
                number_field("step", "Records of a step", 1, low=1, high=10_000, kept=False)
                number_field("rewind", "Rewind to record", 0, low=0, high=10**12, kept=False, kinds=PLAYED)
                source_field(datasets, live)
            source_note(live)
            rules_field()
            with details("Attacks and seed of the simulation", opened=True):
                with ui.element("div").classes("wc-form"):
                    number_field("seed", "Seed", 0, low=0, high=2**32 - 1, kinds=simulated)
                    number_field(
                        "attack_rate", "Attacks, % of the records", 2, low=0, high=50, step="any", kinds=simulated
                    )
                    week = self._week_rows(datasets)
                    title = "Connections in a week"
                    number_field("week_rows", title, week, low=_LEAST_WEEK, high=_MOST_WEEK, kinds=simulated)
                text = (
                    "Columns that count over time depend on how dense the traffic is: leave it as it was in the data "
                    "that the detectors learnt from. The traffic is invented: no evidence about a real network."
                )
                Text(text, "p").classes("wc-muted")
            with details("Mix of attacks"), ui.element("div").classes("wc-form"):
                for kind, share in USUAL_MIX.items():
                    number_field(
                        f"mix.{kind}", f"Weight of {kind}", share, low=0, high=1000, step="any", kinds=simulated
                    )
            with details("Costs"), ui.element("div").classes("wc-form"):
                for name, title in _COST_NAMES.items():
                    given = getattr(costs, name)
                    number_field(f"cost.{name}", title, given, low=0, high=10**9, step="any", kept=False)
            with details("Detectors that race"), ui.element("div").classes("wc-row"):
                for run in self._runs:
                    box = ui.checkbox(run_name(run), value=run.id in self._page.state.runs)
                    box.on_value_change(lambda event, key=run.id: self._pick(key, chosen=bool(event.value)))
                    self._boxes[run.id] = box

    def _week_rows(self, datasets: list[DatasetRecord]) -> int:
        """Return the density of the simulated table that the runs learnt from."""
        learnt = {run.dataset for run in self._runs if run.id in self._page.state.runs}
        demo = next((one for one in datasets if one.id in learnt and one.synthetic and one.name == DEMO_NAME), None)
        # The demo's table covers two weeks.
        return _WEEK_ROWS if demo is None else min(max(demo.rows // 2, _LEAST_WEEK), _MOST_WEEK)

    async def _pick(self, key: str, *, chosen: bool) -> None:
        picked = self._page.state.runs
        if (key in picked) == chosen:
            return
        wanted = tuple(run.id for run in self._runs if (chosen if run.id == key else run.id in picked))
        if not 1 <= len(wanted) <= _MOST:
            self._page.warn(f"From 1 to {_MOST} detectors can race; this would be {len(wanted)}.")
            self._boxes[key].set_value(not chosen)
            return
        self._page.show(self._page.state.with_(runs=wanted))
        self._lanes()
        await self._page.refresh_badge()

    async def _moved(self, state: ViewState) -> None:
        for key, box in self._boxes.items():
            box.set_value(key in state.runs)
        self._lanes()
        await self._page.refresh_badge()

    def _costs_changed(self, event: events.GenericEventArguments) -> None:
        given: dict[str, Any] = event.args if isinstance(event.args, dict) else {}
        try:
            costs = Costs(**{name: float(given[name]) for name in _COST_NAMES})
        except (KeyError, TypeError, ValueError, WhitecrowError):
            return  # a page sends what its fields allow
        self._page.show(self._page.state.with_(costs=costs), step=False)
        self._tell("keep")

    # ---- who races ------------------------------------------------------------------------------------------------

    def _lanes(self) -> None:
        """Make what shows the race of the selected runs anew; a race that goes on ends."""
        runs = [run for run in self._runs if run.id in self._page.state.runs]
        self._body.clear()
        with self._body:
            standings_card(runs)
            with card("Confusion matrices"), truth(), ui.element("div").classes("wc-grid"):
                for run in runs:
                    confusion(run)
            with card("Cost so far"), truth():
                chart = cost_chart(runs)
            with card("Recall by kind of anomaly", "share and number flagged so far"), truth():
                heads = ["Kind", "Seen", *map(run_name, runs)]
                region = small_table(heads, [], label="Recall by kind of anomaly", right=range(1, len(heads)))
                region.props["data-wcs"] = "families"
            with card("Latest records", "the newest first, with each detector's score"):
                heads = ["Record", "Known as", *map(run_name, runs)]
                small_table(heads, [], label="Latest records").props["data-wcs"] = "records"
        config = {
            "runs": [run.id for run in runs],
            "chart": chart.picture.id,
            "kinds": list(USUAL_MIX),
        }
        ui.run_javascript(f"whitecrow.stream.begin({json.dumps(config)})")


def _usual(runs: list[RunRecord]) -> tuple[str, ...]:
    """Return the first runs on the data set of the newest, or that run alone if it was brought in."""
    newest = runs[-1:]
    alike = [run for run in runs if newest and run.dataset is not None and run.dataset == newest[0].dataset]
    return tuple(run.id for run in (alike or newest)[:_FIRST])
