"""Alert rules of a workspace: on which run, when, and what is done then."""

import secrets
import sqlite3
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from whitecrow.core.errors import ParameterError, UnknownNameError
from whitecrow.core.parameters import Count, Range, check
from whitecrow.workspace.database import Database, WorkspaceError, now

__all__ = ["AlertRule", "AlertRules", "Condition", "DeliveryState"]

Condition = Literal["score", "p_value", "count"]
Action = Literal["webhook", "csv"]
DeliveryState = Literal["delivered", "failed", "dropped"]

_NAME_LENGTH = 200
_MOST_RULES = 100
_LONGEST_WINDOW = 7 * 86_400
_PShare = Annotated[float, Range(0, 1)]
_Seconds = Annotated[float, Range(1, _LONGEST_WINDOW)]
# Beside the schema of the first version: an older whitecrow leaves the table alone.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS alert_rules (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    condition TEXT NOT NULL, value REAL NOT NULL, seconds REAL, action TEXT NOT NULL, url TEXT, secret TEXT NOT NULL,
    created TEXT NOT NULL, delivered INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, last_state TEXT,
    last_detail TEXT, last_at TEXT
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One rule.

    Parameters
    ----------
    id : str
        Twelve hexadecimal digits.
    name : str
        For display.
    run : str
        Id of the run whose scores it watches.
    condition : {"score", "p_value", "count"}
        Records with a score of at least ``value``, with a p-value of at most ``value``, or ``value`` flagged records
        within ``seconds``.
    value : float
    seconds : float or None
        Of the condition "count".
    action : {"webhook", "csv"}
        Send to ``url``, or append to a file in the workspace.
    url : str or None
        Of a webhook.
    created : str
        When, in UTC.
    delivered, failed : int
        Deliveries that succeeded, and that were given up or dropped.
    last_state : {"delivered", "failed", "dropped"} or None
        Of the last delivery.
    last_detail, last_at : str or None
        What came of it, and when.
    """

    id: str
    name: str
    run: str
    condition: Condition
    value: float
    seconds: float | None
    action: Action
    url: str | None
    created: str
    delivered: int
    failed: int
    last_state: DeliveryState | None
    last_detail: str | None
    last_at: str | None

    @property
    def words(self) -> str:
        """The condition in words."""
        if self.condition == "score":
            return f"score of at least {self.value:g}"
        if self.condition == "p_value":
            return f"p-value of at most {self.value:g}"
        return f"{self.value:g} alerts within {self.seconds:g} seconds"

    def document(self) -> dict[str, Any]:
        """Return the rule as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


class AlertRules:
    """The rules of a workspace.

    Parameters
    ----------
    database : Database
        Its database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.writing() as connection:
            connection.execute(_SCHEMA)

    def add(
        self,
        run: str,
        condition: Condition,
        value: float,
        *,
        name: str = "",
        seconds: float | None = None,
        url: str | None = None,
        actor: str = "",
    ) -> tuple[AlertRule, str]:
        """Add a rule, and return it with the secret that signs what it sends; the secret is not told again.

        Parameters
        ----------
        run : str
            Id of a run that is done.
        condition : {"score", "p_value", "count"}
            See :class:`AlertRule`.
        value : float
            Finite; a p-value from 0 to 1, a count of at least 1.
        name : str
            For display, up to 200 characters; by default the condition in words.
        seconds : float, optional
            From 1 to a week; of a count alone.
        url : str, optional
            Webhook, whose host has been checked; without one the rule appends to a file.
        actor : str
            Who adds it, for the audit.

        Raises
        ------
        ParameterError
            If a value is out of its range, or there are a hundred rules already.
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If the run has no model.
        """
        check("add", "condition", condition, Condition)
        check("add", "value", value, {"score": float, "p_value": _PShare, "count": Count}[condition])
        check("add", "seconds", seconds, _Seconds if condition == "count" else type(None))
        text = " ".join(name.split())
        if len(text) > _NAME_LENGTH:
            raise ParameterError(f"A rule's name has at most {_NAME_LENGTH} characters; this one has {len(text)}.")
        key, secret = secrets.token_hex(6), secrets.token_hex(32)
        action = "csv" if url is None else "webhook"
        draft = AlertRule(
            key, text, run, condition, float(value), seconds, action, url, now(), 0, 0, None, None, None
        )  # fmt: skip
        row = key, text or draft.words, run, condition, float(value), seconds, action, url, secret, draft.created
        with self._database.writing() as connection:
            found = connection.execute("SELECT state FROM runs WHERE id = ?", (run,)).fetchone()
            if found is None:
                raise UnknownNameError(f"There is no run {run!r}. See the list of runs.")
            if found["state"] != "done":
                raise WorkspaceError(f"Run {run} is {found['state']} and scores nothing yet. Wait for it.")
            if connection.execute("SELECT count(*) FROM alert_rules").fetchone()[0] >= _MOST_RULES:
                raise ParameterError(f"There are {_MOST_RULES} rules already. Delete one first.")
            connection.execute(
                "INSERT INTO alert_rules (id, name, run, condition, value, seconds, action, url, secret, created) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            detail = {"rule": key, "name": row[1], "condition": draft.words, "action": action, "url": url}
            self._database.note(connection, "alert rule added", run, actor, detail)
        return self.get(key), secret

    def remove(self, key: str, *, actor: str = "") -> None:
        """Delete a rule; what it has written stays.

        Raises
        ------
        UnknownNameError
            If there is no such rule.
        """
        rule = self.get(key)
        with self._database.writing() as connection:
            connection.execute("DELETE FROM alert_rules WHERE id = ?", (key,))
            self._database.note(connection, "alert rule removed", rule.run, actor, {"rule": key, "name": rule.name})

    def all(self) -> list[AlertRule]:
        """Return the rules, the newest first."""
        with self._database.reading() as connection:
            return [_rule(row) for row in connection.execute("SELECT * FROM alert_rules ORDER BY created DESC, id")]

    def get(self, key: str) -> AlertRule:
        """Return a rule.

        Raises
        ------
        UnknownNameError
            If there is none of this id.
        """
        return _rule(self._row(key))

    def secret(self, key: str) -> str:
        """Return the secret of a rule, for its deliveries.

        Raises
        ------
        UnknownNameError
            If there is no such rule.
        """
        return str(self._row(key)["secret"])

    def note(self, key: str, state: DeliveryState, detail: str) -> None:
        """Record what came of a delivery; nothing if the rule has gone meanwhile."""
        good = state == "delivered"
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE alert_rules SET last_state = ?, last_detail = ?, last_at = ?, delivered = delivered + ?, "
                "failed = failed + ? WHERE id = ?",
                (state, detail, now(), int(good), int(not good), key),
            )

    def _row(self, key: str) -> sqlite3.Row:
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM alert_rules WHERE id = ?", (key,)).fetchone()
        if row is None:
            raise UnknownNameError(f"There is no alert rule {key!r}. See the list of rules.")
        return row


def _rule(row: sqlite3.Row) -> AlertRule:
    return AlertRule(**{name: row[name] for name in AlertRule.__slots__})
