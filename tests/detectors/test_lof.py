"""LOF is scikit-learn's on distinct rows, and stays sensible where these have copies."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group
from sklearn.neighbors import LocalOutlierFactor

import whitecrow as wc
from whitecrow.core.errors import ModelFileError, ParameterError

RAW = {"scaling": "none", "calibration": 0, "random_state": 0}


def rows(seed: int, n: int, d: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def published(k: int, X: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return scikit-learn's novelty score, in our sign."""
    other = LocalOutlierFactor(n_neighbors=k, novelty=True).fit(X.astype(float))
    return -other.score_samples(new.astype(float))


def textbook(k: int, X: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return LOF by its definitions, over all training rows, each copy a row of its own."""
    between = cdist(X, X)
    np.fill_diagonal(between, np.inf)
    near = np.argsort(between, axis=1, kind="stable")[:, :k]
    k_distance = np.take_along_axis(between, near, 1)[:, -1]
    if k_distance.any():
        # The lower of the two middle ones, counting each distinct row once.
        _, first = np.unique(X, axis=0, return_index=True)
        known = np.sort(k_distance[first][k_distance[first] > 0])
        k_distance[k_distance == 0] = known[(len(known) - 1) // 2]

    def density(distance: np.ndarray, near: np.ndarray) -> np.ndarray:
        reach = np.maximum(k_distance[near], np.take_along_axis(distance, near, 1))
        return 1 / (reach.mean(1) + 1e-10)

    distance = cdist(new, X)
    of_new = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return density(between, near)[of_new].mean(1) / density(distance, of_new)


@pytest.mark.parametrize("k", [1, 5, 20, 150])
def test_novelty_score_is_scikit_learns(k: int) -> None:
    X, new = rows(0, 300), rows(1, 100)
    new[:20] *= 4
    score = wc.LOF(n_neighbours=k, **RAW).fit(X).anomaly_score(new)
    np.testing.assert_allclose(score, published(k, X, new), rtol=1e-6)


def test_default_number_of_neighbours_is_scikit_learns_score_with_20_and_50() -> None:
    for n, k in ((999, 20), (1000, 50), (30, 15), (3, 1), (2, 1)):
        X = rows(0, n)
        detector = wc.LOF(**RAW).fit(X)
        assert detector.n_neighbours_ == (k,)
        np.testing.assert_allclose(detector.anomaly_score(rows(1, 50)), published(k, X, rows(1, 50)), rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(4, 60),
    share=st.floats(0, 0.9),
    k=st.integers(1, 20),
)
def test_copies_count_as_rows_of_their_own(seed: int, n: int, share: float, k: int) -> None:
    # Real numbers, so that no two distances are equal but those to copies.
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    copied = rng.random(n) < share
    X[copied] = X[rng.integers(0, max(n // 4, 1), n)[copied]]
    new = rng.normal(size=(15, 3)).astype(np.float32)
    detector = wc.LOF(n_neighbours=k, **RAW).fit(X)
    expected = textbook(detector.n_neighbours_[0], X.astype(float), new.astype(float))
    np.testing.assert_allclose(detector.anomaly_score(new), expected, rtol=1e-9)


def test_many_copies_leave_scores_finite_and_sensible() -> None:
    X = np.concatenate([np.zeros((500, 2)), rows(0, 200, 2) + 8])
    detector = wc.LOF(n_neighbours=20, **RAW).fit(X)
    copied, inside, beside, between = detector.anomaly_score([[0, 0], [8, 8], [0, 2], [4, 4]])
    np.testing.assert_allclose(copied, 1)
    assert inside < 1.5 < beside < between < 100


def test_unit_of_the_data_does_not_matter_where_rows_have_many_copies() -> None:
    X, new = rows(0, 2000, 2).round(), rows(1, 100, 2)
    score, in_other_unit = (
        wc.LOF(n_neighbours=20, **RAW).fit(X * unit).anomaly_score(new * unit) for unit in (1, 1024)
    )
    np.testing.assert_allclose(score, in_other_unit, rtol=1e-6)


def test_all_rows_equal_score_one() -> None:
    np.testing.assert_allclose(wc.LOF(**RAW).fit(np.ones((50, 2))).anomaly_score(np.ones((3, 2))), 1)


def test_interior_of_a_uniform_grid_scores_one() -> None:
    grid = np.stack(np.meshgrid(np.arange(40.0), np.arange(40.0)), -1).reshape(-1, 2)
    inner = grid[((grid > 13) & (grid < 26)).all(1)] + 0.25
    score = wc.LOF(n_neighbours=20, **RAW).fit(grid).anomaly_score(inner)
    np.testing.assert_allclose(score, 1, atol=0.02)


def test_row_between_clusters_of_unequal_density_is_judged_by_the_nearer() -> None:
    # The example of the paper's figure 1: o2 lies nearer to the dense cluster than rows of the sparse one lie apart.
    dense, sparse = rows(0, 200, 2) * 0.05, rows(1, 200, 2) * 2 + 12
    detector = wc.LOF(n_neighbours=20, **RAW).fit(np.concatenate([dense, sparse]))
    beside_dense, within_sparse = detector.anomaly_score([[0.6, 0.6], [12.0, 12.0]])
    assert within_sparse < 1.3
    assert beside_dense > 4


def test_hand_worked_example() -> None:
    # k = 1 on 0, 1, 3, 7 and 15. Each row's nearest other one: 1, 0, 1, 3, 7. k-distances 1, 1, 2, 4, 8; densities
    # 1, 1, 1/2, 1/4, 1/8. The new row 4 has the neighbour 3: reach max(2, 1) = 2, so LOF = 2 / 2; the new row 9 has
    # the neighbour 7: reach max(4, 2) = 4, LOF = 4 / 4; the new row 31 the neighbour 15: 16 / 8.
    detector = wc.LOF(n_neighbours=1, **RAW).fit(np.array([[0.0], [1], [3], [7], [15]]))
    np.testing.assert_allclose(detector.anomaly_score([[4.0], [9], [31]]), [1, 1, 2], rtol=1e-9)


def test_pair_scores_one() -> None:
    np.testing.assert_allclose(wc.LOF(n_neighbours=1, **RAW).fit([[0.0], [1.0]]).anomaly_score([[0.0], [1.0]]), 1)


def test_scores_do_not_change_as_the_data_move_turn_and_grow() -> None:
    X, new = rows(0, 300, 3), rows(1, 60, 3)
    turn, move = ortho_group.rvs(3, random_state=0), np.array([5.0, -2.0, 1.0])
    score = wc.LOF(**RAW).fit(X).anomaly_score(new)
    for change in (lambda a: a @ turn, lambda a: a + move, lambda a: 1000 * a):
        np.testing.assert_allclose(wc.LOF(**RAW).fit(change(X)).anomaly_score(change(new)), score, rtol=1e-4)


def test_score_over_several_neighbourhoods_is_the_largest() -> None:
    X, new = rows(0, 300), 2 * rows(1, 80)
    several = wc.LOF(n_neighbours=(30, 10, 20), **RAW).fit(X)
    assert several.n_neighbours_ == (10, 20, 30)
    expected = np.max([published(k, X, new) for k in (10, 20, 30)], axis=0)
    np.testing.assert_allclose(several.anomaly_score(new), expected, rtol=1e-6)


def test_no_number_of_neighbours_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least one number"):
        wc.LOF(n_neighbours=()).fit(rows(0, 50))


def test_score_does_not_depend_on_the_other_rows_where_distances_are_equal() -> None:
    X = rows(0, 2000, 3).round()
    detector = wc.LOF(n_neighbours=5, **RAW).fit(X)
    new = rows(1, 300, 3).round()
    alone = np.concatenate([detector.anomaly_score(part) for part in np.array_split(new, 30)])
    np.testing.assert_array_equal(detector.anomaly_score(new), alone)


def test_order_of_training_rows_does_not_matter() -> None:
    X, new = rows(0, 300).round(1), rows(1, 50)
    for max_rows in (20_000, 100):
        first, second = (
            wc.LOF(max_rows=max_rows, sample_rows=80, **RAW).fit(a).anomaly_score(new) for a in (X, X[::-1])
        )
        np.testing.assert_array_equal(first, second)


def test_sample_is_said_and_survives_the_file(tmp_path: Path) -> None:
    X = rows(0, 500)
    assert wc.LOF(max_rows=500, **RAW).fit(X).approximation_ == "exact"
    detector = wc.LOF(max_rows=499, sample_rows=50, n_neighbours=(5, 100), **RAW).fit(X)
    assert detector.approximation_ == "random sample of 50 of the 500 distinct training rows"
    assert detector.n_neighbours_ == (5, 25)
    detector.save(tmp_path / "lof.safetensors")
    loaded = wc.load(tmp_path / "lof.safetensors")
    assert loaded.approximation_ == detector.approximation_
    assert loaded.n_neighbours_ == (5, 25)
    np.testing.assert_array_equal(loaded.anomaly_score(X), detector.anomaly_score(X))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("counts", lambda t: t * 0),
        ("counts", lambda t: t * 2**62),
        ("counts", lambda t: t[1:]),
        ("rows", lambda t: t[:, 1:]),
        ("n_distinct", lambda t: t - 1),
        ("ks", lambda t: t * 0),
        ("ks", lambda t: t * 10**6),
        ("ks", lambda t: t[:0]),
        ("k_distance", lambda t: -t - 1),
        ("k_distance", lambda t: t[:, :0]),
        ("density", lambda t: t * 0),
        ("density", lambda t: t * torch.inf),
    ],
)
def test_damaged_buffers_are_refused(name: str, change: object) -> None:
    detector = wc.LOF(**RAW).fit(rows(0, 60))
    net = detector.replicas_.replica(0)
    detector.check_buffers(net)
    net.swap(name, change(getattr(net, name)))
    with pytest.raises(ModelFileError, match="LOF"):
        detector.check_buffers(net)
