"""The spectral residual against NumPy's FFT and the published figure of TSB-AD."""

import os
from pathlib import Path

import numpy as np
import pytest

from whitecrow import SpectralResidual
from whitecrow.core.errors import ModelFileError
from whitecrow.data.series.files import read_tsb_ad
from whitecrow.metrics.series import vus

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data")) / "timeseries"
RAW = {"scaling": "none", "calibration": 0, "clip": None, "window": 10}


def noisy(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n).astype(np.float32).astype(float)


def saliency(series: np.ndarray, q: int) -> np.ndarray:
    """Return the saliency by the whole complex spectrum."""
    spectrum = np.fft.fft(series)
    logarithm, phase, n = np.log(np.abs(spectrum)), np.angle(spectrum), len(series)
    half = logarithm[1 : n // 2 + 1]
    before = (q - 1) // 2
    mean = np.convolve(np.pad(half, (before, q - 1 - before), "edge"), np.ones(q) / q, "valid")
    residual = np.zeros(n)
    residual[1 : n // 2 + 1] = half - mean
    residual[n - np.arange(1, n // 2 + 1)] = half - mean
    return np.sqrt(n) * np.abs(np.fft.ifft(np.exp(residual + 1j * phase)))


@pytest.mark.parametrize("n", [100, 101])
@pytest.mark.parametrize("q", [1, 3, 20])
@pytest.mark.parametrize("fold", ["mean", "median", "max"])
def test_every_step_of_a_series_has_its_saliency(n, q, fold):
    det = SpectralResidual(smoothing=q, fold=fold, **RAW).fit(noisy(200, 1))
    np.testing.assert_allclose(det.anomaly_score(noisy(n)), saliency(noisy(n), q), rtol=1e-9)


def test_channels_are_averaged():
    both = np.stack([noisy(80), noisy(80, 1)], -1)
    det = SpectralResidual(smoothing=3, **RAW).fit(both)
    expected = (saliency(both[:, 0], 3) + saliency(both[:, 1], 3)) / 2
    np.testing.assert_allclose(det.anomaly_score(both), expected, rtol=1e-9)


def test_the_relative_score_is_the_excess_over_the_mean_of_the_steps_before():
    det = SpectralResidual(smoothing=3, score_type="relative", background=21, **RAW).fit(noisy(200, 1))
    s = saliency(noisy(90), 3)
    mean = np.convolve(np.concatenate([np.full(20, s[0]), s]), np.ones(21) / 21, "valid")
    np.testing.assert_allclose(det.anomaly_score(noisy(90)), np.maximum((s - mean) / mean, 0), atol=1e-9)


def test_a_spike_in_noise_has_the_highest_score():
    series = 0.1 * noisy(500)
    series[317] += 1
    assert SpectralResidual().fit(0.1 * noisy(500, 1)).anomaly_score(series).argmax() == 317


def test_the_saliency_of_noise_does_not_depend_on_the_length():
    det = SpectralResidual(**RAW).fit(noisy(300))
    short, long = det.anomaly_score(noisy(400, 1)).mean(), det.anomaly_score(noisy(8000, 2)).mean()
    assert short == pytest.approx(long, rel=0.1)


def test_a_level_and_a_pure_tone_leave_nothing_to_explain_away():
    det = SpectralResidual(**RAW).fit(noisy(300))
    np.testing.assert_array_equal(det.anomaly_score(np.zeros(60)), 0)
    tone = det.anomaly_score(np.sin(2 * np.pi * np.arange(200) / 20))
    # What is left of one frequency is a wave of amplitude 2 exp(R) / sqrt(T), whatever floor the others have.
    assert np.isfinite(tone).all()
    np.testing.assert_allclose(tone[:20], tone[20:40], rtol=0.1, atol=0.02)


def test_by_windows_a_spike_is_seen_when_it_happens():
    series = np.sin(2 * np.pi * np.arange(900) / 20) + 0.1 * noisy(900)
    det = SpectralResidual(span="window", fold="last", smoothing=3, **{**RAW, "window": 64}).fit(series)
    series[[333, 512, 777]] += 2
    score = det.anomaly_score(series)
    assert (score > score[[333, 512, 777]].min()).mean() < 0.02


def test_a_window_is_extended_along_the_slopes_before_its_last_step():
    det = SpectralResidual(span="window", smoothing=3, fold="last", **RAW).fit(noisy(300))
    window = noisy(10, 1)
    slope = np.mean([(window[8] - window[8 - i]) / i for i in range(1, 6)])
    extended = np.concatenate([window, np.full(5, window[4] + 5 * slope)])
    assert det.anomaly_score(window)[-1] == pytest.approx(saliency(extended, 3)[9])


def test_a_negative_range_is_refused():
    det = SpectralResidual(**RAW).fit(noisy(100))
    net = det.replicas_.replica(0)
    net.reach.fill_(-1)
    with pytest.raises(ModelFileError, match="negative"):
        det.check_buffers(net)


def test_the_published_figure_of_tsb_ad_is_reached():
    """The benchmark scales the whole series to [0, 1] and continues the spectrum by values of the series."""
    path = DATA / "tsb_ad_u_001_NAB_id_1_Facility_tr_1007_1st_2014.csv.gz"
    if not path.is_file():
        pytest.skip("the TSB-AD series are absent: set WHITECROW_DATA")
    data = read_tsb_ad([path])
    det = SpectralResidual(scaling="minmax", spectrum_ends="series", calibration=0, clip=None).fit(data.X)
    assert vus(data.y, det.anomaly_score(data.X), 6).pr == pytest.approx(0.135, abs=0.001)
