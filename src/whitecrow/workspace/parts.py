"""Which part of a data set each row belongs to, in a run."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.data.contamination import house_split
from whitecrow.data.labels import Labels
from whitecrow.workspace.request import HELD_OUT, FitRequest

__all__ = ["Part", "part_rows"]


class Part(IntEnum):
    """What a row was used for."""

    TRAIN = 0
    TEST = 1
    LEFT_OUT = 2


def part_rows(request: FitRequest, n_rows: int, labels: Labels | None) -> NDArray[np.uint8]:
    """Return the part of each row.

    Parameters
    ----------
    request : FitRequest
        Its split, regime and seed decide.
    n_rows : int
        Rows of the data set.
    labels : Labels or None
        Their labels, where there are any.

    Returns
    -------
    ndarray of uint8, shape [N]
        Values of :class:`Part`. In the clean regime only rows labelled normal train; the anomalies and the rows
        without a label that the split would have trained on are tested in a random split, and left out in one by
        order, whose test is later than its training.

    Raises
    ------
    DataError
        If fewer than 2 rows would train.
    """
    split = request.split
    if split.injected is not None and labels is not None:
        parts = _injected(request, labels)
    else:
        parts = np.full(n_rows, Part.TEST, dtype=np.uint8)
        n_train = n_rows if split.kind == "all" else round(split.share * n_rows)
        order = np.random.default_rng(request.seed).permutation(n_rows) if split.kind == "random" else np.arange(n_rows)
        parts[order[:n_train]] = Part.TRAIN
        if request.regime == "clean" and labels is not None:
            elsewhere = Part.TEST if split.kind == "random" else Part.LEFT_OUT
            parts[(parts == Part.TRAIN) & (labels.y != 0)] = elsewhere
    if (parts == Part.TRAIN).sum() < 2:
        raise DataError("Fewer than 2 rows would train. Let a larger share train, or take the regime 'contaminated'.")
    return parts


def _injected(request: FitRequest, labels: Labels) -> NDArray[np.uint8]:
    known = np.flatnonzero(labels.y >= 0)
    rule = request.split
    split = house_split(
        labels.y[known], request.seed, contamination=rule.injected or 0.0, holdout=HELD_OUT, train_share=rule.share
    )
    # Anomalies that were set aside and not injected are in no part, so that the test is the same for every share.
    parts = np.full(len(labels.y), Part.LEFT_OUT, dtype=np.uint8)
    parts[known[split.train]] = Part.TRAIN
    parts[known[split.test]] = Part.TEST
    return parts
