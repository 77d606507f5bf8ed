"""The contract that every registered detector of series keeps; a new one is covered by being registered.

The series have two channels that repeat every 16 steps, with a little noise. What departs from them is a spike, another
frequency, or a stretch that stands still.
"""

import copy
import json
import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

import whitecrow as wc
from whitecrow.core import registry
from whitecrow.core.errors import DataError, FitCancelled, ParameterError, WhitecrowWarning
from whitecrow.io import inspect as inspect_file
from whitecrow.io import score_batch
from whitecrow.train import Batch, Progress, Replicas, monitor, train

# Ways of working so different that the contract looks at each of them.
WAYS = {
    "matrix-profile of itself": ("matrix-profile", {"join": "self"}),
    "spectral-residual by windows": ("spectral-residual", {"span": "window", "smoothing": 3}),
    "patch-memory pretext": ("patch-memory", {"train": "pretext"}),
}
SMALL = {
    "gru-vae": {"hidden_dim": 16},
    "patch-memory": {"channels": (8, 16, 16, 16)},
    "seq2seq": {"hidden_dim": 16},
    "tcn-ae": {"n_filters": 8, "dilations": (1, 2), "pool": 8, "latent_channels": 2},
}
REGISTERED = wc.detectors("sequence")
NAMES = [*REGISTERED, *WAYS]
W = 16


def class_of(name: str) -> type[wc.Detector]:
    return registry.load(WAYS.get(name, (name, {}))[0])


DEEP = [name for name in NAMES if issubclass(class_of(name), wc.DeepDetector)]
UNSUPERVISED = [name for name in NAMES if not class_of(name).uses_labels]


def quick(name: str, **parameters: object) -> wc.Detector:
    """Return a detector that trains for moments."""
    registered, way = WAYS.get(name, (name, {}))
    brief = {"epochs": 2} if name in DEEP else {}
    return wc.detector(
        registered, **{"window": W, "random_state": 0, **brief, **SMALL.get(registered, {}), **way, **parameters}
    )


# A score that looks at a series as a whole has no place of its own.
LOCAL = [name for name in NAMES if not quick(name).whole_series]
TRAINED = [name for name in DEEP if quick(name).stages()]
# A saliency is of single steps; and windows of a stretch that repeats itself resemble one another.
ONLY_SPIKES = [name for name in NAMES if class_of(name) is wc.SpectralResidual or name not in LOCAL]


def wave(n: int, seed: int) -> np.ndarray:
    """Return two channels that repeat every 16 steps, with noise, [n, 2]."""
    angle = 2 * np.pi * np.arange(n) / 16
    clean = np.stack([np.sin(angle), np.cos(angle) + 0.5 * np.sin(2 * angle)], axis=1)
    return clean + 0.05 * np.random.default_rng(seed).normal(size=(n, 2))


def cut(n: int, seed: int) -> np.ndarray:
    """Return windows that begin anywhere in a wave, independent of one another, [n, W, 2]."""
    starts = np.random.default_rng(seed).integers(0, W, n)
    return np.stack([wave(2 * W, seed * n + k)[first : first + W] for k, first in enumerate(starts)])


def spiked() -> tuple[np.ndarray, slice]:
    series = NORMAL.copy()
    series[150] += 3
    return series, slice(150, 151)


def faster() -> tuple[np.ndarray, slice]:
    series, angle = NORMAL.copy(), 2 * np.pi * np.arange(40) / 5
    series[150:190] = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return series, slice(150, 190)


def still() -> tuple[np.ndarray, slice]:
    series = NORMAL.copy()
    series[150:190] = series[150]
    return series, slice(150, 190)


TRAIN, NORMAL, FEW = wave(400, 0), wave(300, 1), wave(160, 2)
WINDOWS, NEW_WINDOWS = cut(200, 3), cut(200, 4)


@cache
def fitted(name: str) -> wc.Detector:
    """Return a detector that has learnt the wave; no test may change it."""
    return quick(name, calibration=0.2, **({"epochs": 12} if name in DEEP else {})).fit(TRAIN)


@cache
def of_windows(name: str) -> wc.Detector:
    """Return a detector that has learnt fixed windows; no test may change it."""
    return quick(name, calibration=0.5).fit(WINDOWS)


# ---- what scikit-learn expects ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGISTERED)
def test_a_clone_has_the_parameters_and_nothing_that_was_learnt(name: str) -> None:
    copied = clone(fitted(name))
    assert copied.get_params() == fitted(name).get_params()
    assert not hasattr(copied, "threshold_")
    assert copied.set_params(contamination=0.2).contamination == 0.2
    # Every default passes the checks that a fit begins with.
    class_of(name)()._check_parameters()


@pytest.mark.parametrize("name", NAMES)
def test_what_was_seen_is_recorded(name: str) -> None:
    detector = fitted(name)
    assert (detector.spec_.kind, detector.spec_.shape) == ("sequence", (W, 2))
    assert detector.n_features_in_ == 2 * W
    # Of 400 steps the last 80 are held out; no window reaches from one part into the other.
    found = [detector.summary_[key] for key in ("rows", "rows_trained_on", "rows_held_out")]
    assert found == [400, 320 - W + 1, 80 - W + 1]
    assert json.loads(json.dumps(detector.summary_)) == detector.summary_


@pytest.mark.parametrize("name", NAMES)
def test_a_stride_thins_the_training_windows_and_leaves_no_step_without_a_score(name: str) -> None:
    detector = quick(name, stride=4, calibration=0).fit(FEW)
    assert detector.summary_["rows_trained_on"] == (160 - W) // 4 + 1
    assert detector.anomaly_score(FEW).shape == (160,)


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"contamination": 0.9}, r"contamination=0\.9.*from 0 to 0\.5"),
        ({"regime": "dirty"}, "regime='dirty'.*one of"),
        ({"window": 0}, "window=0.*from 1 to .*'auto'"),
        ({"window": "long"}, "window='long'.*'auto'"),
        ({"fold": "sum"}, "fold='sum'.*last.*centre.*mean.*median.*max"),
        ({"stride": 0}, "stride=0"),
        ({"clip": 0}, "clip=0"),
        ({"device": "abacus"}, "device='abacus'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_parameters_are_refused_before_training(
    name: str, parameters: dict, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_of(name), "_fit_networks", training)
    with pytest.raises(ParameterError, match=says):
        quick(name, **parameters).fit(FEW)


@pytest.mark.parametrize("name", REGISTERED)
def test_a_parameter_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=r"has no parameter 'windows'.*Did you mean window"):
        quick(name, windows=8)


def training(*_: object) -> None:
    pytest.fail("training began")


# ---- same seed, same result ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_refit_forgets_and_repeats(name: str) -> None:
    detector = quick(name).fit(FEW)
    first = detector.anomaly_score(NORMAL)
    detector.fit(np.random.default_rng(0).normal(size=(70, 1)))
    np.testing.assert_array_equal(detector.fit(FEW).anomaly_score(NORMAL), first)
    np.testing.assert_array_equal(quick(name).fit(FEW).anomaly_score(NORMAL), first)


@pytest.mark.parametrize("name", DEEP)
def test_another_seed_gives_another_result(name: str) -> None:
    first, second = (quick(name, random_state=seed).fit(FEW).anomaly_score(NORMAL) for seed in (0, 1))
    assert not np.allclose(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_global_random_states_are_untouched(name: str) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()  # noqa: NPY002
    quick(name, random_state=None).fit(FEW).anomaly_score(NORMAL)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert random.getstate() == before[2]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [lambda x: x, lambda x: [x[:90], x[90:]], lambda x: x[:160].reshape(10, W, 2)])
def test_the_series_that_are_given_are_left_as_they_are(name: str, form: Callable) -> None:
    train, test = FEW.copy(), NORMAL.copy()
    train.flags.writeable = test.flags.writeable = False
    quick(name).fit(form(train)).anomaly_score(form(test))
    np.testing.assert_array_equal(train, FEW)
    np.testing.assert_array_equal(test, NORMAL)


# ---- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_labels_do_not_reach_an_unsupervised_fit(name: str) -> None:
    series, changed = spiked()
    truth = np.zeros(len(series))
    truth[changed] = 1
    np.testing.assert_array_equal(
        quick(name).fit(series, truth).anomaly_score(NORMAL), quick(name).fit(series).anomaly_score(NORMAL)
    )


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_known_anomalies_are_kept_out_of_training(name: str) -> None:
    series, labels = [FEW, 9 * wave(60, 5)], [np.zeros(160), np.ones(60)]
    clean = quick(name, regime="clean").fit(FEW).anomaly_score(NORMAL)
    for y in (labels, np.concatenate(labels)):
        np.testing.assert_array_equal(quick(name, regime="labelled").fit(series, y).anomaly_score(NORMAL), clean)


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (None, "needs y.*labels of 1"),
        (np.zeros(159), r"shape \(159,\).*each of the 160"),
        (np.ones(160), "160 of the 160"),
        (np.full(160, 2), "values such as 2"),
        (np.full(160, np.nan), "nan"),
        (np.full(160, "normal"), "'normal'"),
    ],
    ids=["none", "too-few", "all-anomalies", "other-values", "nan", "text"],
)
def test_unusable_labels_are_refused_before_training(
    name: str, labels: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_of(name), "_fit_networks", training)
    with pytest.raises(DataError, match=says):
        quick(name, regime="labelled").fit(FEW, labels)


# ---- a score depends on its series alone -----------------------------------------------------------------------------


def agree(found: np.ndarray, expected: np.ndarray) -> None:
    """Check that scores differ by rounding only, be it that of a cosine, 1e-7."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=max(1e-5 * np.abs(expected).max(), 1e-7))


@pytest.mark.parametrize("name", NAMES)
def test_score_does_not_depend_on_the_other_series(name: str) -> None:
    detector = fitted(name)
    series = [NORMAL[:70], spiked()[0][40:], NORMAL[100 : 100 + W], 50 * NORMAL[:90]]
    alone = [detector.anomaly_score(one) for one in series]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2]):
        together = detector.anomaly_score([series[k] for k in order])
        for found, k in zip(together, order, strict=True):
            agree(found, alone[k])
    np.testing.assert_array_equal(detector.anomaly_score(series[1]), alone[1])


@pytest.mark.parametrize("name", LOCAL)
def test_score_depends_on_the_windows_that_cover_its_step_alone(name: str) -> None:
    series, _ = spiked()
    whole, part = fitted(name).anomaly_score(series), fitted(name).anomaly_score(series[80:200])
    inner = slice(W - 1, 120 - W + 1)
    agree(part[inner], whole[80:200][inner])


@pytest.mark.parametrize("name", LOCAL)
def test_score_of_the_last_window_does_not_depend_on_later_steps(name: str) -> None:
    detector = quick(name, fold="last").fit(FEW)
    whole = detector.anomaly_score(NORMAL)
    for n in (W, 100):
        agree(detector.anomaly_score(NORMAL[:n]), whole[:n])
    changed = NORMAL.copy()
    changed[100:] = -5
    found = detector.anomaly_score(changed)
    np.testing.assert_array_equal(found[:100], whole[:100])
    assert found[100] != whole[100]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 50])
def test_score_does_not_depend_on_how_many_windows_are_scored_at_once(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = [NORMAL[:40], spiked()[0][140:180]]
    expected = fitted(name).anomaly_score(series)
    monkeypatch.setattr(class_of(name), "chunk_rows", size)
    for found, scores in zip(fitted(name).anomaly_score(series), expected, strict=True):
        agree(found, scores)


@pytest.mark.parametrize("name", NAMES)
def test_score_of_a_fixed_window_does_not_depend_on_the_others(name: str) -> None:
    order = np.random.default_rng(0).permutation(200)
    for detector in (of_windows(name), fitted(name)):
        whole = detector.anomaly_score(NEW_WINDOWS)
        assert whole.shape == (200,)
        agree(detector.anomaly_score(NEW_WINDOWS[order]), whole[order])
        agree(np.concatenate([detector.anomaly_score(window[None]) for window in NEW_WINDOWS[::20]]), whole[::20])


# ---- one series in any form ------------------------------------------------------------------------------------------


def hourly(steps: np.ndarray, first: int = 0) -> pl.DataFrame:
    """Return a table of steps, one an hour."""
    begin = datetime(2026, 3, 1) + timedelta(hours=first)
    return pl.DataFrame(
        {"when": [begin + timedelta(hours=k) for k in range(len(steps))], "load": steps[:, 0], "heat": steps[:, 1]}
    )


def indexed(steps: np.ndarray) -> pd.DataFrame:
    table = hourly(steps).to_pandas()
    return table.set_index("when")


FORMS = {
    "float32": lambda x: x.astype(np.float32),
    "int16": lambda x: x.astype(np.int16),
    "big-endian": lambda x: x.astype(">f8"),
    "column by column": np.asfortranarray,
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed rows": lambda x: x[::-1].copy()[::-1],
    "nested lists": lambda x: x.tolist(),
    "polars": lambda x: pl.DataFrame(x, schema=["a", "b"]),
    "polars with times": hourly,
    "pandas": lambda x: pd.DataFrame(x, columns=["a", "b"]),
    "pandas with a time index": indexed,
    "arrow": lambda x: hourly(x).to_arrow(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("name", REGISTERED)
def test_a_series_scores_the_same_in_any_form(name: str, form: Callable) -> None:
    series = np.round(20 * NORMAL[:90])
    scores = fitted(name).anomaly_score(form(series))
    assert scores.dtype == np.float64
    agree(scores, fitted(name).anomaly_score(series))


@pytest.mark.parametrize("name", REGISTERED)
def test_one_channel_needs_no_second_axis(name: str) -> None:
    detector = quick(name).fit(FEW[:, 0])
    assert detector.spec_.shape == (W, 1)
    scores = detector.anomaly_score(NORMAL[:, 0])
    assert scores.shape == (300,)
    for form in (NORMAL[:, :1], NORMAL[:, 0].tolist(), pd.Series(NORMAL[:, 0]), pl.Series("x", NORMAL[:, 0])):
        np.testing.assert_array_equal(detector.anomaly_score(form), scores)


@pytest.mark.parametrize("name", NAMES)
def test_every_step_has_a_score_in_the_form_of_what_was_given(name: str) -> None:
    detector = fitted(name)
    for n in (W, W + 1, 90):
        assert detector.anomaly_score(NORMAL[:n]).shape == (n,)
    given = [NORMAL[:30], NORMAL[:W], NORMAL[:47]]
    calls = (detector.anomaly_score, detector.is_anomaly, detector.predict, detector.p_value, detector.score_samples)
    for call in (*calls, detector.decision_function):
        found = call(given)
        assert [part.shape for part in found] == [(30,), (W,), (47,)]
        assert all(np.isfinite(part).all() for part in found)
    mean, std = detector.anomaly_score(given, return_std=True)
    assert [len(part) for part in std] == [len(part) for part in mean] == [30, W, 47]


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_learnt_and_no_window_reaches_from_one_series_into_the_next(name: str) -> None:
    detector = quick(name, calibration=0).fit([FEW[:50], FEW[50:120], FEW[120:]])
    assert detector.summary_["rows_trained_on"] == 160 - 3 * (W - 1)
    assert detector.anomaly_score(FEW).shape == (160,)


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_taken_as_they_are(name: str) -> None:
    detector = quick(name).fit(hourly(FEW))
    expected = quick(name).fit(FEW).anomaly_score(NORMAL)
    table = hourly(NORMAL)
    np.testing.assert_array_equal(detector.anomaly_score(table), expected)
    np.testing.assert_array_equal(detector.anomaly_score(indexed(NORMAL)), expected)
    rearranged = table.select("heat", level=pl.lit(7), room=pl.lit("cellar"), load="load", when="when")
    np.testing.assert_array_equal(detector.anomaly_score(rearranged), expected)
    with pytest.warns(WhitecrowWarning, match="order"):
        np.testing.assert_array_equal(detector.anomaly_score(table.reverse()), expected[::-1])
    with pytest.raises(DataError, match="no column 'heat'"):
        detector.anomaly_score(table.drop("heat"))


@pytest.mark.parametrize("name", NAMES)
def test_no_window_reaches_over_a_gap(name: str) -> None:
    gap = pl.concat([hourly(NORMAL[:100]), hourly(NORMAL[100:], first=500)])
    parts = fitted(name).anomaly_score([NORMAL[:100], NORMAL[100:]])
    np.testing.assert_array_equal(fitted(name).anomaly_score(gap), np.concatenate(parts))


# ---- quality ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change"),
    [(name, change) for name in NAMES for change in (spiked, faster, still)
     if change is spiked or name not in ONLY_SPIKES],
)  # fmt: skip
def test_what_departs_scores_higher(name: str, change: Callable) -> None:
    series, where = change()
    scores, steps = fitted(name).anomaly_score(series), np.arange(len(series))
    changed = (steps >= where.start) & (steps < where.stop)
    apart = (steps < where.start - W) | (steps >= where.stop + W)  # windows that hold none of the change
    assert roc_auc_score(changed[apart | changed], scores[apart | changed]) >= 0.95


# The mean saliency of so few steps says little.
@pytest.mark.parametrize("name", [name for name in NAMES if class_of(name) is not wc.SpectralResidual])
def test_a_window_that_departs_scores_higher(name: str) -> None:
    windows = NEW_WINDOWS.copy()
    windows[::10, 7] += 3
    scores = fitted(name).anomaly_score(windows)
    assert roc_auc_score(np.arange(200) % 10 == 0, scores) >= 0.9


@pytest.mark.parametrize("name", [name for name in TRAINED if class_of(name) is not wc.PatchMemory])
def test_training_beats_the_initialisation(name: str) -> None:
    series, where = faster()
    labels = np.zeros(len(series))
    labels[where] = 1
    trained = roc_auc_score(labels, fitted(name).anomaly_score(series))
    detector = copy.copy(fitted(name))
    detector.replicas_ = Replicas.build(detector.networks, detector.spec_, detector.replica_seeds_, "direct")
    detector.replicas_.draw_noise("score")
    assert trained > roc_auc_score(labels, detector.anomaly_score(series))


# ---- thresholds and p-values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_p_values_hold_on_new_normal_windows(name: str) -> None:
    p = of_windows(name).p_value(NEW_WINDOWS)
    assert p.min() >= 1 / 101
    for level in (0.05, 0.1, 0.5):
        # 3.5 standard errors of the calibration set and of the test set together
        assert (p <= level).mean() <= level + 3.5 * np.sqrt(level * (1 - level) * (1 / 100 + 1 / 200))


@pytest.mark.parametrize("name", NAMES)
def test_the_share_that_is_flagged_is_about_the_contamination(name: str) -> None:
    detector = quick(name, contamination=0.1).fit(wave(500, 6))
    assert len(detector.fit_scores_) == 500
    assert (detector.fit_scores_ > detector.threshold_).mean() == pytest.approx(0.1, abs=0.01)
    scores = detector.anomaly_score(wave(500, 7))
    assert 0.02 < (scores > detector.threshold_).mean() < 0.25
    for of, expected in (
        (detector.is_anomaly, scores > detector.threshold_),
        (detector.predict, np.where(scores > detector.threshold_, -1, 1)),
        (detector.decision_function, detector.threshold_ - scores),
        (detector.score_samples, -scores),
    ):
        np.testing.assert_array_equal(of(wave(500, 7)), expected)
    assert not quick(name, contamination=0).fit(FEW).is_anomaly(FEW).any()


@pytest.mark.parametrize("name", NAMES)
def test_threshold_can_be_set_without_a_refit(name: str) -> None:
    from whitecrow.calibrate import BestF1, Quantile

    detector, (series, where) = copy.copy(fitted(name)), spiked()
    labels = np.zeros(300)
    labels[where] = 1
    detector.set_threshold(Quantile(0.25), series)
    assert detector.is_anomaly(series).mean() == pytest.approx(0.25, abs=0.01)
    detector.set_threshold(BestF1(), series, labels)
    assert "labelled" in detector.threshold_source_
    detector.set_threshold(float(detector.anomaly_score(series).max()))
    assert not detector.is_anomaly(series).any()


# ---- odd series ------------------------------------------------------------------------------------------------------

ODD = {
    "two windows": FEW[: W + 1],
    "constant": np.full((60, 2), 7.0),
    "a channel that is constant": np.column_stack([FEW[:60, 0], np.full(60, 7.0)]),
    "large": 1e30 * FEW[:60],
    "small": 1e-30 * FEW[:60],
    "truth values": FEW[:60] > 0,
    "many channels": np.random.default_rng(0).normal(size=(60, 30)),
    "short series": [FEW[k : k + W + k % 3] for k in range(20)],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("series", ODD.values(), ids=ODD.keys())
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_odd_series_are_learnt_and_scored_and_so_is_what_moves_later(name: str, series: object) -> None:
    detector = quick(name).fit(series)
    steps = np.concatenate(series) if isinstance(series, list) else np.asarray(series, float)
    for given in (steps, steps + 2, np.where(np.arange(len(steps))[:, None] == 9, steps + 1e6, steps)):
        scores = detector.anomaly_score(given)
        assert scores.shape == (len(steps),)
        assert np.isfinite(scores).all()


# ---- what is refused -------------------------------------------------------------------------------------------------


def spoilt(value: float) -> np.ndarray:
    """Return a series of which one step holds a value that cannot be used."""
    series = FEW.copy()
    series[7, 1] = value
    return series


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize(
    ("series", "says"),
    [
        (spoilt(np.nan), "NaN or inf: column 'x1', first in row 7"),
        (spoilt(-np.inf), "NaN or inf: column 'x1', first in row 7"),
        ([FEW, spoilt(np.nan)], "first in series 1, row 7"),
        (np.where(np.arange(160)[:, None, None] == 3, np.nan, np.zeros((160, W, 2))), "first in window 3, step 0"),
        (hourly(spoilt(np.nan)), "'heat', first in row 7"),
        (FEW.astype(str), "accepted are numbers"),
        (np.full((60, 2), None), "accepted are numbers"),
        (FEW.astype(complex), "accepted are numbers"),
        (hourly(FEW).with_columns(heat=pl.lit("low")), "'heat' is String; channels must be numbers"),
        (FEW[:0], "0 steps"),
        ([], "0 steps"),
        (FEW[:, :0], "0 steps or channels"),
        (hourly(FEW).select("when"), "0 channels"),
        (FEW[:1], "1 samples"),
        (FEW[: W - 1], "X has 15 steps but a window takes 16.*Give longer series"),
        ([FEW, FEW[:9]], "Series 1 has 9 steps but a window takes 16"),
        (FEW[:W], "1 windows of 16 steps are left to train on"),
        ([FEW, FEW[:, :1]], "Series 1 has the channels x0, but series 0 has x0, x1"),
        (np.zeros((3, 4, 5, 2)), r"shape \(3, 4, 5, 2\); accepted are one series"),
        ([[1.0, 2.0], [3.0]], "ragged"),
        (7.0, "shape"),
        (None, "type object|shape"),
    ],
    ids=[
        "nan", "inf", "nan-in-list", "nan-in-windows", "nan-in-table", "strings", "objects", "complex", "text-column",
        "no-steps", "no-series", "no-channels", "no-columns", "one-step", "too-short", "one-too-short", "one-window",
        "other-channels", "4d", "ragged", "number", "none",
    ],
)  # fmt: skip
def test_bad_series_are_refused_before_training(
    name: str, series: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_of(name), "_fit_networks", training)
    detector = quick(name)
    with pytest.raises(DataError, match=says):
        detector.fit(series)
    assert not hasattr(detector, "threshold_")


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize(
    ("series", "says"),
    [
        (np.zeros((90, 3)), "3 channels, but .* expecting 2"),
        (FEW[:, 0], "1 channels, but .* expecting 2"),
        ([FEW[:, :1]], "1 channels, but .* expecting 2"),
        (WINDOWS[:, :9], "fixed windows of 9 steps, but a window takes 16"),
        (WINDOWS[:100].reshape(50, 2 * W, 2), "fixed windows of 32 steps, but a window takes 16"),
        (WINDOWS[..., :1], "1 channels, but .* expecting 2"),
        (FEW[: W - 1], "X has 15 steps but a window takes 16"),
        ([FEW, FEW[:9], FEW[:3]], r"Series 2 has 3 steps but a window takes 16\. 1 other series is too short"),
        (spoilt(np.nan), "NaN or inf"),
        (FEW[:0], "0 steps"),
        (FEW.astype(str), "accepted are numbers"),
    ],
    ids=[
        "more-channels", "fewer-channels", "list-of-fewer", "shorter-windows", "longer-windows", "windows-of-fewer",
        "too-short", "some-too-short", "nan", "no-steps", "strings",
    ],
)  # fmt: skip
def test_series_unlike_those_of_the_fit_are_refused(name: str, series: object, says: str) -> None:
    for call in (fitted(name).anomaly_score, fitted(name).is_anomaly, fitted(name).p_value):
        with pytest.raises(DataError, match=says):
            call(series)


@pytest.mark.parametrize("name", REGISTERED)
def test_a_failed_refit_leaves_no_mixture(name: str) -> None:
    detector = copy.copy(fitted(name))
    with pytest.raises(DataError):
        detector.fit(spoilt(np.nan))
    with pytest.raises(wc.NotFittedError):
        detector.anomaly_score(NORMAL)


@pytest.mark.parametrize("name", REGISTERED)
def test_unfitted_detector_says_so(name: str, tmp_path: Path) -> None:
    detector = quick(name)
    for call in (detector.anomaly_score, detector.is_anomaly, detector.p_value, detector.explain):
        with pytest.raises(wc.NotFittedError, match="not fitted"):
            call(NORMAL)
    with pytest.raises(wc.NotFittedError, match="not fitted"):
        detector.save(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", REGISTERED)
def test_without_held_out_steps_there_are_no_p_values(name: str) -> None:
    with pytest.raises(DataError, match="calibration"):
        quick(name, calibration=0).fit(FEW).p_value(NORMAL)


@pytest.mark.parametrize("name", REGISTERED)
def test_what_needs_a_table_or_images_says_so(name: str) -> None:
    with pytest.raises(DataError, match=r"explain needs .* fitted on a table, not on sequence data"):
        fitted(name).explain(NORMAL)
    with pytest.raises(DataError, match="fitted on a table, not on sequence data"):
        score_batch(pl.DataFrame({"a": [1.0]}), fitted(name))
    with pytest.raises(DataError, match="fitted on a sequence, not on images"):
        fitted(name).anomaly_map(NORMAL)


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_saved_detector_scores_the_same(name: str, tmp_path: Path) -> None:
    detector, path = fitted(name), tmp_path / "model.safetensors"
    detector.save(path)
    loaded = wc.load(path)
    for series in (NORMAL, NEW_WINDOWS, hourly(NORMAL)):
        np.testing.assert_array_equal(loaded.anomaly_score(series), detector.anomaly_score(series))
        np.testing.assert_array_equal(loaded.p_value(series), detector.p_value(series))
        np.testing.assert_array_equal(loaded.is_anomaly(series), detector.is_anomaly(series))
    assert loaded.threshold_ == detector.threshold_
    assert loaded.get_params() == detector.get_params()
    assert loaded.spec_ == detector.spec_
    assert loaded.n_features_in_ == detector.n_features_in_
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    shown = inspect_file(path)
    assert shown["spec"] == {"kind": "sequence", "shape": [W, 2]}
    assert shown["columns"] == [{"name": "x0", "kind": "number"}, {"name": "x1", "kind": "number"}]


SCORER = """
import sys
import numpy as np
import whitecrow as wc
for path in sys.argv[2:]:
    np.save(path + ".npy", wc.load(path).anomaly_score(np.load(sys.argv[1])))
"""


def test_another_process_scores_the_same(tmp_path: Path, preloaded_python: str) -> None:
    np.save(tmp_path / "series.npy", NORMAL)
    paths = [str(tmp_path / f"{k}.safetensors") for k in range(len(NAMES))]
    for name, path in zip(NAMES, paths, strict=True):
        fitted(name).save(path)
    subprocess.run([preloaded_python, "-c", SCORER, tmp_path / "series.npy", *paths], check=True, timeout=120)
    for name, path in zip(NAMES, paths, strict=True):
        np.testing.assert_array_equal(np.load(path + ".npy"), fitted(name).anomaly_score(NORMAL), err_msg=name)


@pytest.mark.parametrize("name", REGISTERED)
def test_a_detector_of_tables_comes_back_with_the_names_of_its_channels(name: str, tmp_path: Path) -> None:
    detector = quick(name).fit(hourly(FEW))
    detector.save(tmp_path / "model.safetensors")
    loaded, table = wc.load(tmp_path / "model.safetensors"), hourly(NORMAL).select("heat", "when", "load")
    np.testing.assert_array_equal(loaded.anomaly_score(table), detector.anomaly_score(hourly(NORMAL)))
    assert [column["name"] for column in inspect_file(tmp_path / "model.safetensors")["columns"]] == ["load", "heat"]


# ---- gradient-trained detectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEEP)
def test_replicas_are_solo_fits_however_they_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cls, scores = class_of(name), {}
    # Foreign layers run one replica after the other, whatever the class claims.
    for execution in {"loop"} if fitted(name).replicas_.foreign else {"vmap", "loop", cls.execution}:
        monkeypatch.setattr(cls, "execution", execution)
        together = quick(name, n_replicas=2).fit(FEW)
        scores[execution] = together._flat_scores(NORMAL)[1]
    assert len(set(together.replica_seeds_)) == 2
    alone = [quick(name, random_state=seed).fit(FEW).anomaly_score(NORMAL) for seed in together.replica_seeds_]
    for execution, values in scores.items():
        np.testing.assert_allclose(values, alone, rtol=5e-5, atol=1e-6 * np.ptp(alone), err_msg=execution)
    mean, std = together.anomaly_score(NORMAL, return_std=True)
    np.testing.assert_allclose(mean, np.mean(alone, axis=0), rtol=1e-4, atol=1e-6 * np.ptp(alone))
    assert (std > 0).any()


@pytest.mark.parametrize("name", DEEP)
def test_every_parameter_has_a_gradient_of_its_objectives(name: str) -> None:
    detector = fitted(name)
    x = torch.from_numpy(detector._encode(FEW))
    y = torch.full((len(x),), -1)
    replicas = Replicas.build(detector.networks, detector.spec_, [0], "direct")
    replicas.draw_noise("test")
    with torch.no_grad():  # as the engine calls it
        detector.prepare(replicas.replica(0), x, y)
        detector.after_epoch(replicas.replica(0), x, 1000)  # past where a part of a game counts nothing yet
    trained: set[str] = set()
    for stage in detector.stages():
        for objective in stage.objectives:
            leaves = replicas.leaves(objective.trains)
            replicas.freeze_all_but(leaves)
            loss = replicas.losses(getattr(detector, objective.loss), Batch(x, y))
            grads = torch.autograd.grad(loss, leaves)
            parameters = dict(replicas.replica(0).named_parameters())
            names = [n for leaf in leaves for n, p in parameters.items() if p is leaf]
            dead = [n for n, g in zip(names, grads, strict=True) if not g.abs().sum() > 0]
            assert not dead
            trained.update(names)
    assert trained == set(replicas.trainable)


@pytest.mark.parametrize("name", TRAINED)
def test_an_objective_moves_only_what_it_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = fitted(name)
    x = torch.from_numpy(detector._encode(FEW))
    y = torch.full((len(x),), -1)
    start = Replicas.build(detector.networks, detector.spec_, [0], "direct")
    for stage in detector.stages():
        for objective in stage.objectives:
            brief = replace(stage, objectives=(objective,), epochs=1)
            monkeypatch.setattr(class_of(name), "stages", lambda self, brief=brief: (brief,))
            settings = detector._settings(len(x))
            after = train(detector, x, y, spec=detector.spec_, seeds=[0], settings=settings).replicas.stacked
            moved = {n for n in start.trainable if not torch.equal(after[n], start.stacked[n])}
            assert moved
            assert not objective.trains or {n.split(".")[0] for n in moved} == set(objective.trains)


@pytest.mark.parametrize("name", TRAINED)
def test_progress_is_reported_to_the_end(name: str) -> None:
    seen: list[Progress] = []
    with monitor(seen.append):
        quick(name, epochs=3, validation=0).fit(FEW)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert seen[-1].epoch == seen[-1].epochs
    assert fractions[-1] == 1
    assert np.isfinite([progress.loss for progress in seen if progress.epoch]).all()


class Stop:
    """Cancels the fit after its first complete epoch."""

    def __call__(self, progress: Progress) -> None:
        if progress.epoch >= 1:
            raise FitCancelled("stop")


@pytest.mark.parametrize("name", TRAINED)
def test_a_fit_that_is_cancelled_leaves_nothing_and_one_that_is_resumed_equals_the_undisturbed_one(
    name: str, tmp_path: Path
) -> None:
    undisturbed = quick(name, epochs=3).fit(FEW)
    resumable = quick(name, epochs=3, checkpoint=str(tmp_path / "fit.checkpoint"))
    with monitor(Stop()), pytest.raises(FitCancelled):
        resumable.fit(FEW)
    with pytest.raises(wc.NotFittedError):
        resumable.anomaly_score(NORMAL)
    assert (tmp_path / "fit.checkpoint").exists()
    resumable.fit(FEW)
    np.testing.assert_array_equal(resumable.anomaly_score(NORMAL), undisturbed.anomaly_score(NORMAL))
    assert resumable.history_ == undisturbed.history_


# ---- the registry ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGISTERED)
def test_the_registry_and_the_class_name_the_same_kinds(name: str) -> None:
    assert set(registry._entries()[name].extras) == set(class_of(name).kinds)


@pytest.mark.parametrize("name", REGISTERED)
def test_the_page_names_what_a_window_is(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "detectors" / f"{name}.md").read_text()
    assert re.search("window|series", page)
