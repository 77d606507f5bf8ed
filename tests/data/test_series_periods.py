"""The autocorrelation against its definition, and the period that follows from it."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import argrelextrema

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.series import autocorrelation, period
from whitecrow.data.series.files import read_tsb_ad

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
NAB_1 = DATA / "timeseries" / "tsb_ad_u_001_NAB_id_1_Facility_tr_1007_1st_2014.csv.gz"


def direct(values, lags):
    """The definition, lag by lag."""
    centred = values - values.mean()
    sums = [float((centred[: len(values) - k] * centred[k:]).sum()) for k in range(min(lags, len(values) - 1) + 1)]
    return np.array(sums) / sums[0]


@pytest.mark.parametrize("length", [2, 3, 50, 401, 1000])
def test_the_autocorrelation_is_that_of_the_definition(length):
    values = np.random.default_rng(length).normal(5, 2, length).cumsum()
    np.testing.assert_allclose(autocorrelation(values, 400), direct(values, 400), rtol=0, atol=1e-11)


def test_neither_shift_nor_factor_changes_the_autocorrelation():
    values = np.random.default_rng(0).normal(size=300)
    for other in (values * 1e200, values * 1e-200, values + 1e3):
        np.testing.assert_allclose(autocorrelation(other, 50), autocorrelation(values, 50), rtol=0, atol=1e-9)


@pytest.mark.parametrize("length", [7, 24, 100, 250])
def test_the_period_of_a_noisy_wave_is_found(length):
    rng = np.random.default_rng(0)
    steps = np.arange(5000)
    wave = np.sin(2 * np.pi * steps / length) + 0.5 * np.sin(4 * np.pi * steps / length + 1)
    assert abs(period(wave + rng.normal(0, 0.05, 5000)) - length) <= 1


def test_the_ranks_are_those_of_the_maxima_between_lower_neighbours():
    # In a short series the maximum at half of the period is higher than that at twice the period.
    steps = np.arange(200) * 2 * np.pi / 60
    values = np.sin(steps) + 3 * np.sin(2 * steps)
    curve = direct(values, 400)[3:]
    (places,) = argrelextrema(curve, np.greater)
    ranked = sorted(places.tolist(), key=lambda place: -curve[place])
    assert ranked[1] < ranked[0]
    assert period(values) == ranked[0] + 3
    assert period(values, rank=2) == next(place for place in ranked if place > ranked[0]) + 3


@pytest.mark.parametrize(
    "values",
    [
        np.full(500, 0.1),
        np.arange(500.0),
        np.array([1.0]),
        np.array([1.0, 2.0, 1.0]),
        np.tile([0.0, 1.0, 0.5, 1.0], 400),  # of period 4, below lag 6 by its first maximum
    ],
)
def test_a_series_without_a_period_gets_125(values):
    assert period(values) == 125


def test_the_first_channel_and_the_first_20000_steps_count():
    wave = np.sin(np.arange(20_000) * 2 * np.pi / 40)
    noise = np.random.default_rng(0).normal(size=30_000)
    tail = np.concatenate([wave, 50 * noise[:10_000]])
    assert period(np.stack([tail, noise], axis=1)) == period(wave) == 40


def test_the_period_of_a_file_of_the_benchmark_is_the_published_one():
    if not NAB_1.is_file():
        pytest.skip("TSB-AD is absent: set WHITECROW_DATA")
    assert period(read_tsb_ad([NAB_1]).X) == 6


def test_values_that_are_not_finite_and_unknown_ranks_are_refused():
    with pytest.raises(DataError, match="finite"):
        period([0.0, np.nan])
    with pytest.raises(DataError, match="shape"):
        period([])
    with pytest.raises(ParameterError, match="rank"):
        period([0.0, 1.0], rank=3)
