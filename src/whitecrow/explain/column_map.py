"""Which features belong to which column."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["ColumnMap"]


class ColumnMap:
    """Sums features by column.

    Parameters
    ----------
    column_of_feature : array of int, shape [D]
        Rising index of the column that each feature comes from.
    n_columns : int
        Number of columns C; a column may have no feature (a category without a level).

    Attributes
    ----------
    members : ndarray of bool, shape [C, D]
        Whether a feature belongs to a column.
    """

    def __init__(self, column_of_feature: NDArray[np.int64], n_columns: int) -> None:
        self.members = column_of_feature == np.arange(n_columns)[:, None]
        self._present, self._starts = np.unique(column_of_feature, return_index=True)

    def sum(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums ``[..., C]`` over each column's features of an array ``[..., D]``."""
        # Not a matrix product: its rounding would depend on how many rows stand beside one another.
        out = np.zeros((*features.shape[:-1], len(self.members)))
        out[..., self._present] = np.add.reduceat(features, self._starts, axis=-1)
        return out
