"""What is known of a data set, and its row in the database."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from whitecrow.workspace.dataset_settings import DatasetSettings

__all__ = ["DatasetRecord", "insert", "profile_text", "record_of"]


@dataclass(frozen=True)
class DatasetRecord:
    """What is known of a data set.

    Parameters
    ----------
    id : str
        Twelve hexadecimal digits.
    name : str
        For display; it names no file.
    kind : {"table", "image", "sequence"}
        What a sample is: a row, an image; of a sequence either a step of one series, or a sequence of one length.
    rows, columns : int
        Number of samples, and of the columns of a table or the values of an array.
    bytes : int
        Size of its files.
    sha256 : str
        Hash of its file; of arrays that of their file followed by the table beside it.
    source : str
        Where it came from.
    synthetic : bool
        Whether it was simulated, and so is no evidence about anything real.
    settings : DatasetSettings
        How its columns are read.
    profile : tuple of dict
        Of each column its name, kind, share of missing values, number of distinct values, examples and warnings.
    labels : dict or None
        Counts of each label, where a label column is set.
    created : str
        When, in UTC.
    shape : tuple of int or None
        Of one sample where samples are arrays: ``(C, H, W)`` of an image, ``(T, C)`` of a sequence.
    """

    id: str
    name: str
    kind: str
    rows: int
    columns: int
    bytes: int
    sha256: str
    source: str
    synthetic: bool
    settings: DatasetSettings
    profile: tuple[dict[str, Any], ...]
    labels: dict[str, Any] | None
    created: str
    shape: tuple[int, ...] | None = None

    def document(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        shape = None if self.shape is None else list(self.shape)
        return {**asdict(self), "settings": self.settings.document(), "profile": list(self.profile), "shape": shape}


def insert(connection: sqlite3.Connection, record: DatasetRecord) -> None:
    """Write a record as a row of the table of data sets."""
    row = (
        record.id, record.name, record.kind, record.rows, record.columns, record.bytes, record.sha256, record.source,
        record.synthetic, json.dumps(record.settings.document()), profile_text(record),
        None if record.labels is None else json.dumps(record.labels), record.created,
    )  # fmt: skip
    connection.execute(f"INSERT INTO datasets VALUES ({', '.join('?' * len(row))})", row)


def record_of(row: sqlite3.Row) -> DatasetRecord:
    """Return the record that a row holds."""
    values = dict(row)
    labels, profile = values.pop("labels"), json.loads(values["profile"])
    # That of arrays comes with the shape of a sample.
    shape = profile["shape"] if isinstance(profile, dict) else None
    return DatasetRecord(
        **{
            **values,
            "synthetic": bool(values["synthetic"]),
            "settings": DatasetSettings.of(json.loads(values["settings"])),
            "profile": tuple(profile["columns"] if isinstance(profile, dict) else profile),
            "shape": None if shape is None else tuple(shape),
            "labels": None if labels is None else json.loads(labels),
        }
    )


def profile_text(record: DatasetRecord) -> str:
    """Return the profile as its row holds it, with the shape of a sample where samples are arrays."""
    if record.shape is None:
        return json.dumps(record.profile)
    return json.dumps({"shape": record.shape, "columns": record.profile})
