"""Ranks and the tests on them: those of SciPy, and those recorded from scikit-posthocs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from recorded_ranks import DISTINCT, TIES
from scipy import stats

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.study.statistics.paired import smallest_p, wilcoxon
from whitecrow.study.statistics.ranking import average_ranks, complete_blocks, friedman, nemenyi_distance, wilcoxon_holm

recorded = pytest.mark.parametrize("example", [TIES, DISTINCT], ids=["ties", "distinct"])
# Few levels make ties common; eighths are exact, so that a constant added to a block rounds nothing.
some_blocks = st.integers(2, 5).flatmap(
    lambda k: arrays(float, st.tuples(st.integers(2, 9), st.just(k)), elements=st.integers(0, 12).map(lambda i: i / 8))
)
relaxed = settings(deadline=None, max_examples=60)


def upper(matrix):
    return matrix[np.triu_indices(len(matrix), 1)]


@recorded
def test_ranks_are_those_recorded_and_those_of_scipy(example):
    ranks = average_ranks(example.values)
    assert ranks == pytest.approx(example.ranks)
    assert ranks == pytest.approx(stats.rankdata(-example.values, axis=1).mean(0))


@recorded
def test_friedman_is_the_one_recorded_and_that_of_scipy(example):
    ours = friedman(example.values)
    assert ours[:2] == pytest.approx(example.friedman, rel=1e-9)
    assert ours[:2] == pytest.approx(stats.friedmanchisquare(*example.values.T), rel=1e-9)


@recorded
def test_pairwise_p_values_are_those_recorded(example):
    assert upper(wilcoxon_holm(example.values)) == pytest.approx(example.holm, rel=1e-9)


@recorded
def test_pairwise_p_values_do_not_depend_on_the_unit(example):
    # Divided by 1000, equal differences are no longer equal to the last bit.
    assert upper(wilcoxon_holm(example.values / 1000)) == pytest.approx(example.holm, rel=1e-9)


# Eight blocks with ties: SciPy goes through all signs, which takes it seconds for twelve.
@pytest.mark.parametrize("values", [TIES.values[:8], DISTINCT.values], ids=["ties", "distinct"])
def test_pairwise_p_values_are_those_of_scipy_adjusted_step_by_step(values):
    columns = values.T
    k = len(columns)
    raw = {(i, j): stats.wilcoxon(columns[i], columns[j]).pvalue for i in range(k) for j in range(i + 1, k)}
    expected, last = np.ones((k, k)), 0.0
    for position, (i, j) in enumerate(sorted(raw, key=lambda pair: raw[pair])):
        last = max(last, min(1.0, (len(raw) - position) * raw[i, j]))
        expected[i, j] = expected[j, i] = last
    assert wilcoxon_holm(values) == pytest.approx(expected, rel=1e-9)


@recorded
def test_nemenyi_distance_is_where_the_recorded_p_value_is_the_level(example):
    n, k = example.values.shape
    ranks = average_ranks(example.values)
    distance = upper(np.abs(ranks[:, None] - ranks))
    # The middle range: a level near 1 has no use, one near 0 no digits.
    checked = [(d, p) for d, p in zip(distance, example.nemenyi, strict=True) if 1e-4 < p < 0.6]
    assert len(checked) >= 4
    for d, p in checked:
        assert nemenyi_distance(n, k, alpha=p) == pytest.approx(d, rel=1e-5)


def test_nemenyi_distance_uses_the_tabled_quantile():
    # q = 2.850 for six classifiers at the 5 % level (Demšar 2006, table 5).
    assert nemenyi_distance(10, 6) == pytest.approx(2.850 * np.sqrt(6 * 7 / 60), rel=1e-3)


@relaxed
@given(values=some_blocks)
def test_friedman_is_that_of_scipy_whatever_the_ties(values):
    if values.shape[1] > 2 and np.ptp(values, axis=1).any():
        assert friedman(values)[:2] == pytest.approx(stats.friedmanchisquare(*values.T), rel=1e-9, abs=1e-12)


@relaxed
@given(values=some_blocks, seed=st.integers(0, 99))
def test_permuting_detectors_permutes_the_results(values, seed):
    order = np.random.default_rng(seed).permutation(values.shape[1])
    assert (average_ranks(values[:, order]) == average_ranks(values)[order]).all()
    assert wilcoxon_holm(values[:, order]) == pytest.approx(wilcoxon_holm(values)[np.ix_(order, order)])
    assert friedman(values[:, order])[:2] == pytest.approx(friedman(values)[:2])


@relaxed
@given(values=some_blocks, seed=st.integers(0, 99))
def test_a_constant_added_to_a_block_changes_nothing(values, seed):
    shifted = values + np.random.default_rng(seed).integers(-40, 40, (len(values), 1)) / 8
    assert (average_ranks(shifted) == average_ranks(values)).all()
    assert wilcoxon_holm(shifted) == pytest.approx(wilcoxon_holm(values))
    assert friedman(shifted)[:2] == pytest.approx(friedman(values)[:2])


def test_the_higher_figure_ranks_first_and_equal_ones_share():
    assert average_ranks([[0.9, 0.5, 0.7], [0.9, 0.9, 0.1]]).tolist() == [1.25, 2.25, 2.5]


def test_two_detectors_are_compared_by_wilcoxon():
    a, b = np.random.default_rng(0).normal(loc=[[1], [0]], size=(2, 9))
    result = friedman(np.c_[a, b])
    reference = stats.wilcoxon(a, b)
    assert result == pytest.approx((reference.statistic, reference.pvalue, "Wilcoxon"))
    assert wilcoxon_holm(np.c_[a, b])[0, 1] == pytest.approx(reference.pvalue)


def test_detectors_that_are_always_equal_do_not_differ():
    values = np.full((5, 3), 0.7)
    assert friedman(values)[:2] == (0, 1)
    assert (wilcoxon_holm(values) == 1).all()


@pytest.mark.parametrize(("n", "k"), [(4, 2), (6, 3), (10, 6)])
def test_smallest_adjusted_p_is_reached_by_a_perfect_order(n, k):
    perfect = np.arange(1, n + 1)[:, None] * np.arange(k)
    assert upper(wilcoxon_holm(perfect)) == pytest.approx(smallest_p(n, k))


def test_adjusted_p_values_keep_the_order_and_are_never_smaller():
    values = np.random.default_rng(1).normal(size=(14, 5)) + np.arange(5) / 3
    raw = np.array([wilcoxon(values[:, i], values[:, j]).p for i in range(5) for j in range(i + 1, 5)])
    adjusted = upper(wilcoxon_holm(values))
    assert (adjusted >= raw).all()
    assert (np.diff(adjusted[raw.argsort()]) >= 0).all()


def test_incomplete_blocks_are_dropped_whole_and_counted():
    values = [[0.1, 0.2], [np.nan, 0.3], [0.5, 0.4], [np.nan, np.nan]]
    blocks = complete_blocks(values)
    assert blocks.values.tolist() == [[0.1, 0.2], [0.5, 0.4]]
    assert blocks.n_dropped == 2


@pytest.mark.parametrize("function", [average_ranks, friedman, wilcoxon_holm])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.1, np.nan], [0.1, 0.2], [0.3, 0.2]], "1 blocks miss a figure"),
        ([[0.1, 0.2, 0.3]], "1 blocks of 3 detectors"),
        ([[0.1], [0.2]], "2 blocks of 1 detectors"),
        ([0.1, 0.2], "2 axes"),
        ([[0.1, np.inf], [0.1, 0.2]], "infinite"),
    ],
)
def test_what_cannot_be_ranked_is_a_data_error(function, values, message):
    with pytest.raises(DataError, match=message):
        function(values)


def test_settings_of_nemenyi_are_checked():
    with pytest.raises(ParameterError, match="alpha"):
        nemenyi_distance(10, 3, alpha=0)
    with pytest.raises(DataError, match="1 blocks"):
        nemenyi_distance(1, 3)
