"""A published table beside ours, row by row."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from whitecrow.study.published.tables import PublishedFigure, Table

__all__ = ["Mean", "Reproduction", "Row"]

_LEAST_BAND = 0.03  # within three points of a published mean nothing can be told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One of our figures beside a published one; either may be absent.

    Attributes
    ----------
    dataset, detector, figure : str
        What was measured; the detector is empty where the published method has no counterpart here.
    share : float
        Share of injected anomalies in training.
    ours, ours_std : float
        Mean and standard deviation (with Bessel's correction) over the seeds that are done, from 0 to 1; NaN where
        there are too few.
    seeds, planned, failed : int
        Seeds that are done, that were planned, and that failed.
    n_train, n_test, prevalence : float
        Rows, and the share of anomalies in the test, in the mean.
    published : PublishedFigure or None
        The published figure.
    """

    dataset: str
    detector: str
    figure: str
    share: float
    ours: float = math.nan
    ours_std: float = math.nan
    seeds: int = 0
    planned: int = 0
    failed: int = 0
    n_train: float = math.nan
    n_test: float = math.nan
    prevalence: float = math.nan
    published: PublishedFigure | None = None

    @property
    def difference(self) -> float:
        """Ours less theirs; NaN where one is absent."""
        return math.nan if self.published is None else self.ours - self.published.value

    @property
    def band(self) -> float:
        """How far ours may lie from theirs: two of their standard deviations, but at least three points."""
        if self.published is None:
            return math.nan
        std = self.published.std
        return _LEAST_BAND if math.isnan(std) else max(2 * std, _LEAST_BAND)

    @property
    def verdict(self) -> str:
        """Where ours lies: "inside", "above" or "below" the band; empty where there is nothing to compare."""
        if math.isnan(self.difference):
            return ""
        # A rounding error in the sixteenth digit decides nothing.
        if abs(self.difference) <= self.band + 1e-9:
            return "inside"
        return "above" if self.difference > 0 else "below"

    def document(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        theirs = self.published
        return {
            "dataset": self.dataset, "detector": self.detector, "share": self.share, "figure": self.figure,
            "ours": self.ours, "ours_std": self.ours_std, "seeds": self.seeds, "planned": self.planned,
            "failed": self.failed, "n_train": self.n_train, "n_test": self.n_test, "prevalence": self.prevalence,
            "published": theirs and theirs.value, "published_std": theirs and theirs.std,
            "published_runs": theirs and theirs.runs, "difference": self.difference, "band": self.band,
            "verdict": self.verdict, "method": theirs and theirs.method, "source": theirs and theirs.source,
            "evidence": theirs and theirs.evidence, "caveat": theirs and theirs.caveat,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mean:
    """Our mean and a published one, over the same data sets.

    Attributes
    ----------
    detector, method : str
        Ours and theirs.
    n : int
        Number of figures in each mean.
    ours, published : float
        From 0 to 1.
    """

    detector: str
    method: str
    n: int
    ours: float
    published: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A published table beside ours.

    Attributes
    ----------
    table : Table
        The table, with the published figures.
    quick : bool
        Whether rows and seeds are capped.
    rows : tuple of Row
        By data set; a detector that stands beside several published methods has a row for each.
    missing : tuple of str
        Data sets of the table that are absent.
    notes : tuple of str
        What else to know of the data.
    """

    table: Table
    quick: bool
    rows: tuple[Row, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def means(self) -> list[Mean]:
        """Return, for each detector beside each method, both means over the rows that have both figures."""
        pairs: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for row in self.rows:
            if row.published is not None and not math.isnan(row.difference):
                pair = (row.ours, row.published.value)
                pairs.setdefault((row.detector, row.published.method), []).append(pair)
        return [
            Mean(detector, method, len(both), *map(float, np.mean(both, axis=0)))
            for (detector, method), both in pairs.items()
        ]
