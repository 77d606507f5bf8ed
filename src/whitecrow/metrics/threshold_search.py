"""From what an analyst wants to the threshold that gives it.

Each function takes an :class:`~whitecrow.metrics.alert_table.AlertTable` and answers with the lowest threshold that
keeps to the wish, so that as much as possible is caught. Thresholds are observed scores, or just below all of them.
"""

from typing import Annotated, NamedTuple

import numpy as np

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Natural, Range, Share, check
from whitecrow.metrics.alert_table import AlertTable
from whitecrow.metrics.curves import Costs

__all__ = [
    "ThresholdChoice",
    "threshold_for_alert_count",
    "threshold_for_alert_rate",
    "threshold_for_cost",
    "threshold_for_false_positive_rate",
    "threshold_for_percentile",
]

Percent = Annotated[float, Range(0, 100)]
PerThousand = Annotated[float, Range(0, 1000)]


class ThresholdChoice(NamedTuple):
    """A threshold, what it means, and whether it was found on the labels of the rows in view.

    Parameters
    ----------
    threshold : float
        Rows with a score strictly above it are flagged.
    source : str
        The rest of a sentence that begins with "Threshold: ...".
    uses_labels : bool
        Figures of merit at such a threshold are optimistic on these same rows.
    """

    threshold: float
    source: str
    uses_labels: bool


def threshold_for_percentile(table: AlertTable, percentile: float) -> ThresholdChoice:
    """Return the lowest threshold that lets at least ``percentile`` % of the rows pass, from 0 to 100.

    Raises
    ------
    ParameterError
        If ``percentile`` is out of its range.
    """
    check("threshold_for_percentile", "percentile", percentile, Percent)
    passed = table.n - table.alerts
    index = int(np.count_nonzero(100 * passed / table.n < percentile))
    return _choice(table, index, f"percentile {percentile:g} of the scores in view", uses_labels=False)


def threshold_for_alert_count(table: AlertTable, count: int) -> ThresholdChoice:
    """Return the lowest threshold that flags at most ``count`` rows, at least 0. Tied rows are flagged together.

    Raises
    ------
    ParameterError
        If ``count`` is below 0.
    """
    check("threshold_for_alert_count", "count", count, Natural)
    index = int(np.count_nonzero(table.alerts > count))
    return _choice(table, index, f"at most {count} alerts among the rows in view", uses_labels=False)


def threshold_for_alert_rate(table: AlertTable, per_1000: float) -> ThresholdChoice:
    """Return the lowest threshold with at most ``per_1000`` alerts per 1,000 records, from 0 to 1,000.

    Raises
    ------
    ParameterError
        If ``per_1000`` is out of its range.
    """
    check("threshold_for_alert_rate", "per_1000", per_1000, PerThousand)
    # The same division as in the figures shown, so that a displayed rate leads back to its threshold.
    index = int(np.count_nonzero(1000 * table.alerts / table.n > per_1000))
    return _choice(table, index, f"at most {per_1000:g} alerts per 1,000 records in view", uses_labels=False)


def threshold_for_false_positive_rate(table: AlertTable, max_fpr: float) -> ThresholdChoice:
    """Return the lowest threshold that flags at most the share ``max_fpr`` of the known normal rows.

    Raises
    ------
    DataError
        Without known normal rows.
    ParameterError
        If ``max_fpr`` is not from 0 to 1.
    """
    check("threshold_for_false_positive_rate", "max_fpr", max_fpr, Share)
    if not table.normals[0]:
        raise DataError("No row is known to be normal; a false-positive rate needs at least one. Label some rows.")
    source = f"false-positive rate of at most {100 * max_fpr:g} % on these labels; optimistic on these same rows"
    index = int(np.count_nonzero(table.normals / table.normals[0] > max_fpr))
    return _choice(table, index, source, uses_labels=True)


def threshold_for_cost(table: AlertTable, costs: Costs) -> ThresholdChoice:
    """Return the threshold with the lowest expected cost; of several the highest, with the fewest alerts.

    Raises
    ------
    DataError
        Without known rows of both classes.
    """
    curve = table.cost_curve(costs)
    share = "at their share of anomalies" if costs.prevalence is None else f"for {100 * costs.prevalence:g} % anomalies"
    source = f"lowest expected cost on the labels in view, {share}; optimistic on these same rows"
    return ThresholdChoice(float(curve.thresholds[curve.costs.argmin()]), source, uses_labels=True)


def _choice(table: AlertTable, index: int, source: str, *, uses_labels: bool) -> ThresholdChoice:
    return ThresholdChoice(table.threshold_of(index), source, uses_labels)
