import numpy as np
import pytest
from scipy.stats import rankdata

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.study.selection.recommendation import merits, recommend


def criteria(*candidates, n=6, spread=0.0, seed=0):
    """Return one criterion of candidates with these means, [n, C, 1]."""
    noise = spread * np.random.default_rng(seed).normal(size=(n, len(candidates)))
    return (np.array(candidates) + noise)[..., None]


# The first two lead in turn, by little; the third never does.
CLOSE = np.array([[0.4, 0.5, 0.0], [0.6, 0.5, 0.0], [0.4, 0.5, 0.0], [0.61, 0.5, 0.0]])[..., None]


def test_the_merit_is_the_sum_of_ranks():
    values = np.random.default_rng(0).random((5, 3))
    assert merits(values) == pytest.approx(sum(rankdata(column) for column in values.T))
    assert merits(np.array([[0.1 + 0.2], [0.3], [0.0]])).tolist() == [2.5, 2.5, 1.0]


def test_a_leader_in_every_repetition_is_recommended():
    found = recommend(criteria(0.2, 0.9, 0.5, spread=0.01), default=0, seconds=[1, 9, 1])
    assert (found.chosen, found.leader, found.rivals) == (1, 1, (1,))
    assert found.wins.tolist() == [0, 1, 0]
    assert found.is_clear


def test_the_default_is_preferred_to_a_leader_that_cannot_be_told_from_it():
    found = recommend(CLOSE, default=0, seconds=[5, 1, 1])
    assert 2 not in found.rivals
    assert set(found.rivals) == {0, 1}
    assert found.chosen == 0


def test_the_fastest_is_preferred_where_the_default_is_none_of_the_leaders():
    found = recommend(CLOSE, default=2, seconds=[5, 1, 0.1])
    assert set(found.rivals) == {0, 1}
    assert found.chosen == 1


def test_of_equal_candidates_the_fastest_is_taken():
    found = recommend(criteria(0.5, 0.5), seconds=[2, 1])
    assert found.wins.tolist() == [0, 1]
    assert found.leader == found.chosen == 1


def test_the_default_is_kept_where_the_lead_is_below_the_margin():
    values = criteria(0.50, 0.58, 0.1)
    kept = recommend(values, default=0, margin=0.1, seconds=[1, 1, 1])
    assert (kept.chosen, kept.leader, kept.rivals) == (0, 1, (0,))
    assert kept.wins.tolist() == [1, 0, 0]
    assert recommend(values, default=0, margin=0.05, seconds=[1, 1, 1]).chosen == 1
    assert recommend(values, margin=0.1, seconds=[1, 1, 1]).chosen == 1


def test_the_margin_is_in_the_last_criterion():
    first, last = criteria(0.1, 0.9), criteria(0.50, 0.51)
    assert recommend(np.concatenate([first, last], -1), default=0, margin=0.1, seconds=[1, 1]).chosen == 0
    assert recommend(np.concatenate([last, first], -1), default=0, margin=0.1, seconds=[1, 1]).chosen == 1


def test_if_the_resamples_favour_no_one_the_leader_is_taken():
    values = np.eye(12)[..., None]
    found = recommend(values[:, :, :], seconds=[1.0] * 12, n_resamples=12_000)
    assert found.wins.sum() == pytest.approx(1)
    assert found.chosen in (found.rivals or (found.leader,))


def test_wins_are_the_share_of_resamples():
    # The second leads wherever repetition 0 is drawn, which 2 draws from 2 do with probability 3/4.
    values = np.array([[0.0, 10.0], [1.0, 0.0]])[..., None]
    assert recommend(values, seconds=[1, 1], n_resamples=20_000).wins == pytest.approx([0.25, 0.75], abs=0.01)


def test_one_repetition_tells_nothing_apart():
    found = recommend(criteria(0.1, 0.9, n=1), default=0, seconds=[1, 1])
    assert np.isnan(found.wins).all()
    assert found.rivals == (1, 0)
    assert found.chosen == 0


def test_a_candidate_alone_is_chosen():
    assert recommend(criteria(0.3), seconds=[1]).chosen == 0


@pytest.mark.parametrize(
    "values", [np.zeros((0, 2, 1)), np.full((2, 2, 1), np.nan), np.zeros((2, 2)), np.zeros((2, 3, 1))]
)
def test_missing_figures_are_refused(values):
    with pytest.raises(DataError):
        recommend(values, seconds=[1, 1])


def test_settings_are_checked():
    with pytest.raises(ParameterError, match="n_resamples"):
        recommend(criteria(0.1, 0.2), seconds=[1, 1], n_resamples=0)
    with pytest.raises(ParameterError, match="margin"):
        recommend(criteria(0.1, 0.2), seconds=[1, 1], margin=-0.1)
