"""Events, range-based, affiliation, event-wise and point-adjusted figures against their definitions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow import metrics
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics import series

relaxed = settings(deadline=None, max_examples=50)

BIASES = {
    "flat": lambda i, n: 1,
    "front": lambda i, n: n - i + 1,
    "middle": lambda i, n: i if i <= n / 2 else n - i + 1,
    "back": lambda i, n: i,
}
FIGURES = [
    metrics.precision_recall_f1,
    series.range_based,
    series.affiliation,
    series.event_wise,
    series.composite_f1,
    series.inflated_point_adjusted_f1,
]


@st.composite
def flagged_series(draw, flags=True):
    """Labels with at least one event, and flags, both in runs of one to four steps."""
    n = draw(st.integers(1, 40))
    vectors = []
    for _ in range(2):
        bits = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
        vectors.append(np.repeat(bits, draw(st.integers(1, 4)))[:n])
    vectors[0][draw(st.integers(0, n - 1))] = 1
    if flags:
        vectors[1][draw(st.integers(0, n - 1))] = 1
    return tuple(vectors)


def intervals(bits):
    return [(int(a), int(b)) for a, b in series.events(bits)]


def marks(n, *runs):
    bits = np.zeros(n, int)
    for a, b in runs:
        bits[a:b] = 1
    return bits


@relaxed
@given(st.lists(st.integers(0, 1), min_size=1, max_size=50))
def test_events_are_the_maximal_runs(bits):
    found = intervals(bits)
    assert list(marks(len(bits), *found)) == bits
    assert all(b < a for (_, b), (a, _) in itertools.pairwise(found))
    assert all(a < b for a, b in found)


def range_score(ranges, others, alpha, bias, gamma):
    """Recall of ``ranges`` by ``others`` as in the paper, range by range."""
    delta, total = BIASES[bias], 0.0
    for a, b in ranges:
        n = b - a
        overlaps = [range(max(a, c), min(b, d)) for c, d in others if max(a, c) < min(b, d)]
        omega = sum(delta(t - a + 1, n) for o in overlaps for t in o) / sum(delta(i, n) for i in range(1, n + 1))
        cardinality = 1 / len(overlaps) if gamma == "reciprocal" and len(overlaps) > 1 else 1
        total += alpha * bool(overlaps) + (1 - alpha) * cardinality * omega
    return total / len(ranges)


@relaxed
@given(flagged_series(), st.floats(0, 1), st.sampled_from(list(BIASES)), st.sampled_from(["reciprocal", "one"]))
def test_range_based_figures_are_the_papers(table, alpha, bias, gamma):
    real, predicted = map(intervals, table)
    found = series.range_based(*table, alpha=alpha, bias=bias, gamma=gamma)
    assert found.recall == pytest.approx(range_score(real, predicted, alpha, bias, gamma), abs=1e-12)
    assert found.precision == pytest.approx(range_score(predicted, real, 0, bias, gamma), abs=1e-12)


@relaxed
@given(flagged_series(), st.sampled_from(list(BIASES)))
def test_swapping_the_roles_swaps_range_precision_and_recall(table, bias):
    y, flags = table
    assert series.range_precision(y, flags, bias=bias) == series.range_recall(flags, y, alpha=0, bias=bias)


def test_range_figures_by_hand():
    y, late = marks(100, (40, 50)), marks(100, (45, 55))
    assert series.range_based(y, late) == pytest.approx((0.5, 0.2 + 0.8 * 0.5, 6 / 11))
    assert series.range_based(y, marks(100, (45, 46))) == pytest.approx((1, 0.2 + 0.8 * 0.1, 0.4375))
    # Bias counts from the start of the range, wherever in the series that is: 1 + ... + 5 of 55.
    assert series.range_recall(y, late, alpha=0, bias="front") == pytest.approx(15 / 55)
    assert series.range_recall(y, late, alpha=0, bias="back") == pytest.approx(40 / 55)
    # Two pieces of three steps each halve the reward for overlap.
    pieces = marks(100, (40, 43), (47, 50))
    assert series.range_recall(y, pieces) == pytest.approx(0.2 + 0.8 * 0.6 / 2)
    assert series.range_recall(y, pieces, gamma="one") == pytest.approx(0.2 + 0.8 * 0.6)


def affiliation_by_quadrature(y, flags):
    """Affiliation by the probabilities themselves; midpoints of quarter steps integrate its linear pieces exactly."""
    real, n = intervals(y), len(y)
    cuts = [0.0, *((b + a) / 2 for (_, b), (a, _) in itertools.pairwise(real)), float(n)]
    precisions, recalls = [], []
    for (a, b), low, high in zip(real, cuts, cuts[1:], strict=False):
        x = np.arange(low, high, 0.25) + 0.125

        def outside(left, right, low=low, high=high):
            return 1 - (np.minimum(right, high) - np.maximum(left, low)) / (high - low)

        alarms = x[np.asarray(flags)[x.astype(int)] == 1]
        if not len(alarms):
            recalls.append(0.0)
            continue
        d = np.maximum(np.maximum(a - alarms, alarms - b), 0)
        precisions.append(np.where(d > 0, outside(a - d, b + d), 1).mean())
        pieces = [(max(c, low), min(e, high)) for c, e in intervals(flags) if min(e, high) > max(c, low)]
        inside = x[(x > a) & (x < b)]
        d = np.min([np.maximum(np.maximum(c - inside, inside - e), 0) for c, e in pieces], axis=0)
        recalls.append(np.where(d > 0, outside(inside - d, inside + d), 1).mean())
    return np.mean(precisions), np.mean(recalls)


@relaxed
@given(flagged_series())
def test_affiliation_is_the_mean_chance_of_a_random_point_to_be_farther_away(table):
    found = series.affiliation(*table)
    assert (found.precision, found.recall) == pytest.approx(affiliation_by_quadrature(*table), abs=1e-12)


def test_affiliation_by_hand():
    found = series.affiliation(marks(100, (40, 50)), marks(100, (45, 55)))
    assert found == pytest.approx((0.925, 0.975, 2 * 0.925 * 0.975 / 1.9), abs=1e-12)


def test_affiliation_of_no_flag_has_no_precision_and_no_f1():
    found = series.affiliation([0, 1, 0], [0, 0, 0])
    assert math.isnan(found.precision)
    assert found[1:] == (0, 0)


def test_a_zone_without_a_flag_counts_for_affiliation_recall_alone():
    y = marks(100, (20, 30), (70, 80))
    assert series.affiliation(y, marks(100, (20, 30))) == pytest.approx((1, 0.5, 2 / 3))


def test_flagging_everything_scores_as_noise_does_in_affiliation():
    # Inside 10; on the left the integral of 0.9 - 0.02 d to 40; on the right the same, then 0.5 - 0.01 d to 50.
    precision = (10 + 20 + 20 + 0.5) / 100
    assert series.affiliation(marks(100, (40, 50)), np.ones(100)) == pytest.approx(
        (precision, 1, 2 * precision / (1 + precision))
    )


@relaxed
@given(flagged_series(flags=False))
def test_event_wise_figures_count_events(table):
    y, flags = table
    real, predicted = map(intervals, table)
    hit = [any(flags[a:b]) for a, b in real]
    true = [any(y[a:b]) for a, b in predicted]
    found = series.event_wise(y, flags)
    assert found.recall == np.mean(hit)
    assert found.precision == (np.mean(true) if true else 0)
    composite = series.composite_f1(y, flags)
    assert composite.recall == found.recall
    assert composite.precision == metrics.precision_recall_f1(y, flags).precision


def test_flags_closer_than_the_gap_are_one_event():
    y = marks(20, (2, 4))
    flags = marks(20, (2, 3), (5, 6), (9, 10))  # two steps, then three, between the runs
    assert series.event_wise(y, flags).precision == pytest.approx(1 / 3)
    assert series.event_wise(y, flags, gap=2).precision == pytest.approx(1 / 3)
    assert series.event_wise(y, flags, gap=3).precision == pytest.approx(1 / 2)
    assert series.event_wise(y, flags, gap=4).precision == 1
    # The steps between count as flagged: 2 of 4, then 2 of 8.
    assert series.composite_f1(y, flags, gap=3).precision == pytest.approx(2 / 5)
    assert series.composite_f1(y, flags, gap=4).precision == pytest.approx(2 / 8)


def test_a_long_event_inflates_point_adjustment_but_not_the_composite():
    y, flags = marks(1000, (100, 500)), marks(1000, (300, 301), (700, 720))
    assert series.inflated_point_adjusted_f1(y, flags).f1 > 0.97
    assert series.composite_f1(y, flags).f1 < 0.1


@relaxed
@given(flagged_series(flags=False))
def test_point_adjusted_flags_fill_the_events_they_touch(table):
    y, flags = table
    adjusted = flags.copy()
    for a, b in intervals(y):
        adjusted[a:b] |= flags[a:b].max()
    expected = metrics.precision_recall_f1(y, adjusted)
    assert series.inflated_point_adjusted_f1(y, flags) == pytest.approx(expected)


@relaxed
@given(flagged_series(flags=False))
def test_adjusting_more_than_k_percent_lies_between_plain_and_adjusted(table):
    f1 = [series.pa_k_f1(*table, k).f1 for k in np.linspace(0, 100, 11)]
    assert f1 == sorted(f1, reverse=True)
    assert f1[0] == series.inflated_point_adjusted_f1(*table).f1
    assert f1[-1] == pytest.approx(metrics.precision_recall_f1(*table).f1)


@settings(deadline=None, max_examples=20)
@given(flagged_series(flags=False))
def test_the_area_over_k_is_the_mean_of_the_curve(table):
    # The midpoint rule on 200 cells misses at most half a cell of a curve that falls by at most 1.
    middles = (np.arange(200) + 0.5) / 2
    curve = np.mean([series.pa_k_f1(*table, k).f1 for k in middles])
    assert series.pa_k_area(*table) == pytest.approx(curve, abs=0.5 / 200)


def test_pa_k_adjusts_from_exactly_k_percent():
    y, flags = marks(10, (0, 5)), marks(10, (0, 1))
    assert series.pa_k_f1(y, flags, 20).f1 == 1
    assert series.pa_k_f1(y, flags, 20.1).f1 == pytest.approx(1 / 3)
    assert series.pa_k_area(y, flags) == pytest.approx(0.2 * 1 + 0.8 / 3)


def test_noise_is_drawn_from_its_seed():
    y = marks(500, (100, 150), (300, 350))
    one = series.inflated_random_oracle_f1(y, seed=1)
    assert one == series.inflated_random_oracle_f1(y, seed=1)
    assert one != series.inflated_random_oracle_f1(y, seed=2)


# Not affiliation: room behind the last event makes it easier for a random point to lie as near as a flag before it.
@pytest.mark.parametrize("figure", [figure for figure in FIGURES if figure is not series.affiliation])
@relaxed
@given(table=flagged_series(), more=st.integers(1, 30))
def test_more_normal_steps_without_a_flag_never_lower_precision(figure, table, more):
    y, flags = table
    longer = figure(np.append(y, np.zeros(more, int)), np.append(flags, np.zeros(more, int)))
    assert longer.precision >= figure(y, flags).precision - 1e-12


@pytest.mark.parametrize("figure", FIGURES)
@relaxed
@given(table=flagged_series())
def test_the_labels_themselves_are_perfect_flags(figure, table):
    assert figure(table[0], table[0]) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("figure", FIGURES)
def test_unusable_input_is_a_data_error(figure):
    with pytest.raises(DataError, match="at least one anomaly"):
        figure([0, 0], [0, 1])
    with pytest.raises(DataError, match="flags holds 2"):
        figure([0, 1], [0, 2])
    with pytest.raises(DataError, match="y has 2 rows and flags has 3"):
        figure([0, 1], [0, 1, 1])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda y: series.range_based(y, y, alpha=1.5), "alpha"),
        (lambda y: series.range_based(y, y, bias="centre"), "bias"),
        (lambda y: series.range_recall(y, y, gamma=2), "gamma"),
        (lambda y: series.event_wise(y, y, gap=-1), "gap"),
        (lambda y: series.composite_f1(y, y, gap=0.5), "gap"),
        (lambda y: series.pa_k_f1(y, y, 101), "k"),
        (lambda y: series.inflated_random_oracle_f1(y, seed=-1), "seed"),
        (lambda y: series.oracle_f1(series.affiliation, y, y, n_thresholds=0), "n_thresholds"),
    ],
)
def test_a_parameter_out_of_its_range_is_refused(call, name):
    with pytest.raises(ParameterError, match=f"{name} must be"):
        call([0, 1, 0])


def test_noise_on_labels_of_one_class_is_refused():
    with pytest.raises(DataError, match="one class"):
        series.inflated_random_oracle_f1([1, 1], seed=0)
