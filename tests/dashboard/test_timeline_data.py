"""The timeline's buckets and words, counted anew."""

import numpy as np
import polars as pl
import pytest

from whitecrow.dashboard.drift_state import DriftState
from whitecrow.dashboard.explore_state import ExploreState
from whitecrow.dashboard.score_bins import score_bins, score_edges
from whitecrow.dashboard.timeline_data import Timeline, bucket_labels, lane_columns
from whitecrow.metrics import score_histogram


def made(n=500, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(2 * n, n, replace=False))
    score = rng.lognormal(size=n)
    label = np.where(rng.random(n) < 0.1, 1, rng.choice([0, -1], n)).astype(np.int8)
    return Timeline("Row", "", rows, rows, score, label, score, neighbours=False)


@pytest.mark.parametrize("window", [None, (100, 400), (137, 137 + 300)])
def test_buckets_hold_the_rows_between_their_ends_and_count_them(window):
    line = made()
    found = line.buckets(2.0, window)
    first, last = (0, 10**9) if window is None else window
    inside = (line.rows >= first) & (line.rows <= last)
    assert found.overall.n_rows.sum() == inside.sum()
    seen = np.zeros(len(line.rows), dtype=bool)
    for k, ends in enumerate(found.ends):
        if ends is None:
            assert found.overall.n_rows[k] == 0
            continue
        rows = (line.rows >= ends[0]) & (line.rows <= ends[1])
        assert not (seen & rows).any()
        seen |= rows
        assert found.overall.n_rows[k] == rows.sum()
        assert found.overall.max_score[k] == line.score[rows].max()
        assert found.overall.flagged[k] == (line.score[rows] > 2.0).sum()
        assert found.anomalies[k] == (line.label[rows] == 1).sum()
    assert np.array_equal(seen, inside)


def test_lanes_are_those_of_the_rows_in_the_window():
    line = made()
    hosts = pl.Series("host", np.where(np.arange(1000) % 3 == 0, "a", "b"))
    found = line.buckets(2.0, (0, 300), hosts)
    assert {lane.name for lane in found.lanes} == {"a", "b"}
    a = next(lane for lane in found.lanes if lane.name == "a")
    assert a.n_rows.sum() == ((line.rows <= 300) & (line.rows % 3 == 0)).sum()


def test_times_are_told_as_finely_as_their_steps():
    start = np.datetime64("2026-03-04T05:06:00", "us")
    assert bucket_labels(start + np.array([0, 3_600_000_000, 7_200_000_000])) == (
        "2026-03-04 05:06",
        "2026-03-04 06:06",
    )
    assert bucket_labels(start + np.array([0, 1_500_000, 3_000_000]))[1] == "2026-03-04 05:06:01"
    assert bucket_labels(np.array([0, 1000, 2000])) == ("0", "1,000")
    assert bucket_labels(np.array([0.0, 0.25, 0.5])) == ("0", "0.25")


def test_lanes_are_offered_for_columns_of_few_values_alone():
    table = pl.DataFrame(
        {"host": ["a"] * 60, "up": [True] * 60, "port": [80, 443] * 30, "id": list(range(60)), "size": [0.5] * 60}
    )
    assert lane_columns(table) == ["host", "up", "port"]


@pytest.mark.parametrize(
    "query",
    ["first=3&last=9&lanes=a%26b%3D1", "meaning=count&first=0&last=0", "lanes=%3Cb%3E",
     "run=0123456789ab&run=ba9876543210&first=3&last=9&by=run"],
)  # fmt: skip
def test_window_and_lanes_come_back_from_the_address(query):
    state = ExploreState.of(query)
    assert ExploreState.of(state.query()) == state
    assert state.query() == query


def test_an_address_cannot_ask_for_lanes_of_two_kinds():
    state = ExploreState.of("lanes=host&by=run")
    assert (state.by_run, state.lanes) == (True, None)
    assert not ExploreState.of("by=host").by_run


@pytest.mark.parametrize(
    "query", ["first=3", "first=9&last=3", "first=-1&last=3", "first=1e3&last=2000", "first=%D9%A1&last=9"]
)
def test_a_malformed_window_is_left_out(query):
    assert ExploreState.of(query).window is None
    assert DriftState.of(query).window is None


def test_the_drift_screens_address_holds_its_window():
    state = DriftState.of("run=0123456789ab&first=5&last=7")
    assert (state.runs, state.window) == (("0123456789ab",), (5, 7))
    assert DriftState.of(state.query()) == state


def test_skewed_scores_have_a_logarithmic_axis_with_and_without_labels():
    rng = np.random.default_rng(0)
    scores = rng.lognormal(0, 2, 2000)
    label = (rng.random(2000) < 0.1).astype(np.int8)
    edges, scale = score_edges(label, scores, 1.0)
    assert scale == score_bins(label, scores, 1.0).scale == "log"
    assert np.diff(np.log(edges)) == pytest.approx(
        np.full(len(edges) - 1, np.log(edges[-1] / edges[0]) / (len(edges) - 1))
    )
    unknown, scale = score_edges(np.full(2000, -1, dtype=np.int8), scores, 1.0)
    assert scale == "log"
    assert np.isfinite(unknown).all()


def test_even_scores_and_scores_of_zero_or_less_have_a_linear_axis():
    rng = np.random.default_rng(0)
    label = (rng.random(500) < 0.1).astype(np.int8)
    for scores in (rng.normal(100, 1, 500), rng.normal(0, 1, 500)):
        assert score_edges(label, scores, 1.0)[1] == "linear"
        wanted = score_histogram(label, scores, 1.0, 40)
        assert np.array_equal(score_bins(label, scores, 1.0).normals, wanted.normals)
        assert score_edges(np.full(500, -1, dtype=np.int8), scores, 1.0)[1] == "linear"
