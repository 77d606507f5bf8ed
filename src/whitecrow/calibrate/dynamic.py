"""A threshold that follows the scores of a series: the nonparametric rule of Hundman et al. (Telemanom), KDD 2018."""

from dataclasses import dataclass, fields
from typing import Annotated, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.calibrate.inputs import finite_vector
from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Natural, Range, Share, check

__all__ = ["DynamicThreshold", "FlaggedRanges"]

_MULTIPLES = np.arange(2.5, 12.0, 0.5)  # z in threshold = mean + z * deviation
_OTHERWISE = 12.0  # where none of these is acceptable
_MOST_RANGES = 5
_MOST_FLAGGED = 0.5

_Smoothing = Annotated[int, Range(1)] | None


class FlaggedRanges(NamedTuple):
    """What the rule says of a series of T scores.

    Attributes
    ----------
    flags : ndarray of bool, shape [T]
        Steps of flagged ranges.
    severity : ndarray of float, shape [T]
        How far the highest score of the step's range lies above the threshold, in units of mean + standard deviation of
        the scores around it; 0 where nothing is flagged.
    ranges : ndarray of int, shape [n, 2]
        First step of each flagged range, and the one after its last.
    smoothed : ndarray of float, shape [T]
        The scores that were judged.
    """

    flags: NDArray[np.bool_]
    severity: NDArray[np.float64]
    ranges: NDArray[np.intp]
    smoothed: NDArray[np.float64]


@dataclass(frozen=True)
class DynamicThreshold:
    r"""Flag ranges of a series of scores that stand out from the scores before them.

    Each block of ``step`` scores is judged among the ``window`` scores that end with it. The threshold is
    :math:`\varepsilon = \mu + z \sigma` with the z from 2.5, 3, ..., 11.5 that maximises

    .. math:: \frac{\Delta\mu / \mu + \Delta\sigma / \sigma}{n_\varepsilon + r_\varepsilon^2},

    where :math:`\Delta\mu` and :math:`\Delta\sigma` are what mean and standard deviation lose without the scores at or
    above the threshold, and :math:`n_\varepsilon` steps in :math:`r_\varepsilon` ranges are flagged: those scores and
    the ``buffer`` steps on either side. At most 5 ranges and fewer than half of the steps are accepted; z is 12 where
    no threshold is acceptable.

    Ranges are then pruned: in the order of their highest scores, and with the highest score outside all ranges at the
    end, those after the last fall of a share of at least ``pruning`` from one to the next are given up.

    Parameters
    ----------
    window : int, default=2100
        Scores among which a block is judged.
    step : int, default=70
        Scores in a block. All scores of the first window are one block.
    buffer : int, default=100
        Steps on either side of a high score that are flagged with it.
    smoothing : int or None, default=105
        Span of the exponentially weighted mean that is taken of the scores first, with the weight
        2 / (span + 1) for the newest; None takes the scores as they are.
    pruning : float from 0 to 1, default=0.13
        Smallest fall, as a share of the higher of the two scores.
    both_sides : bool, default=True
        Whether unusually low scores are flagged too: the rule is applied to :math:`2\mu - s` as well.

    Notes
    -----
    The defaults are those of the paper, for telemetry once a minute. A flag depends on no score after its block. The
    published code also compares errors with the range of the telemetry, and lets a range reach from the block only into
    the block; here a range is seen whole and the block takes its part of it.

    References
    ----------
    .. [1] K. Hundman, V. Constantinou, C. Laporte, I. Colwell, T. Soderstrom, "Detecting Spacecraft Anomalies Using
       LSTMs and Nonparametric Dynamic Thresholding", KDD 2018, arXiv 1802.04431.

    Examples
    --------
    >>> scores = np.ones(300) + 0.1 * np.sin(np.arange(300))
    >>> scores[200:210] = 5.0
    >>> DynamicThreshold(buffer=2, smoothing=None).flag(scores).ranges.tolist()
    [[198, 212]]
    """

    window: Count = 2100
    step: Count = 70
    buffer: Natural = 100
    smoothing: _Smoothing = 105
    pruning: Share = 0.13
    both_sides: bool = True

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            check(type(self).__name__, field.name, getattr(self, field.name), hints[field.name])

    def flag(self, scores: ArrayLike) -> FlaggedRanges:
        """Return the flagged ranges of a series of scores.

        Parameters
        ----------
        scores : array_like, shape [T]
            At least 0, in the order of time.

        Raises
        ------
        DataError
            If the scores are no vector of finite numbers that are at least 0.
        """
        values = finite_vector("scores", scores)
        if values.min() < 0:
            raise DataError(
                f"DynamicThreshold: the lowest score is {values.min():g}; accepted are scores of at least 0, for the "
                "rule compares shares of their mean. Subtract the lowest score of normal data."
            )
        if self.smoothing is not None:
            values = _smoothed(values, int(self.smoothing))
        severity = np.zeros(len(values))
        end = min(self.window, len(values))
        judged = 0
        while judged < len(values):
            first = max(end - self.window, 0)
            seen = values[first:end]
            found = self._severity(seen)
            if self.both_sides:
                found = np.maximum(found, self._severity(2 * seen.mean() - seen))
            severity[judged:end] = found[judged - first :]
            judged, end = end, min(end + self.step, len(values))
        flags = severity > 0
        return FlaggedRanges(flags, severity, _runs(flags), values)

    def _severity(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the severity of each step's range within one window."""
        out = np.zeros(len(scores))
        mean, deviation = scores.mean(), scores.std()
        # Constant scores have no deviation but that of rounding.
        if deviation <= 1e-12 * np.abs(scores).max():
            return out
        threshold = mean + self._multiple(scores) * deviation
        grown = self._grown(scores >= threshold)
        ranges = _runs(grown)
        if not len(ranges):
            return out
        highest = np.array([scores[low:high].max() for low, high in ranges])
        outside = scores[~grown].max() if not grown.all() else 0.0
        order = np.argsort(-highest, kind="stable")
        ladder = np.append(highest[order], outside)
        falls = np.flatnonzero(ladder[:-1] - ladder[1:] >= self.pruning * ladder[:-1])
        for k in order[: falls[-1] + 1 if len(falls) else 0]:
            low, high = ranges[k]
            # A score on the threshold is flagged, and must not look as if it were not.
            distance = max(highest[k] - threshold, np.finfo(float).eps * highest[k])
            out[low:high] = distance / (abs(mean) + deviation)
        return out

    def _multiple(self, scores: NDArray[np.float64]) -> float:
        """Return z, the standard deviations from the mean to the threshold."""
        mean, deviation = scores.mean(), scores.std()
        best, chosen = -np.inf, _OTHERWISE
        for z in _MULTIPLES:
            high = scores >= mean + z * deviation
            if not high.any():
                break
            grown = self._grown(high)
            n_flagged, n_ranges = int(grown.sum()), len(_runs(grown))
            if n_ranges > _MOST_RANGES or n_flagged >= _MOST_FLAGGED * len(scores):
                continue
            rest = scores[~high]
            gain = (mean - rest.mean()) / mean + (deviation - rest.std()) / deviation
            # Of equal merits the higher threshold counts.
            if gain / (n_flagged + n_ranges**2) >= best:
                best, chosen = gain / (n_flagged + n_ranges**2), float(z)
        return chosen

    def _grown(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the flags and the buffer on either side of each."""
        reach = int(self.buffer)
        before = np.concatenate([np.zeros(reach + 1, np.intp), flags.cumsum(), np.full(reach, flags.sum())])
        return before[2 * reach + 1 :] > before[: len(flags)]


def _smoothed(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    r"""Return the means of all values so far, weighted by :math:`(1 - a)^k` of their age k, with a = 2 / (span + 1)."""
    keep = 1 - 2 / (span + 1)
    out = np.empty_like(values)
    total = weight = 0.0
    for t, value in enumerate(values.tolist()):
        total, weight = keep * total + value, keep * weight + 1.0
        out[t] = total / weight
    return out


def _runs(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return first and one-after-last index of each run of True, ``[n, 2]``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return edges.reshape(-1, 2)
