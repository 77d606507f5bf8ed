"""Bands of severity for scores, in words that mean the same for every detector."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.metrics.decisions import finite_threshold
from whitecrow.metrics.inputs import finite_scores

__all__ = ["BANDS", "RARE", "Rarity", "Severity", "rarity", "severity"]

BANDS = ("low", "raised", "minor", "major", "critical")
"""The bands, the mildest first; rows of the last three are flagged."""

RARE = (90.0, 99.0, 99.9, 100.0)
"""Percentiles at which the bands of rarity end; a score of the last band is above all that it is compared with."""

# Ends of the bands from the threshold, in distances between the usual score and the threshold.
_STEPS = (-0.5, 0.0, 1.0, 4.0)
_LEAST = 1e-9


class Severity(NamedTuple):
    """Where the bands end.

    Parameters
    ----------
    usual : float
        Median of the reference scores.
    unit : float
        Distance from the usual score to the threshold, above 0.
    cuts : tuple of four floats
        Rising. A score is in the band whose number is the number of cuts strictly below it; the second cut is the
        threshold itself.
    """

    usual: float
    unit: float
    cuts: tuple[float, float, float, float]

    def levels(self, scores: ArrayLike) -> NDArray[np.intp]:
        """Return the number of each score's band, from 0 to 4; -1 for NaN."""
        return _levels(self.cuts, scores)


class Rarity(NamedTuple):
    """Bands by rank: how rare a score is among reference scores, which makes the bands of different detectors compare.

    Parameters
    ----------
    reference : ndarray of float64, shape [N]
        Rising.
    cuts : tuple of four floats
        Rising. A score is in the band whose number is the number of cuts strictly below it; the last cut is the
        highest reference score.
    """

    reference: NDArray[np.float64]
    cuts: tuple[float, float, float, float]

    def levels(self, scores: ArrayLike) -> NDArray[np.intp]:
        """Return the number of each score's band, from 0 to 4; -1 for NaN."""
        return _levels(self.cuts, scores)

    def percentiles(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the share of reference scores below each score, from 0 to 100; NaN for NaN."""
        values = np.asarray(scores, dtype=np.float64)
        below = 100 * np.searchsorted(self.reference, values, side="left") / len(self.reference)
        return np.where(np.isnan(values), np.nan, below)


def rarity(reference: ArrayLike) -> Rarity:
    """Return the bands of rarity among scores.

    A score is *low* up to the 90th percentile of the reference, *raised* up to the 99th, *minor* up to the 99.9th,
    *major* up to the highest, and *critical* above all of them.

    Parameters
    ----------
    reference : array_like, shape [N]
        Scores that are usual, such as those of the training rows.

    Raises
    ------
    DataError
        If the scores cannot be used.

    Examples
    --------
    >>> bands = rarity(range(10_000))
    >>> bands.levels([5, 9500, 9950, 9995, 20_000]).tolist(), bands.percentiles([9500, 20_000]).tolist()
    ([0, 1, 2, 3, 4], [95.0, 100.0])
    """
    values = np.sort(finite_scores(reference, "reference"))
    first, second, third, fourth = np.percentile(values, RARE, method="higher").tolist()
    return Rarity(values, (first, second, third, fourth))


def _levels(cuts: tuple[float, ...], scores: ArrayLike) -> NDArray[np.intp]:
    values = np.asarray(scores, dtype=np.float64)
    return np.where(np.isnan(values), -1, np.searchsorted(cuts, values, side="left"))


def severity(reference: ArrayLike, threshold: float) -> Severity:
    """Return the bands that belong to a threshold.

    With the distance between the usual score and the threshold as the unit, a score is *low* up to half a unit below
    the threshold, *raised* up to the threshold, *minor* up to one unit above it, *major* up to four, *critical* beyond.

    Parameters
    ----------
    reference : array_like, shape [N]
        Scores that are usual, such as those of the training rows.
    threshold : float
        Score above which a row is flagged.

    Raises
    ------
    DataError
        If the scores or the threshold cannot be used.

    Notes
    -----
    A unit that comes from the scores themselves makes the words hold for every detector: they stay what they are if
    scores are shifted or multiplied. Where half of the reference lies above the threshold, the unit is the
    interquartile range; without that too, the smallest that can be told from the threshold.

    Examples
    --------
    >>> bands = severity([0.0, 1.0, 2.0], threshold=3.0)
    >>> bands.cuts
    (2.0, 3.0, 5.0, 11.0)
    >>> [BANDS[k] for k in bands.levels([0.5, 3.0, 3.1, 12.0])]
    ['low', 'raised', 'minor', 'critical']
    """
    values, limit = finite_scores(reference, "reference"), finite_threshold(threshold)
    low, usual, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    unit = limit - usual
    if unit <= 0:
        unit = high - low
    unit = max(unit, _LEAST * max(abs(limit), 1.0))
    first, second, third, fourth = (limit + step * unit for step in _STEPS)
    return Severity(usual, unit, (first, second, third, fourth))
