"""What a study spent, what went wrong in it, and on which data."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from whitecrow.study.summary.results import Results

__all__ = ["Cost", "Count", "DataFacts", "costs", "counts", "data_facts"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a detector cost on a data set, averaged over the seeds at the smallest share.

    Attributes
    ----------
    dataset, detector : str
        Where.
    fit_s, score_s : float
        CPU seconds of a fit, and of scoring the test.
    memory_mb : float
        Highest peak of the process's memory, data and libraries included.
    n_train, n_test : float
        Rows.
    together : int
        Largest number of cells that trained together and share the time of their fit.
    """

    dataset: str
    detector: str
    fit_s: float
    score_s: float
    memory_mb: float
    n_train: float
    n_test: float
    together: int


@dataclass(frozen=True, slots=True)
class Count:
    """A text that several cells have in common, such as an error.

    Attributes
    ----------
    text : str
        The text.
    n : int
        Cells.
    cells : tuple of str
        Which: data set, detector, regime and contamination, with the seeds.
    """

    text: str
    n: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataFacts:
    """A data set as the study saw it, averaged over cells; NaN before one is done.

    Attributes
    ----------
    dataset : str
        Its name.
    n_train, n_test : float
        Rows.
    prevalence : float
        Share of anomalies in the test.
    copies : float
        Share of the test rows that copy a training row.
    seeds : int
        Seeds planned.
    """

    dataset: str
    n_train: float
    n_test: float
    prevalence: float
    copies: float
    seeds: int


def costs(results: Results, r: int) -> tuple[Cost, ...]:
    """Return the costs in regime number ``r``."""
    table = results.cells.filter((pl.col("r") == r) & (pl.col("c") == 0) & (pl.col("error") == ""))
    if not table.height:
        return ()
    grouped = table.group_by("d", "m").agg(
        pl.col("dataset", "detector").first(),
        pl.col("fit_s", "score_s", "n_train", "n_test").mean(),
        pl.col("memory_mb", "together").max(),
    )
    names = Cost.__dataclass_fields__
    return tuple(Cost(**{n: row[n] for n in names}) for row in grouped.sort("d", "m").iter_rows(named=True))


def counts(results: Results, texts: Callable[[Mapping[str, Any]], list[str]]) -> tuple[Count, ...]:
    """Return the texts that a function finds in cells, the most frequent first."""
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for cell in results.cells.iter_rows(named=True):
        where = f"{cell['dataset']}, {cell['detector']}, {cell['regime']}, {100 * cell['contamination']:g} %"
        for text in dict.fromkeys(texts(cell)):
            found[text][where].append(cell["seed"])
    counted = [
        Count(
            text,
            sum(map(len, places.values())),
            tuple(f"{where}: seed{'s' * (len(s) > 1)} {', '.join(map(str, s))}" for where, s in places.items()),
        )
        for text, places in found.items()
    ]
    return tuple(sorted(counted, key=lambda count: -count.n))


def data_facts(results: Results) -> tuple[DataFacts, ...]:
    """Return the data sets as the study saw them."""
    columns = {name: results.column(name) for name in ("n_train", "n_test", "prevalence", "copies")}
    facts = []
    for d, dataset in enumerate(results.datasets):
        values = {name: grid[d][np.isfinite(grid[d])] for name, grid in columns.items()}
        means = {name: float(kept.mean()) if len(kept) else math.nan for name, kept in values.items()}
        facts.append(DataFacts(dataset, **means, seeds=int(results.planned[d].any((0, 1, 2)).sum())))
    return tuple(facts)
