"""What a store holds of a study, laid out on the grid of its plan."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.registry import unknown_name
from whitecrow.study.figures import figures
from whitecrow.study.plan import Study
from whitecrow.study.store import Store

__all__ = ["Results", "load_results"]

AXES = ("dataset", "detector", "regime", "contamination", "seed")


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """The cells of a study on a grid [D, M, R, C, S]: data sets, detectors, regimes, shares, seeds.

    Attributes
    ----------
    study : Study
        The plan.
    datasets, detectors, regimes : tuple of str
        What stands along the first three axes, in the order of the study; detectors by their titles.
    shares : tuple of float
        Shares of contamination, rising.
    planned, done, failed : ndarray of bool, shape [D, M, R, C, S]
        Cells of the plan, those with figures, and those that ended with an error.
    cells : polars.DataFrame
        A row for each stored cell of the plan, under the study's own names: the columns of
        :meth:`~whitecrow.study.store.Store.cells` and, in ``d``, ``m``, ``r``, ``c`` and ``s``, its place.
    families : polars.DataFrame
        A row for each stored cell and kind of anomaly in its test, with the same places.
    """

    study: Study
    datasets: tuple[str, ...]
    detectors: tuple[str, ...]
    regimes: tuple[str, ...]
    shares: tuple[float, ...]
    planned: NDArray[np.bool_]
    done: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    cells: pl.DataFrame
    families: pl.DataFrame

    def figure(self, name: str) -> NDArray[np.float64]:
        """Return a figure on the grid, NaN where it is missing.

        Raises
        ------
        UnknownNameError
            If there is no such figure.
        """
        if name not in figures():
            raise unknown_name("figure", name, figures())
        return self.column(name)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers of the cells that are done, on the grid; NaN where there is none."""
        grid = np.full(self.planned.shape, np.nan)
        finished = self.cells.filter(pl.col("error") == "")
        if name in finished.columns:
            grid[_places(finished)] = finished[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return grid


def load_results(store: Store, name: str | None = None) -> Results:
    """Return what a store holds of a study.

    Cells are found by their keys and carry the names of this study, whatever the study that computed them calls its
    data sets and detectors.

    Parameters
    ----------
    store : Store
        Where to look.
    name : str, optional
        The study; the latest by default.

    Raises
    ------
    UnknownNameError
        If there is no such study.
    """
    study, keys = store.study(name)
    axes = [list(dict.fromkeys(values)) for values in zip(*(cell.coordinates for cell in study.cells), strict=True)]
    axes[3].sort()
    places = [{value: place for place, value in enumerate(values)} for values in axes]
    at = [[place[value] for place, value in zip(places, cell.coordinates, strict=True)] for cell in study.cells]
    plan = pl.DataFrame(at, schema=dict.fromkeys("dmrcs", pl.Int64), orient="row").with_columns(
        pl.Series("key", keys, dtype=pl.String),
        *(
            pl.Series(axis, [cell.coordinates[k] for cell in study.cells], dtype=None if k > 2 else pl.String)
            for k, axis in enumerate(AXES)
        ),
    )
    planned = np.zeros([len(values) for values in axes], dtype=bool)
    planned[_places(plan)] = True
    cells = _on_plan(plan, store.cells(study.name))
    done, failed = np.zeros_like(planned), np.zeros_like(planned)
    done[_places(cells.filter(pl.col("error") == ""))] = True
    failed[_places(cells.filter(pl.col("error") != ""))] = True
    datasets, detectors, regimes, shares, _ = map(tuple, axes)
    families = _on_plan(plan, store.families(study.name))
    return Results(study, datasets, detectors, regimes, shares, planned, done, failed, cells, families)


def _on_plan(plan: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    # An empty table of SQLite has columns without types.
    found = stored.drop(AXES).cast({name: pl.String for name in ("key", "error", "family") if name in stored.columns})
    return plan.join(found, on="key", how="inner", maintain_order="left")


def _places(cells: pl.DataFrame) -> tuple[NDArray[np.int64], ...]:
    return tuple(cells[axis].to_numpy() for axis in "dmrcs")
