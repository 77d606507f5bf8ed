"""The alert-rate chart: exact limits that fit the size of each bucket, and honest false alarms."""

import numpy as np
import pytest
from scipy import stats

from whitecrow.core.errors import DataError
from whitecrow.metrics.control_chart import alert_rate_chart
from whitecrow.metrics.time_buckets import time_buckets


def test_limits_are_binomial_quantiles_of_each_size():
    times = np.repeat([0.5, 1.5, 2.5], [1000, 10, 200])
    flags = np.zeros(1210, dtype=bool)
    flags[:60] = True
    chart = alert_rate_chart(np.append(times, [0.0, 3.0]), np.append(flags, [0, 0]), centre=0.02, max_buckets=3)
    assert chart.n.tolist() == [1001, 10, 201]
    assert chart.alerts.tolist() == [60, 0, 0]
    for n, low, high in zip(chart.n, chart.low, chart.high, strict=True):
        assert stats.binom.sf(round(high * n), n, 0.02) <= 0.00135 < stats.binom.sf(round(high * n) - 1, n, 0.02)
        assert stats.binom.cdf(round(low * n) - 1, n, 0.02) <= 0.00135 < stats.binom.cdf(round(low * n), n, 0.02)
    assert chart.too_high.tolist() == [True, False, False]
    assert not chart.too_low.any()


def test_false_alarms_are_at_most_what_was_asked_for_with_few_alerts_too():
    rng = np.random.default_rng(0)
    n = 200 * 400
    chart = alert_rate_chart(np.arange(n), rng.random(n) < 0.005, centre=0.005, max_buckets=400, outside=0.02)
    assert len(chart.n) == 400
    # Each side at most 1 %: of 400 buckets, 12 or more on one side are hardly chance.
    assert chart.too_high.sum() <= 11
    assert chart.too_low.sum() <= 11


def test_a_silent_stretch_is_out_of_control_too():
    flags = np.tile([1, 0, 0, 0], 500)
    flags[1000:1500] = 0
    chart = alert_rate_chart(np.arange(2000), flags, max_buckets=4)
    assert chart.centre == flags.mean()
    assert chart.too_low.tolist() == [False, False, True, False]


def test_empty_buckets_have_no_rate_and_are_in_control():
    chart = alert_rate_chart([0.0, 0.1, 9.9, 10.0], [0, 1, 1, 0], max_buckets=5)
    assert np.isnan(chart.rate).tolist() == [False, True, True, True, False]
    assert not (chart.too_low | chart.too_high).any()
    assert (chart.low[1], chart.high[1]) == (0.0, 1.0)


@pytest.mark.parametrize("flags", [[0, 0], [1, 1]])
def test_a_rate_of_nothing_or_everything_needs_a_centre(flags):
    with pytest.raises(DataError, match="as centre"):
        alert_rate_chart([0, 1], flags)
    assert alert_rate_chart([0, 1], flags, centre=0.1).centre == 0.1


@pytest.mark.parametrize(
    "times",
    [
        np.array([0, 7, 99, 3]),
        np.array([0.1, 0.7, 9.9, 0.3]),
        np.array(["2024-01-01T00:00:00", "2024-01-01T07:30:00", "2024-01-03", "2024-01-02"], dtype="datetime64[us]"),
        np.array([5, 5]),
        np.array([0.3, 0.3]),
    ],
)
@pytest.mark.parametrize("max_buckets", [1, 3, 7])
def test_edges_decide_which_bucket_a_time_is_in(times, max_buckets):
    edges, bucket = time_buckets(times, max_buckets)
    assert 1 <= len(edges) - 1 <= max_buckets
    assert edges.dtype == times.dtype
    assert np.all(edges[1:] > edges[:-1])
    last = bucket == len(edges) - 2
    assert np.all(edges[bucket] <= times)
    assert np.all((times < edges[bucket + 1]) | (last & (times == edges[-1])))


def test_missing_times_are_refused():
    with pytest.raises(DataError, match="1 of 2 times are missing"):
        time_buckets(np.array(["2024-01-01", "NaT"], dtype="datetime64[s]"), 3)
    with pytest.raises(DataError, match="Parse the column"):
        time_buckets(["monday", "tuesday"], 3)
