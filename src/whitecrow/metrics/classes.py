"""Labels that may be unknown: a third class, never taken for normal."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.metrics.inputs import same_length

__all__ = ["UNKNOWN", "known_classes"]

UNKNOWN = -1
"""Label of a row whose class nobody knows."""


def known_classes(y: ArrayLike | None, scores: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return the class of each row: 1 anomaly, 0 normal, UNKNOWN.

    Parameters
    ----------
    y : array_like of {1, 0, -1, NaN, None}, shape [N], or None
        -1, NaN and None all say that the class is unknown; so does no vector at all, of every row.
    scores : ndarray of float, shape [N]
        Of the same rows.

    Returns
    -------
    ndarray of int8, shape [N]

    Raises
    ------
    DataError
        If there is not one label for each row, or a label is none of these.
    """
    if y is None:
        return np.full(len(scores), UNKNOWN, dtype=np.int8)
    given = np.asarray(y)
    if given.ndim != 1:
        raise DataError(f"y has shape {given.shape}; accepted is a vector [N]. Pass one label for each row.")
    same_length("y", given, "scores", scores)
    advice = (
        "accepted are 1 (anomaly), 0 (normal) and -1, NaN or None (unknown). Map the names of classes to these; a name "
        "that you do not know is unknown, not normal."
    )
    try:
        labels = given.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(f"y is of type {given.dtype}; {advice}") from None
    labels[np.isnan(labels)] = UNKNOWN
    wrong = (labels != 0) & (labels != 1) & (labels != UNKNOWN)
    if wrong.any():
        others = ", ".join(f"{value:g}" for value in np.unique(labels[wrong])[:5])
        raise DataError(f"y holds {others}; {advice}")
    return labels.astype(np.int8)
