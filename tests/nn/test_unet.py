"""The U-Net: shapes, and what its joins carry."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow.nn import UNet, seeded


def unet(*args, **parameters) -> UNet:
    with seeded(0):
        return UNet(*args, **parameters)


def rows(n, width, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)),
    n_stages=st.integers(1, 4),
    skips=st.booleans(),
)
def test_rows_keep_their_shape(shape, n_stages, skips):
    x = rows(3, math.prod(shape))
    rebuilt = unet(shape, (8,) * n_stages, skips=skips).eval()(x)
    assert rebuilt.shape == x.shape
    assert rebuilt.abs().max() <= 1


@pytest.mark.parametrize("skips", [True, False])
def test_every_parameter_moves_the_output(skips):
    network = unet((1, 8, 8), (8, 16, 16), skips=skips)
    gradients = torch.autograd.grad(network(rows(4, 64)).square().sum(), list(network.parameters()))
    assert all(g.abs().max() > 1e-7 for g in gradients)


def test_only_joins_lead_past_the_innermost_stage():
    """With the innermost stage silent, a network without joins makes one image of all, one with joins does not."""
    for skips in (True, False):
        network = unet((1, 8, 8), (8, 16), skips=skips).eval()
        with torch.no_grad():
            for parameter in network.down[-1].parameters():
                parameter.zero_()
            rebuilt = network(rows(5, 64))
        assert torch.allclose(rebuilt, rebuilt[:1].expand_as(rebuilt)) is not skips
