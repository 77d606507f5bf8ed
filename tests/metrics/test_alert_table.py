"""The table behind the threshold slider: the same figures as counting rows, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from whitecrow import metrics
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics.alert_table import alert_table
from whitecrow.metrics.classes import UNKNOWN, known_classes
from whitecrow.metrics.points import just_below
from whitecrow.metrics.threshold_search import (
    threshold_for_alert_count,
    threshold_for_alert_rate,
    threshold_for_cost,
    threshold_for_false_positive_rate,
    threshold_for_percentile,
)

COSTS = metrics.Costs(miss=100, false_alarm=5, alert=1, catch=20)


@st.composite
def tied_tables(draw):
    """Labels of three classes, at least one anomaly and one normal row among them, and tied scores."""
    n = draw(st.integers(2, 40))
    y = draw(st.lists(st.sampled_from([0, 1, UNKNOWN]), min_size=n, max_size=n))
    y[:2] = [0, 1]
    scores = draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n))
    return np.array(y), np.array(scores) / 7


def tried(scores):
    """Thresholds at, between, above and below all scores."""
    distinct = np.unique(scores)
    return [*distinct, *(distinct[1:] + distinct[:-1]) / 2, distinct[0] - 1, distinct[-1] + 1]


def enriched(n=5000, seed=0, digits=2):
    rng = np.random.default_rng(seed)
    y = rng.choice([0, 1, UNKNOWN], p=[0.7, 0.1, 0.2], size=n)
    return y, np.round(rng.normal(size=n) + 1.5 * (y == 1), digits)


@settings(deadline=None, max_examples=40)
@given(tied_tables())
def test_figures_equal_those_of_counting_rows_exactly(drawn):
    y, scores = drawn
    table = alert_table(scores, y)
    known = y != UNKNOWN
    for threshold in tried(scores):
        figures = table.figures(threshold)
        flags = scores > threshold
        tn, fp, fn, tp = metrics.confusion(y[known], flags[known])
        assert figures.counts[:4] == (tp, fp, fn, tn)
        assert figures.counts[4:] == (flags[~known].sum(), (~flags[~known]).sum())
        expected = metrics.precision_recall_f1(y[known], flags[known])
        assert (figures.precision, figures.recall, figures.f1) == tuple(expected)
        assert figures.f2 == metrics.f2(y[known], flags[known])
        assert figures.accuracy == sk.accuracy_score(y[known], flags[known])
        assert figures.false_positive_rate == flags[y == 0].mean()
        assert figures.alerts_per_1000 == 1000 * flags.sum() / len(y)


@settings(deadline=None, max_examples=50)
@given(tied_tables(), st.none() | st.floats(0, 1))
def test_cost_equals_the_cost_curve_exactly(drawn, prevalence):
    y, scores = drawn
    table, known = alert_table(scores, y), y != UNKNOWN
    costs = metrics.Costs(100, 5, 1, 20, prevalence)
    curve = metrics.cost_curve(y[known], scores[known], 100, 5, cost_alert=1, catch_value=20, prevalence=prevalence)
    for threshold, expected in zip(*curve, strict=True):
        cost = table.figures(threshold, costs).cost
        assert cost.per_record == expected
        assert cost.flag_nothing == curve.costs[0]
        assert cost.flag_everything == curve.costs[-1]
        assert cost.saved_against_nothing == curve.costs[0] - expected
        assert cost.saved_against_everything == curve.costs[-1] - expected


def test_cost_by_hand():
    # 4 anomalies, 6 normal rows; 3 and 2 of them are flagged; 1 % of the records are anomalies in the field.
    scores = [9, 8, 7, 1, 6, 5, 2, 2, 2, 2]
    cost = alert_table(scores, [1] * 4 + [0] * 6).figures(4, metrics.Costs(100, 5, 1, 20, prevalence=0.01)).cost
    assert cost.per_record == pytest.approx(0.01 * (0.25 * 100 + 0.75 * (1 - 20)) + 0.99 * (2 / 6) * (5 + 1))
    assert cost.flag_nothing == pytest.approx(0.01 * 100)
    assert cost.flag_everything == pytest.approx(0.01 * (1 - 20) + 0.99 * 6)


def test_figures_equal_those_of_the_evaluation_report():
    y, scores = enriched()
    known = y != UNKNOWN
    table = alert_table(scores[known], y[known])
    report = metrics.evaluation_report(y[known], scores[known], 1.23, threshold_source="fixed", n_resamples=2)
    figures, intervals = table.figures(1.23), table.intervals(1.23)
    assert intervals["precision"] == report.metrics["precision"]
    assert intervals["recall"] == report.metrics["recall"]
    assert figures.false_positive_rate == report.metrics["false_positive_rate"].value
    assert figures.accuracy == report.metrics["accuracy"].value
    assert figures.counts[:4] == (report.confusion.tp, report.confusion.fp, report.confusion.fn, report.confusion.tn)


def test_copies_widen_the_intervals_as_in_the_evaluation_report():
    y, scores = enriched(400)
    known = y != UNKNOWN
    y, scores = np.repeat(y[known], 5), np.repeat(scores[known], 5)
    groups = np.repeat(np.arange(known.sum()), 5)
    report = metrics.evaluation_report(y, scores, 1.0, threshold_source="fixed", groups=groups, n_resamples=2)
    intervals = alert_table(scores, y, groups).intervals(1.0)
    assert intervals["precision"] == report.metrics["precision"]
    assert intervals["recall"] == report.metrics["recall"]


def test_unknown_rows_change_the_alert_volume_alone():
    y, scores = enriched()
    known = y != UNKNOWN
    with_unknown, without = (alert_table(s, k).figures(1.0, COSTS) for s, k in ((scores, y), (scores[known], y[known])))
    assert with_unknown[2:] == without[2:]
    assert with_unknown.counts.alerts == np.sum(scores > 1.0)


def test_without_labels_only_the_alert_volume_is_known():
    figures = alert_table([1.0, 2.0, 3.0, 4.0]).figures(2.0, COSTS)
    assert figures.alerts_per_1000 == 500
    assert figures.counts == (0, 0, 0, 0, 2, 2)
    assert figures[2:] == (None,) * 7
    assert alert_table([1.0, 2.0]).intervals(1.0) == {}


@pytest.mark.parametrize("unknown", [[-1, -1], [np.nan, np.nan], [None, np.nan]])
def test_whatever_stands_for_unknown_is_never_normal(unknown):
    classes = known_classes(np.array([1, 0, *unknown], dtype=object), np.zeros(4))
    assert classes.tolist() == [1, 0, -1, -1]


@pytest.mark.parametrize("label", [2, 0.5, "attack"])
def test_other_labels_are_refused(label):
    with pytest.raises(DataError, match="a name that you do not know is unknown, not normal"):
        alert_table([1.0, 2.0], np.array([0, label], dtype=object))


@settings(deadline=None, max_examples=60)
@given(tied_tables(), st.integers(0, 40), st.floats(0, 1))
def test_inverse_look_ups_are_the_lowest_thresholds_that_keep_to_the_wish(drawn, count, share):
    y, scores = drawn
    table = alert_table(scores, y)
    candidates = np.append(just_below(scores.min()), np.unique(scores))

    def lowest(keeps):
        return next(t for t in candidates if keeps(t))

    n = len(scores)
    assert threshold_for_alert_count(table, count).threshold == lowest(lambda t: (scores > t).sum() <= count)
    assert threshold_for_alert_rate(table, 1000 * share).threshold == lowest(
        lambda t: 1000 * (scores > t).sum() / n <= 1000 * share
    )
    assert threshold_for_percentile(table, 100 * share).threshold == lowest(
        lambda t: 100 * (scores <= t).sum() / n >= 100 * share
    )
    found = threshold_for_false_positive_rate(table, share).threshold
    assert found == lowest(lambda t: (scores[y == 0] > t).mean() <= share)
    known = y != UNKNOWN
    assert table.figures(found).recall == metrics.recall_at_fpr(y[known], scores[known], share)


def test_displayed_figures_lead_back_to_their_threshold():
    y, scores = enriched(997)
    table = alert_table(scores, y)
    for threshold in table.scores[::25]:
        figures = table.figures(threshold)
        assert threshold_for_alert_rate(table, figures.alerts_per_1000).threshold == threshold


def test_percentile_is_the_inverted_distribution_function_of_numpy():
    scores = np.random.default_rng(0).normal(size=1000)
    table = alert_table(scores)
    for percentile in (1, 50, 95, 99.5, 100):
        expected = np.percentile(scores, percentile, method="inverted_cdf")
        assert threshold_for_percentile(table, percentile).threshold == expected


def test_minimum_cost_is_that_of_the_cost_curve_and_says_what_it_was_found_on():
    y, scores = enriched()
    choice = threshold_for_cost(alert_table(scores, y), COSTS)
    known = y != UNKNOWN
    curve = metrics.cost_curve(y[known], scores[known], 100, 5, cost_alert=1, catch_value=20)
    assert choice.threshold == curve.thresholds[curve.costs.argmin()]
    assert choice.uses_labels
    assert "labels in view" in choice.source
    with pytest.raises(DataError, match="at least one of each"):
        threshold_for_cost(alert_table(scores), COSTS)
    with pytest.raises(DataError, match="Label some rows"):
        threshold_for_false_positive_rate(alert_table(scores), 0.1)


def page_answer(arrays, threshold):
    """What a page does with the arrays: one binary search."""
    i = np.searchsorted(arrays.scores, threshold, side="right")
    return arrays.anomalies[i], arrays.normals[i], arrays.unknown[i]


def test_page_answers_every_threshold_from_the_full_arrays():
    y, scores = enriched(500)
    table = alert_table(scores, y)
    arrays = table.arrays()
    assert arrays.exact
    for threshold in tried(scores):
        tp, fp, _, _, unknown, _ = table.counts(threshold)
        assert page_answer(arrays, threshold) == (tp, fp, unknown)


@pytest.mark.parametrize("labelled", [True, False])
def test_thinned_arrays_keep_the_answers_at_the_kept_scores(labelled):
    y, scores = enriched(20_000, digits=6)
    table = alert_table(scores, y if labelled else None)
    arrays = table.arrays(max_points=300)
    assert not arrays.exact
    assert 200 < len(arrays.scores) <= 300
    assert page_answer(arrays, scores.max()) == (0, 0, 0)
    assert sum(page_answer(arrays, scores.min() - 1)) == 20_000
    for threshold in arrays.scores:
        tp, fp, _, _, unknown, _ = table.counts(threshold)
        assert page_answer(arrays, threshold) == (tp, fp, unknown)
    # The top of the queue, where thresholds are set, stays fine.
    alerts = arrays.anomalies + arrays.normals + arrays.unknown
    assert np.diff(alerts[::-1][:10]).max() <= 10
    with pytest.raises(ParameterError, match="max_points"):
        table.arrays(1)


def test_intervals_are_asked_for_below_100_anomalies():
    scores = np.arange(400.0)
    assert alert_table(scores, scores >= 301).few_anomalies
    assert not alert_table(scores, scores >= 300).few_anomalies


@pytest.mark.parametrize("threshold", [np.nan, np.inf, "high"])
def test_a_threshold_must_be_a_finite_number(threshold):
    with pytest.raises(DataError, match="finite number"):
        alert_table([1.0, 2.0]).counts(threshold)
