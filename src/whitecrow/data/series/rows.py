"""Series of any form as one array of steps, and scores of the steps in the caller's form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError

__all__ = ["Form", "SeriesRows"]

Form = Literal["series", "list", "windows"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SeriesRows:
    """Series laid end to end, cut into segments of equally spaced steps.

    ``len()`` is the number of scores that the caller gets: one for each row given, or for each fixed window.

    Attributes
    ----------
    values : ndarray of float32 or float64, shape [total, C]
        All steps in the order of time, one series after the other. Finite.
    bounds : ndarray of int64, shape [S + 1]
        Segment s is ``values[bounds[s]:bounds[s + 1]]``. No window reaches over a bound.
    series : ndarray of int64, shape [S]
        Which of the caller's series each segment belongs to, ascending.
    lengths : ndarray of int64, shape [n_series]
        How many rows the caller gave for each series; the length of each fixed window.
    channels : tuple of str, length C
        Names of the columns, or ``x0``, ``x1``, ... for arrays.
    source : {"array", "table"}
        Whether the channels have names of their own.
    form : {"series", "list", "windows"}
        One series, a list of them, or fixed windows, each of which is a sample of its own.
    places : ndarray of int64, shape [rows], or None
        Step that each row given became, where rows were sorted or averaged.
    times : ndarray of datetime64 or float64, shape [total], or None
        Time stamps of the steps.
    """

    values: NDArray[Any]
    bounds: NDArray[np.int64]
    series: NDArray[np.int64]
    lengths: NDArray[np.int64]
    channels: tuple[str, ...]
    source: Literal["array", "table"]
    form: Form
    places: NDArray[np.int64] | None = None
    times: NDArray[Any] | None = None

    def __len__(self) -> int:
        if self.form == "windows":
            return len(self.bounds) - 1
        return len(self.values) if self.places is None else len(self.places)

    def __repr__(self) -> str:
        segments = len(self.bounds) - 1
        return (
            f"SeriesRows({self.form}: {len(self.lengths):,} series, {segments:,} segments, {len(self.values):,} steps "
            f"of {len(self.channels)} channels)"
        )

    @property
    def n_scores(self) -> int:
        """Number of scores before they are put in the caller's form: steps, or fixed windows."""
        return len(self) if self.form == "windows" else len(self.values)

    @property
    def longest_segments(self) -> NDArray[np.int64]:
        """Length of the longest segment of each of the caller's series."""
        return np.maximum.reduceat(np.diff(self.bounds), np.flatnonzero(np.diff(self.series, prepend=-1)))

    def present(self, scores: ArrayLike) -> NDArray[Any] | list[NDArray[Any]]:
        """Put scores of the steps in the form of what was given.

        Parameters
        ----------
        scores : array-like, shape [n_scores]
            One value for each step of ``values``, or for each fixed window.

        Returns
        -------
        ndarray [T], list of ndarray [T_i], or ndarray [N]
            In the caller's order of rows. Rows of one time stamp, which were averaged, share a value.

        Raises
        ------
        DataError
            If there are more or fewer values.
        """
        flat = np.asarray(scores)
        self._check_length(flat, self.n_scores, "scores")
        if self.places is not None:
            flat = flat[self.places]
        return np.split(flat, np.cumsum(self.lengths)[:-1]) if self.form == "list" else flat

    def arrange(self, labels: ArrayLike | Sequence[ArrayLike]) -> NDArray[Any]:
        """Return what the caller gives for each row as one value for each step, the converse of :meth:`present`.

        Parameters
        ----------
        labels : array-like of numbers, shape [rows], or one such array for each series of a list
            In the caller's order of rows.

        Returns
        -------
        ndarray, shape [n_scores]
            Rows of one time stamp give the largest of their values.

        Raises
        ------
        DataError
            If there are more or fewer values.
        """
        if self.form == "list" and isinstance(labels, (list, tuple)) and len(labels) == len(self.lengths):
            parts = [np.asarray(part) for part in labels]
            if parts[0].ndim:
                for part, length in zip(parts, self.lengths.tolist(), strict=True):
                    self._check_length(part, length, "labels of a series")
                labels = np.concatenate(parts)
        flat = np.asarray(labels)
        self._check_length(flat, len(self), "labels")
        if self.places is None:
            return flat
        order = np.argsort(self.places, kind="stable")
        firsts = np.flatnonzero(np.diff(self.places[order], prepend=-1))
        return np.maximum.reduceat(flat[order], firsts)

    def _check_length(self, values: NDArray[Any], n: int, name: str) -> None:
        if values.shape != (n,):
            unit = "fixed window" if self.form == "windows" else "step"
            raise DataError(f"{name} have the shape {values.shape}; accepted is one value for each {unit}, ({n},).")
