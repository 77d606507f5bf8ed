"""Parquet files scored in parts: each part is one task, which may run anywhere, twice, or again.

A part becomes one file of the output folder, written under another name and renamed. Its name and its metadata
say which rows of which file it holds and which model scored them, so a run that is given again does what is
missing, and parts of another model are never taken for its own.
"""

import hashlib
import json
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from whitecrow.core.errors import DataError, FileFormatError, WhitecrowError, WhitecrowWarning
from whitecrow.core.files import atomic_write
from whitecrow.core.parameters import Count, check
from whitecrow.io.batches import added_names, check_columns, file_state, load_once, score_batch

__all__ = ["METADATA", "PART_ROWS", "Part", "Written", "plan_parts", "reading", "scan_parquet", "write_part"]

PART_ROWS = 1 << 17
METADATA = "whitecrow"  # key of a part's identity among the metadata of its file
_NOTING = threading.Lock()


class Written(NamedTuple):
    """What became of a part: its rows, how many were flagged, and what the user should know."""

    rows: int
    flagged: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """Consecutive rows of a file, the model to score them, and where they go; it travels to whoever does it."""

    number: int
    source: str
    source_bytes: int
    source_modified: int
    first: int
    rows: int
    model: str
    model_checksum: str
    prefix: str
    folder: str
    whitecrow: str

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the content of the part depends on."""
        return {
            "whitecrow": self.whitecrow,
            "model_checksum": self.model_checksum,
            "prefix": self.prefix,
            "source": Path(self.source).name,
            "source_bytes": self.source_bytes,
            "source_modified": self.source_modified,
            "first": self.first,
            "rows": self.rows,
        }

    @cached_property
    def path(self) -> Path:
        """The file that the part becomes."""
        text = json.dumps(self.identity, sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        return Path(self.folder) / f"part-{self.number:06d}-{digest}.parquet"

    def __str__(self) -> str:
        if not self.rows:
            return f"{self.source} (no rows)"
        return f"{self.source}, rows {self.first + 1:,} to {self.first + self.rows:,}"


def plan_parts(
    source: str | os.PathLike[str],
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    prefix: str = "",
    part_rows: int = PART_ROWS,
) -> list[Part]:
    """Cut a Parquet file, or a folder of them, into parts; only metadata are read.

    Parameters
    ----------
    source : path-like
        Parquet file, or folder of Parquet files (``.parquet``, in the order of their names) that have the same
        columns. Entries whose names begin with a dot or an underscore are passed over, as other readers do.
    model : path-like
        Model file.
    folder : path-like
        Folder for the parts.
    prefix : str, default=""
        What the names of the new columns begin with.
    part_rows : int, default=131,072
        Rows of a part, which is scored in memory. A file ends the part, and a file without rows is one.

    Returns
    -------
    list of Part
        In the order of the rows. The names of their files sort so too.

    Raises
    ------
    FileNotFoundError
        If the source or the model does not exist.
    FileFormatError
        If a file is damaged, or not Parquet.
    DataError
        If a folder holds no Parquet files or folders of its own, if files differ in their columns, or if columns
        that the model needs are missing.
    ParameterError
        If ``part_rows`` is below 1, or a file has a column with the name of a new one.
    """
    check("plan_parts", "part_rows", part_rows, Count)
    files = _parquet_files(Path(source))
    common = {
        "model": str(Path(model).absolute()),
        "model_checksum": _checksum(model),
        "prefix": prefix,
        "folder": str(Path(folder).absolute()),
        "whitecrow": version("whitecrow"),
    }
    detector = load_once(model)
    parts: list[Part] = []
    schema: pl.Schema | None = None
    for file in files:
        scan = scan_parquet(file)
        found = scan.collect_schema()
        if schema is None:
            with _naming(file):
                check_columns(found, detector, prefix)
            schema = found
        elif found != schema:
            raise DataError(f"{file}: {_difference(found, schema, files[0])}")
        rows = int(scan.select(pl.len()).collect().item())
        _, size, modified = file_state(file)
        for first in range(0, max(rows, 1), part_rows):
            parts.append(
                Part(
                    number=len(parts),
                    source=str(file.absolute()),
                    source_bytes=size,
                    source_modified=modified,
                    first=first,
                    rows=min(part_rows, rows - first),
                    **common,
                )
            )
    return parts


def write_part(part: Part) -> Written:
    """Score the rows of a part and write its file, whole or not at all.

    Returns
    -------
    Written

    Raises
    ------
    FileNotFoundError
        If this machine does not have the source, the model or the folder under their names.
    WhitecrowError
        If the files are others than those of the plan, or the rows cannot be scored; the message names the rows.
    """
    with _naming(part):
        _check_files(part)
        scan = scan_parquet(Path(part.source))
        with reading(part.source):
            rows = scan.slice(part.first, part.rows).collect()
        if rows.height != part.rows:
            raise DataError(f"only {rows.height:,} rows are there. Give the command again once the file is at rest.")
        # Warnings belong to the process: they are caught from one part at a time.
        with _NOTING, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", WhitecrowWarning)
            table = score_batch(rows, part.model, part.prefix)
        with atomic_write(part.path) as draft:
            table.write_parquet(draft, metadata={METADATA: json.dumps(part.identity)})
    notes = dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, WhitecrowWarning))
    return Written(table.height, int(table[added_names(part.prefix)[-1]].sum()), tuple(notes))


def _parquet_files(source: Path) -> list[Path]:
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist. Check the name and the folder.")
    if not source.is_dir():
        return [source]
    entries = sorted(entry for entry in source.iterdir() if not entry.name.startswith((".", "_")))
    if folders := [entry for entry in entries if entry.is_dir()]:
        raise DataError(f"{source} holds the folder {folders[0].name!r}. Score each folder by itself.")
    files = [entry for entry in entries if entry.suffix.lower() == ".parquet"]
    if not files:
        raise DataError(f"{source} holds no Parquet files (.parquet). Check the name of the folder.")
    return files


def _check_files(part: Part) -> None:
    """Check that a worker sees what the command saw."""
    remedy = "Every worker must see the same files under the same names, on a shared file system."
    for path in (part.source, part.model, part.folder):
        if not Path(path).exists():
            raise FileNotFoundError(f"{part}: {path} does not exist on {socket.gethostname()}. {remedy}")
    if Path(part.source).stat().st_size != part.source_bytes:
        raise DataError(f"the file has another size on {socket.gethostname()}, or has changed. {remedy}")
    if _checksum(part.model) != part.model_checksum:
        raise DataError(f"{part.model} is another model on {socket.gethostname()}, or has changed. {remedy}")


def _checksum(path: str | os.PathLike[str]) -> str:
    return _checksum_once(str(path), file_state(path))


@lru_cache(maxsize=8)
def _checksum_once(path: str, state: tuple[int, int, int]) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _difference(found: pl.Schema, first: pl.Schema, file: Path) -> str:
    remedy = "Give files with the same columns."
    for name in dict.fromkeys([*first, *found]):
        if found.get(name) != first.get(name):
            here, there = (str(schema[name]) if name in schema else "absent" for schema in (found, first))
            return f"the column {name!r} is {here}, but {there} in {file.name}. {remedy}"
    return f"the columns are in another order than in {file.name}. {remedy}"


def scan_parquet(path: Path) -> pl.LazyFrame:
    """Return a scan of one file, whatever its name holds.

    Raises
    ------
    FileFormatError
        If it is damaged, or not Parquet.
    """
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    with reading(path):
        scan.collect_schema()
    return scan


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Say of an error that polars raises inside the block which file it is about."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise FileFormatError(f"{path} is no Parquet file, or damaged: {str(error).splitlines()[0]}") from error


@contextmanager
def _naming(where: Part | Path) -> Iterator[None]:
    """Put in front of an error which file and rows it is about, unless it begins with the file."""
    file = where.source if isinstance(where, Part) else str(where)
    try:
        yield
    except WhitecrowError as error:
        text = str(error)
        raise type(error)(text if text.startswith(file) else f"{where}: {text}") from error
