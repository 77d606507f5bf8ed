"""KNN scores by the distances that SciPy and scikit-learn find."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group
from sklearn.neighbors import NearestNeighbors

import whitecrow as wc
from whitecrow.core.errors import ModelFileError

RAW = {"scaling": "none", "calibration": 0, "random_state": 0}


def rows(seed: int, n: int, d: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 4, 5, 30])
@pytest.mark.parametrize(("score_type", "reduce"), [("mean", np.mean), ("median", np.median), ("kth", np.max)])
def test_score_is_that_of_scikit_learns_neighbours(score_type: str, reduce: object, k: int) -> None:
    X, new = rows(0, 400), rows(1, 100)
    found, _ = NearestNeighbors(n_neighbors=k).fit(X.astype(float)).kneighbors(new.astype(float))
    score = wc.KNN(n_neighbours=k, score_type=score_type, **RAW).fit(X).anomaly_score(new)
    np.testing.assert_allclose(score, reduce(found, axis=1), rtol=1e-6)


def test_digits_survive_an_offset_and_near_copies() -> None:
    # Scaling by the encoder restores the digits that float32 loses far from zero.
    rng = np.random.default_rng(0)
    X, new = 1e8 + rng.normal(size=(300, 3)), 1e8 + rng.normal(size=(50, 3))
    scaled, scaled_new = ((a - X.mean(0)) / X.std(0) for a in (X, new))
    expected = np.sort(cdist(scaled_new, scaled), axis=1)[:, :5].mean(1)
    score = wc.KNN(calibration=0, random_state=0).fit(X).anomaly_score(new)
    np.testing.assert_allclose(score, expected, rtol=1e-5)
    near = (1 + np.arange(200) * 2.0**-23)[:, None].astype(np.float32)
    found = np.sort(cdist(near.astype(float), near.astype(float)), axis=1)[:, :5].mean(1)
    np.testing.assert_allclose(wc.KNN(**RAW).fit(near).anomaly_score(near), found, rtol=1e-12)


def test_copies_are_neighbours() -> None:
    X = np.concatenate([np.zeros((10, 2)), np.ones((5, 2))])
    kth = [wc.KNN(n_neighbours=k, score_type="kth", **RAW).fit(X).anomaly_score([[0, 0]])[0] for k in (10, 11)]
    np.testing.assert_allclose(kth, [0, 2**0.5])


def test_data_given_twice_scores_as_twice_the_neighbours_do() -> None:
    X, new = rows(0, 200), rows(1, 50)
    once = wc.KNN(n_neighbours=3, **RAW).fit(X).anomaly_score(new)
    twice = wc.KNN(n_neighbours=6, **RAW).fit(np.concatenate([X, X])).anomaly_score(new)
    np.testing.assert_allclose(once, twice, rtol=1e-12)


def test_fewer_rows_than_neighbours_are_all_neighbours() -> None:
    X = rows(0, 3)
    score = wc.KNN(n_neighbours=50, **RAW).fit(X).anomaly_score(rows(1, 20))
    np.testing.assert_allclose(score, cdist(rows(1, 20).astype(float), X.astype(float)).mean(1), rtol=1e-12)


def test_scores_turn_and_move_with_the_data_and_grow_with_its_scale() -> None:
    X, new = rows(0, 300, 3), rows(1, 60, 3)
    turn, move = ortho_group.rvs(3, random_state=0), np.array([5.0, -2.0, 1.0])
    score = wc.KNN(**RAW).fit(X).anomaly_score(new)
    np.testing.assert_allclose(wc.KNN(**RAW).fit(X @ turn + move).anomaly_score(new @ turn + move), score, rtol=1e-4)
    np.testing.assert_allclose(wc.KNN(**RAW).fit(4 * X).anomaly_score(4 * new), 4 * score, rtol=1e-12)


def test_order_of_training_rows_does_not_matter() -> None:
    X, new = rows(0, 300).round(1), rows(1, 50)
    for max_rows in (20_000, 100):
        first, second = (
            wc.KNN(max_rows=max_rows, sample_rows=80, **RAW).fit(a).anomaly_score(new) for a in (X, X[::-1])
        )
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("score_type", ["mean", "kth", "median"])
@pytest.mark.parametrize("k", [4, 5])
def test_parts_by_feature_sum_to_the_score_and_name_the_feature(score_type: str, k: int) -> None:
    X = rows(0, 300)
    detector = wc.KNN(n_neighbours=k, score_type=score_type, **RAW).fit(X)
    x = torch.from_numpy(np.concatenate([rows(1, 20), X[:20]]))
    x[0, 2] = 40
    parts = detector.feature_scores(detector.replicas_.replica(0), x)
    np.testing.assert_allclose(parts.sum(1), detector.anomaly_score(x.numpy()), rtol=1e-12)
    assert (parts >= 0).all()
    assert int(parts[0].argmax()) == 2


def test_all_rows_equal_score_zero_with_parts_zero() -> None:
    X = np.ones((40, 3))
    detector = wc.KNN(**RAW).fit(X)
    assert (detector.anomaly_score(X) == 0).all()
    parts = detector.feature_scores(detector.replicas_.replica(0), torch.ones(2, 3))
    assert (parts == 0).all()


def test_sample_is_drawn_beyond_max_rows_alone_and_said() -> None:
    X = rows(0, 500)
    exact = wc.KNN(max_rows=500, sample_rows=50, **RAW).fit(X)
    assert exact.approximation_ == "exact"
    sampled = wc.KNN(max_rows=499, sample_rows=50, **RAW).fit(X)
    assert sampled.approximation_ == "random sample of 50 of the 500 distinct training rows"
    assert wc.KNN(max_rows=None, **RAW).fit(X).approximation_ == "exact"


def test_sampling_survives_the_file(tmp_path: Path) -> None:
    X = rows(0, 300)
    detector = wc.KNN(max_rows=100, sample_rows=50, **RAW).fit(X)
    detector.save(tmp_path / "knn.safetensors")
    loaded = wc.load(tmp_path / "knn.safetensors")
    assert loaded.approximation_ == detector.approximation_
    np.testing.assert_array_equal(loaded.anomaly_score(X), detector.anomaly_score(X))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("counts", lambda t: t * 0),
        ("counts", lambda t: t - 2),
        ("counts", lambda t: t * 2**62),
        ("counts", lambda t: t[1:]),
        ("counts", lambda t: t.int()),
        ("rows", lambda t: t[:, 1:]),
        ("rows", lambda t: t.double()),
        ("rows", lambda t: t * torch.nan),
        ("n_distinct", lambda t: t - 1),
        ("k", lambda t: t * 0),
        ("k", lambda t: t * 10**6),
    ],
)
def test_damaged_buffers_are_refused(name: str, change: object) -> None:
    detector = wc.KNN(**RAW).fit(rows(0, 60))
    net = detector.replicas_.replica(0)
    detector.check_buffers(net)
    net.swap(name, change(getattr(net, name)))
    with pytest.raises(ModelFileError, match="KNN"):
        detector.check_buffers(net)
