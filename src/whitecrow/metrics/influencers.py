"""Values of columns that alerts have more often than other rows."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, check
from whitecrow.metrics.inputs import binary, same_length
from whitecrow.metrics.intervals import Level

__all__ = ["Influencer", "influencers"]

_MISSING = "(missing)"
# Numbers with more different values than this are no codes: their tails are compared.
_MAX_CODES = 20
_TAIL = 0.05
# Values of one column that are looked at, the commonest among the alerts.
_MOST_VALUES = 50


class Influencer(NamedTuple):
    """A value that is over-represented among the alerts.

    Parameters
    ----------
    column : str
        Its column.
    value : str
        The value as text; of numbers "above X" or "below X", where 5 % of the other rows with a number lie beyond X.
    alerts, n_alerts : int
        Alerts that have it, of how many.
    others, n_others : int
        Other rows that have it, of how many.
    lift : float
        Share among the alerts divided by that among all of these rows, above 1.
    p_value : float
        Of Fisher's exact test against "no more often", after Benjamini and Hochberg over all values looked at.
    """

    column: str
    value: str
    alerts: int
    n_alerts: int
    others: int
    n_others: int
    lift: float
    p_value: float


def influencers(
    table: pl.DataFrame, alerts: ArrayLike, others: ArrayLike, *, level: float = 0.95, most: int = 10
) -> tuple[Influencer, ...]:
    """Return the values that alerts have more often than other rows, the surest first.

    Parameters
    ----------
    table : polars.DataFrame, shape [N, C]
        Categories and numbers in original units. Dates are left out: alerts of a time have its dates.
    alerts : array_like of {0, 1}, shape [N]
        1 = alert that is asked about.
    others : array_like of {0, 1}, shape [N]
        1 = row to compare with; rows that are neither do not count.
    level : float, default=0.95
        Values whose adjusted p-value is at most ``1 - level`` are returned.
    most : int, default=10
        At most so many.

    Raises
    ------
    DataError
        If lengths differ, or a row is both.
    ParameterError
        If a setting is out of its range.

    Notes
    -----
    It says what goes with the alerts, not what caused them. Rows are taken as independent: of alerts that come in
    bursts the p-values are too small, which the counts show.
    """
    check("influencers", "level", level, Level)
    check("influencers", "most", most, Count)
    asked, compared = binary(alerts, "alerts"), binary(others, "others")
    same_length("alerts", asked, "table", np.empty(table.height))
    same_length("others", compared, "table", np.empty(table.height))
    if (asked & compared).any():
        raise DataError("A row is an alert and a row to compare with; accepted is one of both. Clear it in others.")
    n_alerts, n_others = int(asked.sum()), int(compared.sum())
    if not n_alerts or not n_others:
        return ()
    found = [
        (column.name, *counted)
        for column in table
        for counted in _candidates(column.filter(pl.Series(asked)), column.filter(pl.Series(compared)))
    ]
    if not found:
        return ()
    k, m = (np.array([one[place] for one in found]) for place in (2, 3))
    n = n_alerts + n_others
    p_values = stats.false_discovery_control(stats.hypergeom.sf(k - 1, n, k + m, n_alerts))
    lifts = (k / n_alerts) / (np.maximum(k + m, 1) / n)
    kept = [
        Influencer(column, value, a, n_alerts, b, n_others, float(lift), float(p))
        for (column, value, a, b), lift, p in zip(found, lifts, p_values, strict=True)
        if lift > 1 and p <= 1 - level
    ]
    return tuple(sorted(kept, key=lambda one: (one.p_value, -one.lift, one.column, one.value))[:most])


def _candidates(asked: pl.Series, compared: pl.Series) -> Iterator[tuple[str, int, int]]:
    """Yield values that an alert has, as text, with how many alerts and how many other rows have each."""
    if asked.dtype.is_temporal() or asked.dtype.is_nested():
        return
    if asked.dtype.is_numeric() and pl.concat([asked, compared]).drop_nulls().n_unique() > _MAX_CODES:
        yield from _tails(_numbers(asked), _numbers(compared))
        return
    alerts, others = (_texts(column).value_counts().rows() for column in (asked, compared))
    elsewhere = dict(others)
    for value, number in sorted(alerts, key=lambda row: (-row[1], row[0]))[:_MOST_VALUES]:
        yield value, number, elsewhere.get(value, 0)


def _tails(asked: NDArray[np.float64], compared: NDArray[np.float64]) -> Iterator[tuple[str, int, int]]:
    there = compared[np.isfinite(compared)]
    if missing := int((~np.isfinite(asked)).sum()):
        yield _MISSING, missing, len(compared) - len(there)
    if len(there):
        low, high = np.quantile(there, (_TAIL, 1 - _TAIL), method="inverted_cdf").tolist()
        yield f"above {high:.6g}", int((asked > high).sum()), int((there > high).sum())
        yield f"below {low:.6g}", int((asked < low).sum()), int((there < low).sum())


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _texts(column: pl.Series) -> pl.Series:
    present = column.fill_nan(None) if column.dtype.is_float() else column
    return present.cast(pl.String).fill_null(_MISSING)
