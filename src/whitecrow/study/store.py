"""The results of studies in one SQLite file: cells by content hash, each stored once, whole or not at all."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from whitecrow.core.errors import DataError, FileFormatError, UnknownNameError, WhitecrowError
from whitecrow.core.files import atomic_write
from whitecrow.study.plan import Cell, Study

__all__ = ["Store", "StoreError"]

_FILE = "results.sqlite"
_VERSION = 1
_WAIT = 60.0  # seconds for another process to finish writing
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY, dataset TEXT, detector TEXT, method TEXT, parameters TEXT, protocol TEXT, options TEXT,
    regime TEXT, contamination REAL, seed INTEGER, code TEXT, error TEXT, fit_s REAL, score_s REAL, memory_mb REAL,
    n_train INTEGER, n_test INTEGER, prevalence REAL, copies REAL, together INTEGER, notes TEXT, finished TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS figures (
    key TEXT, name TEXT, value REAL, PRIMARY KEY (key, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS families (
    key TEXT, family TEXT, n INTEGER, recall_at_known_ratio REAL, operational_recall REAL, PRIMARY KEY (key, family)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS studies (name TEXT PRIMARY KEY, document TEXT, planned TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plans (study TEXT, place INTEGER, key TEXT, PRIMARY KEY (study, place)) WITHOUT ROWID;
"""


class StoreError(WhitecrowError, ValueError):
    """A store is absent, damaged, or of another version."""


class Store:
    """Results of studies, in a folder.

    Several processes may read and write at once: SQLite keeps a write-ahead log. A cell's key is a hash of all that
    its result depends on, so that what has been computed once is never computed again, whichever study asks for it.

    Parameters
    ----------
    folder : path
        Holds ``results.sqlite``; made if it is absent.
    create : bool, default=True
        Whether an absent store is made.

    Raises
    ------
    StoreError
        If the file is no store, or of a later version, or is absent and ``create`` is false.
    """

    def __init__(self, folder: str | Path, *, create: bool = True) -> None:
        self.folder = Path(folder)
        self._file = self.folder / _FILE
        if self.folder.exists() and not self.folder.is_dir():
            raise StoreError(f"{self.folder} is a file; a store is a folder. Give another name.")
        if not create and not self._file.is_file():
            raise StoreError(f"{self.folder} holds no results ({_FILE}). Run a study with --store {self.folder} first.")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._connection() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version > _VERSION:
                    raise StoreError(
                        f"{self._file} was written by a later whitecrow (store version {version}, this one reads "
                        f"{_VERSION}). Update whitecrow."
                    )
                if version < _VERSION:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(_SCHEMA)
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self._file} cannot be read as a store: {error}. Move it away, or name another.") from (
                error
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection; what is written in the block is committed at its end, or not at all."""
        with closing(sqlite3.connect(self._file, timeout=_WAIT)) as connection, connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection

    # ---- writing --------------------------------------------------------------------------------------------------

    def plan(self, study: Study, keys: Sequence[str]) -> None:
        """Record what cells a study consists of, in its order; a plan of the same name is replaced."""
        with self._connection() as connection:
            connection.execute("DELETE FROM plans WHERE study = ?", (study.name,))
            connection.executemany(
                "INSERT INTO plans VALUES (?, ?, ?)", [(study.name, i, key) for i, key in enumerate(keys)]
            )
            row = study.name, json.dumps(study.document()), _now()
            connection.execute("INSERT OR REPLACE INTO studies VALUES (?, ?, ?)", row)

    def write(self, results: Iterable[tuple[str, Cell, str, Mapping[str, Any]]]) -> None:
        """Store the outcomes of cells, all or none: ``(key, cell, code, outcome)``, outcomes as JSON has them."""
        with self._connection() as connection:
            for key, cell, code, outcome in results:
                row = (
                    key, cell.data.title, cell.detector.title, cell.detector.name, json.dumps(cell.detector.parameters),
                    cell.protocol, json.dumps(cell.options), cell.regime, cell.contamination, cell.seed, code,
                    outcome["error"], outcome["fit_s"], outcome["score_s"], outcome["memory_mb"], outcome["n_train"],
                    outcome["n_test"], outcome["prevalence"], outcome["copies"], outcome["together"],
                    json.dumps(outcome["notes"]), _now(),
                )  # fmt: skip
                connection.execute(f"INSERT OR REPLACE INTO cells VALUES ({', '.join('?' * len(row))})", row)
                for table in ("figures", "families"):
                    connection.execute(f"DELETE FROM {table} WHERE key = ?", (key,))
                connection.executemany(
                    "INSERT INTO figures VALUES (?, ?, ?)", [(key, *item) for item in outcome["figures"].items()]
                )
                connection.executemany(
                    "INSERT INTO families VALUES (?, ?, ?, ?, ?)",
                    [(key, kind, *values) for kind, values in outcome["families"].items()],
                )

    # ---- reading --------------------------------------------------------------------------------------------------

    def finished(self) -> dict[str, bool]:
        """Return the keys of all stored cells, and whether each is done; the others failed."""
        with self._connection() as connection:
            return {key: not error for key, error in connection.execute("SELECT key, error FROM cells")}

    def studies(self) -> list[str]:
        """Return the names of the studies, the latest first."""
        with self._connection() as connection:
            return [name for (name,) in connection.execute("SELECT name FROM studies ORDER BY planned DESC, name")]

    def study(self, name: str | None = None) -> tuple[Study, list[str]]:
        """Return a study and the keys of its cells; the latest if no name is given.

        Raises
        ------
        UnknownNameError
            If there is no such study.
        """
        names = self.studies()
        if not names or (name is not None and name not in names):
            asked = f"no study {name!r}" if name is not None else "no study"
            raise UnknownNameError(f"{self.folder} holds {asked}. It has: {', '.join(names) or 'none'}.")
        chosen = names[0] if name is None else name
        with self._connection() as connection:
            (document,) = connection.execute("SELECT document FROM studies WHERE name = ?", (chosen,)).fetchone()
            rows = connection.execute("SELECT key FROM plans WHERE study = ? ORDER BY place", (chosen,))
            return Study.of(json.loads(document)), [key for (key,) in rows]

    def cells(self, study: str | None = None) -> pl.DataFrame:
        """Return a row for each stored cell (of a study), with a column for each figure."""
        where = "" if study is None else "WHERE key IN (SELECT key FROM plans WHERE study = :study)"
        with self._connection() as connection:
            cells = _frame(connection, f"SELECT * FROM cells {where}", {"study": study})
            figures = _frame(connection, f"SELECT * FROM figures {where}", {"study": study})
        if figures.height:
            cells = cells.join(figures.pivot("name", index="key", values="value"), on="key", how="left")
        return cells.sort("dataset", "detector", "regime", "contamination", "seed")

    def families(self, study: str | None = None) -> pl.DataFrame:
        """Return a row for each stored cell and kind of anomaly in its test."""
        where = "" if study is None else "WHERE f.key IN (SELECT key FROM plans WHERE study = :study)"
        columns = "c.dataset, c.detector, c.regime, c.contamination, c.seed, f.*"
        with self._connection() as connection:
            return _frame(
                connection, f"SELECT {columns} FROM families f JOIN cells c ON f.key = c.key {where}", {"study": study}
            )

    def export(self, path: str | Path, study: str | None = None) -> int:
        """Write the cells to a ``.csv`` or ``.parquet`` file and return how many there are.

        Raises
        ------
        FileFormatError
            If the suffix is another.
        DataError
            If there is no cell.
        """
        file = Path(path)
        if file.suffix not in (".csv", ".parquet"):
            raise FileFormatError(f"{file}: cells are exported to .csv or .parquet.")
        cells = self.cells(study)
        if not cells.height:
            raise DataError(f"{self.folder} holds no cell to export. Run the study first.")
        with atomic_write(file) as draft:
            cells.write_csv(draft) if file.suffix == ".csv" else cells.write_parquet(draft)
        return cells.height


def _frame(connection: sqlite3.Connection, query: str, given: Mapping[str, Any]) -> pl.DataFrame:
    cursor = connection.execute(query, given)
    names = [column[0] for column in cursor.description]
    return pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
