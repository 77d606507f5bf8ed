"""What the verdicts on reviewed alerts say: live precision of the queue, and where the threshold should be."""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Count, Range, check
from whitecrow.metrics.curves import Costs
from whitecrow.metrics.decisions import finite_threshold
from whitecrow.metrics.inputs import finite_scores, same_length
from whitecrow.metrics.intervals import Interval, wilson_interval
from whitecrow.metrics.points import operating_points

__all__ = ["Recalibration", "ReviewedPrecision", "Verdict", "recalibrated_threshold", "reviewed_precision"]

Verdict = Literal["confirmed", "dismissed", "unsure", "new"]
OpenShare = Annotated[float, Range(0, 1, low_open=True)]

# Fewer verdicts than these say too little about where a threshold belongs.
_MIN_DECIDED = 20
_MIN_OF_EACH = 5
_MIN_ABOVE = 10


class ReviewedPrecision(NamedTuple):
    """What analysts found among the first ``k`` alerts of a queue.

    Parameters
    ----------
    k : int
        Alerts looked at here; the whole queue if it is shorter than asked.
    confirmed, dismissed, unsure, new : int
        Alerts by verdict. The last two decide nothing.
    precision : Interval or None
        Confirmed alerts as a share of the decided ones, with its Wilson interval; None if none is decided.
    lift : Interval or None
        Precision over the base rate; None without either.
    coverage : float
        Decided alerts as a share of the ``k``.
    """

    k: int
    confirmed: int
    dismissed: int
    unsure: int
    new: int
    precision: Interval | None
    lift: Interval | None
    coverage: float


class Recalibration(NamedTuple):
    """A threshold that verdicts speak for, and how far they can be trusted.

    Parameters
    ----------
    threshold : float
        At least the old one; rows with a score strictly above are flagged.
    source : str
        The rest of a sentence that begins with "Threshold: ...".
    bias : str
        What the verdicts cannot say.
    confirmed, dismissed : int
        Decided alerts above the new threshold.
    precision : Interval or None
        Of those, with its Wilson interval; None if there are none.
    catches_kept : Interval
        Share of the confirmed alerts that stay above the new threshold. It is no recall: what the old threshold let
        pass was not reviewed.
    """

    threshold: float
    source: str
    bias: str
    confirmed: int
    dismissed: int
    precision: Interval | None
    catches_kept: Interval


def reviewed_precision(
    verdicts: Sequence[str] | NDArray[np.str_], k: int, *, base_rate: float | None = None, level: float = 0.95
) -> ReviewedPrecision:
    """Return the live precision at ``k``.

    Parameters
    ----------
    verdicts : sequence of {"confirmed", "dismissed", "unsure", "new"}, length n
        Of the alerts in the order of the queue.
    k : int
        At least 1.
    base_rate : float, optional
        Share of anomalies among all records, above 0 and at most 1.
    level : float, default=0.95
        Confidence level of the intervals.

    Raises
    ------
    DataError
        If a verdict is none of the four, or there is none.
    ParameterError
        If ``k``, ``base_rate`` or ``level`` is out of its range.
    """
    check("reviewed_precision", "k", k, Count)
    check("reviewed_precision", "base_rate", base_rate, OpenShare | None)
    given = _verdicts(verdicts)[:k]
    confirmed, dismissed, unsure, new = (int(np.sum(given == name)) for name in get_args(Verdict))
    decided = confirmed + dismissed
    precision = wilson_interval(confirmed / decided, decided, level=level) if decided else None
    lift = None if precision is None or base_rate is None else Interval(*(end / base_rate for end in precision))
    return ReviewedPrecision(
        len(given), confirmed, dismissed, unsure, new, precision, lift, coverage=decided / len(given)
    )


def recalibrated_threshold(
    scores: ArrayLike,
    verdicts: Sequence[str] | NDArray[np.str_],
    old_threshold: float,
    aim: float | Costs,
    *,
    level: float = 0.95,
) -> Recalibration:
    """Return the threshold that reviewed alerts speak for.

    Either the lowest at which the decided alerts above it have the target precision, with at least 10 of them, or the
    one with the lowest cost per decided alert. There must be 20 decided alerts, 5 confirmed and 5 dismissed ones among
    them. Nothing is applied.

    Parameters
    ----------
    scores : array_like, shape [n]
        Of the alerts; those not above the old threshold are left out, because few of their kind are ever reviewed.
    verdicts : sequence of {"confirmed", "dismissed", "unsure", "new"}, length n
        Only the first two count.
    old_threshold : float
        The one that raised these alerts.
    aim : float or Costs
        Target precision, above 0 and at most 1; or what the outcomes cost. The prevalence of these must be None: among
        reviewed alerts the share of anomalies is theirs.
    level : float, default=0.95
        Confidence level of the intervals.

    Raises
    ------
    DataError
        If scores or verdicts cannot be used, there are too few verdicts, or no threshold meets the target.
    ParameterError
        If ``aim`` or ``level`` is out of its range, or the costs have a prevalence.
    """
    _check_aim(aim)
    values, given, old = finite_scores(scores), _verdicts(verdicts), finite_threshold(old_threshold)
    same_length("verdicts", given, "scores", values)
    decided = (values > old) & ((given == "confirmed") | (given == "dismissed"))
    found = given[decided] == "confirmed"
    _check_enough(found)
    thresholds, points = operating_points(found, values[decided])
    # Below the lowest decided alert nothing is known, but the old threshold flags all of them.
    thresholds[-1] = old
    tp, fp = points
    if isinstance(aim, Costs):
        best = int(aim.per_row(points).argmin())
        wish = "lowest cost per decided alert"
    else:
        meets = (tp / np.maximum(tp + fp, 1) >= aim) & (tp + fp >= _MIN_ABOVE)
        if not meets.any():
            raise DataError(
                f"No threshold reaches a precision of {aim:g} with at least {_MIN_ABOVE} decided alerts "
                f"above it; all {len(found)} together have {found.mean():.3g}. Ask for less, or review more alerts."
            )
        best = int(np.flatnonzero(meets)[-1])
        wish = f"precision of at least {aim:g} among decided alerts"
    confirmed, dismissed = int(tp[best]), int(fp[best])
    n = confirmed + dismissed
    return Recalibration(
        threshold=float(thresholds[best]),
        source=f"{wish}, found on {len(found)} verdicts; optimistic on those same alerts",
        bias=(
            f"Only alerts above the old threshold {old:g} were reviewed, {np.sum(values > old) - len(found)} of "
            "them are undecided, and none below is known. So this can raise the threshold but never lower it, and says "
            "nothing of the anomalies that were never alerts. Review a random sample below the threshold to learn of "
            "those."
        ),
        confirmed=confirmed,
        dismissed=dismissed,
        precision=wilson_interval(confirmed / n, n, level=level) if n else None,
        catches_kept=wilson_interval(confirmed / int(tp[-1]), int(tp[-1]), level=level),
    )


def _check_aim(aim: float | Costs) -> None:
    if not isinstance(aim, Costs):
        check("recalibrated_threshold", "aim", aim, OpenShare)
    elif aim.prevalence is not None:
        raise ParameterError(
            f"recalibrated_threshold(aim=Costs(prevalence={aim.prevalence:g})): prevalence must be None, because the "
            "share of anomalies among reviewed alerts is theirs. Use dataclasses.replace(costs, prevalence=None)."
        )


def _check_enough(found: NDArray[np.bool_]) -> None:
    confirmed, dismissed = int(found.sum()), int((~found).sum())
    if len(found) < _MIN_DECIDED or min(confirmed, dismissed) < _MIN_OF_EACH:
        raise DataError(
            f"There are {confirmed} confirmed and {dismissed} dismissed alerts above the old threshold; accepted are "
            f"at least {_MIN_DECIDED} together and {_MIN_OF_EACH} of each. Review more alerts."
        )


def _verdicts(verdicts: Sequence[str] | NDArray[np.str_]) -> NDArray[np.str_]:
    given = np.asarray(verdicts, dtype=object)
    known = get_args(Verdict)
    unknown = sorted({str(v)[:40] for v in given.ravel().tolist() if v not in known})
    if given.ndim != 1 or not len(given) or unknown:
        raise DataError(
            f"verdicts has shape {given.shape} and holds {', '.join(unknown[:5]) or 'nothing else'}; accepted is one "
            f"of {', '.join(known)} for each alert, of at least one."
        )
    return given.astype(str)
