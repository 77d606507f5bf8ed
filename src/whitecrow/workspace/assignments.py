"""Who is to look at an alert: beside its verdict, kept as it was given, undone like it."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from whitecrow.core.errors import ParameterError
from whitecrow.workspace.database import Database

__all__ = ["LONGEST_NAME", "Assignment", "Assignments", "tidy_name"]

LONGEST_NAME = 200
"""Characters of an assignee's name, or a reviewer's."""

# Beside the schema of the first version: an older whitecrow leaves the table alone.
_TABLE = """
CREATE TABLE IF NOT EXISTS assignments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, row INTEGER NOT NULL,
    assignee TEXT NOT NULL, reviewer TEXT NOT NULL, at TEXT NOT NULL, undone TEXT
)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS assignments_of_run ON assignments (run, row)"
_NAMES = 200  # that are offered


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who is to look at one row.

    Parameters
    ----------
    id : int
        Counts the assignments of a workspace.
    run : str
        Run whose alert it is.
    row : int
        Row of the data set, from 0.
    assignee : str
        Who is to look at it; empty where it was taken from everybody.
    reviewer : str
        Who said so.
    at : str
        When, in UTC.
    """

    id: int
    run: str
    row: int
    assignee: str
    reviewer: str
    at: str


class Assignments:
    """The assignments of a workspace. The last one of a row that is not undone holds.

    What writes takes the connection of a transaction, for an assignment may come with a verdict.

    Parameters
    ----------
    database : Database
        Of the workspace; a table is added to one that has none yet.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.writing() as connection:
            connection.execute(_TABLE)
            connection.execute(_INDEX)

    def give(
        self, connection: sqlite3.Connection, run: str, rows: Iterable[int], assignee: str, reviewer: str, at: str
    ) -> list[Assignment]:
        """Assign rows to somebody, or to nobody if the name is empty, and note it in the audit."""
        chosen = list(rows)
        made = [
            connection.execute(
                "INSERT INTO assignments (run, row, assignee, reviewer, at) VALUES (?, ?, ?, ?, ?) RETURNING *",
                (run, row, assignee, reviewer, at),
            ).fetchone()
            for row in chosen
        ]
        self._database.note(connection, "assigned", run, reviewer, {"rows": chosen, "assignee": assignee})
        return [_assignment(row) for row in made]

    def undo(self, connection: sqlite3.Connection, run: str, at: str, reviewer: str, now: str) -> list[Assignment]:
        """Take back what somebody assigned at a time, and note it in the audit."""
        found = connection.execute(
            "UPDATE assignments SET undone = ? WHERE run = ? AND at = ? AND reviewer = ? AND undone IS NULL "
            "RETURNING *",
            (now, run, at, reviewer),
        ).fetchall()
        if found:
            detail = {"rows": [row["row"] for row in found], "assignee": found[0]["assignee"]}
            self._database.note(connection, "assignment undone", run, reviewer, detail)
        return sorted((_assignment(row) for row in found), key=lambda one: one.id)

    def current(self, run: str) -> dict[int, Assignment]:
        """Return the assignment that holds of each row that has one; rows taken from everybody have none."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT * FROM assignments WHERE run = ? AND undone IS NULL ORDER BY id", (run,))
            last = {row["row"]: _assignment(row) for row in found}
        return {row: one for row, one in last.items() if one.assignee}

    def names(self) -> list[str]:
        """Return who has been assigned to or has judged anything in the workspace, the most recent first."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT name FROM (SELECT assignee AS name, at FROM assignments UNION ALL "
                "SELECT reviewer, at FROM assignments UNION ALL SELECT reviewer, at FROM verdicts) "
                "WHERE name != '' GROUP BY name ORDER BY max(at) DESC, name LIMIT ?",
                (_NAMES,),
            )
            return [row["name"] for row in found]


def tidy_name(name: str) -> str:
    """Return a name without blanks around it or several in a row.

    Raises
    ------
    ParameterError
        If it is too long.
    """
    tidy = " ".join(name.split())
    if len(tidy) > LONGEST_NAME:
        raise ParameterError(f"An assignee's name has at most {LONGEST_NAME} characters; this one has {len(tidy)}.")
    return tidy


def _assignment(row: sqlite3.Row) -> Assignment:
    return Assignment(**{name: row[name] for name in Assignment.__slots__})
