"""The scores of a run, as its figures and lists need them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.workspace.parts import Part

__all__ = ["PART_NAMES", "RunScores"]

PART_NAMES = {"train": Part.TRAIN, "test": Part.TEST, "left out": Part.LEFT_OUT, "validation": Part.VALIDATION}


@dataclass(frozen=True, eq=False)
class RunScores:
    """A value for each row of the data set, in its order.

    Parameters
    ----------
    score : ndarray of float64 [N]
        Higher = more anomalous.
    p_value : ndarray of float64 [N] or None
        Lower = more anomalous; None where the detector held out no rows.
    part : ndarray of uint8 [N]
        Values of :class:`~whitecrow.workspace.parts.Part`.
    label : ndarray of int8 [N]
        1 anomaly, 0 normal, -1 unknown, which is never counted as normal.
    family : polars.Series of str [N]
        The label as text, where there is one.
    """

    score: NDArray[np.float64]
    p_value: NDArray[np.float64] | None
    part: NDArray[np.uint8]
    label: NDArray[np.int8]
    family: pl.Series

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return the scores of a file that a fit has written."""
        table = pl.read_parquet(file, glob=False)
        p_value = table["p_value"]
        return cls(
            score=table["score"].to_numpy(),
            p_value=None if p_value.null_count() else p_value.to_numpy(),
            part=table["part"].to_numpy(),
            label=table["label"].to_numpy(),
            family=table["family"],
        )

    def __len__(self) -> int:
        return len(self.score)

    @cached_property
    def _falling(self) -> NDArray[np.int64]:
        return np.argsort(-self.score, kind="stable")

    def falling(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows by falling score, of equal scores the first of the data set first; sorted once for all.

        Parameters
        ----------
        rows : ndarray of int64, shape [n]
            Different rows of the data set.
        """
        if len(rows) == len(self):
            return self._falling
        wanted = np.zeros(len(self), dtype=bool)
        wanted[rows] = True
        return self._falling[wanted[self._falling]]

    def rows(self, part: str | None = None, window: tuple[int, int] | None = None) -> NDArray[np.int64]:
        """Return the rows of a part, ascending.

        Parameters
        ----------
        part : {"train", "test", "left out", "validation", "all"}, optional
            By default the test rows, or all rows where every row trained.
        window : (int, int), optional
            First and last row of the data set that are wanted, both included; all by default.

        Raises
        ------
        DataError
            If there is no such part.
        """
        rows = self._of_part(part)
        return rows if window is None else rows[(rows >= window[0]) & (rows <= window[1])]

    def _of_part(self, part: str | None) -> NDArray[np.int64]:
        if part is None:
            test = np.flatnonzero(self.part == Part.TEST)
            return test if len(test) else np.arange(len(self))
        if part == "all":
            return np.arange(len(self))
        if part not in PART_NAMES:
            raise DataError(f"There is no part {part!r}; accepted are {', '.join(PART_NAMES)} and all.")
        return np.flatnonzero(self.part == PART_NAMES[part])
