"""Intervals over seeds and data sets: they cover what they say, and say nothing where nothing is known."""

import numpy as np
import pytest
from scipy import stats

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.study.statistics.intervals import seed_interval, small_sample_level, study_interval


def coverage(draw, interval, n_studies):
    """Share of studies with true mean 0 whose interval holds it."""
    intervals = [interval(draw(np.random.default_rng(i)), seed=i) for i in range(n_studies)]
    return np.mean([one.low <= 0 <= one.high for one in intervals])


def test_the_value_is_the_mean_and_lies_inside():
    values = np.random.default_rng(0).normal(size=7)
    value, low, high = seed_interval(values)
    assert value == pytest.approx(values.mean())
    assert values.min() <= low < value < high <= values.max()


def test_many_seeds_give_the_interval_of_student():
    values = np.random.default_rng(1).normal(size=400)
    low, high = stats.t.interval(0.9, 399, values.mean(), stats.sem(values))
    assert seed_interval(values, level=0.9, n_resamples=4000)[1:] == pytest.approx((low, high), abs=0.008)


def test_many_values_need_no_widening_and_few_need_much():
    assert small_sample_level(0.95, 10**6) == pytest.approx(0.95, abs=1e-5)
    # Five values: t = 2.776 at 4 degrees of freedom, times the root of 5/4.
    assert small_sample_level(0.95, 5) == pytest.approx(1 - 2 * stats.norm.cdf(-2.7764451 * np.sqrt(1.25)), abs=1e-8)


@pytest.mark.parametrize("n_seeds", [5, 8, 20])
def test_interval_covers_the_mean_as_often_as_it_says(n_seeds):
    # Plain percentiles of five values would cover in 81 % of the studies.
    assert 0.9 <= coverage(lambda rng: rng.normal(size=n_seeds), seed_interval, 200) <= 0.99


@pytest.mark.parametrize(("n_sets", "n_seeds"), [(6, 5), (12, 1), (12, 5)])
def test_study_interval_covers_the_mean_over_data_sets(n_sets, n_seeds):
    def draw(rng):
        return rng.normal(size=(n_sets, 1)) + 0.7 * rng.normal(size=(n_sets, n_seeds))

    assert 0.9 <= coverage(draw, study_interval, 200) <= 1


def test_more_seeds_on_the_same_data_sets_do_not_narrow_a_study():
    rng = np.random.default_rng(3)
    difficulty = rng.normal(size=(8, 1))
    few, many = (
        study_interval(difficulty + 0.05 * rng.normal(size=(8, n)), n_resamples=4000, seed=1) for n in (3, 300)
    )
    assert many.high - many.low > 0.9 * (few.high - few.low)


def test_a_study_resamples_seeds_too():
    values = np.tile([0.0, 1.0, 2.0], (6, 1))  # All data sets alike: only seeds can move the mean.
    interval = study_interval(values)
    assert interval.low < 0.8 < 1.2 < interval.high


def test_data_sets_count_alike_however_many_seeds_they_have():
    assert study_interval([[1.0] * 20, [0.0, 0.0], [0.5]]).value == pytest.approx(0.5)


@pytest.mark.parametrize("interval", [seed_interval([0.8]), study_interval([[0.7, 0.9]])])
def test_one_seed_or_one_data_set_has_no_interval(interval):
    assert interval.value == pytest.approx(0.8)
    assert np.isnan(interval[1:]).all()


@pytest.mark.parametrize(
    "interval",
    [
        seed_interval([]),
        seed_interval([0.8, np.nan, 0.9]),
        study_interval([]),
        study_interval([[0.7, np.nan], [0.9, 0.8]]),
    ],
)
def test_a_missing_figure_is_not_averaged_away(interval):
    assert np.isnan(interval).all()


@pytest.mark.parametrize(("function", "shape"), [(seed_interval, 6), (study_interval, (4, 3))])
def test_the_seed_alone_determines_the_interval(function, shape):
    values = np.random.default_rng(0).normal(size=shape)
    assert function(values, seed=4) == function(values, seed=4) != function(values, seed=5)


@pytest.mark.parametrize("function", [seed_interval, study_interval])
@pytest.mark.parametrize("setting", [{"level": 1.0}, {"n_resamples": 0}, {"seed": -1}])
def test_settings_out_of_range_are_parameter_errors(function, setting):
    with pytest.raises(ParameterError, match=next(iter(setting))):
        function([[0.1], [0.2]], **setting)


@pytest.mark.parametrize("values", [[[0.1, 0.2]], ["good"], [0.1, np.inf], 0.5])
def test_what_is_no_vector_of_numbers_is_a_data_error(values):
    with pytest.raises(DataError, match="values"):
        seed_interval(values)


def test_a_data_set_without_a_figure_is_a_data_error():
    with pytest.raises(DataError, match="no figure"):
        study_interval([[0.1], []])
