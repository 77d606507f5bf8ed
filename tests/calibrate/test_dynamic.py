"""The dynamic threshold: what it flags in series made by hand, and that it waits for no later score."""

import numpy as np
import polars as pl
import pytest

from whitecrow.calibrate.dynamic import DynamicThreshold
from whitecrow.core.errors import DataError, ParameterError

PLAIN = {"buffer": 5, "smoothing": None}


def noise(n: int = 1500, seed: int = 0) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(1, 0.1, n))


def test_one_block_is_flagged_with_its_buffer_and_nothing_else():
    scores = noise()
    scores[900:910] = 10
    found = DynamicThreshold(**PLAIN).flag(scores)
    assert found.ranges.tolist() == [[895, 915]]
    assert found.flags.sum() == 20
    np.testing.assert_array_equal(found.severity > 0, found.flags)


def test_severity_places_the_threshold_between_noise_and_block():
    scores = noise()
    scores[900:910] = 10
    severity = DynamicThreshold(**PLAIN).flag(scores).severity.max()
    threshold = 10 - severity * (scores.mean() + scores.std())
    assert noise().max() < threshold < 10


def test_two_blocks_of_similar_height_are_both_kept():
    scores = noise()
    scores[400:410], scores[900:910] = 10, 9.5
    assert DynamicThreshold(**PLAIN).flag(scores).ranges.tolist() == [[395, 415], [895, 915]]


def test_of_noise_nothing_is_left_after_pruning():
    for seed in range(5):
        assert not DynamicThreshold(**PLAIN).flag(noise(seed=seed)).flags.any()
    # Without pruning, the highest scores of noise pass.
    assert DynamicThreshold(**PLAIN, pruning=0).flag(noise()).flags.any()


@pytest.mark.parametrize("level", [0.0, 1.0, 0.1])
def test_constant_scores_have_no_flag(level):
    assert not DynamicThreshold().flag(np.full(500, level)).flags.any()


def test_a_range_not_much_higher_than_what_is_not_flagged_is_pruned():
    scores = np.ones(1000) + 0.01 * np.sin(np.arange(1000))
    scores[300], scores[600] = 5.0, 2.0
    by_share = {share: DynamicThreshold(**PLAIN, pruning=share).flag(scores).ranges.tolist() for share in (0.13, 0.55)}
    assert by_share[0.13][0] == [295, 306]
    # 5 -> 2 is a fall of 0.6, and 2 -> 1.01 one of 0.495.
    assert by_share[0.55] == [[295, 306]]


def test_low_scores_are_flagged_on_request_only():
    scores = 1 + 0.01 * np.sin(np.arange(1000))
    scores[500:505] = 0.2
    assert DynamicThreshold(**PLAIN).flag(scores).ranges.tolist() == [[495, 510]]
    assert not DynamicThreshold(**PLAIN, both_sides=False).flag(scores).flags.any()


def test_smoothing_is_the_exponentially_weighted_mean():
    scores = noise(300)
    expected = pl.Series(scores).ewm_mean(span=30, adjust=True).to_numpy()
    np.testing.assert_allclose(DynamicThreshold(smoothing=30).flag(scores).smoothed, expected, rtol=1e-12)


def test_a_flag_depends_on_no_score_after_its_block():
    scores = noise(1000)
    scores[320:325], scores[730:735] = 10, 30
    rule = DynamicThreshold(**PLAIN, window=200, step=50)
    whole, part = rule.flag(scores), rule.flag(scores[:600])
    np.testing.assert_array_equal(whole.severity[:600], part.severity)
    # A window later, the block at 320 hides nothing of what follows.
    assert whole.ranges.tolist() == [[315, 330], [725, 740]]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_scores_is_judged(n):
    assert DynamicThreshold().flag(np.arange(n)).flags.shape == (n,)


def test_what_cannot_be_used_is_refused():
    with pytest.raises(DataError, match="lowest score is -1"):
        DynamicThreshold().flag([1.0, -1.0])
    with pytest.raises(DataError, match="NaN"):
        DynamicThreshold().flag([1.0, np.nan])
    with pytest.raises(ParameterError, match=r"DynamicThreshold\(window=0\)"):
        DynamicThreshold(window=0)
