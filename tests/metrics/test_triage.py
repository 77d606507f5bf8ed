"""Verdicts: what they count as, when they suffice, and the threshold that they speak for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow import metrics
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics.triage import recalibrated_threshold, reviewed_precision

VERDICTS = ["confirmed", "dismissed", "unsure", "new"]


def reviewed_queue(n=200, seed=0):
    """Alerts above 1.0 whose chance of being confirmed grows with the score, and rows below."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.uniform(0.5, 3, size=n), 2)
    real = rng.random(n) < (scores - 0.5) / 3
    verdicts = np.where(real, "confirmed", "dismissed").astype(object)
    verdicts[rng.random(n) < 0.3] = "new"
    verdicts[rng.random(n) < 0.1] = "unsure"
    return scores, verdicts


def test_unsure_and_new_alerts_decide_nothing():
    queue = ["confirmed", "new", "dismissed", "confirmed", "unsure", "confirmed", "dismissed"]
    found = reviewed_precision(queue, 6, base_rate=0.01)
    assert found[:5] == (6, 3, 1, 1, 1)
    assert found.precision == metrics.wilson_interval(3 / 4, 4)
    assert found.coverage == 4 / 6
    assert found.lift == pytest.approx(tuple(100 * end for end in found.precision))


def test_short_queue_is_taken_whole_and_an_unreviewed_one_has_no_precision():
    found = reviewed_precision(["new", "unsure"], 50, base_rate=0.1)
    assert (found.k, found.precision, found.lift, found.coverage) == (2, None, None, 0.0)
    assert reviewed_precision(["confirmed"], 1).lift is None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(VERDICTS), min_size=1, max_size=30), st.integers(1, 40))
def test_precision_of_a_fully_reviewed_queue_is_precision_at_k(verdicts, k):
    found = reviewed_precision(verdicts, k)
    assert found.confirmed + found.dismissed + found.unsure + found.new == found.k == min(k, len(verdicts))
    decided = [v == "confirmed" for v in verdicts[:k] if v in VERDICTS[:2]]
    if decided:
        scores = -np.arange(len(decided))
        assert found.precision.value == metrics.precision_at_k(decided, scores, len(decided))


@pytest.mark.parametrize("target", [0.5, 0.6, 0.7])
def test_target_precision_is_met_by_the_lowest_threshold_that_can(target):
    scores, verdicts = reviewed_queue()
    found = recalibrated_threshold(scores, verdicts, 1.0, target)
    decided = (scores > 1.0) & np.isin(verdicts, VERDICTS[:2])
    values, real = scores[decided], verdicts[decided] == "confirmed"

    def meets(t):
        return (values > t).sum() >= 10 and real[values > t].mean() >= target

    assert found.threshold == min(t for t in [1.0, *values] if meets(t))
    assert found.precision.value == real[values > found.threshold].mean() >= target
    assert found.catches_kept.value == (real & (values > found.threshold)).sum() / real.sum()
    assert found.confirmed + found.dismissed == (values > found.threshold).sum()


def test_a_target_that_is_met_already_keeps_the_old_threshold():
    scores, verdicts = reviewed_queue()
    assert recalibrated_threshold(scores, verdicts, 1.0, 0.1).threshold == 1.0


def test_lowest_cost_by_hand():
    scores, verdicts = reviewed_queue()
    costs = metrics.Costs(miss=3, false_alarm=2, alert=1, catch=1)
    found = recalibrated_threshold(scores, verdicts, 1.0, costs)
    decided = (scores > 1.0) & np.isin(verdicts, VERDICTS[:2])
    values, real = scores[decided], verdicts[decided] == "confirmed"

    def cost(t):
        flags = values > t
        return np.where(real, np.where(flags, 1 - 1, 3), np.where(flags, 2 + 1, 0)).mean()

    assert cost(found.threshold) == pytest.approx(min(cost(t) for t in [1.0, *values]))
    assert 1.0 < found.threshold < values.max()


def test_what_was_not_reviewed_is_said_and_the_threshold_never_falls():
    scores, verdicts = reviewed_queue()
    found = recalibrated_threshold(scores, verdicts, 1.0, metrics.Costs(miss=1000, false_alarm=1))
    assert found.threshold >= 1.0
    assert found.catches_kept.value == 1.0
    undecided = np.sum((scores > 1.0) & ~np.isin(verdicts, VERDICTS[:2]))
    assert f"old threshold 1 were reviewed, {undecided} of them are undecided" in found.bias
    assert "never lower it" in found.bias
    assert "optimistic" in found.source


def test_verdicts_below_the_old_threshold_change_nothing():
    scores, verdicts = reviewed_queue()
    more = np.append(scores, [0.1, 0.2]), np.append(verdicts, ["confirmed", "dismissed"])
    assert recalibrated_threshold(*more, 1.0, 0.6) == recalibrated_threshold(scores, verdicts, 1.0, 0.6)


@pytest.mark.parametrize(("confirmed", "dismissed"), [(10, 9), (4, 40), (40, 4)])
def test_too_few_verdicts_are_refused(confirmed, dismissed):
    verdicts = ["confirmed"] * confirmed + ["dismissed"] * dismissed
    with pytest.raises(DataError, match="at least 20 together and 5 of each"):
        recalibrated_threshold(np.arange(1.0, len(verdicts) + 1), verdicts, 0.0, 0.5)


def test_just_enough_verdicts_are_accepted():
    verdicts = ["dismissed"] * 10 + ["confirmed"] * 10
    found = recalibrated_threshold(np.arange(1.0, 21), verdicts, 0.0, 1.0)
    assert (found.threshold, found.precision.value) == (10.0, 1.0)


def test_a_target_out_of_reach_is_refused_with_what_there_is():
    verdicts = ["confirmed", "dismissed"] * 20
    with pytest.raises(DataError, match=r"all 40 together have 0\.5"):
        recalibrated_threshold(np.arange(1.0, 41), verdicts, 0.0, 0.9)


@pytest.mark.parametrize(
    ("aim", "said"), [(0.0, "aim"), (1.5, "aim"), (metrics.Costs(1, 1, prevalence=0.01), "prevalence must be None")]
)
def test_unusable_aims_are_refused(aim, said):
    with pytest.raises(ParameterError, match=said):
        recalibrated_threshold(*reviewed_queue(), 1.0, aim)


@pytest.mark.parametrize("verdicts", [["maybe"], [], [None]])
def test_unknown_verdicts_are_refused(verdicts):
    with pytest.raises(DataError, match="new for each alert"):
        reviewed_precision(verdicts, 1)
