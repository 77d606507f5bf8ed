"""Properties of the temporal convolutional autoencoder: what it sees, what it keeps, what it rebuilds."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from whitecrow import TCNAE
from whitecrow.core.spec import InputSpec
from whitecrow.nn import seeded

WAVE = {"window": 64, "dilations": (1, 2, 4), "pool": 16, "epochs": 15, "lr": 1e-2, "regime": "clean"}


def wave(n: int, period: float = 20) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(n) / period)


@pytest.fixture(scope="module")
def fitted() -> TCNAE:
    return TCNAE(random_state=0, **WAVE).fit(wave(700))


def test_a_wave_is_rebuilt_and_a_change_of_its_frequency_found(fitted):
    series = wave(900)
    assert fitted.anomaly_score(series).mean() < 0.01
    series[400:460], labels = wave(60, 7), np.zeros(900)
    labels[400:460] = 1
    assert roc_auc_score(labels, fitted.anomaly_score(series)) > 0.95


def test_a_spike_has_the_highest_score(fitted):
    series = wave(300)
    series[150] += 5
    assert fitted.anomaly_score(series).argmax() == 150


def test_a_feature_sees_the_steps_that_the_dilations_say():
    det = TCNAE()
    with seeded(0):
        features = det.networks(InputSpec("sequence", (300, 1))).encoder[0]
    series = torch.randn(1, 1, 300, generator=torch.Generator().manual_seed(0), requires_grad=True)
    # Of the last layer's outputs at step 150, all together.
    (slope,) = torch.autograd.grad(features(series)[0, -det.n_filters :, 150].sum(), series)
    seen = slope[0, 0].nonzero().flatten()
    reach = 3 * sum(det.dilations)
    assert 150 - reach <= int(seen.min())
    assert int(seen.max()) <= 150 + reach
    assert int(seen.max() - seen.min()) > reach


def test_no_more_than_the_code_gets_through(fitted):
    net = fitted.replicas_.replica(0)
    x = torch.from_numpy(fitted.encoder_.transform(wave(64)))
    assert net.encoder(x.unflatten(-1, (1, 64))).shape == (1, 4, 4)
    jacobian = torch.func.jacrev(lambda row: row - fitted._errors(net, row.unsqueeze(0))[0, :, 0])(x[0])
    assert int(torch.linalg.matrix_rank(jacobian)) <= 16


def test_each_stretch_has_the_mean_of_its_steps(fitted):
    net = fitted.replicas_.replica(0)
    x = torch.randn(3, 1, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mixed = net.encoder[1](net.encoder[0](x))
        torch.testing.assert_close(net.encoder(x), mixed.unflatten(-1, (4, 16)).mean(-1))


def test_errors_that_hardly_vary_in_training_count_more_by_their_law():
    rng = np.random.default_rng(0)
    series = np.stack([rng.normal(size=400), 0 * np.arange(400)], -1)
    det = TCNAE(random_state=0, **{**WAVE, "epochs": 2}, scaling="none", score_type="mahalanobis").fit(series)
    base = det.anomaly_score(series[:100])
    changes = []
    for channel in (0, 1):
        changed = series[:100].copy()
        changed[50, channel] += 3
        changes.append(np.abs(det.anomaly_score(changed) - base).max())
    assert changes[1] > 10 * changes[0]
