"""How far two samples differ: tests for whether they do, sizes for whether it matters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "homogeneity_p",
    "ks_distance",
    "level_table",
    "number_table",
    "population_stability_index",
    "scaled_wasserstein",
]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_N_BINS = 10
# Expected rows below which the chi-square approximation of a cell is poor.
_MIN_EXPECTED = 5.0


def population_stability_index(table: Counts) -> float:
    r"""Return the PSI of two samples counted in the same B cells, from 0 up; 0.1 is moderate, 0.25 large.

    .. math:: \sum_b (q_b - p_b) \ln \frac{q_b}{p_b},
              \quad p_b = \frac{n_b + \frac{1}{2}}{n + \frac{B}{2}}

    Half a row is added to each cell, so that an empty one has a share. Of equal distributions it is about
    :math:`(B - 1)(1/n + 1/m)`, so small samples need a test beside it.

    Parameters
    ----------
    table : ndarray of int, shape [2, B]
        Counts of the reference and of the current rows.
    """
    p, q = (table + 0.5) / (table.sum(1, keepdims=True) + 0.5 * table.shape[1])
    return float(((q - p) * np.log(q / p)).sum())


def number_table(reference: Floats, current: Floats) -> Counts:
    """Count both samples between the deciles of the reference, shape [2, B]; tied deciles make one edge."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, _N_BINS + 1)[1:-1], method="inverted_cdf"))
    counts = [np.bincount(edges.searchsorted(v), minlength=len(edges) + 1) for v in (reference, current)]
    # The highest decile may be the maximum; then no row lies above it.
    table = np.array(counts, dtype=np.int64)
    return table[:, table.any(0)]


def level_table(reference: Counts, current: Counts) -> Counts:
    """Merge the rare levels of a category, so that each cell can be tested, shape [2, B].

    Parameters
    ----------
    reference, current : ndarray of int, shape [L]
        Rows of each level; a level may be new, or gone.

    Returns
    -------
    ndarray of int, shape [2, B]
        Levels of which the smaller sample should hold 5 rows or more, the commonest first, then all others as one.
        If those should be fewer than 5 too, they join the rarest of the kept, unless that leaves a single cell.
    """
    table = np.array([reference, current], dtype=np.int64)
    table = table[:, np.argsort(-table.sum(0), kind="stable")]
    expected = table.sum(0) * table.sum(1).min() / max(table.sum(), 1)
    n_kept = int(np.count_nonzero(expected >= _MIN_EXPECTED))
    rest = expected[n_kept:].sum()
    if 0 < rest < _MIN_EXPECTED and n_kept > 1:
        n_kept -= 1
    merged = np.column_stack([table[:, :n_kept], table[:, n_kept:].sum(1)])
    return merged[:, merged.any(0)]


def homogeneity_p(table: Counts) -> float:
    """Return the p-value of "both samples have the same shares", for counts of shape [2, B].

    The chi-square test; for two cells of which one should hold fewer than 5 rows, Fisher's exact test. One cell
    cannot differ: 1.
    """
    if table.shape[1] < 2 or not table.sum(1).all():
        return 1.0
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    if table.shape[1] == 2 and expected.min() < _MIN_EXPECTED:
        exact: Any = stats.fisher_exact(table)
        return float(exact.pvalue)
    result: Any = stats.chi2_contingency(table, correction=False)
    return float(result.pvalue)


def ks_distance(reference: Floats, current: Floats) -> tuple[float, float]:
    """Return the two-sample Kolmogorov-Smirnov distance, from 0 to 1, and its asymptotic p-value.

    Tied values make the p-value too large, never too small.
    """
    _, gap = _cumulative_gap(reference, current)
    distance = float(gap.max())
    n, m = len(reference), len(current)
    return distance, float(np.clip(stats.kstwo.sf(distance, round(n * m / (n + m))), 0.0, 1.0))


def scaled_wasserstein(reference: Floats, current: Floats) -> float:
    """Return the Wasserstein distance in standard deviations of the reference, from 0 up.

    Of a constant reference, in those of both samples together; 0 if that is constant too.
    """
    spread = float(np.std(reference)) or float(np.std(np.concatenate([reference, current])))
    values, gap = _cumulative_gap(reference, current)
    return float(gap[:-1] @ np.diff(values)) / spread if spread else 0.0


def _cumulative_gap(reference: Floats, current: Floats) -> tuple[Floats, Floats]:
    """Return all values, sorted, and how far the cumulative shares of both samples are apart at each."""
    values = np.sort(np.concatenate([reference, current]), kind="stable")
    shares = [np.sort(v).searchsorted(values, side="right") / len(v) for v in (reference, current)]
    return values, np.abs(shares[0] - shares[1])
