"""What is asked of every detector that compares windows, or looks at a whole series, without being told how."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import whitecrow as wc
from whitecrow.core.errors import DataError, ModelFileError

W = 20
SMALL = {"patch-memory": {"channels": (8, 16, 16, 16)}}
NAMES = ["k-means-ad", "matrix-profile", "patch-memory", "spectral-residual", "sub-pca"]
WHOLE = [("matrix-profile", {"join": "self"}), ("spectral-residual", {"span": "window", "fold": "last"})]
EACH = pytest.mark.parametrize(("name", "settings"), [*((name, {}) for name in NAMES), *WHOLE])


def make(name: str, **settings: object) -> wc.Detector:
    return wc.detector(name, **{"window": W, "random_state": 0, **SMALL.get(name, {}), **settings})


def wave(n: int, seed: int = 0, noise: float = 0.05) -> np.ndarray:
    """Return a sine of period 20 with a little noise."""
    return np.sin(2 * np.pi * np.arange(n) / 20) + noise * np.random.default_rng(seed).normal(size=n)


def spike() -> tuple[np.ndarray, slice]:
    series = wave(800, 1)
    series[411] += 3
    return series, slice(411, 412)


def flat() -> tuple[np.ndarray, slice]:
    series = wave(800, 1)
    series[400:440] = series[400]
    return series, slice(400, 440)


def faster() -> tuple[np.ndarray, slice]:
    series = wave(800, 1)
    series[400:440] = np.sin(2 * np.pi * np.arange(40) / 8)
    return series, slice(400, 440)


@EACH
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_what_never_changes_gets_finite_scores_and_so_does_what_moves_later(name, settings, channels) -> None:
    detector = make(name, **settings).fit(np.full((90, channels), 7.0))
    for series in (np.full((60, channels), 7.0), np.full((60, channels), 9.0), np.eye(60, channels) + 7):
        assert np.isfinite(detector.anomaly_score(series)).all()


@EACH
def test_every_step_has_a_score(name, settings) -> None:
    detector = make(name, **settings).fit(wave(200))
    for n in (W, W + 1, 90):
        assert detector.anomaly_score(wave(n)).shape == (n,)
    assert [len(scores) for scores in detector.anomaly_score([wave(30), wave(40)])] == [30, 40]
    with pytest.raises(DataError, match=r"X has 19 steps but a window takes 20"):
        detector.anomaly_score(wave(W - 1))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sub-pca", spike), ("sub-pca", flat), ("sub-pca", faster),
        ("k-means-ad", spike), ("k-means-ad", flat), ("k-means-ad", faster),
        ("matrix-profile", spike), ("matrix-profile", flat), ("matrix-profile", faster),
        ("patch-memory", spike), ("patch-memory", flat), ("patch-memory", faster),
        ("spectral-residual", spike),
    ],
)  # fmt: skip
def test_the_change_is_found(name, change) -> None:
    series, where = change()
    score = make(name, regime="clean").fit(wave(800)).anomaly_score(series)
    steps = np.arange(len(series))
    apart = (steps < where.start - W) | (steps >= where.stop + W)  # windows that hold none of the change
    changed = (steps >= where.start) & (steps < where.stop)
    assert roc_auc_score(changed[apart | changed], score[apart | changed]) >= 0.95


@EACH
def test_two_fits_with_one_seed_agree(name, settings) -> None:
    first, second = (make(name, **settings).fit(wave(200)).anomaly_score(wave(90, 1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@EACH
def test_a_saved_detector_scores_the_same(name, settings, tmp_path: Path) -> None:
    detector = make(name, **settings).fit(np.stack([wave(200), wave(200, 2)], -1))
    detector.save(tmp_path / "model.safetensors")
    loaded, series = wc.load(tmp_path / "model.safetensors"), np.stack([wave(90, 3), wave(90, 4)], -1)
    np.testing.assert_array_equal(loaded.anomaly_score(series), detector.anomaly_score(series))
    np.testing.assert_array_equal(loaded.is_anomaly(series), detector.is_anomaly(series))


@EACH
def test_the_order_of_fixed_windows_does_not_matter(name, settings) -> None:
    windows = np.random.default_rng(0).normal(size=(50, W, 2))
    detector, order = make(name, **settings).fit(windows), np.random.default_rng(1).permutation(50)
    np.testing.assert_allclose(
        detector.anomaly_score(windows[order]), detector.anomaly_score(windows)[order], rtol=1e-5
    )


@EACH
def test_about_the_share_that_was_asked_for_is_flagged_of_new_steps(name, settings) -> None:
    detector = make(name, contamination=0.1, **settings).fit(wave(1500))
    assert 0.02 < detector.is_anomaly(wave(1500, 5)).mean() < 0.25


@pytest.mark.parametrize("name", NAMES)
def test_a_file_without_a_buffer_is_refused(name, tmp_path: Path) -> None:
    make(name).fit(wave(200)).save(tmp_path / "model.safetensors")
    whole = (tmp_path / "model.safetensors").read_bytes()
    key = {
        "sub-pca": b"networks.mean", "k-means-ad": b"networks.flat", "matrix-profile": b"networks.flat",
        "patch-memory": b"networks.memory.bank", "spectral-residual": b"networks.reach",
    }[name]  # fmt: skip
    (tmp_path / "model.safetensors").write_bytes(whole.replace(key, key[:-1] + b"x"))
    with pytest.raises(ModelFileError):
        wc.load(tmp_path / "model.safetensors")
