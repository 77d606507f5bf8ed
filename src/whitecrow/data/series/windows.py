"""Windows of series: where they begin, a view of all of them, and the split that keeps the order of time."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Probability, check
from whitecrow.data.series.rows import SeriesRows

__all__ = [
    "ChronologicalSplit",
    "check_long_enough",
    "chronological_split",
    "training_part",
    "window_starts",
    "window_view",
]


@dataclass(frozen=True, slots=True, eq=False)
class ChronologicalSplit:
    """Which windows train and which are held out; none of the first shares a step with one of the second.

    Attributes
    ----------
    train : ndarray of int64, shape [n_train]
        First steps of the windows to train on, ascending.
    held_out : ndarray of int64, shape [n_held_out]
        First steps of the windows held out, ascending.
    fitting : ndarray of bool, shape [total], or [N] for fixed windows
        Whether each step belongs to the training part: what an encoder may learn from.
    """

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    fitting: NDArray[np.bool_]


def window_starts(bounds: NDArray[np.int64], window: int, stride: int = 1) -> NDArray[np.int64]:
    """Return the first step of every window that lies in one segment.

    Parameters
    ----------
    bounds : ndarray of int64, shape [S + 1]
        Bounds of the segments.
    window : int
        Steps in a window, W.
    stride : int, default=1
        Steps from one start to the next within a segment.

    Returns
    -------
    ndarray of int64
        Ascending. A segment of n steps has ``(n - W) // stride + 1`` windows, or none.

    Examples
    --------
    >>> window_starts(np.array([0, 5, 7, 11]), window=3).tolist()
    [0, 1, 2, 7, 8]
    """
    check("window_starts", "window", window, Count)
    check("window_starts", "stride", stride, Count)
    counts = np.maximum((np.diff(bounds) - window) // stride + 1, 0)
    # A segment's windows are numbered from 0: the number of all windows less those of the segments before.
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(bounds[:-1], counts) + stride * number


def window_view(values: NDArray[Any], window: int) -> NDArray[Any]:
    """Return every window of consecutive steps as a read-only view that copies nothing.

    Parameters
    ----------
    values : ndarray, shape [total, C]
    window : int
        Steps in a window, W, at most ``total``.

    Returns
    -------
    ndarray, shape [total - W + 1, W, C]
        Entry t begins at step t. Of these, :func:`window_starts` names those that lie in one segment.
    """
    return np.moveaxis(sliding_window_view(values, window, axis=0), -1, 1)


def check_long_enough(rows: SeriesRows, window: int) -> None:
    """Check that each of the caller's series has at least one window.

    Raises
    ------
    DataError
        If one has none; the message says how long it is and what to do.
    """
    longest = rows.longest_segments
    k = int(longest.argmin())
    if longest[k] >= window:
        return
    which = "X" if rows.form == "series" else f"Series {k}"
    length = int(np.diff(rows.bounds)[rows.series == k].sum())
    gaps = f", and {longest[k]} steps between gaps at most," if longest[k] < length else ""
    others = int((longest < window).sum()) - 1
    more = f" {others} other series {'is' if others == 1 else 'are'} too short as well." if others else ""
    raise DataError(
        f"{which} has {length} steps{gaps} but a window takes {window}.{more} Give longer series, leave the short ones "
        f"out, or set window to at most {int(longest.min())} and fit again."
    )


def training_part(
    rows: SeriesRows, share: float, *, of: Literal["segments", "whole"] = "segments"
) -> NDArray[np.bool_]:
    """Say which steps are left to train on where the last ones are held out.

    Parameters
    ----------
    rows : SeriesRows
    share : float
        Share that is held out, from 0 to below 1, rounded up.
    of : {"segments", "whole"}, default="segments"
        Cut the end off every segment, or off all steps as they are laid end to end. Of fixed windows, the last ones
        are held out in either case.

    Returns
    -------
    ndarray of bool, shape [total], or [N] for fixed windows
    """
    check("training_part", "share", share, Probability)
    check("training_part", "of", of, Literal["segments", "whole"])
    if rows.form == "windows" or of == "whole":
        return np.arange(rows.n_scores) < rows.n_scores - _held(share, rows.n_scores)
    lengths = np.diff(rows.bounds)
    kept = np.array([length - _held(share, length) for length in lengths.tolist()], dtype=np.int64)
    return np.arange(len(rows.values)) < np.repeat(rows.bounds[:-1] + kept, lengths)


def chronological_split(
    rows: SeriesRows,
    window: int,
    share: float,
    *,
    stride: int = 1,
    of: Literal["segments", "whole"] = "segments",
) -> ChronologicalSplit:
    """Hold out the last windows; windows that straddle the cut are dropped.

    Fixed windows share no steps and are held out whole. Where the steps held out hold no window, nothing is held out.

    Parameters
    ----------
    rows : SeriesRows
    window : int
        Steps in a window, W.
    share : float
        Share of the steps that is held out; see :func:`training_part`.
    stride : int, default=1
        Steps from one training window to the next; held-out windows have stride 1.
    of : {"segments", "whole"}, default="segments"
        See :func:`training_part`.

    Returns
    -------
    ChronologicalSplit

    Raises
    ------
    ParameterError
        If a parameter is out of its range.
    DataError
        If no training window is left.
    """
    check("chronological_split", "window", window, Count)
    check("chronological_split", "stride", stride, Count)
    check_long_enough(rows, window)
    fitting = training_part(rows, share, of=of)
    if rows.form == "windows":
        train, held_out = rows.bounds[:-1][fitting], rows.bounds[:-1][~fitting]
    else:
        # The two sides of a cut are segments of their own, so that no window straddles it.
        parts = np.union1d(rows.bounds, 1 + np.flatnonzero(np.diff(fitting)))
        train, held_out = (window_starts(parts, window, step) for step in (stride, 1))
        train, held_out = train[fitting[train]], held_out[~fitting[held_out]]
    if not len(held_out):
        return ChronologicalSplit(window_starts(rows.bounds, window, stride), held_out, np.ones_like(fitting))
    if not len(train):
        raise DataError(
            f"share={share:g} of {len(rows.values)} steps held out leaves no window of {window} steps to train on. "
            "Hold out a smaller share, take a shorter window, or give more steps."
        )
    return ChronologicalSplit(train, held_out, fitting)


def _held(share: float, n: int) -> int:
    # 0.1 * 30 is 3.0000000000000004 by rounding; 3 are meant.
    return int(np.ceil(share * n - 1e-9))
