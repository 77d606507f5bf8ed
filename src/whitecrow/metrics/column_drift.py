"""Which columns of a table have drifted from a reference."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import NonNegative, check
from whitecrow.metrics.drift_measures import (
    homogeneity_p,
    ks_distance,
    level_table,
    number_table,
    population_stability_index,
    scaled_wasserstein,
)
from whitecrow.metrics.intervals import Level

__all__ = ["ColumnDrift", "Table", "column_drift", "drift_table"]

Table = pl.DataFrame | Mapping[str, ArrayLike]

# Numbers with no more different values than this are codes; tied numbers make the KS test blind.
_MAX_CODES = 5


class ColumnDrift(NamedTuple):
    """How one column differs from its reference.

    Parameters
    ----------
    column : str
        Its name.
    test : {"ks", "chi-square", "none"}
        How values were compared; "none" for dates, which always move, and for a column without values in a table.
        Missing shares are compared by a test of their own in every case but that of dates.
    p_value : float or None
        The smaller of both p-values times their number, at most 1; None if nothing could be compared.
    adjusted_p_value : float or None
        After Benjamini and Hochberg over all compared columns.
    psi : float
        Population stability index; missing values are a cell of it.
    wasserstein : float or None
        In standard deviations of the reference; None for categories.
    missing, reference_missing : float
        Share of missing values; NaN and infinite numbers count as missing.
    unseen : float or None
        Share of the current rows whose category the reference lacks; None for numbers. It is shown, not tested:
        a new level makes a difference to the test once it is frequent.
    drifted : bool
        Adjusted p-value at most ``level``, and an effect of at least ``min_effect``.
    """

    column: str
    test: Literal["ks", "chi-square", "none"]
    p_value: float | None
    adjusted_p_value: float | None
    psi: float
    wasserstein: float | None
    missing: float
    reference_missing: float
    unseen: float | None
    drifted: bool


def column_drift(
    reference: Table, current: Table, *, level: float = 0.05, min_effect: float = 0.1, use_wasserstein: bool = True
) -> tuple[ColumnDrift, ...]:
    """Compare the columns of two tables, drifted ones first.

    Numbers are compared by the two-sample Kolmogorov-Smirnov test, categories, booleans and numbers of at most 5
    different values by the chi-square test of homogeneity, both beside a test of the missing share. A column has
    drifted only if it is also far off, because a large table makes any difference significant.

    Parameters
    ----------
    reference, current : polars.DataFrame or mapping of str to array_like
        Tables with the same columns, in any order, of at least one row each.
    level : float, default=0.05
        Between 0 and 1. If nothing has drifted, the chance that any column is called drifted is at most this.
    min_effect : float, default=0.1
        PSI or scaled Wasserstein distance that matters, at least 0.
    use_wasserstein : bool, default=True
        Whether the Wasserstein distance alone makes an effect. A few far values move it, but hardly the PSI.

    Returns
    -------
    tuple of ColumnDrift
        Drifted columns first, each part by falling PSI, then by name.

    Raises
    ------
    DataError
        If a table is empty, the columns differ, or one holds numbers in one table and categories in the other.
    ParameterError
        If ``level`` or ``min_effect`` is out of its range.
    """
    check("column_drift", "level", level, Level)
    check("column_drift", "min_effect", min_effect, NonNegative)
    before, now = drift_table("reference", reference), drift_table("current", current)
    if sorted(before.columns) != sorted(now.columns):
        odd = sorted(set(before.columns) ^ set(now.columns))
        raise DataError(
            f"The columns {', '.join(odd[:5])} are in one table only; accepted are tables with the same columns. "
            "Select them first."
        )
    found = [_compare(before[name], now[name]) for name in before.columns]
    compared = [i for i, row in enumerate(found) if row.p_value is not None]
    p_values = [row.p_value for row in found if row.p_value is not None]
    adjusted = stats.false_discovery_control(p_values) if p_values else []
    for i, p in zip(compared, adjusted, strict=True):
        row = found[i]
        effect = max(row.psi, (row.wasserstein or 0.0) if use_wasserstein else 0.0)
        found[i] = row._replace(adjusted_p_value=float(p), drifted=bool(p <= level and effect >= min_effect))
    return tuple(sorted(found, key=lambda row: (not row.drifted, -row.psi, row.column)))


def drift_table(name: str, table: Table) -> pl.DataFrame:
    """Return a table of at least one row as a polars DataFrame; a DataError if it is none."""
    if not isinstance(table, pl.DataFrame):
        try:
            table = pl.DataFrame([_series(str(key), values) for key, values in table.items()])
        except (TypeError, ValueError, AttributeError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"{name} cannot be read as a table: {error}. Accepted is a polars DataFrame, or a mapping of column "
                "names to vectors of one length."
            ) from error
    if not table.height or not table.width:
        raise DataError(f"{name} has {table.height} rows and {table.width} columns; at least one of each is needed.")
    return table


def _series(name: str, values: ArrayLike) -> pl.Series:
    array = np.asarray(values)
    return pl.Series(name, array.tolist() if array.dtype == object else array, strict=False)


def _compare(reference: pl.Series, current: pl.Series) -> ColumnDrift:
    name, kind = reference.name, _kind(reference, current)
    if kind == "dates":
        missing = [float(column.null_count() / len(column)) for column in (current, reference)]
        return ColumnDrift(name, "none", None, None, 0.0, None, *missing, unseen=None, drifted=False)
    before, now = (_present(column, kind) for column in (reference, current))
    n_missing = np.array([len(reference) - len(before), len(current) - len(now)])
    missing, reference_missing = float(n_missing[1] / len(current)), float(n_missing[0] / len(reference))
    p_values: list[float] = []
    test: Literal["ks", "chi-square", "none"] = "none"
    wasserstein = unseen = None
    table = np.array([[len(before)], [len(now)]])
    if len(before) and len(now):
        levels = _level_counts(before, now)
        if levels is None:
            test, table = "ks", number_table(before, now)
            p_values.append(ks_distance(before, now)[1])
            wasserstein = scaled_wasserstein(before, now)
        else:
            test, table = "chi-square", level_table(*levels)
            p_values.append(homogeneity_p(table))
            unseen = float(levels[1][levels[0] == 0].sum() / len(current))
    if n_missing.any():
        p_values.append(homogeneity_p(np.column_stack([n_missing, [len(before), len(now)]])))
        table = np.column_stack([table, n_missing])
    p_value = min(1.0, len(p_values) * min(p_values)) if p_values else None
    psi = population_stability_index(table)
    return ColumnDrift(name, test, p_value, None, psi, wasserstein, missing, reference_missing, unseen, drifted=False)


def _kind(reference: pl.Series, current: pl.Series) -> str:
    """Return what both columns hold: numbers, dates or categories; one without any value holds what the other does."""
    kinds = [
        "numbers" if dtype.is_numeric() else "dates" if dtype.is_temporal() else "categories"
        for dtype in (reference.dtype, current.dtype)
        if dtype != pl.Null
    ]
    if len(set(kinds)) > 1:
        raise DataError(
            f"Column {reference.name!r} holds {kinds[0]} in the reference and {kinds[1]} in the current table; "
            "accepted is one kind. Convert it first."
        )
    return kinds[0] if kinds else "categories"


def _present(column: pl.Series, kind: str) -> NDArray[Any]:
    """Return the values that are not missing: numbers sorted, all else as text."""
    if kind == "categories":
        return column.cast(pl.String).drop_nulls().to_numpy()
    numbers = column.cast(pl.Float64).to_numpy()
    return np.sort(numbers[np.isfinite(numbers)])


def _level_counts(before: NDArray[Any], now: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return how often each level occurs in both, or None for numbers that are no codes."""
    if before.dtype.kind == "f":
        codes = [values[np.append(True, values[1:] != values[:-1])] for values in (before, now)]
        if len(np.unique(np.concatenate(codes))) > _MAX_CODES:
            return None
    one, other = Counter(before.tolist()), Counter(now.tolist())
    levels = sorted(one.keys() | other.keys())
    return np.array([one[level] for level in levels]), np.array([other[level] for level in levels])
