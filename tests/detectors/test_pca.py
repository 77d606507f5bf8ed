"""Principal components against scikit-learn, SciPy and the geometry of subspaces."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn import decomposition

from whitecrow.core.errors import ModelFileError, ParameterError
from whitecrow.detectors.tabular.pca import PCA
from whitecrow.nn import Networks

SCORES = ("reconstruction", "mahalanobis", "combined")


def plain(**parameters):
    """Return a detector that sees the rows as they are."""
    return PCA(scaling="none", calibration=0, **parameters)


def correlated(n=300, d=7, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    return rows.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_reconstruction_score_is_the_squared_residual(k):
    train, test = correlated(), correlated(seed=1)
    reference = decomposition.PCA(k, svd_solver="full").fit(train)
    residual = test - reference.inverse_transform(reference.transform(test))
    scores = plain(n_components=k).fit(train).anomaly_score(test)
    np.testing.assert_allclose(scores, (residual**2).sum(1), rtol=1e-9)


def test_mahalanobis_score_is_the_full_distance_by_default():
    train, test = correlated(), correlated(seed=1)
    inverse = np.linalg.inv(np.cov(train, rowvar=False))
    distance = cdist(test, train.mean(0, keepdims=True), "mahalanobis", VI=inverse)[:, 0]
    scores = plain(score_type="mahalanobis").fit(train).anomaly_score(test)
    np.testing.assert_allclose(scores, distance**2, rtol=1e-9)


def test_mahalanobis_score_of_kept_directions_is_hotellings():
    train, test = correlated(), correlated(seed=1)
    reference = decomposition.PCA(3, svd_solver="full").fit(train)
    hotelling = (reference.transform(test) ** 2 / reference.explained_variance_).sum(1)
    scores = plain(score_type="mahalanobis", n_components=3).fit(train).anomaly_score(test)
    np.testing.assert_allclose(scores, hotelling, rtol=1e-9)


def test_combined_score_is_twice_the_negative_log_likelihood_of_the_probabilistic_model():
    train, test = correlated(), correlated(seed=1)
    likelihood = decomposition.PCA(3, svd_solver="full").fit(train).score_samples(test)
    scores = plain(score_type="combined", n_components=3).fit(train).anomaly_score(test)
    np.testing.assert_allclose(np.diff(scores), np.diff(-2 * likelihood), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("score_type", SCORES)
def test_signs_of_the_directions_do_not_matter(score_type):
    detector = plain(score_type=score_type, n_components=4).fit(correlated())
    scores = detector.anomaly_score(correlated(seed=1))
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    detector.replicas_.replica(0).directions.mul_(signs)
    np.testing.assert_allclose(detector.anomaly_score(correlated(seed=1)), scores, rtol=1e-9)


def test_rotation_within_the_subspace_does_not_matter():
    detector = plain(n_components=4).fit(correlated())
    scores = detector.anomaly_score(correlated(seed=1))
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))
    net = detector.replicas_.replica(0)
    net.directions.copy_(net.directions @ torch.from_numpy(rotation))
    np.testing.assert_allclose(detector.anomaly_score(correlated(seed=1)), scores, rtol=1e-9)


@pytest.mark.parametrize("score_type", SCORES)
def test_order_of_the_training_rows_does_not_matter(score_type):
    train, test = correlated(), correlated(seed=1)
    shuffled = train[np.random.default_rng(0).permutation(len(train))]
    detector = plain(score_type=score_type, n_components=3)
    np.testing.assert_allclose(
        detector.fit(train).anomaly_score(test), detector.fit(shuffled).anomaly_score(test), rtol=1e-8
    )


@pytest.mark.parametrize("n_components", [7, 1.0])
def test_all_directions_leave_no_error_not_even_of_rounding(n_components):
    scores = plain(n_components=n_components).fit(correlated()).anomaly_score(correlated(seed=1))
    np.testing.assert_array_equal(scores, 0)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_share_of_the_variance_keeps_as_few_directions_as_hold_it(share):
    train = correlated()
    held = np.cumsum(decomposition.PCA().fit(train).explained_variance_ratio_)
    directions = plain(n_components=share).fit(train).replicas_.replica(0).directions
    assert directions.shape[1] == np.argmax(held >= share) + 1


@pytest.mark.parametrize(("d", "k"), [(1, 0), (3, 1), (7, 3), (30, 5)])
def test_default_keeps_half_of_the_directions_and_five_at_most(d, k):
    assert plain().fit(correlated(d=d)).replicas_.replica(0).directions.shape == (d, k)


def test_more_directions_than_features_are_refused():
    with pytest.raises(ParameterError, match=r"n_components=8.*7 features.*1 to 7"):
        plain(n_components=8).fit(correlated())


@pytest.mark.parametrize("score_type", SCORES)
def test_fewer_rows_than_features_span_their_own_subspace(score_type):
    rows = correlated(n=5, d=20)
    detector = plain(score_type=score_type, n_components=1.0).fit(rows)
    assert detector.replicas_.replica(0).directions.shape == (20, 4)
    expected = {"reconstruction": 0, "mahalanobis": 3.2, "combined": 3.2}[score_type]  # (n - 1)² / n
    np.testing.assert_allclose(detector.anomaly_score(rows), expected, rtol=1e-6, atol=1e-9)
    assert np.isfinite(detector.anomaly_score(correlated(n=9, d=20, seed=1))).all()


@pytest.mark.parametrize("score_type", SCORES)
def test_duplicate_rows_and_collinear_columns_give_finite_scores(score_type):
    rows = np.repeat(correlated(n=4, d=3), 25, axis=0)
    rows = np.column_stack([rows, rows[:, 0] + rows[:, 1], np.full(len(rows), 5.0)])
    detector = PCA(score_type=score_type, n_components=1.0, calibration=0).fit(rows)
    scores = detector.anomaly_score(rows)
    assert np.isfinite(scores).all()
    assert scores.max() < 5  # no direction of rounding errors is divided by its variance


def test_value_that_leaves_a_constant_column_is_seen_though_all_directions_are_kept():
    rows = np.column_stack([correlated(d=2), np.zeros(300)])
    moved = np.array([[0.0, 0.0, 1.0]])
    for score_type in ("reconstruction", "combined"):
        detector = plain(n_components=3, score_type=score_type).fit(rows)
        assert detector.anomaly_score(moved)[0] > detector.anomaly_score(rows).max() + 0.9


def test_mean_far_from_zero_costs_no_digits():
    rows = np.round(correlated() * 8)
    far = plain(n_components=2, score_type="combined").fit(rows + 2**20).anomaly_score(rows + 2**20)
    near = plain(n_components=2, score_type="combined").fit(rows).anomaly_score(rows)
    np.testing.assert_allclose(far, near, rtol=1e-8)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**20), score_type=st.sampled_from(SCORES), k=st.integers(1, 7))
def test_feature_scores_are_parts_of_the_score(seed, score_type, k):
    detector = plain(score_type=score_type, n_components=k).fit(correlated(seed=seed))
    x = torch.from_numpy(detector.encoder_.transform(correlated(n=20, seed=seed + 1)))
    parts = detector.feature_scores(detector.replicas_.replica(0), x)
    assert (parts >= 0).all()
    np.testing.assert_allclose(parts.sum(1), detector.anomaly_score(x.numpy()), rtol=1e-9)


@pytest.mark.parametrize("score_type", SCORES)
def test_feature_that_breaks_the_correlation_carries_the_score(score_type):
    rng = np.random.default_rng(0)
    common = rng.normal(size=(500, 1))
    train = common + 0.1 * rng.normal(size=(500, 6))
    odd = np.full((1, 6), 0.5)
    odd[0, 4] = -0.5
    detector = plain(score_type=score_type, n_components=6 if score_type == "mahalanobis" else 1).fit(train)
    x = torch.from_numpy(detector.encoder_.transform(odd))
    parts = detector.feature_scores(detector.replicas_.replica(0), x)[0]
    assert parts.argmax() == 4
    assert parts[4] > 0.5 * parts.sum()


@pytest.mark.parametrize(
    "tamper",
    [
        lambda b: b.pop("centre"),
        lambda b: b.update(more=torch.zeros(1)),
        lambda b: b.update(centre=torch.zeros(8, dtype=torch.float64)),
        lambda b: b.update(centre=b["centre"].float()),
        lambda b: b.update(directions=b["directions"][:, :2]),
        lambda b: b.update(directions=b["directions"].T),
        lambda b: b.update(weight_along=torch.tensor(1.0, dtype=torch.float64)),
        lambda b: b.update(weight_along=-torch.ones(3, dtype=torch.float64)),
        lambda b: b.update(weight_off=torch.tensor(float("nan"), dtype=torch.float64)),
        lambda b: b.update(weight_off=torch.tensor(-1.0, dtype=torch.float64)),
        lambda b: b["directions"].fill_(float("inf")),
    ],
)
def test_tampered_buffers_are_refused(tamper):
    detector = plain(n_components=3).fit(correlated())
    buffers = {name: tensor.clone() for name, tensor in detector.replicas_.replica(0).tensors()}
    detector.check_buffers(Networks(**buffers))
    tamper(buffers)
    with pytest.raises(ModelFileError, match="PCA"):
        detector.check_buffers(Networks(**buffers))
