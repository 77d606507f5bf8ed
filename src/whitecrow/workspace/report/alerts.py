"""The highest scores of a report, each with its reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whitecrow.data.labels import Labels

if TYPE_CHECKING:
    from whitecrow.explain import Explanation

__all__ = ["Alert", "alerts_of", "label_text"]

_WORTH_SAYING = 0.05


@dataclass(frozen=True)
class Alert:
    """One row of an alert list.

    Parameters
    ----------
    number : int
        Number of the row, as its source counts them.
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


def alerts_of(
    explanation: "Explanation",
    numbers: Sequence[int],
    scores: Sequence[float],
    reasons: int,
    labels: Labels | None = None,
    places: Sequence[int] | None = None,
) -> tuple[Alert, ...]:
    """Return explained rows as alerts, in their order.

    Parameters
    ----------
    explanation : Explanation
        Of the n rows.
    numbers : sequence of int, length n
        What the rows are called.
    scores : sequence of float, length n
        Their anomaly scores.
    reasons : int
        Most reasons of each.
    labels : Labels, optional
        Labels of all rows that there are.
    places : sequence of int, length n, optional
        Where the rows stand among these; needed with ``labels``.
    """
    p_values = explanation.p_values
    alerts = []
    for k, (number, score) in enumerate(zip(numbers, scores, strict=True)):
        label = anomaly = None
        if labels is not None and places is not None:
            label = label_text(labels, places[k])
            anomaly = None if labels.y[places[k]] < 0 else bool(labels.y[places[k]] == 1)
        alerts.append(
            Alert(
                number=number,
                score=score,
                p_value=None if p_values is None else float(p_values[k]),
                flagged=score > explanation.threshold,
                reason=explanation.text(k, reasons),
                reasons=tuple((r.text, r.share) for r in explanation.top(k, reasons) if r.share >= _WORTH_SAYING),
                label=label,
                anomaly=anomaly,
            )
        )
    return tuple(alerts)


def label_text(labels: Labels, row: int) -> str:
    """Return the label of a row in words."""
    if labels.y[row] < 0:
        return "unlabelled"
    if labels.families is not None:
        return str(labels.families[row])
    return "anomaly" if labels.y[row] else "normal"
