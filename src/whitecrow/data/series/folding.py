"""Scores of windows, or errors of their steps, folded into one score for each step of the series."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, WhitecrowWarning
from whitecrow.core.parameters import Count, check
from whitecrow.data.series.rows import SeriesRows
from whitecrow.data.series.windows import check_long_enough

__all__ = ["Fold", "Folding"]

Fold = Literal["last", "centre", "mean", "median", "max"]

_BLOCK_VALUES = 1 << 19


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive windows of one segment within what was added: numbers ``rows``, first steps from ``start`` on."""

    rows: slice
    start: int
    segment: tuple[int, int]

    @property
    def count(self) -> int:
        return self.rows.stop - self.rows.start


class Folding:
    r"""Collect the scores of all windows in their order and fold them into scores of the steps.

    With windows of W steps, the score of step t is, by rule,

    - *last*: that of the window that ends at t. The first W - 1 steps of a segment repeat its first score. The only
      causal rule: no score depends on later steps.
    - *centre*: that of the window of which t is step :math:`\lceil (W - 1) / 2 \rceil`, counted from 0. Both ends of a
      segment repeat the nearest score.
    - *mean*, *median*, *max*: over all windows that cover t, which are fewer at both ends of a segment.

    Where a method has an error for each step of a window, *last* and *centre* take that of their step, and the others
    combine the errors that the windows give for t. A segment too short for a window, between two gaps, repeats the
    score of the step before it in its series, or else of the first step after it that has one.

    Fixed windows keep their scores; errors of their steps are combined by *median*, *max*, or else the mean.

    Memory is that of the result and a few blocks of windows.

    Parameters
    ----------
    rule : {"last", "centre", "mean", "median", "max"}
    rows : SeriesRows
        What the windows are cut from, with stride 1.
    window : int
        W.
    n_replicas : int, default=1
        R.

    Raises
    ------
    ParameterError
        If a parameter is out of its range.
    DataError
        If a series is shorter than a window.

    Examples
    --------
    >>> from whitecrow.data.series import as_series
    >>> folding = Folding("mean", as_series(np.zeros(5)), window=3)
    >>> folding.add(np.array([[0.0, 3.0, 0.0]]))
    >>> folding.result().tolist()
    [[0.0, 1.5, 1.0, 1.5, 0.0]]
    """

    def __init__(self, rule: Fold, rows: SeriesRows, window: int, n_replicas: int = 1) -> None:
        check("Folding", "rule", rule, Fold)
        check("Folding", "window", window, Count)
        check("Folding", "n_replicas", n_replicas, Count)
        check_long_enough(rows, window)
        self.rule: Fold = rule
        self.window = window
        self._rows = rows
        self._whole = rows.form == "windows"
        lengths = np.diff(rows.bounds)
        if self._whole and (lengths != window).any():
            raise DataError(f"Folding: the fixed windows have {lengths.max()} steps, not {window}.")
        self._segments = np.flatnonzero(lengths >= window)
        # Windows before each of these segments.
        self._before = np.cumsum([0, *(lengths[self._segments] - window + 1)])
        self._added = 0
        start = -np.inf if rule == "max" and not self._whole else 0.0
        self._out = np.full((n_replicas, rows.n_scores), start)
        self._divided = False
        self._tail: NDArray[Any] | None = None  # the last W - 1 windows of the segment, for the median

    @property
    def n_windows(self) -> int:
        """Number of windows that are to be added in all."""
        return int(self._before[-1])

    def add(self, scores: NDArray[Any]) -> None:
        """Take the scores of the windows that follow those added before.

        Parameters
        ----------
        scores : ndarray, shape [R, B] or [R, B, W]
            Scores of B windows, or errors of their steps.

        Raises
        ------
        DataError
            If the shape is another, or there are more windows than the series have.
        """
        scores = np.asarray(scores)
        if scores.dtype.kind != "f":
            scores = scores.astype(np.float64)
        replicas, window = len(self._out), self.window
        if scores.ndim not in (2, 3) or len(scores) != replicas or (scores.ndim == 3 and scores.shape[2] != window):
            raise DataError(
                f"Folding: scores have the shape {scores.shape}; accepted are [{replicas}, B] and "
                f"[{replicas}, B, {window}]."
            )
        if self._added + scores.shape[1] > self.n_windows:
            raise DataError(
                f"Folding: {self._added + scores.shape[1]} windows were added, but the series have {self.n_windows}."
            )
        if self._whole:
            self._out[:, self._added : self._added + scores.shape[1]] = _combined(scores, self.rule)
        else:
            for run in self._runs(scores.shape[1]):
                self._fold(scores[:, run.rows], run)
        self._added += scores.shape[1]

    def result(self) -> NDArray[np.float64]:
        """Return the scores of the steps.

        Returns
        -------
        ndarray of float64, shape [R, total], or [R, N] for fixed windows
            To be put in the caller's form by :meth:`SeriesRows.present`.

        Raises
        ------
        DataError
            If windows are missing.

        Warns
        -----
        WhitecrowWarning
            If steps lie between gaps too close for a window.
        """
        if self._added != self.n_windows:
            raise DataError(f"Folding: {self._added} windows were added, but the series have {self.n_windows}.")
        if self._whole:
            return self._out
        if self.rule == "mean" and not self._divided:
            for k in self._segments.tolist():
                _divide_by_cover(self._out[:, slice(*self._rows.bounds[k : k + 2].tolist())], self.window)
            self._divided = True
        self._fill_short_segments(self._out)
        return self._out

    def _runs(self, count: int) -> Iterator[_Run]:
        """Yield the runs of consecutive windows among the next ``count``."""
        bounds, first, end = self._rows.bounds, self._added, self._added + count
        k = int(np.searchsorted(self._before, first, side="right")) - 1
        while first < end:
            before, after = int(self._before[k]), int(self._before[k + 1])
            low, high = bounds[self._segments[k] : self._segments[k] + 2].tolist()
            stop = min(end, after)
            yield _Run(slice(first - self._added, stop - self._added), low + first - before, (low, high))
            first, k = stop, k + 1

    def _fold(self, scores: NDArray[Any], run: _Run) -> None:
        if self.rule in ("last", "centre"):
            self._place(scores, run, self.window - 1 if self.rule == "last" else self.window // 2)
        elif self.rule == "median":
            self._median(scores, run)
        else:
            for k in range(self.window):
                errors = scores if scores.ndim == 2 else scores[:, :, k]
                steps = self._out[:, run.start + k : run.start + k + run.count]
                (np.add if self.rule == "mean" else np.maximum)(steps, errors, out=steps)

    def _place(self, scores: NDArray[Any], run: _Run, offset: int) -> None:
        errors = scores if scores.ndim == 2 else scores[:, :, offset]
        low, high = run.segment
        first = run.start + offset
        self._out[:, first : first + run.count] = errors
        if run.start == low:
            self._out[:, low:first] = errors[:, :1]
        if run.start + run.count - 1 + self.window == high:
            self._out[:, first + run.count : high] = errors[:, -1:]

    def _median(self, scores: NDArray[Any], run: _Run) -> None:
        window, (low, high) = self.window, run.segment
        pad = np.full((len(scores), window - 1, *scores.shape[2:]), np.nan, scores.dtype)
        before = pad if run.start == low or self._tail is None else self._tail
        ends = run.start + run.count - 1 + window == high
        windows = np.concatenate([before, scores, pad] if ends else [before, scores], axis=1)
        self._tail = windows[:, run.count : run.count + window - 1].copy()
        n_steps = run.count + (window - 1) * ends
        # Entry [r, t, k] is what the window that began k steps before step t says of it.
        strides = windows.strides if windows.ndim == 3 else (*windows.strides, 0)
        cover = as_strided(
            windows[:, window - 1 :],
            (len(windows), n_steps, window),
            (strides[0], strides[1], strides[2] - strides[1]),
            writeable=False,
        )
        steps = np.arange(run.start, run.start + n_steps)
        counts = np.minimum(steps, high - window) - np.maximum(steps - window + 1, low) + 1
        rows = max(1, _BLOCK_VALUES // (len(windows) * window))
        for first in range(0, n_steps, rows):
            part = slice(first, first + rows)
            self._out[:, steps[part]] = _medians(cover[:, part], counts[part])

    def _fill_short_segments(self, out: NDArray[np.float64]) -> None:
        bounds, series = self._rows.bounds, self._rows.series
        short = np.flatnonzero(np.diff(bounds) < self.window)
        if not short.size:
            return
        place = np.searchsorted(self._segments, short)
        for k, after in zip(short.tolist(), place.tolist(), strict=True):
            previous = self._segments[after - 1] if after else -1
            if previous >= 0 and series[previous] == series[k]:
                source = bounds[previous + 1] - 1
            else:
                source = bounds[self._segments[after]]
            out[:, bounds[k] : bounds[k + 1]] = out[:, [source]]
        warnings.warn(
            f"{int((bounds[short + 1] - bounds[short]).sum())} of {len(self._rows.values)} steps lie between gaps that "
            f"are less than a window of {self.window} steps apart. They have no score of their own and repeat that of "
            "the last scored step before them, or of the first after them.",
            WhitecrowWarning,
            stacklevel=3,
        )


def _combined(scores: NDArray[Any], rule: Fold) -> NDArray[Any]:
    if scores.ndim == 2:
        return scores
    if rule == "max":
        return scores.max(axis=2)
    return np.median(scores, axis=2) if rule == "median" else scores.mean(axis=2, dtype=np.float64)


def _divide_by_cover(sums: NDArray[np.float64], window: int) -> None:
    """Divide sums ``[R, n]`` over a segment by the number of windows that cover each step."""
    n = sums.shape[1]
    most = min(window, n - window + 1)
    rising = np.arange(1, most)
    sums[:, : most - 1] /= rising
    sums[:, n - most + 1 :] /= rising[::-1]
    sums[:, most - 1 : n - most + 1] /= most


def _medians(cover: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[Any]:
    """Return the median of the first ``counts`` values in the order of size; NaN, which sorts last, marks no window."""
    ordered = np.sort(cover, axis=2)
    middle = np.stack([(counts - 1) // 2, counts // 2, counts - 1], axis=-1)
    low, high, top = np.moveaxis(
        np.take_along_axis(ordered, np.broadcast_to(middle, (*cover.shape[:2], 3)), axis=2), 2, 0
    )
    # A score that is NaN must not pass for a window that is not there.
    return np.where(np.isnan(top), np.nan, low.astype(np.float64) / 2 + high.astype(np.float64) / 2)
