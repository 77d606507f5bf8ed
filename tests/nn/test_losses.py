"""Losses against NumPy."""

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

from whitecrow.nn import squared_error


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
