"""The field that says who is to look at an alert, with the names that the workspace remembers."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from whitecrow.dashboard.parts import Text, button
from whitecrow.workspace.assignments import LONGEST_NAME

__all__ = ["AssigneeField"]

_LIST = "wc-assignees"


class AssigneeField:
    """The field; it is made once and filled again and again, so that what has the focus keeps it.

    Parameters
    ----------
    assign : function of str
        Called with the name that was written, empty for nobody, once the field is left.
    take : function
        Called when whoever looks at the alert takes it.
    """

    def __init__(self, assign: Callable[[str], Awaitable[None]], take: Callable[[], Awaitable[None]]) -> None:
        self._assign = assign
        self._filled = ""
        self._row: int | None = None
        self._offered: tuple[str, ...] = ()
        with ui.element("div").classes("wc-row").style("align-items: flex-start"):
            self._field = ui.input("Assigned to").props(f"outlined dense maxlength={LONGEST_NAME}")
            self._field.props(f"data-wc-assignee list={_LIST} autocomplete=off aria-keyshortcuts=a")
            self._field.props["hint"] = "Empty is nobody. Enter or Escape leaves the field and keeps it."
            self._field.style("flex: 1 1 14rem; max-width: 24rem")
            for key in ("enter", "escape"):
                self._field.on(f"keydown.{key}", js_handler="(event) => event.target.blur()")
            self._field.on("blur", self._left)
            self._take = button("Assign to me", take)
            self._names = ui.element("datalist").props(f"id={_LIST}")

    def show(self, row: int | None, name: str, offered: Sequence[str]) -> None:
        """Show who is to look at the alert of a row, if there is one, and offer names.

        What was written about the same alert and not left yet stays.
        """
        if row != self._row or self._written == self._filled:
            self._field.set_value(name)
        self._row, self._filled = row, name
        for one in (self._field, self._take):
            one.set_enabled(row is not None)
        if tuple(offered) != self._offered:
            self._offered = tuple(offered)
            self._names.clear()
            with self._names:
                for one in offered:
                    Text("", "option").props["value"] = one

    def focus(self) -> None:
        """Put the focus into the field."""
        self._field.run_method("focus")

    @property
    def _written(self) -> str:
        return " ".join(str(self._field.value or "").split())

    async def _left(self) -> None:
        if self._written != self._filled:
            await self._assign(self._written)
