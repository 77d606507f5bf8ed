"""Verdicts on alerts: stored with the model and the threshold that they were given on, undone, never overwritten."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Natural, check
from whitecrow.workspace.database import Database, WorkspaceError, now

__all__ = ["Feedback", "Verdict", "VerdictName"]

VerdictName = Literal["new", "confirmed", "dismissed", "unsure"]
_FEWEST = 4  # of each verdict, to teach and to measure on
_NOTE_LENGTH = 10_000
_NAME_LENGTH = 200


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
    """The verdicts of a workspace. The last one on a row that is not undone holds.

    Parameters
    ----------
    database : Database
        Of the workspace.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(
        self,
        run: str,
        rows: Iterable[int],
        verdict: VerdictName,
        *,
        scores: NDArray[np.float64],
        note: str = "",
        reviewer: str = "",
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

        Raises
        ------
        ParameterError
            If the verdict is none of the four, a row is not there, or a text is too long.
        WorkspaceError
            If the run has no model.
        """
        check("give", "verdict", verdict, VerdictName)
        chosen = list(dict.fromkeys(rows))
        for row in chosen:
            check("give", "row", row, Natural)
        if not chosen or max(chosen) >= len(scores):
            raise ParameterError(f"A verdict is on rows from 0 to {len(scores) - 1}; given were {chosen[:5]}.")
        if len(note) > _NOTE_LENGTH or len(reviewer) > _NAME_LENGTH:
            raise ParameterError(f"A note has at most {_NOTE_LENGTH} characters, a reviewer's name {_NAME_LENGTH}.")
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
            marks = ", ".join("?" * len(ids))
            found = connection.execute(f"SELECT * FROM verdicts WHERE id IN ({marks}) ORDER BY id", ids).fetchall()
        return [_verdict(row) for row in found]

    def undo(self, run: str, *, reviewer: str | None = None) -> list[Verdict]:
        """Take back the last verdict on a run, on all rows that it was given on at once; return what was undone.

        Parameters
        ----------
        run : str
            Id of the run.
        reviewer : str, optional
            Only this reviewer's.
        """
        whose, names = ("", ()) if reviewer is None else (" AND reviewer = ?", (reviewer,))
        with self._database.writing() as connection:
            last = connection.execute(
                f"SELECT at, reviewer FROM verdicts WHERE run = ? AND undone IS NULL{whose} ORDER BY id DESC LIMIT 1",
                (run, *names),
            ).fetchone()
            if last is None:
                return []
            found = connection.execute(
                "UPDATE verdicts SET undone = ? WHERE run = ? AND at = ? AND reviewer = ? AND undone IS NULL "
                "RETURNING *",
                (now(), run, last["at"], last["reviewer"]),
            ).fetchall()
            self._database.note(
                connection, "verdict undone", run, last["reviewer"], {"rows": [r["row"] for r in found]}
            )
        return sorted((_verdict(row) for row in found), key=lambda v: v.id)

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
        """Return the verdicts that hold as a table, for export."""
        held = sorted(self.current(run).values(), key=lambda v: v.row)
        names = ("row", "verdict", "note", "reviewer", "score", "threshold", "version", "at")
        types = (pl.Int64, pl.String, pl.String, pl.String, pl.Float64, pl.Float64, pl.String, pl.String)
        data = {name: [getattr(verdict, name) for verdict in held] for name in names}
        return pl.DataFrame(data, schema=dict(zip(names, types, strict=True)))

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


def _verdict(row: sqlite3.Row) -> Verdict:
    return Verdict(**{name: row[name] for name in Verdict.__slots__})
