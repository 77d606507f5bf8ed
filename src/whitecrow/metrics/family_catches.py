"""Which kinds of anomaly each of several detectors catches, and which it alone catches."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.metrics.classes import known_classes
from whitecrow.metrics.inputs import binary, same_length
from whitecrow.metrics.intervals import Interval, wilson_interval

__all__ = ["FamilyCatches", "family_catches"]

_NO_NAME = "(not named)"


class FamilyCatches(NamedTuple):
    """How one kind of anomaly fares with several detectors.

    Parameters
    ----------
    family : str
        Its name.
    n : int
        Known anomalies of this kind.
    recall : dict of str to Interval
        Share of them that each detector flags, with its Wilson interval.
    alone : dict of str to int
        How many of them this detector flags and no other one does.
    missed_by_all : int
        How many nobody flags.
    """

    family: str
    n: int
    recall: dict[str, Interval]
    alone: dict[str, int]
    missed_by_all: int


def family_catches(
    flags: Mapping[str, ArrayLike], y: ArrayLike, families: ArrayLike, *, level: float = 0.95
) -> tuple[FamilyCatches, ...]:
    """Compare detectors by kind of anomaly.

    Parameters
    ----------
    flags : mapping of str to array_like of {0, 1}, shape [N]
        What each detector flags, of at least one.
    y : array_like of {1, 0, -1, NaN, None}, shape [N]
        Only known anomalies (1) are counted; there must be one.
    families : array_like of str, shape [N]
        Kind of each anomaly; entries of other rows are ignored. None and NaN are shown as "(not named)".
    level : float, default=0.95
        Confidence level of the intervals.

    Returns
    -------
    tuple of FamilyCatches
        Those most often missed by all first, then by name.

    Raises
    ------
    DataError
        If flags, labels or families cannot be used.
    ParameterError
        If ``level`` is not between 0 and 1.
    """
    if not flags:
        raise DataError("flags is empty; accepted are the flags of at least one detector. Choose a run to compare.")
    flagged = {str(name): binary(values, f"flags of {name!r}") for name, values in flags.items()}
    first = next(iter(flagged.values()))
    for name, values in flagged.items():
        same_length(f"flags of {name!r}", values, "the first flags", first)
    anomalies = known_classes(y, first.astype(float)) == 1
    if not anomalies.any():
        raise DataError("No row is known to be an anomaly; at least one is needed. Label some rows.")
    named = np.asarray(families, dtype=object)
    same_length("families", named, "y", anomalies)
    kinds = np.array([_name(kind) for kind in named[anomalies]], dtype=object)
    caught = {name: values[anomalies] for name, values in flagged.items()}
    n_catchers = np.sum(list(caught.values()), axis=0)
    found = [_catches(str(kind), kinds == kind, caught, n_catchers, level) for kind in np.unique(kinds)]
    return tuple(sorted(found, key=lambda row: (-row.missed_by_all / row.n, row.family)))


def _name(kind: object) -> str:
    missing = kind is None or (isinstance(kind, float) and np.isnan(kind)) or kind == ""
    return _NO_NAME if missing else str(kind)


def _catches(
    family: str,
    rows: NDArray[np.bool_],
    caught: Mapping[str, NDArray[np.bool_]],
    n_catchers: NDArray[np.intp],
    level: float,
) -> FamilyCatches:
    n = int(rows.sum())
    return FamilyCatches(
        family=family,
        n=n,
        recall={name: wilson_interval(int(hit[rows].sum()) / n, n, level=level) for name, hit in caught.items()},
        alone={name: int((hit & (n_catchers == 1))[rows].sum()) for name, hit in caught.items()},
        missed_by_all=int((n_catchers == 0)[rows].sum()),
    )
