"""Properties of ALAD, against NumPy, scikit-learn's log loss and the paper's losses written out one by one."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch.nn.functional import binary_cross_entropy_with_logits as ce

from whitecrow.detectors.tabular.alad import ALAD
from whitecrow.train import Batch

BRIEF = {"random_state": 0, "epochs": 3, "regime": "clean", "verbose": False}


def ring(n: int = 600, seed: int = 0) -> np.ndarray:
    """Return rows on a noisy circle in two columns."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([np.cos(angle), np.sin(angle)]) * 2 + 0.1 * rng.normal(size=(n, 2))


@pytest.fixture(scope="module")
def fitted() -> ALAD:
    return ALAD(**BRIEF).fit(np.random.default_rng(0).normal(size=(200, 5)))


def pairs(det: ALAD, x: torch.Tensor) -> tuple[torch.nn.Module, dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    """Return replica 0, in evaluation mode, and its logits for the real and the made pairs, one pass each."""
    net = det.replicas_.replica(0).eval()
    net.noise.seek(0)
    z = net.noise.draw(len(x), net.encoder.widths[-1])
    net.noise.seek(0)

    def join(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.cat([a, b], 1)

    def d_xx(pair: torch.Tensor) -> torch.Tensor:
        return net.d_xx(net.f_xx(pair))

    e, g = net.encoder, net.generator
    return net, {
        "xz": (net.d_xz(join(x, e(x))), net.d_xz(join(g(z), z))),
        "xx": (d_xx(join(x, x)), d_xx(join(x, g(e(x))))),
        "zz": (net.d_zz(join(z, z)), net.d_zz(join(z, e(g(z))))),
    }


def encoded(det: ALAD, n: int = 40) -> torch.Tensor:
    return torch.from_numpy(det.encoder_.transform(np.random.default_rng(1).normal(size=(n, det.n_features_in_))))


def test_rows_that_are_rebuilt_exactly_score_zero():
    det = ALAD(**BRIEF, hidden_dims=(), latent_dim=3, spectral=False).fit(np.random.default_rng(0).normal(size=(90, 3)))
    net = det.replicas_.replica(0)
    with torch.no_grad():
        for network in (net.encoder, net.generator):
            network.weight0.copy_(torch.eye(3))
            network.bias0.zero_()
    rows = np.random.default_rng(1).normal(size=(20, 3)) * 3
    for score_type in ("features", "l1", "l2"):
        np.testing.assert_array_equal(det.set_params(score_type=score_type).anomaly_score(rows), 0)


def test_scores_are_those_of_numpy():
    det = ALAD(**BRIEF, spectral=False).fit(np.random.default_rng(0).normal(size=(200, 5)))
    net, x = det.replicas_.replica(0), encoded(det)
    rebuilt = net.generator(net.encoder(x)).detach().numpy()
    x = x.numpy()
    weight, bias = net.f_xx.weight0.detach().numpy(), net.f_xx.bias0.detach().numpy()
    head, offset = net.d_xx.weight0.detach().numpy()[0], net.d_xx.bias0.item()

    def f_xx(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        h = np.hstack([a, b]) @ weight.T + bias
        return np.where(h > 0, h, 0.2 * h)

    expected = {
        "features": np.abs(f_xx(x, x) - f_xx(x, rebuilt)).sum(1),
        "l1": np.abs(x - rebuilt).sum(1),
        "l2": np.linalg.norm(x - rebuilt, axis=1),
        "logits": -(f_xx(x, rebuilt) @ head + offset),
    }
    for score_type, scores in expected.items():
        np.testing.assert_allclose(det.set_params(score_type=score_type)._score(x)[0], scores, rtol=1e-4, atol=1e-5)


def test_the_discriminators_loss_is_three_log_losses(fitted):
    x = encoded(fitted)
    net, logits = pairs(fitted, x)
    expected = 0.0
    for real, made in logits.values():
        p = torch.sigmoid(torch.cat([real, made])).detach().numpy().ravel().astype(float)
        expected += 2 * log_loss(np.repeat([1, 0], len(x)), p)
    assert fitted.err_d(net, Batch(x)).item() == pytest.approx(expected, rel=1e-5)


def test_encoder_and_generator_follow_the_losses_of_the_paper(fitted):
    """L_E and L_G of the paper, complete, have the gradients of their sum without the terms that are constant."""
    x = encoded(fitted)
    net = fitted.replicas_.replica(0)
    one, zero = torch.ones(len(x), 1), torch.zeros(len(x), 1)
    g, e = list(net.generator.parameters()), list(net.encoder.parameters())
    for p in (*g, *e):
        p.requires_grad_(True)
    _, logits = pairs(fitted, x)
    cycle = sum(ce(logits[k][0], zero) + ce(logits[k][1], one) for k in ("xx", "zz"))
    err_g, err_e = ce(logits["xz"][1], one) + cycle, ce(logits["xz"][0], zero) + cycle
    expected = (
        *torch.autograd.grad(err_g, g, retain_graph=True),
        *torch.autograd.grad(err_e, e, retain_graph=True),
    )
    net.noise.seek(0)
    ours = torch.autograd.grad(fitted.err_ge(net, Batch(x)), (*g, *e))
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_normalised_weights_have_a_largest_singular_value_near_one():
    # One power iteration per step follows the weights at a distance.
    det = ALAD(**{**BRIEF, "epochs": 5}, average=0).fit(np.random.default_rng(0).normal(size=(200, 5)))
    net = det.replicas_.replica(0).eval()
    for network in (net.encoder, net.d_xz, net.f_xx, net.d_xx, net.d_zz):
        for weight in network.layers(torch.Size([1]))[1]:
            assert np.linalg.svd(weight.detach().numpy(), compute_uv=False)[0] == pytest.approx(1, abs=0.1)


def test_encoder_and_generator_invert_each_other_on_a_ring():
    rows = ring()
    det = ALAD(**{**BRIEF, "epochs": 60}, discriminator_dim=64).fit(rows)
    x = torch.from_numpy(det.encoder_.transform(ring(seed=1)))
    net = det.replicas_.replica(0)
    error = (x - net.generator(net.encoder(x))).square().mean(0).sum()
    assert error < x.var(0).sum() / 4
