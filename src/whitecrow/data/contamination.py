"""Splits for honest studies, as row indices: normal rows train, the rest tests, anomalies are injected."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Natural, Probability, Range, check

__all__ = ["Split", "house_split", "inject_contamination", "largest_contamination"]

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows train and which test.

    Attributes
    ----------
    train : ndarray of int64, shape (n_train,)
        Rows to train on, in random order, injected anomalies among them.
    test : ndarray of int64, shape (n_test,)
        Rows to test on, ascending: the same for every contamination.
    injected : ndarray of int64, shape (n_injected,)
        The anomalies in ``train``; those for a smaller contamination come first.
    """

    train: Indices
    test: Indices
    injected: Indices


def house_split(
    y: ArrayLike, seed: int, *, contamination: float = 0.0, holdout: float = 0.4, train_share: float = 0.5
) -> Split:
    r"""Split the rows by the house protocol, with a stated share of anomalies injected into training.

    A random half of the normal rows trains; the other half tests. A random ``holdout`` of the anomalies is
    set aside to be injected and is never tested; the other anomalies test. Of those set aside,

    .. math:: \lfloor n_{normal} \, \rho / (1 - \rho) \rfloor

    enter the training rows, so that :math:`\rho` is the share of the *resulting* training set. For a fixed
    seed the test rows do not depend on :math:`\rho`, and a smaller injection is part of a larger one.

    Parameters
    ----------
    y : array-like of int, shape (N,)
        1 = anomaly, 0 = normal.
    seed : int
        Seed of the draw.
    contamination : float, default=0.0
        :math:`\rho`, from 0 to below 1.
    holdout : float, default=0.4
        Share of the anomalies that is set aside, from 0 to below 1, rounded down.
    train_share : float, default=0.5
        Share of the normal rows that trains, between 0 and 1, rounded down.

    Returns
    -------
    Split
        Indices only; no row is copied.

    Raises
    ------
    DataError
        If ``y`` is not a vector of 0 and 1, or no normal row would train.
    ParameterError
        If a share is out of its range, or too few anomalies are set aside; the message names the largest
        share.

    References
    ----------
    .. [1] D. Nkashama et al., "Robustness Evaluation of Deep Unsupervised Learning Algorithms for Intrusion
       Detection Systems", arXiv:2207.03576.

    Examples
    --------
    >>> split = house_split([0] * 20 + [1] * 10, seed=0, contamination=0.2)
    >>> len(split.train), len(split.test), len(split.injected)
    (12, 16, 2)
    """
    labels = _labels(y)
    check("house_split", "seed", seed, Natural)
    check("house_split", "holdout", holdout, Probability)
    check("house_split", "train_share", train_share, Annotated[float, Range(0, 1, True, True)])
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(labels == 0))
    anomalies = rng.permutation(np.flatnonzero(labels == 1))
    n_train = _floor(len(normal) * train_share)
    if n_train == 0:
        raise DataError(
            f"house_split: {len(normal)} normal rows leave none to train on at train_share={train_share:g}. "
            "Give more normal rows."
        )
    n_held = _floor(len(anomalies) * holdout)
    injected = inject_contamination(n_train, anomalies[:n_held], contamination)
    train = rng.permutation(np.concatenate([normal[:n_train], injected]))
    return Split(train, np.sort(np.concatenate([normal[n_train:], anomalies[n_held:]])), injected)


def inject_contamination(n_normal: int, pool: ArrayLike, contamination: float) -> Indices:
    """Return the first rows of ``pool`` that make up ``contamination`` of the resulting training set.

    Parameters
    ----------
    n_normal : int
        Normal rows in the training set, at least 0.
    pool : array-like of int, shape (n_pool,)
        Indices of the anomalies that may be injected, in random order.
    contamination : float
        Share of the resulting training set, from 0 to below 1.

    Returns
    -------
    ndarray of int64, shape (floor(n_normal * contamination / (1 - contamination)),)
        A beginning of ``pool``: injections at growing shares are nested.

    Raises
    ------
    ParameterError
        If the share is out of its range or the pool is too small; the message names the largest share.
    """
    check("inject_contamination", "n_normal", n_normal, Natural)
    check("inject_contamination", "contamination", contamination, Probability)
    rows = np.asarray(pool, dtype=np.int64)
    wanted = _floor(n_normal * contamination / (1 - contamination))
    if wanted > len(rows):
        raise ParameterError(
            f"contamination={contamination:g} of a training set with {n_normal} normal rows takes {wanted} "
            f"anomalies, but {len(rows)} are set aside for injection. The largest share here is "
            f"{largest_contamination(n_normal, len(rows)):.4f}; or set more anomalies aside."
        )
    return rows[:wanted]


def largest_contamination(n_normal: int, n_pool: int) -> float:
    """Return the largest share that ``n_pool`` anomalies can make of a training set of ``n_normal`` rows."""
    total = n_normal + n_pool
    return n_pool / total if total else 0.0


def _floor(value: float) -> int:
    # 0.2 / (1 - 0.2) * 8 is 2.0000000000000004 or 1.9999999999999998 by luck; the exact count is meant.
    return int(np.floor(value + 1e-9))


def _labels(y: ArrayLike) -> NDArray[np.int64]:
    labels = np.asarray(y)
    if labels.ndim != 1 or not np.isin(labels, (0, 1)).all():
        raise DataError(
            f"house_split: y must be a vector of 0 (normal) and 1 (anomaly), not an array of shape "
            f"{labels.shape} "
            f"with values such as {labels.ravel()[:3].tolist()}."
        )
    return labels.astype(np.int64)
