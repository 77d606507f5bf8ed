"""Properties of EGBAD, against NumPy and scikit-learn's log loss."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from whitecrow.detectors.tabular.egbad import EGBAD
from whitecrow.train import Batch

BRIEF = {"random_state": 0, "epochs": 3, "regime": "clean", "verbose": False}
ROWS = np.random.default_rng(0).normal(size=(200, 5))


@pytest.fixture(scope="module")
def fitted() -> EGBAD:
    return EGBAD(**BRIEF, calibration=0.0).fit(ROWS)


def parts(det: EGBAD, x: torch.Tensor, score_type: str) -> tuple[np.ndarray, np.ndarray]:
    """Return L_G and L_D of the rows by our own reading of the paper."""
    net = det.replicas_.replica(0).eval()
    with torch.no_grad():
        code = net.encoder(x)
        rebuilt = net.generator(code)
        real, made = net.f(torch.cat([x, code], 1)).numpy(), net.f(torch.cat([rebuilt, code], 1))
        probability = torch.sigmoid(net.discriminator(made)).numpy().ravel().astype(float)
    if score_type == "logits":
        return (x - rebuilt).abs().sum(1).numpy(), -np.log(probability)
    return (x - rebuilt).abs().sum(1).numpy(), np.abs(real - made.numpy()).sum(1)


@pytest.mark.parametrize("score_type", ["features", "logits"])
@pytest.mark.parametrize("w", [0.1, 0.7])
def test_the_score_mixes_both_parts_in_units_of_their_spread_over_the_training_rows(w, score_type):
    det = EGBAD(**BRIEF, calibration=0.0, discriminator_weight=w, score_type=score_type).fit(ROWS)
    train = torch.from_numpy(det.encoder_.transform(ROWS))
    x = torch.from_numpy(det.encoder_.transform(np.random.default_rng(1).normal(size=(50, 5)) * 2))
    expected = 0
    for weight, usual, here in zip((1 - w, w), parts(det, train, score_type), parts(det, x, score_type), strict=True):
        expected = expected + weight * here / usual.std()
    np.testing.assert_allclose(det._score(x.numpy())[0], expected, rtol=1e-3, atol=1e-4)


def test_without_the_discriminator_rows_are_ranked_by_their_reconstruction(fitted):
    x = torch.from_numpy(fitted.encoder_.transform(np.random.default_rng(1).normal(size=(50, 5)) * 2))
    kept = fitted.discriminator_weight
    try:
        scores = fitted.set_params(discriminator_weight=0.0)._score(x.numpy())[0]
    finally:
        fitted.set_params(discriminator_weight=kept)
    np.testing.assert_array_equal(scores.argsort(), parts(fitted, x, "features")[0].argsort())


def test_discriminator_and_inverses_play_for_the_same_log_loss(fitted):
    x = torch.from_numpy(fitted.encoder_.transform(ROWS[:40]))
    net = fitted.replicas_.replica(0).eval()
    with torch.no_grad():
        net.noise.seek(0)
        z = net.noise.draw(40, net.encoder.widths[-1])
        rows = torch.cat([torch.cat([x, net.encoder(x)], 1), torch.cat([net.generator(z), z], 1)])
        p = torch.sigmoid(net.discriminator(net.f(rows))).numpy().ravel().astype(float)
    labels = np.repeat([1, 0], 40)
    for loss, target in ((fitted.err_d, labels), (fitted.err_ge, 1 - labels)):
        net.noise.seek(0)
        assert loss(net, Batch(x)).item() == pytest.approx(2 * log_loss(target, p), rel=1e-5)


def test_the_encoder_learns_the_code_of_what_the_generator_makes():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 4)) + 0.05 * rng.normal(size=(600, 4))
    det = EGBAD(**{**BRIEF, "epochs": 50}, latent_dim=2, discriminator_dim=32).fit(rows)
    net = det.replicas_.replica(0).eval()
    z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        again = net.encoder(net.generator(z))
    for j in range(2):
        assert np.corrcoef(z[:, j], again[:, j])[0, 1] > 0.5
