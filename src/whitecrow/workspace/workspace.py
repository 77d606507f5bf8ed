"""A workspace: one folder with data sets, runs, models, feedback and audit."""

import hashlib
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.calibrate import p_values
from whitecrow.core import registry
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.encoders import table_encoder
from whitecrow.explain.attribution import explain
from whitecrow.explain.originals import Originals, find_originals, find_samples
from whitecrow.explain.samples import ImageReasons, SeriesReasons, explain_image, explain_sequence, explain_step
from whitecrow.io import load
from whitecrow.io.batches import load_once
from whitecrow.metrics.alert_table import AlertTable, alert_table
from whitecrow.workspace.alerting import Alerting
from whitecrow.workspace.audit import Audit
from whitecrow.workspace.database import Database, WorkspaceError
from whitecrow.workspace.datasets import Datasets
from whitecrow.workspace.feedback import Feedback
from whitecrow.workspace.fitting import save_model
from whitecrow.workspace.jobs import Jobs
from whitecrow.workspace.judgement import judged
from whitecrow.workspace.parts import Part
from whitecrow.workspace.request import FitRequest
from whitecrow.workspace.results import RunScores
from whitecrow.workspace.runs import RunRecord, Runs
from whitecrow.workspace.stream.live import LiveFiles

if TYPE_CHECKING:
    from whitecrow.calibrate import Threshold
    from whitecrow.detectors import Detector
    from whitecrow.explain import Explanation

__all__ = ["Workspace"]

_KEPT_RUNS = 8
_KEPT_EXPLAINERS = 2
_NAME_LENGTH = 200


class Workspace:
    """All that the faces share, in one folder. Several processes may use it at once.

    Nothing is half-written: a data set, a model or a verdict is there whole, or not at all, and what was acknowledged
    lasts. Fits run in processes of their own once :attr:`jobs` is started; see :class:`Jobs`.

    Parameters
    ----------
    folder : path-like
        Made if it is absent; the folder above it must exist.

    Attributes
    ----------
    datasets : Datasets
    runs : Runs
    feedback : Feedback
    audit : Audit
    alerting : Alerting
    live : LiveFiles
        Files that grow and that may be followed.
    jobs : Jobs

    Raises
    ------
    WorkspaceError
        If the folder cannot be made, or holds a database that is no workspace or of a later version.
    """

    def __init__(self, folder: str | os.PathLike[str], *, fits_at_once: int = 1) -> None:
        self.folder = Path(folder).resolve()
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"{folder} cannot be a workspace: {error.strerror}. Name a folder, in one that exists."
            ) from error
        database = Database(self.folder)
        self.datasets = Datasets(self.folder, database)
        self.runs = Runs(self.folder, database)
        self.feedback = Feedback(database)
        self.audit = Audit(database)
        self.alerting = Alerting(self.folder, database)
        self.live = LiveFiles()
        self.jobs = Jobs(self.folder, self.datasets, self.runs, at_once=fits_at_once)
        self._scores: OrderedDict[str, RunScores] = OrderedDict()
        self._tables: OrderedDict[tuple[str, str | None, tuple[int, int] | None], AlertTable] = OrderedDict()
        self._copies: OrderedDict[str, NDArray[np.uint64]] = OrderedDict()
        self._explainers: OrderedDict[Path, Detector] = OrderedDict()
        self._sample_rows: WeakKeyDictionary[Detector, NDArray[np.int64] | None] = WeakKeyDictionary()
        self._originals: WeakKeyDictionary[Detector, Originals | None] = WeakKeyDictionary()
        self._turn = threading.Lock()
        self._explaining = threading.Lock()

    def bring_in(self, file: "str | os.PathLike[str]", *, name: str = "", actor: str = "") -> RunRecord:
        """Take in a model file from anywhere, as a run that is done and can score, but has no data set.

        Parameters
        ----------
        file : path-like
            A ``.safetensors`` file that ``detector.save`` wrote. It is checked whole, and nothing in it can run.
        name : str
            For display, up to 200 characters; by default the detector's.
        actor : str
            Who brings it in, for the audit.

        Raises
        ------
        ModelFileError
            If the file is truncated, malformed or hostile.
        DataError
            If the detector was not fitted on a table.
        ParameterError
            If the name is too long.
        """
        text = " ".join(name.split())
        if len(text) > _NAME_LENGTH:
            raise ParameterError(f"A run's name has at most {_NAME_LENGTH} characters; this one has {len(text)}.")
        detector = load(file)
        table_encoder(detector.encoder_, "A model in a workspace")
        kind = registry.name_of(type(detector))
        request = FitRequest("", kind, name=text or kind, regime=detector.regime)
        draft = self.folder / f"model-{secrets.token_hex(8)}.part"
        try:
            # Written again by us, so that the file holds what was checked and nothing else.
            detector.save(draft)
            version = hashlib.sha256(draft.read_bytes()).hexdigest()[:12]
            return self.runs.bring_in(
                draft, request, actor=actor, version=version, threshold=detector.threshold_,
                threshold_source=detector.threshold_source_, summary=detector.summary_,
            )  # fmt: skip
        finally:
            draft.unlink(missing_ok=True)

    def detector(self, run: str, version: str | None = None) -> "Detector":
        """Return the detector of a run; it is shared, so it is not to be changed.

        A detector scores in one thread at a time: :func:`whitecrow.io.score_batch` sees to it.

        Parameters
        ----------
        run : str
            Id of the run.
        version : str, optional
            An earlier version of its model; the present one by default.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model.
        """
        return load_once(self._model_file(run) if version is None else self.runs.model_file(run, version))

    def scores(self, run: str) -> RunScores:
        """Return the scores of all rows of a run's data set; the last eight runs asked for are kept in memory.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model, or no data set.
        """
        self.runs.version(run)
        with self._turn:
            if run in self._scores:
                self._scores.move_to_end(run)
                return self._scores[run]
        file = self.runs.scores_file(run)
        if not file.exists():
            raise WorkspaceError(f"The model of run {run} was brought in: it has no data set, so no rows with scores.")
        scores = RunScores.read(file)
        with self._turn:
            self._scores[run] = scores
            while len(self._scores) > _KEPT_RUNS:
                self._scores.popitem(last=False)
        return scores

    def rows(self, run: str, rows: "list[int] | None" = None) -> pl.DataFrame:
        """Return rows of a run's data set with all columns, in original units, as the run read them.

        Parameters
        ----------
        run : str
            Id of the run.
        rows : list of int, optional
            Rows from 0, in the order in which they are returned; all by default.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        DataError
            If a row is not there.
        """
        record = self.runs.get(run)
        if record.dataset is None:
            raise WorkspaceError(f"The model of run {record.number} was brought in: it has no data set, so no rows.")
        table = self.datasets.table(record.dataset, record.request.settings)
        if rows is None:
            return table
        if wrong := [row for row in rows if not 0 <= row < table.height]:
            raise DataError(f"There is no row {wrong[0]}; the data set has rows from 0 to {table.height - 1}.")
        return table[rows]

    def explain(self, run: str, rows: list[int], *, method: Any = "occlusion", n_neighbours: int = 5) -> "Explanation":
        """Say which columns make rows of a run's data set anomalous; see :func:`whitecrow.explain.explain`.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model.
        DataError
            If a row is not there, or the detector keeps no normal rows to compare with.
        """
        values = self.rows(run, rows)
        with self._private_detector(run) as detector:
            originals = self._originals_of(run, detector)
            return explain(detector, values, n_neighbours=n_neighbours, method=method, originals=originals)

    def explain_sample(self, run: str, row: int, *, n_neighbours: int = 5) -> ImageReasons | SeriesReasons:
        """Say where an image, a sequence or a step of a run's data set is anomalous, and what was expected.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model, or no data set.
        DataError
            If the row is not there, or the data set is a table.
        """
        self.rows(run, [row])
        record = self.runs.get(run)
        assert record.dataset is not None  # or it would have no rows
        dataset = self.datasets.get(record.dataset)
        if dataset.shape is None:
            samples = self.datasets.samples(dataset.id, settings=record.request.settings)
            score = float(self.scores(run).score[row])
            with self._private_detector(run) as detector:
                return explain_step(detector, samples, row, score, n_neighbours=n_neighbours)
        return self.explain_given(run, self.datasets.samples(dataset.id, [row]), n_neighbours=n_neighbours)[1]

    def explain_given(
        self, run: str, sample: Any, *, n_neighbours: int = 5
    ) -> tuple[float | None, ImageReasons | SeriesReasons]:
        """Judge one image or sequence that is in no data set.

        Parameters
        ----------
        run : str
            Id of a run that was fitted on images or on sequences of one length.
        sample : Images, or ndarray [1, T, C]
            One of them.
        n_neighbours : int, default=5
            Nearest normal training samples to return.

        Returns
        -------
        p_value : float or None
            Share of normal samples that score as high; None where none were held out.
        reasons : ImageReasons or SeriesReasons
            With the score, which is that of ``anomaly_score`` to the last bit.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model.
        DataError
            If the model takes other samples.
        """
        with self._private_detector(run) as detector:
            if detector.spec_.kind == "image":
                rows = self._samples_of(run, detector)
                reasons = explain_image(detector, sample, n_neighbours=n_neighbours, rows=rows)
            else:
                reasons = explain_sequence(detector, sample, n_neighbours=n_neighbours)
            calibration = detector.calibration_scores_
            p_value = float(p_values(calibration, np.array([reasons.score]))[0]) if len(calibration) else None
            return p_value, reasons

    @contextmanager
    def _private_detector(self, run: str) -> Iterator["Detector"]:
        """Yield a copy of a run's detector: one that is explained must not score for another thread meanwhile."""
        file = self._model_file(run)
        with self._explaining:
            if file not in self._explainers:
                self._explainers[file] = load(file)
            self._explainers.move_to_end(file)
            while len(self._explainers) > _KEPT_EXPLAINERS:
                self._explainers.popitem(last=False)
            yield self._explainers[file]

    def _originals_of(self, run: str, detector: "Detector") -> Originals | None:
        """Return the normal rows that a model keeps as they were given; those of the models at hand are kept."""
        if detector not in self._originals:
            trained = np.flatnonzero(self.scores(run).part == Part.TRAIN)
            self._originals[detector] = find_originals(detector, self.rows(run), trained)
        return self._originals[detector]

    def _samples_of(self, run: str, detector: "Detector") -> NDArray[np.int64] | None:
        """Return which samples the normal ones are that a model keeps; those of the models at hand are kept."""
        if detector not in self._sample_rows:
            dataset, found = self.runs.get(run).dataset, None
            if dataset is not None:
                trained = np.flatnonzero(self.scores(run).part == Part.TRAIN)
                found = find_samples(detector, partial(self.datasets.samples, dataset), trained)
            self._sample_rows[detector] = found
        return self._sample_rows[detector]

    def alert_table(self, run: str, part: str | None = None, window: tuple[int, int] | None = None) -> AlertTable:
        """Return the sorted scores of a part of a run's rows with the counts above each; see :func:`alert_table`.

        Rows with equal values in all columns that the run reads count once for the width of the intervals. Those of
        the last eight runs and parts are kept.

        Parameters
        ----------
        run : str
            Id of the run.
        part : {"train", "test", "left out", "validation", "all"}, optional
            By default the test rows, or all rows where every row trained.
        window : (int, int), optional
            First and last row of the data set that count, both included; all by default.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model, or no data set.
        DataError
            If the part has no rows, or none in the window.
        """
        record, scores = self.runs.done(run), self.scores(run)
        with self._turn:
            if (run, part, window) in self._tables:
                self._tables.move_to_end((run, part, window))
                return self._tables[run, part, window]
        rows = scores.rows(part, window)
        if not len(rows):
            where = "" if window is None else f" from row {window[0]} to {window[1]}"
            raise DataError(f"Run {record.number} has no rows in the part {part!r}{where}. Take others.")
        table = alert_table(scores.score[rows], scores.label[rows], self._copies_of(record)[rows])
        with self._turn:
            self._tables[run, part, window] = table
            while len(self._tables) > _KEPT_RUNS:
                self._tables.popitem(last=False)
        return table

    def _copies_of(self, record: RunRecord) -> NDArray[np.uint64]:
        """Return a number for each row of a run's data set; rows that its detector sees as equal have the same."""
        with self._turn:
            if record.id in self._copies:
                self._copies.move_to_end(record.id)
                return self._copies[record.id]
        assert record.dataset is not None  # or there would be no scores
        copies = self.datasets.seen(record.dataset, record.request.settings).hash_rows(seed=0).to_numpy()
        with self._turn:
            self._copies[record.id] = copies
            while len(self._copies) > _KEPT_RUNS:
                self._copies.popitem(last=False)
        return copies

    def set_threshold(self, run: str, rule: "float | Threshold", *, source: str = "", actor: str = "") -> RunRecord:
        """Set another threshold of a run's model, which becomes another version of it; the old one is kept.

        The run's figures become those at the new threshold.

        Parameters
        ----------
        run : str
            Id of the run.
        rule : float or threshold rule
            A score, or a rule of :mod:`whitecrow.calibrate` that needs no labels.
        source : str
            What the threshold means; by default in the rule's own words.
        actor : str
            Who sets it, for the audit.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model.
        ParameterError
            If the threshold is not finite.
        """
        detector = load(self._model_file(run)).set_threshold(rule)
        if source:
            detector.threshold_source_ = source
        record = self.runs.get(run)
        report, notes = record.report, record.notes
        if record.dataset is not None:
            judgement = judged(self, run, detector)
            report = None if judgement.assessment is None else judgement.assessment.to_dict()
            notes = list(judgement.notes)
        version = save_model(detector, self.runs, run)
        return self.runs.set_threshold(
            run, detector.threshold_, detector.threshold_source_, version, report=report, notes=notes, actor=actor
        )

    def _model_file(self, run: str) -> Path:
        record = self.runs.done(run)
        if record.version is None:
            raise WorkspaceError(f"Run {record.number} is done, but no model of it is recorded. Fit it again.")
        return self.runs.model_file(run, record.version)
