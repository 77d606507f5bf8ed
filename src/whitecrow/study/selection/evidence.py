"""Whether a table shows signs of anomalies: a test of the tail of neighbour distances, without labels."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core import registry
from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Natural, check
from whitecrow.study.statistics.intervals import figures

__all__ = ["LEVEL", "Evidence", "cross_fitted_scores", "tail_evidence"]

LEVEL = 0.01
_TAIL = 0.25  # share of the rows that is the tail
_FEWEST = 40  # rows in the tail, below which nothing is said
_FEWEST_TOGETHER = 4  # spacings that make a gap: ties and one far row alone are none
_HALVINGS = 7
_SIMULATIONS = 2000


@dataclass(frozen=True, slots=True)
class Evidence:
    """Whether some rows stand apart from the tail of the others.

    Attributes
    ----------
    found : bool
        Whether ``p`` is at most 0.01.
    p : float
        p-value; NaN if there are too few rows to say.
    n_apart : int
        Rows beyond the widest gap; 0 unless found.
    n : int
        Rows tested.
    """

    found: bool
    p: float
    n_apart: int
    n: int

    def __str__(self) -> str:
        if math.isnan(self.p):
            return f"Whether there are anomalies cannot be said of {self.n:,} rows: too few differ from one another."
        if not self.found:
            seen = f"No evidence of anomalies: no rows stand apart from the tail of the others (p = {self.p:.2g})."
            return f"{seen} That does not rule them out: anomalies that have neighbours do not stand apart."
        share = f"{100 * self.n_apart / self.n:.2g} %"
        return f"Some rows stand apart from the tail of the others, about {self.n_apart:,} ({share}; p = {self.p:.2g})."


def cross_fitted_scores(encoded: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Return the mean distance of each row to its 5 nearest among the other half of the rows.

    Parameters
    ----------
    encoded : ndarray of float32, shape [N, D]
        Encoded rows, at least 4.
    seed : int
        Seed of the halves.

    Returns
    -------
    ndarray of float64, shape [N]
        Scores by a detector that did not see the row.

    Raises
    ------
    DataError
        If there are fewer than 4 rows.
    """
    check("cross_fitted_scores", "seed", seed, Natural)
    if len(encoded) < 4:
        raise DataError(f"cross_fitted_scores: {len(encoded)} rows cannot be halved and fitted; give at least 4.")
    rows = np.random.default_rng(seed).permutation(len(encoded))
    halves = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    scores = np.empty(len(encoded))
    knn: Any = registry.load("knn")
    for train, test in (halves, halves[::-1]):
        model = knn(scaling="none", calibration=0.0, random_state=seed, verbose=False).fit(encoded[train])
        scores[test] = model.anomaly_score(encoded[test])
    return scores


def tail_evidence(scores: ArrayLike, seed: int = 0) -> Evidence:
    r"""Test whether scores have a gap, or a second regime, that no regular tail has.

    Of the logarithms of the scores, the k largest (a quarter of the rows) are taken, and of these the normalised
    spacings

    .. math:: D_j = (k - j + 1) \, (y_{(j)} - y_{(j - 1)}), \qquad j = 1, \dots, k.

    If the tail is a power law, they are independent and exponential with one mean [1]_. If it is lighter (the hazard
    rate of y increases, as for Gaussian, exponential and Student's t scores) they become smaller with j. Rows that
    stand apart make them larger. The statistic is the largest standardised log-ratio

    .. math:: T = \max_{i, w} \; \Bigl(\tfrac1w + \tfrac1i\Bigr)^{-1/2} \,
        \log \frac{\operatorname{mean}(D_{i+1}, \dots, D_{i+w})}{\operatorname{mean}(D_1, \dots, D_i)}

    over beginnings :math:`i \ge k / 4` and windows :math:`w = k/2, k/4, \dots` of at least 4 spacings. Its
    distribution is simulated for a power law, the heaviest regular tail, so it does not depend on how heavy that is.

    Parameters
    ----------
    scores : array_like, shape [N]
        Positive anomaly scores on a scale of distances, of rows that the detector was not fitted on. Zeros (copies of
        training rows) are left out of the tail.
    seed : int, default=0
        Seed of the simulation.

    Returns
    -------
    Evidence
        ``p`` is NaN if fewer than 40 rows make up the tail.

    Raises
    ------
    DataError
        If the scores are no vector of finite numbers, or one is negative.

    Notes
    -----
    What it cannot see: anomalies among the bulk, and anomalies that are neighbours of one another. What it cannot tell
    from anomalies: a small group of normal rows, or a heavy-tailed column among others, which gives distances two
    regimes. On real tables it is weak; docs/selection.md has the figures.

    References
    ----------
    .. [1] F. Proschan, R. Pyke, "Tests for Monotone Failure Rate", Proc. Fifth Berkeley Symposium, 1967.
    """
    check("tail_evidence", "seed", seed, Natural)
    values = figures("scores", scores, 1)
    if np.isnan(values).any() or (values < 0).any():
        raise DataError("tail_evidence: scores must be finite distances of at least 0. Give the scores of knn.")
    positive = np.sort(values[values > 0])
    k = min(int(_TAIL * len(values)), len(positive) - 1)
    if k < _FEWEST or positive[-k - 1] == positive[-1]:
        return Evidence(found=False, p=math.nan, n_apart=0, n=len(values))
    spacings = np.diff(np.log(positive[-k - 1 :])) * np.arange(k, 0, -1.0)
    statistic, start = _largest_ratio(spacings[None])
    simulated = _power_law(k, seed)
    p = (1 + int((simulated >= statistic[0]).sum())) / (1 + len(simulated))
    found = p <= LEVEL
    return Evidence(found, p, k - int(start[0]) if found else 0, len(values))


@lru_cache(maxsize=4)
def _power_law(k: int, seed: int) -> NDArray[np.float64]:
    return _largest_ratio(np.random.default_rng(seed).exponential(size=(_SIMULATIONS, k)))[0]


def _largest_ratio(spacings: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the statistic of each row of ``spacings`` [R, k], and before which spacing its window starts."""
    n, k = spacings.shape
    # Tied scores have spacings of 0; the smallest number keeps their logarithm finite.
    total = np.cumsum(spacings, axis=1) + np.finfo(float).tiny
    best, start = np.full(n, -np.inf), np.zeros(n, dtype=np.int64)
    first = k // 4
    for width in sorted({k >> h for h in range(1, _HALVINGS + 1) if k >> h >= _FEWEST_TOGETHER}):
        i = np.arange(first, k - width + 1)
        before = total[:, i - 1]
        window = total[:, i + width - 1] - before + np.finfo(float).tiny
        ratio = np.log(window / width) - np.log(before / i)
        ratio /= np.sqrt(1 / width + 1 / i)
        here = ratio.argmax(1)
        value = ratio[np.arange(n), here]
        start = np.where(value > best, i[here], start)
        best = np.maximum(best, value)
    return best, start
