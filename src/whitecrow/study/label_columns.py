"""Columns that are the label, or come suspiciously near it."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.metrics import auroc

__all__ = ["both_classes", "is_label", "near_label"]

# A column above this AUROC is worth a look; most honest ones stay below it.
_SEPARATES = 0.999
_SAMPLE = 20_000  # rows of each class that decide whether the exact figure is worth its time


def is_label(column: pl.Series, y: NDArray[np.bool_]) -> bool:
    """Return whether a column has one value for all anomalies and another for all normal rows.

    Parameters
    ----------
    column : polars.Series, shape (N,)
        Of any type; a missing value is a value.
    y : ndarray of bool, shape (N,)
        True = anomaly; both classes are needed.
    """
    # A quick look at the two ends of the classes spares most columns the count of their values.
    first = pl.Series([column[int(y.argmax())], column[int(y.argmin())]], dtype=column.dtype)
    if first.n_unique() < 2:
        return False
    anomalous = column.eq_missing(first[0]).to_numpy()
    return bool(np.array_equal(anomalous, y) and column.filter(~y).n_unique() == 1)


def near_label(column: pl.Series, y: NDArray[np.bool_], sample: NDArray[np.int64]) -> str:
    """Return what makes a column suspicious, as the rest of "The column ...", or an empty text.

    Parameters
    ----------
    column : polars.Series, shape (N,)
        Of any type.
    y : ndarray of bool, shape (N,)
        True = anomaly; both classes are needed.
    sample : ndarray of int64
        Rows of :func:`both_classes`, on which a column is looked at before all of it is.
    """
    missing = column.is_null().to_numpy()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(False).to_numpy()
    if missing.any() and (np.array_equal(missing, y) or np.array_equal(missing, ~y)):
        return f"is missing for exactly the {'anomalies' if missing[y].all() else 'normal rows'}"
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        return _order(column, y, missing, sample)
    values = column.cast(pl.String)
    levels = values.n_unique()
    pure = levels > 1 and levels == values.filter(y).n_unique() + values.filter(~y).n_unique()
    if pure and 10 * levels <= len(y):
        return f"has {levels} levels, each of which belongs to one class"
    return ""


def _order(column: pl.Series, y: NDArray[np.bool_], missing: NDArray[np.bool_], sample: NDArray[np.int64]) -> str:
    values = column.to_physical().cast(pl.Float64).to_numpy()
    values = np.clip(values, np.finfo(np.float64).min, np.finfo(np.float64).max)  # infinities keep their order
    for rows, level in ((sample, _SEPARATES - 0.01), (np.arange(len(y)), _SEPARATES)):
        rows = rows[~missing[rows]]
        if y[rows].all() or not y[rows].any():
            return ""
        area = auroc(y[rows], values[rows])
        if max(area, 1 - area) <= level:
            return ""
    return f"alone separates anomalies from normal rows with an AUROC of {area:.4f}"


def both_classes(y: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return at most 20,000 rows of each class, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.permutation(np.flatnonzero(y == label))[:_SAMPLE] for label in (False, True)])
