"""Which detector wins: found where the difference is true, hardly ever on noise, never from one seed."""

import numpy as np
import pytest
from recorded_ranks import DISTINCT, TIES

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.study.statistics.comparison import CriticalDifference, NoRanking, critical_difference
from whitecrow.study.statistics.paired import smallest_p, wilcoxon
from whitecrow.study.statistics.ranking import average_ranks, friedman, wilcoxon_holm

# Row j lifts detector j well above the noise.
LIFT = 0.2 * np.eye(6)


def noise(seed, n=10, k=6):
    """Figures that depend on the block alone, and luck."""
    rng = np.random.default_rng(seed)
    return 0.8 + 0.1 * rng.normal(size=(n, 1)) + 0.03 * rng.normal(size=(n, k))


def compare(values, names="abcdef", **settings):
    values = np.asarray(values)
    return critical_difference(values, names[: values.shape[1]], **{"n_seeds": 5, **settings})


@pytest.mark.parametrize("example", [TIES, DISTINCT], ids=["ties", "distinct"])
def test_cliques_are_those_recorded(example):
    result = compare(example.values)
    assert sorted(map(set, result.cliques), key=len) == sorted(example.cliques, key=len)


def test_all_fields_are_in_the_order_of_the_ranks():
    result = compare(TIES.values)
    order = np.argsort(TIES.ranks)
    assert result.names == tuple("abcdef"[j] for j in order)
    assert result.ranks == pytest.approx(average_ranks(TIES.values)[order])
    assert (result.p == wilcoxon_holm(TIES.values)[np.ix_(order, order)]).all()
    assert result.friedman == pytest.approx(friedman(TIES.values))


def test_noise_has_a_significant_winner_in_at_most_six_of_a_hundred_studies():
    assert sum(compare(noise(seed)).winner is not None for seed in range(100)) <= 6


def test_noise_shows_any_difference_in_at_most_six_of_a_hundred_studies():
    results = [compare(noise(seed)) for seed in range(100)]
    assert sum(result.cliques != (result.names,) for result in results) <= 6


def test_two_alike_detectors_have_a_winner_as_often_as_the_level_says():
    # Twelve pairs allow p <= 0.0425 or p <= 0.0522; so 4.25 % of 400 studies, give or take three deviations.
    winners = sum(compare(noise(seed, n=12, k=2)).winner is not None for seed in range(400))
    assert 17 - 13 <= winners <= 17 + 13


def test_a_true_large_difference_is_found():
    found = [compare(noise(seed) + LIFT[2]).winner for seed in range(20)]
    assert found == ["c"] * 20


def test_of_two_equally_good_detectors_hardly_ever_one_wins():
    results = [compare(noise(seed) + LIFT[0] + LIFT[1]) for seed in range(40)]
    assert all(set(result.names[:2]) == {"a", "b"} for result in results)
    assert sum(result.winner is not None for result in results) <= 4
    assert sum(result.cliques[0] in [("a", "b"), ("b", "a")] for result in results) >= 20


def test_the_best_mean_rank_is_no_winner_against_heavier_losses():
    # a leads in 31 of 50 blocks by little; b leads in the others by much: the signed ranks favour b.
    lead = np.r_[np.linspace(0.001, 0.002, 31), -np.linspace(0.1, 0.2, 19)]
    a = np.full(50, 0.5)
    result = compare(np.c_[a, a - lead], alpha=0.5)
    against = wilcoxon(a, a - lead)
    assert result.names == ("a", "b")
    assert against.negative > against.positive
    assert against.p < 0.5
    assert result.winner is None


def test_an_equal_mean_rank_is_no_winner_by_heavier_wins():
    lead = np.r_[np.linspace(0.1, 0.2, 20), -np.linspace(0.001, 0.002, 20)]
    result = compare(np.c_[0.5 + lead, np.full(40, 0.5)])
    assert result.friedman.p < 0.05
    assert result.ranks.tolist() == [1.5, 1.5]
    assert result.winner is None


def test_pairs_without_an_overall_difference_are_no_finding():
    # a beats b and c in 13 of 20 blocks, by much, and loses to them by little; b and c take turns.
    lead = np.r_[np.linspace(0.1, 0.2, 13), -np.linspace(0.01, 0.02, 7)]
    turn = 0.001 * (-1) ** np.arange(20)
    result = compare(np.c_[0.5 + lead, 0.5 + turn, 0.5 - turn])
    assert result.names[0] == "a"
    assert (result.p[0, 1:] < 0.05).all()
    assert result.friedman.p > 0.05
    assert result.cliques == (result.names,)
    assert result.winner is None


def test_without_an_overall_difference_all_detectors_are_one_clique():
    result = compare(noise(0))
    assert result.friedman.p > 0.05
    assert result.cliques == (result.names,)
    assert result.winner is None


def test_four_data_sets_have_no_winner_however_clear_the_figures():
    result = compare([[0.9, 0.1], [0.8, 0.2], [0.95, 0.3], [0.99, 0.1]])
    assert result.names == ("a", "b")
    assert result.winner is None
    assert result.smallest_p == smallest_p(4) == 0.125


def test_a_winner_stands_alone():
    result = compare(noise(3) + LIFT[4])
    assert result.winner == "e"
    assert all("e" not in clique for clique in result.cliques)


def test_permuting_detectors_changes_nothing_but_their_place_in_the_table():
    values, order = TIES.values, [3, 5, 1, 0, 4, 2]
    first = compare(values)
    again = critical_difference(values[:, order], ["abcdef"[j] for j in order], n_seeds=5)
    assert (first.names, first.cliques, first.winner) == (again.names, again.cliques, again.winner)
    assert (first.ranks == again.ranks).all()
    assert (first.p == again.p).all()


def test_equal_ranks_are_in_the_order_of_the_names():
    assert compare([[0.5, 0.5, 0.9], [0.5, 0.5, 0.9]], "zyx").names == ("x", "y", "z")


def test_incomplete_blocks_are_counted_and_have_no_say():
    values = noise(1)
    failed = values[:3] + LIFT[0]
    failed[:, 5] = np.nan
    holes = np.vstack([values, failed])
    whole, result = compare(values), compare(holes)
    assert (result.n_blocks, result.n_dropped) == (10, 3)
    assert (result.ranks == whole.ranks).all()
    assert (result.p == whole.p).all()


def test_one_seed_is_never_a_ranking():
    result = compare(noise(0) + LIFT[0], n_seeds=1)
    assert isinstance(result, NoRanking)
    assert "at least 2 seeds, and there is 1" in result.reason


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[0.9, 0.1, 0.2]], "2 complete blocks, and 1 of 1 is complete"),
        ([[0.9, 0.1], [np.nan, 0.2], [np.nan, 0.2]], "1 of 3 is complete. Figures are missing for a in 2"),
        ([[0.9], [0.8]], "1 detector is no field"),
        (np.zeros((0, 3)), "0 of 0 is complete"),
    ],
)
def test_too_little_to_rank_is_said_in_words(values, reason):
    result = compare(values)
    assert isinstance(result, NoRanking)
    assert reason in result.reason


def test_two_blocks_are_a_ranking_without_significance():
    result = compare([[0.9, 0.1, 0.2], [0.9, 0.1, 0.2]])
    assert isinstance(result, CriticalDifference)
    assert result.names == ("a", "c", "b")
    assert result.winner is None


@pytest.mark.parametrize("names", ["ab", "abca", "aab"])
def test_names_that_do_not_fit_are_a_data_error(names):
    with pytest.raises(DataError, match="one name for each, all different"):
        critical_difference([[0.1, 0.2, 0.3]] * 2, names, n_seeds=5)


@pytest.mark.parametrize("setting", [{"alpha": 0}, {"n_seeds": -1}])
def test_settings_out_of_range_are_parameter_errors(setting):
    with pytest.raises(ParameterError, match=next(iter(setting))):
        compare(noise(0), **setting)
