"""Decision figures against scikit-learn and against counting by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from whitecrow import metrics
from whitecrow.core.errors import DataError, ParameterError

# Precision of no flags is 0 here; scikit-learn warns unless told.
UNDEFINED_IS_ZERO: Any = {"zero_division": 0}

flag_tables = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40).map(
    lambda rows: np.array([*rows, (1, 0)]).T
)


@settings(deadline=None, max_examples=150)
@given(flag_tables, st.floats(0.1, 10))
def test_figures_of_flags_equal_scikit_learn(table, beta):
    y, flags = table
    counts = metrics.confusion(y, flags)
    assert tuple(counts) == tuple(sk.confusion_matrix(y, flags, labels=[0, 1]).ravel())
    ours = metrics.precision_recall_f1(y, flags)
    reference = sk.precision_recall_fscore_support(y, flags, average="binary", **UNDEFINED_IS_ZERO)[:3]
    assert ours == pytest.approx(reference)
    assert metrics.f_beta(y, flags, beta) == pytest.approx(sk.fbeta_score(y, flags, beta=beta, **UNDEFINED_IS_ZERO))
    assert metrics.f2(y, flags) == pytest.approx(sk.fbeta_score(y, flags, beta=2, **UNDEFINED_IS_ZERO))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-2, 2), min_size=1, max_size=40), st.data())
def test_flag_top_flags_exactly_k_and_none_below_an_unflagged_one(scores, data):
    k = data.draw(st.integers(0, len(scores)))
    values = np.array(scores)
    flags = metrics.flag_top(values, k)
    assert flags.sum() == k
    if 0 < k < len(scores):
        assert values[flags].min() >= values[~flags].max()


def test_flag_top_does_not_reward_a_file_sorted_by_class():
    y = np.r_[np.ones(200, int), np.zeros(800, int)]
    for labels in (y, y[::-1]):
        f1 = metrics.f1_at_known_ratio(labels, np.zeros(1000)).f1
        assert f1 == pytest.approx(0.2, abs=0.02)


def test_flag_top_is_the_same_every_time():
    scores = np.random.default_rng(0).integers(0, 3, 500)
    np.testing.assert_array_equal(metrics.flag_top(scores, 123), metrics.flag_top(scores.copy(), 123))


def test_f1_at_known_ratio_has_equal_precision_recall_and_f1():
    rng = np.random.default_rng(1)
    y = rng.random(400) < 0.025
    p, r, f1 = metrics.f1_at_known_ratio(y, rng.normal(size=400) + 2 * y)
    assert p == r == f1


def test_f1_at_known_ratio_takes_another_number_of_flags():
    assert metrics.f1_at_known_ratio([0, 0, 1, 1], [1, 2, 3, 4], k=1) == (1.0, 0.5, 2 / 3)


def test_operational_f1_flags_strictly_above_the_threshold():
    assert metrics.operational_f1([0, 1, 1], [0.5, 0.5, 0.6], 0.5) == (1.0, 0.5, 2 / 3)


def test_precision_of_no_flags_is_zero():
    assert metrics.operational_f1([0, 1], [0.1, 0.2], 9.0) == (0.0, 0.0, 0.0)


@settings(deadline=None, max_examples=100)
@given(flag_tables, st.data())
def test_best_f1_is_the_maximum_over_all_thresholds(table, data):
    y = table[0]
    scores = np.array(data.draw(st.lists(st.integers(0, 4), min_size=len(y), max_size=len(y))))
    tried = [sk.f1_score(y, scores > t, **UNDEFINED_IS_ZERO) for t in range(-1, 5)]
    best = metrics.best_f1(y, scores)
    assert best.f1 == pytest.approx(max(tried))
    assert sk.f1_score(y, scores > best.threshold, **UNDEFINED_IS_ZERO) == pytest.approx(best.f1)


def test_best_f1_of_noise_reaches_its_floor():
    rng = np.random.default_rng(2)
    y = np.arange(1000) < 200
    floor = 2 * 0.2 / 1.2
    assert metrics.best_f1(y, rng.normal(size=1000)).f1 >= floor
    assert metrics.best_f1(y, np.zeros(1000)).f1 == pytest.approx(floor)


def test_cost_curve_adds_up_misses_and_false_alarms():
    y = np.array([0, 0, 0, 1, 1, 0])
    scores = np.array([0.1, 0.2, 0.3, 0.3, 0.9, 0.5])
    thresholds, costs = metrics.cost_curve(y, scores, 10, 2)
    for threshold, cost in zip(thresholds, costs, strict=True):
        flags = scores > threshold
        assert cost == pytest.approx((10 * (y & ~flags).sum() + 2 * ((1 - y) & flags).sum()) / 6)


def test_cost_curve_of_everything_costs_handling_less_the_catches():
    y, scores = [0, 0, 0, 1], [1, 2, 3, 4]
    curve = metrics.cost_curve(y, scores, 10, 2, cost_alert=1, catch_value=4, prevalence=0.1)
    assert curve.costs[0] == pytest.approx(0.1 * 10)
    assert curve.costs[-1] == pytest.approx(0.1 * (1 - 4) + 0.9 * (2 + 1))


@pytest.mark.parametrize("cost", [-1, np.nan, "1"])
def test_cost_out_of_range_is_a_parameter_error(cost):
    with pytest.raises(ParameterError, match="miss must be"):
        metrics.Costs(miss=cost, false_alarm=1)


@pytest.mark.parametrize("threshold", [np.nan, np.inf, None, "high"])
def test_threshold_that_is_no_number_is_a_data_error(threshold):
    with pytest.raises(DataError, match="threshold is"):
        metrics.operational_f1([0, 1], [0.1, 0.2], threshold)


def test_flags_other_than_zero_and_one_are_a_data_error():
    with pytest.raises(DataError, match="flags holds -1"):
        metrics.confusion([0, 1], [1, -1])


def test_beta_of_zero_is_a_parameter_error():
    with pytest.raises(ParameterError, match="beta must be"):
        metrics.f_beta([0, 1], [0, 1], 0)
