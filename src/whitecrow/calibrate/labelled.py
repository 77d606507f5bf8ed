"""Thresholds from labelled scores."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.calibrate.inputs import both_classes
from whitecrow.calibrate.threshold import Threshold
from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import NonNegative, Range

__all__ = ["BestF1", "CostBased"]

OpenShare = Annotated[float, Range(0, 1, low_open=True, high_open=True)]


class _Candidates(NamedTuple):
    """Thresholds, falling, and the anomalies and normal rows strictly above each; all of shape [G + 1]."""

    thresholds: NDArray[np.float64]
    caught: NDArray[np.float64]
    false_alarms: NDArray[np.float64]


def _candidates(scores: NDArray[np.float64], y: NDArray[np.bool_]) -> _Candidates:
    distinct, group = np.unique(scores, return_inverse=True)
    lowest = float(distinct[0])
    # The last candidate flags every row, also after rounding to single precision.
    thresholds = np.append(distinct[::-1], lowest - max(abs(lowest), 1.0) * 1e-6)
    caught, false_alarms = (
        np.append(0.0, np.bincount(group[rows], minlength=len(distinct))[::-1].cumsum()) for rows in (y, ~y)
    )
    return _Candidates(thresholds, caught, false_alarms)


@dataclass(frozen=True)
class CostBased(Threshold):
    r"""The threshold with the lowest expected cost on labelled rows.

    .. math:: \pi\,C_{miss}\,FNR + (1 - \pi)\,C_{false}\,FPR

    Parameters
    ----------
    cost_miss : float
        Cost of an anomaly that is not flagged, at least 0.
    cost_false_alarm : float
        Cost of a normal row that is flagged, at least 0, in the same unit. A cost of handling any alert is
        added here and subtracted from ``cost_miss``.
    prevalence : float, optional
        Share of anomalies :math:`\pi` where the detector will work, between 0 and 1. By default that of the
        labels; labelled tables are often enriched with anomalies, and the threshold is then too low.

    Notes
    -----
    Of several thresholds with the same cost the highest is taken: fewest alerts. The cost on the rows of the
    fit is optimistic.
    """

    name: ClassVar[str] = "cost-based"
    needs_labels: ClassVar[bool] = True

    cost_miss: NonNegative
    cost_false_alarm: NonNegative
    prevalence: OpenShare | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cost_miss == 0 and self.cost_false_alarm == 0:
            raise ParameterError(
                "CostBased(cost_miss=0, cost_false_alarm=0): every threshold would cost nothing; at least "
                "one cost must be above 0."
            )

    @property
    def source(self) -> str:
        """What the threshold means."""
        share = (
            "at their share of anomalies" if self.prevalence is None else f"for {100 * self.prevalence:g} % anomalies"
        )
        return (
            f"lowest expected cost on the labelled scores it was fitted on, {share} (a miss costs "
            f"{self.cost_miss:g}, a false alarm {self.cost_false_alarm:g}); optimistic on those same rows"
        )

    def fit(self, scores: ArrayLike, y: ArrayLike | None = None) -> float:
        """Return the threshold; see :meth:`Threshold.fit`. Needs labels of both classes."""
        values, labels = both_classes("CostBased", scores, y)
        thresholds, caught, false_alarms = _candidates(values, labels)
        pi = float(labels.mean()) if self.prevalence is None else self.prevalence
        miss_rate, alarm_rate = 1 - caught / caught[-1], false_alarms / false_alarms[-1]
        cost = pi * self.cost_miss * miss_rate + (1 - pi) * self.cost_false_alarm * alarm_rate
        return float(thresholds[cost.argmin()])


@dataclass(frozen=True)
class BestF1(Threshold):
    """The threshold with the highest F1 on labelled rows. Optimistic on those same rows.

    An F1 measured on the rows of the fit is no estimate of the F1 on new rows: on pure noise it is still
    2 p / (1 + p) at a share p of anomalies. Fit it on validation rows and measure on others.

    Notes
    -----
    Of several thresholds with the same F1 the highest is taken: fewest alerts.
    """

    name: ClassVar[str] = "best-f1"
    needs_labels: ClassVar[bool] = True

    @property
    def source(self) -> str:
        """What the threshold means."""
        return "highest F1 on the labelled scores it was fitted on; optimistic on those same rows"

    def fit(self, scores: ArrayLike, y: ArrayLike | None = None) -> float:
        """Return the threshold; see :meth:`Threshold.fit`. Needs labels of both classes."""
        values, labels = both_classes("BestF1", scores, y)
        thresholds, caught, false_alarms = _candidates(values, labels)
        f1 = 2 * caught / (caught[-1] + caught + false_alarms)
        return float(thresholds[f1.argmax()])
