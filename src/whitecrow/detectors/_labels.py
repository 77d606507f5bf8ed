"""Labels of training rows: 1 anomaly, 0 normal, -1 unlabelled."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError

__all__ = ["read_labels"]


def read_labels(y: ArrayLike | None, n: int, owner: str, *, need_anomalies: bool) -> NDArray[np.int64]:
    """Return the labels given to a fit in the labelled regime, ``[n]``.

    Parameters
    ----------
    y : array-like [n]
        1 anomaly, 0 normal, -1 unlabelled.
    n : int
        Number of rows.
    owner : str
        Class of the detector, for messages.
    need_anomalies : bool
        Whether the method cannot do without a known anomaly.

    Raises
    ------
    DataError
        If there are none, their number or values are others, or they leave nothing to learn from.
    """
    if y is None:
        raise DataError(
            f"{owner}(regime='labelled') needs y. Give fit(X, y) labels of 1 (anomaly), 0 (normal) "
            "and -1 (unlabelled), or choose another regime."
        )
    labels = np.asarray(y)
    if labels.dtype == object and all(isinstance(label, Real) for label in labels.ravel()):
        labels = labels.astype(np.float64)  # a column taken out of a mixed table
    if labels.shape != (n,):
        raise DataError(
            f"y has shape {labels.shape}; accepted is one label for each of the {n} rows, shape ({n},): 1 "
            "(anomaly), 0 (normal) or -1 (unlabelled)."
        )
    if labels.dtype.kind not in "biuf" or not np.isin(labels, (-1, 0, 1)).all():
        found = ", ".join(list(dict.fromkeys(map(repr, labels.tolist())))[:5])
        raise DataError(
            f"y has values such as {found}; each row's label must be a number, one of 1 (anomaly), 0 (normal) and "
            "-1 (unlabelled)."
        )
    labels = labels.astype(np.int64)
    if need_anomalies and not (labels == 1).any():
        raise DataError(
            f"y labels none of the {n} rows 1, and {owner} learns from known anomalies. Label at "
            "least one row 1 (anomaly; 0 is normal, -1 unlabelled), or take a detector that does without."
        )
    n_others = int((labels != 1).sum())
    if n_others < 2:
        raise DataError(
            f"y labels {n - n_others} of the {n} rows as anomalies; at least 2 other rows are needed to learn from."
        )
    return labels
