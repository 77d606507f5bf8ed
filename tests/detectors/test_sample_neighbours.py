"""SampleNeighbours scores by SciPy's distances to small samples, and so finds anomalies that training rows hold."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

import whitecrow as wc
from whitecrow.core.errors import ModelFileError

RAW = {"scaling": "none", "calibration": 0, "random_state": 0}


def rows(seed: int, n: int, d: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def samples(detector: wc.Detector) -> np.ndarray:
    return detector.replicas_.replica(0).rows.numpy()


@pytest.mark.parametrize("k", [1, 3, 50])
@pytest.mark.parametrize(("metric", "name"), [("manhattan", "cityblock"), ("euclidean", "euclidean")])
def test_score_is_the_mean_over_the_samples_of_scipys_nearest_distances(metric: str, name: str, k: int) -> None:
    detector = wc.SampleNeighbours(metric=metric, n_neighbours=k, n_samples=37, **RAW).fit(rows(0, 300))
    new = rows(1, 400).astype(float)
    distances = [np.sort(cdist(new, sample.astype(float), name), axis=1) for sample in samples(detector)]
    expected = np.mean([distance[:, :k].mean(1) for distance in distances], axis=0)
    np.testing.assert_allclose(detector.anomaly_score(new), expected, rtol=1e-12)


def test_each_sample_holds_distinct_training_rows_and_all_rows_are_drawn_alike() -> None:
    X = np.arange(40.0)[:, None]
    drawn = samples(wc.SampleNeighbours(n_samples=2000, sample_rows=10, **RAW).fit(X))[:, :, 0]
    assert drawn.shape == (2000, 10)
    assert all(len(set(sample)) == 10 for sample in drawn)
    # 500 draws of each row are expected, with a standard deviation of 19.4.
    assert np.abs(np.bincount(drawn.ravel().astype(int), minlength=40) - 500).max() < 90


def test_no_sample_takes_more_than_half_of_the_training_rows() -> None:
    for n, psi in ((2, 1), (3, 1), (20, 10), (32, 16), (500, 16)):
        assert samples(wc.SampleNeighbours(**RAW).fit(rows(0, n))).shape == (100, psi, 4)


def test_many_samples_approach_the_expected_distance() -> None:
    # A sample of one row: the expectation is the mean distance to the training rows.
    X, new = rows(0, 50), rows(1, 20)
    score = wc.SampleNeighbours(n_samples=20_000, sample_rows=1, **RAW).fit(X).anomaly_score(new)
    np.testing.assert_allclose(score, cdist(new, X, "cityblock").mean(1), rtol=0.03)


def test_clustered_anomalies_among_the_training_rows_are_found_where_neighbours_miss_them() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(950, 5)), 5 + 0.05 * rng.normal(size=(50, 5))])
    y = np.repeat([0, 1], [950, 50])
    found, missed = (roc_auc_score(y, detector.fit(X).anomaly_score(X)) for detector in (
        wc.SampleNeighbours(random_state=0), wc.KNN(random_state=0)
    ))  # fmt: skip
    assert found > 0.99
    assert missed < 0.5


def test_few_samples_scatter_more() -> None:
    X, new = rows(0, 500), rows(1, 50)

    def spread(n_samples: int) -> float:
        scores = [
            wc.SampleNeighbours(n_samples=n_samples, **{**RAW, "random_state": seed}).fit(X).anomaly_score(new)
            for seed in range(12)
        ]
        return float(np.std(scores, axis=0).mean())

    # The samples are independent: 25 times as many have a fifth of the spread.
    np.testing.assert_allclose(spread(4) / spread(100), 5, rtol=0.25)


@settings(max_examples=25, deadline=None)
@given(metric=st.sampled_from(["manhattan", "euclidean"]), k=st.integers(1, 20), seed=st.integers(0, 2**20))
def test_parts_by_feature_sum_to_the_score(metric: str, k: int, seed: int) -> None:
    X = rows(seed, 60).round(1)
    detector = wc.SampleNeighbours(metric=metric, n_neighbours=k, n_samples=9, **RAW).fit(X)
    x = torch.from_numpy(np.concatenate([rows(seed + 1, 20), X[:20]]))
    parts = detector.feature_scores(detector.replicas_.replica(0), x)
    assert (parts >= 0).all()
    np.testing.assert_allclose(parts.sum(1), detector.anomaly_score(x.numpy()), rtol=1e-12)


def test_feature_that_is_off_carries_the_score() -> None:
    detector = wc.SampleNeighbours(**RAW).fit(rows(0, 300))
    x = torch.tensor([[0.0, 0.0, 40.0, 0.0]])
    parts = detector.feature_scores(detector.replicas_.replica(0), x)[0]
    assert parts[2] > 0.9 * parts.sum()


def test_all_rows_equal_score_zero() -> None:
    detector = wc.SampleNeighbours(**RAW).fit(np.ones((40, 3)))
    assert (detector.anomaly_score(np.ones((5, 3))) == 0).all()
    assert (detector.feature_scores(detector.replicas_.replica(0), torch.ones(2, 3)) == 0).all()


def test_few_rows_are_not_searched_for_as_a_whole_block_and_score_to_the_last_bit_alike(monkeypatch) -> None:
    X = rows(0, 600)
    detector = wc.detector("sample-neighbours", sample_rows=64, n_neighbours=5, **RAW).fit(X[:300])
    whole = detector.anomaly_score(X[300:])
    sought, search = [], type(detector)._distances

    def watched(self, x, drawn):
        sought.append(len(x))
        return search(self, x, drawn)

    monkeypatch.setattr(type(detector), "_distances", watched)
    for n in (1, 2, 17):
        assert np.array_equal(detector.anomaly_score(X[300 : 300 + n]), whole[:n])
        assert max(sought) == n + 1  # one for all that fill the block up
        sought.clear()


def test_many_samples_of_many_rows_are_searched_part_by_part() -> None:
    X, new = rows(0, 2000), rows(1, 10)
    detector = wc.SampleNeighbours(n_samples=30, sample_rows=500, **RAW).fit(X)
    expected = np.mean([cdist(new, sample, "cityblock").min(1) for sample in samples(detector)], axis=0)
    np.testing.assert_allclose(detector.anomaly_score(new), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[1:],
        lambda t: t[:, :0],
        lambda t: t.repeat(1, 2, 1),
        lambda t: t[:, :, 1:],
        lambda t: t.flatten(0, 1),
        lambda t: t.double(),
        lambda t: t * torch.inf,
    ],
)
def test_damaged_buffers_are_refused(change: object) -> None:
    detector = wc.SampleNeighbours(n_samples=5, **RAW).fit(rows(0, 60))
    net = detector.replicas_.replica(0)
    detector.check_buffers(net)
    net.swap("rows", change(net.rows))
    with pytest.raises(ModelFileError, match="SampleNeighbours"):
        detector.check_buffers(net)
