"""How the detectors of a study stand up to contamination, and which kinds of anomaly they find."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from whitecrow.study.statistics.degradation import Degradation, degradation
from whitecrow.study.summary.results import Results

__all__ = ["Curves", "Recall", "curves", "recalls"]

# Score of guessing; for the others it is the share of anomalies in the test.
_CHANCE = {"auroc": 0.5}


@dataclass(frozen=True, slots=True)
class Curves:
    """Degradation curves of one figure on one data set.

    Attributes
    ----------
    dataset, figure : str
        What.
    chance : float
        Score of guessing.
    by_detector : tuple of Degradation or None, length M
        None for a detector without a complete curve.
    """

    dataset: str
    figure: str
    chance: float
    by_detector: tuple[Degradation | None, ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """How much of one kind of anomaly a detector finds, averaged over seeds.

    Attributes
    ----------
    dataset, detector : str
        Where.
    contamination : float
        Share of injected anomalies in training.
    family : str
        Kind of anomaly.
    n : float
        Test rows of this kind, mean over seeds.
    known_ratio, operational : float
        Recall if as many rows are flagged as there are anomalies, and at the model's own threshold.
    std : float
        Standard deviation of ``known_ratio`` over seeds; NaN for one seed.
    n_seeds : int
        Seeds.
    """

    dataset: str
    detector: str
    contamination: float
    family: str
    n: float
    known_ratio: float
    operational: float
    std: float
    n_seeds: int


def curves(results: Results, r: int, name: str) -> tuple[Curves, ...]:
    """Return the curves of a figure for each data set that has one, in regime number ``r``.

    A share at which no detector has a figure on a data set (too few anomalies to inject, or not yet run) is left out
    there. Without the clean share there is no curve, because the breakdown point is relative to it.
    """
    grid, prevalence = results.figure(name)[:, :, r], results.column("prevalence")[:, :, r]
    found = []
    for d, dataset in enumerate(results.datasets):
        measured = np.isfinite(grid[d]).any((0, 2))
        shares = np.array(results.shares)[measured]
        if len(shares) < 2 or shares[0] != 0:
            continue
        chance = _CHANCE.get(name, float(np.nanmean(prevalence[d])))
        lines = [degradation(shares, one[measured], chance=chance) for one in grid[d]]
        kept = tuple(line if line.n_seeds else None for line in lines)
        if any(kept):
            found.append(Curves(dataset, name, chance, kept))
    return tuple(found)


def recalls(results: Results, r: int) -> tuple[Recall, ...]:
    """Return recalls by kind of anomaly at the smallest and the largest share of each data set."""
    table = results.families.filter(pl.col("r") == r)
    if not table.height:
        return ()
    grouped = (
        table.filter((pl.col("c") == pl.col("c").min().over("d")) | (pl.col("c") == pl.col("c").max().over("d")))
        .group_by("d", "m", "c", "family")
        .agg(
            pl.col("dataset", "detector", "contamination").first(),
            pl.col("n").mean(),
            pl.col("recall_at_known_ratio").mean().alias("known_ratio"),
            pl.col("operational_recall").mean().alias("operational"),
            pl.col("recall_at_known_ratio").std().fill_null(float("nan")).alias("std"),
            pl.len().alias("n_seeds"),
        )
        .sort("d", "family", "m", "c")
    )
    names = Recall.__dataclass_fields__
    return tuple(Recall(**{name: row[name] for name in names}) for row in grouped.iter_rows(named=True))
