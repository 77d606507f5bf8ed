"""Properties of the convolutional VAE, against torch.distributions, Monte Carlo and NumPy."""

import numpy as np
import pytest
import torch
from bar_images import BRIEF, bars, encoded, network, turned
from torch.distributions import Bernoulli, Normal, kl_divergence

from whitecrow.detectors.image.conv_vae import ConvVAE
from whitecrow.train import Batch

IMAGES = bars(120)


@pytest.fixture(scope="module")
def fitted() -> ConvVAE:
    return ConvVAE(**{**BRIEF, "epochs": 15}).fit(IMAGES)


def scores(det: ConvVAE, x: torch.Tensor, **parameters: object) -> np.ndarray:
    """Return the scores of encoded rows under other parameters of scoring."""
    kept, net = det.get_params(), network(det)
    det.set_params(**parameters)
    try:
        with torch.no_grad():
            return det.score_batch(net, x).numpy()
    finally:
        det.set_params(**kept)


def test_the_divergence_is_that_of_two_gaussians(fitted):
    generator = torch.Generator().manual_seed(0)
    mu, log_variance = torch.randn(6, 4, generator=generator), torch.randn(6, 4, generator=generator)
    posterior, prior = Normal(mu, (0.5 * log_variance).exp()), Normal(torch.zeros(4), torch.ones(4))
    found = fitted._divergence(mu, log_variance)
    torch.testing.assert_close(found, kl_divergence(posterior, prior).sum(-1))
    draws = mu + (0.5 * log_variance).exp() * torch.randn(400_000, 6, 4, generator=generator)
    by_draws = (posterior.log_prob(draws) - prior.log_prob(draws)).sum(-1).mean(0)
    torch.testing.assert_close(found, by_draws, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_the_loss_sums_over_the_pixels(likelihood):
    """A mean over the pixels would make the divergence 64 times too strong."""
    det = ConvVAE(**BRIEF, likelihood=likelihood).fit(IMAGES)
    net, x = network(det), encoded(det, IMAGES[:30])
    with torch.no_grad():
        loss = det.loss(net, Batch(x)).item()
        net.noise.seek(0)
        mu, log_variance = det._code(net, x)
        z = mu + (0.5 * log_variance).exp() * net.noise.like(mu)
        if likelihood == "gaussian":
            likely = Normal(net.decoder(z), net.variance.sqrt()).log_prob(x) + 0.5 * np.log(2 * np.pi * 1e-3)
        else:
            likely = Bernoulli(logits=net.decoder(z), validate_args=False).log_prob((x + 1) / 2)
        divergence = kl_divergence(Normal(mu, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(-1)
    assert loss == pytest.approx((divergence - likely.sum(-1)).mean().item(), rel=1e-5)


def test_the_variance_is_the_most_likely_one(fitted):
    net, x = network(fitted), encoded(fitted, IMAGES)
    with torch.no_grad():
        codes = [fitted._draw(net, *fitted._code(net, x)) for _ in range(20)]
        error = torch.stack([(x - net.decoder(z)).square() for z in codes]).mean()
    # Measured on the training rows, without those that validate, and by one draw of each code.
    assert net.variance.item() == pytest.approx(error.item() + fitted.variance_floor, rel=0.1)


def test_the_evidence_bound_is_below_the_importance_weighted_one(fitted):
    net, x = network(fitted), encoded(fitted, np.concatenate([IMAGES[:30], turned(10)]))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        mu, log_variance = fitted._code(net, x)
        weights = []
        for _ in range(50):
            z = mu + (0.5 * log_variance).exp() * torch.randn(mu.shape, generator=generator)
            posterior = Normal(mu, (0.5 * log_variance).exp()).log_prob(z).sum(-1)
            weights.append(Normal(0.0, 1.0).log_prob(z).sum(-1) - posterior - fitted._surprise(net, x, z).sum(-1))
        iwae = torch.stack(weights).logsumexp(0) - np.log(50)
    elbo = -scores(fitted, x, score_type="elbo", n_samples=300)
    assert (elbo < iwae.numpy()).all()


def test_score_types_differ_by_the_divergence_and_by_scale(fitted):
    x = encoded(fitted, np.concatenate([IMAGES[:30], turned(10)]))
    net = network(fitted)
    with torch.no_grad():
        mu, log_variance = fitted._code(net, x)
        error = (x - net.decoder(mu)).square().numpy()
        divergence = fitted._divergence(mu, log_variance).numpy()
    recon, likely, elbo = (scores(fitted, x, score_type=t, n_samples=0) for t in ("recon", "recon-prob", "elbo"))
    np.testing.assert_allclose(recon, error.mean(1), rtol=1e-4)
    v = net.variance.item()
    np.testing.assert_allclose(likely, 32 * np.log(v / 1e-3) + error.sum(1) / (2 * v), rtol=1e-4)
    np.testing.assert_allclose(elbo, likely + divergence, rtol=1e-4)


def test_samples_are_averaged_and_add_the_spread_of_the_code(fitted):
    x = encoded(fitted, IMAGES[:30])
    few, many, mean = (scores(fitted, x, n_samples=n) for n in (200, 400, 0))
    np.testing.assert_allclose(few, many, rtol=0.05)
    assert many.mean() > mean.mean()


def test_without_divergence_and_spread_it_is_an_autoencoder():
    det = ConvVAE(**BRIEF, beta=0.0, warm_up=0, score_type="recon").fit(IMAGES)
    net, x = network(det), encoded(det, IMAGES[:20])
    with torch.no_grad():
        net.encoder[-1].weight[8:] = 0
        net.encoder[-1].bias[8:] = -20  # clamped: a standard deviation of 0.007
        surprise = det._surprise(net, x, net.encoder(x)[:, :8]).sum(-1).mean()
        assert det.loss(net, Batch(x)).item() == pytest.approx(surprise.item(), rel=0.01)


def test_the_code_is_in_use_and_the_weight_of_the_divergence_rises(fitted):
    assert fitted.history_["fit.active_units"][-1][0] > 0
    assert fitted.replicas_.stacked["beta"].item() == 1
    assert len(fitted.history_["warm-up.loss"]) == fitted.warm_up
