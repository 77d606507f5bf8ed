"""Runs of a workspace: what was asked, how far it is, what came of it."""

import json
import secrets
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from whitecrow.core.errors import ParameterError, UnknownNameError
from whitecrow.workspace.database import Changes, Database, WorkspaceError, now
from whitecrow.workspace.request import FitRequest

__all__ = ["ENDED", "Epoch", "RunRecord", "Runs", "State"]

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "interrupted")
_JSON = ("request", "summary", "report", "cost", "notes")


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Parameters
    ----------
    id : str
        Twelve hexadecimal digits.
    number : int
        Counts the runs of the workspace from 1; a number is never given twice.
    name : str
        For display.
    dataset : str or None
        Data set that was fitted to; None for a model that was brought in.
    detector : str
        What was fitted.
    request : FitRequest
        All that was asked.
    state : {"queued", "running", "done", "failed", "cancelled", "interrupted"}
        *interrupted*: its process ended without a word; it can be resumed, as a cancelled one can.
    error : str or None
        Why it failed.
    created, begun, ended : str or None
        When, in UTC.
    pid, pid_began : int or None
        Process that runs it.
    stage, epoch, epochs, fraction, loss
        Where training stands; ``fraction`` from 0 to 1 of all of it.
    version : str or None
        First twelve digits of the model file's SHA-256.
    threshold, threshold_source
        The model's own threshold, and what it means.
    summary : dict or None
        Of the fit: rows, columns, seconds, versions, and after how many epochs each replica was kept.
    report : dict or None
        Figures of merit on the test rows with known labels, where both classes are among them.
    cost : dict or None
        Seconds of fit and of scoring, rows scored, peak memory in MB.
    notes : list of str or None
        What makes the figures doubtful.
    """

    id: str
    number: int
    name: str
    dataset: str | None
    detector: str
    request: FitRequest
    state: State
    error: str | None
    created: str
    begun: str | None
    ended: str | None
    pid: int | None
    pid_began: int | None
    stage: str | None
    epoch: int | None
    epochs: int | None
    fraction: float | None
    loss: float | None
    version: str | None
    threshold: float | None
    threshold_source: str | None
    summary: dict[str, Any] | None
    report: dict[str, Any] | None
    cost: dict[str, Any] | None
    notes: list[str] | None

    def document(self) -> dict[str, Any]:
        """Return the record as JSON values, without what only this machine understands."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "request": self.request.document(), "pid": None, "pid_began": None}


@dataclass(frozen=True, slots=True)
class Epoch:
    """Training after one epoch.

    Parameters
    ----------
    place : int
        Counts the epochs of all stages from 0.
    stage : str
        Name of the stage.
    epoch : int
        Counts the epochs of the stage from 1.
    loss : float or None
        Mean training loss.
    seen : dict or None
        What was looked at, if that was asked for; see :class:`~whitecrow.workspace.watching.EpochWatcher`.
    """

    place: int
    stage: str
    epoch: int
    loss: float | None
    seen: dict[str, Any] | None


class Runs:
    """The runs of a workspace.

    Parameters
    ----------
    folder : Path
        Of the workspace.
    database : Database
        Its database.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder / "runs"
        self._folder.mkdir(exist_ok=True)
        self._database = database
        self._changes = Changes(database)
        # What was read after the changes were counted, so that any later one makes it void.
        self._versions: tuple[int, dict[str, str]] = (self._changes.count(), {})

    def folder(self, key: str) -> Path:
        """Return the folder of a run's files."""
        return self._folder / key

    def model_file(self, key: str, version: str) -> Path:
        """Return where a version of the model of a run is; another threshold makes another version."""
        return self.folder(key) / f"model-{version}.safetensors"

    def scores_file(self, key: str) -> Path:
        """Return where the scores of a run are, once it is done."""
        return self.folder(key) / "scores.parquet"

    # ---- reading --------------------------------------------------------------------------------------------------

    def all(self) -> list[RunRecord]:
        """Return the runs, the newest first."""
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute("SELECT * FROM runs ORDER BY number DESC")]

    def get(self, key: str) -> RunRecord:
        """Return a run.

        Raises
        ------
        UnknownNameError
            If there is none of this id.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM runs WHERE id = ?", (key,)).fetchone()
        if row is None:
            raise UnknownNameError(f"There is no run {key!r}. See the list of runs.")
        return _record(row)

    def done(self, key: str) -> RunRecord:
        """Return a run that has a model.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model, or not yet.
        """
        record = self.get(key)
        if record.state != "done":
            remedy = "Wait for it." if record.state in ("queued", "running") else "Resume it, or fit another."
            raise WorkspaceError(f"Run {record.number} ({record.name}) is {record.state} and has no model. {remedy}")
        return record

    def version(self, key: str) -> str:
        """Return the version of a run's model, in microseconds if nothing was written since it was last asked for.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model, or not yet.
        """
        count = self._changes.count()
        if count != self._versions[0]:
            self._versions = (count, {})
        known = self._versions[1]
        if key not in known:
            # Not all that is known of the run: its report is long.
            with self._database.reading() as connection:
                row = connection.execute("SELECT version FROM runs WHERE id = ? AND state = 'done'", (key,)).fetchone()
            version = self.done(key).version if row is None else row["version"]
            if version is None:
                raise WorkspaceError(f"The run {key} is done, but no model of it is recorded. Fit it again.")
            known[key] = version
        return known[key]

    def epochs(self, key: str, after: int = -1, *, watched: bool = False, limit: int = -1) -> list[Epoch]:
        """Return the epochs of a run behind a place, in order.

        Parameters
        ----------
        key : str
            Id of the run.
        after : int
            Place of the last epoch that is known already.
        watched : bool, default=False
            Only those that were looked at.
        limit : int
            Most that are returned; below 0 all.
        """
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT place, stage, epoch, loss, seen FROM epochs WHERE run = ? AND place > ? "
                "AND (seen IS NOT NULL OR NOT ?) ORDER BY place LIMIT ?",
                (key, after, watched, limit),
            ).fetchall()
        return [
            Epoch(r["place"], r["stage"], r["epoch"], r["loss"], None if r["seen"] is None else json.loads(r["seen"]))
            for r in found
        ]

    # ---- writing --------------------------------------------------------------------------------------------------

    def create(self, request: FitRequest, *, actor: str = "") -> RunRecord:
        """Record a checked request as a queued run."""
        key = secrets.token_hex(6)
        with self._database.writing() as connection:
            self._insert(connection, key, request, "queued")
            self._database.note(connection, "run created", key, actor, request.document())
        return self.get(key)

    def bring_in(self, draft: Path, request: FitRequest, *, actor: str = "", **outcome: Any) -> RunRecord:
        """Record a model that was fitted elsewhere as a run that is done and has no data set.

        Parameters
        ----------
        draft : Path
            Model file in this file system, which is moved.
        request : FitRequest
            Its name and detector, without a data set.
        actor : str
            Who brings it in, for the audit.
        **outcome
            ``version``, ``threshold``, ``threshold_source``, ``summary``.
        """
        key = secrets.token_hex(6)
        folder = self.folder(key)
        try:
            with self._database.writing() as connection:
                folder.mkdir()
                draft.replace(self.model_file(key, outcome["version"]))
                self._insert(connection, key, request, "done")
                self._set(connection, key, ended=now(), fraction=1.0, notes=[], **outcome)
                self._database.note(connection, "run created", key, actor, {"model": outcome["version"]})
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self.get(key)

    def rename(self, key: str, name: str, *, actor: str = "") -> RunRecord:
        """Give a run another name.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        ParameterError
            If the name is empty or longer than 200 characters.
        """
        self.get(key)
        text = " ".join(name.split())
        if not 1 <= len(text) <= 200:
            raise ParameterError(f"A run's name has 1 to 200 characters; this one has {len(text)}.")
        with self._database.writing() as connection:
            connection.execute("UPDATE runs SET name = ? WHERE id = ?", (text, key))
            self._database.note(connection, "run renamed", key, actor, {"name": text})
        return self.get(key)

    def remove(self, key: str, *, actor: str = "") -> None:
        """Delete a run with its model, scores and verdicts.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it is queued or running.
        """
        record = self.get(key)
        with self._database.writing() as connection:
            gone = connection.execute(
                f"DELETE FROM runs WHERE id = ? AND state IN ({', '.join('?' * len(ENDED))})", (key, *ENDED)
            ).rowcount
            if not gone:
                raise WorkspaceError(f"Run {record.number} is {record.state}. Cancel it first.")
            self._database.note(connection, "run removed", key, actor)
        shutil.rmtree(self.folder(key), ignore_errors=True)

    def claim(self, pid: int, began: int | None) -> str | None:
        """Take the oldest queued run for a process; None if there is none. No two processes get the same."""
        with self._database.writing() as connection:
            row = connection.execute(
                "UPDATE runs SET state = 'running', error = NULL, begun = ?, ended = NULL, pid = ?, pid_began = ? "
                "WHERE id = (SELECT id FROM runs WHERE state = 'queued' ORDER BY number LIMIT 1) RETURNING id",
                (now(), pid, began),
            ).fetchone()
        return None if row is None else str(row["id"])

    def move(self, key: str, source: tuple[State, ...], target: State, error: str | None = None) -> bool:
        """Change the state of a run if it is one of ``source``; return whether it was."""
        ended = now() if target in ENDED else None
        with self._database.writing() as connection:
            found = connection.execute(
                f"UPDATE runs SET state = ?, error = ?, ended = ? WHERE id = ? AND state IN "
                f"({', '.join('?' * len(source))})",
                (target, error, ended, key, *source),
            ).rowcount
            if found:
                self._database.note(connection, f"run {target}", key, detail={"error": error} if error else None)
        return bool(found)

    def follow(
        self, key: str, stage: str, epoch: int, epochs: int, fraction: float, loss: float | None, new: Sequence[Epoch]
    ) -> None:
        """Record where training stands, and its new epochs; those of before an interruption are replaced."""
        rows = [(key, e.place, e.stage, e.epoch, e.loss, e.seen and json.dumps(e.seen)) for e in new]
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE runs SET stage = ?, epoch = ?, epochs = ?, fraction = ?, loss = ? WHERE id = ?",
                (stage, epoch, epochs, fraction, loss, key),
            )
            connection.executemany("INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?)", rows)

    def finish(self, key: str, **outcome: Any) -> None:
        """Record the outcome of a running run, and that it is done.

        Parameters
        ----------
        key : str
            Id of the run.
        **outcome
            ``version``, ``threshold``, ``threshold_source``, ``summary``, ``report``, ``cost``, ``notes``.
        """
        with self._database.writing() as connection:
            state = connection.execute("SELECT state FROM runs WHERE id = ?", (key,)).fetchone()
            if state is None or state["state"] != "running":
                return
            self._set(connection, key, state="done", fraction=1, ended=now(), **outcome)
            self._database.note(connection, "run done", key, detail={"version": outcome.get("version")})

    def set_threshold(
        self,
        key: str,
        threshold: float,
        source: str,
        version: str,
        *,
        report: dict[str, Any] | None,
        notes: list[str] | None,
        actor: str = "",
    ) -> RunRecord:
        """Record another threshold of a run's model, whose file has been written again, and the figures there."""
        given = {"threshold": threshold, "threshold_source": source, "version": version}
        with self._database.writing() as connection:
            self._set(connection, key, **given, report=report, notes=notes)
            detail = {"threshold": threshold, "source": source, "version": version}
            self._database.note(connection, "threshold set", key, actor, detail)
        return self.get(key)

    def tidy(self) -> None:
        """Remove folders of runs that are not recorded, which processes that were killed left behind."""
        # Nobody is between making a folder and recording its run while we alone may write.
        with self._database.writing() as connection:
            known = {row["id"] for row in connection.execute("SELECT id FROM runs")}
            for folder in self._folder.iterdir():
                if folder.name not in known:
                    shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _insert(connection: sqlite3.Connection, key: str, request: FitRequest, state: State) -> None:
        number = connection.execute(
            "SELECT 1 + max((SELECT coalesce(max(number), 0) FROM runs), "
            "(SELECT count(*) FROM audit WHERE action = 'run created'))"
        ).fetchone()[0]
        row = key, number, request.name, request.dataset or None, request.detector, json.dumps(request.document())
        connection.execute(
            "INSERT INTO runs (id, number, name, dataset, detector, request, state, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, state, now()),
        )

    @staticmethod
    def _set(connection: sqlite3.Connection, key: str, **given: Any) -> None:
        values = {name: json.dumps(value) if name in _JSON else value for name, value in given.items()}
        names = ", ".join(f"{name} = ?" for name in values)
        connection.execute(f"UPDATE runs SET {names} WHERE id = ?", (*values.values(), key))


def _record(row: sqlite3.Row) -> RunRecord:
    values = dict(row)
    for name in _JSON:
        if values[name] is not None:
            values[name] = json.loads(values[name])
    return RunRecord(**{**values, "request": FitRequest.of(values["request"])})
