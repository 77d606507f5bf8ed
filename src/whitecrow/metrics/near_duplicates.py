"""Alerts that say the same thing, grouped behind the one with the highest score."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Positive, check

__all__ = ["NearDuplicates", "near_duplicates", "robust_scale"]

Floats = NDArray[np.float32]

# 10th to 90th percentile of a normal distribution, in standard deviations.
_NORMAL_SPREAD = 2.5631031310892007
# Rows that are compared with all others at a time, and what the rounding of their product stays far below.
_BLOCK = 256
_SLACK = 1e-9


class NearDuplicates(NamedTuple):
    """Groups of alerts, numbered in the order of their leaders.

    Parameters
    ----------
    group : ndarray of int, shape [n]
        Group of each row, from 0 to G - 1.
    leaders : ndarray of int, shape [G]
        Position of the first row of each group, rising.
    sizes : ndarray of int, shape [G]
        Rows of each group, the leader included.
    """

    group: NDArray[np.intp]
    leaders: NDArray[np.intp]
    sizes: NDArray[np.intp]


def robust_scale(rows: ArrayLike) -> Floats:
    """Return the usual spread of each feature, above 0, shape [D].

    It is the distance from the 10th to the 90th percentile, in units in which a normal distribution has its standard
    deviation; where that is 0, as in a feature that is nearly always off, the whole range; of a constant, 1.

    Parameters
    ----------
    rows : array_like, shape [n, D]
        Finite, best encoded training rows. Among alerts alone, one flood of them makes every spread small.

    Raises
    ------
    DataError
        If rows are no matrix of finite numbers.
    """
    matrix = _matrix(rows)
    if not len(matrix):
        raise DataError("rows is empty; a spread needs at least one row. Pass encoded training rows.")
    low, high = np.quantile(matrix, (0.1, 0.9), axis=0)
    spread, whole = (high - low) / _NORMAL_SPREAD, np.ptp(matrix, axis=0)
    return np.where(spread > 0, spread, np.where(whole > 0, whole, 1)).astype(np.float32)


def near_duplicates(rows: ArrayLike, scale: ArrayLike | None = None, *, radius: float = 1.0) -> NearDuplicates:
    r"""Group rows that are near the first row of their group.

    .. math:: d(x, l) = \sqrt{\sum_j \left(\frac{x_j - l_j}{s_j}\right)^2} \le radius

    Each row joins the earliest leader that is near enough, or leads a new group. So with a given ``scale`` the group
    of a row depends on the rows before it alone: alerts that come later with lower scores change nothing.

    Parameters
    ----------
    rows : array_like, shape [n, D]
        Encoded alerts, highest score first; finite.
    scale : array_like, shape [D], optional
        Spread of each feature, above 0; by default :func:`robust_scale` of these rows.
    radius : float, default=1
        In usual spreads, over all features together. Two rows of different categories are :math:`\sqrt 2` or more
        apart where categories are coded as 0 and 1 and their scale is at most 1, so the default keeps them apart.

    Raises
    ------
    DataError
        If rows or scale cannot be used.
    ParameterError
        If ``radius`` is not above 0.
    """
    check("near_duplicates", "radius", radius, Positive)
    matrix = _matrix(rows)
    n = len(matrix)
    if n == 0:
        empty = np.zeros(0, dtype=np.intp)
        return NearDuplicates(empty, empty, empty)
    spread = robust_scale(matrix) if scale is None else _scale(scale, matrix.shape[1])
    points = matrix.astype(np.float64) / spread
    # |x - l|^2 <= radius^2 says that x @ l is at least the sum of these two halves, but for rounding.
    halves = ((1 - _SLACK) * (points**2).sum(1) - (radius**2 + _SLACK) / 2) / 2
    group = np.full(n, -1, dtype=np.intp)
    leaders: list[int] = []
    while (free := np.flatnonzero(group < 0)).size:
        block = free[:_BLOCK]
        # One matrix product rules out nearly all pairs; its rounding depends on the block, so it decides none.
        perhaps = points[block] @ points[free].T >= halves[block, None] + halves[free]
        for row, candidates in zip(block, perhaps, strict=True):
            if group[row] < 0:
                near = free[candidates]
                near = near[group[near] < 0]
                near = near[((points[near] - points[row]) ** 2).sum(1) <= radius**2]
                group[near] = len(leaders)
                leaders.append(int(row))
    return NearDuplicates(group, np.array(leaders), np.bincount(group))


def _matrix(rows: ArrayLike) -> Floats:
    matrix = np.asarray(rows)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind not in "biuf":
        raise DataError(
            f"rows has shape {matrix.shape} and type {matrix.dtype}; accepted is a matrix [n, D] of numbers. Pass "
            "encoded rows."
        )
    if not np.isfinite(matrix).all():
        raise DataError("rows holds NaN or infinite values; accepted are finite numbers. Pass encoded rows.")
    return matrix.astype(np.float32)


def _scale(scale: ArrayLike, n_features: int) -> Floats:
    spread = np.asarray(scale, dtype=np.float32)
    if spread.shape != (n_features,) or not np.all(np.isfinite(spread) & (spread > 0)):
        raise DataError(
            f"scale has shape {spread.shape} and smallest entry {spread.min(initial=np.inf):g}; accepted are "
            f"{n_features} finite numbers above 0. Pass robust_scale of encoded training rows."
        )
    return spread
