"""Properties of the recurrent variational autoencoder, against torch's distributions and an exact likelihood."""

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import softplus

from whitecrow import GRUVAE
from whitecrow.train import Batch


@pytest.fixture(scope="module")
def fitted() -> GRUVAE:
    t = np.arange(300)
    series = np.stack([np.sin(t / 3), np.cos(t / 3)], -1) + 0.1 * np.random.default_rng(0).normal(size=(300, 2))
    return GRUVAE(random_state=0, window=12, lr=1e-2, epochs=8, hidden_dim=12, regime="clean").fit(series)


def by_hand(det: GRUVAE, x: torch.Tensor, draws: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log p(x_t | z) and the divergences of rows, [B, W] each, by torch's distributions."""
    net, steps = det.replicas_.replica(0), x.unflatten(-1, det.spec_.shape)
    read = net.encoder(steps.flip(1))[0].flip(1)
    z, codes, divergences = torch.zeros_like(draws[0]), [], []
    for t in range(steps.shape[1]):
        change, raw = net.code((net.from_steps(read[:, t]) + net.from_code(z)).tanh()).chunk(2, -1)
        posterior = Normal(z + change, softplus(raw) + 1e-4)
        divergences.append(kl_divergence(posterior, Normal(z, torch.ones_like(z))).sum(-1))
        z = posterior.mean + posterior.stddev * draws[t]
        codes.append(z)
    mean, raw = net.emission(net.decoder(torch.stack(codes, 1))[0]).chunk(2, -1)
    density = Normal(mean, (softplus(raw) + det.variance_floor).sqrt()).log_prob(steps).sum(-1)
    return density, torch.stack(divergences, 1)


@torch.no_grad()
def test_the_loss_is_the_negative_evidence_lower_bound(fitted):
    x = torch.randn(7, 24, generator=torch.Generator().manual_seed(0))
    net = fitted.replicas_.replica(0)
    latent = net.from_code.in_features
    net.noise.seek(0)
    draws = net.noise.draw(12, 7, latent)
    net.noise.seek(0)
    density, divergence = by_hand(fitted, x, draws)
    constant = 2 / 2 * np.log(2 * np.pi * fitted.variance_floor)  # by step, of two channels
    torch.testing.assert_close(
        fitted.loss(net, Batch(x)), (divergence - density).mean() - constant, rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_the_score_of_a_step_is_its_negative_log_density_at_the_mean_codes(fitted):
    x = torch.randn(7, 24, generator=torch.Generator().manual_seed(1))
    net = fitted.replicas_.replica(0)
    density, _ = by_hand(fitted, x, torch.zeros(12, 7, net.from_code.in_features))
    ours = fitted.score_batch(net, x)
    torch.testing.assert_close(ours, -density - np.log(2 * np.pi * fitted.variance_floor), rtol=1e-4, atol=1e-3)
    assert ours.min() >= 0


def test_the_bound_comes_close_to_the_likelihood_of_a_random_walk_in_noise():
    """Windows of a linear Gaussian model, whose likelihood is that of one normal distribution."""
    rng, n_steps, noise = np.random.default_rng(0), 4, 0.5
    walk = rng.normal(size=(2000, n_steps)).cumsum(1)
    windows = walk + noise * rng.normal(size=walk.shape)
    order = np.arange(n_steps)
    covariance = np.minimum.outer(order, order) + 1 + noise**2 * np.eye(n_steps)
    exact = MultivariateNormal(torch.zeros(n_steps).double(), torch.tensor(covariance)).log_prob(
        torch.from_numpy(windows[1000:])
    )
    exact = float(exact.mean())
    det = GRUVAE(random_state=0, hidden_dim=16, latent_dim=1, scaling="none", lr=1e-2, epochs=30, lr_schedule="cosine")
    det.fit(windows[:1000, :, None])
    net, x = det.replicas_.replica(0), torch.from_numpy(windows[1000:]).float()
    with torch.no_grad():
        losses = [float(det.loss(net, Batch(x))) for _ in range(10)]
    bound = -n_steps * (np.mean(losses) + 0.5 * np.log(2 * np.pi * det.variance_floor))
    assert exact - 0.05 * abs(exact) < bound < exact + 0.01 * abs(exact)


def test_a_spike_has_the_highest_score_and_no_earlier_score_changes(fitted):
    t = np.arange(200)
    series = np.stack([np.sin(t / 3), np.cos(t / 3)], -1)
    spiked = series.copy()
    spiked[100] += 4
    before, after = fitted.anomaly_score(series), fitted.anomaly_score(spiked)
    assert after.argmax() == 100
    np.testing.assert_allclose(after[:100], before[:100], rtol=1e-4)


def test_the_codes_are_in_use(fitted):
    assert min(fitted.history_["fit.divergence"][-1]) > 0.1


def test_a_constant_channel_does_not_drown_the_others():
    rng = np.random.default_rng(0)
    series = np.stack([rng.normal(size=300), np.full(300, 2.0)], -1)
    scores = GRUVAE(random_state=0, window=8, epochs=5).fit(series).anomaly_score(series)
    assert np.isfinite(scores).all()
    assert scores.max() < 100
