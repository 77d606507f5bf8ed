"""Non-parametric diffusion time estimation, against the posterior that SciPy knows and scikit-learn's neighbours."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.neighbors import NearestNeighbors

import whitecrow as wc
from whitecrow.core.errors import ModelFileError

RAW = {"scaling": "none", "calibration": 0, "random_state": 0}


def rows(seed: int, n: int, d: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def mean_square(X: np.ndarray, new: np.ndarray, k: int) -> np.ndarray:
    """Return the mean squared distance to the k nearest of ``X``, by scikit-learn."""
    found, _ = NearestNeighbors(n_neighbors=k).fit(X.astype(float)).kneighbors(new.astype(float))
    return (found**2).mean(1)


@pytest.mark.parametrize("d", [1, 2, 6])
def test_score_is_the_variance_that_makes_the_row_most_probable(d: int) -> None:
    X, new = rows(0, 200, d), 2 * rows(1, 20, d)
    score = wc.DTENonParametric(n_neighbours=1, **RAW).fit(X).anomaly_score(new)
    variance = np.exp(np.linspace(-25, 5, 30_001))
    for x, s in zip(new.astype(float), score, strict=True):
        nearest = X[((X - x) ** 2).sum(1).argmin()]
        density = stats.norm.logpdf(x[:, None], nearest[:, None], np.sqrt(variance)).sum(0)
        np.testing.assert_allclose(s, variance[density.argmax()], rtol=2e-3)


@pytest.mark.parametrize("k", [1, 5])
def test_score_is_the_mode_of_the_inverse_gamma_posterior(k: int) -> None:
    X, new, d = rows(0, 300, 6), rows(1, 10, 6), 6
    score = wc.DTENonParametric(n_neighbours=k, **RAW).fit(X).anomaly_score(new)
    for m, s in zip(mean_square(X, new, k), score, strict=True):
        here, below, above = stats.invgamma.logpdf([s, 0.99 * s, 1.01 * s], d / 2 - 1, scale=m / 2)
        assert here > max(below, above)


def test_rows_are_ranked_as_by_the_nearest_neighbour() -> None:
    X, new = rows(0, 400), rows(1, 200)
    score = wc.DTENonParametric(n_neighbours=1, **RAW).fit(X).anomaly_score(new)
    nearest = wc.KNN(n_neighbours=1, **RAW).fit(X).anomaly_score(new)
    np.testing.assert_array_equal(score.argsort(), nearest.argsort())
    five = wc.DTENonParametric(**RAW).fit(X).anomaly_score(new)
    np.testing.assert_array_equal(five.argsort(), mean_square(X, new, 5).argsort())


@pytest.mark.parametrize("variance", [0.01, 0.3])
def test_variance_of_added_noise_is_found_in_many_dimensions(variance: float) -> None:
    # Each row stands five times, far from all others, so the unknown x_0 is its K nearest rows.
    d = 400
    X = np.repeat(100 * rows(0, 20, d), 5, axis=0)
    blurred = X + np.sqrt(variance) * rows(1, 100, d)
    score = wc.DTENonParametric(**RAW).fit(X).anomaly_score(blurred)
    # The variance estimated from d numbers has a relative standard error of sqrt(2 / d).
    np.testing.assert_allclose(score, variance, rtol=4.5 * np.sqrt(2 / d))
    assert abs(score.mean() / variance - 1) < 3 * np.sqrt(2 / (100 * d))


def test_rows_far_beyond_the_largest_noise_do_not_tie() -> None:
    far = np.array([[10.0**p, 0, 0, 0] for p in range(1, 30, 4)], dtype=np.float32)
    score = wc.DTENonParametric(**RAW).fit(rows(0, 100)).anomaly_score(far)
    assert np.isfinite(score).all()
    assert (np.diff(score) > 0).all()


def test_parts_by_feature_sum_to_the_score_and_name_the_feature() -> None:
    X = rows(0, 300)
    detector = wc.DTENonParametric(**RAW).fit(X)
    x = torch.from_numpy(np.concatenate([rows(1, 20), X[:20]]))
    x[0, 2] = 40
    parts = detector.feature_scores(detector.replicas_.replica(0), x)
    np.testing.assert_allclose(parts.sum(1), detector.anomaly_score(x.numpy()), rtol=1e-12)
    assert int(parts[0].argmax()) == 2


def test_copies_are_neighbours_and_samples_are_named() -> None:
    X = np.concatenate([np.zeros((4, 2)), np.ones((4, 2))])
    np.testing.assert_allclose(wc.DTENonParametric(**RAW).fit(X).anomaly_score([[0, 0]]), 1 / 5)
    sampled = wc.DTENonParametric(max_rows=100, sample_rows=50, **RAW).fit(rows(0, 300))
    assert sampled.approximation_ == "random sample of 50 of the 300 distinct training rows"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("counts", lambda t: t - 2),
        ("counts", lambda t: t * 2**62),
        ("counts", lambda t: t[1:]),
        ("rows", lambda t: t[:, 1:]),
        ("rows", lambda t: t * torch.nan),
        ("n_distinct", lambda t: t - 1),
        ("k", lambda t: t * 0),
        ("k", lambda t: t * 10**6),
    ],
)
def test_damaged_buffers_are_refused(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    detector = wc.DTENonParametric(**RAW).fit(rows(0, 60))
    net = detector.replicas_.replica(0)
    detector.check_buffers(net)
    net.swap(name, change(getattr(net, name)))
    with pytest.raises(ModelFileError, match="DTENonParametric"):
        detector.check_buffers(net)
