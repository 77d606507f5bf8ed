"""How rare a score is among others."""

import numpy as np
import pytest
import torch

from whitecrow.nn.tails import N_KNOTS, rarity, tail_knots, tails


def test_rarity_is_the_negative_logarithm_of_the_share_that_is_as_high() -> None:
    knots, slope = tail_knots(np.arange(1.0, 10.0))
    # The middle of the ranks: of 9 scores, 8 are above the first and half of itself counts.
    expected = -np.log((9 - np.arange(9) - 0.5 + 0.5) / 10)
    assert rarity(knots, slope, np.arange(1.0, 10.0)) == pytest.approx(expected)


def test_equal_scores_share_the_middle_of_their_ranks() -> None:
    knots, slope = tail_knots(np.array([0.0, 1.0, 1.0, 1.0, 2.0]))
    assert rarity(knots, slope, np.array([1.0])) == pytest.approx(-np.log((1 + 1.5 + 0.5) / 6))


def test_many_scores_are_thinned_without_losing_the_tail() -> None:
    scores = np.random.default_rng(0).exponential(size=20_000)
    knots, slope = tail_knots(scores)
    assert knots.shape == (2, N_KNOTS)
    asked = np.linspace(0.01, 6, 200)
    # The law of these scores is known: -log P(S >= s) = s.
    found = rarity(knots, slope, asked)
    assert found == pytest.approx(asked, abs=0.2)
    assert slope == pytest.approx(1.0, abs=0.1)


def test_rarity_never_falls_and_goes_on_beyond_the_highest_score() -> None:
    rng = np.random.default_rng(1)
    knots, slope = tail_knots(rng.normal(size=300).round(1))
    found = rarity(knots, slope, np.linspace(-6, 60, 2000))
    assert (np.diff(found) >= 0).all()
    beyond = found[np.linspace(-6, 60, 2000) > knots[0, -1].item()]
    assert (np.diff(beyond) > 0).all()
    assert found[0] >= 0


@pytest.mark.parametrize("scores", [[3.0], [2.0, 2.0, 2.0], [0.0] * 50, [-1e-300, 1e300]])
def test_degenerate_laws_are_finite(scores: list[float]) -> None:
    knots, slope = tail_knots(np.array(scores))
    found = rarity(knots, slope, np.array([-1e6, scores[0], 1e6, 1e308]))
    assert np.isfinite(found).all()
    assert slope > 0
    assert (np.diff(found) >= 0).all()


def test_each_law_reads_its_own_column() -> None:
    one, two = tail_knots(np.arange(10.0)), tail_knots(np.arange(10.0) * 5)
    knots, slopes = torch.stack([one[0], two[0]]), torch.tensor([one[1], two[1]], dtype=torch.float64)
    found = tails(knots, slopes, torch.tensor([[4.0, 20.0], [9.5, 47.5]], dtype=torch.float64))
    assert found[:, 0] == pytest.approx(found[:, 1])
