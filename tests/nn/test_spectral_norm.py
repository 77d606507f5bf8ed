"""Spectral normalisation against the singular values of NumPy."""

import numpy as np
import pytest
import torch
from torch.func import functional_call, vmap

from whitecrow.nn import SpectralNorm, seeded


def weight(seed: int, shape=(8, 5)) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def norm_of(w: torch.Tensor, seed: int = 0) -> SpectralNorm:
    with seeded(seed):
        return SpectralNorm(w)


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (1, 6), (6, 1), (64, 64)])
def test_the_largest_singular_value_becomes_one(shape):
    w = weight(0, shape)
    normalised = norm_of(w).train()(w)
    assert np.linalg.norm(normalised.numpy(), 2) == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(np.linalg.matrix_rank(normalised.numpy()), min(shape))


def test_training_calls_follow_a_weight_that_changes():
    norm, w = norm_of(weight(0)).train(), weight(1)
    for _ in range(30):
        norm(w)
    assert np.linalg.norm(norm(w).numpy(), 2) == pytest.approx(1, abs=1e-3)


def test_evaluation_does_not_move_the_estimate():
    w = weight(1)
    norm = norm_of(weight(0)).eval()
    before = norm.u.clone()
    first, second = norm(w), norm(w)
    assert torch.equal(norm.u, before)
    assert torch.equal(first, second)
    norm.train()(w)
    assert not torch.equal(norm.u, before)


def test_the_gradient_takes_the_singular_vectors_as_constants():
    w = weight(0).requires_grad_()
    norm = norm_of(w).eval()
    u, v = norm._iterate(w.detach(), norm.u)
    direction = weight(2)
    (ours,) = torch.autograd.grad((norm(w) * direction).sum(), w)
    sigma = (u @ w @ v).item()
    inner = (direction * w).sum().item()
    expected = direction / sigma - inner / sigma**2 * torch.outer(u, v)
    torch.testing.assert_close(ours, expected)


def stacked(norms: list[SpectralNorm]) -> SpectralNorm:
    norm = norm_of(weight(0))
    norm._buffers["u"] = torch.stack([n.u for n in norms])
    return norm.train()


def test_a_stack_normalises_each_replica_as_alone_and_moves_its_estimate():
    weights = [weight(s) for s in range(3)]
    norms = [norm_of(weight(9), seed=s).train() for s in range(3)]
    together = stacked(norms)
    value = together(torch.stack(weights))
    for r in range(3):
        torch.testing.assert_close(value[r], norms[r](weights[r]))
        torch.testing.assert_close(together.u[r], norms[r].u)


def test_under_vmap_the_estimates_move_too():
    weights = torch.stack([weight(s) for s in range(3)])
    norms = [norm_of(weight(9), seed=s).train() for s in range(3)]
    u = torch.stack([n.u for n in norms])
    value = vmap(lambda u, w: functional_call(norms[0], {"u": u}, (w,)))(u, weights)
    alone = [norm_of(weight(9), seed=s).train() for s in range(3)]
    for r in range(3):
        torch.testing.assert_close(value[r], alone[r](weights[r]))
        torch.testing.assert_close(u[r], alone[r].u)


def test_a_zero_weight_stays_finite():
    w = torch.zeros(4, 3)
    assert norm_of(w).train()(w).isfinite().all()
