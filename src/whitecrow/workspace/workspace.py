"""A workspace: one folder with data sets, runs, models, feedback and audit."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from whitecrow.core.errors import DataError
from whitecrow.io import load
from whitecrow.io.batches import load_once
from whitecrow.workspace.audit import Audit
from whitecrow.workspace.database import Database, WorkspaceError
from whitecrow.workspace.datasets import Datasets
from whitecrow.workspace.feedback import Feedback
from whitecrow.workspace.fitting import save_model
from whitecrow.workspace.jobs import Jobs
from whitecrow.workspace.results import RunScores
from whitecrow.workspace.runs import RunRecord, Runs

if TYPE_CHECKING:
    from whitecrow.calibrate import Threshold
    from whitecrow.detectors import Detector
    from whitecrow.explain import Explanation

__all__ = ["Workspace"]

_KEPT_RUNS = 8


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
        self.jobs = Jobs(self.folder, self.datasets, self.runs, at_once=fits_at_once)
        self._scores: OrderedDict[str, RunScores] = OrderedDict()
        self._turn = threading.Lock()

    def detector(self, run: str) -> "Detector":
        """Return the detector of a run; it is shared, so it is not to be changed.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model.
        """
        return load_once(self._model_file(run))

    def scores(self, run: str) -> RunScores:
        """Return the scores of all rows of a run's data set; the last eight runs asked for are kept in memory.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model.
        """
        self.runs.done(run)
        with self._turn:
            if run in self._scores:
                self._scores.move_to_end(run)
                return self._scores[run]
        scores = RunScores.read(self.runs.scores_file(run))
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
        detector = self.detector(run)
        return detector.explain(self.rows(run, rows), n_neighbours=n_neighbours, method=method)

    def set_threshold(self, run: str, rule: "float | Threshold", *, source: str = "", actor: str = "") -> RunRecord:
        """Set another threshold of a run's model, which becomes another version of it; the old one is kept.

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
        version = save_model(detector, self.runs, run)
        return self.runs.set_threshold(run, detector.threshold_, detector.threshold_source_, version, actor=actor)

    def _model_file(self, run: str) -> Path:
        record = self.runs.done(run)
        if record.version is None:
            raise WorkspaceError(f"Run {record.number} is done, but no model of it is recorded. Fit it again.")
        return self.runs.model_file(run, record.version)
