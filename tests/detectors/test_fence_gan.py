"""Properties of Fence GAN: where the fence stands, and its losses against NumPy and scikit-learn's log loss."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from whitecrow.detectors.tabular.fence_gan import FenceGAN
from whitecrow.train import Batch

BRIEF = {"random_state": 0, "epochs": 3, "regime": "clean", "verbose": False}
BLOB = np.random.default_rng(0).normal(size=(1000, 2))


@pytest.fixture(scope="module")
def fenced() -> FenceGAN:
    return FenceGAN(random_state=0, epochs=80, beta=0.5, regime="clean", verbose=False).fit(BLOB)


def made_by(det: FenceGAN, n: int) -> torch.Tensor:
    """Return rows of the fence, for the codes that the losses draw first."""
    net = det.replicas_.replica(0).eval()
    net.noise.seek(0)
    with torch.no_grad():
        made = net.generator(net.noise.draw(n, det._latent(det.spec_)))
    net.noise.seek(0)
    return made


def test_the_fence_stands_at_level_alpha_and_encircles_the_rows(fenced):
    made = made_by(fenced, 2000)
    level = np.exp(-fenced._score(made.numpy())[0])
    assert abs(level.mean() - fenced.alpha) < 0.15
    angles = np.arctan2(*made.numpy().T)
    assert (np.histogram(angles, bins=36, range=(-np.pi, np.pi))[0] > 0).mean() > 0.8
    assert made.norm(dim=1).mean() > np.linalg.norm(BLOB, axis=1).mean()


def test_the_discriminator_tells_inside_from_outside(fenced):
    inside = np.random.default_rng(1).normal(size=(300, 2))
    angle = np.linspace(0, 2 * np.pi, 300)
    outside = 5 * np.column_stack([np.cos(angle), np.sin(angle)])
    scores = fenced.anomaly_score(np.vstack([inside, outside]))
    assert roc_auc_score(np.repeat([0, 1], 300), scores) > 0.95
    assert np.exp(-scores[:300]).mean() > 0.5 > np.exp(-scores[300:]).mean()


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, None), (0.1, 30.0)])
def test_the_generators_loss_is_encirclement_and_dispersion(alpha, beta):
    det = FenceGAN(**BRIEF, alpha=alpha, beta=beta).fit(BLOB[:200])
    made = made_by(det, 80).numpy()
    p = np.exp(-det._score(made)[0])
    encirclement = -(alpha * np.log(p) + (1 - alpha) * np.log1p(-p)).mean()
    dispersion = np.linalg.norm(made - made.mean(0), axis=1).mean()
    expected = encirclement + (1.5 * np.sqrt(2) if beta is None else beta) / dispersion
    loss = det.err_g(det.replicas_.replica(0), Batch(torch.zeros(80, 2)))
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    # The cross-entropy against a level has the level's entropy for its least value, not 0.
    assert encirclement >= -(alpha * np.log(alpha) + (1 - alpha) * np.log(1 - alpha))


def test_the_discriminators_loss_weighs_rows_fence_and_weights():
    det = FenceGAN(**BRIEF, gamma=0.3, discriminator_decay=0.01, spectral=False).fit(BLOB[:200])
    made = made_by(det, 80).numpy()
    x = torch.from_numpy(det.encoder_.transform(BLOB[:80]))
    real, fake = np.exp(-det._score(x.numpy())[0]), np.exp(-det._score(made)[0])
    net = det.replicas_.replica(0)
    squares = sum(float(w.square().sum()) for name, w in net.discriminator.named_parameters() if "weight" in name)
    expected = log_loss(np.ones(80), real, labels=[0, 1]) + 0.3 * log_loss(np.zeros(80), fake, labels=[0, 1])
    assert det.err_d(net, Batch(x)).item() == pytest.approx(expected + 0.01 * squares, rel=1e-4)


def test_without_weight_on_the_fence_every_row_is_called_normal(fenced):
    det = FenceGAN(random_state=0, epochs=20, gamma=1e-6, spectral=False, regime="clean", verbose=False).fit(BLOB)
    rows = np.random.default_rng(1).normal(size=(500, 2))
    assert np.exp(-det.anomaly_score(rows)).min() > 0.9
    assert np.exp(-fenced.anomaly_score(rows)).min() < 0.9
