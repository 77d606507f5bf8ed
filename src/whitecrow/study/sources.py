"""The rows of a study's data sets, and a hash of their content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.data import load_dataset, read_table
from whitecrow.data.labels import read_labels, require_columns
from whitecrow.study.plan import DataChoice

__all__ = ["Rows", "load_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Labelled rows.

    Attributes
    ----------
    X : polars.DataFrame or ndarray, shape (N, D)
        Features; the label is none of them.
    y : ndarray of int8, shape (N,)
        1 = anomaly, 0 = normal.
    families : ndarray of str, shape (N,), or None
        Kind of each row.
    fingerprint : str
        Hash of all of the above.
    """

    X: pl.DataFrame | NDArray[np.float64]
    y: NDArray[np.int8]
    families: NDArray[np.str_] | None
    fingerprint: str


def load_rows(choice: DataChoice, root: str | Path | None = None) -> Rows:
    """Return the rows of a data set.

    Parameters
    ----------
    choice : DataChoice
        Which.
    root : path, optional
        Folder of the named data sets, as for :func:`whitecrow.data.load_dataset`.

    Raises
    ------
    DataError
        If a row of a file has no label.
    """
    if choice.file is None:
        data = load_dataset(choice.name, root=root)
        X, y, families = data.X, data.y, data.families
    else:
        X, y, families = _read(choice, choice.file, str(choice.label))
    if choice.distinct:
        first = _first_of_each(X, y)
        X, y = X[first], y[first]
        families = None if families is None else families[first]
    return Rows(X, y, families, _fingerprint(X, y, families))


def _read(choice: DataChoice, file: str, label: str) -> tuple[pl.DataFrame, NDArray[np.int8], Any]:
    table = read_table(Path(file))
    require_columns("label", [label], table.columns, file)
    labels = read_labels(table[label], choice.normal)
    if missing := int((labels.y == -1).sum()):
        raise DataError(
            f"The data set {choice.name!r}: {missing:,} of {len(labels.y):,} rows of {file} have no label in the "
            f"column {label!r}. A study needs them all; remove the rows, or fill in the labels."
        )
    return table.drop(label), labels.y, labels.families


def _first_of_each(X: pl.DataFrame | NDArray[np.float64], y: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return the rows, ascending, that are no copies of an earlier one with the same label."""
    table = X if isinstance(X, pl.DataFrame) else pl.DataFrame(X)
    marked = table.with_columns(pl.Series("\0label", y)).with_row_index("\0row")
    kept = marked.unique(subset=[c for c in marked.columns if c != "\0row"], keep="first")
    return np.sort(kept["\0row"].to_numpy().astype(np.int64))


def _fingerprint(X: pl.DataFrame | NDArray[np.float64], y: NDArray[np.int8], families: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(X, pl.DataFrame):
        for column in X.get_columns():
            digest.update(f"{column.name}\0{column.dtype}\0".encode())
            digest.update(column.is_null().to_numpy().tobytes())
            digest.update(_content(column))
    else:
        digest.update(f"{X.shape}{X.dtype}".encode())
        digest.update(np.ascontiguousarray(X).data)
    digest.update(np.ascontiguousarray(y, dtype=np.int8).data)
    if families is not None:
        digest.update("\0".join(families.tolist()).encode())
    return digest.hexdigest()


def _content(column: pl.Series) -> bytes:
    if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        # By level and not by code, which depends on how the file was read.
        levels = column.cast(pl.String).unique().sort().drop_nulls()
        codes = column.cast(pl.String).replace_strict(levels, range(len(levels)), return_dtype=pl.Int32)
        return "\0".join(levels.to_list()).encode() + codes.fill_null(-1).to_numpy().tobytes()
    if column.dtype == pl.String:
        return "\0".join(column.fill_null("").to_list()).encode()
    values = column.to_physical()
    return (values.cast(pl.UInt8) if values.dtype == pl.Boolean else values).fill_null(0).to_numpy().tobytes()
