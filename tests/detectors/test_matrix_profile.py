"""The matrix profile against all pairs of windows, stumpy and the published figure of TSB-AD."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import zscore

from whitecrow import MatrixProfile
from whitecrow.core.errors import MissingExtraError, ModelFileError
from whitecrow.data.series import window_view
from whitecrow.data.series.files import read_tsb_ad
from whitecrow.metrics.series import vus

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data")) / "timeseries"
RAW = {"scaling": "none", "calibration": 0, "clip": None}
W = 12


def noisy(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n).astype(np.float32)


def shapes(series: np.ndarray) -> np.ndarray:
    return zscore(window_view(series.astype(float)[:, None], W)[:, :, 0], axis=1)


def of_windows(score: np.ndarray) -> np.ndarray:
    """Return the scores of the windows out of those of the steps around which they lie."""
    return score[W // 2 : len(score) - W + W // 2 + 1]


def far(pairs: np.ndarray, zone: int = W // 4) -> np.ndarray:
    """Return distances of all pairs of windows of one series, without those that begin too near."""
    places = np.arange(len(pairs))
    return np.where(np.abs(places[:, None] - places) > zone, pairs, np.inf)


def test_a_window_is_compared_with_all_training_windows():
    det = MatrixProfile(window=W, **RAW).fit(noisy(300))
    expected = cdist(shapes(noisy(80, 1)), shapes(noisy(300))).min(1)
    np.testing.assert_allclose(of_windows(det.anomaly_score(noisy(80, 1))), expected, rtol=1e-5)


def test_or_with_all_windows_of_its_series_that_begin_far_enough_away():
    det = MatrixProfile(window=W, join="self", **RAW).fit(noisy(300))
    for n in (2 * W, 250):
        own = shapes(noisy(n, 1))
        expected = far(cdist(own, own)).min(1)
        np.testing.assert_allclose(of_windows(det.anomaly_score(noisy(n, 1))), expected, rtol=1e-6)


def test_channels_are_compared_each_by_itself():
    train, new = (np.stack([noisy(100, s), noisy(100, s + 1)], -1) for s in (0, 2))
    score = MatrixProfile(window=W, **RAW).fit(train).anomaly_score(new)
    alone = [MatrixProfile(window=W, **RAW).fit(train[:, c]).anomaly_score(new[:, c]) for c in (0, 1)]
    np.testing.assert_allclose(score, np.mean(alone, axis=0), rtol=1e-6)


def test_the_threshold_comes_from_windows_that_do_not_find_themselves():
    series = noisy(300)
    det = MatrixProfile(window=W, fold="last", **RAW).fit(series)
    expected = far(cdist(shapes(series), shapes(series))).min(1)
    expected = np.concatenate([np.full(W - 1, expected[0]), expected])
    np.testing.assert_allclose(det.fit_scores_, np.sort(expected), rtol=1e-5)
    np.testing.assert_allclose(det.anomaly_score(series), 0, atol=1e-5)


def test_level_and_amplitude_do_not_matter():
    det = MatrixProfile(window=W, **RAW).fit(noisy(200))
    np.testing.assert_allclose(det.anomaly_score(100 + 7 * noisy(90, 1)), det.anomaly_score(noisy(90, 1)), rtol=1e-4)


def test_flat_windows_are_alike_and_as_far_from_others_as_they_are_long():
    flat = MatrixProfile(window=W, **RAW).fit(np.concatenate([noisy(40), np.zeros(40)]))
    moving = MatrixProfile(window=W, **RAW).fit(noisy(40))
    np.testing.assert_allclose(flat.anomaly_score(np.full(30, 5.0)), 0, atol=1e-6)
    np.testing.assert_allclose(moving.anomaly_score(np.full(30, 5.0)), np.sqrt(W), rtol=1e-6)


def test_a_twin_hides_a_change_from_the_join_with_itself():
    series = np.sin(2 * np.pi * np.arange(600) / W) + 0.02 * noisy(600)
    odd = noisy(W, 9)
    series[200 : 200 + W] = odd
    once, train = series.copy(), np.sin(2 * np.pi * np.arange(400) / W) + 0.02 * noisy(400, 1)
    series[500 : 500 + W] = odd
    own, by_train = (MatrixProfile(window=W, join=join).fit(train) for join in ("self", "train"))
    assert abs(own.anomaly_score(once).argmax() - 206) < W
    assert own.anomaly_score(series)[206] < 0.1 * own.anomaly_score(once)[206]
    assert by_train.anomaly_score(series)[206] > 0.9 * own.anomaly_score(once)[206]


def test_a_series_without_another_window_is_as_if_unrelated():
    det = MatrixProfile(window=W, join="self", **RAW).fit(noisy(100))
    np.testing.assert_allclose(det.anomaly_score(noisy(W + 2)), np.sqrt(2 * W))


def test_of_many_training_windows_evenly_spaced_ones_are_kept():
    det = MatrixProfile(window=W, max_windows=10, **RAW).fit(noisy(300))
    kept = shapes(noisy(300))[np.linspace(0, 288, 10).astype(int)]
    np.testing.assert_allclose(
        of_windows(det.anomaly_score(noisy(80, 1))), cdist(shapes(noisy(80, 1)), kept).min(1), rtol=1e-5
    )


def test_a_model_without_windows_is_refused():
    det = MatrixProfile(window=W, **RAW).fit(noisy(100))
    net = det.replicas_.replica(0)
    net.windows = net.windows[:, :0]
    with pytest.raises(ModelFileError, match="no windows"):
        det.check_buffers(net)


def test_stumpy_is_asked_for_before_anything_is_learnt(monkeypatch):
    monkeypatch.setitem(sys.modules, "stumpy", None)
    with pytest.raises(MissingExtraError, match=r"engine='stumpy'.*whitecrow\[series\]"):
        MatrixProfile(window=W, join="self", engine="stumpy").fit(noisy(100))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_stumpy_gives_the_same_distances(monkeypatch):
    # To compile its loops would take half a minute; on a short series they run as they are written.
    monkeypatch.setattr(pytest.importorskip("numba").config, "DISABLE_JIT", True)
    pytest.importorskip("stumpy")
    series = np.concatenate([noisy(150), np.full(40, 0.5, np.float32), noisy(150, 1), np.full(40, 3, np.float32)])
    ours, theirs = (MatrixProfile(window=W, join="self", engine=e, **RAW).fit(series) for e in ("torch", "stumpy"))
    np.testing.assert_allclose(theirs.anomaly_score(series), ours.anomaly_score(series), atol=1e-5)
    np.testing.assert_allclose(theirs.anomaly_score(noisy(W + 2)), ours.anomaly_score(noisy(W + 2)), atol=1e-5)


def test_the_published_figure_of_tsb_ad_is_reached():
    """The benchmark joins the series with itself; here both ends get the least distance instead of the nearest."""
    path = DATA / "tsb_ad_u_001_NAB_id_1_Facility_tr_1007_1st_2014.csv.gz"
    if not path.is_file():
        pytest.skip("the TSB-AD series are absent: set WHITECROW_DATA")
    data = read_tsb_ad([path])
    score = MatrixProfile(join="self", calibration=0, clip=None).fit(data.X).anomaly_score(data.X)
    score[:3] = score[-2:] = score.min()
    assert vus(data.y, score, 6).pr == pytest.approx(0.0940, abs=5e-5)
