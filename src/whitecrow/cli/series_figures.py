"""Figures of a detector on one labelled series: by step, by event, and for each true window."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.cli.wording import percent
from whitecrow.core.errors import DataError

__all__ = ["RANKING", "SERIES_NAMES", "SeriesFigures", "TrueWindow", "judge_series"]

SERIES_NAMES = {
    "vus_pr": "VUS-PR",
    "vus_roc": "VUS-ROC",
    "auroc": "AUROC by step",
    "average_precision": "Average precision by step",
    "event_precision": "Share of alarms that touch a true window",
    "event_recall": "Share of true windows found",
    "event_f1": "F1 of events",
    "range_precision": "Range precision",
    "range_recall": "Range recall",
    "affiliation_precision": "Affiliation precision",
    "affiliation_recall": "Affiliation recall",
    "precision": "Precision by step",
    "recall": "Recall by step",
}
RANKING = ("vus_pr", "vus_roc", "auroc", "average_precision")
_FEW = 10


@dataclass(frozen=True)
class TrueWindow:
    """A run of steps that are labelled anomalous, and how it fared.

    Parameters
    ----------
    first, last : int
        Its steps in the order of time, from 1, both included.
    start, end : str or None
        Their times, where there are any.
    delay : int or None
        Steps from the first to the first that is flagged; None if none is.
    delay_seconds : float or None
        The same by the times.
    flagged : int
        Steps of it that are flagged.
    peak : float
        Its highest score.
    """

    first: int
    last: int
    start: str | None
    end: str | None
    delay: int | None
    delay_seconds: float | None
    flagged: int
    peak: float


@dataclass(frozen=True, eq=False)
class SeriesFigures:
    """All that is known of one detector on one labelled series.

    Parameters
    ----------
    metrics : mapping of str to float
        Figures from 0 to 1, by the names of :data:`SERIES_NAMES`; NaN where one is undefined.
    baselines : mapping of str to float
        What scores without any information reach, where that is known.
    buffer : int
        Steps by which the volumes under the surface (VUS) forgive a lag.
    delay : mapping of str to float
        Mean, median and 95th percentile of the delays of the windows that were found, in steps; and in seconds, where
        there are times.
    windows : tuple of TrueWindow
        In the order of time.
    n, n_anomalous, n_flagged : int
        Steps; those that are labelled anomalous; those that are flagged.
    alarms, false_alarms : int
        Runs of flagged steps, and those of them that touch no true window.
    threshold, threshold_source
        A step is flagged if its score is above; what the threshold means.
    notes : tuple of str
        What makes these figures doubtful.
    """

    metrics: Mapping[str, float]
    baselines: Mapping[str, float]
    buffer: int
    delay: Mapping[str, float]
    windows: tuple[TrueWindow, ...]
    n: int
    n_anomalous: int
    n_flagged: int
    alarms: int
    false_alarms: int
    threshold: float
    threshold_source: str
    notes: tuple[str, ...]

    @property
    def found(self) -> int:
        """Number of true windows with a flagged step."""
        return sum(window.delay is not None for window in self.windows)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON; what is not finite becomes None when it is written."""
        return asdict(self)


def judge_series(
    y: NDArray[np.integer],
    scores: NDArray[np.float64],
    threshold: float,
    *,
    threshold_source: str,
    buffer: int,
    times: NDArray[Any] | None = None,
) -> SeriesFigures:
    """Judge the scores of a series.

    Parameters
    ----------
    y : ndarray of {0, 1}, shape [T]
        1 = step of an anomaly, in the order of time. Both classes are needed.
    scores : ndarray, shape [T]
        Higher = more anomalous.
    threshold : float
        A step is flagged if its score is above.
    threshold_source : str
        What the threshold means.
    buffer : int
        Steps by which VUS forgives a lag; usually the period of the series.
    times : ndarray of datetime64, shape [T], optional
        When each step was taken.

    Raises
    ------
    DataError
        If the steps are of one class only.
    """
    from whitecrow.metrics import auroc, average_precision, precision_recall_f1, series

    if y.all() or not y.any():
        given = "anomalous" if y.all() else "normal"
        raise DataError(
            f"All {len(y):,} steps are labelled {given}; both classes are needed. Give a series with true windows, or "
            "say with --normal which labels mean normal."
        )
    flags = scores > threshold
    area = series.vus(y, scores, buffer)
    by_event = series.event_wise(y, flags)
    ranges, nearness = series.range_based(y, flags), series.affiliation(y, flags)
    by_step = precision_recall_f1(y, flags)
    late = series.detection_delay(y, flags)
    delay = {"mean": late.mean, "median": late.median, "p95": late.p95}
    if times is not None:
        seconds = series.detection_delay(y, flags, times=times)
        delay |= {"mean_seconds": seconds.mean, "median_seconds": seconds.median, "p95_seconds": seconds.p95}
    alarms = series.events(flags)
    touched = [bool(y[first:stop].any()) for first, stop in alarms]
    windows = tuple(_window(first, stop, scores, flags, times) for first, stop in series.events(y).tolist())
    prevalence = float(y.mean())
    return SeriesFigures(
        metrics={
            "vus_pr": area.pr,
            "vus_roc": area.roc,
            "auroc": auroc(y, scores),
            "average_precision": average_precision(y, scores),
            "event_precision": by_event.precision,
            "event_recall": by_event.recall,
            "event_f1": by_event.f1,
            "range_precision": ranges.precision,
            "range_recall": ranges.recall,
            "affiliation_precision": nearness.precision,
            "affiliation_recall": nearness.recall,
            "precision": by_step.precision,
            "recall": by_step.recall,
        },
        baselines={"auroc": 0.5, "average_precision": prevalence, "precision": prevalence},
        buffer=buffer,
        delay=delay,
        windows=windows,
        n=len(y),
        n_anomalous=int(y.sum()),
        n_flagged=int(flags.sum()),
        alarms=len(alarms),
        false_alarms=touched.count(False),
        threshold=threshold,
        threshold_source=threshold_source,
        notes=_notes(y, flags, len(windows)),
    )


def _window(
    first: int, stop: int, scores: NDArray[np.float64], flags: NDArray[np.bool_], times: NDArray[Any] | None
) -> TrueWindow:
    hits = np.flatnonzero(flags[first:stop])
    delay = int(hits[0]) if len(hits) else None
    late = None if delay is None or times is None else (times[first + delay] - times[first]) / np.timedelta64(1, "s")
    start, end = (None, None) if times is None else (_stamp(times[first]), _stamp(times[stop - 1]))
    peak = float(scores[first:stop].max())
    return TrueWindow(first + 1, stop, start, end, delay, None if late is None else float(late), len(hits), peak)


def _stamp(time: Any) -> str:
    return str(time.astype("datetime64[s]")).replace("T", " ")


def _notes(y: NDArray[np.integer], flags: NDArray[np.bool_], n_windows: int) -> tuple[str, ...]:
    few = "is only one true window" if n_windows == 1 else f"are only {n_windows} true windows"
    share = float(flags.mean())
    said = [
        (n_windows < _FEW, f"There {few}: the figures of events are rough."),
        (not flags.any(), "Nothing is flagged at this threshold; precision is shown as 0."),
        (
            share > 0.5,
            f"{percent(share)} of the steps are flagged: windows are then found by chance.",
        ),
        (float(y.mean()) > 0.5, "Most steps are labelled anomalous. Check which labels mean normal."),
    ]
    return tuple(sentence for holds, sentence in said if holds)
