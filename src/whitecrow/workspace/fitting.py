"""One run, from its request to its model, scores and figures; what a worker process does."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.calibrate import Quantile, p_values
from whitecrow.core import parameters, registry
from whitecrow.core.errors import DataError
from whitecrow.core.files import atomic_write
from whitecrow.core.processes import peak_mb
from whitecrow.data.labels import Labels
from whitecrow.detectors import DeepDetector, Detector
from whitecrow.train import Progress, monitor
from whitecrow.workspace.assessment import assess_parts
from whitecrow.workspace.datasets import Datasets
from whitecrow.workspace.feedback import Feedback
from whitecrow.workspace.parts import Part, part_rows, split_times
from whitecrow.workspace.request import FitRequest
from whitecrow.workspace.runs import Epoch, RunRecord, Runs
from whitecrow.workspace.samples import for_detector, steps_that_train
from whitecrow.workspace.watching import EpochWatcher

__all__ = ["CHECKPOINT", "fit_run", "save_model"]

CHECKPOINT = "checkpoint"
_VALIDATION_ROWS = {
    "contaminated": "validation rows",
    "clean": "normal validation rows",
    "labelled": "validation rows without known anomalies",
}
_WRITE_EVERY = 0.2  # seconds between two writings of the progress, each of which waits for the disk


@dataclass(frozen=True)
class _Material:
    """What a run works with."""

    table: pl.DataFrame  # rows by whose values copies are told
    samples: Any  # what the detector takes: rows of a table, or an array of images or sequences
    kind: str
    in_order: bool  # the rows are steps of one series
    labels: Labels | None
    parts: NDArray[np.uint8]
    y: NDArray[np.int64] | None  # what the detector is told of the training rows

    def training(self) -> tuple[Any, NDArray[np.int64] | None]:
        """Return what the detector learns from, and what it is told of it."""
        trains = self.parts == Part.TRAIN
        if self.in_order:
            return steps_that_train(self.samples, trains, self.y)
        train = np.flatnonzero(trains)
        return for_detector(self.kind, self.samples[train]), None if self.y is None else self.y[train]


def fit_run(datasets: Datasets, runs: Runs, feedback: Feedback, key: str, *, check: Callable[[], None]) -> None:
    """Carry out a running run and record its outcome.

    A detector that is trained by gradients keeps a checkpoint in the run's folder and goes on from there.

    Parameters
    ----------
    datasets, runs, feedback
        Of the workspace.
    key : str
        Id of the run.
    check : callable
        Called at every report of progress; raises :class:`~whitecrow.core.errors.FitCancelled` to stop.

    Raises
    ------
    WhitecrowError
        If the rows, labels or parameters cannot be used, or training cannot go on.
    """
    record = runs.get(key)
    request = record.request
    material = _material(datasets, feedback, request)
    cls = registry.load(request.detector)
    detector: Detector = cls(
        **{name: tuple(v) if isinstance(v, list) else v for name, v in request.parameters.items()},
        regime=request.regime,
        random_state=request.seed,
        verbose=False,
    )
    if "checkpoint" in parameters.fields(cls):
        detector.set_params(checkpoint=str(runs.folder(key) / CHECKPOINT))
    began = time.perf_counter()
    follower = _Follower(runs, record, check, _watcher(detector, material, request))
    with monitor(follower):
        try:
            detector.fit(*material.training())
        finally:
            follower.write()
    fitted = time.perf_counter()
    check()
    scores = np.asarray(detector.anomaly_score(for_detector(material.kind, material.samples)), dtype=np.float64)
    scored = time.perf_counter()
    check()
    _set_threshold(detector, scores, material, request.split.validation)
    if "checkpoint" in parameters.fields(cls):
        detector.set_params(checkpoint=None)  # a place on this machine is no part of the model
    version = save_model(detector, runs, key)
    _write_scores(runs.scores_file(key), detector, scores, material)
    hashes = material.table.hash_rows(seed=0).to_numpy()
    assessment, notes = assess_parts(
        detector, scores, material.parts, material.labels, hashes, told=material.y is not None
    )
    runs.finish(
        key,
        version=version,
        threshold=detector.threshold_,
        threshold_source=detector.threshold_source_,
        summary=_summary(detector),
        report=None if assessment is None else assessment.to_dict(),
        cost={
            "fit_s": round(fitted - began, 3),
            "score_s": round(scored - fitted, 3),
            "rows_scored": len(scores),
            "memory_mb": round(peak_mb(), 1),
        },
        notes=notes,
    )


def save_model(detector: Detector, runs: Runs, key: str) -> str:
    """Write a model file of a run and return its version, the first twelve digits of its SHA-256."""
    draft = runs.folder(key) / f"draft-{secrets.token_hex(8)}.safetensors"  # another may be written beside it
    detector.save(draft)
    with draft.open("rb") as stream:
        version = hashlib.file_digest(stream, "sha256").hexdigest()[:12]
    draft.replace(runs.model_file(key, version))
    return version


def _material(datasets: Datasets, feedback: Feedback, request: FitRequest) -> _Material:
    table, labels = datasets.rows(request.dataset, request.settings)
    column = request.split.time
    times = None if column is None else split_times(datasets.table(request.dataset, request.settings), column)
    parts = part_rows(request, table.height, labels, times)
    y = None
    if request.verdicts is not None:
        known, held_out = feedback.labels(request.verdicts, table.height, seed=request.seed)
        # Reviewed rows teach or test, whatever the split says of them: that is what they were reviewed for.
        parts[known >= 0] = Part.TRAIN
        parts[held_out] = Part.TEST
        known[held_out] = -1
        y = known
    elif request.regime == "labelled":
        if labels is None:
            raise DataError("The regime 'labelled' needs labels, and the data set has no label column any more.")
        y = labels.y.astype(np.int64)
    record = datasets.get(request.dataset)
    if record.shape is not None:
        samples: Any = np.asarray(datasets.array(request.dataset))
    else:
        samples = datasets.samples(request.dataset, settings=request.settings)
    in_order = record.shape is None and "table" not in registry.load(request.detector).kinds
    return _Material(table, samples, record.kind, in_order, labels, parts, y)


def _set_threshold(
    detector: Detector, scores: NDArray[np.float64], material: _Material, validation: float | None
) -> None:
    """Set the threshold on the rows that were set aside for it, if any were, by the rule of the detector's own."""
    if validation is None:
        return
    rows = material.parts == Part.VALIDATION
    if material.y is not None:
        rows &= material.y != 1
    if not rows.any():  # verdicts have made training and test rows of them
        raise DataError(
            "No row is left to set the threshold on. Let a larger share set it, or leave it to training rows."
        )
    rule = Quantile(detector.contamination)
    detector.set_threshold(float(rule.fit(scores[rows])))
    detector.threshold_source_ = f"{rule.source}; {_VALIDATION_ROWS[detector.regime]}"


def _watcher(detector: Detector, material: _Material, request: FitRequest) -> EpochWatcher | None:
    if not request.watch or not isinstance(detector, DeepDetector):
        return None
    n = material.table.height
    y = np.full(n, -1, dtype=np.int8) if material.labels is None else material.labels.y
    return EpochWatcher(
        detector,
        material.samples,
        material.kind,
        y,
        material.parts,
        material.y,
        int(request.seed),
        in_order=material.in_order,
    )


def _summary(detector: Detector) -> dict[str, Any]:
    if isinstance(detector, DeepDetector):
        return {**detector.summary_, "kept_epochs": detector.n_epochs_}
    return detector.summary_


class _Follower:
    """Writes the progress of a fit to the database, some times a second, and what is seen of its epochs."""

    def __init__(
        self, runs: Runs, record: RunRecord, check: Callable[[], None], watcher: EpochWatcher | None = None
    ) -> None:
        self._runs, self._key, self._check, self._watcher = runs, record.id, check, watcher
        self._written = 0.0
        self._earlier = runs.epochs(record.id)  # of before an interruption
        self._stage: str | None = None
        self._before = 0  # epochs of the stages before this one
        self._last = 0  # epochs of this stage
        self._new: list[Epoch] = []
        self._progress: Progress | None = None
        if watcher is not None:
            watcher.take_up(next((one.seen for one in reversed(self._earlier) if one.seen), None))

    def __call__(self, progress: Progress) -> None:
        self._progress = progress
        if self._stage is None:
            own = [one.place for one in self._earlier if one.stage == progress.stage]
            self._before = own[0] if own else len(self._earlier)
        elif progress.stage != self._stage:
            self._before += self._last
        self._stage, self._last = progress.stage, progress.epoch
        if progress.networks is not None:  # an epoch has ended
            self._new.append(self._epoch(progress, self._before + progress.epoch - 1))
        if time.monotonic() - self._written > _WRITE_EVERY:
            self.write()
        self._check()  # last, for the checkpoint already knows this epoch

    def _epoch(self, progress: Progress, place: int) -> Epoch:
        watched = self._watcher is not None and self._watcher.wanted(progress, place)
        seen = self._watcher(progress) if watched and self._watcher is not None else None
        return Epoch(place, progress.stage, progress.epoch, _finite(progress.loss), seen)

    def write(self) -> None:
        """Write what is not written yet."""
        if (p := self._progress) is not None:
            self._runs.follow(self._key, p.stage, p.epoch, p.epochs, p.fraction, _finite(p.loss), self._new)
        self._new.clear()
        self._written = time.monotonic()


def _finite(loss: float) -> float | None:
    return loss if isfinite(loss) else None


def _write_scores(file: Path, detector: Detector, scores: NDArray[np.float64], material: _Material) -> None:
    """Write a row for each row of the data: its score, p-value, part, label and kind of anomaly."""
    calibration, labels = detector.calibration_scores_, material.labels
    p = p_values(calibration, scores) if len(calibration) else [None] * len(scores)
    columns: dict[str, pl.Series] = {
        "row": pl.Series(np.arange(len(scores)), dtype=pl.Int64),
        "score": pl.Series(scores, dtype=pl.Float64),
        "p_value": pl.Series(p, dtype=pl.Float64),
        "part": pl.Series(material.parts, dtype=pl.UInt8),
        "label": pl.Series(np.full(len(scores), -1) if labels is None else labels.y, dtype=pl.Int8),
        "family": pl.Series(
            [None] * len(scores) if labels is None or labels.families is None else labels.families, dtype=pl.String
        ),
    }
    with atomic_write(file) as draft:
        pl.DataFrame(columns).write_parquet(draft)
