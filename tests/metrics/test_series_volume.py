"""Range-AUC and VUS against their definition, written out without any shortcut."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow import metrics
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics import series


@st.composite
def tied_series(draw):
    """Labels of both classes, often in runs, and scores with few distinct values."""
    n = draw(st.integers(3, 60))
    y = np.repeat(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), draw(st.integers(1, 4)))[:n]
    y[draw(st.integers(0, n - 2))] = 1
    y[n - 1 if y[:-1].all() else int(np.argmin(y[:-1]))] = 0
    return y, np.array(draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))) / 7


def by_definition(y, scores, buffer, n_thresholds):
    """Range-AUC, step by step and threshold by threshold."""
    n, reach = len(y), buffer // 2
    events = [(int(a), int(b)) for a, b in series.events(y)]
    soft = np.array(y, float)
    segments = np.zeros(n, int)  # 0 outside, else the number of the segment
    for a, b in events:
        for d in range(1, reach + 1):
            for t in (a - d, b - 1 + d):
                if 0 <= t < n:
                    soft[t] += np.sqrt(1 - d / buffer)
    soft = np.minimum(soft, 1)
    merged = []
    for a, b in events:
        if merged and a - reach < merged[-1][1]:
            merged[-1][1] = b + reach
        else:
            merged.append([a - reach, b + reach])
    for number, (a, b) in enumerate(merged, 1):
        segments[max(a, 0) : b] = number
    points = []
    ordered = np.sort(scores)[::-1]
    for rank in np.linspace(0, n - 1, n_thresholds).astype(int):
        flags = scores >= ordered[rank]
        tp = sum(soft[flags])
        labelled = sum(y) + sum(soft[flags & (np.array(y) == 0)])
        positives = (sum(y) + labelled) / 2
        exist = len(set(segments[flags]) - {0}) / len(merged)
        recall = min(tp / positives, 1) * exist
        points.append((recall, (sum(flags) - tp) / (n - positives), tp / sum(flags)))
    tpr, fpr, precision = np.transpose(points)
    roc = np.trapezoid([0, *tpr, 1], [0, *fpr, 1])
    return roc, sum(np.diff([0, *tpr]) * precision)


@settings(deadline=None, max_examples=80)
@given(tied_series(), st.integers(0, 25), st.sampled_from([1, 2, 7, 250]))
def test_range_auc_is_its_definition(table, buffer, n_thresholds):
    expected = by_definition(*table, buffer, n_thresholds)
    assert series.range_auc(*table, buffer, n_thresholds=n_thresholds) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(tied_series(), st.integers(0, 12))
def test_vus_is_the_mean_of_range_auc_over_the_buffers(table, buffer):
    expected = np.mean([series.range_auc(*table, length) for length in range(buffer + 1)], axis=0)
    assert series.vus(*table, buffer) == pytest.approx(tuple(expected), abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(tied_series())
def test_without_a_buffer_events_found_at_once_leave_the_plain_areas(table):
    y, scores = table
    one = np.zeros(len(y), int)
    one[: y.sum()] = 1  # a single event, so that every true alarm finds all events
    area = series.range_auc(one, scores, 0)
    assert area.roc == pytest.approx(metrics.auroc(one, scores), abs=1e-12)
    assert area.pr == pytest.approx(metrics.average_precision(one, scores), abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(tied_series(), st.integers(0, 20))
def test_only_the_order_of_scores_counts(table, buffer):
    y, scores = table
    assert series.vus(y, np.exp(3 * scores), buffer) == series.vus(y, scores, buffer)


def test_a_border_is_cut_half_way_down_its_ramp():
    # Buffer 4 reaches two steps: sqrt(3/4) and sqrt(1/2); the third step earns nothing.
    y = np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 0])

    def precision_of_one_flag(at):
        return series.range_auc(y, np.eye(10)[at], 4, n_thresholds=1).pr

    # The single threshold flags one step of weight w: recall w / (1 + w / 2), precision w.
    for at, w in [(5, np.sqrt(0.75)), (3, np.sqrt(0.75)), (6, np.sqrt(0.5)), (2, np.sqrt(0.5)), (7, 0), (1, 0)]:
        assert precision_of_one_flag(at) == pytest.approx(w * w / (1 + w / 2), abs=1e-12)


def test_a_small_lag_costs_less_the_larger_the_buffer():
    y, late = np.zeros(300, int), np.zeros(300)
    y[100:120], late[105:125] = 1, 1
    areas = [series.vus(y, late, buffer).pr for buffer in (0, 10, 20, 40)]
    assert areas == sorted(areas)


def test_a_long_series_takes_less_than_a_second():
    y = np.tile(np.r_[np.zeros(400, int), np.ones(100, int)], 60)
    scores = np.random.default_rng(0).random(30_000)
    begin = time.process_time()
    series.vus(y, scores, 125)
    assert time.process_time() - begin < 1


def test_a_buffer_longer_than_the_series_is_one_segment():
    y, scores = np.array([0, 1, 0, 0, 1, 0]), np.array([0.1, 0.9, 0.3, 0.2, 0.4, 0.8])
    assert series.range_auc(y, scores, 50) == pytest.approx(by_definition(y, scores, 50, 250), abs=1e-12)


@pytest.mark.parametrize("figure", [series.vus, series.range_auc])
def test_unusable_input_is_refused(figure):
    with pytest.raises(ParameterError, match="buffer must be"):
        figure([0, 1], [0.1, 0.2], -1)
    with pytest.raises(ParameterError, match="buffer must be"):
        figure([0, 1], [0.1, 0.2], 2.5)
    with pytest.raises(ParameterError, match="n_thresholds must be"):
        figure([0, 1], [0.1, 0.2], 1, n_thresholds=0)
    with pytest.raises(DataError, match="at least one normal row"):
        figure([1, 1], [0.1, 0.2], 1)
    with pytest.raises(DataError, match="at least one anomaly"):
        figure([0, 0], [0.1, 0.2], 1)
    with pytest.raises(DataError, match="NaN"):
        figure([0, 1], [0.1, np.nan], 1)
