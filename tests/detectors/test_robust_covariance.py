"""RobustCovariance is the Mahalanobis distance, and with a support of 75 % scikit-learn's minimum determinant."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group, spearmanr
from sklearn.covariance import MinCovDet

import whitecrow as wc
from whitecrow.core.errors import ModelFileError, ParameterError

RAW = {"scaling": "none", "clip": None, "calibration": 0, "random_state": 0}
TURN = np.array([[2.0, 0.6, 0, 0], [0, 1, -0.8, 0], [0, 0, 0.5, 0.3], [0, 0, 0, 1.5]])


def correlated(seed: int = 0, n: int = 500, d: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ (TURN if d == 4 else rng.normal(size=(d, d)))


def contaminated(seed: int = 0) -> np.ndarray:
    X = correlated(seed)
    X[:75] = 0.3 * correlated(seed + 1, 75) + [9, -7, 5, 8]
    return X


def learnt(detector: wc.Detector) -> tuple[np.ndarray, np.ndarray]:
    net = detector.replicas_.replica(0)
    return net.centre.numpy(), np.linalg.inv(net.whitening.numpy()) @ np.linalg.inv(net.whitening.numpy())


def determinant(detector: wc.Detector) -> float:
    return float(np.linalg.det(learnt(detector)[1]))


def test_whole_support_is_the_mahalanobis_distance() -> None:
    X, new = correlated(), correlated(1, 80)
    detector = wc.RobustCovariance(support=1.0, ridge=1e-9, **RAW).fit(X)
    inverse = np.linalg.inv(np.cov(X.T, bias=True))
    expected = cdist(new, X.mean(0)[None], "mahalanobis", VI=inverse)[:, 0]
    np.testing.assert_allclose(detector.anomaly_score(new), expected, rtol=1e-6)


def test_ridge_is_a_share_of_the_mean_variance() -> None:
    X = correlated()
    covariance = np.cov(X.T, bias=True)
    found = learnt(wc.RobustCovariance(support=1.0, ridge=0.5, **RAW).fit(X))[1]
    np.testing.assert_allclose(found, covariance + 0.5 * np.trace(covariance) / 4 * np.eye(4), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_contaminated_rows_rank_as_by_scikit_learns_minimum_determinant(seed: int) -> None:
    X, new = contaminated(seed), correlated(seed + 9, 300)
    detector = wc.RobustCovariance(support=0.75, ridge=1e-6, **RAW).fit(X)
    other = MinCovDet(support_fraction=0.75, random_state=0).fit(X)
    assert spearmanr(detector.anomaly_score(new), other.mahalanobis(new)).statistic > 0.98
    # The same support, so the same determinant but for scikit-learn's factor.
    assert determinant(detector) < 1.02 * np.linalg.det(other.raw_covariance_ / _factor(other, X))


def _factor(other: MinCovDet, X: np.ndarray) -> float:
    raw = np.cov(X[other.raw_support_].T, bias=True)
    return float(np.trace(other.raw_covariance_) / np.trace(raw))


def test_support_leaves_planted_anomalies_out_and_the_whole_does_not() -> None:
    X = contaminated()
    robust, plain = (wc.RobustCovariance(support=h, **RAW).fit(X) for h in (0.75, 1.0))
    assert np.abs(learnt(robust)[0]).max() < 0.3
    assert np.abs(learnt(plain)[0]).max() > 1
    score = robust.anomaly_score(X)
    assert score[:75].min() > 2 * score[75:].max()
    score = plain.anomaly_score(X)
    assert score[:75].min() < score[75:].max()


def test_moving_the_anomalies_farther_away_changes_nothing() -> None:
    near, far = contaminated(), contaminated()
    far[:75] *= 1000
    score, other = (wc.RobustCovariance(support=0.75, **RAW).fit(X).anomaly_score(correlated(1)) for X in (near, far))
    np.testing.assert_allclose(score, other, rtol=1e-9)


def test_concentration_steps_never_raise_the_determinant() -> None:
    X = np.random.default_rng(0).standard_t(2, size=(400, 4)) @ TURN
    found = [
        determinant(wc.RobustCovariance(support=0.75, ridge=1e-9, max_steps=k, **RAW).fit(X)) for k in range(1, 12)
    ]
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(found))
    assert found[-1] < 0.97 * found[0]


def test_support_follows_the_regime() -> None:
    X, new = contaminated(), correlated(1)
    labels = np.repeat([0, -1], [0, 500])
    for regime, y, share in (("contaminated", None, 0.75), ("clean", None, 1.0), ("labelled", labels, 1.0)):
        by_default, said = (
            wc.RobustCovariance(support=h, regime=regime, **RAW).fit(X, y).anomaly_score(new) for h in (None, share)
        )
        np.testing.assert_array_equal(by_default, said)
    with pytest.raises(ParameterError, match=r"support must be a number from 0\.5 to 1"):
        wc.RobustCovariance(support=0.4).fit(X)


def test_score_turns_and_moves_with_the_data() -> None:
    X, new = contaminated(), correlated(1)
    turn, move = ortho_group.rvs(4, random_state=0), np.array([5.0, -2.0, 1.0, 7.0])
    # Medians of columns do not turn along, but the support found from them is the same.
    score, turned = (
        wc.RobustCovariance(**RAW).fit(change(X)).anomaly_score(change(new))
        for change in (lambda a: a, lambda a: a @ turn + move)
    )
    np.testing.assert_allclose(score, turned, rtol=1e-4)


def test_more_columns_than_rows_and_constant_columns_have_finite_scores() -> None:
    X = np.column_stack([correlated(n=20, d=40), np.full(20, 3.0)])
    detector = wc.RobustCovariance(random_state=0).fit(X)
    assert np.isfinite(detector.anomaly_score(X)).all()
    odd = X[:1].copy()
    odd[0, -1] = 9
    assert detector.anomaly_score(odd)[0] > detector.anomaly_score(X[:1])[0] + 1


def test_support_of_copies_of_one_row_leaves_scores_of_a_sensible_size() -> None:
    X = np.concatenate([np.zeros((400, 4)), correlated(n=100), [[20.0, 20, 20, 20]]])
    score = wc.RobustCovariance(support=0.75, **RAW).fit(X).anomaly_score(X)
    assert (score[:400] == 0).all()
    assert (score[400:500] > 0).all()
    # A hundredth of the others' median square, by column, counts as the support's variance, a hundredth of it is added.
    distance = np.linalg.norm(X[400:], axis=1)
    np.testing.assert_allclose(score[400:], 100 * distance / (np.median(distance) / 2), rtol=1e-6)
    assert score.argmax() == 500
    assert (wc.RobustCovariance(**RAW).fit(np.ones((50, 3))).anomaly_score(np.ones((2, 3))) == 0).all()


def test_sample_of_many_rows_leads_to_nearly_the_same_end() -> None:
    X, new = np.concatenate([contaminated(k) for k in range(8)]), correlated(99)
    exact, sampled = (
        wc.RobustCovariance(support=0.75, max_rows=m, **RAW).fit(X).anomaly_score(new) for m in (None, 1000)
    )
    np.testing.assert_allclose(exact, sampled, rtol=0.05)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**20), support=st.sampled_from([0.5, 0.75, 1.0]))
def test_parts_by_feature_sum_to_the_score(seed: int, support: float) -> None:
    X = correlated(seed, 60)
    detector = wc.RobustCovariance(support=support, **RAW).fit(X)
    x = torch.from_numpy(correlated(seed + 1, 20).astype(np.float32))
    parts = detector.feature_scores(detector.replicas_.replica(0), x)
    assert (parts >= 0).all()
    np.testing.assert_allclose(parts.sum(1), detector.anomaly_score(x.numpy()), rtol=1e-9)


def test_feature_that_breaks_the_correlation_carries_the_score() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 6))
    odd = torch.full((1, 6), 0.5)
    odd[0, 4] = -0.5
    detector = wc.RobustCovariance(**RAW).fit(X)
    parts = detector.feature_scores(detector.replicas_.replica(0), odd)[0]
    assert parts.argmax() == 4
    assert parts[4] > 0.5 * parts.sum()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("centre", lambda t: t[1:]),
        ("centre", lambda t: t.float()),
        ("centre", lambda t: t * torch.nan),
        ("whitening", lambda t: t[:, 1:]),
        ("whitening", lambda t: t.float()),
        ("whitening", lambda t: t * torch.inf),
        ("whitening", lambda t: t.triu()),
    ],
)
def test_damaged_buffers_are_refused(name: str, change: object) -> None:
    detector = wc.RobustCovariance(**RAW).fit(correlated())
    net = detector.replicas_.replica(0)
    detector.check_buffers(net)
    net.swap(name, change(getattr(net, name)))
    with pytest.raises(ModelFileError, match="RobustCovariance"):
        detector.check_buffers(net)
