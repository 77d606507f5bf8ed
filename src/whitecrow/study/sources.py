"""The rows of a study's data sets, of every kind, and a hash of their content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.spec import Kind
from whitecrow.data import load_dataset, read_table
from whitecrow.data.labels import read_labels, require_columns
from whitecrow.data.series import period
from whitecrow.study.plan import DataChoice
from whitecrow.study.protocols import Protocol, Split

__all__ = ["Rows", "load_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Labelled rows: of a table, images, fixed windows, or the steps of one series.

    Attributes
    ----------
    X : polars.DataFrame, or ndarray of shape (N, D), (N, H, W) or (N, W, C)
        Features; the label is none of them.
    y : ndarray of int8, shape (N,)
        1 = anomaly, 0 = normal.
    families : ndarray of str, shape (N,), or None
        Kind of each row.
    kind : {"table", "image", "sequence"}
        Kind of data.
    train_end : int or None
        Rows before this one are the training part, where the data set names one.
    """

    X: pl.DataFrame | NDArray[Any]
    y: NDArray[np.int8]
    families: NDArray[np.str_] | None
    kind: Kind = "table"
    train_end: int | None = None

    @property
    def in_order(self) -> bool:
        """Whether the rows are the steps of one series."""
        return self.kind == "sequence" and len(self.X.shape) == 2

    @property
    def period(self) -> int:
        """Period of a series of steps, by its first channel; 0 for all else."""
        if not self.in_order:
            return 0
        return period(self.X.select(cs.numeric()).to_numpy() if isinstance(self.X, pl.DataFrame) else self.X)

    @property
    def fingerprint(self) -> str:
        """Hash of the content."""
        return _fingerprint(self)

    def split(self, rule: Protocol, *, seed: int, contamination: float) -> Split:
        """Return the rows that train and test under a protocol.

        Raises
        ------
        ParameterError
            If the protocol splits the steps of a series and these are none, or the other way round.
        WhitecrowError
            If the protocol refuses the rows.
        """
        if self.in_order != rule.in_order:
            given, wanted = "rows that stand alone", "the steps of a series in their order"
            if self.in_order:
                given, wanted = wanted, given
            raise ParameterError(f"The protocol {rule.name} splits {wanted}, and this data set has {given}.")
        return rule.split(
            self.y, seed=seed, contamination=contamination, families=self.families, train_end=self.train_end
        )


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
    ParameterError
        If only distinct rows are asked for of what is no table.
    """
    if choice.file is None:
        data = load_dataset(choice.name, root=root)
        rows = Rows(data.X, data.y, data.families, data.kind, data.train_end)
    else:
        rows = Rows(*_read(choice, choice.file, str(choice.label)))
    if not choice.distinct:
        return rows
    if rows.kind != "table":
        raise ParameterError(
            f"The data set {choice.title!r} is {rows.kind} data; distinct is for tables. Leave it out: copies in the "
            "test are counted."
        )
    first = _first_of_each(rows.X, rows.y)
    return Rows(rows.X[first], rows.y[first], None if rows.families is None else rows.families[first])


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


def _fingerprint(rows: Rows) -> str:
    X, families = rows.X, rows.families
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(X, pl.DataFrame):
        for column in X.get_columns():
            digest.update(f"{column.name}\0{column.dtype}\0".encode())
            digest.update(column.is_null().to_numpy().tobytes())
            digest.update(_content(column))
    else:
        digest.update(f"{X.shape}{X.dtype}".encode())
        digest.update(np.ascontiguousarray(X).data)
    digest.update(np.ascontiguousarray(rows.y, dtype=np.int8).data)
    if families is not None:
        digest.update("\0".join(families.tolist()).encode())
    if rows.train_end is not None:
        digest.update(f"\0train_end {rows.train_end}".encode())
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
