"""Conformal p-values and Benjamini-Hochberg: the definition, and the guarantees on simulated data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from whitecrow.calibrate import benjamini_hochberg, p_values
from whitecrow.core.errors import DataError, ParameterError

few_values = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30)


@settings(deadline=None, max_examples=150)
@given(few_values, few_values)
def test_p_value_is_its_definition_on_ties(calibration, scores):
    expected = [(1 + sum(c >= s for c in calibration)) / (len(calibration) + 1) for s in scores]
    assert p_values(calibration, scores).tolist() == pytest.approx(expected, abs=0)


def test_higher_score_never_has_a_higher_p_value():
    rng = np.random.default_rng(0)
    scores = np.sort(rng.normal(size=500))
    assert np.all(np.diff(p_values(rng.normal(size=100), scores)) <= 0)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 8]), st.integers(5, 60))
def test_p_values_of_exchangeable_rows_are_super_uniform(seed, digits, n):
    # 2,000 independent experiments of n calibration rows and one row in question.
    rng = np.random.default_rng(seed)
    tables = np.round(rng.gamma(2, size=(2000, n + 1)), digits)
    p = np.array([p_values(table[:-1], table[-1:])[0] for table in tables])
    for level in (0.05, 0.2, 0.5, 0.8):
        # Five standard errors: fails by chance less than once in a million.
        assert np.mean(p <= level) <= level + 5 * np.sqrt(level * (1 - level) / 2000)


def test_p_values_without_ties_are_uniform_on_their_grid():
    # Each of the n + 1 ranks is equally likely, whatever the law of the scores.
    tables = np.random.default_rng(1).standard_cauchy(size=(5000, 10))
    ranks = np.rint([10 * p_values(table[:-1], table[-1:])[0] for table in tables]).astype(int)
    assert stats.chisquare(np.bincount(ranks, minlength=11)[1:]).pvalue > 1e-3


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.sampled_from([0.001, 0.01, 0.02, 0.05, 0.2, 0.5, 1.0]), min_size=1, max_size=30),
    st.sampled_from([0.01, 0.05, 0.1, 0.3]),
)
def test_benjamini_hochberg_equals_scipys_adjusted_p_values(p, level):
    adjusted = stats.false_discovery_control(p, method="bh")
    # Values on the boundary differ by rounding between the two forms of the inequality.
    clear = np.abs(adjusted - level) > 1e-12
    np.testing.assert_array_equal(benjamini_hochberg(p, level)[clear], (adjusted <= level)[clear])


@pytest.mark.parametrize("level", [0.1, 0.3])
def test_false_discovery_rate_stays_within_the_level(level):
    # One calibration set serves a batch of 180 normal rows and 20 anomalies: the p-values are dependent.
    rng = np.random.default_rng(2)
    is_normal = np.arange(200) < 180
    shares, found = [], []
    for _ in range(600):
        batch = rng.normal(size=200) + np.where(is_normal, 0, 3.5)
        flags = benjamini_hochberg(p_values(rng.normal(size=400), batch), level)
        shares.append((flags & is_normal).sum() / max(flags.sum(), 1))
        found.append(np.mean(flags[~is_normal]))
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= 0.9 * level + 4 * error
    assert np.mean(found) > 0.5


def test_a_calibration_set_too_small_for_the_batch_flags_nothing():
    # The smallest p-value is 1 / 10, and 1 of 100 rows would need 0.001.
    assert not benjamini_hochberg(p_values(np.zeros(9), np.r_[np.zeros(99), 9.0]), 0.1).any()


def test_equal_p_values_are_flagged_together():
    assert benjamini_hochberg([0.02, 0.02, 0.02, 0.9], 0.05).tolist() == [True, True, True, False]


@pytest.mark.parametrize("bad", [[], [np.nan], [[1.0]], ["a"]])
def test_unusable_scores_are_a_data_error(bad):
    with pytest.raises(DataError, match="calibration_scores"):
        p_values(bad, [1.0])
    with pytest.raises(DataError, match="scores"):
        p_values([1.0], bad)


@pytest.mark.parametrize("bad", [[0.0], [1.2, 0.5], [-0.1]])
def test_scores_in_place_of_p_values_are_a_data_error(bad):
    with pytest.raises(DataError, match="not scores"):
        benjamini_hochberg(bad, 0.1)


@pytest.mark.parametrize("level", [0, 1, np.nan])
def test_level_out_of_range_is_a_parameter_error(level):
    with pytest.raises(ParameterError, match="level must be"):
        benjamini_hochberg([0.5], level)
