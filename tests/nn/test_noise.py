"""Randomness belongs to a replica: its key and counters decide every draw, and nothing else does."""

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from whitecrow.nn import Dropout, Networks, Noise, derive_seed, seeded
from whitecrow.nn.noise import POOL, fill
from whitecrow.train import Replicas


def noise(seed: int = 0, distribution: Literal["normal", "uniform"] = "normal") -> Noise:
    with seeded(seed):
        module = Noise(distribution)
    fill(module.key, module.pool, distribution, "train", 0)
    return module


def test_the_same_key_and_counters_give_the_same_draws():
    torch.testing.assert_close(noise(3).draw(4, 5), noise(3).draw(4, 5), rtol=0, atol=0)


def test_another_key_epoch_or_call_gives_other_draws():
    first = noise(3)
    a, second_call = first.draw(4, 5), first.draw(4, 5)
    other_epoch = noise(3)
    fill(other_epoch.key, other_epoch.pool, "normal", "train", 1)
    for other in (second_call, noise(4).draw(4, 5), other_epoch.draw(4, 5)):
        assert not torch.isclose(a, other).any()


@pytest.mark.parametrize(("distribution", "reference"), [("normal", stats.norm), ("uniform", stats.uniform)])
def test_draws_follow_their_distribution(distribution, reference):
    draws = noise(1, distribution).draw(200, 200).numpy().ravel()
    assert stats.kstest(draws, reference.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.02


def test_steps_place_the_window_wherever_they_stood_before():
    module = noise()
    module.seek(7)
    expected = module.draw(3)
    module.draw(1000)
    module.seek(7)
    torch.testing.assert_close(module.draw(3), expected, rtol=0, atol=0)
    module.seek(8)
    assert not torch.isclose(module.draw(3), expected).any()


@given(start=st.integers(0, POOL - 1), size=st.integers(1, 2 * POOL + 7))
@settings(deadline=None, max_examples=30)
def test_the_pool_is_read_as_a_ring(start, size):
    module = noise()
    module.offset = start
    expected = np.take(module.pool.numpy(), np.arange(start, start + size), mode="wrap")
    np.testing.assert_array_equal(module.draw(size).numpy(), expected)
    assert module.offset == (start + size) % POOL


def test_a_draw_does_not_depend_on_the_replicas_beside_it():
    nets = []
    for seed in range(3):
        with seeded(seed):
            nets.append(Networks(noise=Noise(), drop=Dropout(0.5)))
    together = Replicas.stack(nets, "direct")
    together.draw_noise("train", 0, 4)
    together.seek_noise(5)
    draws = together._net.noise.like(torch.zeros(3, 6, 2))
    for seed, net in enumerate(nets):
        alone = Replicas.stack([net])
        alone.draw_noise("train", 0, 4)
        alone.seek_noise(5)
        torch.testing.assert_close(draws[seed], alone._net.noise.like(torch.zeros(6, 2)), rtol=0, atol=0)
        torch.testing.assert_close(
            together.stacked["drop.noise.pool"][seed], alone.stacked["drop.noise.pool"][0], rtol=0, atol=0
        )


def test_drawing_leaves_the_global_generator_alone():
    module = noise()
    before = torch.get_rng_state()
    module.draw(10)
    fill(module.key, module.pool, "normal", "train", 9)
    with seeded(1):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_puts_the_generator_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="shape"), seeded(1):
        torch.rand(3).reshape(2, 2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    with seeded(0):
        dropout = Dropout(p).train()
    fill(dropout.noise.key, dropout.noise.pool, "uniform", 0)
    out = dropout(torch.ones(200, 200)).numpy()
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / (1 - p))}
    assert (out == 0).mean() == pytest.approx(p, abs=0.01)
    assert out.mean() == pytest.approx(1, abs=4 * np.sqrt(p / (1 - p) / out.size))


def test_dropout_passes_everything_in_evaluation():
    x = torch.randn(5, 4)
    with seeded(0):
        assert Dropout(0.5).eval()(x) is x


def test_seeds_depend_on_every_part_and_on_their_order():
    seeds = {derive_seed(*parts) for parts in [(1, 2), (2, 1), (12,), ("1", "2", ""), ("a", 1), (1, "a"), ()]}
    assert len(seeds) == 7
    assert all(0 <= s < 2**63 for s in seeds)
