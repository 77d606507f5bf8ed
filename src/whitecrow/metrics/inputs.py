"""Checks of labels, flags and scores, shared by every figure of merit."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError

__all__ = ["binary", "finite_scores", "labelled_flags", "labelled_scores", "row_groups", "same_length"]


def _vector(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"{name} is ragged; accepted is one value for each row.") from None
    if array.ndim != 1 or array.size == 0:
        raise DataError(
            f"{name} has shape {array.shape}; accepted is a vector [N] of at least one row. "
            "Pass one value for each row."
        )
    return array


def finite_scores(scores: ArrayLike, name: str = "scores") -> NDArray[np.float64]:
    """Return scores as float64 [N].

    Raises
    ------
    DataError
        If they are no vector of finite numbers. A NaN compares as "not above" any threshold, so it would
        silently count as normal.
    """
    array = _vector(name, scores)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} is of type {array.dtype}; accepted are numbers. Convert the column first.")
    array = array.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise DataError(
            f"{bad.size} of {array.size} values of {name} are NaN or infinite, the first in row {bad[0]}; "
            "accepted are finite numbers. Look for a diverged fit or for missing values in those rows."
        )
    return array


def binary(values: ArrayLike, name: str = "y") -> NDArray[np.bool_]:
    """Return labels or flags as bool [N], True for the anomaly.

    Raises
    ------
    DataError
        If any value is neither 0 nor 1.
    """
    array = _vector(name, values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} is of type {array.dtype}; accepted are 0 (normal) and 1 (anomaly). Map them first.")
    ones = array == 1
    if not np.all(ones | (array == 0)):
        others = ", ".join(str(v) for v in np.unique(array[~(ones | (array == 0))])[:5])
        raise DataError(
            f"{name} holds {others}; accepted are 0 (normal) and 1 (anomaly). Map the anomaly class to 1 and "
            "the normal class to 0, and drop the rows whose class is unknown."
        )
    return ones


def same_length(name: str, values: NDArray[Any], other_name: str, other: NDArray[Any]) -> None:
    """Raise a DataError unless both vectors have one value for each row."""
    if len(values) != len(other):
        raise DataError(
            f"{name} has {len(values)} rows and {other_name} has {len(other)}; both need one value for each "
            "row. Pass the vectors of the same table."
        )


def _need(y: NDArray[np.bool_], *, anomalies: bool, normals: bool) -> None:
    if (anomalies and not y.any()) or (normals and y.all()):
        given, missing = ("0", "anomaly (1)") if not y.any() else ("1", "normal row (0)")
        raise DataError(f"y holds only {given}; at least one {missing} is needed. Evaluate on rows of both classes.")


def labelled_scores(
    y: ArrayLike, scores: ArrayLike, *, anomalies: bool = True, normals: bool = True
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return checked labels and scores.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly.
    scores : array_like, shape [N]
        Higher = more anomalous.
    anomalies, normals : bool
        Whether at least one row of that class is needed.
    """
    labels, values = binary(y), finite_scores(scores)
    same_length("y", labels, "scores", values)
    _need(labels, anomalies=anomalies, normals=normals)
    return labels, values


def labelled_flags(
    y: ArrayLike, flags: ArrayLike, *, anomalies: bool = True
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return checked labels and flags, both bool [N]."""
    labels, flagged = binary(y), binary(flags, "flags")
    same_length("y", labels, "flags", flagged)
    _need(labels, anomalies=anomalies, normals=False)
    return labels, flagged


def row_groups(groups: ArrayLike, y: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the index of each row's group, 0 to G - 1, from any hashable or sortable names."""
    array = _vector("groups", groups)
    same_length("groups", array, "y", y)
    return np.unique(array, return_inverse=True)[1]
