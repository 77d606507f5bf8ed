"""Properties of Skip-GANomaly, against NumPy and scikit-learn's log loss."""

import numpy as np
import pytest
import torch
from bar_images import BRIEF, bars, encoded, network, turned
from sklearn.metrics import log_loss

from whitecrow.core.spec import InputSpec
from whitecrow.detectors.image.skip_ganomaly import SkipGANomaly
from whitecrow.train import Batch

IMAGES = bars(150)


@pytest.fixture(scope="module")
def fitted() -> SkipGANomaly:
    return SkipGANomaly(**{**BRIEF, "epochs": 15}, lr=1e-3).fit(IMAGES)


def test_the_network_does_not_copy_what_it_is_given(fitted):
    """Noise comes back far more changed than normal images do."""
    net = network(fitted)
    noise = np.random.default_rng(0).uniform(size=(100, 8, 8))
    with torch.no_grad():
        change = {
            name: (x - net.generator(x)).abs().mean().item()
            for name, x in (("noise", encoded(fitted, noise)), ("normal", encoded(fitted, bars(100, seed=1))))
        }
    assert change["noise"] > 5 * change["normal"]


def test_the_score_weighs_the_image_and_its_features(fitted):
    net, x = network(fitted), encoded(fitted, np.concatenate([IMAGES[:20], turned(20)]))
    with torch.no_grad():
        rebuilt = net.generator(x)
        image, features = (x - rebuilt).square().mean(1), (net.f(x) - net.f(rebuilt)).square().mean(1)
    for weight in (0.1, 0.7):
        scores = fitted.set_params(feature_weight=weight)._score(x.numpy())[0]
        np.testing.assert_allclose(scores, (1 - weight) * image + weight * features, rtol=1e-4)
    fitted.set_params(feature_weight=0.1)


@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize("latent_in_d", [False, True])
def test_the_losses_are_those_of_the_paper(fitted, noise, latent_in_d):
    net, x = network(fitted), encoded(fitted, IMAGES[:40])
    kept = fitted.get_params()
    fitted.set_params(noise=noise, latent_in_d=latent_in_d)
    try:
        with torch.no_grad():
            rebuilt = net.generator(x + noise * net.noise.like(x))
            features, made = net.f(x), net.f(rebuilt)
            p = torch.sigmoid(net.discriminator(torch.cat([features, made]))).numpy().ravel().astype(float)
            net.noise.seek(0)
            err_g = fitted.err_g(net, Batch(x)).item()
            net.noise.seek(0)
            err_d = fitted.err_d(net, Batch(x)).item()
    finally:
        fitted.set_params(**kept)
    latent = (features - made).square().mean().item()
    adv, con = log_loss(np.ones(40), p[40:], labels=[0, 1]), (x - rebuilt).abs().mean().item()
    assert err_g == pytest.approx(adv + 50 * con + latent, rel=1e-4)
    assert err_d == pytest.approx(2 * log_loss(np.repeat([1, 0], 40), p) + latent_in_d * latent, rel=1e-4)


def test_scoring_adds_no_noise(fitted):
    images = np.concatenate([IMAGES[:20], turned(20)])
    before = fitted.anomaly_score(images)
    kept = fitted.noise
    try:
        np.testing.assert_array_equal(fitted.set_params(noise=5.0).anomaly_score(images), before)
    finally:
        fitted.set_params(noise=kept)


@pytest.mark.parametrize(("side", "stages"), [(8, 2), (28, 4), (32, 4), (64, 5)])
def test_the_innermost_map_has_two_pixels(side, stages):
    det = SkipGANomaly()
    down = det.networks(InputSpec("image", (1, side, side))).generator.down
    assert len(down) == stages
    with torch.no_grad():
        x = torch.zeros(2, 1, *[-(-side // 2**stages) * 2**stages] * 2)
        for stage in down:
            x = stage(x)
    assert x.shape[-2:] == (2, 2)


def test_the_joins_are_not_what_finds_the_anomalies(fitted):
    odd = turned(60)
    without = SkipGANomaly(**{**BRIEF, "epochs": 10}, lr=1e-3, skips=False).fit(IMAGES)
    for det in (fitted, without):
        assert np.median(det.anomaly_score(odd)) > np.quantile(det.anomaly_score(bars(100, seed=1)), 0.95)
