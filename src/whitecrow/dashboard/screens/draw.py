"""Draw a digit or a heartbeat, and see at once what a detector makes of it."""

import json
from typing import Any

import numpy as np
from nicegui import events, ui

from whitecrow.dashboard.assets import script
from whitecrow.dashboard.drawn import Judgement, Subject, drawable_runs, judge, subject_of
from whitecrow.dashboard.drawn_parts import DrawnView
from whitecrow.dashboard.parts import Text, button, card
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.sample_gallery import SamplesOf, sample_gallery
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import ViewState
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import DatasetRecord, RunRecord
from whitecrow.workspace.drawing_demo import fit_drawing_demo

__all__ = ["SCREEN"]

_LOOK_EVERY = 0.5  # seconds, while detectors are being fitted
_REST = 0.5  # seconds without a stroke, after which tables and neighbours follow
_MARGIN = 0.15  # of the range of the data, above and below a curve
_SIDE = 336  # pixels of an image's board
_CURVE = (700, 280)
_HINTS = {
    "image": "Drag to draw, large and in the middle. By keyboard: the arrow keys move a cursor over the cells, "
    "space inks or clears the cell.",
    "sequence": "Drag to draw from left to right; gaps are filled on straight lines and drawn dashed. By keyboard: "
    "left and right move along the points, up and down raise and lower, delete takes a point back, shift goes further.",
}


async def build(page: Page) -> None:
    """Make the screen."""
    ui.add_head_html(script("draw.js"))
    await _Draw(page).show()


SCREEN = Screen("Draw", "/draw", "h", "Draw a digit or a heartbeat and see it scored.", build, takes=("runs",))


class _Draw:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._subject: Subject | None = None
        self._view: DrawnView | None = None
        self._board: ui.element | None = None
        self._wanted: tuple[Any, int] | None = None
        self._busy = False
        self._turn = 0
        self._said: bool | None = None
        self._waiting = False
        with page.title("Draw", "Draw a digit or a heartbeat, and see at once how it is judged, and why."):
            pass
        self._body = ui.element("div").classes("wc-main").style("padding: 0")
        page.on_address(self._moved)
        ui.on("wc-drawn", self._drawn)
        ui.timer(_LOOK_EVERY, self._look)

    async def _moved(self, _: ViewState) -> None:
        await self.show()
        await self._page.refresh_badge()

    async def show(self) -> None:
        """Make all of it anew."""
        workspace = self._page.workspace
        found = await in_thread(drawable_runs, workspace)
        picked = next((one for one in found if one[0].id in self._page.state.runs[:1]), found[0] if found else None)
        self._subject = None if picked is None else await in_thread(subject_of, workspace, *picked)
        self._view = self._board = None
        self._turn += 1
        self._said = None
        self._body.clear()
        with self._body:
            if self._subject is None:
                self._offer(first=True)
                return
            run = self._subject.run
            if self._page.state.runs[:1] != (run.id,):
                self._page.show(self._page.state.with_(runs=(run.id,), threshold=None, record=None), step=False)
            self._pickers(found)
            with ui.element("div").classes("wc-grid"):
                self._board_card(self._subject)
                with ui.element("div").style("display: flex; flex-direction: column; gap: 1rem; min-width: 0"):
                    self._view = DrawnView(self._subject)
            await sample_gallery(self._page, self._subject.dataset, chosen=self._load)

    # ---- detectors ------------------------------------------------------------------------------------------------

    def _offer(self, *, first: bool) -> None:
        with card("Nothing can judge a drawing yet" if first else "") as made:
            made.classes("wc-empty")
            Text(
                "A drawing is judged by a detector of small grey images, or of short sequences. One click fits two: "
                "one on scikit-learn's handwritten digits, with nine as the anomaly, one on simulated heartbeats, "
                "which are no evidence about hearts. Nothing is downloaded.",
                "p",
            )
            self._fit = button("Fit the drawing detectors", self._fit_demo, kind="primary")
            self._under_way = Text("", "p").props("role=status")

    async def _fit_demo(self) -> None:
        self._fit.disable()
        with self._page.errors_shown():
            self._waiting = True
            await in_thread(fit_drawing_demo, self._page.workspace)
            self._under_way.set_text("The detectors are being fitted.")

    async def _look(self) -> None:
        """Go on once the detectors are fitted."""
        if not self._waiting:
            return
        demo = await in_thread(fit_drawing_demo, self._page.workspace)
        if demo.digits.state == "done" and demo.beats.state == "done":
            self._waiting = False
            self._page.announce("The detectors are fitted.")
            self._page.show(ViewState(runs=(demo.digits.id,)), step=False)
            await self.show()
            await self._page.refresh_badge()

    def _pickers(self, found: list[tuple[RunRecord, DatasetRecord]]) -> None:
        assert self._subject is not None
        names = {run.id: f"{run_name(run)} on {dataset.name}" for run, dataset in found}
        with ui.element("div").classes("wc-form"):
            field = ui.select(names, label="Detector", value=self._subject.run.id).props("outlined dense options-dense")
        field.on_value_change(lambda event: self._pick(str(event.value)))

    async def _pick(self, run: str) -> None:
        self._page.show(ViewState(runs=(run,)))
        await self.show()
        await self._page.refresh_badge()

    # ---- the board ------------------------------------------------------------------------------------------------

    def _board_card(self, subject: Subject) -> None:
        kind = subject.dataset.kind
        with card("Board"):
            Text(_HINTS[kind], "p").classes("wc-muted")
            board = ui.element("canvas").classes("wc-board").props("tabindex=0 role=application")
            board.props["aria-label"] = f"Board for {'an image' if kind == 'image' else 'a curve'}. {_HINTS[kind]}"
            board.props["data-kind"] = kind
            margin = _MARGIN * (subject.high - subject.low)
            if kind == "image":
                height, width = subject.shape[1:]
                scale = _SIDE // max(height, width)
                board.props["width"], board.props["height"] = width * scale, height * scale
                config: dict[str, Any] = {"kind": kind, "height": height, "width": width}
            else:
                board.props["width"], board.props["height"] = _CURVE
                config = {"kind": kind, "length": subject.shape[0]}
                config |= {"low": subject.low - margin, "high": subject.high + margin}
            Text("", "p").classes("wc-muted").props("data-wcd=cursor role=status")
            with ui.element("div").classes("wc-row"):
                button("Clear the board").on("click", js_handler=f"() => whitecrow.draw.clear({board.id})")
        self._board = board
        ui.run_javascript(f"whitecrow.draw.begin({board.id}, {json.dumps(config)})")

    async def _load(self, row: int, samples: SamplesOf) -> None:
        subject, board = self._subject, self._board
        if subject is None or board is None:
            return
        values = np.asarray(samples.array[row], dtype=np.float64).ravel()
        if subject.dataset.kind == "image":
            values = (values - subject.low) / (subject.high - subject.low)
        ui.run_javascript(f"whitecrow.draw.load({board.id}, {json.dumps(values.tolist())})")

    # ---- what is drawn --------------------------------------------------------------------------------------------

    async def _drawn(self, event: events.GenericEventArguments) -> None:
        told = event.args if isinstance(event.args, dict) else {}
        filled = told.get("filled")
        self._wanted = told.get("values"), filled if isinstance(filled, int) else 0
        if self._busy:
            return  # the last of what comes meanwhile is judged next
        self._busy = True
        try:
            while self._wanted is not None:
                (values, filled), self._wanted = self._wanted, None
                await self._judge(values, filled)
        finally:
            self._busy = False

    async def _judge(self, values: Any, filled: int) -> None:
        subject, view = self._subject, self._view
        if subject is None or view is None:
            return
        self._turn += 1
        if values is None or (subject.dataset.kind == "image" and not any(values)):
            view.blank()
            return
        with self._page.errors_shown():
            found = await in_thread(judge, self._page.workspace, subject, values)
            if view is not self._view:
                return  # another detector was chosen meanwhile
            view.show(found, filled)
            if found.flag != self._said:
                self._said = found.flag
                self._page.announce(f"The drawing is judged {'anomalous' if found.flag else 'normal'}.")
            ui.timer(_REST, lambda turn=self._turn: self._settle(view, found, turn), once=True)

    def _settle(self, view: DrawnView, found: Judgement, turn: int) -> None:
        if turn == self._turn and view is self._view:
            view.settle(found)
