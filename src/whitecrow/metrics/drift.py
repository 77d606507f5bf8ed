"""Drift of data and scores, and whether there are more anomalies or the world has moved."""

from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import NonNegative, Share, check
from whitecrow.metrics.column_drift import ColumnDrift, Table, column_drift, drift_table
from whitecrow.metrics.drift_measures import (
    homogeneity_p,
    ks_distance,
    number_table,
    population_stability_index,
    scaled_wasserstein,
)
from whitecrow.metrics.inputs import finite_scores, same_length
from whitecrow.metrics.intervals import Level

__all__ = ["Change", "DriftReport", "DriftVerdict", "ScoreDrift", "drift_report", "score_drift"]

Floats = NDArray[np.float64]
Change = Literal["stable", "some columns moved", "more anomalies", "fewer anomalies", "the world moved"]

# Share of the reference that lies in the upper tail, and the factor by which that share must change to matter.
_TAIL = 0.05
_TAIL_FACTOR = 1.5
# Rows of the bulk that both tables need, so that it can be compared at all.
_MIN_BULK = 20

_WORDS: dict[Change, str] = {
    "stable": "Neither the bulk of the rows nor the share of high scores has changed by an amount that matters.",
    "some columns moved": "Some columns of the bulk have moved, but scores have not. Look at those columns.",
    "more anomalies": "More rows have high scores, while the bulk of the rows is as it was. Look at the alerts.",
    "fewer anomalies": "Fewer rows have high scores, while the bulk of the rows is as it was.",
    "the world moved": "The bulk of the rows itself has moved. Recalibrate the threshold, or fit the detector again.",
}


class ScoreDrift(NamedTuple):
    """How the scores differ from those of the reference.

    Parameters
    ----------
    ks, p_value : float
        Kolmogorov-Smirnov distance and its p-value.
    psi, wasserstein : float
        Effect sizes as for columns.
    mean_shift : float
        Difference of the means in standard deviations of the reference, positive if scores rose; 0 if the reference
        is constant.
    drifted : bool
        p-value at most ``level`` and an effect of at least ``min_effect``.
    """

    ks: float
    p_value: float
    psi: float
    wasserstein: float
    mean_shift: float
    drifted: bool


class DriftVerdict(NamedTuple):
    """What kind of change it is, by the rule of :func:`drift_report`.

    Parameters
    ----------
    verdict : str
        "stable", "some columns moved", "more anomalies", "fewer anomalies" or "the world moved".
    reason : str
        The same as a sentence, with what to do.
    tail_threshold : float
        Scores strictly above it are the tail, all others the bulk.
    tail, reference_tail : float
        Share of the rows in the tail.
    bulk_columns : tuple of str
        Columns that have moved within the bulk, the most first.
    bulk_scores_drifted : bool
        Whether the scores have moved within the bulk.
    """

    verdict: Change
    reason: str
    tail_threshold: float
    tail: float
    reference_tail: float
    bulk_columns: tuple[str, ...]
    bulk_scores_drifted: bool


class DriftReport(NamedTuple):
    """What has drifted.

    Parameters
    ----------
    columns : tuple of ColumnDrift
        Drifted ones first.
    share_drifted : float
        Drifted columns as a share of those compared.
    drifted : bool
        Whether this share reaches ``declare_at``.
    scores : ScoreDrift
        Drift of the scores.
    verdict : DriftVerdict
        More anomalies, or another world.
    """

    columns: tuple[ColumnDrift, ...]
    share_drifted: float
    drifted: bool
    scores: ScoreDrift
    verdict: DriftVerdict


def drift_report(
    reference: Table,
    current: Table,
    reference_scores: ArrayLike,
    current_scores: ArrayLike,
    *,
    level: float = 0.05,
    min_effect: float = 0.1,
    declare_at: float = 0.5,
) -> DriftReport:
    """Compare a table and its scores with a reference.

    Parameters
    ----------
    reference, current : polars.DataFrame or mapping of str to array_like
        Tables with the same columns; see :func:`~whitecrow.metrics.column_drift.column_drift`.
    reference_scores, current_scores : array_like, shapes [N] and [M]
        Of the same rows. Best those of reference rows that were held out: a detector may give lower scores to
        the rows it has learnt from.
    level : float, default=0.05
        Between 0 and 1. If nothing has changed, each of three conclusions is wrong with at most this chance: any
        column drifted, scores drifted, verdict other than "stable".
    min_effect : float, default=0.1
        Effect that matters, at least 0.
    declare_at : float, default=0.5
        Share of drifted columns from which on the table as a whole has drifted, from 0 to 1.

    Raises
    ------
    DataError
        If tables or scores cannot be used.
    ParameterError
        If a setting is out of its range.

    Notes
    -----
    The verdict splits both tables at the score that 5 % of the reference exceed. More anomalies add rows to the tail
    and leave the bulk as it was; in another world the bulk differs too. Each of three questions is answered at a
    third of ``level``: has the share in the tail changed, by a factor of 1.5 or more (test of homogeneity)? Have the
    scores of the bulk moved (KS, PSI of ``min_effect`` or more)? Which columns of the bulk have (as above, by the PSI
    alone, which a few missed anomalies far off do not move)? Then

    1. bulk scores moved, or at least ``declare_at`` of the bulk's columns, or some column and the tail: "the world
       moved";
    2. only the tail changed: "more anomalies" or "fewer anomalies";
    3. only columns: "some columns moved";
    4. nothing: "stable".

    Anomalies that a detector scores like normal rows are part of the bulk: many of them look like a moved world.
    """
    check("drift_report", "declare_at", declare_at, Share)
    before, now = drift_table("reference", reference), drift_table("current", current)
    one, other = finite_scores(reference_scores, "reference_scores"), finite_scores(current_scores, "current_scores")
    for name, table, scores in (("reference", before, one), ("current", now, other)):
        same_length(f"{name}_scores", scores, name, np.empty(table.height))
    columns = column_drift(before, now, level=level, min_effect=min_effect)
    share = _share_drifted(columns)
    return DriftReport(
        columns=columns,
        share_drifted=share,
        drifted=any(row.drifted for row in columns) and share >= declare_at,
        scores=score_drift(one, other, level=level, min_effect=min_effect),
        verdict=_verdict(before, now, one, other, level / 3, min_effect, declare_at),
    )


def score_drift(
    reference: ArrayLike, current: ArrayLike, *, level: float = 0.05, min_effect: float = 0.1
) -> ScoreDrift:
    """Compare scores with those of the reference.

    Parameters
    ----------
    reference, current : array_like, shapes [N] and [M]
        Finite scores.
    level : float, default=0.05
        Between 0 and 1.
    min_effect : float, default=0.1
        PSI or scaled Wasserstein distance that matters, at least 0.

    Raises
    ------
    DataError
        If scores cannot be used.
    ParameterError
        If a setting is out of its range.
    """
    check("score_drift", "level", level, Level)
    check("score_drift", "min_effect", min_effect, NonNegative)
    before, now = finite_scores(reference, "reference"), finite_scores(current, "current")
    distance, p_value = ks_distance(before, now)
    psi, wasserstein = population_stability_index(number_table(before, now)), scaled_wasserstein(before, now)
    shift = float(now.mean() - before.mean()) / (float(before.std()) or np.inf)
    drifted = p_value <= level and max(psi, wasserstein) >= min_effect
    return ScoreDrift(distance, p_value, psi, wasserstein, shift, drifted)


def _verdict(
    before: pl.DataFrame, now: pl.DataFrame, one: Floats, other: Floats, level: float, effect: float, declare_at: float
) -> DriftVerdict:
    cut = float(np.quantile(one, 1 - _TAIL, method="inverted_cdf"))
    high = one > cut, other > cut
    tail = np.array([[rows.sum(), (~rows).sum()] for rows in high])
    shares = tail[:, 0] / tail.sum(1)
    changed = homogeneity_p(tail) <= level
    more = changed and bool(shares[1] >= _TAIL_FACTOR * shares[0])
    fewer = changed and bool(shares[0] >= _TAIL_FACTOR * shares[1])

    if tail[:, 1].min() < _MIN_BULK:
        if not more:
            raise DataError(
                f"The tables hold {tail[0, 1]} and {tail[1, 1]} rows with ordinary scores; a verdict needs at least "
                f"{_MIN_BULK} of each. Pass more rows."
            )
        # Hardly any row scores as in the reference: nothing is left to be compared, nor need it be.
        names, scores_moved, share = (), True, 1.0
    else:
        bulk = [table.filter(pl.Series(~rows)) for table, rows in zip((before, now), high, strict=True)]
        moved = column_drift(*bulk, level=level, min_effect=effect, use_wasserstein=False)
        names, share = tuple(row.column for row in moved if row.drifted), _share_drifted(moved)
        scores = score_drift(one[~high[0]], other[~high[1]], level=level, min_effect=effect)
        scores_moved = scores.p_value <= level and scores.psi >= effect

    verdict: Change = "stable"
    if scores_moved or (names and (share >= declare_at or more or fewer)):
        verdict = "the world moved"
    elif more or fewer:
        verdict = "more anomalies" if more else "fewer anomalies"
    elif names:
        verdict = "some columns moved"
    return DriftVerdict(verdict, _WORDS[verdict], cut, float(shares[1]), float(shares[0]), names, bool(scores_moved))


def _share_drifted(columns: tuple[ColumnDrift, ...]) -> float:
    compared = [row for row in columns if row.p_value is not None]
    return sum(row.drifted for row in compared) / max(len(compared), 1)
