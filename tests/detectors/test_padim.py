"""PaDiM against SciPy, scikit-learn and the law of its distances."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from scipy.stats import chi2, kstest
from sklearn.covariance import oas
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import nn

import whitecrow as wc
from whitecrow.core.errors import ModelFileError, ParameterError
from whitecrow.detectors.image.padim import PaDiM, _moments, _shrunk
from whitecrow.nn import Networks
from whitecrow.nn.extractors import ModuleExtractor, Preprocessing


def noise(n, seed, channels=3, side=5):
    """Return images whose channels are correlated Gaussians, another law at each pixel, [n, channels, side, side]."""
    mixing = np.random.default_rng(99).normal(size=(side * side, channels, channels))
    draws = np.random.default_rng(seed).normal(size=(n, side * side, channels, 1))
    return (mixing @ draws)[..., 0].transpose(0, 2, 1).reshape(n, channels, side, side)


def extractor(side=5, rotation=None):
    """Return an extractor whose only map is the image, or every pixel turned by a rotation of its channels."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(3).reshape(3, 3, 1, 1) if rotation is None else rotation.reshape(3, 3, 1, 1))
    return ModuleExtractor(network, ["0"], Preprocessing((0.5,) * 3, (0.5,) * 3, (side, side)))


def plain(**given):
    """Return a detector of the pixels themselves, whose map is what it is."""
    return PaDiM(**{"extractor": extractor(), "random_state": 0, "calibration": 0, "smoothing": 0.0, **given})


def turned_bars(n, seed):
    """Return images with a bar in its place, bytes [n, 16, 16]."""
    rng = np.random.default_rng(seed)
    images = rng.normal(60, 6, size=(n, 16, 16))
    images[:, 6:9] += 120
    return images.clip(0, 255).astype(np.uint8)


# ---- the Gaussians ---------------------------------------------------------------------------------------------------


def test_squared_distances_of_gaussian_features_follow_chi_squared():
    detector = plain(ridge=1e-9).fit(noise(20_000, 0))
    squares = detector.anomaly_map(noise(2000, 1)).astype(np.float64) ** 2
    for row, column in ((0, 0), (1, 2), (3, 3)):
        assert kstest(squares[:, row, column], chi2(3).cdf).pvalue > 0.01


@pytest.mark.parametrize("ridge", [1e-6, 0.01, 1.0])
def test_map_is_the_mahalanobis_distance_and_the_score_its_largest(ridge):
    train, test = noise(60, 0), noise(5, 1)
    detector = plain(ridge=ridge).fit(train)
    features = [detector._encode(x).reshape(-1, 3, 25).astype(np.float64) for x in (train, test)]
    expected = np.empty((5, 25))
    for place in range(25):
        at = features[0][:, :, place]
        inverse = np.linalg.inv(np.cov(at, rowvar=False) + ridge * np.eye(3))
        expected[:, place] = [mahalanobis(x, at.mean(0), inverse) for x in features[1][:, :, place]]
    np.testing.assert_allclose(detector.anomaly_map(test).reshape(5, 25), expected, rtol=1e-4)
    np.testing.assert_allclose(detector.anomaly_score(test), expected.max(1), rtol=1e-4)
    mean = plain(ridge=ridge, score_type="mean").fit(train)
    np.testing.assert_allclose(mean.anomaly_score(test), expected.mean(1), rtol=1e-4)


@pytest.mark.parametrize("far", [0.0, 1e5])
def test_streamed_moments_are_those_of_the_whole(far):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 200, 5)) + far)
    mean, covariance = _moments(iter(x.split([7, 64, 100, 29], dim=1)))
    np.testing.assert_allclose(mean, x.mean(1), rtol=1e-12)
    for place in range(3):
        np.testing.assert_allclose(covariance[place], np.cov(x[place].numpy(), rowvar=False), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("n", "d"), [(5, 8), (12, 8), (40, 30)])
def test_shrinkage_is_that_of_scikit_learn(n, d):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(2, n, d)) * rng.uniform(0.2, 3, size=d)
    shrunk = _shrunk(torch.from_numpy(np.stack([np.cov(rows, rowvar=False) for rows in x])), n)
    for place in range(2):
        expected, _ = oas(x[place])
        # scikit-learn divides by n, and the rule knows no scale.
        np.testing.assert_allclose(shrunk[place], expected * n / (n - 1), rtol=1e-9)


def test_few_images_are_shrunk_and_constant_ones_are_no_obstacle():
    assert _shrunk(torch.zeros(1, 3, 3).double(), 5).abs().max() == 0
    scores = PaDiM(random_state=0).fit(np.full((4, 9, 9), 7, np.uint8)).anomaly_score(turned_bars(3, 0)[:, :9, :9])
    assert np.isfinite(scores).all()
    detector = plain(ridge=1e-9)
    few, many = (
        detector.fit(noise(5, 0)).anomaly_score(noise(50, 1)),
        detector.fit(noise(6, 0)).anomaly_score(noise(50, 1)),
    )
    # From 2 d images on the covariance is as it is: of 6 images in 3 dimensions it is far too small somewhere.
    assert np.median(few) < np.median(many)


@pytest.mark.parametrize("ridge", [0.01, 0.5])
def test_rotated_features_give_the_same_scores(ridge):
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0))).Q
    test = noise(20, 1)
    scores = [
        plain(extractor=e, ridge=ridge).fit(noise(50, 0)).anomaly_score(test)
        for e in (extractor(), extractor(rotation=rotation))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-4)


# ---- channels --------------------------------------------------------------------------------------------------------


def channels(**given):
    return PaDiM(**{"random_state": 0, **given}).fit(turned_bars(12, 0)).replicas_.replica(0).channels.tolist()


def test_channels_are_drawn_from_the_seed():
    assert len(channels()) == len(set(channels())) == 100
    assert channels(random_state=1) != channels()
    assert channels(n_channels=7) == sorted(channels(n_channels=7))
    assert channels(n_channels=1000) == list(range(64 + 1 + 128))


@pytest.mark.parametrize("given", [{}, {"n_channels": 10, "score_type": "mean"}])
def test_saved_detector_has_the_channels_and_the_scores(given, tmp_path):
    detector = PaDiM(random_state=0, **given).fit(turned_bars(20, 0))
    detector.save(tmp_path / "model.safetensors")
    loaded = wc.load(tmp_path / "model.safetensors")
    test = turned_bars(5, 1).swapaxes(1, 2)
    np.testing.assert_array_equal(loaded.anomaly_score(test), detector.anomaly_score(test))
    np.testing.assert_array_equal(loaded.anomaly_map(test), detector.anomaly_map(test))
    assert torch.equal(loaded.replicas_.replica(0).channels, detector.replicas_.replica(0).channels)


@pytest.fixture(scope="module")
def small():
    return PaDiM(random_state=0, n_channels=6).fit(turned_bars(8, 0))


@pytest.mark.parametrize(
    "tamper",
    [
        lambda b: b.pop("channels"),
        lambda b: b.pop("kernel_0"),
        lambda b: b["channels"].fill_(193),
        lambda b: b["channels"].fill_(-1),
        lambda b: b.update(channels=b["channels"][:-1]),
        lambda b: b.update(channels=b["channels"].int()),
        lambda b: b.update(centre=b["centre"][:-1]),
        lambda b: b.update(whitening=b["whitening"][1:]),
        lambda b: b.update(whitening=b["whitening"][:, :, :-1]),
        lambda b: b["whitening"].fill_(float("inf")),
        lambda b: b["std_1"].neg_(),
    ],
)
def test_tampered_buffers_are_refused(small, tamper):
    buffers = {name: tensor.clone() for name, tensor in small.replicas_.replica(0).tensors()}
    small.check_buffers(Networks(**buffers))
    tamper(buffers)
    with pytest.raises(ModelFileError, match="PaDiM"):
        small.check_buffers(Networks(**buffers))


# ---- images ----------------------------------------------------------------------------------------------------------


def test_ridge_depends_on_the_kind_of_features():
    train, test = turned_bars(30, 0), turned_bars(10, 1)
    given = PaDiM(random_state=0, ridge=0.1).fit(train).anomaly_score(test)
    np.testing.assert_array_equal(PaDiM(random_state=0).fit(train).anomaly_score(test), given)
    learnt = plain().fit(noise(60, 0)).anomaly_score(noise(5, 1))
    np.testing.assert_array_equal(plain(ridge=0.01).fit(noise(60, 0)).anomaly_score(noise(5, 1)), learnt)
    with pytest.raises(ParameterError, match="ridge"):
        PaDiM(ridge=0.0).fit(train)


def test_what_lies_in_another_place_is_found_there():
    detector = PaDiM(random_state=0).fit(turned_bars(80, 0))
    usual, moved = turned_bars(20, 1), turned_bars(20, 2)
    moved[:, 11:14, 2:6], moved[:, 6:9, 2:6] = moved[:, 6:9, 2:6].copy(), moved[:, 11:14, 2:6].copy()
    assert detector.anomaly_score(moved).min() > detector.anomaly_score(usual).max()
    for found in detector.anomaly_map(moved):
        row, column = np.unravel_index(found.argmax(), found.shape)
        # A cell of the grid has 2 pixels.
        assert 4 <= row < 16
        assert column < 8


def test_other_digits_are_found():
    data = load_digits()
    images = (data.images * 15).astype(np.uint8)
    own, others = images[data.target == 8], images[data.target != 8][:300]
    scores = PaDiM(random_state=0).fit(own[:130]).anomaly_score(np.concatenate([own[130:], others]))
    assert roc_auc_score(np.repeat([0, 1], [len(own) - 130, 300]), scores) > 0.97


def test_random_network_is_called_random():
    assert PaDiM(random_state=0).fit(turned_bars(6, 0)).summary_["extractor_is_random"] is True
