"""Detection delay, and accuracy on archives of one anomaly each."""

import numpy as np
import pytest

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics import series


def steps(n, *runs):
    bits = np.zeros(n, int)
    for a, b in runs:
        bits[a:b] = 1
    return bits


Y = steps(100, (10, 20), (40, 60), (80, 90), (95, 96))
FLAGS = steps(100, (5, 12), (44, 45), (50, 55), (60, 62), (95, 96))  # delays 0, 4, missed, 0


def test_delay_is_the_mean_over_noticed_events_alone():
    found = series.detection_delay(Y, FLAGS)
    assert found == pytest.approx((4 / 3, 0, np.percentile([0, 4, 0], 95), 1 / 4))


def test_a_missed_event_has_no_delay():
    found = series.detection_delay(Y, np.zeros(100))
    assert np.isnan(found[:3]).all()
    assert found.missed == 1


def test_delays_in_the_unit_of_the_time_stamps():
    minutes = np.datetime64("2026-03-01T00:00") + 5 * np.arange(100).astype("timedelta64[m]")
    assert series.detection_delay(Y, FLAGS, times=minutes).mean == pytest.approx(4 / 3 * 300)
    hours = np.cumsum(np.where(np.arange(100) == 42, 10.0, 1.0))  # a hole in the recording
    assert series.detection_delay(Y, FLAGS, times=hours).mean == pytest.approx((4 + 9) / 3)


def test_delay_at_a_stated_rate_of_false_alarms_spends_the_whole_budget():
    y = steps(120, (100, 120))
    # The event grows out of the noise: its steps outscore 85, 90, 95 and all of the 100 normal steps.
    scores = np.r_[np.arange(100.0), np.linspace(80.5, 99.5, 20)]
    for budget, delay in [(0.0, 19), (0.01, 18), (0.05, 14), (0.10, 9), (0.29, 0)]:
        assert series.delay_at_fpr(y, scores, budget).median == delay


def test_delay_at_a_rate_depends_on_the_order_of_scores_alone():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=100) + 2 * Y
    assert series.delay_at_fpr(Y, np.exp(scores), 0.05) == series.delay_at_fpr(Y, scores, 0.05)


def test_unusable_times_are_refused():
    with pytest.raises(DataError, match="falls after step 0"):
        series.detection_delay([0, 1], [0, 1], times=[2, 1])
    with pytest.raises(DataError, match="times has 3"):
        series.detection_delay([0, 1], [0, 1], times=[1, 2, 3])
    with pytest.raises(DataError, match="NaN"):
        series.detection_delay([0, 1], [0, 1], times=np.array(["2026-01-01", "NaT"], "datetime64[s]"))


def test_unusable_labels_and_rates_are_refused():
    with pytest.raises(DataError, match="at least one anomaly"):
        series.detection_delay([0, 0], [0, 1])
    with pytest.raises(DataError, match="at least one normal row"):
        series.delay_at_fpr([1, 1], [0, 1])
    with pytest.raises(ParameterError, match="max_fpr must be"):
        series.delay_at_fpr([0, 1], [0, 1], 1.5)


@pytest.mark.parametrize(
    ("width", "location", "solved"),
    [
        (30, 500, True),
        (30, 401, True),  # within 100 steps of the first one, both ends excluded
        (30, 400, False),
        (30, 628, True),
        (30, 629, False),
        (250, 251, True),  # a longer anomaly forgives its own length
        (250, 250, False),
        (250, 998, True),
        (250, 999, False),
    ],
)
def test_the_highest_score_must_lie_near_the_anomaly(width, location, solved):
    y = steps(2000, (500, 500 + width))
    scores = np.zeros(2000)
    scores[location] = 1
    assert series.ucr_solved(y, scores, 200) is solved


def test_scores_of_the_training_part_do_not_count():
    y, scores = steps(2000, (1500, 1510)), np.zeros(2000)
    scores[50], scores[1505] = 9, 1
    assert series.ucr_solved(y, scores, 1000)
    assert not series.ucr_solved(y, scores, 0)


def test_of_tied_scores_the_first_counts():
    y = steps(2000, (1500, 1510))
    assert not series.ucr_solved(y, np.ones(2000), 1000)
    assert series.ucr_solved(y, np.ones(2000), 1450)


def test_accuracy_is_the_share_of_solved_series():
    y, hit, miss = steps(1000, (700, 710)), np.zeros(1000), np.zeros(1000)
    hit[705] = miss[300] = 1
    assert series.ucr_accuracy([y, y, y], [hit, miss, hit], [100, 100, 200]) == pytest.approx(2 / 3)


def test_series_with_more_than_one_event_are_refused():
    with pytest.raises(DataError, match="2 events"):
        series.ucr_solved([0, 1, 0, 1], [0, 1, 0, 0], 0)
    with pytest.raises(DataError, match="training ends at 2"):
        series.ucr_solved([0, 1, 0, 0], [0, 1, 0, 0], 2)
    with pytest.raises(ParameterError, match="train_end must be"):
        series.ucr_solved([0, 1], [0, 1], -1)
    with pytest.raises(ParameterError, match="at least one series"):
        series.ucr_accuracy([], [], [])
    with pytest.raises(ParameterError, match="1 labels, 2 scores"):
        series.ucr_accuracy([[0, 1]], [[0, 1], [0, 1]], [0])
