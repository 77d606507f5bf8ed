"""Every folding rule against a loop over steps and windows, where a spike lands, and what a long series costs."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow.core.errors import DataError, ParameterError, WhitecrowWarning
from whitecrow.data.series import Folding, as_series, window_starts, window_view
from whitecrow.data.series.rows import SeriesRows

RULES = ("last", "centre", "mean", "median", "max")
relaxed = settings(deadline=None, max_examples=150)


def series(lengths, owners=None):
    """Segments of these lengths, each a series of its own unless owners say otherwise."""
    owners = list(range(len(lengths))) if owners is None else owners
    total = [sum(n for n, o in zip(lengths, owners, strict=True) if o == k) for k in sorted(set(owners))]
    return SeriesRows(
        np.zeros((sum(lengths), 1)), np.cumsum([0, *lengths]), np.array(owners), np.array(total), ("x0",), "array",
        "list" if len(total) > 1 else "series",
    )  # fmt: skip


def folded(rule, rows, scores, window, chunk):
    folding = Folding(rule, rows, window, len(scores))
    for first in range(0, scores.shape[1], chunk):
        folding.add(scores[:, first : first + chunk])
    return folding.result()


def looped(rule, lengths, scores, window):
    """The rules word by word: one replica, step by step, window by window."""
    if scores.ndim == 1:
        scores = np.repeat(scores[:, None], window, axis=1)
    combine = {"mean": np.mean, "median": np.median, "max": np.max}
    out, used = [], 0
    for length in lengths:
        n = length - window + 1
        part = scores[used : used + n]
        used += n
        for t in range(length):
            if rule in ("last", "centre"):
                offset = window - 1 if rule == "last" else int(np.ceil((window - 1) / 2))
                out.append(part[min(max(t - offset, 0), n - 1), offset])
            else:
                out.append(combine[rule]([part[i, t - i] for i in range(n) if 0 <= t - i < window]))
    return np.array(out)


@relaxed
@given(
    rule=st.sampled_from(RULES),
    window=st.integers(1, 7),
    beyond=st.lists(st.integers(0, 20), min_size=1, max_size=4),
    chunk=st.integers(1, 30),
    replicas=st.integers(1, 3),
    per_step=st.booleans(),
    seed=st.integers(0, 99),
)
def test_folding_in_chunks_is_the_loop_over_steps_and_windows(rule, window, beyond, chunk, replicas, per_step, seed):
    lengths = [window + extra for extra in beyond]
    rows = series(lengths)
    n = len(window_starts(rows.bounds, window))
    shape = (replicas, n, window) if per_step else (replicas, n)
    scores = np.random.default_rng(seed).normal(size=shape)
    result = folded(rule, rows, scores, window, chunk)
    assert result.shape == (replicas, sum(lengths))
    for r in range(replicas):
        np.testing.assert_allclose(result[r], looped(rule, lengths, scores[r], window), rtol=1e-12, atol=1e-14)


def spiked(window, t0, length=60):
    """Errors of the steps, which are 0 but at the spike, and the score of each window: the largest of them."""
    values = np.zeros((length, 1))
    values[t0] = 1.0
    errors = window_view(values, window)[None, :, :, 0]
    return errors, errors.max(axis=2)


@pytest.mark.parametrize("window", [5, 6])
def test_the_errors_of_a_spike_land_on_its_step_by_every_rule(window):
    errors, _ = spiked(window, 30)
    for rule in RULES:
        result = folded(rule, series([60]), errors, window, 7)[0]
        assert np.flatnonzero(result).tolist() == [30], rule


@pytest.mark.parametrize("window", [5, 6])
def test_the_windows_of_a_spike_land_where_the_rule_says(window):
    _, scores = spiked(window, 30)
    result = {rule: folded(rule, series([60]), scores, window, 7)[0] for rule in RULES}
    top = {rule: np.flatnonzero(values == values.max()).tolist() for rule, values in result.items()}
    assert top["mean"] == [30]
    assert top["last"] == list(range(30, 30 + window))
    assert top["centre"] == list(range(30 - (window - 1) // 2, 30 + window // 2 + 1))
    assert top["max"] == list(range(31 - window, 30 + window))
    reach = (window - 1) // 2  # over half of the windows that cover t cover the spike, too
    assert top["median"] == list(range(30 - reach, 31 + reach))


def test_no_score_by_the_last_rule_depends_on_later_windows():
    scores = np.random.default_rng(0).normal(size=(1, 50))
    changed = scores.copy()
    changed[:, 30:] += 9
    one, other = (folded("last", series([54]), s, 5, 8)[0] for s in (scores, changed))
    np.testing.assert_array_equal(one[:34], other[:34])
    assert (one[34:] != other[34:]).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("extra", [0, 1])
def test_the_length_is_kept_for_a_series_of_one_or_two_windows(rule, extra):
    result = folded(rule, series([6 + extra]), np.arange(1.0 + extra)[None] + 3, 6, 4)[0]
    assert result.shape == (6 + extra,)
    assert (result[0], result[-1]) == (3.0, 3.0 + extra)


def test_a_series_shorter_than_a_window_is_refused():
    with pytest.raises(DataError, match="X has 5 steps but a window takes 6"):
        Folding("mean", series([5]), 6)
    with pytest.raises(DataError, match="X has 9 steps, and 5 steps between gaps at most, but a window takes 6"):
        Folding("mean", series([5, 4], [0, 0]), 6)


@pytest.mark.parametrize("rule", RULES)
def test_steps_between_close_gaps_repeat_the_score_before_them_in_their_series(rule):
    # Of the first series, the segments of 2 steps are too short; the second begins with one.
    rows = series([2, 4, 2, 2, 1, 3], [0, 0, 0, 0, 1, 1])
    scores = np.array([[5.0, 6.0, 7.0]])
    folding = Folding(rule, rows, 3)
    folding.add(scores)
    with pytest.warns(WhitecrowWarning, match="7 of 14 steps"):
        result = folding.result()[0]
    assert result.tolist()[:2] == [5, 5]
    assert result.tolist()[6:10] == [6] * 4
    assert result.tolist()[10:] == [7] * 4


@pytest.mark.parametrize(
    ("rule", "expected"), [("mean", 2.0), ("last", 2.0), ("centre", 2.0), ("median", 1.0), ("max", 5.0)]
)
def test_a_fixed_window_gets_one_score(rule, expected):
    rows = as_series(np.zeros((3, 3, 1)))
    errors = np.tile([0.0, 1.0, 5.0], (1, 3, 1))
    assert folded(rule, rows, errors, 3, 2).tolist() == [[expected] * 3]
    assert folded(rule, rows, np.array([[1.0, 2.0, 3.0]]), 3, 2).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("per_step", [False, True])
def test_a_score_that_is_nan_is_not_hidden(rule, per_step):
    scores = np.zeros((1, 16, 5) if per_step else (1, 16))
    scores[0, 8] = np.nan
    assert np.isnan(folded(rule, series([20]), scores, 5, 6)).any()


def test_the_result_can_be_asked_for_twice():
    folding = Folding("mean", series([8]), 3)
    folding.add(np.arange(6.0)[None])
    np.testing.assert_array_equal(folding.result().copy(), folding.result())


def test_missing_surplus_and_misshapen_scores_are_refused():
    folding = Folding("mean", series([8]), 3, n_replicas=2)
    for shape in [(1, 4), (2, 4, 2), (2,)]:
        with pytest.raises(DataError, match=r"accepted are \[2, B\]"):
            folding.add(np.zeros(shape))
    folding.add(np.zeros((2, 4)))
    with pytest.raises(DataError, match="4 windows were added, but the series have 6"):
        folding.result()
    with pytest.raises(DataError, match="7 windows"):
        folding.add(np.zeros((2, 3)))


@pytest.mark.parametrize("arguments", [{"rule": "first"}, {"window": 0}, {"n_replicas": 0}])
def test_parameters_out_of_range_are_refused(arguments):
    with pytest.raises(ParameterError, match=next(iter(arguments))):
        Folding(**{"rule": "mean", "rows": series([8]), "window": 3} | arguments)


@pytest.mark.parametrize("rule", ["last", "mean", "median"])
def test_a_million_steps_fold_in_seconds_and_in_little_memory(rule):
    values = np.random.default_rng(0).normal(size=1_000_000)
    scores = values[:1024][None]
    tracemalloc.start()
    started = time.process_time()
    rows = as_series(values)
    folding = Folding(rule, rows, 100)
    for first in range(0, folding.n_windows, 1024):
        folding.add(scores[:, : min(1024, folding.n_windows - first)])
    result = folding.result()
    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.isfinite(result).all()
    assert peak < 3 * values.nbytes  # beside the series itself, of which no copy is made
    assert seconds < 20
