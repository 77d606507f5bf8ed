"""The controls that go through the epochs: a slider, steps, and a replay that can be stopped."""

import json
from collections.abc import Callable

from nicegui import events, ui

from whitecrow.dashboard.parts import Text, button
from whitecrow.dashboard.shell import Page

__all__ = ["Replay"]

_FRAME, _STILL_FRAME = 0.3, 1.0  # seconds, of the replay and of one for who wants little motion
_SET = """
(() => {{
  const slider = getHtmlElement({id});
  if (!slider) return;
  slider.max = {last};
  slider.value = {index};
  slider.setAttribute("aria-valuetext", {text});
}})()
"""


class Replay:
    """The controls, within the element that is being filled.

    Parameters
    ----------
    page : Page
    moved : function of int
        Called with the index of the epoch that is wanted.
    """

    def __init__(self, page: Page, moved: Callable[[int], None]) -> None:
        self._page, self._moved = page, moved
        self._index, self._last, self._text = 0, 0, ""
        with ui.element("div").classes("wc-row").style("flex-wrap: nowrap"):
            button("Previous", lambda: self.step(-1), label="Previous epoch").props("aria-keyshortcuts=,")
            self._button = button("Play", self.toggle).props("aria-keyshortcuts=p").style("min-width: 4.5rem")
            button("Next", lambda: self.step(1), label="Next epoch").props("aria-keyshortcuts=.")
        with ui.element("div").style("width: 100%"):
            # Its value is set by a script alone: every change of an attribute would set it again.
            self._slider = ui.element("input").props("type=range min=0 max=0 step=1")
            self._slider.props["aria-label"] = "Epoch"
            self._slider.style("width: 100%; min-height: 2rem; accent-color: var(--wc-accent); margin: 0")
            self._words = Text("", "p").style("font-weight: 600; font-variant-numeric: tabular-nums")
        self._slider.on("input", self._slid, js_handler="(event) => emit(Number(event.target.value))", throttle=0.05)
        self._timer = ui.timer(_FRAME, self._advance, active=False)

    def set(self, index: int, n: int, text: str) -> None:
        """Stand at an epoch out of n, in words ``text``."""
        self._index, self._last, self._text = index, n - 1, text
        self._words.set_text(text)
        ui.run_javascript(_SET.format(id=self._slider.id, last=n - 1, index=index, text=json.dumps(text)))

    @property
    def playing(self) -> bool:
        """Whether the replay goes on by itself."""
        return bool(self._timer.active)

    async def toggle(self) -> None:
        """Play from here, or from the first epoch if this is the last one; or stop."""
        if self.playing:
            self.stop()
            return
        still = await ui.run_javascript("window.matchMedia('(prefers-reduced-motion: reduce)').matches")
        self._timer.interval = _STILL_FRAME if still else _FRAME
        if self._index >= self._last:
            self._moved(0)
        self._button.set_text("Stop")
        self._timer.activate()

    def stop(self) -> None:
        """Stay where it is."""
        if self.playing:
            self._timer.deactivate()
            self._button.set_text("Play")
            self._page.announce(f"Stopped. {self._text}.")

    def step(self, by: int) -> None:
        """Go on by some epochs, or back."""
        self.stop()
        if 0 <= self._index + by <= self._last:
            self._moved(self._index + by)
            self._page.announce(self._text)

    def _advance(self) -> None:
        if self._index < self._last:
            self._moved(self._index + 1)
        if self._index >= self._last:
            self.stop()

    def _slid(self, event: events.GenericEventArguments) -> None:
        self.stop()
        if isinstance(event.args, int) and 0 <= event.args <= self._last:
            self._moved(event.args)
