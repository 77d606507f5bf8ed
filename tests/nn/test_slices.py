"""Gradients in slices, against the gradient of the whole batch."""

import pytest
import torch

from whitecrow.nn import Networks, mlp, sliced_gradient


@pytest.mark.parametrize("rows", [1, 4, 10, 100])
@pytest.mark.parametrize("replicas", [(), (2,)])
@pytest.mark.parametrize("weighted", [False, True])
def test_slices_add_up_to_the_gradient_of_the_weighted_mean(rows, replicas, weighted):
    generator = torch.Generator().manual_seed(0)
    net = Networks(f=mlp(3, 5, 2))
    for name, tensor in list(net.tensors()):
        net.swap(name, torch.randn(*replicas, *tensor.shape, generator=generator))
    x = torch.randn(*replicas, 10, 3, generator=generator)
    weight = torch.rand(*replicas, 10, generator=generator) if weighted else None

    def row_losses(part: torch.Tensor) -> torch.Tensor:
        return net.f(part).square().sum(-1)

    loss, gradient = sliced_gradient(row_losses, net, x, weight, rows)
    share = torch.full(x.shape[:-1], 0.1) if weight is None else weight / weight.sum(-1, keepdim=True)
    expected = (row_losses(x) * share).sum(-1)
    torch.testing.assert_close(loss, expected.detach())
    parameters = list(net.parameters())
    for parameter, slope in zip(parameters, torch.autograd.grad(expected.sum(), parameters), strict=True):
        torch.testing.assert_close(gradient[parameter], slope)


def test_frozen_parameters_have_no_part():
    net = Networks(f=mlp(3, 5, 2), g=mlp(2, 1))
    net.f.requires_grad_(False)
    x = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    gradient = sliced_gradient(lambda part: net.g(net.f(part)).sum(-1), net, x, None, 4)[1]
    assert set(gradient) == set(net.g.parameters())
