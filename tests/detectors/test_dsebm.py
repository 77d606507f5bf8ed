"""Properties of the deep structured energy-based model, against NumPy, SciPy and closed forms."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime

from whitecrow import DSEBM
from whitecrow.core.spec import InputSpec
from whitecrow.nn import Networks, seeded
from whitecrow.train import Batch

ENERGIES = ["encoder", "tied"]


def built(energy: str, d: int = 3, **parameters: Any) -> tuple[DSEBM, Networks]:
    """Return a detector and networks in float64, all of whose tensors are far from zero."""
    det = DSEBM(energy=energy, hidden_dims=(5, 4), **parameters)
    with seeded(0):
        net = det.networks(InputSpec("table", (d,))).double()
        for parameter in net.parameters():
            parameter.data.normal_()
    return det, net


def energy(net: Networks, x: np.ndarray, kind: str) -> np.ndarray:
    """Return the energy of rows by the paper's formula, from the weights."""
    tensors = {name: p.detach().numpy() for name, p in net.named_parameters()}
    w1, w2, b1, b2 = (tensors[f"features.{n}"] for n in ("weight0", "weight1", "bias0", "bias1"))
    h = np.logaddexp(0, np.logaddexp(0, x @ w1.T + b1) @ w2.T + b2)
    if kind == "tied":
        h = np.logaddexp(0, np.logaddexp(0, h @ w2 + tensors["back_bias.0"]) @ w1 + tensors["back_bias.1"])
    return 0.5 * ((x - tensors["b"]) ** 2).sum(-1) - h.sum(-1)


@pytest.mark.parametrize("kind", ENERGIES)
def test_the_energy_is_that_of_the_paper(kind):
    det, net = built(kind)
    x = np.random.default_rng(0).normal(size=(20, 3))
    ours = det.score_batch(net, torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours, energy(net, x, kind), rtol=1e-10)


@pytest.mark.parametrize("kind", ENERGIES)
def test_the_reconstruction_score_is_the_length_of_the_energys_gradient(kind):
    det, net = built(kind, score_type="reconstruction")
    x = np.random.default_rng(0).normal(size=(20, 3))
    ours = det.score_batch(net, torch.from_numpy(x)).detach().numpy()
    slopes = [approx_fprime(row, lambda z: energy(net, z, kind), 1e-6) for row in x]
    np.testing.assert_allclose(ours, np.linalg.norm(slopes, axis=1), rtol=1e-4)


@pytest.mark.parametrize("kind", ENERGIES)
def test_the_loss_is_the_error_of_the_denoised_rows(kind):
    det, net = built(kind, noise_scale=0.7)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3)))
    net.noise.pool.normal_(generator=torch.Generator().manual_seed(0))
    net.noise.seek(3)
    noisy = (x + 0.7 * net.noise.like(x)).requires_grad_()
    net.noise.seek(3)
    (slope,) = torch.autograd.grad(det.score_batch(net, noisy).sum(), noisy)
    expected = (x - (noisy - slope)).square().sum(-1).mean()
    torch.testing.assert_close(det.loss(net, Batch(x)), expected.detach(), check_dtype=False)


def test_without_features_the_energy_is_a_paraboloid_about_the_mean_of_the_training_rows():
    det, net = built("encoder")
    for parameter in net.features.parameters():
        parameter.data.zero_()
    x = torch.from_numpy(np.random.default_rng(0).normal(3, 1, size=(50, 3)))
    with torch.no_grad():
        det.prepare(net, x, torch.zeros(50))
    scores = det.score_batch(net, x).detach() - det.score_batch(net, x.mean(0, keepdim=True)).detach()
    torch.testing.assert_close(scores, 0.5 * (x - x.mean(0)).square().sum(-1))
    # and the mean is where the loss is least
    (slope,) = torch.autograd.grad(det.loss(net, Batch(x)), [net.b])
    assert slope.abs().max() < 1e-10


def test_on_normal_data_the_reconstruction_is_the_posterior_mean():
    """Vincent (2011): the best denoiser of N(0, 1) under noise of variance v maps x to x / (1 + v)."""
    rows = np.random.default_rng(0).normal(size=(3000, 1))
    det = DSEBM(random_state=0, noise_scale=0.8, epochs=30, lr=3e-3, scaling="none", lr_schedule="cosine").fit(rows)
    net, x = det.replicas_.replica(0), torch.linspace(-2, 2, 41).unsqueeze(1)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(det.score_batch(net, x).sum(), x)
    np.testing.assert_allclose((x - slope).detach(), x.detach() / (1 + 0.8**2), atol=0.12)


def test_energy_rises_from_the_data_to_the_boundary_of_its_box():
    rows = np.random.default_rng(0).normal(size=(1500, 2)) * [3.0, 0.5]
    det = DSEBM(random_state=0, epochs=40, lr=3e-3, noise_scale=0.5, validation=0.0).fit(rows)
    centre, usual = det.anomaly_score([[0.0, 0.0]])[0], np.quantile(det.anomaly_score(rows), 0.9)
    assert centre < usual
    for far in (4, 8, 20):  # standard deviations, along each axis
        assert det.anomaly_score(far * np.array([[3, 0], [-3, 0], [0, 0.5], [0, -0.5]])).min() > usual
