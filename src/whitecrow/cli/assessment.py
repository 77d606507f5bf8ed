"""A detector judged on labelled rows: the figures, and the alerts with their reasons."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.cli.streaming import Scored, TopRows
from whitecrow.cli.wording import in_units, percent
from whitecrow.data.labels import Labels, read_labels

if TYPE_CHECKING:
    import polars as pl

    from whitecrow.detectors import Detector
    from whitecrow.explain import Explanation
    from whitecrow.metrics import Costs, EvaluationReport

__all__ = ["Alert", "Assessment", "LabelledScores", "assess", "explained", "label_text", "seen_in_fit"]

# Beyond this share of copies, intervals that take every row for new evidence are far too narrow.
_MANY_COPIES = 0.05
# Equal scores by chance are rare; half of the distinct ones are not.
_KNOWN = 0.5
_ENOUGH_SCORES = 100
_WORTH_SAYING = 0.05


@dataclass(frozen=True)
class Alert:
    """One row of an alert list.

    Parameters
    ----------
    number : int
        Number of the row in its file, from 1.
    score : float
        Anomaly score.
    p_value : float or None
        None where the detector held out no rows.
    flagged : bool
        Whether the score exceeds the threshold.
    reason : str
        Why, in one sentence.
    reasons : tuple of (str, float)
        The same reasons one by one, each with its share from 0 to 1; may be empty.
    label : str or None
        The row's label, if there are labels.
    anomaly : bool or None
        Whether that label is an anomaly.
    """

    number: int
    score: float
    p_value: float | None
    flagged: bool
    reason: str
    reasons: tuple[tuple[str, float], ...] = ()
    label: str | None = None
    anomaly: bool | None = None


@dataclass(frozen=True)
class Assessment:
    """What is known of one detector on one labelled table.

    Parameters
    ----------
    report : EvaluationReport
        All figures.
    labels : Labels
        Which rows counted as what.
    notes : tuple of str
        What makes the figures doubtful, those of the report included.
    """

    report: "EvaluationReport"
    labels: Labels
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        document = self.report.to_dict()
        document["labels"] = self.labels.to_dict()
        return document


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


def assess(
    detector: "Detector",
    scores: NDArray[np.float64],
    labels: Labels,
    hashes: NDArray[np.uint64],
    costs: "Costs | None",
    unit: str = "row",
) -> Assessment:
    """Judge scores by labels; rows without a label are left out, with a note.

    Parameters
    ----------
    detector : Detector
        Fitted; its threshold is judged.
    scores : ndarray, shape [N]
        Anomaly scores of the rows.
    labels : Labels
        Their labels.
    hashes : ndarray of uint64, shape [N]
        A number for the content of each row.
    costs : Costs or None
        What the outcomes cost.
    unit : str, default="row"
        What the notes call a sample.

    Raises
    ------
    DataError
        If the labelled rows are not of both classes.
    """
    from whitecrow.metrics import evaluation_report

    notes = []
    known = labels.y >= 0
    if not known.all():
        notes.append(f"{(~known).sum():,} rows have no label and are left out of the evaluation.")
    y, scores, hashes = labels.y[known], scores[known], hashes[known]
    copies = 1 - len(np.unique(hashes)) / max(len(hashes), 1)
    groups = None
    if copies > _MANY_COPIES:
        groups = hashes
        notes.append(f"{percent(copies)} of the rows are copies of others; the intervals count each distinct row once.")
    seen = seen_in_fit(detector, scores)
    if seen is not None:
        notes.append(seen)
    families = None if labels.families is None else labels.families[known]
    report = evaluation_report(
        y,
        scores,
        detector.threshold_,
        threshold_source=detector.threshold_source_,
        families=families,
        costs=costs,
        groups=groups,
    )
    return Assessment(report, labels, tuple(in_units(note, unit) for note in (*notes, *report.notes)))


def seen_in_fit(detector: "Detector", scores: NDArray[np.float64]) -> str | None:
    """Return a sentence where many scores are those of rows of the fit, or those of the fit are among them."""
    seen, here = np.unique(detector.fit_scores_), np.unique(scores)
    if min(len(seen), len(here)) < _ENOUGH_SCORES:
        return None
    common = len(np.intersect1d(seen, here, assume_unique=True))
    share = max(common / len(seen), common / len(here))
    if share <= _KNOWN:
        return None
    return (
        f"{percent(share)} of the distinct scores are exactly those of rows that the model was fitted on: the two "
        "files share rows, so the figures are too good. Evaluate on rows that fit has not seen."
    )


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
    p_values = explanation.p_values
    alerts = []
    for k, number in enumerate(best.numbers.tolist()):
        label = None if labels is None else label_text(labels, number - 1)
        alerts.append(
            Alert(
                number=number,
                score=float(best.scores[k]),
                p_value=None if p_values is None else float(p_values[k]),
                flagged=bool(best.scores[k] > detector.threshold_),
                reason=explanation.text(k, reasons),
                reasons=tuple((r.text, r.share) for r in explanation.top(k, reasons) if r.share >= _WORTH_SAYING),
                label=label,
                anomaly=None if labels is None or labels.y[number - 1] < 0 else bool(labels.y[number - 1] == 1),
            )
        )
    return tuple(alerts), explanation


def label_text(labels: Labels, row: int) -> str:
    """Return the label of a row in words."""
    if labels.y[row] < 0:
        return "unlabelled"
    if labels.families is not None:
        return str(labels.families[row])
    return "anomaly" if labels.y[row] else "normal"
