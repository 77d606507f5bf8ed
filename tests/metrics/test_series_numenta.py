"""The NAB score against sums of sigmoids by hand, its definition row by row, and the real windows."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics import series
from whitecrow.metrics.series.numenta import scaled_sigmoid

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data"))
NAB = DATA / "timeseries" / "nab"

WEIGHTS = {"standard": (1, 0.11, 1), "reward-low-FP": (1, 0.22, 1), "reward-low-FN": (1, 0.11, 2)}
every_profile = pytest.mark.parametrize("profile", list(WEIGHTS))


def steps(n, *runs):
    bits = np.zeros(n)
    for a, b in runs:
        bits[a:b] = 1
    return bits


def sigmoid(y):
    return -1.0 if y > 3 else 2 / (1 + np.exp(5 * y)) - 1


def normalised(raw, n_windows, profile):
    a_tp, _, a_fn = WEIGHTS[profile]
    return 100 * (raw + a_fn * n_windows) / ((a_tp + a_fn) * n_windows)


def by_definition(labels, flags, profile, probation):
    """Raw score, one row after the other."""
    a_tp, a_fp, a_fn = WEIGHTS[profile]
    raw, n_windows = 0.0, 0
    for y, flagged in zip(labels, flags, strict=True):
        windows = [(int(a), int(b) - 1) for a, b in series.events(y)]
        n_windows += len(windows)
        scored = [i for i in np.flatnonzero(flagged) if i >= min(int(probation * len(y)), int(probation * 5000))]
        for a, r in windows:
            w = r - a + 1
            hits = [sigmoid(-(r - i + 1) / w) / sigmoid(-1) for i in scored if a <= i <= r]
            raw += a_tp * max(hits) if hits else -a_fn
        for i in scored:
            before = [(a, r) for a, r in windows if a <= i]
            if before and i <= before[-1][1]:
                continue
            if not before:
                raw -= a_fp
            else:
                a, r = before[-1]
                raw += a_fp * (sigmoid((i - r) / (r - a)) if r > a else -1)
    return normalised(raw, n_windows, profile)


def test_the_sigmoid_has_its_published_values():
    np.testing.assert_allclose(scaled_sigmoid([-1, -0.5, 0, 1]), [0.98661, 0.84828, 0, -0.98661], atol=5e-6)
    assert scaled_sigmoid(3.0) > -1
    assert scaled_sigmoid(3.0001) == scaled_sigmoid(np.inf) == -1


@every_profile
def test_flags_by_hand(profile):
    a_tp, a_fp, a_fn = WEIGHTS[profile]
    y = steps(100, (40, 50), (80, 84))
    # One before any window, the fourth and fifth step of the first window, and 3 and 28 steps behind its end.
    flags = steps(100, (20, 21), (43, 45), (52, 53), (77, 78))
    raw = -a_fp + a_tp * sigmoid(-0.7) / sigmoid(-1) + a_fp * sigmoid(3 / 9) + a_fp * -1 - a_fn
    assert series.nab_score([y], [flags], 0.5, profile=profile) == pytest.approx(normalised(raw, 2, profile), abs=1e-9)


def test_a_flag_exactly_three_widths_behind_still_counts_by_the_sigmoid():
    y = steps(100, (40, 50))
    at = [steps(100, (49 + 27, 49 + 28)), steps(100, (49 + 28, 49 + 29))]
    found = [series.nab_score([y], [flags], 0.5) for flags in at]
    expected = [normalised(-1 + 0.11 * value, 1, "standard") for value in (sigmoid(3.0), -1)]
    assert found == pytest.approx(expected, abs=1e-12)


@every_profile
def test_no_flag_is_0_and_the_first_step_of_each_window_is_100(profile):
    labels = [steps(200, (50, 70), (150, 151)), steps(300), steps(60, (30, 60))]
    silent = [np.zeros(len(y)) for y in labels]
    perfect = [steps(200, (50, 51), (150, 151)), np.zeros(300), steps(60, (30, 31))]
    assert series.nab_score(labels, silent, 0.5, profile=profile) == 0
    assert series.nab_score(labels, perfect, 0.5, profile=profile) == pytest.approx(100, abs=1e-9)
    assert series.oracle_nab_score(labels, perfect, profile=profile).score == pytest.approx(100, abs=1e-9)
    # Constant scores flag everything or nothing; nothing is better.
    assert series.oracle_nab_score(labels, silent, profile=profile) == (0, 0)


def test_probation_ignores_the_first_steps_of_each_series():
    y = steps(100, (50, 60))
    assert series.nab_score([y], [steps(100, (0, 15))], 0.5) == 0
    assert series.nab_score([y], [steps(100, (15, 16))], 0.5) < 0
    assert series.nab_score([y], [steps(100, (0, 1))], 0.5, probation=0.0) < 0


def test_probation_is_at_most_750_steps():
    y = steps(20_000, (10_000, 10_100))
    assert series.nab_score([y], [steps(20_000, (0, 750))], 0.5) == 0
    assert series.nab_score([y], [steps(20_000, (750, 751))], 0.5) == pytest.approx(-100 * 0.11 / 2)


@st.composite
def corpora(draw):
    """One to three series with windows of various widths and scores with few distinct values."""
    labels, scores = [], []
    for _ in range(draw(st.integers(1, 3))):
        n = draw(st.integers(4, 30))
        bits = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
        bits[: int(0.15 * n)] = [0] * int(0.15 * n)
        labels.append(np.repeat(bits, draw(st.integers(1, 5))))
        labels[-1][-1] = 1
        scores.append(np.array(draw(st.lists(st.integers(-3, 3), min_size=len(labels[-1]), max_size=len(labels[-1])))))
    return labels, scores


@every_profile
@settings(deadline=None, max_examples=30)
@given(corpus=corpora())
def test_the_score_is_its_definition_at_every_threshold_and_the_sweep_finds_the_best(profile, corpus):
    labels, scores = corpus
    thresholds = [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5]
    expected = [by_definition(labels, [s > t for s in scores], profile, 0.15) for t in thresholds]
    found = [series.nab_score(labels, scores, t, profile=profile) for t in thresholds]
    assert found == pytest.approx(expected, abs=1e-9)
    oracle = series.oracle_nab_score(labels, scores, profile=profile)
    assert oracle.score == pytest.approx(max(expected), abs=1e-9)
    assert series.nab_score(labels, scores, oracle.threshold, profile=profile) == pytest.approx(oracle.score, abs=1e-9)


def test_only_the_order_of_scores_counts_in_the_sweep():
    rng = np.random.default_rng(0)
    labels = [steps(500, (200, 250)), steps(400, (100, 140), (300, 310))]
    scores = [rng.normal(size=len(y)) + y for y in labels]
    one, other = (series.oracle_nab_score(labels, s).score for s in (scores, [np.exp(s) for s in scores]))
    assert one == other


@pytest.fixture(scope="module")
def real():
    """Labels of the real series, 1 inside the published windows, and the number of those windows."""
    if not NAB.is_dir():
        pytest.skip("the Numenta series are absent: set WHITECROW_DATA")
    labels, n_windows = [], 0
    for name, windows in json.loads((NAB / "combined_windows.json").read_text()).items():
        files = [path for path in (NAB / name, NAB / f"{name}.gz") if path.exists()]
        if files:
            stamps = pl.read_csv(files[0]).get_column("timestamp").to_numpy().astype("datetime64[us]")
            y = np.zeros(len(stamps), int)
            for begin, end in windows:
                y[(stamps >= np.datetime64(begin)) & (stamps <= np.datetime64(end))] = 1
            labels.append(y)
            n_windows += len(windows)
    return labels, n_windows


@every_profile
def test_real_windows_leave_the_null_detector_at_0_and_the_perfect_one_at_100(real, profile):
    labels, n_windows = real
    starts = [np.r_[y[:1], np.diff(y) == 1].astype(float) for y in labels]
    assert len(labels) == 35
    assert sum(s.sum() for s in starts) == n_windows
    assert series.nab_score(labels, starts, 1.0, profile=profile) == 0
    assert series.nab_score(labels, starts, 0.5, profile=profile) == pytest.approx(100, abs=1e-9)


def test_noise_on_real_windows_scores_little_but_more_than_nothing(real):
    labels, _ = real
    rng = np.random.default_rng(0)
    noise = [rng.random(len(y)) for y in labels]
    best = series.oracle_nab_score(labels, noise)
    assert 5 < best.score < 30
    assert series.nab_score(labels, noise, best.threshold) == pytest.approx(best.score, abs=1e-9)


@pytest.mark.parametrize(
    ("labels", "scores", "options", "error", "said"),
    [
        ([[0, 1]], [[0, 1], [0, 1]], {}, ParameterError, "1 labels and 2 scores"),
        ([[0, 1]], [[0, 1]], {"profile": "low"}, ParameterError, "profile must be"),
        ([[0, 1]], [[0, 1]], {"probation": 1.0}, ParameterError, "probation must be"),
        ([[0, 0]], [[0, 1]], {}, DataError, "no series has a window"),
        ([], [], {}, DataError, "no series has a window"),
        ([[0, 1]], [[0, np.nan]], {}, DataError, "NaN"),
        ([[0, 1]], [[0, 1, 1]], {}, DataError, "2 rows and scores has 3"),
        ([[1] + [0] * 19], [[0] * 20], {}, DataError, "window of steps 0 to 0 ends within the first 3 steps"),
    ],
)
def test_unusable_input_is_refused(labels, scores, options, error, said):
    for call in (
        lambda: series.oracle_nab_score(labels, scores, **options),
        lambda: series.nab_score(labels, scores, 0.5, **options),
    ):
        with pytest.raises(error, match=said):
            call()


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(DataError, match="threshold"):
        series.nab_score([[0, 1]], [[0, 1]], np.nan)
