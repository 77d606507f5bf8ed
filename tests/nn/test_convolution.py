"""Convolutional networks: what goes in and comes out, and spectral norms against NumPy."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from whitecrow.nn import (
    Dropout,
    SpectralConv2d,
    ToImages,
    ToRows,
    conv_decoder,
    conv_encoder,
    conv_stages,
    reinitialise,
    seeded,
    to_images,
)
from whitecrow.nn.convolution import flat_width, padded

relaxed = settings(deadline=None, max_examples=40)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40))


def rows(n, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, math.prod(shape), generator=generator) * 2 - 1


def made(build, seed=0):
    with seeded(seed):
        return build()


# ---- rows and images -------------------------------------------------------------------------------------------------


@relaxed
@given(shape=shapes, n_stages=st.integers(0, 4))
def test_padding_and_cropping_give_the_rows_again(shape, n_stages):
    sides = padded(shape, n_stages)
    x = rows(3, shape)
    images = ToImages(shape, sides)(x)
    assert images.shape == (3, shape[0], *sides)
    assert torch.equal(ToRows(shape, sides)(images), x)


@relaxed
@given(shape=shapes, n_stages=st.integers(0, 4))
def test_sides_are_padded_to_the_next_multiple(shape, n_stages):
    unit = 2**n_stages
    assert padded(shape, n_stages) == tuple(math.ceil(side / unit) * unit for side in shape[1:])


def test_the_image_stands_in_the_middle_of_a_border_of_background():
    shape, x = (2, 28, 5), rows(1, (2, 28, 5))
    image = ToImages(shape, (32, 8))(x)[0]
    np.testing.assert_array_equal(image[:, 2:30, 1:6], to_images(x, shape)[0])
    image[:, 2:30, 1:6] = -1
    assert (image == -1).all()


def test_rows_are_channel_after_channel():
    image = to_images(torch.arange(24.0)[None], (2, 3, 4))[0]
    np.testing.assert_array_equal(image, np.arange(24).reshape(2, 3, 4))


# ---- encoder and decoder ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "channels"),
    [
        (1, (32, 64)),
        (8, (32, 64)),
        (16, (32, 64)),
        (17, (16, 32, 64)),
        (28, (16, 32, 64)),
        (32, (16, 32, 64)),
        (64, (8, 16, 32, 64)),
        (128, (8, 8, 16, 32, 64)),
        (4096, (8, 8, 8, 8, 16, 32, 64)),
    ],
)
def test_stages_halve_down_to_four_pixels(side, channels):
    assert conv_stages((1, side, side)) == channels
    assert conv_stages((3, 1, side)) == channels
    assert conv_stages((1, side, side), widest=128)[-1] == 128


@relaxed
@given(shape=shapes, n_stages=st.integers(1, 3), norm=st.booleans(), spectral=st.booleans())
def test_networks_lead_from_rows_to_codes_and_back(shape, n_stages, norm, spectral):
    channels = (8, 8, 16)[-n_stages:]
    encoder = made(lambda: conv_encoder(shape, channels, 5, norm=norm, spectral=spectral)).eval()
    decoder = made(lambda: conv_decoder(5, channels, shape, norm=norm)).eval()
    x = rows(3, shape)
    assert encoder(x).shape == (3, 5)
    rebuilt = decoder(encoder(x))
    assert rebuilt.shape == x.shape
    assert rebuilt.abs().max() <= 1
    features = made(lambda: conv_encoder(shape, channels, None)).eval()(x)
    assert features.shape == (3, flat_width(shape, channels))


def test_the_output_may_have_other_channels_and_no_bound():
    decoder = made(lambda: conv_decoder(5, (8, 16), (1, 9, 7), outputs=2, output="linear")).eval()
    assert decoder(100 * torch.randn(3, 5, generator=torch.Generator().manual_seed(0))).shape == (3, 2 * 9 * 7)
    assert not any(isinstance(layer, nn.Tanh) for layer in decoder)


@pytest.mark.parametrize("spectral", [False, True])
def test_no_bias_stands_before_a_batch_normalisation(spectral):
    networks = [
        made(lambda: conv_encoder((1, 16, 16), (8, 16, 32), 4, norm=True, spectral=spectral)),
        made(lambda: conv_decoder(4, (8, 16, 32), (1, 16, 16), norm=True)),
    ]
    for network in networks:
        layers = [layer for layer in network if not isinstance(layer, nn.Unflatten)]
        for layer, after in pairwise(layers):
            assert not isinstance(after, nn.BatchNorm2d) or layer.bias is None
    # Each parameter that is left moves the output.
    for network, x in zip(networks, (rows(6, (1, 16, 16)), torch.rand(6, 4)), strict=True):
        gradients = torch.autograd.grad(network(x).square().sum(), list(network.parameters()))
        assert all(g.abs().max() > 1e-6 for g in gradients)


def test_the_first_stage_of_an_encoder_is_not_normalised():
    layers = list(conv_encoder((1, 16, 16), (8, 16), 4, norm=True))
    assert isinstance(layers[1], nn.Conv2d)
    assert not isinstance(layers[2], nn.BatchNorm2d)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in layers) == 1


def test_dropout_acts_in_training_alone():
    encoder = made(lambda: conv_encoder((1, 8, 8), (8, 8), 3, dropout=0.5))
    assert sum(isinstance(layer, Dropout) for layer in encoder) == 2
    for module in encoder.modules():
        if isinstance(module, Dropout):
            module.noise.pool.uniform_(generator=torch.Generator().manual_seed(0))
    x = rows(4, (1, 8, 8))
    encoder.eval()
    assert torch.equal(encoder(x), encoder(x))
    quiet = encoder(x)
    assert not torch.allclose(encoder.train()(x), quiet)


def test_in_evaluation_a_code_depends_on_its_row_alone():
    encoder = made(lambda: conv_encoder((1, 12, 12), (8, 16), 4, norm=True)).train()
    encoder(rows(32, (1, 12, 12)))
    encoder.eval()
    x = rows(9, (1, 12, 12), seed=1)
    torch.testing.assert_close(encoder(x)[4:5], encoder(x[4:5]))


@pytest.mark.parametrize("norm", [False, True])
def test_an_autoencoder_of_convolutions_can_learn_a_few_images(norm):
    shape, x = (1, 10, 9), rows(4, (1, 10, 9)) * 0.8
    network = made(lambda: nn.Sequential(conv_encoder(shape, (16, 32), 8, norm=norm), conv_decoder(8, (16, 32), shape)))
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(150):
        optimiser.zero_grad()
        loss = (network(x) - x).square().mean()
        loss.backward()
        optimiser.step()
    assert loss < 0.1 * x.var()


def test_weights_start_as_those_of_dcgan():
    network = reinitialise(made(lambda: conv_encoder((3, 32, 32), (64, 128, 256), 100, norm=True)))
    weights = torch.cat([p.flatten() for n, p in network.named_parameters() if p.dim() > 1])
    assert abs(weights.mean().item()) < 1e-3
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    scales = torch.cat([layer.weight for layer in network if isinstance(layer, nn.BatchNorm2d)])
    assert scales.mean().item() == pytest.approx(1, abs=0.01)
    assert scales.std().item() == pytest.approx(0.02, rel=0.2)
    assert all((layer.bias == 0).all() for layer in network if getattr(layer, "bias", None) is not None)


# ---- spectral normalisation ------------------------------------------------------------------------------------------


def largest_singular_value(layer):
    """Return the norm of the kernel that the layer convolves with, as a matrix [out, in * k * k]."""
    kernel = layer.norm(layer.weight.flatten(1)).detach()
    return np.linalg.svd(kernel.numpy(), compute_uv=False)[0]


@pytest.mark.parametrize(("c_in", "c_out", "kernel"), [(1, 8, 4), (8, 16, 4), (16, 1, 3), (3, 5, 1)])
def test_after_some_steps_the_largest_singular_value_is_one(c_in, c_out, kernel):
    layer = made(lambda: SpectralConv2d(c_in, c_out, kernel, padding=1)).train()
    x = torch.rand(8, c_in, 9, 9, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(layer.parameters(), lr=1e-3)
    for _ in range(40):
        optimiser.zero_grad()
        layer(x).square().mean().neg().backward()  # which would grow without bound
        optimiser.step()
    layer.eval()
    assert 0.95 <= largest_singular_value(layer) <= 1.05


def test_the_convolution_is_that_of_the_normalised_kernel():
    layer = made(lambda: SpectralConv2d(3, 6, 4, 2, 1)).eval()
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    kernel = layer.weight / np.linalg.svd(layer.weight.detach().flatten(1).numpy(), compute_uv=False)[0].item()
    expected = nn.functional.conv2d(x, kernel, layer.bias, 2, 1)
    torch.testing.assert_close(layer(x), expected, rtol=0.05, atol=0.02)
    plain = nn.Conv2d(3, 6, 4, 2, 1)
    assert layer(x).shape == plain(x).shape
    assert SpectralConv2d(3, 6, 4, bias=False).bias is None


def test_evaluation_does_not_move_the_estimate_of_the_singular_vector():
    layer = made(lambda: SpectralConv2d(3, 6, 4)).eval()
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.weight.normal_(generator=torch.Generator().manual_seed(1))
    before = layer.norm.u.clone()
    assert torch.equal(layer(x), layer(x))
    assert torch.equal(layer.norm.u, before)
    layer.train()(x)
    assert not torch.equal(layer.norm.u, before)


def test_the_scale_of_the_weights_does_not_matter():
    layer = made(lambda: SpectralConv2d(3, 6, 4)).eval()
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(1000)
    torch.testing.assert_close(layer(x), before, rtol=1e-4, atol=1e-5)
