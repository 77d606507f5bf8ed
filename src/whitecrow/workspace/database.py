"""The SQLite file of a workspace: its tables, its version, and transactions that last once they are committed."""

import json
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whitecrow.core.errors import WhitecrowError

__all__ = ["Changes", "Database", "WorkspaceError", "now"]

_FILE = "workspace.sqlite"
_VERSION = 1
_WAIT = 30.0  # seconds for another process to finish writing
_SCHEMA = """
CREATE TABLE datasets (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, rows INTEGER NOT NULL, columns INTEGER NOT NULL,
    bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, source TEXT NOT NULL, synthetic INTEGER NOT NULL,
    settings TEXT NOT NULL, profile TEXT NOT NULL, labels TEXT, created TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE runs (
    id TEXT PRIMARY KEY, number INTEGER UNIQUE NOT NULL, name TEXT NOT NULL, dataset TEXT REFERENCES datasets,
    detector TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL, error TEXT, created TEXT NOT NULL, begun TEXT,
    ended TEXT, pid INTEGER, pid_began INTEGER, stage TEXT, epoch INTEGER, epochs INTEGER, fraction REAL, loss REAL,
    version TEXT, threshold REAL, threshold_source TEXT, summary TEXT, report TEXT, cost TEXT, notes TEXT
) WITHOUT ROWID;
CREATE TABLE epochs (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL, stage TEXT NOT NULL,
    epoch INTEGER NOT NULL, loss REAL, seen TEXT, PRIMARY KEY (run, place)
) WITHOUT ROWID;
CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, row INTEGER NOT NULL,
    verdict TEXT NOT NULL, note TEXT NOT NULL, reviewer TEXT NOT NULL, score REAL NOT NULL, threshold REAL NOT NULL,
    version TEXT NOT NULL, at TEXT NOT NULL, undone TEXT
);
CREATE INDEX verdicts_of_run ON verdicts (run, row);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT NOT NULL, detail TEXT NOT NULL
);
"""


class WorkspaceError(WhitecrowError, ValueError):
    """A workspace is absent, damaged or of another version, or does not allow what was asked of it."""


class Database:
    """Several processes may read and write: SQLite keeps a write-ahead log, and each transaction is whole or absent.

    Parameters
    ----------
    folder : Path
        Holds ``workspace.sqlite``; it must exist.

    Raises
    ------
    WorkspaceError
        If the file is no workspace, or of a later version.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / _FILE
        try:
            with self.reading() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise WorkspaceError(
                    f"{self.file} was written by a later whitecrow (workspace version {version}, this one reads "
                    f"{_VERSION}). Update whitecrow."
                )
            if version < _VERSION:
                self._create()
        except sqlite3.DatabaseError as error:
            raise WorkspaceError(
                f"{self.file} cannot be read as a workspace: {error}. Move it away, or name another folder."
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection whose rows are read by name."""
        with closing(self._connect()) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that alone may write; what the block writes lasts once it ends, or never was."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @staticmethod
    def note(
        connection: sqlite3.Connection, action: str, subject: str, actor: str = "", detail: dict[str, Any] | None = None
    ) -> None:
        """Add a line to the audit in the transaction of what it tells of."""
        row = now(), actor, action, subject, json.dumps(detail or {})
        connection.execute("INSERT INTO audit (at, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)", row)

    def _connect(self, *, one_thread: bool = True) -> sqlite3.Connection:
        connection = sqlite3.connect(self.file, timeout=_WAIT, isolation_level=None, check_same_thread=one_thread)
        connection.row_factory = sqlite3.Row
        # What was acknowledged lasts through a power cut too.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _create(self) -> None:
        with self.reading() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        with self.writing() as connection:
            # Another process may have been faster.
            if connection.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")


class Changes:
    """Tells whether anything was written to a database in the meantime, by whatever thread or process.

    Asking takes microseconds, because the connection stays open; any thread may ask.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._turn = threading.Lock()
        self._connection = database._connect(one_thread=False)
        weakref.finalize(self, self._connection.close)

    def count(self) -> int:
        """Return a number that is another one once anything was committed."""
        with self._turn:
            return self._connection.execute("PRAGMA data_version").fetchone()[0]


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
