"""The isolation forest against scikit-learn's, whose trees it holds, and against hostile files."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import ensemble

from whitecrow.core.errors import ModelFileError, ParameterError
from whitecrow.detectors.tabular.isolation_forest import IsolationForest, _float32_below
from whitecrow.nn import Networks


def plain(**parameters):
    """Return a detector that sees the rows as they are."""
    return IsolationForest(scaling="none", calibration=0, **{"random_state": 0, "n_estimators": 20, **parameters})


def twin(train, **parameters):
    """Return scikit-learn's forest of the same trees."""
    return ensemble.IsolationForest(**{"random_state": 0, "n_estimators": 20, **parameters}).fit(train)


def rows(n=500, d=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("d", [1, 5, 40])
@pytest.mark.parametrize("max_samples", [2, 3, 64, 256, 500])
def test_score_is_the_negative_of_scikit_learns(d, max_samples):
    train, test = rows(d=d), 2 * rows(3000, d=d, seed=1)
    reference = -twin(train, max_samples=max_samples).score_samples(test)
    scores = plain(max_samples=max_samples).fit(train).anomaly_score(test)
    np.testing.assert_allclose(scores, reference, rtol=1e-9)


def test_scores_agree_at_the_thresholds_and_beside_them():
    train = rows()
    forest = twin(train)
    cuts = np.concatenate([tree.tree_.threshold[tree.tree_.feature >= 0] for tree in forest.estimators_])
    at = cuts.astype(np.float32)
    values = np.concatenate([at, np.nextafter(at, np.float32(-9)), np.nextafter(at, np.float32(9)), train.ravel()])
    test = np.random.default_rng(1).choice(values, size=(20000, 5))
    np.testing.assert_allclose(plain().fit(train).anomaly_score(test), -forest.score_samples(test), rtol=1e-9)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 60),
    d=st.integers(1, 6),
    levels=st.integers(1, 8),
    max_features=st.sampled_from([0.01, 0.5, 1.0]),
)
def test_scores_agree_on_tables_of_few_distinct_values(seed, n, d, levels, max_features):
    rng = np.random.default_rng(seed)
    train, test = rng.integers(0, levels, (n, d)), rng.integers(-1, levels + 1, (40, d))
    chosen = {"random_state": seed, "n_estimators": 5, "max_features": max_features}
    reference = -twin(train, max_samples=min(256, n), **chosen).score_samples(test)
    np.testing.assert_allclose(plain(**chosen).fit(train).anomaly_score(test), reference, rtol=1e-9)


@settings(deadline=None, max_examples=200)
@given(threshold=st.floats(-3e38, 3e38), near=st.integers(-2, 2))
@example(threshold=-0.0, near=0)
@example(threshold=-1e-50, near=1)
def test_sign_of_the_difference_decides_as_the_comparison_in_float64(threshold, near):
    value = np.float32(threshold)
    for _ in range(abs(near)):
        value = np.nextafter(value, np.float32(np.inf * near))
    for x in (value, np.float32(0), np.float32(-0.0)):
        assert np.signbit(_float32_below(np.array([threshold])) - x)[0] == (float(x) > threshold)


def test_extreme_values_stay_in_the_tree():
    train = rows()
    largest = np.finfo(np.float32).max
    test = np.array([[largest] * 5, [-largest] * 5, [0.0] * 5], dtype=np.float32)
    np.testing.assert_allclose(plain().fit(train).anomaly_score(test), -twin(train).score_samples(test), rtol=1e-9)


def test_more_samples_than_rows_are_all_rows():
    train = rows(100)
    np.testing.assert_array_equal(
        plain(max_samples=256).fit(train).anomaly_score(train), plain(max_samples=100).fit(train).anomaly_score(train)
    )


def test_all_equal_rows_score_as_rows_without_structure():
    np.testing.assert_allclose(plain().fit(np.ones((300, 3))).anomaly_score(np.ones((4, 3))), 0.5)


def test_isolated_row_scores_higher_than_every_training_row():
    train = rows()
    detector = plain(n_estimators=100).fit(train)
    assert detector.anomaly_score(np.full((1, 5), 8.0))[0] > detector.anomaly_score(train).max()


def test_scores_do_not_change_with_the_units_of_a_feature():
    train, test = rows(), rows(seed=1)
    units = np.array([1.0, 1024.0, 0.5, 8.0, 0.25])  # powers of two, which round nothing
    np.testing.assert_allclose(
        plain().fit(train * units).anomaly_score(test * units), plain().fit(train).anomaly_score(test), rtol=1e-12
    )


@pytest.mark.parametrize("bad", [{"max_samples": 1}, {"n_estimators": 0}, {"max_features": 0.0}, {"max_features": 2}])
def test_bad_parameters_are_refused(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        plain(**bad).fit(rows())


def test_any_integer_is_a_seed():
    for seed in (-1, 2**32 + 5, 2**63 - 1):
        assert np.isfinite(plain(random_state=seed).fit(rows(50)).anomaly_score(rows(3))).all()


def change(name, value):
    """Return what writes one value into the middle of a buffer."""
    return lambda b: b[name].view(-1)[b[name].numel() // 2].fill_(value)


@pytest.mark.parametrize(
    "tamper",
    [
        change("feature", 5),
        change("feature", -1),
        change("feature", 2**31 - 1),
        change("threshold", float("nan")),
        change("path_length", float("inf")),
        change("path_length", -1.0),
        change("typical_length", 0.0),
        lambda b: b.pop("threshold"),
        lambda b: b.update(child_index=torch.zeros(4, dtype=torch.int64)),
        lambda b: b.update(feature=b["feature"].long()),
        lambda b: b.update(feature=b["feature"][:-1]),
        lambda b: b.update(threshold=b["threshold"][:-1]),
        lambda b: b.update(path_length=b["path_length"][:-1]),
        lambda b: b.update(path_length=b["path_length"].repeat(2)),
        lambda b: b.update(feature=torch.zeros((), dtype=torch.int32)),
        lambda b: b.update(feature=b["feature"][:0], threshold=b["threshold"][:0]),
        # 3 leaves to a tree: no number of levels has so many.
        lambda b: b.update(
            feature=torch.zeros(4, dtype=torch.int32), threshold=torch.zeros(4), path_length=torch.ones(6).double()
        ),
    ],
)
def test_tampered_buffers_are_refused(tamper):
    detector = plain().fit(rows())
    buffers = {name: tensor.clone() for name, tensor in detector.replicas_.replica(0).tensors()}
    detector.check_buffers(Networks(**buffers))
    tamper(buffers)
    with pytest.raises(ModelFileError, match="IsolationForest"):
        detector.check_buffers(Networks(**buffers))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n_trees=st.integers(1, 5), n_levels=st.integers(1, 6))
def test_forest_that_passes_the_check_scores_every_row(seed, n_trees, n_levels):
    rng = np.random.default_rng(seed)
    n_nodes, n_leaves = n_trees * (2**n_levels - 1), n_trees * 2**n_levels
    net = Networks(
        feature=torch.from_numpy(rng.integers(0, 5, n_nodes).astype(np.int32)),
        threshold=torch.from_numpy(rng.normal(size=n_nodes).astype(np.float32)),
        path_length=torch.from_numpy(rng.uniform(0, 20, n_leaves)),
        typical_length=torch.tensor(10.0, dtype=torch.float64),
    )
    detector = plain().fit(rows(20))
    detector.check_buffers(net)
    scores = detector.score_batch(net, torch.from_numpy(rows(50)))
    assert ((scores > 0) & (scores <= 1)).all()
