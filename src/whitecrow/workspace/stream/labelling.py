"""Labels of records as a race reads them: 1 anomaly, 0 normal, null unknown; and the family of an anomaly."""

from collections.abc import Iterable

import polars as pl

from whitecrow.core.errors import DataError
from whitecrow.data.labels import NORMAL_NAMES

__all__ = ["NORMAL", "classes", "free_name", "require", "with_truth"]

NORMAL = (*NORMAL_NAMES, "0.0")
"""Labels that mean normal unless others are named; compared without regard to case and surrounding blanks."""


def classes(texts: pl.Series, normal: Iterable[str] = NORMAL) -> pl.Series:
    """Return the class of each label: 0 if it is one of ``normal``, 1 if it is any other, null if there is none.

    A label that was never seen before is an anomaly's, and a missing one is unknown; neither is ever normal.

    Parameters
    ----------
    texts : polars.Series of str
    normal : iterable of str

    Returns
    -------
    polars.Series of Int8
    """
    names = [name.strip().lower() for name in normal]
    tidy = texts.str.strip_chars()
    tidy = tidy.set(tidy == "", None)
    return (~tidy.str.to_lowercase().is_in(names)).cast(pl.Int8)


def with_truth(rows: pl.DataFrame, label: str, truth: pl.Series, family: str, families: pl.Series) -> pl.DataFrame:
    """Return the rows with the class as column ``label`` and the families of the anomalies as column ``family``."""
    others = (truth != 1).fill_null(True)
    return rows.with_columns(truth.cast(pl.Int8).alias(label), families.cast(pl.String).set(others, None).alias(family))


def free_name(names: Iterable[str], wanted: str = "family") -> str:
    """Return ``wanted``, with as many underscores behind it as no column of that name needs."""
    taken = set(names)
    while wanted in taken:
        wanted += "_"
    return wanted


def require(owner: str, names: Iterable[str | None], columns: Iterable[str]) -> None:
    """Check that columns that an argument names are there.

    Raises
    ------
    DataError
        With the columns that there are.
    """
    known = list(columns)
    for name in names:
        if name is not None and name not in known:
            raise DataError(f"{owner} has no column {name!r}. Its columns are: {', '.join(known)}.")
