"""What is normal in a column, and how a value differs from it, in words."""

import math
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.data.columns import CategoryColumn, Column, DateColumn, NumberColumn
from whitecrow.explain.wording import level_shares, number, percent, shorten, shown

__all__ = ["Profile", "decimals"]

# A level this frequent in training is nothing unusual by itself.
_COMMON = 0.05


class Profile:
    """One column in words.

    Parameters
    ----------
    column : Column
        Its code, with the statistics of all training rows.
    normal : polars.Series, length M
        Its values in the reference rows.

    Attributes
    ----------
    typical : str
        What training rows have: the 5th to 95th percentile, or the commonest levels with their shares.
    range : (float, float) or None
        These percentiles, unrounded; None of a column that is told by its levels, or has no value.
    """

    def __init__(self, column: Column, normal: pl.Series) -> None:
        self.column = column
        self._normal = normal.to_list()
        self._shares = _shares(column)
        self._spread = column.high - column.low if isinstance(column, NumberColumn) else 0.0
        self.typical = self._typical()
        told = self.typical == "missing" or bool(self._shares)
        self.range = (column.low, column.high) if isinstance(column, NumberColumn) and not told else None

    def _typical(self) -> str:
        if all(value is None for value in self._normal):
            return "missing"
        if self._shares:
            return level_shares((_level(value), share) for value, share in self._shares)
        if isinstance(self.column, NumberColumn):
            return _range(self.column.low, self.column.high)
        return self.column.typical().removeprefix("mostly ")

    def shown(self, value: Any) -> str:
        """Return a value as text."""
        return shown(value, self._spread)

    def remark(self, value: Any, features: NDArray[np.float32]) -> str:
        """Return what is special about a value beside its size, or an empty text.

        Parameters
        ----------
        value : object
            A value of the column.
        features : ndarray [D]
            The encoded row that it belongs to.
        """
        column = self.column
        if _level(value) == "missing" and value != "missing":
            known = column.missing or any(level is None and share for level, share in self._shares)
            return "" if known else "never missing in training"
        if not isinstance(column, CategoryColumn):
            return ""
        share = next((share for level, share in self._shares if level == value), 0)
        if share:
            # The commonest levels stand in the text with their shares anyway.
            common = f"{shorten(value)} {percent(share)}" in self.typical.split(", ")
            return "" if common else f"{percent(share)} of training rows"
        own = features[column.start : column.start + len(column.slots)]
        rare = own.any() and column.slots[int(own.argmax())] == "(rare)"
        return "rare in training" if rare else "never seen in training"

    def alike(self, value: Any, rows: NDArray[np.int32]) -> tuple[str, bool, tuple[float, float] | None]:
        """Return what the reference rows in question have, whether ``value`` is among it, and its ends if numbers.

        Dates have no such text: the rows are too few to say what hours and weekdays are normal.
        """
        column = self.column
        if isinstance(column, DateColumn):
            return "", True, None
        normal = [self._normal[row] for row in rows]
        present = [v for v in normal if v is not None]
        if self._shares or not present or not isinstance(column, NumberColumn):
            counts = Counter(normal).most_common()
            return level_shares((_level(v), count / len(normal)) for v, count in counts), value in normal, None
        present.sort()
        outer = len(present) // 20
        low, high = present[outer], present[-1 - outer]
        step = 10.0 ** -decimals(column)
        inside = isinstance(value, (int, float)) and low - step <= value <= high + step
        return _range(low, high), inside, (float(low), float(high))

    def usual(self, value: Any) -> bool:
        """Return whether many training rows had such a value, whatever the other columns were."""
        if self._shares:
            return any(value == level and share >= _COMMON for level, share in self._shares)
        if not isinstance(self.column, NumberColumn) or not isinstance(value, (int, float)):
            return False
        return self.column.low <= value <= self.column.high


def decimals(column: NumberColumn) -> int:
    """Return the digits after the point that a decoded value has from its float32 feature, or less than 0."""
    return min(6 - math.floor(math.log10(max(abs(column.offset), column.scale))), 300)


def _shares(column: Column) -> list[tuple[Any, float]]:
    """Return the share of every level of a column that has levels; None stands for missing values."""
    if isinstance(column, NumberColumn) and column.kind == "boolean":
        return [(True, column.mean), (False, 1 - column.mean)]
    if not isinstance(column, CategoryColumn):
        return []
    shares = column.shares.tolist()
    if column.declared:
        return [*zip(column.levels, shares, strict=True), (None, round(1 - sum(shares), 9))]
    special = [None] * column.missing + ["rare levels"] * (len(column.rare) > 0)
    return list(zip([*column.levels, *special], shares, strict=False))


def _level(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)


def _range(low: float, high: float) -> str:
    ends = (number(low, high - low), number(high, high - low))
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
