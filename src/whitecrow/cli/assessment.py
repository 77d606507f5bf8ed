"""Alerts with their reasons, and scores with their labels."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whitecrow.cli.streaming import Scored, TopRows
from whitecrow.data.labels import Labels, read_labels
from whitecrow.workspace.report.alerts import Alert, alerts_of

if TYPE_CHECKING:
    import polars as pl

    from whitecrow.detectors import Detector
    from whitecrow.explain import Explanation

__all__ = ["LabelledScores", "explained"]


class LabelledScores:
    """Scores and labels of a stream of batches, and its highest scores.

    Parameters
    ----------
    detector : Detector
        Fitted; only its columns decide which rows are copies of one another.
    label : str
        Name of the label column.
    top : int
        Rows of the highest scores to keep.
    """

    def __init__(self, detector: "Detector", label: str, top: int) -> None:
        self.best = TopRows(top)
        self._label = label
        from whitecrow.data.encoders import table_encoder

        self._names = [column.name for column in table_encoder(detector.encoder_, "Assessing rows").columns_]
        self._scores: list[NDArray[np.float64]] = []
        self._labels: list[pl.Series] = []
        self._hashes: list[NDArray[np.uint64]] = []

    def add(self, batch: Scored) -> None:
        """Take a batch."""
        self._scores.append(batch.scores)
        self._labels.append(batch.rows[self._label])
        # A model of an array knows its columns by position only.
        names = [name for name in self._names if name in batch.rows.columns]
        chosen = batch.rows.select(names) if names else batch.rows.drop(self._label)
        self._hashes.append(chosen.hash_rows(seed=0).to_numpy())
        self.best.add(batch)

    def labels(self, normal: list[str] | None) -> Labels:
        """Return the labels of all rows."""
        import polars as pl

        return read_labels(pl.concat(self._labels), normal)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Scores of all rows, [N]."""
        return np.concatenate(self._scores)

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """A number for the content of each row, [N]."""
        return np.concatenate(self._hashes)


def explained(
    detector: "Detector", best: TopRows, reasons: int, labels: Labels | None = None
) -> tuple[tuple[Alert, ...], "Explanation | None"]:
    """Return the alerts of the rows with the highest scores, and the explanation that their reasons come from.

    Raises
    ------
    DataError
        If the detector keeps no normal rows to compare with.
    """
    if best.rows is None or best.rows.is_empty():
        return (), None
    explanation = detector.explain(best.rows)
    numbers = best.numbers.tolist()
    places = [number - 1 for number in numbers]
    return alerts_of(explanation, numbers, best.scores.tolist(), reasons, labels, places), explanation
