"""A detector judged on labelled samples: the figures, and what makes them doubtful."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.data.labels import Labels
from whitecrow.page.wording import in_units, percent
from whitecrow.workspace.parts import Part

if TYPE_CHECKING:
    from whitecrow.detectors import Detector
    from whitecrow.metrics import Costs, EvaluationReport

__all__ = ["Assessment", "assess", "assess_parts", "seen_in_fit"]

# Beyond this share of copies, intervals that take every row for new evidence are far too narrow.
_MANY_COPIES = 0.05
# Equal scores by chance are rare; half of the distinct ones are not.
_KNOWN = 0.5
_ENOUGH_SCORES = 100
# Of the rows of a part, above which copies of rows of another part are told.
_COPIES_TOLD = 0.01


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


def assess_parts(
    detector: "Detector",
    scores: NDArray[np.float64],
    parts: NDArray[np.uint8],
    labels: Labels | None,
    hashes: NDArray[np.uint64],
    *,
    told: bool,
) -> tuple[Assessment | None, list[str]]:
    """Judge the scores of the test rows; what stands in the way of figures is a note.

    Parameters
    ----------
    detector : Detector
        Fitted; its threshold is judged.
    scores : ndarray, shape [N]
        Anomaly scores of all rows.
    parts : ndarray of uint8, shape [N]
        Values of :class:`~whitecrow.workspace.parts.Part`.
    labels : Labels or None
        Of all rows.
    hashes : ndarray of uint64, shape [N]
        A number for the content of each row.
    told : bool
        Whether the detector was told labels of training rows.

    Returns
    -------
    assessment : Assessment or None
        None where no row is tested, or the tested rows are not of both classes.
    notes : list of str
        What makes the figures doubtful, those of the assessment included.
    """
    test = parts == Part.TEST
    if not test.any():
        return None, ["Every row trained, so nothing is left to measure on. Split the rows to see figures."]
    notes = _copies(parts, hashes)
    if labels is None:
        return None, [*notes, "No column holds labels, so there are no figures of merit, only scores."]
    anomalies, normal = int((labels.y[test] == 1).sum()), int((labels.y[test] == 0).sum())
    if not anomalies or not normal:
        return None, [
            *notes,
            f"The test has {anomalies:,} labelled anomalies and {normal:,} labelled normal rows; figures of merit need "
            "both.",
        ]
    families = None if labels.families is None else labels.families[test]
    tested = Labels(labels.y[test], families, labels.counts, labels.normal)
    assessment = assess(detector, scores[test], tested, hashes[test], None)
    trained = labels.y[parts == Part.TRAIN]
    if (trained == 1).any() and not told:
        notes.append(f"{percent(float((trained == 1).mean()))} of the training rows are labelled as anomalies.")
    return assessment, [*notes, *assessment.notes]


def _copies(parts: NDArray[np.uint8], hashes: NDArray[np.uint64]) -> list[str]:
    """Say which parts have more than a few rows that are copies of rows of another."""
    said = []
    names = {Part.TEST: "test", Part.VALIDATION: "validation", Part.TRAIN: "training"}
    for part, other in ((Part.TEST, Part.TRAIN), (Part.VALIDATION, Part.TRAIN), (Part.TEST, Part.VALIDATION)):
        rows = hashes[parts == part]
        share = float(np.isin(rows, np.unique(hashes[parts == other])).mean()) if len(rows) else 0.0
        if share > _COPIES_TOLD:
            said.append(f"{percent(share)} of the {names[part]} rows have the values of a {names[other]} row.")
    return said


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
