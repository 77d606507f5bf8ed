"""Rows of today beside the rows that a run was trained on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.io.batches import score_batch
from whitecrow.metrics.control_chart import AlertRateChart, alert_rate_chart
from whitecrow.metrics.drift import DriftReport, ScoreDrift, drift_report, score_drift
from whitecrow.workspace.dataset_record import DatasetRecord
from whitecrow.workspace.parts import Part
from whitecrow.workspace.row_times import RowTimes, row_times
from whitecrow.workspace.runs import RunRecord
from whitecrow.workspace.workspace import Workspace

__all__ = ["CurrentRows", "DriftStudy", "Window", "current_rows", "drift_study", "reference_rows"]

_FEWEST_HELD_OUT = 50
_BUCKETS = 40

Floats = NDArray[np.float64]
Window = tuple[int, int]


@dataclass(frozen=True, eq=False)
class CurrentRows:
    """Rows that are compared with those of the training.

    Parameters
    ----------
    run : RunRecord
        That is done and has a data set.
    dataset : DatasetRecord
        Where the rows are from.
    rows : ndarray of int64, shape [M]
        Which of its rows.
    table : polars.DataFrame, shape [M, C]
        All of its columns, in original units.
    times : RowTimes
        Of the rows.
    scores : ndarray of float64, shape [M], or None
        Where they are known already, as of the run's own data set.
    """

    run: RunRecord
    dataset: DatasetRecord
    rows: NDArray[np.int64]
    table: pl.DataFrame
    times: RowTimes
    scores: Floats | None


@dataclass(frozen=True, eq=False)
class DriftStudy:
    """What has moved since a run was trained.

    Parameters
    ----------
    run : RunRecord
        With its threshold.
    dataset : DatasetRecord
        Where the current rows are from.
    rows : ndarray of int64, shape [M]
        Which of its rows.
    reference, current : polars.DataFrame
        Columns that both have and the run reads.
    reference_scores, scores : ndarray of float64
        Of the same rows.
    report : DriftReport
        Columns, scores, and the verdict.
    held_out : ScoreDrift or None
        Drift of the scores against rows that the fit held out; None where they are fewer than 50.
    rate : float
        Alert rate in the ordinary: of the rows that were held out, or else of those that trained.
    rate_of : str
        Which of both.
    times : RowTimes
        Of the current rows.
    chart : AlertRateChart or None
        None where the alert rate in the ordinary is 0 or 1, so that there are no limits.
    """

    run: RunRecord
    dataset: DatasetRecord
    rows: NDArray[np.int64]
    reference: pl.DataFrame
    current: pl.DataFrame
    reference_scores: Floats
    scores: Floats
    report: DriftReport
    held_out: ScoreDrift | None
    rate: float
    rate_of: str
    times: RowTimes
    chart: AlertRateChart | None

    @property
    def alerts(self) -> int:
        """Current rows with a score above the run's threshold."""
        return int((self.scores > self.threshold).sum())

    @property
    def threshold(self) -> float:
        """The run's own threshold."""
        return self.run.threshold if self.run.threshold is not None else 0.0

    @property
    def span(self) -> str:
        """The current rows in words."""
        first, last = int(self.rows[0]), int(self.rows[-1])
        return f"{len(self.rows):,} rows from {first:,} to {last:,} of {self.dataset.name}"


def reference_rows(workspace: Workspace, run: str) -> tuple[RunRecord, pl.DataFrame, Floats]:
    """Return a run, the rows that trained it with the columns that it read, and their scores.

    Raises
    ------
    UnknownNameError
        If there is no such run.
    WorkspaceError
        If it has no model, or no data set.
    """
    record, scores = workspace.runs.done(run), workspace.scores(run)
    assert record.dataset is not None  # or it would have no scores
    _check_columns(workspace.datasets.get(record.dataset))
    table, _ = workspace.datasets.rows(record.dataset, record.request.settings)
    train = np.flatnonzero(scores.part == Part.TRAIN)
    return record, table[train], scores.score[train]


def current_rows(workspace: Workspace, run: str, dataset: str, window: Window | None = None) -> CurrentRows:
    """Return rows of a data set; of the run's own those that no training saw.

    Parameters
    ----------
    workspace : Workspace
    run, dataset : str
        Their ids.
    window : (int, int), optional
        First and last row of the data set that are wanted, both included.

    Raises
    ------
    UnknownNameError
        If there is no such run or data set.
    WorkspaceError
        If the run has no model, or no data set.
    DataError
        If the window holds no such rows.
    """
    record, source = workspace.runs.done(run), workspace.datasets.get(dataset)
    _check_columns(source)
    known = None
    if dataset == record.dataset:
        settings, found = record.request.settings, workspace.scores(run)
        table = workspace.datasets.table(dataset, settings)
        rows = found.rows(None, window)
        known = found.score[rows]
    else:
        settings = source.settings
        table = workspace.datasets.table(dataset)
        first, last = (0, table.height - 1) if window is None else window
        rows = np.arange(first, min(last + 1, table.height))
    if not len(rows):
        where = "" if window is None else f" from row {window[0]:,} to {window[1]:,}"
        raise DataError(f"{source.name} has no rows{where} that could be compared. Choose others.")
    times = row_times(table, None if settings is None else settings.time, rows)
    return CurrentRows(record, source, rows, table[rows], times, known)


def drift_study(workspace: Workspace, run: str, dataset: str, window: Window | None = None) -> DriftStudy:
    """Compare rows of a data set with the rows that a run was trained on; nothing is changed.

    Rows of another data set than the run's own are scored first, which takes as long as it takes.

    Parameters
    ----------
    workspace : Workspace
    run, dataset : str
        Their ids.
    window : (int, int), optional
        First and last row of the data set that are wanted, both included.

    Raises
    ------
    UnknownNameError
        If there is no such run or data set.
    WorkspaceError
        If the run has no model, or no data set.
    DataError
        If the data set lacks columns of the run, or has too few rows.
    """
    _, reference, expected = reference_rows(workspace, run)
    now = current_rows(workspace, run, dataset, window)
    if missing := [name for name in reference.columns if name not in now.table.columns]:
        raise DataError(
            f"{now.dataset.name} lacks {len(missing)} of the {reference.width} columns that the run reads, such as "
            f"{missing[0]!r}. Choose a data set with the same columns."
        )
    current = now.table.select(reference.columns)
    detector = workspace.detector(run)
    scores = now.scores
    if scores is None:
        prefix = _free_prefix(current)
        scores = score_batch(current, detector, prefix)[f"{prefix}score"].to_numpy()
    return _study(now, reference, expected, current, scores, np.asarray(detector.calibration_scores_, np.float64))


def _check_columns(dataset: DatasetRecord) -> None:
    if dataset.shape is not None:
        raise DataError(
            f"{dataset.name} holds samples of shape {dataset.shape}; drift is told of columns. Choose a table, or a "
            "series that is one."
        )


def _study(
    now: CurrentRows, reference: pl.DataFrame, expected: Floats, current: pl.DataFrame, scores: Floats, held: Floats
) -> DriftStudy:
    threshold = now.run.threshold if now.run.threshold is not None else 0.0
    usual, named = (held, "rows that were held out") if len(held) else (expected, "rows that trained")
    rate = float((usual > threshold).mean())
    flags: NDArray[Any] = scores > threshold
    chart = None
    if 0 < rate < 1:
        chart = alert_rate_chart(now.times.times, flags, centre=rate, max_buckets=_BUCKETS)
    return DriftStudy(
        run=now.run,
        dataset=now.dataset,
        rows=now.rows,
        reference=reference,
        current=current,
        reference_scores=expected,
        scores=scores,
        report=drift_report(reference, current, expected, scores),
        held_out=score_drift(held, scores) if len(held) >= _FEWEST_HELD_OUT else None,
        rate=rate,
        rate_of=named,
        times=now.times,
        chart=chart,
    )


def _free_prefix(table: pl.DataFrame) -> str:
    prefix = ""
    while any(name.startswith(prefix) for name in table.columns):
        prefix += "_"
    return prefix
