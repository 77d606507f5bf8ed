"""Statistics of batch normalisation that are measured anew, against NumPy."""

import numpy as np
import torch
from torch import nn

from whitecrow.nn import measure_statistics, seeded


def images(n, seed=0):
    return torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def test_statistics_are_those_of_the_rows():
    norm, x = nn.BatchNorm2d(3), images(50)
    norm(images(50, seed=1) + 100)
    measure_statistics([norm], norm, x)
    np.testing.assert_allclose(norm.running_mean, x.numpy().mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(norm.running_var, x.numpy().var((0, 2, 3), ddof=1), rtol=1e-5)
    assert norm.momentum == 0.1
    assert not norm.training


def test_rows_beyond_a_chunk_count_too():
    norm = nn.BatchNorm2d(3)
    x = torch.cat([images(1024), images(1024, seed=1) + 5])
    measure_statistics([norm], norm, x)
    np.testing.assert_allclose(norm.running_mean, x.numpy().mean((0, 2, 3)), rtol=1e-5)


def test_later_layers_see_what_earlier_ones_make_of_the_rows():
    with seeded(0):
        network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.5)).eval()
    x = images(200)
    measure_statistics([network], network, x)
    y = network(x)
    np.testing.assert_allclose(y.mean((0, 2, 3)).detach(), 0, atol=1e-3)
    np.testing.assert_allclose(y.var((0, 2, 3)).detach(), 1, atol=1e-2)
    assert not any(module.training for module in network.modules())


def test_parameters_and_other_networks_stay_as_they_are():
    norm, other, x = nn.BatchNorm2d(3), nn.BatchNorm2d(3).eval(), images(9)
    measure_statistics([norm], lambda x: other(norm(x)), x)
    assert torch.equal(other.running_mean, torch.zeros(3))
    assert torch.equal(norm.weight, torch.ones(3))
    assert not torch.equal(norm.running_mean, torch.zeros(3))
