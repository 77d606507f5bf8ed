"""The convolutional autoencoder rebuilds what it was trained on, and says where an image departs."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import whitecrow as wc


@pytest.fixture(scope="module")
def zeros() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Zeros to train on, other zeros, and other digits."""
    digits = load_digits()
    images, labels = digits.images.astype(np.float32), digits.target
    return images[labels == 0][:140], images[labels == 0][140:], images[labels != 0][:300]


@pytest.fixture(scope="module")
def fitted(zeros: tuple) -> wc.Detector:
    return wc.detector("conv-autoencoder", random_state=0, epochs=60, verbose=False).fit(zeros[0])


def test_another_digit_scores_above_a_zero(fitted: wc.Detector, zeros: tuple) -> None:
    _, normal, others = zeros
    truth = np.repeat([0, 1], [len(normal), len(others)])
    assert roc_auc_score(truth, fitted.anomaly_score(np.concatenate([normal, others]))) > 0.98


def test_training_rebuilds_most_of_the_variance(fitted: wc.Detector, zeros: tuple) -> None:
    rows = fitted.encoder_.transform(zeros[0])
    error = fitted.anomaly_score(zeros[0]).mean()
    assert error < 0.3 * rows.var(0).mean() + 1e-12


def test_a_pasted_square_lights_its_place(fitted: wc.Detector, zeros: tuple) -> None:
    normal = zeros[1][:10].copy()
    spoilt = normal.copy()
    spoilt[:, 1:4, 0:2] = 16
    mask = np.zeros((8, 8), dtype=bool)
    mask[1:4, 0:2] = True
    maps = fitted.anomaly_map(spoilt)
    assert maps.shape == (10, 8, 8)
    assert roc_auc_score(np.broadcast_to(mask, maps.shape).ravel(), maps.ravel()) > 0.9


@pytest.mark.parametrize("error", ["squared", "absolute", "ssim", "squared+ssim"])
def test_an_image_that_is_rebuilt_exactly_scores_0(error: str, zeros: tuple) -> None:
    detector = wc.detector("conv-autoencoder", error=error, epochs=1, random_state=0, verbose=False).fit(zeros[0])
    rows = torch.from_numpy(detector.encoder_.transform(zeros[1][:5]))
    assert (detector._errors(rows, rows) == 0).all()
    assert (detector._errors(rows, -rows).mean(-1) > 0).all()


def test_the_largest_error_is_that_of_the_map(zeros: tuple) -> None:
    detector = wc.detector("conv-autoencoder", score_type="max", epochs=2, random_state=0, verbose=False).fit(zeros[0])
    np.testing.assert_allclose(detector.anomaly_score(zeros[2]), detector.anomaly_map(zeros[2]).max((1, 2)), rtol=1e-6)


def test_noise_is_for_training_alone(zeros: tuple) -> None:
    detector = wc.detector("conv-autoencoder", noise=0.3, epochs=2, random_state=0, verbose=False).fit(zeros[0])
    np.testing.assert_array_equal(detector.anomaly_score(zeros[1]), detector.anomaly_score(zeros[1]))
    plain = wc.detector("conv-autoencoder", epochs=2, random_state=0, verbose=False).fit(zeros[0])
    assert (detector.anomaly_score(zeros[1]) != plain.anomaly_score(zeros[1])).any()
