"""The queue of alerts without a browser: what is judged as one, in which order, and where a reviewer goes next."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whitecrow.dashboard.triage_queue import Alert, QueueView, alerts_of, next_new, ordered, place_of, saving_of
from whitecrow.metrics import Costs

ROWS = np.array([40, 7, 12, 3, 25])
SCORES = np.array([9.0, 8.0, 7.0, 7.0, 1.0])
GROUPS = np.array([0, 1, 0, 2, 1])
QUEUE = [Alert((40, 12), 9.0), Alert((7, 25), 8.0), Alert((3,), 7.0)]

views = st.builds(
    QueueView,
    state=st.sampled_from([None, "new", "confirmed", "dismissed", "unsure"]),
    order=st.sampled_from(["score", "saving"]),
    grouped=st.booleans(),
    radius=st.floats(1e-300, 1e300),
    k=st.integers(1, 10**8),
    column=st.just(""),
    text=st.just(""),
    at=st.none() | st.integers(0, 10**8),
)


def test_rows_of_a_group_are_judged_as_one_behind_the_highest_score():
    assert alerts_of(ROWS, SCORES, GROUPS) == QUEUE


def test_without_groups_each_row_is_judged_alone_in_the_order_of_scores():
    assert [alert.rows for alert in alerts_of(ROWS, SCORES)] == [(40,), (7,), (12,), (3,), (25,)]


def test_no_rows_are_no_alerts():
    nothing = np.zeros(0)
    assert alerts_of(nothing.astype(np.int64), nothing, nothing.astype(np.intp), nothing) == []
    assert place_of([], 3, QUEUE) is None
    assert next_new([], 3, {}) is None


def test_savings_of_a_group_add_up_and_decide_the_order():
    savings = np.array([1.0, 2.0, 0.5, 1.75, 0.5])
    alerts = alerts_of(ROWS, SCORES, GROUPS, savings)
    assert [alert.saving for alert in alerts] == [1.5, 2.5, 1.75]
    assert [alert.leader for alert in ordered(alerts, "saving")] == [7, 3, 40]
    assert [alert.leader for alert in ordered(alerts, "score")] == [40, 7, 3]


def test_without_savings_the_order_is_that_of_scores():
    assert ordered(QUEUE[::-1], "saving") == QUEUE


def test_equal_scores_keep_the_order_they_came_in():
    assert [a.leader for a in ordered([Alert((5,), 1.0), Alert((2,), 1.0), Alert((9,), 1.0)], "score")] == [5, 2, 9]


def test_saving_is_what_a_flag_changes_in_the_expected_cost():
    costs = Costs(miss=10, false_alarm=1, alert=0.5, catch=2)
    # A sure anomaly costs 0.5 - 2 when flagged and 10 when not; a sure normal row 1 + 0.5 and nothing.
    assert saving_of(np.array([0.0, 1.0, 0.25]), costs) == pytest.approx([11.5, -1.5, 0.75 * 11.5 - 0.25 * 1.5])


@pytest.mark.parametrize(
    ("verdicts", "state", "reviewed"),
    [
        ({}, "new", 0),
        ({40: "confirmed"}, "new", 1),
        ({40: "confirmed", 12: "confirmed"}, "confirmed", 2),
        ({40: "confirmed", 12: "dismissed"}, "new", 2),
    ],
)
def test_a_group_has_the_verdict_that_all_its_rows_have(verdicts, state, reviewed):
    assert QUEUE[0].state(verdicts) == state
    assert QUEUE[0].reviewed(verdicts) == reviewed


def test_after_a_verdict_comes_the_next_alert_without_one():
    assert next_new(QUEUE, 40, {40: "confirmed", 12: "confirmed"}) == 7
    assert next_new(QUEUE, 40, {40: "confirmed", 12: "confirmed", 7: "unsure", 25: "unsure"}) == 3


def test_after_the_last_alert_the_queue_begins_again_and_ends_when_all_are_judged():
    assert next_new(QUEUE, 3, {3: "dismissed"}) == 40
    assert next_new(QUEUE, 3, dict.fromkeys((40, 12, 7, 25, 3), "unsure")) is None


def test_an_alert_that_was_skipped_is_gone_back_to():
    assert next_new(QUEUE, 3, {3: "dismissed", 7: "unsure", 25: "unsure"}) == 40


def test_the_place_of_a_row_is_that_of_its_group():
    assert place_of(QUEUE, 25, QUEUE) == 1
    assert place_of(QUEUE, None, QUEUE) == 0
    assert place_of(QUEUE, 999, QUEUE) == 0


def test_an_alert_that_leaves_a_filtered_queue_makes_room_for_the_next():
    assert place_of([QUEUE[0], QUEUE[2]], 7, QUEUE) == 1
    assert place_of(QUEUE[:2], 3, QUEUE) == 1  # none follows: the last one


@given(views)
def test_every_view_survives_the_url(view):
    assert QueueView.of(view.filters()) == view


@pytest.mark.parametrize("filters", [{"assigned": "mine"}, {"assigned": "nobody"}, {"assignee": "Ann <b>"}])
def test_a_filter_on_assignees_survives_the_url(filters):
    assert QueueView.of(filters).filters() == filters


def test_alerts_are_mine_nobodys_or_somebodys():
    names = {40: "Ann", 12: "Bob", 7: "Ann"}
    whose = [one.assignees(names) for one in QUEUE]
    assert whose == [["Ann", "Bob"], ["Ann"], []]

    def left(me="", **view):
        return [one.leader for one, who in zip(QUEUE, whose, strict=True) if QueueView(**view).concerns(who, me)]

    assert left() == [40, 7, 3]
    assert left("Bob", assigned="mine") == [40]
    assert left("", assigned="mine") == []
    assert left("Bob", assigned="nobody") == [3]
    assert left("Bob", assignee="Ann") == [40, 7]


def test_a_filter_on_a_column_survives_the_url():
    view = QueueView(column="a.b <i>", text="")
    assert view.filters() == {"values.a.b <i>": ""}
    assert QueueView.of(view.filters()) == view


@pytest.mark.parametrize(
    "filters",
    [{"state": "guilty"}, {"order": "date"}, {"k": "0"}, {"k": "-1"}, {"k": "1e9"}, {"k": "9" * 40}, {"radius": "nan"},
     {"radius": "0"}, {"radius": "inf"}, {"radius": "x"}, {"at": "٣"}, {"values.": "x"}, {"other": "x"}],
)  # fmt: skip
def test_what_is_malformed_is_left_out(filters):
    assert QueueView.of(filters) == QueueView()
