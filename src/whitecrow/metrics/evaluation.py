"""One honest evaluation of scores and a threshold on labelled rows."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.metrics import points as _points
from whitecrow.metrics.curves import CostCurve, Costs, PRCurve, ROCCurve, pr_curve, roc_curve, thin
from whitecrow.metrics.decisions import Confusion, confusion, f1_at_known_ratio, finite_threshold, flag_top
from whitecrow.metrics.histogram import score_histogram
from whitecrow.metrics.inputs import labelled_scores, row_groups, same_length
from whitecrow.metrics.intervals import (
    Interval,
    check_bootstrap,
    percentile_interval,
    resampled_points,
    wilson_interval,
)
from whitecrow.metrics.points import OperatingPoints
from whitecrow.metrics.report import CostSummary, EvaluationReport, FamilyRecall, QueueRow

__all__ = ["evaluation_report"]

_FEW = 20
# How tables of different libraries spell a missing name.
_UNNAMED = ["", "None", "nan", "NaN", "<NA>"]


def evaluation_report(
    y: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    *,
    threshold_source: str,
    families: ArrayLike | None = None,
    costs: Costs | None = None,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> EvaluationReport:
    """Evaluate scores and a threshold on labelled rows.

    Shares of rows (precision, recall, rates) have Wilson intervals, all other figures bootstrap percentile
    intervals from one common set of resamples, drawn within each class.

    Parameters
    ----------
    y : array_like of {0, 1}, shape [N]
        1 = anomaly. Both classes are needed.
    scores : array_like, shape [N]
        Finite; higher = more anomalous.
    threshold : float
        A row is flagged if its score is above.
    threshold_source : str
        What the threshold was fitted on, such as the ``source`` of a :class:`whitecrow.calibrate.Threshold`.
    families : array_like of str, shape [N], optional
        Kind of each anomaly; entries of normal rows are ignored.
    costs : Costs, optional
        What the outcomes cost.
    groups : array_like, shape [N], optional
        Number of the distinct row that each row is a copy of; widens the intervals to what the distinct
        rows support.
    level : float, default=0.95
        Confidence level, between 0 and 1.
    n_resamples : int, default=1000
        Bootstrap resamples.
    seed : int, default=0
        Same seed, same report.

    Raises
    ------
    DataError
        If labels, scores, threshold, families or groups cannot be used.
    ParameterError
        If ``level``, ``n_resamples`` or ``seed`` is out of its range.
    """
    check_bootstrap("evaluation_report", level, n_resamples, seed)
    labels, values = labelled_scores(y, scores)
    threshold = finite_threshold(threshold)
    unit = None if groups is None else row_groups(groups, labels)
    flags = values > threshold
    thresholds, points = _points.operating_points(labels, values)

    # Every figure is a function of the operating points; the same functions run on all resamples.
    above = int(np.count_nonzero(thresholds[:-1] > threshold))
    figures = _figures(costs)
    drawn: list[list[NDArray[np.float64]]] = [[] for _ in figures]
    for block, index in resampled_points(
        labels, values, n_resamples=n_resamples, seed=seed, groups=unit, threshold=threshold
    ):
        for figure, kept in zip(figures.values(), drawn, strict=True):
            kept.append(figure(block, index))
    intervals = {
        name: percentile_interval(float(figures[name](points, above)), np.concatenate(kept), level)
        for name, kept in zip(figures, drawn, strict=True)
    }
    # Which of several tied rows are flagged is settled by an order, not by shares.
    known = intervals["f1_at_known_ratio"]
    intervals["f1_at_known_ratio"] = known._replace(value=f1_at_known_ratio(labels, values).f1)

    counts = confusion(labels, flags)
    metrics = intervals | _shares(labels, flags, unit, level)
    cost = None
    if costs is not None:
        cost = _cost_summary(costs, thresholds, points, metrics.pop("cost"), metrics.pop("minimum_cost"))
    by_family = () if families is None else _family_recalls(families, labels, values, flags, unit, level)
    prevalence = float(labels.mean())
    roc, pr = roc_curve(labels, values), pr_curve(labels, values)
    roc_kept, pr_kept = thin(roc.fpr, roc.tpr), thin(pr.recall, pr.precision)
    return EvaluationReport(
        n=len(labels),
        n_anomalies=int(labels.sum()),
        prevalence=prevalence,
        n_distinct_scores=len(thresholds) - 1,
        n_distinct_rows=None if unit is None else int(unit.max()) + 1,
        threshold=threshold,
        threshold_source=threshold_source,
        level=float(level),
        metrics=metrics,
        baselines={
            "auroc": 0.5,
            "average_precision": prevalence,
            "f1_at_known_ratio": prevalence,
            "recall_at_1_percent_fpr": 0.01,
            "recall_at_0.1_percent_fpr": 0.001,
            "best_f1": 2 * prevalence / (1 + prevalence),
            "precision": prevalence,
        },
        confusion=counts,
        queue=_queue(labels, values),
        families=by_family,
        roc=ROCCurve(*(column[roc_kept] for column in roc)),
        pr=PRCurve(*(column[pr_kept] for column in pr)),
        histogram=score_histogram(labels, values, threshold),
        cost=cost,
        notes=_notes(metrics, counts, len(thresholds) - 1, by_family),
    )


def _figures(costs: Costs | None) -> dict[str, Callable[[OperatingPoints, int], NDArray[np.float64]]]:
    """Return the figures with bootstrap intervals, as functions of the points and the threshold's index."""

    def at(points: OperatingPoints, index: int) -> OperatingPoints:
        return OperatingPoints(*(count[..., [index, -1]] for count in points))

    figures: dict[str, Callable[[OperatingPoints, int], NDArray[np.float64]]] = {
        "auroc": lambda points, _: _points.auroc(points),
        "average_precision": lambda points, _: _points.average_precision(points),
        "f1_at_known_ratio": lambda points, _: _points.tp_at_rank(points, points.tp[..., -1]) / points.tp[..., -1],
        "recall_at_1_percent_fpr": lambda points, _: _points.recall_at_fpr(points, 0.01),
        "recall_at_0.1_percent_fpr": lambda points, _: _points.recall_at_fpr(points, 0.001),
        "best_f1": lambda points, _: _points.f_beta(points).max(-1),
        "operational_f1": lambda points, index: _points.f_beta(at(points, index))[..., 0],
        "f2": lambda points, index: _points.f_beta(at(points, index), 2.0)[..., 0],
    }
    if costs is not None:
        figures["cost"] = lambda points, index: costs.per_row(at(points, index))[..., 0]
        figures["minimum_cost"] = lambda points, _: costs.per_row(points).min(-1)
    return figures


def _n_units(rows: NDArray[np.bool_], unit: NDArray[np.intp] | None) -> int:
    return int(rows.sum()) if unit is None else len(np.unique(unit[rows]))


def _shares(
    y: NDArray[np.bool_], flags: NDArray[np.bool_], unit: NDArray[np.intp] | None, level: float
) -> dict[str, Interval]:
    """Return the figures that are the share of some rows, with the rows they are a share of."""
    shares = {
        "precision": (y, flags),
        "recall": (flags, y),
        "false_positive_rate": (flags, ~y),
        "alert_rate": (flags, np.ones_like(y)),
        "accuracy": (flags == y, np.ones_like(y)),
    }
    return {
        # An empty set of rows, such as no alerts, has no share: it is shown as 0 with the interval (0, 1).
        name: wilson_interval(hit[rows].sum() / max(rows.sum(), 1), _n_units(rows, unit), level=level)
        for name, (hit, rows) in shares.items()
    }


def _cost_summary(
    costs: Costs, thresholds: NDArray[np.float64], points: OperatingPoints, used: Interval, best: Interval
) -> CostSummary:
    per_row = costs.per_row(points)
    # Drawn over the rank of the threshold: a heavy tail would take all the points of a linear axis.
    kept = thin(np.arange(len(per_row), dtype=float), per_row)
    return CostSummary(
        costs=costs,
        at_threshold=used,
        minimum=best,
        minimum_threshold=float(thresholds[per_row.argmin()]),
        flag_nothing=float(per_row[0]),
        flag_everything=float(per_row[-1]),
        curve=CostCurve(thresholds[kept], per_row[kept]),
    )


def _family_recalls(
    families: ArrayLike,
    y: NDArray[np.bool_],
    scores: NDArray[np.float64],
    flags: NDArray[np.bool_],
    unit: NDArray[np.intp] | None,
    level: float,
) -> tuple[FamilyRecall, ...]:
    names = np.asarray(families, dtype=object)
    same_length("families", names, "y", y)
    names = names.astype(str)
    names[np.isin(names, _UNNAMED)] = "(not named)"
    rows_of = []
    for name in np.unique(names[y]):
        rows = y & (names == name)
        compared = rows | ~y
        _, points = _points.operating_points(rows[compared], scores[compared])
        recall = wilson_interval(float(flags[rows].mean()), _n_units(rows, unit), level=level)
        caught = int(flags[rows].sum())
        rows_of.append(FamilyRecall(str(name), int(rows.sum()), caught, recall, float(_points.auroc(points))))
    return tuple(sorted(rows_of, key=lambda row: (row.recall.value, row.family)))


def _queue(y: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[QueueRow, ...]:
    lengths = (m * 10**e for e in range(1, len(str(len(y)))) for m in (1, 2, 5))
    found = [(k, int(y[flag_top(scores, k)].sum())) for k in lengths if k <= len(y)]
    return tuple(QueueRow(k, hits / k, hits / int(y.sum())) for k, hits in found)


def _notes(
    metrics: Mapping[str, Interval], counts: Confusion, n_distinct: int, families: tuple[FamilyRecall, ...]
) -> tuple[str, ...]:
    n, anomalies, flagged = sum(counts), counts.tp + counts.fn, counts.tp + counts.fp
    blind = [row.family for row in families if row.n_flagged == 0]
    said = [
        (
            anomalies < _FEW,
            f"There are only {anomalies} anomalies: one of them moves recall by {100 / anomalies:.1f} "
            "points, and the intervals are rough.",
        ),
        (n_distinct == 1, "All scores are equal: the detector separates nothing."),
        (
            1 < n_distinct < min(100, n / 10),
            f"Only {n_distinct} distinct scores for {n} rows: many rows are tied.",
        ),
        (
            metrics["auroc"].high < 0.5,
            "AUROC is below 0.5: anomalies score lower than normal rows. Check which class is labelled 1.",
        ),
        (flagged == 0, "Nothing is flagged at this threshold; precision is shown as 0."),
        (flagged == n, "Every row is flagged at this threshold."),
        (bool(blind), f"Not one row is flagged of: {', '.join(blind)}."),
    ]
    return tuple(sentence for holds, sentence in said if holds)
