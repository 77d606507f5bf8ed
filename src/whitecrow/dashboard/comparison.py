"""Runs side by side, on the rows that all of them tested: what the screen *Compare* shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.score_bins import score_bins
from whitecrow.metrics import Costs, EvaluationReport, Interval, ScoreHistogram, evaluation_report
from whitecrow.metrics.agreement import Disagreements, RankAgreement, disagreements, paired_difference, rank_agreement
from whitecrow.metrics.family_catches import FamilyCatches, family_catches
from whitecrow.workspace import RunRecord, SplitRule, Workspace
from whitecrow.workspace.honesty import siblings

__all__ = ["Comparison", "Difference", "SeedSpread", "compare", "spread", "threshold_of"]

_RESAMPLES, _FEWER_RESAMPLES, _MANY_ROWS = 1000, 200, 50_000
_MANY_COPIES = 0.05  # beyond this share of copies, intervals that take every row for new evidence are too narrow


class Difference(NamedTuple):
    """How much better the reference is than another run, with paired bootstrap intervals; above 0 is better."""

    other: RunRecord
    auroc: Interval
    average_precision: Interval


class SeedSpread(NamedTuple):
    """A figure over runs that differ in the seed alone: how many, its mean and its standard deviation (n - 1)."""

    n: int
    mean: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs with their scores of the same n rows; made by :func:`compare`.

    Parameters
    ----------
    runs : tuple of RunRecord
        In the order of their numbers, which is no ranking.
    rows : ndarray of int64, shape [n]
        Rows of the data set that every run tested, ascending.
    label : ndarray of int8, shape [n]
        1 anomaly, 0 normal, -1 unknown, which counts in no figure of merit.
    family : ndarray of str or None, shape [n]
        The labels as text.
    copies : ndarray of uint64, shape [n]
        A number for the content of each row.
    scores : mapping of str to ndarray, shape [n]
        By the ids of the runs; higher = more anomalous.
    ordered : mapping of str to ndarray, shape [n]
        The same scores, rising.
    """

    runs: tuple[RunRecord, ...]
    rows: NDArray[np.int64]
    label: NDArray[np.int8]
    family: NDArray[np.object_]
    copies: NDArray[np.uint64]
    scores: Mapping[str, NDArray[np.float64]]
    ordered: Mapping[str, NDArray[np.float64]]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Rows with a label, shape [n]."""
        return self.label >= 0

    @property
    def judged(self) -> bool:
        """Whether there are anomalies and normal rows, without which there are no figures of merit."""
        return bool((self.label == 1).any() and (self.label == 0).any())

    @property
    def n_resamples(self) -> int:
        """Resamples of every bootstrap interval."""
        return _RESAMPLES if len(self.rows) <= _MANY_ROWS else _FEWER_RESAMPLES

    def run(self, key: str) -> RunRecord:
        """Return the run of an id that is compared."""
        return next(run for run in self.runs if run.id == key)

    def flagged(self, key: str, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return the share of rows, from 0 to 1, that a run scores strictly above each threshold."""
        ordered = self.ordered[key]
        return 1 - np.searchsorted(ordered, thresholds, side="right") / len(ordered)

    def reports(self, costs: Costs | None = None) -> dict[str, EvaluationReport]:
        """Return all figures of each run at its own threshold, by id; empty unless :attr:`judged`."""
        if not self.judged:
            return {}
        known = self.known
        return {
            run.id: evaluation_report(
                self.label[known],
                self.scores[run.id][known],
                threshold_of(run),
                threshold_source=run.threshold_source or "",
                costs=costs,
                groups=self._groups(),
                n_resamples=self.n_resamples,
            )
            for run in self.runs
        }

    def histogram(self, key: str) -> ScoreHistogram:
        """Return the scores of a run by class, in bins that are equally wide on the axis that shows most of them."""
        known, threshold = self.known, threshold_of(self.run(key))
        label, scores = self.label[known], self.scores[key][known]
        return score_bins(label, scores, threshold)

    def differences(self, reference: str) -> list[Difference]:
        """Return how much better one run is than each other on the same resamples; empty unless :attr:`judged`."""
        if not self.judged:
            return []
        known, mine, groups = self.known, self.scores[reference], self._groups()

        def difference(figure: str, other: str) -> Interval:
            return paired_difference(
                figure,  # pyright: ignore[reportArgumentType]
                self.label[known],
                mine[known],
                self.scores[other][known],
                n_resamples=self.n_resamples,
                groups=groups,
            )

        return [
            Difference(run, difference("auroc", run.id), difference("average_precision", run.id))
            for run in self.runs
            if run.id != reference
        ]

    def agreement(self, k: int) -> RankAgreement:
        """Compare the rankings, and the queues of length ``k`` or of all rows if there are fewer."""
        return rank_agreement(self.scores, min(k, len(self.rows)))

    def catches(self) -> tuple[FamilyCatches, ...]:
        """Return who catches which kind of anomaly; empty without known anomalies."""
        if not (self.label == 1).any():
            return ()
        flags = {run.id: self.scores[run.id] > threshold_of(run) for run in self.runs}
        return family_catches(flags, self.label, self.family)

    def disagreements(self, one: str, other: str, limit: int = 1000) -> Disagreements:
        """Return the places (in :attr:`rows`) of what the first run flags and the other does not."""
        mine, theirs = self.run(one), self.run(other)
        return disagreements(
            self.scores[one], threshold_of(mine), self.scores[other], threshold_of(theirs), limit=limit
        )

    def seed_groups(self) -> list[list[RunRecord]]:
        """Return the runs grouped so that those of a group differ in nothing but the seed."""
        groups: dict[frozenset[str], list[RunRecord]] = {}
        for run in self.runs:
            groups.setdefault(frozenset(one.id for one in siblings(run, self.runs)), []).append(run)
        return list(groups.values())

    def _groups(self) -> NDArray[np.uint64] | None:
        copies = self.copies[self.known]
        return copies if 1 - len(np.unique(copies)) / max(len(copies), 1) > _MANY_COPIES else None


def compare(workspace: Workspace, keys: Sequence[str]) -> Comparison:
    """Bring runs together on the rows that none of them trained on and all of them tested.

    Parameters
    ----------
    workspace : Workspace
        Where the runs are.
    keys : sequence of str
        Ids of two runs or more.

    Raises
    ------
    UnknownNameError
        If a run is not there.
    WorkspaceError
        If a run has no model, or no data set.
    ParameterError
        If there are fewer than two runs.
    DataError
        If the runs have different data sets, labels or splits, or no test row in common.
    """
    keys = list(dict.fromkeys(keys))
    if len(keys) < 2:
        raise ParameterError(f"{len(keys)} run is chosen; a comparison takes two or more. Choose another run.")
    runs = sorted((workspace.runs.done(key) for key in keys), key=lambda run: run.number)
    found = {run.id: workspace.scores(run.id) for run in runs}
    names = {one.id: one.name for one in workspace.datasets.all()}
    for run in runs[1:]:
        _check_alike(runs[0], run, names)
    first = found[runs[0].id]
    rows = reduce(np.intersect1d, [one.rows("test") for one in found.values()])
    if not len(rows):
        raise DataError(
            "No row was tested by all of these runs, and rows that one of them trained on do not count. Fit them with "
            "a split that leaves test rows, with one seed or in order."
        )
    assert runs[0].dataset is not None  # or it would have no scores
    table = workspace.datasets.rows(runs[0].dataset, runs[0].request.settings)[0]
    return Comparison(
        runs=tuple(runs),
        rows=rows,
        label=first.label[rows],
        family=np.array(first.family[rows].to_list(), dtype=object),
        copies=table.hash_rows(seed=0).to_numpy()[rows],
        scores={key: one.score[rows] for key, one in found.items()},
        ordered={key: np.sort(one.score[rows]) for key, one in found.items()},
    )


def threshold_of(run: RunRecord) -> float:
    """Return the threshold of a run that is done: its model's own."""
    assert run.threshold is not None  # every model has one
    return run.threshold


def spread(values: Sequence[float]) -> SeedSpread:
    """Return mean and standard deviation of a figure over two seeds or more."""
    return SeedSpread(len(values), mean(values), stdev(values))


def _check_alike(first: RunRecord, other: RunRecord, names: Mapping[str, str]) -> None:
    pair = f"Run {run_name(first)} and run {run_name(other)} cannot be compared:"
    if first.dataset != other.dataset:
        of_first, of_other = names.get(first.dataset or "", "none"), names.get(other.dataset or "", "none")
        raise DataError(
            f"{pair} their data sets are {of_first!r} and {of_other!r}, so that their figures are of different rows. "
            "Choose runs of one data set."
        )
    one, two = first.request, other.request
    reading, other_reading = (r.settings and (r.settings.time, r.settings.label, r.settings.normal) for r in (one, two))
    if reading != other_reading:
        raise DataError(
            f"{pair} they read the label or the time of the data set differently, so that a row of one is not the "
            "same row, or not of the same class, to the other. Fit one of them again."
        )
    if one.split != two.split:
        raise DataError(
            f"{pair} their splits are {_split(one.split)} and {_split(two.split)}, so that they learnt from different "
            "shares of the data. Fit one of them again with the split of the other."
        )


def _split(split: SplitRule) -> str:
    words = f"{split.share:g} trains"
    if split.validation is not None:
        words += f", {split.validation:g} sets the threshold"
    if split.time is not None:
        words += f", by {split.time}"
    return f"{split.kind} ({words})"
