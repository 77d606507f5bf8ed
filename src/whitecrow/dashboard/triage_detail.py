"""One alert under review: its score, its reasons, its values, its note, and the buttons that judge it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from nicegui import ui

from whitecrow.dashboard.formats import NOTHING, age, count, percent, value
from whitecrow.dashboard.parts import Text, button, card, facts, heading, small_table
from whitecrow.dashboard.triage_alerts import AlertList, Reasons, cell
from whitecrow.dashboard.triage_assignee import AssigneeField
from whitecrow.dashboard.triage_queue import Alert
from whitecrow.workspace.feedback import Verdict

__all__ = ["MARKS", "AlertCard", "mark"]

MARKS = {
    "new": ("○", "new"),
    "confirmed": ("▲", "confirmed"),
    "dismissed": ("✕", "dismissed"),
    "unsure": ("?", "unsure"),
}
"""Of each verdict its symbol and its word."""

_SHOWN = 8  # columns
_MOST_ROWS = 50  # of a group
_KEYS = {
    "Y": "confirm", "N": "dismiss", "U": "unsure", "Z": "undo", "J": "next", "K": "previous", "E": "note",
    "A": "assignee", "G": "group", "Enter": "explanation",
}  # fmt: skip
_DIFFERING = 4  # columns in which the rows of a group are told apart

Act = Callable[[], Awaitable[None]]


def mark(state: str) -> str:
    """Return a verdict as a symbol and a word.

    >>> mark("confirmed")
    '▲ confirmed'
    """
    return " ".join(MARKS[state])


class AlertCard:
    """The card; it is made once and filled again and again, so that what has the focus keeps it.

    Parameters
    ----------
    judge : function of str
        Called with *confirmed*, *dismissed* or *unsure*.
    undo, step, explain, note_left : functions
        Called when a verdict is to be undone, with 1 or -1 to go on or back, to open the record, and when the note is
        left.
    assign, take : functions
        Called with the name of who is to look at the alert, and when its reviewer takes it.

    Attributes
    ----------
    assignee : AssigneeField
    """

    def __init__(
        self,
        judge: Callable[[str], Awaitable[None]],
        undo: Act,
        step: Callable[[int], Awaitable[None]],
        explain: Act,
        note_left: Act,
        assign: Callable[[str], Awaitable[None]],
        take: Act,
    ) -> None:
        self._expanded = False
        self._group: tuple[AlertList, Alert, Mapping[int, Verdict]] | None = None
        with card() as made:
            made.classes("wc-triage-alert").props('role=region aria-label="Alert under review"')
            with ui.element("div").classes("wc-card-head"):
                self._title = heading(2, "").props("tabindex=-1")
                self._state = Text("").classes("wc-state")
            self._line = Text("", "p").classes("wc-muted")
            with ui.element("div").classes("wc-row"):
                self._buttons = {
                    "confirmed": button("Confirm", lambda: judge("confirmed")).props("aria-keyshortcuts=y"),
                    "dismissed": button("Dismiss", lambda: judge("dismissed")).props("aria-keyshortcuts=n"),
                    "unsure": button("Unsure", lambda: judge("unsure")).props("aria-keyshortcuts=u"),
                }
                button("Undo", undo).props("aria-keyshortcuts=z")
                self._moves = [
                    button("Previous", lambda: step(-1), label="Previous alert").props("aria-keyshortcuts=k"),
                    button("Next", lambda: step(1), label="Next alert").props("aria-keyshortcuts=j"),
                    button("Full explanation", explain).props("aria-keyshortcuts=Enter"),
                ]
            _keys()
            self.assignee = AssigneeField(assign, take)
            self._figures = ui.element("div").style("width: 100%")
            with ui.element("div"):
                heading(3, "Why it is an alert")
                self._why = Text("", "p").classes("wc-break")
                self._method = Text("", "p").classes("wc-muted")
            with ui.element("div"):
                heading(3, "Values")
                self._values = ui.element("div").style("padding-top: 0.375rem")
            with ui.element("div").style("width: 100%") as self._alike:
                self._toggle = button("Expand the group", self.toggle, small=True).props("aria-expanded=false")
                self._members = ui.element("div").style("width: 100%; padding-top: 0.5rem")
            self._note = ui.textarea("Note").props("outlined dense autogrow maxlength=10000").style("width: 100%")
            self._note.props("data-wc-note")
            self._note.props["hint"] = "It is kept with the verdict. Escape leaves the field."
            self._note.on("keydown.escape", js_handler="(event) => event.target.blur()")
            self._note.on("blur", note_left)
            self._given = Text("", "p").classes("wc-muted wc-break")

    # ---- the note -------------------------------------------------------------------------------------------------

    @property
    def note(self) -> str:
        """What is in the field of the note."""
        return str(self._note.value or "")

    @note.setter
    def note(self, text: str) -> None:
        self._note.set_value(text)

    def edit_note(self) -> None:
        """Put the focus into the note."""
        self._note.run_method("focus")

    # ---- what is shown --------------------------------------------------------------------------------------------

    def show_nothing(self, why: str) -> None:
        """Say why there is no alert to review."""
        self._title.set_text("No alert")
        self._state.set_text("")
        self._line.set_text(why)
        self._why.set_text(NOTHING)
        self._method.set_text("")
        self._given.set_text("")
        self._figures.clear()
        self._values.clear()
        self._alike.set_visibility(False)
        for one in (*self._buttons.values(), *self._moves):
            one.set_enabled(False)

    def show(
        self,
        found: AlertList,
        alert: Alert,
        place: int,
        length: int,
        held: Mapping[int, Verdict],
        reasons: Reasons | None,
    ) -> None:
        """Show an alert.

        Parameters
        ----------
        found : AlertList
            What it is from.
        alert : Alert
        place, length : int
            In the queue, from 0.
        held : mapping of int to Verdict
            The verdicts that hold, by row.
        reasons : Reasons or None
            None while they are being found.
        """
        row = alert.leader
        if self._group is not None and self._group[1].leader != row:
            self._expanded = False
        self._group = found, alert, held
        self._title.set_text(f"Row {row}")
        state = alert.state({row: one.verdict for row, one in held.items()})
        self._state.set_text(mark(state))
        for name, one in self._buttons.items():
            one.props(f"aria-pressed={str(name == state).lower()}")
        group = "" if len(alert.rows) == 1 else f", judged with {count(len(alert.rows) - 1, 'near-duplicate')}"
        self._line.set_text(f"Alert {place + 1:,} of {length:,}{group}")
        for one in (*self._buttons.values(), *self._moves):
            one.set_enabled(True)
        self._figures.clear()
        with self._figures:
            facts(_figures(found, alert))
        self._why.set_text("The reasons are being found." if reasons is None else reasons.text)
        self._method.set_text("" if reasons is None or not reasons.method else f"Found by {reasons.method}.")
        self._values.clear()
        with self._values:
            facts(_values(found, row, () if reasons is None else reasons.columns))
        self._given.set_text(_given(alert, held))
        self._show_group()

    async def toggle(self) -> None:
        """Expand the group, or fold it again."""
        self._expanded = not self._expanded
        self._show_group()

    @property
    def expanded(self) -> bool:
        """Whether the rows of the group are listed."""
        return self._expanded

    def _show_group(self) -> None:
        self._members.clear()
        alone = self._group is None or len(self._group[1].rows) == 1
        self._alike.set_visibility(not alone)
        if self._group is None or alone:
            return
        n = len(self._group[1].rows)
        self._toggle.set_text(f"Fold the group of {n:,} rows" if self._expanded else f"Expand the group of {n:,} rows")
        self._toggle.props(f"aria-expanded={str(self._expanded).lower()}")
        if self._expanded:
            with self._members:
                _member_table(*self._group)


def _keys() -> None:
    with ui.element("p").classes("wc-row wc-muted"):
        for name, does in _KEYS.items():
            with ui.element("span"):
                Text(name, "kbd")
                Text(f" {does}")


def _figures(found: AlertList, alert: Alert) -> dict[str, str]:
    row, threshold = alert.leader, found.run.threshold or 0.0
    p_value = found.p_value(row)
    shown = {
        "Score": f"{value(alert.score, 6)}, {value(alert.score - threshold)} above the threshold {value(threshold, 6)}",
        "p-value": "none: no rows were held out" if p_value is None else value(p_value),
    }
    if found.q_values is not None:
        q = float(found.q_values[found.places[row]])
        shown["False alarms expected"] = f"{percent(q)} of the rows with this score or a higher one"
    if alert.saving is not None:
        shown["Expected saving"] = value(alert.saving)
    return shown


def _values(found: AlertList, row: int, typical: Sequence[tuple[str, str]]) -> dict[str, str]:
    usual = {name: words for name, words in typical if name in found.values.columns}
    names = [*usual, *(name for name in found.values.columns if name not in usual)][: max(_SHOWN, len(usual))]
    cells = found.values.row(found.places[row], named=True)
    shown = {name: cell(cells[name]) + (f" (usual: {usual[name]})" if name in usual else "") for name in names}
    left = found.values.width - len(names)
    return shown | ({f"… and {count(left, 'column')} more": "in the full explanation"} if left else {})


def _given(alert: Alert, held: Mapping[int, Verdict]) -> str:
    reviewed = [held[row] for row in alert.rows if row in held]
    if not reviewed:
        return ""
    last = max(reviewed, key=lambda verdict: verdict.id)
    who = last.reviewer or "somebody without a name"
    words = f"{last.verdict.capitalize()} by {who}, {age(last.at)}, at the threshold {value(last.threshold, 6)}"
    others = len(alert.rows) - len(reviewed)
    if others:
        words += f"; {count(others, 'row')} of the group without a verdict"
    elif len({one.verdict for one in reviewed}) > 1:
        words += "; the rows of the group have different verdicts"
    return words + "."


def _member_table(found: AlertList, alert: Alert, held: Mapping[int, Verdict]) -> None:
    rows = alert.rows[:_MOST_ROWS]
    cut = found.values[[found.places[row] for row in rows]]
    # What all rows have in common stands above.
    differing = [name for name in cut.columns if len(set(map(cell, cut[name].to_list()))) > 1][:_DIFFERING]
    cells = {name: [cell(one) for one in cut[name].to_list()] for name in differing}
    lines = [
        [
            f"Row {row}",
            value(float(found.scores.score[row]), 6),
            mark(held[row].verdict if row in held else "new").replace(" ", "\u00a0"),
            *(cells[name][k] for name in differing),
        ]
        for k, row in enumerate(rows)
    ]
    more = "" if len(rows) == len(alert.rows) else f", the first {len(rows)} of {len(alert.rows):,}"
    small_table(["Row", "Score", "State", *differing], lines, caption=f"Rows of the group{more}", right=(1,))
