"""Sub-PCA against SciPy, scikit-learn and the published figure of TSB-AD."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from whitecrow import SubPCA
from whitecrow.core.errors import ModelFileError, ParameterError
from whitecrow.data.series import window_view
from whitecrow.data.series.files import read_tsb_ad
from whitecrow.metrics.series import vus

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data")) / "timeseries"
RAW = {"scaling": "none", "calibration": 0, "clip": None}
W = 8


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (np.sin(np.arange(400) / 4) + 0.3 * rng.normal(size=400)).astype(np.float32)


def windows(series: np.ndarray, width: int = W) -> np.ndarray:
    return window_view(series.reshape(len(series), -1).astype(float), width).reshape(len(series) - width + 1, -1)


def of_windows(det: SubPCA, series: np.ndarray) -> np.ndarray:
    """Return the scores of the windows out of those of the steps around which they lie."""
    return det.anomaly_score(series)[W // 2 : W // 2 + len(series) - W + 1]


def test_pyods_score_is_the_distance_to_the_tips_of_scikit_learns_components(series):
    det = SubPCA(window=W, score_type="pyod", **RAW).fit(series)
    rows = StandardScaler().fit_transform(windows(series))
    found = PCA(svd_solver="full").fit(rows)
    expected = (cdist(rows, found.components_) / found.explained_variance_ratio_).sum(1)
    np.testing.assert_allclose(of_windows(det, series), expected, rtol=1e-6)


def test_all_directions_give_scipys_mahalanobis_distance(series):
    det = SubPCA(window=W, **RAW).fit(series)
    rows = windows(series)
    inverse = np.linalg.inv(np.cov(rows.T))
    expected = cdist(rows, rows.mean(0, keepdims=True), "mahalanobis", VI=inverse)[:, 0] ** 2
    # The covariance of the standardised windows has the divisor n - 1, and their scale n: both cancel.
    np.testing.assert_allclose(of_windows(det, series), expected, rtol=1e-6)


def test_reconstruction_is_what_scikit_learns_components_leave(series):
    det = SubPCA(window=W, score_type="reconstruction", n_components=2, **RAW).fit(series)
    rows = StandardScaler().fit_transform(windows(series))
    found = PCA(2, svd_solver="full").fit(rows)
    expected = np.square(rows - found.inverse_transform(found.transform(rows))).sum(1)
    np.testing.assert_allclose(of_windows(det, series), expected, rtol=1e-5)


def test_windows_that_are_not_standardised_are_centred_only(series):
    X = windows(series)
    det = SubPCA(window=W, score_type="reconstruction", n_components=2, standardise=False, **RAW).fit(series)
    model = PCA(2).fit(X)
    left = ((X - model.inverse_transform(model.transform(X))) ** 2).sum(1)
    np.testing.assert_allclose(of_windows(det, series), left, rtol=1e-6)


def test_the_share_of_the_variance_decides_how_many_directions_are_kept(series):
    shares = PCA(svd_solver="full").fit(StandardScaler().fit_transform(windows(series))).explained_variance_ratio_
    for share in (0.25, 0.7, 0.95):
        det = SubPCA(window=W, n_components=share, **RAW).fit(series)
        assert det.replicas_.replica(0).directions.shape[1] == int((shares.cumsum() < share).sum()) + 1


@pytest.mark.parametrize(
    ("score_type", "channels", "share"),
    [("mahalanobis", 1, 1.0), ("mahalanobis", 2, 1.0), ("reconstruction", 1, 0.9), ("pyod", 1, 1.0), ("pyod", 2, 0.25)],
)
def test_how_many_directions_are_kept_is_the_scores_own_choice(series, score_type, channels, share):
    X = np.stack([series, np.roll(series, 50)], -1)[:, :channels]
    own, said = (SubPCA(window=W, score_type=score_type, n_components=n, **RAW).fit(X) for n in (None, share))
    np.testing.assert_array_equal(own.anomaly_score(X), said.anomaly_score(X))


def test_the_largest_loading_of_each_direction_is_positive(series):
    directions = SubPCA(window=W, **RAW).fit(series).replicas_.replica(0).directions.numpy()
    assert (directions[np.abs(directions).argmax(0), np.arange(W)] > 0).all()


def test_leaving_the_subspace_of_a_clean_wave_is_news():
    wave = np.sin(2 * np.pi * np.arange(400) / 16)
    det = SubPCA(window=16, regime="clean").fit(wave)
    changed = wave.copy()
    changed[200] += 1e-2
    assert det.anomaly_score(changed)[190:210].max() > 1e3 * np.median(det.anomaly_score(wave))


def test_few_windows_of_many_values_give_the_components_of_their_span():
    rng = np.random.default_rng(0)
    windows = (rng.normal(size=(6, 3)) @ ortho_group.rvs(40, random_state=0)[:3]).reshape(6, 40, 1)
    det = SubPCA(score_type="pyod", **RAW).fit(windows)
    assert det.replicas_.replica(0).directions.shape == (40, 3)
    assert np.isfinite(det.anomaly_score(windows)).all()


def test_more_directions_than_values_are_refused(series):
    with pytest.raises(ParameterError, match=r"n_components=9.*8 values.*1 to 8"):
        SubPCA(window=W, n_components=9).fit(series)


def test_weights_that_are_negative_are_refused(series):
    det = SubPCA(window=W, **RAW).fit(series)
    net = det.replicas_.replica(0)
    net.weight_along.neg_()
    with pytest.raises(ModelFileError, match="out of range"):
        det.check_buffers(net)


def test_the_published_figure_of_tsb_ad_is_reached():
    """The benchmark fits on the whole series, windows of one period, and scores the same series."""
    path = DATA / "tsb_ad_u_001_NAB_id_1_Facility_tr_1007_1st_2014.csv.gz"
    if not path.is_file():
        pytest.skip("the TSB-AD series are absent: set WHITECROW_DATA")
    data = read_tsb_ad([path])
    score = SubPCA(score_type="pyod", calibration=0, clip=None).fit(data.X).anomaly_score(data.X)
    assert vus(data.y, score, 6).pr == pytest.approx(0.179, abs=0.002)
