"""The list of the queue: some alerts around the one under review, and the filters above it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast, get_args

from nicegui import ui

from whitecrow.dashboard.formats import NOTHING, count, value
from whitecrow.dashboard.parts import Text, button, card
from whitecrow.dashboard.triage_alerts import AlertList
from whitecrow.dashboard.triage_detail import MARKS, mark
from whitecrow.dashboard.triage_queue import Alert, Assigned, QueueView
from whitecrow.metrics import Costs
from whitecrow.workspace.feedback import Verdict

__all__ = ["QueueCard"]

_LINES = 12
_ALL, _ANY = "all", ""
_HEADS = ("Alert", "Score", "Alike", "State", "By", "Assigned to")
_WHOSE = {_ALL: "Anybody or nobody", "mine": "Me", "nobody": "Nobody"}
_NAMED = "name "


class QueueCard:
    """The card. Its lines are made once and filled again and again, so that what has the focus keeps it.

    Parameters
    ----------
    viewed : function of QueueView
        Called with how the queue is to be looked at from now on.
    costed : function of Costs
        Called with what the outcomes cost from now on.
    chosen : function of int
        Called with the first row of an alert that is to be reviewed.
    """

    def __init__(
        self,
        viewed: Callable[[QueueView], Awaitable[None]],
        costed: Callable[[Costs], Awaitable[None]],
        chosen: Callable[[int], Awaitable[None]],
    ) -> None:
        self._viewed, self._costed, self._chosen = viewed, costed, chosen
        self._view, self._columns, self._filling = QueueView(), [""], False
        with card("Queue") as made:
            made.props('role=region aria-label="Queue"')
            self._words = Text("", "p").classes("wc-muted")
            self._fields()
            with ui.element("div").classes("wc-scroll").props('tabindex=0 role=region aria-label="Alerts"'):
                self._lines = _table(self._choose)
            with ui.element("div").classes("wc-row"):
                self._earlier = button("Earlier", lambda: self._turn(-1), small=True, label="Earlier alerts")
                self._later = button("Later", lambda: self._turn(1), small=True, label="Later alerts")
        self._shown: Sequence[Alert] = ()
        self._first = 0
        self._held: Mapping[int, Verdict] = {}
        self._assignees: Mapping[int, str] = {}
        self._at: int | None = None

    def _fields(self) -> None:
        states = {_ALL: "All states"} | {name: mark(name) for name in MARKS}
        with ui.element("div").classes("wc-form"):
            self._state = _select("State", states)
            self._whose = _select("Assigned to", _WHOSE)
            self._order = _select("Sort by", {"score": "Anomaly score", "saving": "Expected cost"})
            self._column = _select("Column", {"": "Any column"})
            self._text = ui.input("Text in the column").props("outlined dense debounce=300 maxlength=200")
            self._k = ui.number("k of precision at k", value=100, min=1, step=10).props("outlined dense debounce=300")
            self._grouped = ui.checkbox("Judge near-duplicates as one", value=True)
            self._radius = ui.number("Near means within", value=1.0, min=0.01, step=0.5)
            self._radius.props("outlined dense debounce=300").props["hint"] = "Usual spreads, over all features"
            self._miss = ui.number("Cost of a miss", min=0).props("outlined dense debounce=300")
            self._false = ui.number("Cost of a false alarm", min=0).props("outlined dense debounce=300")
        for field in (
            self._state,
            self._whose,
            self._order,
            self._column,
            self._text,
            self._k,
            self._grouped,
            self._radius,
        ):
            field.on_value_change(lambda: None if self._filling else self._changed())
        for field in (self._miss, self._false):
            field.on_value_change(lambda: None if self._filling else self._cost_changed())

    async def _changed(self) -> None:
        column = self._columns[int(self._column.value)] if self._column.value else ""
        whose = str(self._whose.value)
        await self._viewed(
            replace(
                self._view,
                state=None if self._state.value == _ALL else self._state.value,
                order=self._order.value,
                grouped=bool(self._grouped.value),
                radius=max(0.01, float(self._radius.value)) if self._radius.value else self._view.radius,
                k=max(1, int(self._k.value)) if self._k.value else self._view.k,
                column=column,
                text=str(self._text.value or "") if column else "",
                assigned=cast("Assigned", whose) if whose in get_args(Assigned) else None,
                assignee=whose.removeprefix(_NAMED) if whose.startswith(_NAMED) else "",
            )
        )

    async def _cost_changed(self) -> None:
        if self._miss.value is not None and self._false.value is not None:
            await self._costed(Costs(max(0.0, float(self._miss.value)), max(0.0, float(self._false.value))))

    async def _choose(self, line: int) -> None:
        if self._first + line < len(self._shown):
            await self._chosen(self._shown[self._first + line].leader)

    def _turn(self, by: int) -> None:
        self._first = max(0, min(self._first + by * _LINES, (len(self._shown) - 1) // _LINES * _LINES))
        self._fill()

    # ---- what is shown --------------------------------------------------------------------------------------------

    def offer(self, found: AlertList | None) -> None:
        """Offer the columns of a list of alerts, and only what can be done with it."""
        self._filling = True
        self._columns = ["", *(() if found is None else found.values.columns)]
        names = {str(k) if k else _ANY: name or "Any column" for k, name in enumerate(self._columns)}
        self._column.set_options(names, value=_ANY)
        can_cost = found is None or found.q_values is not None
        self._order.set_enabled(can_cost)
        self._order.props.pop("hint", None)
        if not can_cost:
            self._order.props["hint"] = "Needs p-values; this run held no rows out"
        can_group = found is None or found.points is not None
        self._grouped.set_enabled(can_group)
        self._grouped.props["title"] = "" if can_group or found is None else found.ungrouped
        self._filling = False

    def set(self, view: QueueView, costs: Costs, names: Sequence[str]) -> None:
        """Show how the queue is looked at, and offer the alerts of these people."""
        self._filling = True
        self._view = view
        # The name of a link is offered too, though nobody of that name may have an alert.
        people = [*names, *([view.assignee] if view.assignee and view.assignee not in names else [])]
        whose = view.assigned or (_NAMED + view.assignee if view.assignee else _ALL)
        self._whose.set_options(_WHOSE | {_NAMED + name: name for name in people}, value=whose)
        self._state.set_value(view.state or _ALL)
        self._order.set_value(view.order)
        place = self._columns.index(view.column) if view.column in self._columns else 0
        self._column.set_value(str(place) if place else _ANY)
        self._text.set_value(view.text)
        self._text.set_enabled(bool(place))
        self._k.set_value(view.k)
        self._grouped.set_value(view.grouped)
        self._radius.set_value(view.radius)
        self._radius.set_enabled(view.grouped and self._grouped.enabled)
        self._miss.set_value(costs.miss)
        self._false.set_value(costs.false_alarm)
        for field in (self._miss, self._false):
            field.set_visibility(view.order == "saving")
        self._filling = False

    def show(
        self,
        queue: Sequence[Alert],
        place: int | None,
        held: Mapping[int, Verdict],
        assignees: Mapping[int, str],
        total: int,
        listed: int,
    ) -> None:
        """Show the part of the queue that holds the alert under review.

        Parameters
        ----------
        queue : sequence of Alert
        place : int or None
            Of the alert under review; None if the queue is empty.
        held : mapping of int to Verdict
            The verdicts that hold, by row.
        assignees : mapping of int to str
            Who is to look at which row.
        total, listed : int
            Rows that are flagged, and how many of them are listed.
        """
        self._shown, self._held, self._assignees = queue, held, assignees
        self._at = None if place is None else queue[place].leader
        self._first = 0 if place is None else place // _LINES * _LINES
        rows = sum(len(alert.rows) for alert in queue)
        words = f"{count(len(queue), 'alert')} to judge, {count(rows, 'flagged row')} in them."
        if rows < listed:
            words += f" The filters leave {listed - rows:,} out."
        if listed < total:
            words += f" Only the {listed:,} highest scores of {total:,} are listed."
        self._words.set_text(words)
        self._fill()

    def _fill(self) -> None:
        verdicts = {row: one.verdict for row, one in self._held.items()}
        for k, (line, chosen, cells) in enumerate(self._lines):
            here = self._first + k
            line.set_visibility(here < len(self._shown))
            if here >= len(self._shown):
                continue
            alert = self._shown[here]
            now = alert.leader == self._at
            chosen.set_text(f"▸ Row {alert.leader}" if now else f"Row {alert.leader}")
            chosen.props(f"aria-current={'true' if now else 'false'}")
            line.style(f"background: {'var(--wc-raised)' if now else 'transparent'}")
            state = mark(alert.state(verdicts))
            if alert.reviewed(verdicts) > 0 and state == mark("new"):
                state += f", {alert.reviewed(verdicts):,} of {len(alert.rows):,} judged"
            last = max((self._held[row] for row in alert.rows if row in self._held), key=lambda v: v.id, default=None)
            shown = (
                value(alert.score, 6),
                "alone" if len(alert.rows) == 1 else count(len(alert.rows), "row"),
                state,
                NOTHING if last is None else last.reviewer or NOTHING,
                ", ".join(alert.assignees(self._assignees)) or NOTHING,
            )
            for cell, text in zip(cells, shown, strict=True):
                cell.set_text(text)
        self._earlier.set_enabled(self._first > 0)
        self._later.set_enabled(self._first + _LINES < len(self._shown))


def _table(
    choose: Callable[[int], Awaitable[None]],
) -> list[tuple[ui.element, ui.button, tuple[Text, ...]]]:
    lines = []
    with ui.element("table").classes("wc-table"):
        with ui.element("thead"), ui.element("tr"):
            for head in _HEADS:
                Text(head, "th").props("scope=col")
        with ui.element("tbody"):
            for k in range(_LINES):
                with ui.element("tr") as line:
                    with ui.element("th").props("scope=row"):
                        chosen = button("", lambda k=k: choose(k), small=True)
                    score = Text("", "td").classes("wc-n")
                    cells = (score, *(Text("", "td").classes("wc-break" if k > 1 else "") for k in range(4)))
                line.set_visibility(False)
                lines.append((line, chosen, cells))
    return lines


def _select(label: str, options: dict[str, str]) -> ui.select:
    return ui.select(options, label=label, value=next(iter(options))).props("outlined dense options-dense")
