"""Files that are uploaded in the browser: limits that are said beforehand, and names that are never part of a path."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from whitecrow.core.errors import DataError, FileFormatError, ParameterError
from whitecrow.core.parameters import Count
from whitecrow.core.parameters import check as check_value
from whitecrow.dashboard.formats import size
from whitecrow.data import read_table
from whitecrow.data.packed_arrays import read_packed_arrays, read_packed_images
from whitecrow.page.wording import clean
from whitecrow.workspace import DatasetRecord, Workspace
from whitecrow.workspace.samples import SampleKind

__all__ = ["FORMS", "UploadLimits", "display_name", "take_in"]

FORMS: dict[SampleKind, tuple[str, ...]] = {
    "table": (".csv", ".parquet"),
    "image": (".npz", ".zip"),
    "sequence": (".csv", ".parquet", ".npz"),
}
"""Endings of the files that are taken, by what they hold."""

_ARCHIVES = (".npz", ".zip")
_ZIP = b"PK\x03\x04"
_PARQUET = b"PAR1"
_PACKED = (b"\x1f\x8b", b"PK\x03\x04")
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What an uploaded table may be.

    Parameters
    ----------
    max_bytes : int, default=100 MiB
        Largest file.
    max_rows, max_columns : int, default=1_000_000, 2_000
        Largest table.
    max_unpacked : int, default=512 MiB
        Most bytes that an archive of arrays or pictures comes to.
    check : function of Path, optional
        Called in a thread with the file before it is read; raises an error of whitecrow if it is not to be, because of
        what it would come to once it is decompressed.

    Raises
    ------
    ParameterError
        If a limit is less than 1.
    """

    max_bytes: int = 100 << 20
    max_rows: int = 1_000_000
    max_columns: int = 2_000
    check: Callable[[Path], None] | None = None
    max_unpacked: int = 512 << 20

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_rows", "max_columns", "max_unpacked"):
            check_value("UploadLimits", name, getattr(self, name), Count)

    def __str__(self) -> str:
        return f"CSV or Parquet, up to {size(self.max_bytes)}, {self.max_rows:,} rows and {self.max_columns:,} columns"


def display_name(name: str) -> str:
    """Return a client's name of a file for display: its last part, printable and short.

    >>> display_name("../../logs/march.csv"), display_name("  ")
    ('march.csv', 'unnamed')
    """
    text = clean(PurePosixPath(name.replace("\\", "/")).name).replace("\ufffd", "").strip(" .\n")
    if len(text) > _LONGEST_NAME:
        ending = PurePosixPath(text).suffix[:20]
        text = text[: _LONGEST_NAME - 1 - len(ending)] + "…" + ending
    return text or "unnamed"


def take_in(
    workspace: Workspace,
    file: Path,
    name: str,
    limits: UploadLimits,
    *,
    kind: SampleKind = "table",
    actor: str = "",
) -> DatasetRecord:
    """Add an uploaded file to the data sets.

    Parameters
    ----------
    workspace : Workspace
        Where it goes.
    file : Path
        Where the upload lies, under a name of ours.
    name : str
        The client's name for it, for display and for its ending.
    limits : UploadLimits
        What it may be.
    kind : {"table", "image", "sequence"}
        What it holds.
    actor : str
        Who uploads, for the audit.

    Raises
    ------
    FileFormatError
        If it is of another kind, or damaged.
    DataError
        If it is too large, or has no rows or columns.
    """
    shown = display_name(name)
    ending = next((one for one in FORMS[kind] if shown.lower().endswith(one)), None)
    if ending is None:
        noun = {"table": "a table", "image": "images", "sequence": "series"}[kind]
        known = " nor ".join(FORMS[kind])
        raise FileFormatError(f"{shown} is neither named {known}. Save {noun} as one of these.")
    if (found := file.stat().st_size) > limits.max_bytes:
        raise DataError(f"{shown} has {size(found)}; at most {size(limits.max_bytes)} are taken. Upload a part.")
    with file.open("rb") as stream:
        head = stream.read(4)
    packed = ending in _ARCHIVES
    if (
        (not packed and head.startswith(_PACKED))
        or packed != (head == _ZIP)
        or ((head == _PARQUET) != (ending == ".parquet"))
    ):
        raise FileFormatError(f"{shown} is named {ending}, but its content is not. Unpack it, or save it again.")
    if packed:
        return _take_in_archive(workspace, file, shown, limits, kind, ending, actor)
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder, f"upload{ending}")
        ours.symlink_to(file.resolve())
        try:
            if limits.check is not None:
                limits.check(ours)
            table = read_table(ours)
        except FileFormatError as error:
            # Readers name the file that they read, which is none of the user's.
            raise FileFormatError(str(error).replace(str(ours), shown)) from error
    _check(table, shown, limits)
    try:
        return workspace.datasets.add(table, shown, source=f"uploaded: {shown}", actor=actor, kind=kind)
    except ParameterError as error:
        raise DataError(str(error)) from error


def _take_in_archive(
    workspace: Workspace, file: Path, shown: str, limits: UploadLimits, kind: SampleKind, ending: str, actor: str
) -> DatasetRecord:
    read = read_packed_arrays if ending == ".npz" else read_packed_images
    samples, labels = read(file, max_bytes=limits.max_unpacked)
    if len(samples) > limits.max_rows:
        raise DataError(f"{shown} has {len(samples):,} samples; at most {limits.max_rows:,} are taken. Upload a part.")
    return workspace.datasets.add_samples(samples, shown, kind, labels=labels, source=f"uploaded: {shown}", actor=actor)


def _check(table: pl.DataFrame, shown: str, limits: UploadLimits) -> None:
    if table.height > limits.max_rows or table.width > limits.max_columns:
        raise DataError(
            f"{shown} has {table.height:,} rows and {table.width:,} columns; at most {limits.max_rows:,} and "
            f"{limits.max_columns:,} are taken. Upload a part."
        )
