"""Data sets of a workspace: a Parquet file each, beside one of arrays where samples are arrays, and what is known."""

import hashlib
import json
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ParameterError, UnknownNameError
from whitecrow.core.processes import started
from whitecrow.data import as_table, read_table
from whitecrow.data.labels import Labels, read_labels
from whitecrow.workspace.database import Database, WorkspaceError, now
from whitecrow.workspace.dataset_record import DatasetRecord, insert, profile_text, record_of
from whitecrow.workspace.dataset_settings import ColumnKind, DatasetSettings, described, read_by
from whitecrow.workspace.samples import (
    CONTENT,
    LABEL,
    SampleKind,
    checked_samples,
    for_detector,
    index_of,
    labels_understood,
    open_samples,
)

__all__ = ["Datasets"]

_DATA = "data.parquet"
_SAMPLES = "samples.npy"
_DRAFT = ".draft-"
_KEPT_TABLES = 3
_KEPT_BYTES = 1 << 30
_NAME_LENGTH = 200

# Of a table as it was read: its data set, its time column, and the types of its columns.
_Reading = tuple[str, str | None, tuple[tuple[str, ColumnKind], ...]]
_Key = TypeVar("_Key")


class Datasets:
    """The data sets of a workspace.

    Parameters
    ----------
    folder : Path
        Of the workspace.
    database : Database
        Its database.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder / "datasets"
        self._folder.mkdir(exist_ok=True)
        self._database = database
        self._kept: OrderedDict[str, pl.DataFrame] = OrderedDict()
        # As settings read them: sorting a million rows anew for every page would be waited for.
        self._read: OrderedDict[_Reading, pl.DataFrame] = OrderedDict()
        self._turn = threading.Lock()

    # ---- writing --------------------------------------------------------------------------------------------------

    def add(
        self,
        data: Any,
        name: str,
        *,
        settings: DatasetSettings | None = None,
        source: str = "",
        synthetic: bool = False,
        actor: str = "",
        kind: SampleKind = "table",
    ) -> DatasetRecord:
        """Take in a table. It is there whole, or not at all.

        Parameters
        ----------
        data : path-like, table or array-like
            File of a format that :func:`whitecrow.data.read_table` reads, or a table.
        name : str
            For display, up to 200 characters.
        settings : DatasetSettings, optional
            How its columns are read; may be changed later. By default as they are in the file.
        source : str
            Where it came from, in words.
        synthetic : bool, default=False
            Whether it was simulated.
        actor : str
            Who adds it, for the audit.
        kind : {"table", "sequence"}
            What it is: rows that stand for themselves, or the steps of one series. Arrays: :meth:`add_samples`.

        Raises
        ------
        DataError
            If the table has no rows or columns, or columns that are no columns of a table.
        FileFormatError
            If the file cannot be read.
        ParameterError
            If the settings name columns or labels that are not there, or the name is empty or too long.
        """
        if kind not in ("table", "sequence"):
            raise ParameterError(f"A table is added as {kind!r}; accepted are table and sequence. Images are arrays.")
        name = _display_name(name)
        table = read_table(data) if isinstance(data, (str, os.PathLike)) else as_table(data)
        if not isinstance(table, pl.DataFrame):
            table = pl.DataFrame(table, schema=[f"x{i}" for i in range(table.shape[1])])
        _check_table(table)
        how = DatasetSettings() if settings is None else settings
        return self._keep(kind, table, None, name, how, source, synthetic=synthetic, actor=actor)

    def add_samples(
        self,
        samples: Any,
        name: str,
        kind: SampleKind,
        *,
        labels: Any = None,
        settings: DatasetSettings | None = None,
        source: str = "",
        synthetic: bool = False,
        actor: str = "",
    ) -> DatasetRecord:
        """Take in images, or sequences of one length. They are there whole, or not at all.

        Parameters
        ----------
        samples : array-like
            Images ``[N, H, W]``, ``[N, H, W, C]`` or ``[N, C, H, W]``; sequences ``[N, T]`` or ``[N, T, C]``.
        name : str
            For display, up to 200 characters.
        kind : {"image", "sequence"}
            What they are.
        labels : array-like [N], optional
            They become the column ``label``.
        settings : DatasetSettings, optional
            By default the labels are read where they say by themselves what is normal.
        source, synthetic, actor
            As for :meth:`add`.

        Raises
        ------
        DataError
            If the shape is another, values are not finite, or there is not one label for each sample.
        ParameterError
            If the settings name columns or labels that are not there, or the name is empty or too long.
        """
        if kind not in ("image", "sequence"):
            raise ParameterError(f"Arrays are added as {kind!r}; accepted are image and sequence. Add a table by add.")
        name = _display_name(name)
        array = checked_samples(kind, samples)
        index = index_of(array, labels)
        if settings is None:
            settings = DatasetSettings(label=LABEL if labels_understood(index) else None)
        return self._keep(kind, index, array, name, settings, source, synthetic=synthetic, actor=actor)

    def _keep(
        self,
        kind: str,
        table: pl.DataFrame,
        array: NDArray[Any] | None,
        name: str,
        settings: DatasetSettings,
        source: str,
        *,
        synthetic: bool,
        actor: str,
    ) -> DatasetRecord:
        profile, labels = described(table if array is None else table.drop(CONTENT), settings)
        key = secrets.token_hex(6)
        draft = self._folder / f"{_DRAFT}{os.getpid()}-{started(os.getpid()) or 0}-{key}"
        draft.mkdir()
        try:
            table.write_parquet(draft / _DATA, row_group_size=1 << 16)
            files = [draft / _DATA]
            if array is not None:
                files.insert(0, draft / _SAMPLES)
                np.save(files[0], array, allow_pickle=False)
            for file in files:
                _flush(file)
            size, digest = sum(file.stat().st_size for file in files), _sha256(files)
            shape = None if array is None else array.shape[1:]
            columns = table.width if shape is None else prod(shape)
            record = DatasetRecord(
                key, name, kind, table.height, columns, size, digest, source, synthetic, settings, profile,
                labels, now(), shape,
            )  # fmt: skip
            with self._database.writing() as connection:
                draft.rename(self._folder / key)
                insert(connection, record)
                self._database.note(connection, "dataset added", key, actor, {"name": name, "rows": table.height})
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return record

    def change(
        self, key: str, *, settings: DatasetSettings | None = None, name: str | None = None, actor: str = ""
    ) -> DatasetRecord:
        """Rename a data set or read its columns otherwise; runs keep the settings that they were fitted with.

        Raises
        ------
        UnknownNameError
            If there is no such data set.
        ParameterError
            If the settings name columns or labels that are not there.
        """
        record = self.get(key)
        changed = record if name is None else replace(record, name=_display_name(name))
        if settings is not None:
            profile, labels = described(self._columns(record), settings)
            changed = replace(changed, settings=settings, profile=profile, labels=labels)
        with self._database.writing() as connection:
            row = (
                changed.name, json.dumps(changed.settings.document()), profile_text(changed),
                None if changed.labels is None else json.dumps(changed.labels), key,
            )  # fmt: skip
            connection.execute("UPDATE datasets SET name = ?, settings = ?, profile = ?, labels = ? WHERE id = ?", row)
            detail = {"name": changed.name, "settings": changed.settings.document()}
            self._database.note(connection, "dataset changed", key, actor, detail)
        return changed

    def remove(self, key: str, *, actor: str = "") -> None:
        """Delete a data set.

        Raises
        ------
        UnknownNameError
            If there is no such data set.
        DataError
            If runs were fitted on it.
        """
        self.get(key)
        with self._database.writing() as connection:
            used = connection.execute("SELECT count(*) FROM runs WHERE dataset = ?", (key,)).fetchone()[0]
            if used:
                runs = "1 run was" if used == 1 else f"{used} runs were"
                raise DataError(f"{runs} fitted on this data set, so it stays. Delete the runs first.")
            connection.execute("DELETE FROM datasets WHERE id = ?", (key,))
            self._database.note(connection, "dataset removed", key, actor)
        with self._turn:
            self._kept.pop(key, None)
            for reading in [one for one in self._read if one[0] == key]:
                del self._read[reading]
        shutil.rmtree(self._folder / key, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what processes that were killed left behind."""
        for draft in self._folder.glob(f"{_DRAFT}*"):
            pid, began, _ = draft.name.removeprefix(_DRAFT).split("-")
            if started(int(pid)) != int(began):
                shutil.rmtree(draft, ignore_errors=True)
        # Nobody is between renaming a folder and recording it while we alone may write.
        with self._database.writing() as connection:
            known = {row["id"] for row in connection.execute("SELECT id FROM datasets")}
            for folder in self._folder.iterdir():
                if folder.name not in known and not folder.name.startswith(_DRAFT):
                    shutil.rmtree(folder, ignore_errors=True)

    # ---- reading --------------------------------------------------------------------------------------------------

    def all(self) -> list[DatasetRecord]:
        """Return the data sets, the newest first."""
        with self._database.reading() as connection:
            return [record_of(row) for row in connection.execute("SELECT * FROM datasets ORDER BY created DESC, id")]

    def get(self, key: str) -> DatasetRecord:
        """Return a data set.

        Raises
        ------
        UnknownNameError
            If there is none of this id.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM datasets WHERE id = ?", (key,)).fetchone()
        if row is None:
            raise UnknownNameError(f"There is no data set {key!r}. See the list of data sets.")
        return record_of(row)

    def table(self, key: str, settings: DatasetSettings | None = None) -> pl.DataFrame:
        """Return the rows with all columns, as the settings read them, in the order of the time column if there is one.

        Parameters
        ----------
        key : str
            Id of the data set.
        settings : DatasetSettings, optional
            Other settings than those that are set now.

        Raises
        ------
        UnknownNameError
            If there is no such data set.
        """
        record = self.get(key)
        settings = record.settings if settings is None else settings
        reading = key, settings.time, tuple(sorted(settings.types.items()))
        with self._turn:
            if reading in self._read:
                self._read.move_to_end(reading)
                return self._read[reading]
        table = read_by(self._columns(record), settings)
        with self._turn:
            _keep_last(self._read, reading, table)
        return table

    def samples(self, key: str, rows: Any = None, settings: DatasetSettings | None = None) -> Any:
        """Return what detectors of the data set's kind take: rows of a table, images, or sequences.

        Parameters
        ----------
        key : str
            Id of the data set.
        rows : array of int, optional
            Samples from 0, in the order in which they are returned; all by default.
        settings : DatasetSettings, optional
            Other settings than those that are set now.

        Returns
        -------
        polars.DataFrame, Images, or ndarray of float [N, T, C]

        Raises
        ------
        UnknownNameError
            If there is no such data set.
        """
        record = self.get(key)
        if record.shape is not None:
            array = self.array(key)
            return for_detector(record.kind, np.asarray(array if rows is None else array[np.asarray(rows)]))
        settings = record.settings if settings is None else settings
        table = self.rows(key, settings)[0]
        # A series is in the order of its time already; numbers that say it are no channel.
        if record.kind == "sequence" and settings.time in table.columns and table[settings.time].dtype.is_numeric():
            table = table.drop(settings.time)
        return table if rows is None else table[np.asarray(rows)]

    def array(self, key: str) -> NDArray[Any]:
        """Return the samples of a data set of arrays, ``[N, C, H, W]`` or ``[N, T, C]``, read when they are needed.

        Raises
        ------
        UnknownNameError
            If there is no such data set.
        WorkspaceError
            If its samples are no arrays.
        """
        if self.get(key).shape is None:
            raise WorkspaceError(f"The data set {key} is a table: it holds no arrays.")
        return open_samples(self._folder / key / _SAMPLES)

    def rows(self, key: str, settings: DatasetSettings | None = None) -> tuple[pl.DataFrame, Labels | None]:
        """Return what a detector may see of the rows, and their labels where there is a label column.

        Of arrays, which :meth:`samples` returns, it is a column of numbers that tell copies.
        """
        settings = self.get(key).settings if settings is None else settings
        label = None if settings.label is None else self.table(key, settings)[settings.label]
        return self.seen(key, settings), None if label is None else read_labels(label, settings.normal)

    def seen(self, key: str, settings: DatasetSettings | None = None) -> pl.DataFrame:
        """Return the table of :meth:`rows` without the labels, which take a while to read."""
        record = self.get(key)
        if record.shape is not None:
            return self._table(key).select(CONTENT)
        settings = record.settings if settings is None else settings
        table = self.table(key, settings)
        hidden = {settings.label, *settings.ignore}
        return table.select(name for name in table.columns if name not in hidden)

    def file(self, key: str) -> Path:
        """Return the Parquet file of a data set."""
        return self._folder / key / _DATA

    def _columns(self, record: DatasetRecord) -> pl.DataFrame:
        """Return what is shown of the rows: the table, or what stands beside arrays."""
        table = self._table(record.id)
        return table if record.shape is None else table.drop(CONTENT)

    def _table(self, key: str) -> pl.DataFrame:
        with self._turn:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        table = pl.read_parquet(self.file(key), glob=False)
        with self._turn:
            _keep_last(self._kept, key, table)
        return table


def _keep_last(kept: OrderedDict[_Key, pl.DataFrame], key: _Key, table: pl.DataFrame) -> None:
    """Keep a table; of those before it the oldest go, as long as there are too many or they are too large."""
    kept[key] = table
    while len(kept) > 1 and (len(kept) > _KEPT_TABLES or sum(t.estimated_size() for t in kept.values()) > _KEPT_BYTES):
        kept.popitem(last=False)


def _display_name(name: str) -> str:
    text = " ".join(name.split())
    if not text or len(text) > _NAME_LENGTH:
        raise ParameterError(f"A data set's name has 1 to {_NAME_LENGTH} characters; this one has {len(text)}.")
    return text


def _check_table(table: pl.DataFrame) -> None:
    if not table.height or not table.width:
        raise DataError(f"The table has {table.height} rows and {table.width} columns; at least 1 of each is needed.")
    if nested := [name for name, dtype in table.schema.items() if dtype.is_nested() or dtype == pl.Object]:
        raise DataError(
            f"Column {nested[0]!r} holds lists or structures. Give one value for each cell: split it into columns."
        )


def _sha256(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
