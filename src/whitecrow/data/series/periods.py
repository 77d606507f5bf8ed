"""The period of a series: the lag at which it resembles itself most."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import check

__all__ = ["FALLBACK", "autocorrelation", "period"]

FALLBACK = 125
"""What :func:`period` returns for a series without one."""

_STEPS = 20_000
_LAGS = 400
_DROPPED = 3
_PLACES = (3, 300)  # of a maximum, counted from the first lag that is kept


def autocorrelation(values: ArrayLike, lags: int) -> NDArray[np.float64]:
    r"""Return the autocorrelation function of a series.

    .. math:: r_k = \frac{\sum_{t=1}^{T-k} (x_t - \bar x)(x_{t+k} - \bar x)}{\sum_{t=1}^{T} (x_t - \bar x)^2}

    Parameters
    ----------
    values : array-like, shape [T]
    lags : int
        Largest lag; at most T - 1 are returned.

    Returns
    -------
    ndarray of float64, shape [min(lags, T - 1) + 1]
        From -1 to 1; lag 0 gives 1. A constant series has zeros beyond it.
    """
    series = np.asarray(values, dtype=np.float64)
    lags = min(lags, len(series) - 1)
    if series.min() == series.max():
        return np.concatenate([np.ones(1), np.zeros(lags)])
    # A shift and a factor change no correlation, but the square of 1e200 would overflow.
    centred = series / np.abs(series).max()
    centred = centred - centred.mean()
    # Zeros after the series, at least as many as lags, keep its end from meeting its beginning.
    size = 1 << (len(series) + lags - 1).bit_length()
    spectrum = np.fft.rfft(centred / np.abs(centred).max(), size)
    covariance = np.fft.irfft(np.square(spectrum.real) + np.square(spectrum.imag), size)[: lags + 1]
    return covariance / covariance[0]


def period(values: ArrayLike, rank: Literal[1, 2] = 1) -> int:
    """Return the period of a series by its autocorrelation, as the TSB-AD benchmark finds it.

    Of the first 20,000 steps, the lags 3 to 400 are looked at. The period is the lag of the highest local maximum that
    lies between two lower neighbours; 125 where there is none, or where it lies below lag 6 or above lag 303.

    Parameters
    ----------
    values : array-like, shape [T] or [T, C]
        Of several channels, the first counts.
    rank : {1, 2}, default=1
        1: the highest maximum. 2: the highest one at a longer lag than that, if there is one.

    Returns
    -------
    int
        In steps, from 6 to 303.

    Raises
    ------
    DataError
        If the series is empty or holds NaN or inf.

    References
    ----------
    .. [1] Q. Liu and J. Paparrizos, "The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection
       Benchmark", NeurIPS 2024.

    Examples
    --------
    >>> period(np.sin(np.arange(1000) * 2 * np.pi / 25))
    25
    """
    check("period", "rank", rank, Literal[1, 2])
    series = np.asarray(values, dtype=np.float64)
    series = series[:_STEPS, 0] if series.ndim == 2 else series[:_STEPS]
    if series.ndim != 1 or not series.size or not np.isfinite(series).all():
        raise DataError(f"period: the values have the shape {series.shape}; accepted are finite numbers [T] or [T, C].")
    kept = autocorrelation(series, _LAGS)[_DROPPED:]
    places = 1 + np.flatnonzero((kept[1:-1] > kept[:-2]) & (kept[1:-1] > kept[2:]))
    if not places.size:
        return FALLBACK
    ranked = places[np.argsort(-kept[places], kind="stable")]
    longer = ranked[ranked > ranked[0]]
    place = int(longer[0] if rank == 2 and longer.size else ranked[0])
    return place + _DROPPED if _PLACES[0] <= place <= _PLACES[1] else FALLBACK
