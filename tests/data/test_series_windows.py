"""Windows of series, and the split that keeps the order of time."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.series import as_series, chronological_split, training_part, window_starts, window_view

some_lengths = st.lists(st.integers(1, 30), min_size=1, max_size=8)
relaxed = settings(deadline=None, max_examples=100)


def bounds_of(lengths):
    return np.cumsum([0, *lengths])


@relaxed
@given(lengths=some_lengths, window=st.integers(1, 12), stride=st.integers(1, 7))
def test_starts_are_those_of_a_loop_over_the_segments(lengths, window, stride):
    bounds = bounds_of(lengths)
    expected = [start for low, high in itertools.pairwise(bounds) for start in range(low, high - window + 1, stride)]
    assert window_starts(bounds, window, stride).tolist() == expected


def test_the_view_shows_each_window_and_copies_nothing():
    values = np.arange(20.0).reshape(10, 2)
    view = window_view(values, 4)
    assert view.shape == (7, 4, 2)
    assert np.shares_memory(view, values)
    for start in range(7):
        np.testing.assert_array_equal(view[start], values[start : start + 4])
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0, 0] = 1


@relaxed
@given(
    lengths=st.lists(st.integers(12, 40), min_size=1, max_size=5),
    window=st.integers(1, 6),
    share=st.floats(0, 0.5),
    of=st.sampled_from(["segments", "whole"]),
    stride=st.integers(1, 3),
)
def test_training_and_held_out_windows_share_no_step_and_straddle_nothing(lengths, window, share, of, stride):
    rows = as_series([np.zeros(length) for length in lengths])
    split = chronological_split(rows, window, share, stride=stride, of=of)
    segment = np.repeat(np.arange(len(lengths)), lengths)
    steps = {}
    for name in ("train", "held_out"):
        covered = getattr(split, name)[:, None] + np.arange(window)
        assert (segment[covered] == segment[covered][:, :1]).all()
        steps[name] = set(covered.ravel().tolist())
    assert not steps["train"] & steps["held_out"]
    assert split.fitting[sorted(steps["train"])].all()
    assert not split.fitting[sorted(steps["held_out"])].any()


def test_the_end_of_every_segment_is_held_out():
    rows = as_series([np.zeros(10), np.zeros(20)])
    assert np.flatnonzero(~training_part(rows, 0.2)).tolist() == [8, 9, 26, 27, 28, 29]
    split = chronological_split(rows, 2, 0.2, stride=3)
    assert split.train.tolist() == [0, 3, 6, 10, 13, 16, 19, 22]
    assert split.held_out.tolist() == [8, 26, 27, 28]


def test_the_end_of_the_whole_is_held_out():
    rows = as_series([np.zeros(10), np.zeros(20)])
    split = chronological_split(rows, 4, 0.3, of="whole")
    assert split.train.tolist() == [*range(7), *range(10, 18)]
    assert split.held_out.tolist() == list(range(21, 27))


def test_the_last_of_fixed_windows_are_held_out_whole():
    split = chronological_split(as_series(np.zeros((10, 5, 1))), 5, 0.25)
    assert split.train.tolist() == [0, 5, 10, 15, 20, 25, 30]
    assert split.held_out.tolist() == [35, 40, 45]


def test_nothing_is_held_out_where_no_window_fits():
    split = chronological_split(as_series(np.zeros(20)), 5, 0.2)
    assert split.held_out.size == 0
    assert split.fitting.all()
    assert split.train.tolist() == list(range(16))


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match="no window of 10 steps to train on"):
        chronological_split(as_series(np.zeros(20)), 10, 0.6)


def test_a_series_shorter_than_a_window_is_refused_and_the_lengths_are_said():
    with pytest.raises(
        DataError, match=r"Series 1 has 3 steps but a window takes 5.*1 other series is too short as well.*at most 3"
    ):
        chronological_split(as_series([np.zeros(9), np.zeros(3), np.zeros(4)]), 5, 0.1)


@pytest.mark.parametrize("arguments", [{"window": 0}, {"share": 1.0}, {"stride": 0}, {"of": "series"}])
def test_parameters_out_of_range_are_refused(arguments):
    with pytest.raises(ParameterError, match=next(iter(arguments))):
        chronological_split(as_series(np.zeros(9)), **{"window": 2, "share": 0.1} | arguments)
