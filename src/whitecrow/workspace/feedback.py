"""Verdicts on alerts: stored with the model and the threshold that they were given on, undone, never overwritten.

Beside them stands who is to look at an alert (:mod:`whitecrow.workspace.assignments`).
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Natural, check
from whitecrow.workspace.assignments import LONGEST_NAME, Assignment, Assignments, tidy_name
from whitecrow.workspace.database import Database, WorkspaceError, now

__all__ = ["Feedback", "Verdict", "VerdictName"]

VerdictName = Literal["new", "confirmed", "dismissed", "unsure"]
_FEWEST = 4  # of each verdict, to teach and to measure on
_NOTE_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody said of one row.

    Parameters
    ----------
    id : int
        Counts the verdicts of a workspace.
    run : str
        Run whose alert it was.
    row : int
        Row of the data set, from 0.
    verdict : {"new", "confirmed", "dismissed", "unsure"}
        *confirmed*: an anomaly. *dismissed*: normal. *new*: taken back to what was never reviewed.
    note : str
        In the reviewer's words.
    reviewer : str
        Who said it.
    score, threshold : float
        Of the row and of the model, then.
    version : str
        Of the model, then.
    at : str
        When, in UTC.
    """

    id: int
    run: str
    row: int
    verdict: VerdictName
    note: str
    reviewer: str
    score: float
    threshold: float
    version: str
    at: str


class Feedback:
    """The verdicts of a workspace, and who is to look at what. The last one on a row that is not undone holds.

    Parameters
    ----------
    database : Database
        Of the workspace.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._assignments = Assignments(database)

    def give(
        self,
        run: str,
        rows: Iterable[int],
        verdict: VerdictName,
        *,
        scores: NDArray[np.float64],
        note: str = "",
        reviewer: str = "",
        assignee: str | None = None,
    ) -> list[Verdict]:
        """Record a verdict on one row or on several alike, all or none.

        Parameters
        ----------
        run : str
            Id of a run that is done.
        rows : iterable of int
            Rows of the data set, from 0.
        verdict : {"new", "confirmed", "dismissed", "unsure"}
            See :class:`Verdict`.
        scores : ndarray [N]
            Scores of all rows of the run.
        note, reviewer : str
            In the reviewer's words, and who it is.
        assignee : str, optional
            Who is to look at the rows from now on, empty for nobody; by default that stays as it is.

        Raises
        ------
        ParameterError
            If the verdict is none of the four, a row is not there, or a text is too long.
        WorkspaceError
            If the run has no model.
        """
        check("give", "verdict", verdict, VerdictName)
        chosen = _rows(rows, len(scores))
        if len(note) > _NOTE_LENGTH or len(reviewer) > LONGEST_NAME:
            raise ParameterError(f"A note has at most {_NOTE_LENGTH} characters, a reviewer's name {LONGEST_NAME}.")
        name = None if assignee is None else tidy_name(assignee)
        with self._database.writing() as connection:
            model = connection.execute("SELECT version, threshold, state FROM runs WHERE id = ?", (run,)).fetchone()
            if model is None or model["state"] != "done":
                raise WorkspaceError(f"There is no model of a run {run!r} that a verdict could be on.")
            at = now()
            ids = [
                connection.execute(
                    "INSERT INTO verdicts (run, row, verdict, note, reviewer, score, threshold, version, at) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (run, row, verdict, note, reviewer, float(scores[row]), model["threshold"], model["version"], at),
                ).lastrowid
                for row in chosen
            ]
            self._database.note(connection, f"verdict {verdict}", run, reviewer, {"rows": chosen})
            if name is not None:
                self._assignments.give(connection, run, chosen, name, reviewer, at)
            marks = ", ".join("?" * len(ids))
            found = connection.execute(f"SELECT * FROM verdicts WHERE id IN ({marks}) ORDER BY id", ids).fetchall()
        return [_verdict(row) for row in found]

    def assign(
        self, run: str, rows: Iterable[int], assignee: str, *, n_rows: int, reviewer: str = ""
    ) -> list[Assignment]:
        """Say who is to look at rows, all or none; their verdicts stay as they are.

        Parameters
        ----------
        run : str
            Id of a run that is done.
        rows : iterable of int
            Rows of the data set, from 0.
        assignee : str
            At most 200 characters; empty for nobody.
        n_rows : int
            Rows of the data set.
        reviewer : str
            Who says so.

        Raises
        ------
        ParameterError
            If a row is not there, or a name is too long.
        WorkspaceError
            If the run has no model.
        """
        chosen, name = _rows(rows, n_rows), tidy_name(assignee)
        if len(reviewer) > LONGEST_NAME:
            raise ParameterError(f"A reviewer's name has at most {LONGEST_NAME} characters.")
        with self._database.writing() as connection:
            model = connection.execute("SELECT state FROM runs WHERE id = ?", (run,)).fetchone()
            if model is None or model["state"] != "done":
                raise WorkspaceError(f"There is no model of a run {run!r} whose alerts could be assigned.")
            return self._assignments.give(connection, run, chosen, name, reviewer, now())

    def assigned(self, run: str) -> dict[int, Assignment]:
        """Return who is to look at each row that somebody is to look at."""
        return self._assignments.current(run)

    def names(self) -> list[str]:
        """Return at most 200 names of who has been assigned to or has judged anything, the most recent first."""
        return self._assignments.names()

    def undo(self, run: str, *, reviewer: str | None = None) -> list[Verdict | Assignment]:
        """Take back the last verdict or assignment on a run, on all rows that it was given on at once.

        Parameters
        ----------
        run : str
            Id of the run.
        reviewer : str, optional
            Only this reviewer's.

        Returns
        -------
        list of Verdict or Assignment
            What was undone, both where they were given together; empty if there was nothing.
        """
        whose, names = ("", ()) if reviewer is None else (" AND reviewer = ?", (reviewer,))
        with self._database.writing() as connection:
            lasts = [
                connection.execute(
                    f"SELECT at, reviewer FROM {table} WHERE run = ? AND undone IS NULL{whose} "
                    "ORDER BY id DESC LIMIT 1",
                    (run, *names),
                ).fetchone()
                for table in ("verdicts", "assignments")
            ]
            if not (there := [one for one in lasts if one is not None]):
                return []
            last, at = max(there, key=lambda one: one["at"]), now()
            found = connection.execute(
                "UPDATE verdicts SET undone = ? WHERE run = ? AND at = ? AND reviewer = ? AND undone IS NULL "
                "RETURNING *",
                (at, run, last["at"], last["reviewer"]),
            ).fetchall()
            if found:
                self._database.note(
                    connection, "verdict undone", run, last["reviewer"], {"rows": [r["row"] for r in found]}
                )
            freed = self._assignments.undo(connection, run, last["at"], last["reviewer"], at)
        return [*sorted((_verdict(row) for row in found), key=lambda v: v.id), *freed]

    def all(self, run: str) -> list[Verdict]:
        """Return all verdicts on a run that are not undone, the earliest first."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT * FROM verdicts WHERE run = ? AND undone IS NULL ORDER BY id", (run,))
            return [_verdict(row) for row in found]

    def current(self, run: str) -> dict[int, Verdict]:
        """Return the verdict that holds of each row that has one; rows taken back to *new* have none."""
        last = {verdict.row: verdict for verdict in self.all(run)}
        return {row: verdict for row, verdict in last.items() if verdict.verdict != "new"}

    def table(self, run: str) -> pl.DataFrame:
        """Return the verdicts that hold as a table, for export, with who is to look at each row.

        A row that is assigned and has no verdict is *new*; it has no score, threshold or version.
        """
        held, assigned = self.current(run), self.assigned(run)
        names = ("row", "verdict", "note", "reviewer", "score", "threshold", "version", "at")
        types = (pl.Int64, pl.String, pl.String, pl.String, pl.Float64, pl.Float64, pl.String, pl.String, pl.String)
        lines = [
            (*(getattr(held[row], name) for name in names), None if row not in assigned else assigned[row].assignee)
            if row in held
            else (row, "new", "", assigned[row].reviewer, None, None, None, assigned[row].at, assigned[row].assignee)
            for row in sorted({*held, *assigned})
        ]
        return pl.DataFrame(lines, schema=dict(zip((*names, "assignee"), types, strict=True)), orient="row")

    def labels(self, run: str, n_rows: int, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the verdicts as labels, and which reviewed rows are held out to measure on.

        Parameters
        ----------
        run : str
            Id of the run.
        n_rows : int
            Rows of the data set.
        seed : int
            Of the random half that is held out.

        Returns
        -------
        labels : ndarray of int64, shape [N]
            1 confirmed, 0 dismissed, -1 everything else, unsure included.
        held_out : ndarray of int64
            Half of the confirmed and half of the dismissed rows.

        Raises
        ------
        DataError
            If fewer than 4 rows are confirmed or fewer than 4 dismissed.
        """
        labels = np.full(n_rows, -1, dtype=np.int64)
        for row, verdict in self.current(run).items():
            if verdict.verdict in ("confirmed", "dismissed"):
                labels[row] = verdict.verdict == "confirmed"
        rng = np.random.default_rng(seed)
        held_out = []
        for value, name in ((1, "confirmed"), (0, "dismissed")):
            rows = np.flatnonzero(labels == value)
            if len(rows) < _FEWEST:
                raise DataError(
                    f"{len(rows)} alerts are {name}; at least {_FEWEST} are needed, half of them to learn from and "
                    "half to measure on. Review more alerts first."
                )
            held_out.append(rng.permutation(rows)[: len(rows) // 2])
        return labels, np.sort(np.concatenate(held_out))


def _rows(rows: Iterable[int], n: int) -> list[int]:
    chosen = list(dict.fromkeys(rows))
    for row in chosen:
        check("give", "row", row, Natural)
    if not chosen or max(chosen) >= n:
        raise ParameterError(f"Feedback is on rows from 0 to {n - 1}; given were {chosen[:5]}.")
    return chosen


def _verdict(row: sqlite3.Row) -> Verdict:
    return Verdict(**{name: row[name] for name in Verdict.__slots__})
