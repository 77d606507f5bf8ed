"""Degradation curves: the breakdown point is where the mean crosses, with the doubt of the seeds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.study.statistics.degradation import degradation
from whitecrow.study.statistics.intervals import seed_interval

SHARES = [0, 0.02, 0.05, 0.1, 0.25]


def curve(means, n_seeds=5, spread=0.0, seed=0):
    return np.array(means)[:, None] + spread * np.random.default_rng(seed).normal(size=(len(means), n_seeds))


def test_breakdown_is_interpolated_between_shares():
    # 0.9 * 0.8 = 0.72 lies a quarter of the way from 0.74 (5 %) to 0.66 (10 %).
    result = degradation(SHARES, curve([0.8, 0.78, 0.74, 0.66, 0.5]))
    assert result.breakdown.share == pytest.approx(0.05 + 0.25 * 0.05)
    assert (result.breakdown.low, result.breakdown.high) == pytest.approx((0.0625, 0.0625))


@settings(deadline=None, max_examples=50)
@given(
    means=st.lists(st.floats(0.05, 1), min_size=5, max_size=5),
    fraction=st.floats(0.5, 0.99),
    chance=st.floats(-0.5, 0.04),
)
def test_breakdown_is_the_first_root_of_the_interpolated_curve(means, fraction, chance):
    tolerated = chance + fraction * (means[0] - chance)
    share = degradation(SHARES, curve(means, 1), fraction=fraction, chance=chance).breakdown.share
    first = next((i for i, mean in enumerate(means) if mean < tolerated), None)
    if first is None:
        assert share == math.inf
    else:
        root = brentq(lambda s: np.interp(s, SHARES, means) - tolerated, SHARES[first - 1], SHARES[first])
        assert share == pytest.approx(root, abs=1e-9)


def test_chance_narrows_what_may_be_lost():
    # A fall from 0.9 to 0.8 is 11 % of the score, but a quarter of its distance above chance.
    values = curve([0.9, 0.9, 0.9, 0.9, 0.8])
    assert degradation(SHARES, values, fraction=0.8).breakdown.share == math.inf
    result = degradation(SHARES, values, fraction=0.8, chance=0.5)
    assert result.breakdown.share == pytest.approx(0.1 + 0.8 * 0.15)


def test_a_curve_that_comes_back_up_has_broken_down_at_its_first_crossing():
    result = degradation(SHARES, curve([1.0, 0.8, 1.0, 0.7, 0.6]))
    assert result.breakdown.share == pytest.approx(0.01)


def test_a_curve_that_holds_breaks_down_beyond_the_measured_shares():
    result = degradation(SHARES, curve([0.9, 0.91, 0.9, 0.89, 0.88], spread=0.001))
    assert result.breakdown.share == result.breakdown.low == result.breakdown.high == math.inf
    assert str(result.breakdown) == "beyond 25 % (beyond 25 % to beyond 25 %)"


def test_meeting_the_tolerated_score_is_not_falling_below_it():
    assert degradation([0, 0.5], curve([1.0, 0.5], 2), fraction=0.5).breakdown.share == math.inf


def test_the_interval_may_reach_beyond_the_measured_shares():
    result = degradation(SHARES, curve([1.0, 1.0, 1.0, 1.0, 0.88], n_seeds=6, spread=0.05, seed=2))
    assert result.breakdown.low < result.breakdown.share < result.breakdown.high == math.inf
    assert str(result.breakdown).endswith("to beyond 25 %)")


def test_a_detector_at_chance_on_clean_data_has_nothing_to_lose():
    result = degradation(SHARES, curve([0.5, 0.5, 0.5, 0.6, 0.4]), chance=0.5)
    assert result.breakdown.share == result.breakdown.low == result.breakdown.high == 0


def test_mean_and_band_are_those_of_the_seeds_at_each_share():
    values = curve([0.9, 0.88, 0.85, 0.7, 0.6], n_seeds=7, spread=0.03)
    result = degradation(SHARES, values, level=0.9, n_resamples=400, seed=6)
    for i, row in enumerate(values):
        reference = seed_interval(row, level=0.9, n_resamples=400, seed=6)
        assert (result.mean[i], result.low[i], result.high[i]) == pytest.approx(reference)


def test_seeds_are_resampled_as_whole_curves():
    # Seeds differ in level only: each resampled curve falls by the same share, so breakdown is certain.
    shape, levels = np.array([1, 0.97, 0.93, 0.8, 0.5]), np.array([0.5, 0.7, 0.9, 0.6])
    result = degradation(SHARES, shape[:, None] * levels)
    assert result.high[0] - result.low[0] > 0.2
    assert result.breakdown.high - result.breakdown.low == pytest.approx(0, abs=1e-12)


def test_interval_covers_the_true_breakdown_as_often_as_it_says():
    truth = degradation(SHARES, curve([0.9, 0.88, 0.84, 0.74, 0.6], 1)).breakdown.share
    covered = []
    for seed in range(150):
        values = curve([0.9, 0.88, 0.84, 0.74, 0.6], n_seeds=6, spread=0.02, seed=seed)
        breakdown = degradation(SHARES, values, n_resamples=500, seed=seed).breakdown
        covered.append(breakdown.low <= truth <= breakdown.high)
    assert 0.88 <= np.mean(covered) <= 1


def test_one_seed_has_a_curve_but_no_band():
    result = degradation(SHARES, curve([0.8, 0.78, 0.74, 0.66, 0.5], 1))
    assert np.isnan([*result.low, *result.high, result.breakdown.low, result.breakdown.high]).all()
    assert str(result.breakdown) == "6.25 % (no interval from one seed)"


def test_incomplete_curves_are_dropped_whole_and_counted():
    values = curve([0.9, 0.88, 0.85, 0.7, 0.6], spread=0.03)
    holes = np.c_[values, [0.1, 0.1, np.nan, 0.1, 0.1]]
    result = degradation(SHARES, holes)
    assert (result.n_seeds, result.n_dropped) == (5, 1)
    assert (result.mean == degradation(SHARES, values).mean).all()


def test_no_complete_curve_says_nothing():
    result = degradation([0, 0.1], [[0.9, np.nan], [np.nan, 0.8]])
    assert np.isnan(result.mean).all()
    assert (result.n_seeds, result.n_dropped) == (0, 2)
    assert str(result.breakdown) == "unknown: no complete curve"


@pytest.mark.parametrize("shares", [[], [0.1, 0.2], [0, 0.2, 0.1], [0, 0.1, 0.1], [0, 5], [0, np.nan]])
def test_shares_that_do_not_rise_from_zero_are_a_data_error(shares):
    with pytest.raises(DataError, match="rise from 0"):
        degradation(shares, np.ones((len(shares), 2)))


def test_seeds_in_rows_are_a_data_error():
    with pytest.raises(DataError, match="Transpose"):
        degradation([0, 0.1], np.ones((3, 2)))


@pytest.mark.parametrize("setting", [{"fraction": 1.0}, {"chance": np.nan}, {"level": 0.0}, {"seed": -1}])
def test_settings_out_of_range_are_parameter_errors(setting):
    with pytest.raises(ParameterError, match=next(iter(setting))):
        degradation([0, 0.1], np.ones((2, 2)), **setting)
