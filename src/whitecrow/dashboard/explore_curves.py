"""What the charts of the Explore screen draw, from the sorted scores of the rows in view."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whitecrow.dashboard.score_bins import score_edges
from whitecrow.metrics import Costs
from whitecrow.metrics.alert_table import AlertTable
from whitecrow.metrics.curves import thin

__all__ = ["CurveData", "cost_rows", "curve_data"]

_POINTS = 300  # of a curve as drawn

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CurveData:
    """Curves of the rows in view.

    Parameters
    ----------
    edges : ndarray of float64, shape [K + 1]
        Of the histogram, rising.
    scale : {"linear", "log"}
        Axis on which the bins are equally wide.
    counts : dict of ndarray of int, shape [K]
        Rows in each bin by class: 1 anomaly, 0 normal, -1 unknown. The outer bins hold what lies beyond.
    roc, pr : ndarray of float64, shape [P, 3], or None
        False-positive rate, recall, threshold; recall, precision, threshold. None without labels of both classes.
    """

    edges: Floats
    scale: Literal["linear", "log"]
    counts: dict[int, NDArray[np.intp]]
    roc: Floats | None
    pr: Floats | None

    def steps(self, kind: int) -> list[tuple[float, float]]:
        """Return the histogram of a class as steps: edge, and the percentage of the class from there on."""
        counts = self.counts[kind]
        shares = 100 * counts / max(int(counts.sum()), 1)
        return list(zip(self.edges.tolist(), [*shares.tolist(), float(shares[-1])], strict=True))


def curve_data(table: AlertTable, label: NDArray[np.int8], scores: Floats, threshold: float) -> CurveData:
    """Return the curves of the rows in view.

    Parameters
    ----------
    table : AlertTable
        Of these rows.
    label : ndarray of int8, shape [N]
        1 anomaly, 0 normal, -1 unknown.
    scores : ndarray of float64, shape [N]
    threshold : float
        That the histogram's axis shall hold.
    """
    both = bool(table.anomalies[0] and table.normals[0])
    edges, scale = score_edges(label, scores, threshold)
    inside = np.clip(scores, edges[0], edges[-1])
    counts = {kind: np.histogram(inside[label == kind], edges)[0] for kind in (1, 0, -1)}
    return CurveData(edges, scale, counts, *(_roc_and_pr(table) if both else (None, None)))


def cost_rows(table: AlertTable, costs: Costs) -> list[tuple[float, float]]:
    """Return thresholds, falling, and the expected cost per record at each; at most three hundred."""
    curve = table.cost_curve(costs)
    kept = thin(np.arange(len(curve.costs), dtype=np.float64), curve.costs, _POINTS)
    # The minimum is what is looked for, so it is never thinned out.
    kept = np.union1d(kept, [curve.costs.argmin()])
    return list(zip(curve.thresholds[kept].tolist(), curve.costs[kept].tolist(), strict=True))


def _roc_and_pr(table: AlertTable) -> tuple[Floats, Floats]:
    tp, fp = table.anomalies[::-1].astype(float), table.normals[::-1].astype(float)
    thresholds = np.append(table.scores[::-1], table.threshold_of(0))
    recall, fpr = tp / tp[-1], fp / fp[-1]
    precision = np.append(1.0, tp[1:] / np.maximum(tp[1:] + fp[1:], 1))
    # Scores that only rows without a label have flag nothing known: precision stays what it is at nothing flagged.
    precision[tp + fp == 0] = 1.0
    roc, pr = thin(fpr, recall, _POINTS), thin(recall, precision, _POINTS)
    return (
        np.column_stack([fpr[roc], recall[roc], thresholds[roc]]),
        np.column_stack([recall[pr], precision[pr], thresholds[pr]]),
    )
