"""Properties of AnoGAN: its search against linear programming, its losses against scikit-learn's log loss."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from sklearn.metrics import log_loss

from whitecrow.detectors.tabular.anogan import AnoGAN
from whitecrow.train import Batch

BRIEF = {"random_state": 0, "epochs": 3, "regime": "clean", "verbose": False}
ROWS = np.random.default_rng(0).normal(size=(200, 5))


@pytest.fixture(scope="module")
def fitted() -> AnoGAN:
    return AnoGAN(**BRIEF).fit(ROWS)


def scores(det: AnoGAN, x: np.ndarray, **parameters: object) -> np.ndarray:
    """Return the scores of encoded rows under other parameters of scoring."""
    kept = det.get_params()
    try:
        return det.set_params(**parameters)._score(x)[0]
    finally:
        det.set_params(**kept)


def test_the_search_finds_the_least_residual_of_a_linear_generator():
    """With a linear generator and no discrimination loss, the least L1 residual in a box is a linear program."""
    det = AnoGAN(**BRIEF, hidden_dims=(), latent_dim=2, discrimination_weight=0.0).fit(ROWS)
    generator = det.replicas_.replica(0).generator
    a, b = (t.detach().numpy().astype(float) for t in (generator.weight0, generator.bias0))
    x = det.encoder_.transform(np.random.default_rng(1).normal(size=(15, 5)) * 2)
    least = []
    for row in x:
        # min sum t, where -t <= row - b - A z <= t and |z_j| <= 3
        sides = np.vstack([np.hstack([a, -np.eye(5)]), np.hstack([-a, -np.eye(5)])])
        bounds = [(-3, 3)] * 2 + [(0, None)] * 5
        found = linprog([0] * 2 + [1] * 5, sides, np.concatenate([row - b, b - row]), bounds=bounds)
        least.append(found.fun)
    ours = scores(det, x, n_search_steps=400, search_lr=0.02)
    assert (ours > np.array(least) - 1e-4).all()
    np.testing.assert_allclose(ours, least, rtol=0.02)


def test_rows_that_the_generator_makes_score_zero(fitted):
    net = fitted.replicas_.replica(0)
    x = net.generator(net.starts[:20]).detach().numpy()
    for steps in (0, 20):
        np.testing.assert_allclose(scores(fitted, x, n_search_steps=steps), 0, atol=1e-4)
    # Between its fixed codes it needs the search.
    z = torch.randn(20, net.starts.shape[1], generator=torch.Generator().manual_seed(0))
    x = net.generator(z).detach().numpy()
    assert scores(fitted, x, n_search_steps=100).mean() < 0.5 * scores(fitted, x, n_search_steps=0).mean()


def test_more_steps_never_make_a_row_more_anomalous(fitted):
    x = fitted.encoder_.transform(np.random.default_rng(1).normal(size=(60, 5)) * 2)
    none, few, many = (scores(fitted, x, n_search_steps=n) for n in (0, 5, 40))
    assert (few <= none + 1e-6).all()
    assert (many <= few + 1e-6).all()
    assert many.mean() < none.mean()


def test_the_score_weighs_residual_and_discrimination_at_the_code_found(fitted):
    x = fitted.encoder_.transform(np.random.default_rng(1).normal(size=(60, 5)))
    whole, residual, discrimination = (
        scores(fitted, x, score_type=t) for t in ("anomaly", "residual", "discrimination")
    )
    w = fitted.discrimination_weight
    np.testing.assert_allclose(whole, (1 - w) * residual + w * discrimination, rtol=1e-5)
    assert (discrimination > 0).all()


def test_discriminator_and_generator_have_the_losses_of_a_gan(fitted):
    x = torch.from_numpy(fitted.encoder_.transform(ROWS[:40]))
    net = fitted.replicas_.replica(0).eval()
    net.noise.seek(0)
    with torch.no_grad():
        made = net.generator(net.noise.draw(40, net.generator.widths[0]))
        p = torch.sigmoid(net.discriminator(net.f(torch.cat([x, made])))).numpy().ravel().astype(float)
    net.noise.seek(0)
    assert fitted.err_d(net, Batch(x)).item() == pytest.approx(2 * log_loss(np.repeat([1, 0], 40), p), rel=1e-5)
    net.noise.seek(0)
    assert fitted.err_g(net, Batch(x)).item() == pytest.approx(log_loss(np.ones(40), p[40:], labels=[0, 1]), rel=1e-5)
