"""What is drawn, as a sample that detectors judge."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.explain.samples import ImageReasons, SeriesReasons
from whitecrow.workspace import DatasetRecord, RunRecord, Workspace
from whitecrow.workspace.samples import for_detector

__all__ = ["Judgement", "Subject", "drawable_runs", "drawn_sample", "judge", "subject_of"]

_LONGEST_SIDE, _MOST_STEPS = 32, 400


@dataclass(frozen=True, eq=False)
class Subject:
    """A run that judges what is drawn, and what its data set looks like.

    Parameters
    ----------
    run : RunRecord
    dataset : DatasetRecord
        Of grey images of at most 32 × 32, or of sequences of one channel and at most 400 steps.
    low, high : float
        Least and greatest value in it.
    dtype : numpy.dtype
        Of its values.
    """

    run: RunRecord
    dataset: DatasetRecord
    low: float
    high: float
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample."""
        return self.dataset.shape or ()


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a detector makes of a drawing.

    Parameters
    ----------
    reasons : ImageReasons or SeriesReasons
        With the score.
    p_value : float or None
    threshold : float
    seconds : float
        That it took.
    """

    reasons: ImageReasons | SeriesReasons
    p_value: float | None
    threshold: float
    seconds: float

    @property
    def flag(self) -> bool:
        """Whether the score is above the threshold."""
        return self.reasons.score > self.threshold


def drawable_runs(workspace: Workspace) -> list[tuple[RunRecord, DatasetRecord]]:
    """Return the runs that are done and whose samples can be drawn: images first, then the newest."""
    datasets = {one.id: one for one in workspace.datasets.all() if _drawable(one)}
    done = [run for run in workspace.runs.all() if run.state == "done"]
    found = [(run, datasets[run.dataset]) for run in done if run.dataset in datasets]
    return sorted(found, key=lambda one: one[1].kind != "image")


def subject_of(workspace: Workspace, run: RunRecord, dataset: DatasetRecord) -> Subject:
    """Return what is known of the samples that a run judges."""
    table = workspace.datasets.table(dataset.id)
    low, high = float(table["least"].to_numpy().min()), float(table["greatest"].to_numpy().max())
    return Subject(run, dataset, low, high if high > low else low + 1.0, workspace.datasets.array(dataset.id).dtype)


def drawn_sample(subject: Subject, values: Any) -> NDArray[Any]:
    """Return a drawing as a sample of the run's data set, ``[1, C, H, W]`` or ``[1, T, C]``.

    Parameters
    ----------
    subject : Subject
    values : list of float
        Ink of the cells from 0 to 1, row after row, which become values from the least to the greatest of the data
        set; or the points of a curve, which are taken as they are.

    Raises
    ------
    DataError
        If there are more or fewer values, or they are no finite numbers.
    """
    try:
        given = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.shape != (int(np.prod(subject.shape)),) or not np.isfinite(given).all():
        raise DataError(f"A drawing has {int(np.prod(subject.shape))} finite values; this one has not. Draw it again.")
    if subject.dataset.kind == "image":
        given = subject.low + np.clip(given, 0, 1) * (subject.high - subject.low)
        if subject.dtype.kind in "biu":
            given = given.round()
    return given.astype(subject.dtype).reshape(1, *subject.shape)


def judge(workspace: Workspace, subject: Subject, values: Any) -> Judgement:
    """Return what a run's detector makes of a drawing; see :func:`drawn_sample`.

    Raises
    ------
    DataError
        If it is no drawing.
    """
    began = time.perf_counter()
    sample = for_detector(subject.dataset.kind, drawn_sample(subject, values))
    p_value, reasons = workspace.explain_given(subject.run.id, sample)
    threshold = subject.run.threshold if subject.run.threshold is not None else 0.0
    return Judgement(reasons, p_value, threshold, time.perf_counter() - began)


def _drawable(record: DatasetRecord) -> bool:
    if record.shape is None:
        return False
    if record.kind == "image":
        return record.shape[0] == 1 and max(record.shape[1:]) <= _LONGEST_SIDE
    return record.shape[1] == 1 and 2 <= record.shape[0] <= _MOST_STEPS
