"""The state of a view and its URL."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow.dashboard.state import PARTS, ViewState
from whitecrow.metrics import Costs

RUN, OTHER = "0123456789ab", "ba9876543210"
FULL = ViewState(
    dataset=OTHER,
    runs=(RUN, OTHER),
    threshold=0.1 + 0.2,
    part="left out",
    record=17,
    costs=Costs(10.0, 1.0, 0.5, 2.0),
    base_rate=0.001,
    filters={"is.a=b&c": "é <b> +%", "service": ""},
    epoch=12,
)

ids = st.text("0123456789abcdef", min_size=12, max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
amounts = st.floats(0, 1e9)
words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)
states = st.builds(
    ViewState,
    dataset=st.none() | ids,
    runs=st.lists(ids, unique=True, max_size=12).map(tuple),
    threshold=st.none() | finite,
    part=st.none() | st.sampled_from(PARTS),
    record=st.none() | st.integers(0, 10**9),
    costs=st.none() | st.builds(Costs, amounts, amounts, amounts, amounts),
    base_rate=st.none() | st.floats(0, 1),
    filters=st.dictionaries(words, words, max_size=5),
    epoch=st.none() | st.integers(1, 10**9),
)


def test_the_first_view_has_no_query():
    assert ViewState().query() == ""
    assert ViewState().link("/runs") == "/runs"
    assert ViewState.of("") == ViewState()


def test_a_full_state_survives_the_url():
    assert ViewState.of("?" + FULL.query()) == FULL


@settings(max_examples=200, deadline=None)
@given(states)
def test_every_state_survives_the_url_to_the_last_bit(state):
    assert ViewState.of(state.query()) == state


@pytest.mark.parametrize(
    "query",
    ["threshold=nan", "threshold=inf", "threshold=1e999", "threshold=x", "threshold=" + "1" * 400, "part=elsewhere",
     "record=-1", "record=1.5", "record=٣", "run=../../etc", "run=", "dataset=<script>", "base_rate=1.5",
     "base_rate=-0.1", "miss=1", "miss=-1&false_alarm=1", "is.=x", "is." + "a" * 501 + "=x",
     "%ff%fe", "&&&==", "unknown=1"],
)  # fmt: skip
def test_what_is_malformed_is_left_out(query):
    assert ViewState.of(query) == ViewState()


@given(st.text(max_size=200))
def test_no_query_raises(query):
    state = ViewState.of(query)
    assert state.threshold is None or math.isfinite(state.threshold)
    assert ViewState.of(state.query()) == state


def test_runs_are_named_once_and_in_order():
    assert ViewState.of(f"run={RUN}&run={OTHER}&run={RUN}").runs == (RUN, OTHER)


def test_at_most_twelve_runs_are_selected():
    assert len(ViewState.of("&".join(f"run={k:012x}" for k in range(50))).runs) == 12


def test_another_screen_takes_over_what_it_names():
    assert FULL.only("runs", "threshold") == ViewState(runs=FULL.runs, threshold=FULL.threshold)
