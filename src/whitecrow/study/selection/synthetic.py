"""Synthetic anomalies of four kinds, drawn from a table's own columns and clusters."""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, check
from whitecrow.data import TableEncoder

__all__ = ["KINDS", "AnomalyGenerator", "Kind"]

Kind = Literal["local", "global", "dependency", "cluster"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_MOST_COMPONENTS = 4
_ROWS_OF_MIXTURE = 1000
_SPREAD = 5.0  # factor on the covariances of local anomalies
_DISTANCE = 5.0  # factor on the distance of a cluster of anomalies from the middle
_MARGIN = 0.1  # by which global anomalies overstep the range of a column, on each side
_REGULARISATION = 1e-3  # on the diagonal of covariances, in variances of a standardised column


@dataclass(frozen=True)
class AnomalyGenerator:
    r"""Draws rows that are anomalous in a stated way, from rows that are mostly normal.

    Numbers come from a Gaussian mixture :math:`\sum_k \pi_k \, \mathcal{N}(\mu_k, \Sigma_k)` of one to four
    components, as many as minimise the Bayesian information criterion, or from the range of their column. Any
    other column (categories, truth values, dates) is taken over whole from a row, so that it never shows a value
    that no row has.

    *local*: numbers drawn from the mixture with the covariances :math:`5 \, \Sigma_k`; other columns are those of a
    row that the mixture puts into the same component.
    *global*: each number uniform over its column's range, widened by a tenth on both sides; other columns uniform
    over their distinct values.
    *dependency*: each column is that of a row of its own: the distribution of every column is kept, what ties them
    together is lost.
    *cluster*: numbers drawn from one component, with its covariance, whose place :math:`\mu` is that of a random row
    at five times its distance from the columns' medians; other columns as in local.

    Build one with :meth:`fit`.

    Attributes
    ----------
    rows : ndarray of float64, shape [N, D]
        Encoded rows to draw from.
    blocks : tuple of ndarray of int
        Features of each column that is no number.
    numbers : ndarray of int, shape [M]
        Features that are numbers.
    weights, means, factors : ndarray, shapes [K], [K, M] and [K, M, M]
        The mixture; a factor F is the lower triangle with :math:`F F^\top = \Sigma`.
    members : tuple of ndarray of int
        Rows of each component.

    Notes
    -----
    The kinds are those of ADBench [1]_, with departures: *dependency* resamples each column instead of smoothing it
    by a kernel; *cluster* places its clusters by rows, because five times the mean of a standardised table's only
    component is that component itself; *global* widens by a share of the range, not of the end, which shrinks the
    box where the smallest value is positive.

    References
    ----------
    .. [1] S. Han et al., "ADBench: Anomaly Detection Benchmark", NeurIPS 2022.
    .. [2] G. Steinbuss, K. Böhm, "Generating Artificial Outliers in the Absence of Genuine Ones", ACM TKDD 15(2),
       2021.
    """

    rows: NDArray[np.float64]
    blocks: tuple[NDArray[np.int64], ...]
    numbers: NDArray[np.int64]
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    factors: NDArray[np.float64]
    members: tuple[NDArray[np.int64], ...]

    @classmethod
    def fit(cls, encoder: TableEncoder, rows: NDArray[np.float32], seed: int) -> "AnomalyGenerator":
        """Return a generator for the rows of a table.

        Parameters
        ----------
        encoder : TableEncoder
            Fitted, with standard scaling; it knows which features belong to one column.
        rows : ndarray of float32, shape [N, D]
            Rows that it encoded, at least 2.
        seed : int
            Seed of the mixture.

        Raises
        ------
        DataError
            If there are fewer than 2 rows.
        """
        if len(rows) < 2:
            raise DataError(f"AnomalyGenerator: {len(rows)} row is too few to vary; give at least 2.")
        X = rows.astype(np.float64)
        features = [np.flatnonzero(encoder.column_of_feature_ == k) for k in range(len(encoder.columns_))]
        is_number = [column.kind == "number" for column in encoder.columns_]
        # The second feature of a number, which says that it is missing, is a column of its own here.
        numbers = np.array([f[0] for f, number in zip(features, is_number, strict=True) if number], dtype=np.int64)
        parts = [f[1:] if number else f for f, number in zip(features, is_number, strict=True)]
        blocks = tuple(part for part in parts if len(part))
        if len(numbers) == 0:
            empty = np.zeros((1, 0))
            return cls(X, blocks, numbers, np.ones(1), empty, np.zeros((1, 0, 0)), (np.arange(len(X)),))
        weights, means, factors, component = _mixture(X[:, numbers], seed)
        found = [np.flatnonzero(component == k) for k in range(len(weights))]
        # A component that holds no row borrows from all of them.
        members = tuple(held if len(held) else np.arange(len(X)) for held in found)
        return cls(X, blocks, numbers, weights, means, factors, members)

    def draw(self, kind: Kind, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return anomalies of one kind.

        Parameters
        ----------
        kind : {"local", "global", "dependency", "cluster"}
            What makes them anomalous.
        n : int
            How many, at least 1.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        ndarray of float32, shape [n, D]
            Encoded rows.

        Raises
        ------
        ParameterError
            If the kind is none of these, or ``n`` is below 1.
        """
        check("AnomalyGenerator.draw", "kind", kind, Kind)
        check("AnomalyGenerator.draw", "n", n, Count)
        drawn = {"local": self._local, "global": self._global, "dependency": self._dependency, "cluster": self._cluster}
        return drawn[kind](n, rng).astype(np.float32)

    def _local(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        component = rng.choice(len(self.weights), size=n, p=self.weights / self.weights.sum())
        out = self._rows_of(component, rng)
        noise = rng.standard_normal((n, len(self.numbers)))
        out[:, self.numbers] = self.means[component] + np.sqrt(_SPREAD) * self._shaped(noise, component)
        return out

    def _global(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        out = np.empty((n, self.rows.shape[1]))
        values = self.rows[:, self.numbers]
        low, high = values.min(0), values.max(0)
        margin = _MARGIN * (high - low)
        out[:, self.numbers] = rng.uniform(low - margin, high + margin, (n, len(self.numbers)))
        for block in self.blocks:
            distinct = np.unique(self.rows[:, block], axis=0)
            out[:, block] = distinct[rng.integers(len(distinct), size=n)]
        return out

    def _dependency(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        out = np.empty((n, self.rows.shape[1]))
        for block in (*self.numbers[:, None], *self.blocks):
            out[:, block] = self.rows[rng.integers(len(self.rows), size=n)][:, block]
        return out

    def _cluster(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        component = np.repeat(rng.choice(len(self.weights), p=self.weights / self.weights.sum()), n)
        out = self._rows_of(component, rng)
        values = self.rows[:, self.numbers]
        middle = np.median(values, axis=0)
        place = middle + _DISTANCE * (values[rng.integers(len(values))] - middle)
        noise = rng.standard_normal((n, len(self.numbers)))
        out[:, self.numbers] = place + self._shaped(noise, component)
        return out

    def _rows_of(self, component: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return a random row ``[n, D]`` of each component ``[n]``."""
        return self.rows[[self.members[k][rng.integers(len(self.members[k]))] for k in component]]

    def _shaped(self, noise: NDArray[np.float64], component: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return noise ``[n, M]`` with the covariance of each row's component."""
        out = np.empty_like(noise)
        for k in np.unique(component):
            rows = component == k
            out[rows] = noise[rows] @ self.factors[k].T
        return out


def _mixture(values: NDArray[np.float64], seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return weights [K], means [K, M] and factors [K, M, M], and the component of each row [N]."""
    sample = values[np.random.default_rng(seed).permutation(len(values))[:_ROWS_OF_MIXTURE]]
    models: list[Any] = []
    # A mixture that is cut short after fifty steps, or has fewer distinct rows than components, is good enough here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for k in range(1, min(_MOST_COMPONENTS, len(sample) // 2) + 1):
            model = GaussianMixture(k, reg_covar=_REGULARISATION, max_iter=50, tol=1e-2, random_state=seed)
            models.append(model.fit(sample))
    best = min(models, key=lambda model: model.bic(sample))
    return best.weights_, best.means_, np.linalg.cholesky(best.covariances_), best.predict(values)
