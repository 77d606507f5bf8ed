"""Figures of merit by name, each with what it takes from the test labels and which direction is better."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Natural, check
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

__all__ = ["Figure", "figure", "figures"]

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]
Compute = Callable[[Labels, Scores, float, int], float]

_RATIO = "The number of flagged rows is the number of anomalies in the test, which only a study knows."


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of merit of the scores of one test.

    Attributes
    ----------
    name, title, description : str
        Name in the registry, heading of a column, one or two sentences.
    compute : callable
        ``compute(y, scores, threshold, seed) -> float``; call the figure itself instead, it checks first.
    direction : {"higher", "lower", "none"}
        What is better.
    uses_test_labels : str
        What is taken from the test labels beyond comparing with them, to be shown beside the figure; empty if
        nothing is.
    needs_threshold : bool
        Whether the model's own threshold is needed.
    """

    name: str
    title: str
    description: str
    compute: Compute
    direction: Literal["higher", "lower", "none"] = "higher"
    uses_test_labels: str = ""
    needs_threshold: bool = False

    def __call__(self, y: ArrayLike, scores: ArrayLike, threshold: float | None = None, *, seed: int = 0) -> float:
        """Return the figure.

        Parameters
        ----------
        y : array-like of {0, 1}, shape (N,)
            Labels of the test; 1 = anomaly.
        scores : array-like, shape (N,)
            Finite; higher = more anomalous.
        threshold : float, optional
            The model's own, fitted without these labels.
        seed : int, default=0
            Seed of the figures that draw rows.

        Raises
        ------
        DataError
            If labels, scores or threshold cannot be used, or a class is missing that the figure needs.
        ParameterError
            If a threshold is needed and absent.
        """
        check(self.name, "seed", seed, Natural)
        if self.needs_threshold and threshold is None:
            raise ParameterError(f"{self.name} needs the model's own threshold, and none was given.")
        labels, values = labelled_scores(y, scores, anomalies=False, normals=False)
        return float(self.compute(labels, values, np.nan if threshold is None else threshold, seed))


def _known_ratio(part: str) -> Compute:
    return lambda y, scores, threshold, seed: getattr(f1_at_known_ratio(y, scores), part)


def _operational(part: str) -> Compute:
    return lambda y, scores, threshold, seed: getattr(operational_f1(y, scores, threshold), part)


def _tuned_on_a_fifth(y: Labels, scores: Scores, threshold: float, seed: int) -> float:
    labelled_scores(y, scores)  # both classes are needed
    rng = np.random.default_rng(seed)
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
            lambda y, scores, threshold, seed: auroc(y, scores),
        ),
        Figure(
            "average_precision",
            "AP",
            "Area under the precision-recall steps. Chance is the share of anomalies in the test.",
            lambda y, scores, threshold, seed: average_precision(y, scores),
        ),
        Figure(
            "recall_at_fpr_1",
            "Recall at 1 % FPR",
            "Highest recall while at most 1 % of the normal test rows are flagged.",
            lambda y, scores, threshold, seed: recall_at_fpr(y, scores, 0.01),
            uses_test_labels="The threshold is set on the normal rows of the test.",
        ),
        Figure(
            "precision_at_100",
            "Precision at 100",
            "Share of anomalies among the 100 highest scores, or among all of a test with fewer rows.",
            lambda y, scores, threshold, seed: precision_at_k(y, scores, min(100, len(scores))),
        ),
        Figure(
            "best_f1_on_test",
            "Best F1 on the test",
            "Highest F1 over all thresholds on the test. No deployed detector reaches it.",
            lambda y, scores, threshold, seed: best_f1(y, scores).f1,
            uses_test_labels="The threshold is the best one on the labels it is then measured on.",
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
            lambda y, scores, threshold, seed: distinct_scores(scores),
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
    return {entry.name: entry for entry in entries}


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


def figures() -> list[str]:
    """Return the names of the figures, in alphabetical order."""
    return sorted(_FIGURES)


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
