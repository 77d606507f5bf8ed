"""What one reviewer looks at: the alerts of a run, their verdicts, the queue, and the alert under review."""

from collections.abc import Mapping

from whitecrow.dashboard.formats import value
from whitecrow.dashboard.triage_alerts import AlertList
from whitecrow.dashboard.triage_queue import Alert, QueueView, alerts_of, ordered, place_of, saving_of
from whitecrow.metrics import Costs
from whitecrow.workspace.assignments import Assignment
from whitecrow.workspace.feedback import Verdict

__all__ = ["Review"]


class Review:
    """The state of a review, without anything that is seen.

    Attributes
    ----------
    found : AlertList or None
        None while there is no run.
    held : mapping of int to Verdict
        The verdicts that hold, by row.
    assigned : mapping of int to Assignment
        Who is to look at which row.
    alerts : list of Alert
        All that are judged, the highest score first.
    among : list of Alert
        Those that the filters on a column and on assignees leave, in the order of the queue.
    queue : list of Alert
        Those of them in the state that is looked for.
    at : Alert or None
        The one under review; None if the queue is empty.
    """

    def __init__(self) -> None:
        self.found: AlertList | None = None
        self.held: Mapping[int, Verdict] = {}
        self.assigned: Mapping[int, Assignment] = {}
        self.alerts: list[Alert] = []
        self.among: list[Alert] = []
        self.queue: list[Alert] = []
        self.at: Alert | None = None

    @property
    def run(self) -> str | None:
        """Id of the run that is reviewed."""
        return None if self.found is None else self.found.run.id

    @property
    def verdicts(self) -> dict[int, str]:
        """The verdicts that hold, by row."""
        return {row: verdict.verdict for row, verdict in self.held.items()}

    @property
    def assignees(self) -> dict[int, str]:
        """Who is to look at which row, by name."""
        return {row: one.assignee for row, one in self.assigned.items()}

    @property
    def place(self) -> int | None:
        """Place of the alert under review in the queue, from 0."""
        if self.at is None:
            return None
        return next((k for k, one in enumerate(self.queue) if one.leader == self.at.leader), None)

    def begin(self, found: AlertList | None, held: Mapping[int, Verdict], assigned: Mapping[int, Assignment]) -> None:
        """Take up other alerts; they are in no order yet."""
        self.found, self.held, self.assigned, self.at = found, held, assigned, None
        self.alerts, self.among, self.queue = [], [], []

    def arrange(self, view: QueueView, costs: Costs, row: int | None, me: str = "") -> None:
        """Put the queue into order, and the alert of a row under review, or the one that comes next.

        ``me`` is the name of who looks at it, whose alerts are *mine*.
        """
        if (found := self.found) is None:
            self.begin(None, {}, {})
            return
        rows = found.rows[: found.listed]
        q_values = found.q_values if view.order == "saving" else None
        savings = None if q_values is None else saving_of(q_values, costs)
        groups = found.groups(view.radius) if view.grouped else None
        self.alerts = alerts_of(rows, found.scores.score[rows], groups, savings)
        matching, verdicts = found.matching(view.column, view.text), self.verdicts
        names = self.assignees
        self.among = [
            one
            for one in ordered(self.alerts, view.order)
            if one.leader in matching and view.concerns(one.assignees(names), me)
        ]
        self.queue = [one for one in self.among if view.state is None or one.state(verdicts) == view.state]
        self.go(place_of(self.queue, row, self.among))

    def go(self, place: int | None) -> None:
        """Put the alert at a place of the queue under review."""
        self.at = None if place is None else self.queue[place]

    def noted(self) -> str:
        """Return the note of the last verdict on the alert under review."""
        rows = () if self.at is None else self.at.rows
        held = [self.held[row] for row in rows if row in self.held]
        return max(held, key=lambda one: one.id).note if held else ""

    def words(self) -> str:
        """Return what is to be said of the alert under review."""
        place, alert = self.place, self.at
        if place is None or alert is None:
            return "No alert is left in the queue."
        group = "" if len(alert.rows) == 1 else f", {len(alert.rows):,} near-duplicates"
        state = alert.state(self.verdicts)
        if names := alert.assignees(self.assignees):
            state += f", assigned to {' and '.join(names)}"
        return f"Row {alert.leader}, score {value(alert.score)}{group}, {state}, {place + 1:,} of {len(self.queue):,}."
