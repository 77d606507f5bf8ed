"""Checks of scores and labels before a threshold is fitted."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError

__all__ = ["both_classes", "finite_vector"]


def finite_vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return values as float64 [N]; a DataError unless they are a vector of at least one finite number."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"{name}: ragged; accepted is one number for each row.") from None
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{name}: given is an array of shape {array.shape} and type {array.dtype}; accepted is a vector "
            "[N] of at least one number. Pass one number for each row."
        )
    array = array.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise DataError(
            f"{name}: {bad.size} of {array.size} are NaN or infinite, the first in row {bad[0]}; accepted "
            "are finite numbers. Look for a diverged fit or for missing values in those rows."
        )
    return array


def both_classes(rule: str, scores: ArrayLike, y: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return scores [N] and labels as bool [N], True = anomaly; a DataError unless both classes occur."""
    if y is None:
        raise DataError(
            f"{rule} was given no labels; it needs 0 (normal) or 1 (anomaly) for each score. Pass y, or "
            "choose Quantile or PeaksOverThreshold, which need none."
        )
    values, labels = finite_vector("scores", scores), finite_vector("y", y)
    if len(values) != len(labels):
        raise DataError(
            f"{rule} was given {len(values)} scores and {len(labels)} labels; accepted is one label for each "
            "score. Pass the scores and the labels of the same rows."
        )
    found = np.unique(labels)
    if not np.array_equal(found, [0.0, 1.0]):
        raise DataError(
            f"{rule}: the labels are {', '.join(f'{v:g}' for v in found[:5])}; accepted are 0 (normal) and 1 "
            "(anomaly), with at least one of each. Map the classes, and drop the rows whose class is unknown."
        )
    return values, labels == 1
