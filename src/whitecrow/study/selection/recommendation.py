"""One detector out of several, by ranks that the repetitions of a comparison agree on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import NonNegative, check
from whitecrow.metrics.intervals import check_bootstrap
from whitecrow.study.statistics.intervals import figures

__all__ = ["CLEAR", "RIVAL", "Recommendation", "merits", "recommend"]

CLEAR = 0.8  # share of the resamples that favour the winner of a clear comparison
RIVAL = 0.1  # share of the resamples from which on a candidate is one of the leaders


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which candidate is recommended, and how sure that is.

    Attributes
    ----------
    chosen, leader : int
        Candidate that is recommended, and the one with the highest merit.
    merit : ndarray of float, shape [C]
        Sum of the ranks of each candidate, higher = better.
    wins : ndarray of float, shape [C]
        Share of the resamples that favour each candidate; NaN for one repetition.
    rivals : tuple of int
        Candidates that cannot be told apart, by merit; the favourite alone if it is clear.
    """

    chosen: int
    leader: int
    merit: NDArray[np.float64]
    wins: NDArray[np.float64]
    rivals: tuple[int, ...]

    @property
    def is_clear(self) -> bool:
        """Whether the recommended candidate can be told apart from the others."""
        return len(self.rivals) == 1


def merits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over the criteria of a candidate's rank among the candidates.

    Parameters
    ----------
    values : ndarray of float, shape [..., C, K]
        Criteria of each candidate, higher = better; equal ones share their mean rank.

    Returns
    -------
    ndarray of float, shape [..., C]
        From K to C K.
    """
    # To twelve digits, because means of the same figures in another order differ in the last ones.
    return stats.rankdata(np.round(values, 12), axis=-2).sum(-1)


def recommend(
    values: ArrayLike,
    *,
    seconds: Sequence[float],
    default: int | None = None,
    margin: float = 0.0,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Recommendation:
    """Recommend the default, unless another candidate leads it by a margin in every respect that counts.

    The leader is the candidate with the highest merit. It is favoured, unless it exceeds the default by less than
    ``margin`` in the last criterion; then the default is. How sure that is, is found by drawing repetitions with
    replacement and doing the same with their mean criteria. If one candidate is favoured in 80 % of the resamples, it
    is recommended. Else those favoured in 10 % or more cannot be told apart: of these the default is recommended, or,
    if it is not among them, the one that takes the least time.

    Parameters
    ----------
    values : array_like, shape [R, C, K]
        Criteria of each candidate in each repetition, higher = better.
    seconds : sequence of float, length C
        Time that each candidate takes.
    default : int, optional
        Candidate to prefer; without one there is no margin either.
    margin : float, default=0
        By how much a leader must exceed the default in the last criterion, at least 0.
    n_resamples, seed : int
        Number of resamples, and their seed.

    Raises
    ------
    DataError
        If there is no repetition, candidate or criterion, or a figure is missing.
    ParameterError
        If a setting is out of its range.

    Notes
    -----
    With one repetition nothing can be told apart: all candidates are rivals. The shares say how much the outcome
    depends on seeds and on the split, not how good the criteria are.
    """
    check_bootstrap("recommend", 0.95, n_resamples, seed)
    check("recommend", "margin", margin, NonNegative)
    given = figures("values", values, 3)
    n, n_candidates, _ = given.shape
    if given.size == 0 or np.isnan(given).any() or len(seconds) != n_candidates:
        raise DataError(
            f"recommend: criteria of shape {given.shape} with {np.isnan(given).sum()} missing, and {len(seconds)} "
            "times; accepted are complete criteria of at least one candidate, and a time for each."
        )
    merit = merits(given.mean(0))
    # Of equal merits the fastest leads.
    by_time = np.argsort(seconds, kind="stable")
    leader = int(by_time[merit[by_time].argmax()])
    order = sorted(range(n_candidates), key=lambda c: (-merit[c], seconds[c]))
    if n_candidates == 1:
        return Recommendation(leader, leader, merit, np.ones(1), (leader,))
    if n == 1:
        wins, rivals = np.full(n_candidates, np.nan), tuple(order)
    else:
        drawn = np.random.default_rng(seed).integers(n, size=(n_resamples, n))
        favoured = _favoured(given[drawn].mean(1), by_time, default, margin)
        wins = np.bincount(favoured, minlength=n_candidates) / n_resamples
        rivals = tuple(c for c in order if wins[c] >= (CLEAR if wins.max() >= CLEAR else RIVAL))
    if default is not None and default in rivals:
        chosen = default
    else:
        # Many candidates may share the resamples so evenly that none reaches a tenth.
        rivals = rivals or (leader,)
        chosen = min(rivals, key=lambda c: seconds[c])
    return Recommendation(chosen, leader, merit, wins, rivals)


def _favoured(
    means: NDArray[np.float64], by_time: NDArray[np.int64], default: int | None, margin: float
) -> NDArray[np.int64]:
    """Return the candidate [S] that the mean criteria [S, C, K] of each resample favour."""
    leader = by_time[merits(means)[:, by_time].argmax(1)]
    if default is None:
        return leader
    last = means[..., -1]
    ahead = np.take_along_axis(last, leader[:, None], 1)[:, 0] - last[:, default]
    return np.where(ahead >= margin, leader, default)
