"""Residual networks, the gradient penalty against closed forms, diversity against SciPy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from sklearn.metrics import roc_auc_score
from torch import nn

from whitecrow.nn import (
    ResidualBlock,
    diversity,
    flat_width,
    gradient_penalty,
    order_accuracy,
    residual_encoder,
    residual_generator,
    seeded,
)

relaxed = settings(deadline=None, max_examples=25)
shapes = st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20))


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(n):
    return torch.rand(n, 1, generator=torch.Generator().manual_seed(2))


def made(build, seed=0):
    with seeded(seed):
        return build()


# ---- networks --------------------------------------------------------------------------------------------------------


@relaxed
@given(shape=shapes, n_stages=st.integers(1, 3))
def test_networks_lead_from_rows_to_codes_and_back(shape, n_stages):
    channels = (8, 8, 16)[-n_stages:]
    x = draw(2, math.prod(shape)).clamp(-1, 1)
    code = made(lambda: residual_encoder(shape, channels, 5))(x)
    assert code.shape == (2, 5)
    rebuilt = made(lambda: residual_generator(5, channels, shape))(code)
    assert rebuilt.shape == x.shape
    assert rebuilt.abs().max() <= 1
    assert made(lambda: residual_encoder(shape, channels, None))(x).shape == (2, flat_width(shape, channels))


@pytest.mark.parametrize(("sides", "after"), [("halved", 4), ("doubled", 16)])
def test_a_block_whose_branch_is_silent_resizes(sides, after):
    block = made(lambda: ResidualBlock(3, 3, sides))
    with torch.no_grad():
        block.shortcut[1 if sides == "halved" else 0].weight.copy_(torch.eye(3)[..., None, None])
        for module in block.branch:
            if isinstance(module, nn.Conv2d):
                module.weight.zero_()
    x = draw(2, 3, 8, 8)
    y = block(x)
    assert y.shape == (2, 3, after, after)
    if sides == "halved":
        torch.testing.assert_close(y, x.unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5)))
    else:
        torch.testing.assert_close(y, x.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize("sides", ["halved", "doubled"])
def test_a_block_is_the_same_in_training_and_takes_each_image_by_itself(sides):
    block, x = made(lambda: ResidualBlock(4, 6, sides)), draw(5, 4, 8, 8)
    whole = block.train()(x)
    torch.testing.assert_close(block.eval()(x), whole)
    torch.testing.assert_close(torch.cat([block(x[i : i + 1]) for i in range(5)]), whole)
    assert not list(block.buffers())


def test_both_of_a_blocks_ways_reach_its_output():
    for sides in ("halved", "doubled"):
        block = made(lambda sides=sides: ResidualBlock(4, 6, sides))
        gradients = torch.autograd.grad(block(draw(3, 4, 8, 8)).square().sum(), list(block.parameters()))
        assert all(g.abs().max() > 1e-6 for g in gradients)


# ---- the game --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0.0, 0.5, 1.0, 3.0])
def test_the_penalty_of_a_linear_critic_is_its_length_less_one_squared(length):
    w = nn.functional.normalize(draw(7), dim=0) * length
    penalty = gradient_penalty(lambda x: x @ w, draw(5, 7), draw(5, 7, seed=1), uniform(5))
    torch.testing.assert_close(penalty, torch.full((5,), (length - 1) ** 2))


def test_the_penalty_is_taken_between_the_rows_and_can_be_differentiated():
    scale = torch.tensor(0.5, requires_grad=True)
    real, fake, share = draw(6, 4), draw(6, 4, seed=1), uniform(6)
    penalty = gradient_penalty(lambda x: scale * x.square().sum(-1), real, fake, share)
    length = 2 * (real + share * (fake - real)).norm(dim=-1)
    torch.testing.assert_close(penalty, (scale * length - 1).square())
    (slope,) = torch.autograd.grad(penalty.sum(), scale)
    torch.testing.assert_close(slope, (2 * (scale * length - 1) * length).sum())


def test_the_penalty_of_a_critic_of_images_is_that_of_each_rows_own_gradient():
    shape, channels = (1, 8, 8), (4, 8)
    critic = made(lambda: residual_encoder(shape, channels, 1))
    real, fake, share = draw(4, 64), draw(4, 64, seed=1), uniform(4)
    penalty = gradient_penalty(critic, real, fake, share)
    slopes = []
    for row in (real + share * (fake - real)).requires_grad_(True).unbind():
        (slope,) = torch.autograd.grad(critic(row[None]).sum(), row, create_graph=True)
        slopes.append((slope.norm() - 1).square())
    torch.testing.assert_close(penalty, torch.stack(slopes), rtol=1e-4, atol=1e-5)
    kernels = [p for p in critic.parameters() if p.dim() == 4]
    expected = torch.autograd.grad(torch.stack(slopes).sum(), kernels)
    for ours, theirs in zip(torch.autograd.grad(penalty.sum(), kernels), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_diversity_is_a_ratio_of_mean_distances():
    a, b = draw(30, 6), 2 * draw(20, 6, seed=1)
    assert diversity(a, b).item() == pytest.approx(pdist(a).mean() / pdist(b).mean(), rel=1e-5)
    assert diversity(torch.zeros(9, 6), b) == 0


def test_the_order_that_a_critic_finds_is_an_auroc():
    real, fake = draw(40) + 1, draw(30, seed=1)
    labels = np.repeat([1, 0], [40, 30])
    assert order_accuracy(real, fake).item() == pytest.approx(roc_auc_score(labels, torch.cat([real, fake])))
