"""The queue of alerts: what is judged as one, in which order it comes, and where a reviewer goes next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray

from whitecrow.metrics import Costs

__all__ = ["Alert", "Assigned", "Order", "QueueView", "alerts_of", "next_new", "ordered", "place_of", "saving_of"]

Order = Literal["score", "saving"]
Assigned = Literal["mine", "nobody"]
_STATES = ("new", "confirmed", "dismissed", "unsure")
_VALUES = "values."
_FIRST_K = 100


@dataclass(frozen=True)
class Alert:
    """What is judged as one: an alert alone, or with its near-duplicates.

    Parameters
    ----------
    rows : tuple of int
        Rows of the data set, the highest score first; the first stands for all.
    score : float
        Of the first row.
    saving : float or None
        Expected saving of handling all of them, in the unit of the costs; None where it is not known.
    """

    rows: tuple[int, ...]
    score: float
    saving: float | None = None

    @property
    def leader(self) -> int:
        """The row that stands for all."""
        return self.rows[0]

    def state(self, verdicts: Mapping[int, str]) -> str:
        """Return the verdict that all rows have; *new* where they differ, for somebody has to look again."""
        given = {verdicts.get(row, "new") for row in self.rows}
        return given.pop() if len(given) == 1 else "new"

    def assignees(self, names: Mapping[int, str]) -> list[str]:
        """Return who is to look at any of the rows, each once."""
        return list(dict.fromkeys(names[row] for row in self.rows if row in names))

    def reviewed(self, verdicts: Mapping[int, str]) -> int:
        """Return how many of the rows have a verdict."""
        return sum(row in verdicts for row in self.rows)


@dataclass(frozen=True)
class QueueView:
    """How the queue is looked at; its form in the URL are the filters of a view.

    Parameters
    ----------
    state : {"new", "confirmed", "dismissed", "unsure"} or None
        Alerts that are shown; all by default.
    order : {"score", "saving"}
        What comes first.
    grouped : bool
        Whether near-duplicates are judged as one.
    radius : float
        How far they may be apart, in usual spreads over all features together; above 0.
    k : int
        Alerts that the live precision is of, the most anomalous ones; at least 1.
    column, text : str
        Text that the first row of an alert has in a column, whatever the case of its letters; an empty one is in all.
    assigned : {"mine", "nobody"} or None
        Alerts of whoever looks at the page, or of nobody; those of all by default.
    assignee : str
        Alerts of somebody else by name; empty for those that ``assigned`` says.
    at : int or None
        Row that is under review; by default the first of the queue.
    """

    state: str | None = None
    order: Order = "score"
    grouped: bool = True
    radius: float = 1.0
    k: int = _FIRST_K
    column: str = ""
    text: str = ""
    assigned: Assigned | None = None
    assignee: str = ""
    at: int | None = None

    @classmethod
    def of(cls, filters: Mapping[str, str]) -> Self:
        """Return the view of the filters of a URL; what is malformed is left out."""
        state, order = filters.get("state"), filters.get("order")
        assigned = filters.get("assigned")
        known = assigned in get_args(Assigned)
        column = next((name for name in filters if name.startswith(_VALUES) and name != _VALUES), "")
        return cls(
            state=state if state in _STATES else None,
            order=cast("Order", order) if order in get_args(Order) else "score",
            grouped=filters.get("groups") != "off",
            radius=_positive(filters.get("radius", "")) or 1.0,
            k=_whole(filters.get("k", "")) or _FIRST_K,
            column=column.removeprefix(_VALUES),
            text=filters.get(column, ""),
            assigned=cast("Assigned", assigned) if known else None,
            assignee="" if known else " ".join(filters.get("assignee", "").split()),
            at=_whole(filters.get("at", "")),
        )

    def concerns(self, assignees: Sequence[str], me: str) -> bool:
        """Return whether an alert with these assignees is looked for by whoever is called ``me``."""
        if self.assigned == "nobody":
            return not assignees
        if self.assigned == "mine":
            return bool(me) and me in assignees
        return not self.assignee or self.assignee in assignees

    def filters(self) -> dict[str, str]:
        """Return the filters of a URL; the view that is there at first has none."""
        found = {} if self.state is None else {"state": self.state}
        if self.order != "score":
            found["order"] = self.order
        if not self.grouped:
            found["groups"] = "off"
        if self.radius != 1.0:
            found["radius"] = repr(self.radius)
        if self.k != _FIRST_K:
            found["k"] = str(self.k)
        if self.column:
            found[_VALUES + self.column] = self.text
        if self.assigned is not None:
            found["assigned"] = self.assigned
        elif self.assignee:
            found["assignee"] = self.assignee
        if self.at is not None:
            found["at"] = str(self.at)
        return found


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < math.inf else None


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def saving_of(q_values: NDArray[np.float64], costs: Costs) -> NDArray[np.float64]:
    r"""Return the expected saving of flagging each row against letting it pass.

    .. math:: (1 - q)(C_{miss} + V_{catch} - C_{alert}) - q\,(C_{false} + C_{alert})

    Parameters
    ----------
    q_values : ndarray [n]
        Expected share of false alarms among all rows that are at least as anomalous, from 0 to 1.
    costs : Costs
        What the outcomes cost.
    """
    return (1 - q_values) * (costs.miss + costs.catch - costs.alert) - q_values * (costs.false_alarm + costs.alert)


def alerts_of(
    rows: NDArray[np.int64],
    scores: NDArray[np.float64],
    groups: NDArray[np.intp] | None = None,
    savings: NDArray[np.float64] | None = None,
) -> list[Alert]:
    """Return what is judged as one, in the order of the first rows.

    Parameters
    ----------
    rows, scores : ndarray [n]
        Alerts, the highest score first.
    groups : ndarray of int [n], optional
        Group of each; by default each is alone.
    savings : ndarray [n], optional
        Expected saving of each; those of a group add up.
    """
    members: dict[int, list[int]] = {}
    for place, group in enumerate(range(len(rows)) if groups is None else groups.tolist()):
        members.setdefault(group, []).append(place)
    return [
        Alert(
            tuple(rows[places].tolist()),
            float(scores[places[0]]),
            None if savings is None else float(savings[places].sum()),
        )
        for places in members.values()
    ]


def ordered(alerts: Sequence[Alert], order: Order) -> list[Alert]:
    """Return the alerts with the highest score or the largest saving first; equals keep their order."""
    if order == "score" or any(alert.saving is None for alert in alerts):
        return sorted(alerts, key=lambda alert: -alert.score)
    return sorted(alerts, key=lambda alert: -(alert.saving or 0.0))


def place_of(queue: Sequence[Alert], row: int | None, among: Sequence[Alert]) -> int | None:
    """Return the place of the alert that has a row; if it is not in the queue, that of the next one that is.

    Parameters
    ----------
    queue : sequence of Alert
        What is shown.
    row : int or None
        Row of the data set; None is the first alert.
    among : sequence of Alert
        All alerts in the same order, from which the queue was filtered.

    Returns
    -------
    int or None
        None if the queue is empty.
    """
    if not queue:
        return None
    places = {alert.leader: place for place, alert in enumerate(queue)}
    begin = 0 if row is None else next((k for k, alert in enumerate(among) if row in alert.rows), 0)
    return next((places[alert.leader] for alert in among[begin:] if alert.leader in places), len(queue) - 1)


def next_new(alerts: Sequence[Alert], row: int, verdicts: Mapping[int, str]) -> int | None:
    """Return the first row of the next alert without a verdict behind one, from the top again behind the last.

    Parameters
    ----------
    alerts : sequence of Alert
        In the order of the queue.
    row : int
        First row of the alert that was judged.
    verdicts : mapping of int to str
        Those that hold, by row.

    Returns
    -------
    int or None
        None if every alert has a verdict.
    """
    here = next((k for k, alert in enumerate(alerts) if alert.leader == row), -1)
    for alert in [*alerts[here + 1 :], *alerts[: here + 1]]:
        if alert.state(verdicts) == "new":
            return alert.leader
    return None
