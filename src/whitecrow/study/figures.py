"""Figures of merit by name, each with what it takes from the test labels and which direction is better."""

import numpy as np

from whitecrow.core.errors import ParameterError
from whitecrow.core.registry import unknown_name
from whitecrow.metrics import (
    PrecisionRecallF1,
    auroc,
    average_precision,
    best_f1,
    distinct_scores,
    f1_at_known_ratio,
    operational_f1,
    precision_at_k,
    recall_at_fpr,
)
from whitecrow.metrics.inputs import labelled_scores
from whitecrow.study.merit import BEST, Compute, Figure, Scored
from whitecrow.study.series_figures import series_figures

__all__ = ["Figure", "figure", "figures"]

_RATIO = "The number of flagged rows is the number of anomalies in the test, which only a study knows."


def _known_ratio(part: str) -> Compute:
    return lambda t: getattr(f1_at_known_ratio(t.y, t.scores), part)


def _operational(part: str) -> Compute:
    return lambda t: getattr(operational_f1(t.y, t.scores, t.threshold), part)


def _tuned_on_a_fifth(test: Scored) -> float:
    y, scores = labelled_scores(test.y, test.scores)  # both classes are needed
    rng = np.random.default_rng(test.seed)
    tuned = np.zeros(len(y), dtype=bool)
    for label in (False, True):  # by class, or a small fifth may hold no anomaly
        rows = rng.permutation(np.flatnonzero(y == label))
        tuned[rows[: max(1, len(rows) // 5)]] = True
    percentiles = np.clip(100 * (1 - y.mean()) + np.linspace(-5, 5, 100), 0, 100)
    candidates = np.percentile(scores[tuned], percentiles)
    on_the_fifth = [operational_f1(y[tuned], scores[tuned], t).f1 for t in candidates]
    return operational_f1(y[~tuned], scores[~tuned], candidates[int(np.argmax(on_the_fifth))]).f1


def _table() -> dict[str, Figure]:
    entries = [
        Figure(
            "auroc",
            "AUROC",
            "Chance that an anomaly scores above a normal row; 0.5 is chance, whatever the share of anomalies.",
            lambda t: auroc(t.y, t.scores),
        ),
        Figure(
            "average_precision",
            "AP",
            "Area under the precision-recall steps. Chance is the share of anomalies in the test.",
            lambda t: average_precision(t.y, t.scores),
        ),
        Figure(
            "recall_at_fpr_1",
            "Recall at 1 % FPR",
            "Highest recall while at most 1 % of the normal test rows are flagged.",
            lambda t: recall_at_fpr(t.y, t.scores, 0.01),
            uses_test_labels="The threshold is set on the normal rows of the test.",
        ),
        Figure(
            "precision_at_100",
            "Precision at 100",
            "Share of anomalies among the 100 highest scores, or among all of a test with fewer rows.",
            lambda t: precision_at_k(t.y, t.scores, min(100, len(t.scores))),
        ),
        Figure(
            "best_f1_on_test",
            "Best F1 on the test",
            "Highest F1 over all thresholds on the test. No deployed detector reaches it.",
            lambda t: best_f1(t.y, t.scores).f1,
            uses_test_labels=BEST,
        ),
        Figure(
            "f1_tuned_on_test_fifth",
            "F1, tuned on a fifth of the test",
            "F1 on four fifths of the test, at the best on the other fifth of 100 percentiles within 5 points of the "
            "true ratio. The fifth is drawn by class.",
            _tuned_on_a_fifth,
            uses_test_labels="The threshold is fitted on a labelled fifth of the test, around the test's true ratio.",
        ),
        Figure(
            "distinct_scores",
            "Distinct scores",
            "Number of different scores; few of them betray a collapsed model.",
            lambda t: distinct_scores(t.scores),
            direction="none",
        ),
    ]
    titles = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
    for part in PrecisionRecallF1._fields:
        entries += [
            Figure(
                f"{part}_at_known_ratio",
                f"{titles[part]} at the known ratio",
                "When exactly as many rows are flagged as there are anomalies; precision, recall and F1 are equal.",
                _known_ratio(part),
                uses_test_labels=_RATIO,
            ),
            Figure(
                f"operational_{part}",
                f"Operational {titles[part]}",
                "At the model's own threshold, which was set without test labels: what a deployed detector reaches.",
                _operational(part),
                needs_threshold=True,
            ),
        ]
    return {entry.name: entry for entry in (*entries, *series_figures())}


_FIGURES = _table()
# Names that leave open how the rows are flagged, or which area is meant.
_AMBIGUOUS = {
    "f1": ("f1_at_known_ratio", "operational_f1", "best_f1_on_test", "f1_tuned_on_test_fifth"),
    "best_f1": ("best_f1_on_test",),
    "precision": ("precision_at_known_ratio", "operational_precision", "precision_at_100"),
    "recall": ("recall_at_known_ratio", "operational_recall", "recall_at_fpr_1"),
    "accuracy": ("auroc", "average_precision", "operational_f1"),
    "auc": ("auroc", "average_precision"),
}
_ALIASES = {
    "f1_score": "f1",
    "f_score": "f1",
    "f_measure": "f1",
    "recall_score": "recall",
    "precision_score": "precision",
    "accuracy_score": "accuracy",
}
_OPEN = {
    "accuracy": "where anomalies are rare, flagging nothing is nearly always right",
    "auc": "it does not say under which curve",
    "best_f1": "it does not say that it is the best on the test",
}


def figures(protocol: str | None = None) -> list[str]:
    """Return the names of the figures (that a protocol's test has), in alphabetical order."""
    return sorted(
        name for name, one in _FIGURES.items() if protocol is None or not one.protocols or protocol in one.protocols
    )


def figure(name: str) -> Figure:
    """Return a figure by name.

    Raises
    ------
    ParameterError
        If the name is a usual one that leaves open how rows are flagged, such as ``f1``; the message tells which
        honest names there are.
    UnknownNameError
        If there is no such figure; the message lists them.

    Examples
    --------
    >>> figure("auroc")([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    given = str(name).lower().replace("-", "_")
    plain = _ALIASES.get(given, given)
    if plain in _AMBIGUOUS:
        reason = _OPEN.get(plain, "it does not say who sets the threshold")
        raise ParameterError(f"{name!r} is no name for a figure: {reason}. Choose from {', '.join(_AMBIGUOUS[plain])}.")
    if name not in _FIGURES:
        raise unknown_name("figure", name, figures())
    return _FIGURES[name]
