"""The timeline of the Explore screen: scores over time, lanes, the window, and what marks its alerts."""

import json
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import numpy as np
from nicegui import ui

from whitecrow.core.errors import DataError
from whitecrow.dashboard.explore_state import ExploreState
from whitecrow.dashboard.parts import Text, button, card
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.dashboard.timeline_charts import ScoreChart, StripChart, words_of
from whitecrow.dashboard.timeline_data import Buckets, Timeline, lane_columns, timeline
from whitecrow.dashboard.timeline_figures import show_figures, show_influencers
from whitecrow.dashboard.timeline_lanes import LanesChart, band_key, rarity_key
from whitecrow.dashboard.timeline_models import MOST_MODELS, ModelLane, model_lanes, runs_alike
from whitecrow.metrics.event_figures import EventFigures, event_figures
from whitecrow.metrics.influencers import Influencer, influencers
from whitecrow.metrics.severity import Severity
from whitecrow.workspace import RunRecord, Workspace

__all__ = ["TimelinePanel"]

_NO_LANES, _BY_RUN = "", "run"
_RANGE = "width: 100%; min-height: 2rem; accent-color: var(--wc-accent)"


class _Drawn(NamedTuple):
    """All that is shown for one state of the address."""

    strip: Buckets
    detail: Buckets
    bands: Severity
    figures: EventFigures | None
    marks: tuple[Influencer, ...]
    span: str
    models: tuple[ModelLane, ...]


class TimelinePanel:
    """The panel; it lasts while run and part stay, and follows the window, the lanes and the threshold.

    Parameters
    ----------
    page : Page
    change : function
        Called with the state that is wanted; the window and the lanes differ.
    """

    def __init__(self, page: Page, change: Callable[[ExploreState], Awaitable[None]]) -> None:
        self._page, self._change = page, change
        self._asked = 0
        self._ready = False
        self._card: ui.element
        self._scale = "linear"
        self._run: RunRecord
        self._state: ExploreState
        self._line: Timeline
        self._runs: list[RunRecord] = []
        self._lanes: LanesChart | None = None

    async def build(self, run: RunRecord, state: ExploreState, scale: str) -> None:
        """Make the panel within the element that is being filled."""
        self._run, self._state, self._scale = run, state, scale
        self._ready, self._lanes = False, None
        workspace = self._page.workspace
        with card("Timeline") as self._card:
            self._card.props('role=region aria-label="Timeline"')
            holder = ui.element("div").classes("wc-main").style("padding: 0")
        self._asked += 1
        turn = self._asked
        line, columns, self._runs = await in_thread(_read, workspace, run, state.part)
        if turn != self._asked or holder.is_deleted:
            return  # another run or part has been chosen meanwhile
        self._line = line
        with holder:
            if self._line.note:
                Text(self._line.note, "p").classes("wc-muted")
            self._strip = StripChart(self._line.axis)
            self._brush()
            self._score = ScoreChart(self._line.axis)
            self._choice(columns)
            self._lanes_box = ui.element("div")
            self._key = ui.element("div")
            self._below = ui.element("div").classes("wc-main").style("padding: 0")
        self._ready = True
        await self.follow(self._state, self._scale)

    async def follow(self, state: ExploreState, scale: str) -> None:
        """Show another window, other lanes, or another threshold of the same rows."""
        self._state, self._scale = state, scale
        if not self._ready:
            return
        self._asked += 1
        turn = self._asked
        own = self._run.threshold if self._run.threshold is not None else 0.0
        threshold = own if state.threshold is None else state.threshold
        with_lane = [one for one in self._runs if one.id in state.runs] if state.by_run else []
        drawn = await in_thread(_draw, self._page.workspace, self._run, self._line, state, threshold, with_lane)
        if turn != self._asked or self._card.is_deleted:
            return  # something newer is on its way
        chosen = _chosen(drawn.strip, state.window)
        self._strip.show(drawn.strip, None if state.window is None else chosen, scale, drawn.span)
        self._score.show(drawn.detail, drawn.bands, threshold, scale, drawn.span)
        n_lanes = len(drawn.models) or 1 + len(drawn.detail.lanes)
        if self._lanes is None or self._lanes.n_lanes != n_lanes:
            self._lanes_box.clear()
            with self._lanes_box:
                self._lanes = LanesChart(self._line.axis, n_lanes)
        if drawn.models:
            self._lanes.show_models(drawn.detail.labels, drawn.models)
        else:
            # A column of the address may not be there.
            self._lanes.show(drawn.detail, drawn.bands, state.lanes if drawn.detail.lanes else None)
        self._key.clear()
        with self._key:
            if drawn.models:
                rarity_key(drawn.models)
            else:
                band_key(drawn.bands)
        self._below.clear()
        with self._below:
            show_figures(drawn.figures, self._line)
            show_influencers(drawn.marks, int(drawn.detail.overall.flagged.sum()))
        self._clear.set_enabled(state.window is not None)
        self._span.set_text(f"In view: {drawn.span}.")
        self._tell(drawn, chosen)

    def _tell(self, drawn: _Drawn, chosen: tuple[int, int]) -> None:
        assert self._lanes is not None
        detail = {"ends": drawn.detail.ends, "words": words_of(drawn.detail, drawn.bands)}
        told = {
            "strip": {
                "id": self._strip.picture,
                "ends": drawn.strip.ends,
                "words": words_of(drawn.strip, drawn.bands),
            },
            "score": {"id": self._score.picture, **detail},
            "lanes": {"id": self._lanes.picture, **detail},
        }
        ui.run_javascript(f"whitecrow.timeline.follow({json.dumps(told)}, {json.dumps(chosen)})")

    # ---- controls -------------------------------------------------------------------------------------------------

    def _brush(self) -> None:
        with ui.element("div").classes("wc-form"):
            for name, title in (("from", "Window from"), ("to", "Window to")):
                with ui.element("label").style("display: flex; flex-direction: column; gap: 0.25rem"):
                    Text(title).classes("wc-muted").style("font-size: 0.8125rem")
                    ui.element("input").props(f"type=range min=0 step=1 data-wc-time={name}").style(_RANGE)
        with ui.element("div").classes("wc-row"):
            self._clear = button("Look at all rows", self._show_all)
            self._span = Text("")
        Text(
            "Drag over a chart, or move the two sliders: figures, curves, alerts and all below keep to the window.", "p"
        ).classes("wc-muted")

    def _choice(self, columns: list[str]) -> None:
        # Keys of ours: a name of a column is text, and never a key of options.
        names = {_NO_LANES: "None, all rows in one lane", _BY_RUN: "Run on this data set"}
        names |= {str(k): f"Value of {name}" for k, name in enumerate(columns)}
        state = self._state
        now = str(columns.index(state.lanes)) if state.lanes in columns else _BY_RUN if state.by_run else _NO_LANES
        with ui.element("div").classes("wc-form"):
            field = ui.select(names, label="A lane for each", value=now).props("outlined dense options-dense")
            runs = {one.id: run_name(one) for one in self._runs}
            chosen = ui.select(
                runs, label="Runs that have a lane", multiple=True, value=[one for one in runs if one in state.runs]
            ).props("outlined dense options-dense use-chips")
            chosen.props["hint"] = f"{MOST_MODELS} at most; the run that is looked at is the first"
            chosen.set_visibility(state.by_run)

        async def choose(key: str) -> None:
            by_run = key == _BY_RUN
            chosen.set_visibility(by_run)
            lanes = columns[int(key)] if key and not by_run else None
            await self._change(self._state.with_(lanes=lanes, by_run=by_run))
            if by_run and len(chosen.value) < 2:
                chosen.set_value(list(runs)[:MOST_MODELS])  # one lane compares with nothing

        async def pick(wanted: list[str]) -> None:
            # What the others of the address are of is another data set.
            kept = [one for one in runs if one in wanted and one != self._run.id]
            await self._change(self._state.with_(runs=(self._run.id, *kept[: MOST_MODELS - 1])))

        field.on_value_change(lambda event: choose(str(event.value)))
        chosen.on_value_change(lambda event: pick(list(event.value or ())))

    async def _show_all(self) -> None:
        await self._change(self._state.with_(window=None))


def _read(workspace: Workspace, run: RunRecord, part: str | None) -> tuple[Timeline, list[str], list[RunRecord]]:
    return timeline(workspace, run.id, part), lane_columns(workspace.rows(run.id)), runs_alike(workspace, run)


def _draw(
    workspace: Workspace,
    run: RunRecord,
    line: Timeline,
    state: ExploreState,
    threshold: float,
    with_lane: list[RunRecord],
) -> _Drawn:
    table = workspace.rows(run.id)
    places = line.inside(state.window)
    entities = table[state.lanes] if state.lanes in table.columns else None
    try:
        figures = event_figures(line.label[places], line.score[places], threshold)
    except DataError:  # no known anomaly lies in the window
        figures = None
    alerts = np.zeros(table.height, dtype=bool)
    alerts[line.rows[places]] = line.score[places] > threshold
    others = np.zeros(table.height, dtype=bool)
    others[line.rows[line.score <= threshold]] = True
    settings = run.request.settings
    known = () if settings is None else (settings.label, settings.time)
    told = table.drop([name for name in known if name is not None])
    return _Drawn(
        strip=line.buckets(threshold),
        detail=line.buckets(threshold, state.window, entities),
        bands=line.severity(threshold),
        figures=figures,
        marks=influencers(told, alerts, others) if told.width else (),
        span=line.span(state.window),
        models=model_lanes(workspace, with_lane, line, state.window, {run.id: threshold}),
    )


def _chosen(strip: Buckets, window: tuple[int, int] | None) -> tuple[int, int]:
    """Return the first and the last bucket that hold rows of the window."""
    if window is None:
        return 0, len(strip.labels) - 1
    held = [k for k, ends in enumerate(strip.ends) if ends and ends[0] <= window[1] and ends[1] >= window[0]]
    return held[0], held[-1]
