"""Losses against NumPy."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch.func import grad, vmap

from whitecrow.nn import matching_loss, row_shares, squared_error


def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return x.requires_grad_(), y.requires_grad_()


@pytest.mark.parametrize("shape", [(6, 4), (3, 6, 4), (2, 3, 6, 4), (4,)])
def test_squared_error_is_the_sum_over_the_last_axis(shape):
    x, y = pair(*shape)
    expected = ((x.detach().numpy() - y.detach().numpy()) ** 2).sum(-1)
    np.testing.assert_allclose(squared_error(x, y).detach().numpy(), expected, rtol=1e-12)


def test_its_gradients_agree_with_finite_differences():
    assert torch.autograd.gradcheck(squared_error, pair(5, 3))


def test_only_the_gradient_that_is_asked_for_is_computed():
    x, y = pair(5, 3)
    (gradient,) = torch.autograd.grad(squared_error(x.detach(), y).sum(), y)
    torch.testing.assert_close(gradient, 2 * (y - x).detach())


def test_it_can_be_differentiated_twice_inside_transformations():
    x, y = pair(5, 3)

    def slope(row: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return grad(lambda r: squared_error(r, other).square())(row)

    second = torch.autograd.grad(vmap(slope)(x, y).sum(), x)[0]
    d = (x - y).detach()
    square = d.square().sum(1, keepdim=True)
    # f = |d|^4: grad f = 4 |d|^2 d, and the gradient of its sum is 4 |d|^2 1 + 8 d sum(d).
    torch.testing.assert_close(second, 4 * square + 8 * d * d.sum(1, keepdim=True))


@pytest.mark.parametrize("temperature", [0.01, 0.2])
def test_matching_loss_is_the_cross_entropy_of_the_cosines(temperature):
    u, v = pair(2, 5, 6, 4)
    a, b = (t.detach().numpy() / np.linalg.norm(t.detach().numpy(), axis=-1, keepdims=True) for t in (u, v))
    log_shares = log_softmax(np.einsum("rbje,rble->rbjl", a, b) / temperature, -1)
    expected = -np.diagonal(log_shares, axis1=-2, axis2=-1)
    np.testing.assert_allclose(matching_loss(u, v, temperature).detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    mapped = vmap(lambda s, t: matching_loss(s, t, temperature))(u, v)
    np.testing.assert_allclose(mapped.detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.02, 0.2])
def test_gradients_of_matching_loss_agree_with_finite_differences(temperature):
    assert torch.autograd.gradcheck(lambda u, v: matching_loss(u, v, temperature), pair(3, 6, 4))


def test_matching_loss_keeps_its_digits_where_all_partners_are_found():
    u = torch.eye(3)
    # softplus(log(2) - 1 / 0.03)
    expected = np.log1p(2 * np.exp(-1 / 0.03))
    np.testing.assert_allclose(matching_loss(u, u, 0.03).numpy(), expected, rtol=1e-5)


def test_matching_loss_of_a_code_of_zeros_is_finite():
    u, v = (t.detach().float() for t in pair(3, 6, 4))
    u[0, 0] = 0
    loss = matching_loss(u.requires_grad_(), v, 0.2)
    np.testing.assert_allclose(loss[0, 0].item(), np.log(6), rtol=1e-6)
    assert torch.isfinite(torch.autograd.grad(loss.sum(), u)[0]).all()


def test_shares_of_rows_add_up_to_one():
    x, weight = torch.zeros(2, 3, 5), torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 4.0]])
    torch.testing.assert_close(row_shares(x, weight), torch.tensor([[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]))
    torch.testing.assert_close(row_shares(x, None), torch.full((2, 3), 1 / 3))
    assert row_shares(x, torch.zeros(2, 3)).sum() == 0
