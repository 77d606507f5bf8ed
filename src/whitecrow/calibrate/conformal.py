"""Split-conformal p-values and the control of false discoveries."""

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.calibrate.inputs import finite_vector
from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Range, check

__all__ = ["benjamini_hochberg", "p_values"]

Level = Annotated[float, Range(0, 1, low_open=True, high_open=True)]


def p_values(calibration_scores: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    r"""Return how surprising each score would be for a normal row.

    .. math:: p(s) = \frac{1 + \#\{i : c_i \ge s\}}{n + 1}

    Parameters
    ----------
    calibration_scores : array_like, shape [n]
        Finite scores of normal rows that took no part in training.
    scores : array_like, shape [m]
        Finite scores of the rows in question; higher = more anomalous.

    Returns
    -------
    ndarray of float, shape [m]
        From 1 / (n + 1) to 1; small = anomalous. A higher score never has a higher p-value. Ties are not
        randomised: the same score always has the same p-value.

    Raises
    ------
    DataError
        If scores cannot be used.

    Notes
    -----
    If a row is normal, that is exchangeable with the calibration rows, then :math:`P(p \le t) \le t` for
    every t, whatever the detector and the law of the scores; ties only make p larger. The probability is
    over the draw of the calibration rows as well: for one given calibration set the false-alarm rate varies
    around t. Nothing is guaranteed if calibration rows trained the detector, hold anomalies (p is then too
    large), or if the world has moved since.

    References
    ----------
    .. [1] S. Bates et al., "Testing for Outliers with Conformal p-values", Annals of Statistics 51(1), 2023,
       arXiv:2104.08279.

    Examples
    --------
    >>> p_values([1.0, 2.0, 3.0], [0.0, 2.0, 9.0]).tolist()
    [1.0, 0.75, 0.25]
    """
    calibration = np.sort(finite_vector("calibration_scores", calibration_scores))
    below = np.searchsorted(calibration, finite_vector("scores", scores), side="left")
    return (1 + len(calibration) - below.astype(np.float64)) / (len(calibration) + 1)


def benjamini_hochberg(p: ArrayLike, level: float) -> NDArray[np.bool_]:
    r"""Flag rows so that the expected share of false ones among the flagged stays within ``level``.

    With the p-values in rising order, the rows up to the largest i with :math:`p_{(i)} \le level \cdot i / m`
    are flagged.

    Parameters
    ----------
    p : array_like, shape [m]
        p-values of one batch, each above 0 and at most 1.
    level : float
        Accepted false-discovery rate, between 0 and 1.

    Returns
    -------
    ndarray of bool, shape [m]
        True = flagged. Equal p-values are flagged together or not at all.

    Raises
    ------
    DataError
        If a value is not above 0 and at most 1.
    ParameterError
        If ``level`` is not between 0 and 1.

    Notes
    -----
    The false-discovery rate is at most ``level`` times the share of normal rows, for independent p-values
    and for conformal ones that share a calibration set (they are positively dependent [2]_). Whether a row
    is flagged depends on the batch it is in. The smallest p-value is 1 / (n + 1): to flag r of m rows, n must
    be at least m / (r level) - 1.

    References
    ----------
    .. [1] Y. Benjamini, Y. Hochberg, "Controlling the False Discovery Rate", Journal of the Royal
       Statistical Society B 57(1), 1995.
    .. [2] S. Bates et al., "Testing for Outliers with Conformal p-values", Annals of Statistics 51(1), 2023,
       arXiv:2104.08279.
    """
    check("benjamini_hochberg", "level", level, Level)
    values = finite_vector("p", p)
    if values.min() <= 0 or values.max() > 1:
        raise DataError(
            f"p ranges from {values.min():g} to {values.max():g}; accepted are p-values above 0 and at most "
            "1. Pass what p_values returned, not scores."
        )
    ordered = np.sort(values)
    within = np.flatnonzero(ordered <= level * np.arange(1, len(values) + 1) / len(values))
    return values <= ordered[within[-1]] if within.size else np.zeros(len(values), dtype=bool)
