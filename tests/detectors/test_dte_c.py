"""Diffusion time estimation by a classifier, against the posterior over time where it is known."""

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

import whitecrow as wc
from whitecrow.train import Batch, Replicas

PLAIN = {"regime": "clean", "scaling": "none", "random_state": 0}


def curve(seed: int, n: int) -> np.ndarray:
    """Return rows near a closed curve in eight columns."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    columns = [f(m * angle) for m in (1, 2, 3, 4) for f in (np.sin, np.cos)]
    return np.column_stack(columns) * 1.4 + 0.02 * rng.normal(size=(n, 8))


@pytest.fixture(scope="module")
def fitted() -> wc.DTECategorical:
    return wc.DTECategorical(epochs=60, **PLAIN).fit(curve(0, 600))


def expected_interval(detector: wc.DTECategorical, rows: np.ndarray) -> np.ndarray:
    """Return the mean of k by SciPy's softmax of the network's logits."""
    with torch.no_grad():
        logits = detector.replicas_.replica(0).classifier(torch.from_numpy(rows.astype(np.float32)))
    return special.softmax(logits.double().numpy(), axis=1) @ np.arange(detector.n_intervals)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1]


def test_probabilities_are_the_posterior_over_time_of_a_single_point() -> None:
    # All rows are 0, so x_t ~ N(0, t^2 I), and the posterior is an integral of this density over each interval.
    detector = wc.DTECategorical(largest_noise=1.0, epochs=100, batch_size=1024, **PLAIN).fit(np.zeros((4000, 3)))
    lengths = np.array([0.1, 0.3, 0.6, 1.0, 1.5])
    direction = np.array([2.0, -1.0, 2.0]) / 3
    exact = []
    for r in lengths:
        parts = [
            integrate.quad(lambda t, r=r: np.exp(3 * stats.norm.logpdf(r / np.sqrt(3), scale=t)), k / 7, (k + 1) / 7)[0]
            for k in range(7)
        ]
        exact.append(np.arange(7) @ parts / np.sum(parts))
    found = expected_interval(detector, lengths[:, None] * direction)
    np.testing.assert_allclose(found, exact, atol=0.25)


def test_score_rises_with_the_noise_that_is_added(fitted: wc.DTECategorical) -> None:
    rng = np.random.default_rng(1)
    sigma = np.linspace(0.02, 5, 40)
    rows = curve(2, 40 * 50) + np.repeat(sigma, 50)[:, None] * rng.normal(size=(40 * 50, 8))
    score = fitted.anomaly_score(rows)
    assert rank_correlation(sigma, score.reshape(40, 50).mean(1)) > 0.98
    assert rank_correlation(np.repeat(sigma, 50), score) > 0.8


def test_score_is_a_scale_of_the_expected_interval(fitted: wc.DTECategorical) -> None:
    rows = curve(1, 100) + 0.3 * np.random.default_rng(1).normal(size=(100, 8))
    mean = expected_interval(fitted, rows)
    np.testing.assert_allclose(fitted.anomaly_score(rows), -np.log1p(-mean / 6), rtol=1e-4)


@pytest.mark.parametrize("n_intervals", [2, 7])
def test_each_interval_is_the_target_equally_often(n_intervals: int) -> None:
    detector = wc.DTECategorical(n_intervals=n_intervals, epochs=1, **PLAIN).fit(curve(0, 100))
    replicas = Replicas.build(detector.networks, detector.spec_, [0], "direct")
    replicas.draw_noise("test")
    net = replicas.replica(0)
    batch = Batch(torch.zeros(20_000, 8))
    with torch.no_grad():
        for tensor in net.classifier.parameters():
            tensor.zero_()
        for k in range(n_intervals):
            # Logits of 0 but for the k-th: the loss is log(K - 1 + e) less the share of rows whose target is k.
            net.classifier.bias2.zero_()[k] = 1.0
            share = np.log(n_intervals - 1 + np.e) - float(detector.loss(net, batch))
            assert share == pytest.approx(1 / n_intervals, abs=0.01)


def test_score_grows_with_a_certainty_that_rounds_to_one(fitted: wc.DTECategorical) -> None:
    net = fitted.networks(fitted.spec_)
    with torch.no_grad():
        for tensor in net.classifier.parameters():
            tensor.zero_()
        for logit in (30.0, 60.0):
            # p_k is exp(-logit) for k < 6, so 6 less the expected interval is 21 exp(-logit).
            net.classifier.bias2[6] = logit
            score = fitted.score_batch(net, torch.zeros(1, 8))
            np.testing.assert_allclose(score, [np.log(6 / 21) + logit], rtol=1e-6)


def test_rows_however_far_have_a_score() -> None:
    detector = wc.DTECategorical(epochs=2, clip=None, **PLAIN).fit(curve(0, 600))
    rows = np.zeros((12, 8), dtype=np.float32)
    rows[:, 1] = 10.0 ** np.arange(1, 37, 3)
    assert np.isfinite(detector.anomaly_score(rows)).all()


def test_default_noise_reaches_rows_that_are_far_off_in_one_feature() -> None:
    # Noise that ends at the paper's 0.88 leaves these rows to the network's guess.
    rng = np.random.default_rng(0)
    train = rng.normal(size=(1000, 6)) * [1, 1, 1, 1, 0.1, 0.1]
    far = rng.normal(size=(200, 6)) * 0.3
    far[np.arange(200), rng.integers(0, 6, 200)] += rng.choice([-8.0, 8.0], 200)
    detector = wc.DTECategorical(epochs=60, random_state=0, regime="clean", scaling="none").fit(train)
    assert detector.anomaly_score(far).min() > np.quantile(detector.fit_scores_, 0.99)
