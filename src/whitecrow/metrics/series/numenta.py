r"""Score of the Numenta Anomaly Benchmark (NAB): early flags in a window earn, flags elsewhere cost.

The benchmark has one threshold for all its series. Its own choice is made with the labels, so it is an oracle;
:func:`nab_score` takes a threshold that was set beforehand.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Probability, check
from whitecrow.metrics.decisions import finite_threshold
from whitecrow.metrics.inputs import labelled_scores
from whitecrow.metrics.points import just_below
from whitecrow.metrics.series.events import runs

__all__ = ["OracleNAB", "Profile", "nab_score", "oracle_nab_score", "scaled_sigmoid"]

Profile = Literal["standard", "reward-low-FP", "reward-low-FN"]
Floats = NDArray[np.float64]

# The longest series of which the probation share is taken; longer ones have as many steps of probation.
_LONGEST = 5000


class _Weights(NamedTuple):
    hit: float
    false_alarm: float
    miss: float


_PROFILES: dict[str, _Weights] = {
    "standard": _Weights(1.0, 0.11, 1.0),
    "reward-low-FP": _Weights(1.0, 0.22, 1.0),
    "reward-low-FN": _Weights(1.0, 0.11, 2.0),
}


class OracleNAB(NamedTuple):
    """Highest normalised score over all thresholds, and the threshold that reaches it."""

    score: float
    threshold: float


class _Corpus(NamedTuple):
    """The scored steps of all series: what each is worth if flagged, and its window, -1 outside."""

    scores: Floats
    values: Floats
    windows: NDArray[np.intp]
    n_windows: int
    weights: _Weights

    def normalised(self, raw: float) -> float:
        """Return a raw score on the scale of 0 for the null detector and 100 for the perfect one."""
        null, perfect = -self.weights.miss * self.n_windows, self.weights.hit * self.n_windows
        return float(100 * (raw - null) / (perfect - null))


def nab_score(
    labels: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    threshold: float,
    *,
    profile: Profile = "standard",
    probation: float = 0.15,
) -> float:
    r"""Return the normalised NAB score at a threshold that was set without these labels.

    With :math:`S` the :func:`scaled_sigmoid`, a window of :math:`w` steps whose last step is :math:`r` earns
    :math:`A_{TP}\,S(y) / S(-1)` for its earliest flag at step :math:`i`, :math:`y = -(r - i + 1) / w`, and
    :math:`-A_{FN}` without any. A flag outside costs :math:`A_{FP}\,S(y)`, :math:`y = (i - r) / (w - 1)` after the
    window before it, or :math:`-A_{FP}` where there is none. Probationary steps at the start do not count.

    Parameters
    ----------
    labels : sequence of array_like of {0, 1}, each of shape [T_i]
        1 = step inside an anomaly window. A series may have none; all together need one. Windows that touch are one.
    scores : sequence of array_like, each of shape [T_i]
        Finite; higher = more anomalous. A step is flagged if its score is above ``threshold``.
    threshold : float
        One for all series, in the unit of the scores.
    profile : {"standard", "reward-low-FP", "reward-low-FN"}, default="standard"
        :math:`(A_{TP}, A_{FP}, A_{FN})` is (1, 0.11, 1), (1, 0.22, 1) or (1, 0.11, 2).
    probation : float, default=0.15
        Share of each series that does not count, of at most 5,000 steps, rounded down; from 0 to below 1.

    Returns
    -------
    float
        0 for a detector that flags nothing, 100 for one that flags the first step of each window alone. False
        alarms may bring it far below 0.

    Raises
    ------
    DataError
        If labels, scores or threshold cannot be used, no series has a window, or one ends within probation.
    ParameterError
        If the sequences differ in length, or ``profile`` or ``probation`` is not accepted.

    References
    ----------
    .. [1] A. Lavin and S. Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly
       Benchmark", ICMLA 2015, arXiv:1510.03336.
    """
    corpus = _corpus("nab_score", labels, scores, profile, probation)
    flagged = corpus.scores > finite_threshold(threshold)
    inside = corpus.windows >= 0
    best = np.full(corpus.n_windows, -corpus.weights.miss)
    np.maximum.at(best, corpus.windows[flagged & inside], corpus.values[flagged & inside])
    return corpus.normalised(best.sum() + corpus.values[flagged & ~inside].sum())


def oracle_nab_score(
    labels: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    *,
    profile: Profile = "standard",
    probation: float = 0.15,
) -> OracleNAB:
    """Return the highest normalised NAB score over all thresholds. Optimistic: it is chosen on these labels.

    Published NAB scores are of this kind. The sweep over every distinct score is exact, so it may find a better
    threshold than the benchmark's own hill climbing, and needs no scores between 0 and 1.

    Parameters
    ----------
    labels, scores, profile, probation
        See :func:`nab_score`.

    Returns
    -------
    OracleNAB
        ``score`` from 0 to 100 and the ``threshold`` that reaches it, the highest one if several do.

    Raises
    ------
    DataError
        If labels or scores cannot be used, no series has a window, or one ends within probation.
    ParameterError
        If the sequences differ in length, or ``profile`` or ``probation`` is not accepted.
    """
    corpus = _corpus("oracle_nab_score", labels, scores, profile, probation)
    order = np.argsort(-corpus.scores, kind="stable")
    windows, gains = corpus.windows[order], corpus.values[order]
    # In a window only the best value so far counts: a step gains what it adds to it.
    inside = np.flatnonzero(windows >= 0)
    by_window = inside[np.argsort(windows[inside], kind="stable")]
    for steps in np.split(by_window, np.cumsum(np.bincount(windows[by_window]))[:-1]):
        gains[steps] = np.diff(np.maximum.accumulate(gains[steps]), prepend=-corpus.weights.miss)
    raw = np.append(0.0, np.cumsum(gains)) - corpus.weights.miss * corpus.n_windows
    distinct, counts = np.unique(corpus.scores, return_counts=True)
    thresholds = np.append(distinct[::-1], just_below(distinct[0]))
    raw = raw[np.append(0, np.cumsum(counts[::-1]))]
    best = int(raw.argmax())
    return OracleNAB(corpus.normalised(raw[best]), float(thresholds[best]))


def scaled_sigmoid(y: ArrayLike) -> Floats:
    """Return ``2 / (1 + exp(5 y)) - 1``, and -1 for y above 3: from about 1 far ahead to -1 far behind."""
    position = np.asarray(y, dtype=np.float64)
    return np.where(position > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 3))) - 1)


def _corpus(
    owner: str, labels: Sequence[ArrayLike], scores: Sequence[ArrayLike], profile: Profile, probation: float
) -> _Corpus:
    check(owner, "profile", profile, Profile)
    check(owner, "probation", probation, Probability)
    if len(labels) != len(scores):
        raise ParameterError(
            f"{owner}: there are {len(labels)} labels and {len(scores)} scores; accepted is one of each for every "
            "series. Pass lists of vectors, also for a single series."
        )
    weights = _PROFILES[profile]
    parts, n_windows = [], 0
    for y, s in zip(labels, scores, strict=True):
        marked, values = labelled_scores(y, s, anomalies=False, normals=False)
        intervals = runs(marked)
        start = math.floor(probation * min(len(values), _LONGEST))
        if len(intervals) and intervals[0, 1] <= start:
            raise DataError(
                f"{owner}: the window of steps {intervals[0, 0]} to {intervals[0, 1] - 1} ends within the first "
                f"{start} steps, which do not count, so it can never be found. Drop the window or lower probation."
            )
        worth, window = _worth(len(values), intervals, weights)
        parts.append((values[start:], worth[start:], np.where(window >= 0, window + n_windows, -1)[start:]))
        n_windows += len(intervals)
    if n_windows == 0:
        raise DataError(f"{owner}: no series has a window; at least one is needed. Mark the anomalies in the labels.")
    values, worth, window = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return _Corpus(values, worth, window, n_windows, weights)


def _worth(n: int, windows: NDArray[np.intp], weights: _Weights) -> tuple[Floats, NDArray[np.intp]]:
    """Return what flagging each step is worth, and the window that it lies in, -1 outside."""
    step = np.arange(n)
    latest = np.searchsorted(windows[:, 0], step, side="right") - 1  # the last window that has begun
    if len(windows) == 0:
        return np.full(n, -weights.false_alarm), latest
    last, width = windows[latest, 1] - 1, np.diff(windows)[latest, 0]
    inside = (latest >= 0) & (step <= last)
    hit = weights.hit * scaled_sigmoid(-(last - step + 1) / width) / scaled_sigmoid(-1)
    # One step behind a window of one step is infinitely many widths behind it.
    behind = np.divide(step - last, width - 1, out=np.full(n, np.inf), where=(width > 1) & (latest >= 0))
    return np.where(inside, hit, weights.false_alarm * scaled_sigmoid(behind)), np.where(inside, latest, -1)
