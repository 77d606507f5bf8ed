"""Distributions of a column before and now, in few bins, for a small picture and a sentence."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["SHAPE_HEIGHT", "SHAPE_WIDTH", "ColumnShape", "column_shape"]

SHAPE_WIDTH, SHAPE_HEIGHT = 120.0, 32.0
"""Size of a small picture, in its own units."""

_BINS = 16
_LONG_TAIL = 10.0  # a range of so many middle halves has one
_LEVELS = 8
_MISSING = "(missing)"

Floats = NDArray[np.float64]


class ColumnShape(NamedTuple):
    """Shares of both tables in the same bins.

    Parameters
    ----------
    reference, current : ndarray of float64, shape [B]
        Shares of the rows with a value; of categories of all rows.
    words : str
        The same in a sentence: medians and quartiles, or the commonest values.
    """

    reference: Floats
    current: Floats
    words: str

    def outline(self, which: str) -> str:
        """Return the path of one distribution in SVG, from the floor and back to it.

        Parameters
        ----------
        which : {"reference", "current"}
        """
        shares: Floats = getattr(self, which)
        top = max(float(self.reference.max(initial=0)), float(self.current.max(initial=0))) or 1.0
        width = SHAPE_WIDTH / len(shares)
        steps = [
            f"L{k * width:.1f} {y:.1f} L{(k + 1) * width:.1f} {y:.1f}"
            for k, y in enumerate(((1 - shares / top) * (SHAPE_HEIGHT - 2) + 1).tolist())
        ]
        return f"M0 {SHAPE_HEIGHT:g} {' '.join(steps)} L{SHAPE_WIDTH:g} {SHAPE_HEIGHT:g}"


def column_shape(reference: pl.Series, current: pl.Series) -> ColumnShape:
    """Return how a column is distributed in both tables.

    Parameters
    ----------
    reference, current : polars.Series
        The column before and now; both of numbers, or both of anything else.
    """
    if reference.dtype.is_numeric() and current.dtype.is_numeric():
        before, now = (_finite(column) for column in (reference, current))
        if len(before) and len(now):
            return _numbers(before, now)
    if reference.dtype.is_temporal() and current.dtype.is_temporal():
        spans = [f"{column.min()} to {column.max()}" for column in (reference, current)]
        found = column_shape(reference.to_physical().cast(pl.Float64), current.to_physical().cast(pl.Float64))
        return found._replace(words=" → ".join(spans))
    before, now = (_counts(column) for column in (reference, current))
    most = max(len(reference), 1), max(len(current), 1)
    both = {name: before.get(name, 0) / most[0] + now.get(name, 0) / most[1] for name in before | now}
    names = sorted(both, key=lambda name: (-both[name], name))
    shares = [
        np.array([found.get(name, 0) / n for name in names[:_LEVELS]])
        for found, n in zip((before, now), most, strict=True)
    ]
    rest = [1 - part.sum() for part in shares]
    if len(names) > _LEVELS:
        shares = [np.append(part, other) for part, other in zip(shares, rest, strict=True)]
    said = ", ".join(
        f"{name[:40]} {100 * shares[0][k]:.1f} % → {100 * shares[1][k]:.1f} %" for k, name in enumerate(names[:3])
    )
    return ColumnShape(shares[0], shares[1], said)


def _numbers(before: Floats, now: Floats) -> ColumnShape:
    quartiles = [np.quantile(values, (0.25, 0.5, 0.75)) for values in (before, now)]
    # The middle 98 % of both, so that one far value does not press all others into a bin; and where their middle halves
    # would still fill but some bins, the tails are pressed together.
    ends = [np.quantile(values, (0.01, 0.99)) for values in (before, now)]
    low, high = min(float(e[0]) for e in ends), max(float(e[1]) for e in ends)
    spread, middle = max(float(q[2] - q[0]) for q in quartiles), float(quartiles[0][1])
    drawn = [np.clip(values, low, high) for values in (before, now)]
    if 0 < _LONG_TAIL * spread < high - low:
        drawn = [np.arcsinh(_LONG_TAIL * (values - middle) / spread) for values in drawn]
        low, high = (float(np.arcsinh(_LONG_TAIL * (end - middle) / spread)) for end in (low, high))
    if low == high:
        low, high = low - 0.5, high + 0.5
    shares = [np.histogram(values, bins=_BINS, range=(low, high))[0] / len(values) for values in drawn]
    said = [f"{q[1]:.4g} ({q[0]:.4g} to {q[2]:.4g})" for q in quartiles]
    return ColumnShape(shares[0], shares[1], f"median {said[0]} → {said[1]}")


def _finite(column: pl.Series) -> Floats:
    numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return numbers[np.isfinite(numbers)]


def _counts(column: pl.Series) -> dict[str, int]:
    return dict(column.cast(pl.String, strict=False).fill_null(_MISSING).value_counts().rows())
