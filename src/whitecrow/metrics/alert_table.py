"""Scores sorted once, so that the figures at any threshold are one binary search away."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Range, check
from whitecrow.metrics.alert_figures import AlertCounts, AlertFigures, alert_figures
from whitecrow.metrics.classes import UNKNOWN, known_classes
from whitecrow.metrics.curves import CostCurve, Costs, thin
from whitecrow.metrics.decisions import finite_threshold
from whitecrow.metrics.inputs import finite_scores, row_groups
from whitecrow.metrics.intervals import Interval, wilson_interval
from whitecrow.metrics.points import OperatingPoints, just_below

__all__ = ["FEW_ANOMALIES", "AlertTable", "ThresholdArrays", "alert_table"]

FEW_ANOMALIES = 100
"""With fewer known anomalies, precision and recall should be shown with their intervals."""

Counts = NDArray[np.int64]
_Points = Annotated[int, Range(2)]


class ThresholdArrays(NamedTuple):
    """What a page needs to answer any threshold without a server.

    With ``i`` the number of entries of ``scores`` at most ``t`` (one binary search), ``anomalies[i]`` known
    anomalies, ``normals[i]`` known normal rows and ``unknown[i]`` others have a score strictly above ``t``. Entry 0
    counts all rows, the last one none.

    Parameters
    ----------
    scores : ndarray of float64, shape [K]
        Distinct, rising.
    anomalies, normals, unknown : ndarray of int, shape [K + 1]
        Falling.
    exact : bool
        Whether every distinct score is kept. If not, answers are exact at the kept scores; in between they are
        those of the kept score below.
    """

    scores: NDArray[np.float64]
    anomalies: Counts
    normals: Counts
    unknown: Counts
    exact: bool


@dataclass(frozen=True, eq=False)
class AlertTable:
    """Counts of the rows above every score; made by :func:`alert_table`.

    Parameters
    ----------
    scores : ndarray of float64, shape [G]
        Distinct scores, rising.
    anomalies, normals, unknown : ndarray of int, shape [G + 1]
        Rows of each class with at least the score of that index; the last entry is 0.
    distinct_known : ndarray of int, shape [G + 1]
        The same for distinct rows of known class. Intervals are as wide as these support.
    n_distinct_anomalies : int
        Distinct rows among the known anomalies.
    """

    scores: NDArray[np.float64]
    anomalies: Counts
    normals: Counts
    unknown: Counts
    distinct_known: Counts
    n_distinct_anomalies: int

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.anomalies[0] + self.normals[0] + self.unknown[0])

    @property
    def alerts(self) -> Counts:
        """Rows of whatever class with at least the score of that index, shape [G + 1]."""
        return self.anomalies + self.normals + self.unknown

    @property
    def few_anomalies(self) -> bool:
        """Whether precision and recall need their intervals beside them."""
        return bool(self.anomalies[0] < FEW_ANOMALIES)

    def _place(self, threshold: float) -> int:
        return int(self.scores.searchsorted(finite_threshold(threshold), side="right"))

    def threshold_of(self, index: int) -> float:
        """Return the threshold above which lie exactly the rows counted at ``index``, from 0 to G."""
        return float(self.scores[index - 1]) if index else just_below(float(self.scores[0]))

    def counts(self, threshold: float) -> AlertCounts:
        """Count the outcomes when rows with a score strictly above the threshold are flagged.

        Raises
        ------
        DataError
            If the threshold is no finite number.
        """
        i = self._place(threshold)
        (tp, anomalies), (fp, normals), (flagged, unknown) = (
            (int(rows[i]), int(rows[0])) for rows in (self.anomalies, self.normals, self.unknown)
        )
        return AlertCounts(tp, fp, anomalies - tp, normals - fp, flagged, unknown - flagged)

    def figures(self, threshold: float, costs: Costs | None = None) -> AlertFigures:
        """Return all figures of merit at a threshold; see :func:`alert_figures`.

        Raises
        ------
        DataError
            If the threshold is no finite number.
        """
        return alert_figures(self.counts(threshold), costs)

    def intervals(self, threshold: float, *, level: float = 0.95) -> dict[str, Interval]:
        """Return precision and recall with Wilson intervals, or nothing without a known anomaly.

        Copies of a row count once for the width, if ``groups`` were given.

        Raises
        ------
        DataError
            If the threshold is no finite number.
        ParameterError
            If ``level`` is not between 0 and 1.
        """
        figures = self.figures(threshold)
        if figures.precision is None or figures.recall is None:
            return {}
        n_flagged = int(self.distinct_known[self._place(threshold)])
        return {
            "precision": wilson_interval(figures.precision, n_flagged, level=level),
            "recall": wilson_interval(figures.recall, self.n_distinct_anomalies, level=level),
        }

    def cost_curve(self, costs: Costs) -> CostCurve:
        """Return the expected cost per record at every threshold that makes a difference, thresholds falling.

        Raises
        ------
        DataError
            Without known rows of both classes.
        """
        if not (self.anomalies[0] and self.normals[0]):
            raise DataError(
                f"The table holds {self.anomalies[0]} known anomalies and {self.normals[0]} known normal rows; a cost "
                "needs at least one of each. Label some rows of both classes."
            )
        points = OperatingPoints(self.anomalies[::-1].astype(float), self.normals[::-1].astype(float))
        return CostCurve(np.append(self.scores[::-1], self.threshold_of(0)), costs.per_row(points))

    def arrays(self, max_points: int | None = None) -> ThresholdArrays:
        """Return the distinct scores and the cumulative counts, for a page.

        Parameters
        ----------
        max_points : int, optional
            Keep at most so many scores, at least 2: spread over the recall and over the logarithm of the number of
            alerts, so that the top of the queue stays fine. By default all are kept.

        Raises
        ------
        ParameterError
            If ``max_points`` is below 2.
        """
        check("arrays", "max_points", max_points, _Points | None)
        if max_points is None or max_points >= len(self.scores):
            return ThresholdArrays(self.scores, self.anomalies, self.normals, self.unknown, exact=True)
        # The entry that counts all rows comes on top of the kept scores.
        kept = thin(np.log1p(self.alerts), self.anomalies.astype(float), max_points + 1)
        counts = (rows[kept] for rows in (self.anomalies, self.normals, self.unknown))
        return ThresholdArrays(self.scores[kept[1:] - 1], *counts, exact=False)


def alert_table(scores: ArrayLike, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> AlertTable:
    """Sort scores once and count the rows of each class above every one of them.

    Parameters
    ----------
    scores : array_like, shape [N]
        Finite; higher = more anomalous.
    y : array_like of {1, 0, -1, NaN, None}, shape [N], optional
        1 = anomaly, 0 = normal, anything else named here = unknown. Without labels all rows are unknown.
    groups : array_like, shape [N], optional
        Number of the distinct row that each row is a copy of; widens the intervals to what the distinct rows
        support.

    Raises
    ------
    DataError
        If scores, labels or groups cannot be used.

    Examples
    --------
    >>> table = alert_table([0.1, 0.4, 0.4, 0.9], y=[0, 1, -1, 1])
    >>> table.counts(0.2)
    AlertCounts(tp=2, fp=0, fn=0, tn=1, unknown_flagged=1, unknown_passed=0)
    """
    values = finite_scores(scores)
    labels = known_classes(y, values)
    order = np.argsort(values)
    ordered, classes = values[order], labels[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    distinct = ordered[starts]

    def above(rows: NDArray[np.bool_]) -> Counts:
        passed = np.append(0, np.cumsum(rows))
        return passed[-1] - passed[np.append(starts, len(rows))]

    anomalies, normals, unknown = (above(classes == kind) for kind in (1, 0, UNKNOWN))
    distinct_known, n_distinct = anomalies + normals, int(anomalies[0])
    if groups is not None:
        unit = row_groups(groups, labels == 1)
        n_distinct = len(np.unique(unit[labels == 1]))
        # A distinct row is flagged as soon as the highest of its copies is.
        highest = np.full(int(unit.max()) + 1, -np.inf)
        known = labels != UNKNOWN
        np.maximum.at(highest, unit[known], values[known])
        highest = np.sort(highest[highest > -np.inf])
        distinct_known = len(highest) - np.append(highest.searchsorted(distinct), len(highest))
    return AlertTable(distinct, anomalies, normals, unknown, distinct_known, n_distinct)
