"""Ranking figures and curves against scikit-learn, ties included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from whitecrow import metrics
from whitecrow.core.errors import DataError, ParameterError


@st.composite
def tied_tables(draw):
    """Labels of both classes and scores with few distinct values."""
    n = draw(st.integers(2, 40))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    y[:2] = [0, 1]
    scores = draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n))
    return np.array(y), np.array(scores) / 7


def noisy_table(n=3000, seed=0, digits=2):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.1).astype(int)
    return y, np.round(rng.normal(size=n) + 1.5 * y, digits)


@settings(deadline=None, max_examples=150)
@given(tied_tables())
def test_auroc_and_average_precision_equal_scikit_learn_on_ties(table):
    y, scores = table
    assert metrics.auroc(y, scores) == pytest.approx(sk.roc_auc_score(y, scores), abs=1e-12)
    assert metrics.average_precision(y, scores) == pytest.approx(sk.average_precision_score(y, scores), abs=1e-12)


def test_auroc_is_the_mann_whitney_statistic():
    y, scores = noisy_table()
    u = stats.mannwhitneyu(scores[y == 1], scores[y == 0]).statistic
    assert metrics.auroc(y, scores) == pytest.approx(u / (y.sum() * (1 - y).sum()))


@settings(deadline=None, max_examples=100)
@given(tied_tables())
def test_roc_curve_equals_scikit_learn(table):
    y, scores = table
    fpr, tpr, thresholds = metrics.roc_curve(y, scores)
    reference = sk.roc_curve(y, scores, drop_intermediate=False)
    np.testing.assert_allclose(fpr, reference[0])
    np.testing.assert_allclose(tpr, reference[1])
    # scikit-learn flags scores >= threshold, we flag scores > threshold.
    for f, t, threshold in zip(fpr, tpr, thresholds, strict=True):
        assert f == np.mean(scores[y == 0] > threshold)
        assert t == np.mean(scores[y == 1] > threshold)


@settings(deadline=None, max_examples=100)
@given(tied_tables())
def test_pr_curve_equals_scikit_learn(table):
    y, scores = table
    precision, recall, thresholds = metrics.pr_curve(y, scores)
    reference = sk.precision_recall_curve(y, scores)
    np.testing.assert_allclose(precision, reference[0][::-1])
    np.testing.assert_allclose(recall, reference[1][::-1])
    assert np.all(np.diff(thresholds) < 0)


def test_last_threshold_flags_every_row_also_in_single_precision():
    scores = np.array([3.0e7, 3.0e7 + 4, -1e-9, 5.0], dtype=np.float32)
    last = metrics.roc_curve([0, 1, 0, 1], scores).thresholds[-1]
    assert np.all(scores > np.float32(last))


@settings(deadline=None, max_examples=100)
@given(tied_tables(), st.floats(0, 1))
def test_recall_at_fpr_is_the_best_reachable_point_of_the_roc_curve(table, budget):
    y, scores = table
    fpr, tpr, _ = sk.roc_curve(y, scores, drop_intermediate=False)
    assert metrics.recall_at_fpr(y, scores, budget) == tpr[fpr <= budget].max()


def test_recall_at_fpr_spends_the_whole_budget_whatever_the_rounding():
    # 0.29 * 100 is 28.999999999999996, yet 29 of 100 false alarms are within 0.29.
    scores = np.r_[np.arange(100.0), 70.5]
    assert metrics.recall_at_fpr([0] * 100 + [1], scores, 0.29) == 1.0


def test_constant_scores_are_chance():
    y = np.arange(50) % 5 == 0
    assert metrics.auroc(y, np.ones(50)) == 0.5
    assert metrics.average_precision(y, np.ones(50)) == pytest.approx(0.2)
    assert metrics.distinct_scores(np.ones(50)) == 1


@pytest.mark.parametrize("metric", [metrics.auroc, metrics.average_precision])
def test_only_the_order_of_scores_counts(metric):
    y, scores = noisy_table()
    assert metric(y, np.exp(scores)) == pytest.approx(metric(y, scores), abs=1e-14)


def test_perfect_ranking_scores_exactly_one():
    y = np.r_[np.zeros(97, int), np.ones(3, int)]
    assert metrics.auroc(y, np.arange(100)) == metrics.average_precision(y, np.arange(100)) == 1.0


def test_precision_at_k_counts_the_highest_scores():
    y, scores = [0, 1, 1, 0, 1], [0.1, 0.9, 0.8, 0.7, 0.2]
    assert [metrics.precision_at_k(y, scores, k) for k in (1, 2, 3, 5)] == [1.0, 1.0, 2 / 3, 3 / 5]


@pytest.mark.parametrize(
    ("y", "scores", "said"),
    [
        ([0, 1], [0.1, np.nan], "NaN or infinite"),
        ([0, 1], [0.1, np.inf], "NaN or infinite"),
        ([0, 1], [0.1, 0.2, 0.3], "2 rows and scores has 3"),
        ([0, 2], [0.1, 0.2], "holds 2"),
        ([-1, 1], [0.1, 0.2], "holds -1"),
        ([0.0, np.nan], [0.1, 0.2], "holds nan"),
        (["normal", "attack"], [0.1, 0.2], "Map"),
        ([0, 0], [0.1, 0.2], "at least one anomaly"),
        ([1, 1], [0.1, 0.2], "at least one normal row"),
        ([0, 1], ["a", "b"], "accepted are numbers"),
        ([0, 1], [[0.1], [0.2]], "shape (2, 1)"),
        ([[0], [1, 0]], [0.1, 0.2], "ragged"),
        ([], [], "at least one row"),
    ],
)
def test_unusable_input_is_a_data_error(y, scores, said):
    with pytest.raises(DataError) as caught:
        metrics.auroc(y, scores)
    assert said in str(caught.value)


@pytest.mark.parametrize("budget", [-0.1, 1.1, np.nan, "0.1"])
def test_budget_out_of_range_is_a_parameter_error(budget):
    with pytest.raises(ParameterError, match="max_fpr must be"):
        metrics.recall_at_fpr([0, 1], [0.1, 0.2], budget)


@pytest.mark.parametrize("k", [0, 3, 1.5])
def test_queue_length_out_of_range_is_a_parameter_error(k):
    with pytest.raises(ParameterError):
        metrics.precision_at_k([0, 1], [0.1, 0.2], k)


def test_inputs_are_left_unchanged():
    y, scores = noisy_table(200)
    kept = y.copy(), scores.copy()
    metrics.evaluation_report(y, scores, 1.0, threshold_source="test", n_resamples=20)
    metrics.flag_top(scores, 7)
    np.testing.assert_array_equal(y, kept[0])
    np.testing.assert_array_equal(scores, kept[1])
