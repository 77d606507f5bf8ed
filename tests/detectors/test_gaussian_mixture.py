"""GaussianMixture has scikit-learn's density, a likelihood that never falls, and a support without anomalies."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture as Reference

import whitecrow as wc
from whitecrow.core.errors import ModelFileError

RAW = {"scaling": "none", "clip": None, "calibration": 0, "random_state": 0, "regime": "clean"}
TURN = np.array([[1.5, 0.7, 0], [0, 0.6, -0.4], [0, 0, 1.0]])


def clusters(seed: int = 0, n: int = 600) -> np.ndarray:
    """Two correlated clusters of one third and two thirds of the rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ TURN
    X[: n // 3] = X[: n // 3] * 0.5 + [8, -6, 5]
    return X


def learnt(detector: wc.Detector) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    net = detector.replicas_.replica(0)
    return net.log_weights.exp().numpy()[0], net.means.numpy(), (net.scale @ net.scale.mT).numpy()


def test_score_is_the_negative_log_density_of_scikit_learn() -> None:
    detector = wc.GaussianMixture(n_components=4, **RAW).fit(clusters())
    weights, means, covariances = learnt(detector)
    other = Reference(n_components=len(weights))
    other.weights_, other.means_, other.covariances_ = weights, means, covariances
    other.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(covariances))
    new = (3 * clusters(1, 90)).astype(np.float32).astype(float)
    np.testing.assert_allclose(detector.anomaly_score(new), -other.score_samples(new), rtol=1e-9)


def test_single_component_is_the_normal_distribution_of_the_rows() -> None:
    X = clusters()[200:]
    score = wc.GaussianMixture(n_components=1, **RAW).fit(X).anomaly_score(X)
    normal = multivariate_normal(X.mean(0), np.cov(X.T, bias=True))
    np.testing.assert_allclose(score, -normal.logpdf(X), rtol=1e-4, atol=1e-4)


def test_planted_clusters_are_found() -> None:
    weights, means, covariances = learnt(wc.GaussianMixture(n_components=2, **RAW).fit(clusters(n=6000)))
    order = np.argsort(weights)
    np.testing.assert_allclose(weights[order], [1 / 3, 2 / 3], atol=0.001)
    np.testing.assert_allclose(means[order], [[8, -6, 5], [0, 0, 0]], atol=0.1)
    np.testing.assert_allclose(covariances[order[1]], TURN.T @ TURN, atol=0.15)
    np.testing.assert_allclose(covariances[order[0]], TURN.T @ TURN / 4, atol=0.05)


@pytest.mark.parametrize("support", [1.0, 0.75])
@pytest.mark.parametrize("least_variance", [1e-4, 1.0])
def test_likelihood_of_the_support_never_falls(support: float, least_variance: float) -> None:
    X = np.random.default_rng(0).standard_t(3, size=(400, 3)) @ TURN
    level = []
    for k in range(1, 16):
        detector = wc.GaussianMixture(
            max_iterations=k, tolerance=1e-12, support=support, least_variance=least_variance, **RAW
        )
        level.append(-np.sort(detector.fit(X).anomaly_score(X))[: int(support * 400)].mean())
    assert (np.diff(level) > -1e-9).all()
    assert level[-1] > level[0] + 0.01


def test_end_is_at_least_as_likely_as_scikit_learns_from_the_same_number_of_components() -> None:
    X = clusters()
    other = Reference(n_components=2, random_state=0).fit(X)
    found = -wc.GaussianMixture(n_components=2, tolerance=1e-9, **RAW).fit(X).anomaly_score(X).mean()
    np.testing.assert_allclose(found, other.score(X), atol=1e-4)


def test_no_eigenvalue_is_below_the_least_variance() -> None:
    X = np.column_stack([clusters(), clusters()[:, 0], np.zeros(600)])
    covariances = learnt(wc.GaussianMixture(least_variance=0.05, **RAW).fit(X))[2]
    assert np.linalg.eigvalsh(covariances).min() > 0.05 * (1 - 1e-6)


def test_support_of_the_contaminated_regime_leaves_a_group_of_anomalies_out() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([clusters(n=900), [3, 9, -9] + 0.1 * rng.normal(size=(100, 3))])
    y = np.repeat([0, 1], [900, 100])
    auroc = {
        support: roc_auc_score(
            y, wc.GaussianMixture(n_components=3, support=support, random_state=0).fit(X).anomaly_score(X)
        )
        for support in (None, 0.75, 1.0)
    }
    assert auroc[None] == auroc[0.75] > 0.99
    assert auroc[1.0] < 0.5


def test_whole_support_is_the_default_where_rows_are_normal() -> None:
    X = clusters()
    for regime, y in (("clean", None), ("labelled", np.full(600, -1))):
        by_default, said = (
            wc.GaussianMixture(support=h, **{**RAW, "regime": regime}).fit(X, y).anomaly_score(X) for h in (None, 1.0)
        )
        np.testing.assert_array_equal(by_default, said)


def test_number_of_components_keeps_to_the_rows() -> None:
    for n, k in ((2, 1), (39, 1), (40, 2), (99, 4), (600, 5)):
        assert len(learnt(wc.GaussianMixture(**RAW).fit(clusters(n=n)))[0]) <= k
    # Three distinct rows are three components at most.
    X = np.repeat([[0.0, 0], [5, 5], [9, 0]], 50, axis=0)
    detector = wc.GaussianMixture(**RAW).fit(X)
    assert len(learnt(detector)[0]) == 3
    assert np.isfinite(detector.anomaly_score(X)).all()


def test_equal_rows_have_the_density_at_the_peak_of_the_least_variance() -> None:
    X = np.full((100, 2), 3.0)
    score = wc.GaussianMixture(**RAW).fit(X).anomaly_score([[3.0, 3.0], [3.3, 3.4]])
    np.testing.assert_allclose(score - np.log(2 * np.pi * 0.01), [0, 0.25 / 0.02], rtol=1e-5, atol=1e-9)


def test_columns_far_apart_in_size_are_fitted() -> None:
    X = clusters() * [1e18, 1, 1e-18]
    assert np.isfinite(wc.GaussianMixture(**RAW).fit(X).anomaly_score(X)).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("log_weights", lambda t: t + 9),
        ("log_weights", lambda t: t[0]),
        ("log_weights", lambda t: t * torch.inf),
        ("means", lambda t: t[1:]),
        ("means", lambda t: t.float()),
        ("means", lambda t: t[0, 0]),
        ("scale", lambda t: -t),
        ("scale", lambda t: t.mT.contiguous()),
        ("scale", lambda t: t[:, 1:]),
        ("scale", lambda t: t * torch.nan),
    ],
)
def test_damaged_buffers_are_refused(name: str, change: object) -> None:
    detector = wc.GaussianMixture(**RAW).fit(clusters())
    net = detector.replicas_.replica(0)
    detector.check_buffers(net)
    net.swap(name, change(getattr(net, name)))
    with pytest.raises(ModelFileError, match="GaussianMixture"):
        detector.check_buffers(net)


def test_no_components_and_more_than_asked_for_are_refused() -> None:
    detector = wc.GaussianMixture(**RAW).fit(clusters())
    net = detector.replicas_.replica(0)
    with pytest.raises(ModelFileError, match="components"):
        detector.set_params(n_components=1).check_buffers(net)
    for name, empty in (("log_weights", (1, 0)), ("means", (0, 3)), ("scale", (0, 3, 3))):
        net.swap(name, torch.empty(empty, dtype=torch.float64))
    with pytest.raises(ModelFileError, match="0 components"):
        detector.check_buffers(net)
