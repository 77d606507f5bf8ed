"""The folder that scored parts go to: what is there, what is missing, and what does not belong."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from whitecrow.core.errors import DataError
from whitecrow.io.batches import added_names
from whitecrow.io.parts import METADATA, Part, Written, reading, scan_parquet, write_part

__all__ = ["missing_parts", "verify_parts", "write_here"]

# What atomic_write calls a file that is not finished.
_DRAFTS = ".part-*.parquet.*.part"


def missing_parts(parts: Sequence[Part]) -> list[Part]:
    """Return the parts that are still to be written, and check that nothing else is in their folder.

    Drafts that a killed process left there are no obstacle.

    Raises
    ------
    DataError
        If the folder holds anything else: parts of another model, prefix or input, or files of somebody else.
    """
    folder = Path(parts[0].folder)
    if not folder.exists():
        return list(parts)
    known = {part.path.name for part in parts} | {path.name for path in folder.glob(_DRAFTS)}
    for entry in sorted(folder.iterdir()):
        if entry.name not in known:
            raise DataError(f"{folder} holds {entry.name!r}, {_foreign(entry, parts[0])}. Give a new or empty folder.")
    return [part for part in parts if not _is_whole(part)]


def write_here(parts: Sequence[Part]) -> Iterator[tuple[Part, Written]]:
    """Write parts in this process, one after the other.

    Yields
    ------
    Part, Written
        As the parts are finished.
    """
    Path(parts[0].folder).mkdir(exist_ok=True)
    for part in parts:
        yield part, write_part(part)


def verify_parts(parts: Sequence[Part]) -> Written:
    """Count the rows that lie in the folder, each part once, and remove what killed processes left there.

    Raises
    ------
    DataError
        If a part is missing or does not hold its rows.
    """
    flag = added_names(parts[0].prefix)[-1]
    flagged = 0
    for part in parts:
        if not _is_whole(part):
            raise DataError(f"{part.path} was written but is not there as it should be. Give the command again.")
        flagged += int(scan_parquet(part.path).select(pl.col(flag).sum()).collect().item())
    for draft in Path(parts[0].folder).glob(_DRAFTS):
        draft.unlink(missing_ok=True)
    return Written(sum(part.rows for part in parts), flagged)


def _is_whole(part: Part) -> bool:
    try:
        with reading(part.path):
            found = json.loads(pl.read_parquet_metadata(part.path)[METADATA])
        return found == part.identity and scan_parquet(part.path).select(pl.len()).collect().item() == part.rows
    except (OSError, KeyError, ValueError):
        return False


def _foreign(entry: Path, ours: Part) -> str:
    """Say what an entry is that does not belong into the folder."""
    try:
        with reading(entry):
            found = json.loads(pl.read_parquet_metadata(entry)[METADATA])
        differing = next(key for key, value in ours.identity.items() if found[key] != value)
    except (OSError, KeyError, ValueError, TypeError, StopIteration):
        return "which is no part of these scores"
    whose = {"whitecrow": "version of whitecrow", "model_checksum": "model", "prefix": "prefix"}
    return f"which has scores of another {whose.get(differing, 'input, or of the input as it was')}"
