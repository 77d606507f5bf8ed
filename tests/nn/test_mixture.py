"""Gaussian mixtures, against scikit-learn and SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from whitecrow.nn import Mixture, estimate_mixture, mixture_energy, residual_features
from whitecrow.nn.mixture import joint_log_density


def random_mixture(k: int = 3, d: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(k, d, d))
    return rng.dirichlet(np.ones(k)), 3 * rng.normal(size=(k, d)), roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(d)


def as_tensors(phi: np.ndarray, mu: np.ndarray, sigma: np.ndarray) -> Mixture:
    log_phi, scale = np.log(phi)[None], np.linalg.cholesky(sigma)
    return Mixture(*(torch.from_numpy(v) for v in (log_phi, mu, scale)))


@pytest.mark.parametrize("norm", [1.0, 1e2, 1e4])
def test_energy_is_the_negative_log_density_of_scikit_learn(norm: float) -> None:
    phi, mu, sigma = random_mixture()
    theirs = GaussianMixture(3)
    theirs.weights_, theirs.means_, theirs.covariances_ = phi, mu, sigma
    theirs.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(sigma)).transpose(0, 2, 1)
    z = np.random.default_rng(1).normal(size=(50, 4))
    z *= norm / np.linalg.norm(z, axis=1, keepdims=True)
    ours = mixture_energy(torch.from_numpy(z), as_tensors(phi, mu, sigma)).numpy()
    np.testing.assert_allclose(ours, -theirs.score_samples(z), rtol=1e-10, atol=1e-8)


def test_softmax_of_the_joint_log_densities_is_scikit_learns_responsibility() -> None:
    phi, mu, sigma = random_mixture()
    theirs = GaussianMixture(3)
    theirs.weights_, theirs.means_, theirs.covariances_ = phi, mu, sigma
    theirs.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(sigma)).transpose(0, 2, 1)
    z = 3 * np.random.default_rng(1).normal(size=(50, 4))
    joint = joint_log_density(torch.from_numpy(z), as_tensors(phi, mu, sigma))
    np.testing.assert_allclose(joint.softmax(1), theirs.predict_proba(z), rtol=1e-9, atol=1e-12)


def test_no_energy_is_below_the_least() -> None:
    mixture = as_tensors(*random_mixture())
    rows = mixture.means + 0.1 * torch.randn(200, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (mixture_energy(rows.flatten(0, 1), mixture) > mixture.least_energy).all()
    together = mixture._replace(means=torch.zeros(3, 4, dtype=torch.float64))
    torch.testing.assert_close(mixture_energy(torch.zeros(1, 4), together), together.least_energy)


def test_energy_rises_without_end() -> None:
    ray = torch.logspace(2, 15, 400, dtype=torch.float64).unsqueeze(1) * torch.tensor([0.6, -0.8, 0.0, 0.1])
    energy = mixture_energy(ray, as_tensors(*random_mixture()))
    assert energy.isfinite().all()
    assert (energy.diff() > 0).all()


def test_one_hot_memberships_give_frequencies_means_and_biased_covariances() -> None:
    rng = np.random.default_rng(0)
    rows, label = rng.normal(size=(300, 3)) * [1, 5, 0.2], rng.integers(0, 2, 300)
    mixture = estimate_mixture(torch.from_numpy(rows), torch.from_numpy(np.eye(2)[label]), floor=1e-12)
    for k in range(2):
        chosen = rows[label == k]
        assert float(mixture.log_weights[0, k].exp()) == pytest.approx(len(chosen) / 300)
        np.testing.assert_allclose(mixture.means[k], chosen.mean(0), rtol=1e-10)
        covariance = np.cov(chosen.T, bias=True)
        expected = covariance + 1e-6 * np.trace(covariance) / 3 * np.eye(3)
        np.testing.assert_allclose(mixture.scale[k] @ mixture.scale[k].T, expected, atol=1e-10)
        np.testing.assert_allclose(mixture.variances[k], expected.diagonal(), atol=1e-10)


def test_soft_memberships_give_the_mixture_of_an_em_step() -> None:
    rng = np.random.default_rng(0)
    rows, gamma = rng.normal(size=(200, 3)), rng.dirichlet(np.ones(4), 200)
    theirs = GaussianMixture(4, reg_covar=0.0)
    theirs._initialize(rows, gamma)  # the step M of scikit-learn
    ours = estimate_mixture(torch.from_numpy(rows), torch.from_numpy(gamma), floor=1e-12)
    np.testing.assert_allclose(mixture_energy(torch.from_numpy(rows), ours), -theirs.score_samples(rows), rtol=1e-4)


def test_a_weight_of_two_is_a_second_copy_and_of_zero_no_row() -> None:
    rng = np.random.default_rng(0)
    rows, gamma = torch.from_numpy(rng.normal(size=(40, 3))), torch.from_numpy(rng.dirichlet(np.ones(2), 40))
    weight = torch.tensor([2.0] * 10 + [1.0] * 20 + [0.0] * 10)
    copies = [*range(10), *range(30)]
    weighted, copied = estimate_mixture(rows, gamma, weight), estimate_mixture(rows[copies], gamma[copies])
    for ours, expected in zip(weighted, copied, strict=True):
        torch.testing.assert_close(ours, expected)


def test_one_component_is_the_mahalanobis_distance() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3))
    mixture = estimate_mixture(torch.from_numpy(rows), torch.ones(500, 1), floor=1e-12)
    new = 5 * rng.normal(size=(100, 3))
    covariance = (mixture.scale[0] @ mixture.scale[0].T).numpy()
    expected = -multivariate_normal.logpdf(new, mean=rows.mean(0), cov=covariance.tolist())
    np.testing.assert_allclose(mixture_energy(torch.from_numpy(new), mixture), expected, rtol=1e-9)


def test_equal_rows_and_an_empty_component_have_finite_energies() -> None:
    rows, gamma = torch.ones(30, 4), torch.eye(2)[[0] * 30]
    mixture = estimate_mixture(rows, gamma, least_share=1e-3)
    energy = mixture_energy(torch.cat([rows, torch.zeros(1, 4)]), mixture)
    assert energy.isfinite().all()
    # The empty component lies at the origin; it is left out.
    assert energy[-1] > energy[0] + 1e3


def test_stacked_mixtures_are_those_of_each_replica() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3, 50, 4, generator=generator, dtype=torch.float64)
    gamma = torch.rand(3, 50, 2, generator=generator, dtype=torch.float64).softmax(-1)
    stacked = mixture_energy(z, estimate_mixture(z, gamma))
    alone = torch.stack([mixture_energy(rows, estimate_mixture(rows, g)) for rows, g in zip(z, gamma, strict=True)])
    torch.testing.assert_close(stacked, alone)


def test_gradients_flow_through_rows_and_memberships() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(12, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(12, 2, generator=generator, dtype=torch.float64, requires_grad=True)

    def energy(z: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return mixture_energy(z, estimate_mixture(z, logits.softmax(-1)))

    assert torch.autograd.gradcheck(energy, (z, logits))


def test_residual_features_are_distances_and_a_cosine() -> None:
    rng = np.random.default_rng(0)
    x, rebuilt = rng.normal(size=(2, 20, 5))
    ours = residual_features(torch.from_numpy(x), torch.from_numpy(rebuilt), ("relative", "cosine", "euclidean"))
    distance, norm = np.linalg.norm(x - rebuilt, axis=1), np.linalg.norm(x, axis=1)
    cosine = (x * rebuilt).sum(1) / norm / np.linalg.norm(rebuilt, axis=1)
    np.testing.assert_allclose(ours, np.stack([distance / norm, cosine, distance / np.sqrt(5)], 1), rtol=1e-9)


def test_residual_features_and_their_slopes_are_finite_at_zero_and_at_an_exact_reconstruction() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    rebuilt = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    features = residual_features(x, rebuilt, ("relative", "cosine", "euclidean"))
    features.sum().backward()
    assert features.isfinite().all()
    assert rebuilt.grad is not None
    assert rebuilt.grad.isfinite().all()
    assert features.detach().abs().max() < 1e3
