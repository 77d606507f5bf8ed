"""Detectors in pairs: the signed-rank test is SciPy's where that is exact, and exact where it is not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.study.statistics.intervals import seed_interval
from whitecrow.study.statistics.paired import paired_difference, rank_agreement, smallest_p, wilcoxon

small_integers = st.lists(st.integers(-4, 4), min_size=1, max_size=12)


def share_of_signs(difference):
    """Two-sided p-value from going through all signs of the differences that are not zero."""
    nonzero = np.array([d for d in difference if d])
    if not nonzero.size:
        return 1.0
    ranks = stats.rankdata(np.abs(nonzero))
    signs = (np.arange(2 ** len(ranks))[:, None] >> np.arange(len(ranks))) & 1
    sums, observed = signs @ ranks, ranks[nonzero > 0].sum()
    return min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))


@pytest.mark.parametrize("n", [1, 2, 5, 13, 14, 30, 50, 51, 120])
def test_test_of_distinct_differences_is_that_of_scipy(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n) + 0.3, rng.normal(size=n)
    ours, theirs = wilcoxon(a, b), stats.wilcoxon(a, b)
    assert min(ours.positive, ours.negative) == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize("n", [4, 8, 11])
def test_ties_and_zeros_in_few_pairs_are_those_of_scipy(n):
    # Up to 13 pairs SciPy goes through all signs as well.
    rng = np.random.default_rng(n)
    a, b = rng.integers(0, 6, n), rng.integers(0, 4, n)
    theirs = stats.wilcoxon(a, b, zero_method="wilcox")
    assert (a == b).any() or n == 4
    assert wilcoxon(a, b).p == pytest.approx(theirs.pvalue, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(difference=small_integers)
def test_p_is_the_share_of_signs_at_least_as_lopsided(difference):
    assert wilcoxon(difference, np.zeros(len(difference))).p == pytest.approx(share_of_signs(difference), abs=1e-12)


def test_ties_in_more_pairs_are_exact_over_all_signs():
    # SciPy would take the normal approximation, for ties alone.
    difference = [3, 1, 1, -2, 4, 4, -1, 5, 2, 2, 6, -3, 1, 3, 7, -5, 0]
    exact = share_of_signs(difference)
    assert wilcoxon(difference, np.zeros(17)).p == pytest.approx(exact, rel=1e-9)
    assert stats.wilcoxon(difference, method="asymptotic").pvalue == pytest.approx(exact, rel=0.15)


def test_ties_beyond_fifty_pairs_are_those_of_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 90), rng.integers(0, 8, 90)
    assert wilcoxon(a, b).p == pytest.approx(stats.wilcoxon(a, b).pvalue, rel=1e-9)


def test_swapping_the_samples_swaps_the_sums_and_keeps_p():
    a, b = np.random.default_rng(5).normal(size=(2, 9))
    forth, back = wilcoxon(a, b), wilcoxon(b, a)
    assert (forth.positive, forth.negative, forth.p) == (back.negative, back.positive, back.p)


def test_rounding_of_the_machine_does_not_break_ties():
    tenths = np.array([9, 8, 7, 3, 6]), np.array([8, 7, 6, 5, 4])
    assert len(set(np.abs(tenths[0] / 10 - tenths[1] / 10))) > len(set(np.abs(tenths[0] - tenths[1])))
    assert wilcoxon(tenths[0] / 10, tenths[1] / 10) == wilcoxon(*tenths)


def test_equal_samples_do_not_differ():
    assert wilcoxon([0.0, 0.5], [0.0, 0.5]) == wilcoxon([0, 0], [0, 0]) == (0, 0, 1)


@pytest.mark.parametrize("n", [1, 2, 4, 6, 10])
def test_smallest_p_is_reached_by_pairs_that_all_point_one_way(n):
    assert wilcoxon(np.arange(1.0, n + 1), np.zeros(n)).p == smallest_p(n)


def test_four_data_sets_cannot_show_a_difference_and_six_can():
    assert smallest_p(4) > 0.05 > smallest_p(6)
    assert smallest_p(0) == smallest_p(1) == 1
    assert smallest_p(6, n_detectors=3) > 0.05


def test_paired_difference_is_interval_and_test_of_the_differences():
    a, b = np.random.default_rng(2).normal(loc=[[1], [0]], size=(2, 8))
    result = paired_difference(a, b, level=0.9, n_resamples=500, seed=3)
    assert result.difference == seed_interval(a - b, level=0.9, n_resamples=500, seed=3)
    assert result.p == pytest.approx(stats.wilcoxon(a - b).pvalue)
    assert (result.n, result.n_dropped) == (8, 0)


def test_pairing_sees_a_small_difference_under_a_large_spread_of_splits():
    rng = np.random.default_rng(0)
    split = rng.normal(size=10)
    a, b = split + 0.1 + 0.02 * rng.normal(size=10), split + 0.02 * rng.normal(size=10)
    result = paired_difference(a, b)
    assert 0.05 < result.difference.low < 0.1 < result.difference.high < 0.15
    assert result.p < 0.01 < 0.05 < stats.mannwhitneyu(a, b).pvalue


def test_failed_seeds_are_dropped_in_pairs_and_counted():
    result = paired_difference([0.9, np.nan, 0.8, 0.7], [0.8, 0.8, np.nan, 0.5])
    assert (result.n, result.n_dropped) == (2, 2)
    assert result.difference.value == pytest.approx(0.15)


def test_one_pair_has_a_difference_but_no_interval_and_no_significance():
    result = paired_difference([0.9], [0.1])
    assert result.difference.value == pytest.approx(0.8)
    assert math.isnan(result.difference.low)
    assert result.p == 1


def test_no_pair_says_nothing():
    result = paired_difference([np.nan], [0.1])
    assert np.isnan([*result.difference, result.p]).all()
    assert (result.n, result.n_dropped) == (0, 1)


def test_agreement_of_rankings_is_that_of_scipy():
    a, b = np.random.default_rng(0).integers(0, 6, (2, 12))
    result = rank_agreement(a, b)
    assert result.kendall == pytest.approx(stats.kendalltau(a, b)[0])
    assert result.spearman == pytest.approx(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])


def test_agreement_reaches_from_reversed_to_same_and_skips_missing_entries():
    assert rank_agreement([1, 2, 3, np.nan], [2, 4, 9, 1]) == pytest.approx((1, 1, 3, 1))
    assert rank_agreement([1, 2, 3], [3, 2, 1])[:2] == pytest.approx((-1, -1))


@pytest.mark.parametrize(("a", "b"), [([1], [2]), ([1, 1], [1, 2]), ([1, np.nan], [1, 2])])
def test_agreement_with_what_ranks_nothing_is_unknown(a, b):
    assert np.isnan(rank_agreement(a, b)[:2]).all()


@pytest.mark.parametrize("function", [wilcoxon, paired_difference, rank_agreement])
def test_vectors_of_different_length_are_a_data_error(function):
    with pytest.raises(DataError, match="a has 2 figures and b has 1"):
        function([0.1, 0.2], [0.1])


@pytest.mark.parametrize("pair", [([], []), ([0.1, np.nan], [0.2, 0.3])])
def test_the_bare_test_takes_complete_pairs_only(pair):
    with pytest.raises(DataError, match="no NaN"):
        wilcoxon(*pair)


@pytest.mark.parametrize("setting", [{"n_blocks": -1}, {"n_blocks": 4, "n_detectors": 0}])
def test_counts_out_of_range_are_parameter_errors(setting):
    with pytest.raises(ParameterError, match="smallest_p"):
        smallest_p(**setting)
