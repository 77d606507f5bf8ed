"""A control chart of the alert rate, which shows stretches of time out of the ordinary."""

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Range, check
from whitecrow.metrics.inputs import binary, same_length
from whitecrow.metrics.time_buckets import time_buckets

__all__ = ["AlertRateChart", "alert_rate_chart"]

OpenShare = Annotated[float, Range(0, 1, low_open=True, high_open=True)]


class AlertRateChart(NamedTuple):
    """Alert rates of B buckets of time, with control limits that fit the size of each.

    Parameters
    ----------
    edges : ndarray, shape [B + 1]
        Edges of the buckets.
    n, alerts : ndarray of int, shape [B]
        Rows and flagged rows.
    rate : ndarray of float, shape [B]
        NaN where a bucket holds no row.
    centre : float
        Rate in the ordinary.
    low, high : ndarray of float, shape [B]
        Control limits, from 0 to 1; 0 and 1 where a bucket holds no row.
    too_low, too_high : ndarray of bool, shape [B]
        Buckets out of control.
    """

    edges: NDArray[Any]
    n: NDArray[np.intp]
    alerts: NDArray[np.intp]
    rate: NDArray[np.float64]
    centre: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    too_low: NDArray[np.bool_]
    too_high: NDArray[np.bool_]


def alert_rate_chart(
    times: ArrayLike,
    flags: ArrayLike,
    *,
    centre: float | None = None,
    max_buckets: int = 60,
    outside: float = 0.0027,
) -> AlertRateChart:
    """Return a p-chart of the alert rate with exact binomial limits.

    A bucket in the ordinary lies outside its limits with a chance of at most ``outside``, half on each side. Normal
    limits of three standard deviations promise this, and keep it badly where a bucket holds few alerts.

    Parameters
    ----------
    times : array_like of datetime64 or numbers, shape [N]
        In any order; the row number will do.
    flags : array_like of {0, 1}, shape [N]
        1 = flagged.
    centre : float, optional
        Alert rate of the reference, between 0 and 1. By default the rate of all these rows, in which those out of
        the ordinary take part.
    max_buckets : int, default=60
        At least 1.
    outside : float, default=0.0027
        Between 0 and 1; the default is that of three standard deviations.

    Raises
    ------
    DataError
        If times or flags cannot be used, or no centre is given and all or none of the rows are flagged.
    ParameterError
        If a setting is out of its range.

    Notes
    -----
    Rows are taken as independent. Alerts that come in bursts leave the limits more often than stated.
    """
    check("alert_rate_chart", "centre", centre, OpenShare | None)
    check("alert_rate_chart", "outside", outside, OpenShare)
    flagged = binary(flags, "flags")
    edges, bucket = time_buckets(times, max_buckets)
    same_length("times", bucket, "flags", flagged)
    p = float(flagged.mean()) if centre is None else float(centre)
    if not 0 < p < 1:
        raise DataError(
            f"{'All' if p else 'None'} of the rows are flagged, so they tell no rate; accepted is a rate between 0 and "
            "1. Pass the alert rate of the reference as centre."
        )
    n, alerts = (np.bincount(bucket[rows], minlength=len(edges) - 1) for rows in (slice(None), flagged))
    size = np.maximum(n, 1)
    lowest, highest = (stats.binom.ppf(q, n, p) for q in (outside / 2, 1 - outside / 2))
    low, high = np.where(n, lowest / size, 0.0), np.where(n, highest / size, 1.0)
    rate = np.where(n, alerts / size, np.nan)
    return AlertRateChart(edges, n, alerts, rate, p, low, high, alerts < lowest, alerts > highest)
