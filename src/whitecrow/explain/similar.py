"""The normal rows that resemble a row: overall, and in all columns but one."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whitecrow.explain.column_map import ColumnMap

__all__ = ["SimilarRows", "find_similar"]

_TINY = 1e-200
_STEPS = 2.0**24


class SimilarRows(NamedTuple):
    """Indices into the reference rows.

    Parameters
    ----------
    otherwise : ndarray of int32, shape [n, C, K]
        Per row and column, the K reference rows that resemble the row most in all other columns, best first.
    neighbours : ndarray of int64, shape [n, k]
        The nearest distinct reference rows, nearest first.
    distances : ndarray of float64, shape [n, k]
        Their Euclidean distances in encoded features.
    """

    otherwise: NDArray[np.int32]
    neighbours: NDArray[np.int64]
    distances: NDArray[np.float64]


def find_similar(
    rows: NDArray[np.float32],
    reference: NDArray[np.float32],
    columns: ColumnMap,
    n_alike: int,
    n_neighbours: int,
) -> SimilarRows:
    r"""Find the reference rows ``[M, D]`` that resemble each of the rows ``[n, D]``.

    Resemblance in all columns but c is the smallness of

    .. math:: \sum_{j \ne c} \min\left(\frac{\lVert x_j - r_j \rVert^2}{v_j}, 1\right)

    where :math:`v_j` is the mean of :math:`\lVert r_j - r'_j \rVert^2` over pairs of reference rows. The
    bound keeps a column that is far off from everything from deciding what the others resemble.
    """
    reference64 = reference.astype(np.float64)
    spread = np.maximum(2 * columns.sum(reference64.var(axis=0)), _TINY)
    distinct = np.sort(np.unique(reference, axis=0, return_index=True)[1])
    n_alike, n_neighbours = min(n_alike, len(reference)), min(n_neighbours, len(distinct))
    number = np.arange(len(reference))[:, None]
    found = SimilarRows(
        np.empty((len(rows), len(columns.members), n_alike), np.int32),
        np.empty((len(rows), n_neighbours), np.int64),
        np.empty((len(rows), n_neighbours)),
    )
    for i, row in enumerate(rows):
        squares = np.square(reference64 - row)
        by_column = np.minimum(columns.sum(squares) / spread, 1)
        others = by_column.sum(axis=1, keepdims=True) - by_column
        # Whole numbers with the row's number behind: ties, also those of rounding, go to the earlier row.
        keys = np.rint(others * _STEPS).astype(np.int64) * len(reference) + number
        best = np.sort(np.partition(keys, n_alike - 1, axis=0)[:n_alike], axis=0)
        found.otherwise[i] = (best % len(reference)).T
        distances = np.sqrt(squares.sum(axis=1)[distinct])
        order = np.argsort(distances, kind="stable")[:n_neighbours]
        found.neighbours[i], found.distances[i] = distinct[order], distances[order]
    return found
