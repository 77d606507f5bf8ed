"""Scores over time, one lane for each entity, for a chart of many lanes."""

from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.parameters import Count, check
from whitecrow.metrics.decisions import finite_threshold
from whitecrow.metrics.inputs import finite_scores, same_length
from whitecrow.metrics.time_buckets import time_buckets

__all__ = ["Lane", "Swimlanes", "swimlanes"]

_MISSING = "(missing)"


class Lane(NamedTuple):
    """One line of the chart, with a value for each of B buckets.

    Parameters
    ----------
    name : str
        Entity, or "overall" or "others".
    kind : {"overall", "entity", "others"}
        An entity may itself be named "others".
    n_entities : int
        How many entities it holds.
    max_score : ndarray of float, shape [B]
        Highest score in the bucket; NaN where it holds no row.
    n_rows, flagged : ndarray of int, shape [B]
        Rows in the bucket, and those with a score above the threshold.
    """

    name: str
    kind: Literal["overall", "entity", "others"]
    n_entities: int
    max_score: NDArray[np.float64]
    n_rows: NDArray[np.intp]
    flagged: NDArray[np.intp]


class Swimlanes(NamedTuple):
    """The lanes: overall first, then entities by their highest score, then all others in one.

    Parameters
    ----------
    edges : ndarray, shape [B + 1]
        Edges of the buckets; see :class:`~whitecrow.metrics.time_buckets.TimeBuckets`.
    lanes : tuple of Lane
        At most ``max_lanes`` entities, one lane overall, and one of others if there are any.
    """

    edges: NDArray[Any]
    lanes: tuple[Lane, ...]


def swimlanes(
    scores: ArrayLike,
    times: ArrayLike,
    entities: ArrayLike | pl.Series,
    threshold: float,
    *,
    max_lanes: int = 20,
    max_buckets: int = 120,
) -> Swimlanes:
    """Summarise scores by entity and time.

    Parameters
    ----------
    scores : array_like, shape [N]
        Finite; higher = more anomalous.
    times : array_like of datetime64 or numbers, shape [N]
        In any order; the row number will do.
    entities : array_like or polars.Series, shape [N]
        What a lane stands for, such as a host. None and NaN make a lane named "(missing)".
    threshold : float
        A row is flagged if its score is strictly above.
    max_lanes, max_buckets : int
        Largest numbers of entity lanes and of buckets, at least 1.

    Returns
    -------
    Swimlanes
        Entities with equal highest scores come by flagged rows, then by name.

    Raises
    ------
    DataError
        If scores, times or threshold cannot be used, or the lengths differ.
    ParameterError
        If ``max_lanes`` or ``max_buckets`` is below 1.
    """
    check("swimlanes", "max_lanes", max_lanes, Count)
    values = finite_scores(scores)
    flags = values > finite_threshold(threshold)
    edges, bucket = time_buckets(times, max_buckets)
    same_length("times", bucket, "scores", values)
    names, entity = _entities(entities)
    same_length("entities", entity, "scores", values)

    highest = np.full(len(names), -np.inf)
    np.maximum.at(highest, entity, values)
    n_flagged = np.bincount(entity[flags], minlength=len(names))
    # Names are sorted, and a stable sort keeps their order among equals.
    order = np.lexsort((-n_flagged, -highest))
    kept = order[:max_lanes]
    lane_of = np.full(len(names), len(kept))
    lane_of[kept] = np.arange(len(kept))

    n_lanes, n_buckets = len(kept) + 1, len(edges) - 1
    cell = lane_of[entity] * n_buckets + bucket
    top = np.full(n_lanes * n_buckets, -np.inf)
    np.maximum.at(top, cell, values)
    counts, flagged = (
        np.bincount(cell[rows], minlength=len(top)).reshape(n_lanes, n_buckets) for rows in (slice(None), flags)
    )
    top = np.where(np.isneginf(top), np.nan, top).reshape(n_lanes, n_buckets)

    lanes = [Lane("overall", "overall", len(names), np.fmax.reduce(top), counts.sum(0), flagged.sum(0))]
    lanes += [Lane(names[e], "entity", 1, top[i], counts[i], flagged[i]) for i, e in enumerate(kept)]
    if len(names) > len(kept):
        lanes.append(Lane("others", "others", len(names) - len(kept), top[-1], counts[-1], flagged[-1]))
    return Swimlanes(edges, tuple(lanes))


def _entities(entities: ArrayLike | pl.Series) -> tuple[list[str], NDArray[np.intp]]:
    """Return the names, sorted, and the number of each row's."""
    column = entities if isinstance(entities, pl.Series) else pl.Series(np.asarray(entities).tolist(), strict=False)
    if column.dtype.is_float():
        column = column.fill_nan(None)
    texts = column.cast(pl.String).fill_null(_MISSING)
    names = texts.unique().sort()
    return names.to_list(), texts.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.intp)
