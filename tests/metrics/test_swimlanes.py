"""Swim lanes against counting row by row."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics.swimlanes import swimlanes


def traffic(n=500, hosts=7, seed=0):
    rng = np.random.default_rng(seed)
    times = np.datetime64("2024-03-01T00:00:00", "s") + rng.integers(0, 90_000, size=n)
    return np.round(rng.exponential(size=n), 2), times, np.array([f"host{h}" for h in rng.integers(hosts, size=n)])


def check_lane(lane, scores, times, edges, threshold, rows):
    for b, (start, end) in enumerate(pairwise(edges)):
        here = scores[rows & (times >= start) & (times < end)]
        assert lane.n_rows[b] == len(here)
        assert lane.flagged[b] == (here > threshold).sum()
        if len(here):
            assert lane.max_score[b] == here.max()
        else:
            assert np.isnan(lane.max_score[b])


def test_each_cell_is_the_maximum_and_the_counts_of_its_rows():
    scores, times, hosts = traffic()
    edges, lanes = swimlanes(scores, times, hosts, 2.0, max_lanes=4, max_buckets=12)
    overall, *entities, others = lanes
    assert [lane.kind for lane in lanes] == ["overall", *["entity"] * 4, "others"]
    check_lane(overall, scores, times, edges, 2.0, np.ones(500, bool))
    for lane in entities:
        check_lane(lane, scores, times, edges, 2.0, hosts == lane.name)
    check_lane(others, scores, times, edges, 2.0, ~np.isin(hosts, [lane.name for lane in entities]))
    assert others.n_entities == 3
    assert overall.n_entities == 7


def test_lanes_are_those_with_the_highest_scores_then_flags_then_names():
    scores = [5, 9, 9, 9, 8, 1, 9]
    hosts = ["low", "one", "two", "two", "eight", "none", "also one"]
    lanes = swimlanes(scores, np.arange(7), hosts, 8.5, max_lanes=4).lanes
    assert [lane.name for lane in lanes] == ["overall", "two", "also one", "one", "eight", "others"]


def test_all_entities_fit_without_others():
    lanes = swimlanes([1.0, 2.0], [0, 1], ["a", "b"], 1.5).lanes
    assert [lane.name for lane in lanes] == ["overall", "b", "a"]


def test_an_entity_named_others_is_not_the_rest():
    lanes = swimlanes([3.0, 2.0, 1.0], [0, 1, 2], ["others", "a", "b"], 0.0, max_lanes=1).lanes
    assert [(lane.name, lane.kind, lane.n_entities) for lane in lanes[1:]] == [
        ("others", "entity", 1),
        ("others", "others", 2),
    ]


@pytest.mark.parametrize(
    "entities", [["a", None, "a"], pl.Series(["a", None, "a"]), np.array(["a", None, "a"], dtype=object)]
)
def test_rows_without_an_entity_have_their_own_lane(entities):
    lanes = swimlanes([1.0, 2.0, 3.0], [0, 1, 2], entities, 0.0).lanes
    assert {lane.name: int(lane.n_rows.sum()) for lane in lanes} == {"overall": 3, "a": 2, "(missing)": 1}


def test_numbers_may_be_entities():
    lanes = swimlanes([1.0, 2.0, 3.0], [0, 1, 2], np.array([80.0, np.nan, 443.0]), 0.0).lanes
    assert [lane.name for lane in lanes[1:]] == ["443.0", "(missing)", "80.0"]
    assert [lane.name for lane in swimlanes([1.0, 2.0], [0, 1], [80, 443], 0.0).lanes[1:]] == ["443", "80"]


def test_order_of_the_rows_does_not_matter():
    scores, times, hosts = traffic()
    order = np.random.default_rng(1).permutation(500)
    one = swimlanes(scores, times, hosts, 2.0, max_lanes=3)
    other = swimlanes(scores[order], times[order], hosts[order], 2.0, max_lanes=3)
    np.testing.assert_array_equal(one.edges, other.edges)
    for lane, twin in zip(one.lanes, other.lanes, strict=True):
        assert lane.name == twin.name
        np.testing.assert_array_equal(lane.max_score, twin.max_score)
        np.testing.assert_array_equal(lane.n_rows, twin.n_rows)


def test_unusable_input_is_refused():
    with pytest.raises(DataError, match="entities has 1 rows"):
        swimlanes([1.0, 2.0], [0, 1], ["a"], 0.0)
    with pytest.raises(DataError, match="times has 3 rows"):
        swimlanes([1.0, 2.0], [0, 1, 2], ["a", "b"], 0.0)
    with pytest.raises(ParameterError, match="max_lanes"):
        swimlanes([1.0], [0], ["a"], 0.0, max_lanes=0)
