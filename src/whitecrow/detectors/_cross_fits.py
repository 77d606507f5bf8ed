"""Fits of one detector on parts of the training rows, which score the rows that they did not see."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whitecrow.core.spec import InputSpec
from whitecrow.detectors._base import Detector
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import derive_seed
from whitecrow.train import Progress, monitor
from whitecrow.train.monitor import Reporter

__all__ = ["Folds", "Scores", "SharedProgress", "cross_fitted", "fitted", "make_folds", "n_fits"]

_MOST = 20_000  # rows that place a score among others; more would only cost time


@dataclass(frozen=True, slots=True)
class Folds:
    """Rows in the order in which n fits leave them out: row i is left out by fit ``i % n``.

    Attributes
    ----------
    n : int
        Number of fits, from 2; 0 where there are too few rows.
    normal : Tensor [N], int64
        Rows that are not known to be anomalous.
    anomalous : Tensor [A], int64
        Known anomalies.
    n_calibrating : int
        How many of the first of ``normal`` calibrate.
    """

    n: int
    normal: Tensor
    anomalous: Tensor
    n_calibrating: int

    def of(self, k: int) -> Tensor:
        """Return the rows that fit k leaves out."""
        return torch.cat([self.normal[k :: self.n], self.anomalous[k :: self.n]])


@dataclass(frozen=True, slots=True)
class Scores:
    """Anomaly scores of the rows of :class:`Folds` by fits that did not see them: ``normal [N]``, ``anomalous [A]``."""

    normal: NDArray[np.float64]
    anomalous: NDArray[np.float64]


def make_folds(y: Tensor, calibrating: NDArray[np.int64], n_folds: int) -> Folds:
    """Divide training rows among fits, up to 20,000 of them.

    Parameters
    ----------
    y : Tensor [N]
        Labels: 1 anomaly, 0 normal, -1 unlabelled.
    calibrating : ndarray of int
        Rows that come first.
    n_folds : int
        Number of fits.
    """
    labels = y.cpu().numpy()
    # The same rows for every seed, as all detectors hold out.
    rng = np.random.default_rng(derive_seed("folds"))
    others = np.setdiff1d(np.flatnonzero(labels != 1), calibrating)
    normal = np.concatenate([rng.permutation(calibrating), rng.permutation(others)])[:_MOST]
    anomalous = rng.permutation(np.flatnonzero(labels == 1))[:_MOST]
    n = min(n_folds, len(normal))
    if len(normal) - -(-len(normal) // n) < 2:
        n, normal, anomalous = 0, normal[:0], anomalous[:0]
    rows = [torch.from_numpy(part).to(y.device) for part in (normal, anomalous)]
    return Folds(n, rows[0], rows[1], min(len(calibrating), len(normal)))


def fitted(
    member: Detector, X: Tensor, y: Tensor, spec: InputSpec, seed: int, held_out: Tensor | None = None
) -> Detector:
    """Fit a detector on the encoded rows that it may learn from, those held out left aside, and return it."""
    rows = torch.ones(len(X), dtype=torch.bool, device=X.device) if member.uses_labels else y != 1
    if held_out is not None:
        rows[held_out] = False
    member.spec_ = spec
    seeds = seed, *(derive_seed(seed, "replica", r) for r in range(1, member._n_replicas))
    member._fit_networks(X[rows], y[rows], seeds)
    return member


def n_fits(member: Detector, folds: Folds) -> int:
    """Return the number of cross-fits of a member; what is trained by gradients takes long, and has two at most."""
    return min(folds.n, 2) if isinstance(member, DeepDetector) else folds.n


def cross_fitted(
    member: Detector, X: Tensor, y: Tensor, spec: InputSpec, seed: int, folds: Folds, progress: "SharedProgress"
) -> Scores:
    """Return the scores of the rows of the folds by fits without them; without folds, of the rows that trained."""
    folds = replace(folds, n=n_fits(member, folds))
    if not folds.n:
        with progress.part():
            trained = fitted(_copy(member), X, y, spec, seed)
        return Scores(trained._score(X[y != 1].cpu().numpy()).mean(0), np.empty(0))
    scores = Scores(np.empty(len(folds.normal)), np.empty(len(folds.anomalous)))
    for k in range(folds.n):
        rows = folds.of(k)
        with progress.part():
            part = fitted(_copy(member), X, y, spec, seed, rows)
            found = part._score(X[rows].cpu().numpy()).mean(0)
        n_normal = len(scores.normal[k :: folds.n])
        scores.normal[k :: folds.n], scores.anomalous[k :: folds.n] = found[:n_normal], found[n_normal:]
    return scores


def _copy(member: Detector) -> Detector:
    return type(member)(**member.get_params())


class SharedProgress:
    """The progress of several fits as that of one."""

    def __init__(self, n_fits: int, verbose: bool) -> None:
        self._n, self._done = n_fits, 0
        self._report = Reporter(verbose)

    @contextmanager
    def part(self) -> Iterator[None]:
        """Report what a fit inside the block reports as a part of the whole."""

        def forward(part: Progress) -> None:
            fraction = (self._done + part.fraction) / self._n
            self._report(Progress("member", self._done, self._n, fraction, part.loss))

        with monitor(forward):
            yield
        self._done += 1
        self._report(Progress("member", self._done, self._n, self._done / self._n, math.nan))

    def close(self) -> None:
        """End the line."""
        self._report.close()
