"""Replicas: one storage, several ways to run it."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from whitecrow.core.spec import InputSpec
from whitecrow.nn import Dropout, Networks, Noise, mlp
from whitecrow.train import Batch, Execution, Replicas

SPEC = InputSpec("table", (3,))
SEEDS = (5, 1, 9)
EXECUTIONS = ("direct", "vmap", "loop")


def networks(spec: InputSpec) -> Networks:
    return Networks(
        net=mlp(spec.n_features, 4, 2),
        frozen=mlp(2, 2).requires_grad_(False),
        scale=nn.Parameter(torch.rand(2)),
        shift=torch.rand(()),
        noise=Noise(),
        drop=Dropout(0.5),
        steps=torch.tensor(7),
    )


def score(net: Networks, x: Tensor) -> Tensor:
    return (net.frozen(net.net(x)) * net.scale).square().sum(-1) + net.shift


def build(execution: Execution = "direct", seeds=SEEDS) -> Replicas:
    return Replicas.build(networks, SPEC, seeds, execution)


def test_each_replica_starts_as_a_solo_fit_with_its_seed_starts():
    together = build()
    for r, seed in enumerate(SEEDS):
        alone = build(seeds=[seed])
        for name, tensor in alone.stacked.items():
            assert torch.equal(together.stacked[name][r], tensor[0]), name


def test_building_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    build()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_every_way_of_running_gives_the_scores_of_each_replica(execution):
    replicas, x = build(execution), torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    replicas.train(False)
    with torch.inference_mode():
        scores = replicas.scores(score, x)
    assert scores.shape == (3, 8)
    for r, seed in enumerate(SEEDS):
        alone = build(seeds=[seed])
        torch.testing.assert_close(scores[r], alone.scores(score, x)[0].detach())
        torch.testing.assert_close(scores[r], score(replicas.replica(r), x).detach())


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_losses_may_have_a_batch_and_weights_of_their_own_for_each_replica(execution):
    replicas = build(execution)
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(3, 8, 3, generator=generator), torch.rand(3, 8, generator=generator)
    losses = replicas.losses(lambda net, b: b.mean(score(net, b.x)), Batch(x, None, w))
    for r in range(3):
        values = score(replicas.replica(r), x[r])
        torch.testing.assert_close(losses[r], (values * w[r]).sum() / w[r].sum())


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_what_one_view_writes_all_see(execution):
    replicas = build(execution)
    replicas.replica(1).shift.fill_(42)
    replicas.replica(1).net.weight0.data.fill_(1)
    assert replicas.stacked["shift"][1] == 42
    assert replicas.stacked["net.weight0"][1].eq(1).all()
    assert not replicas.stacked["net.weight0"][0].eq(1).any()
    replicas.restore({name: torch.zeros_like(t) for name, t in replicas.stacked.items()})
    assert replicas.scores(score, torch.ones(2, 3)).eq(0).all()


def test_gather_takes_over_what_a_hook_replaced():
    replicas = build()
    view = replicas.replica(2)
    held = view.net.weight0
    view.shift = torch.tensor(3.0)
    view.scale = nn.Parameter(torch.ones(2))
    view.net.weight0.data = torch.ones(4, 3)
    replicas.gather(2)
    assert replicas.stacked["shift"][2] == 3
    assert replicas.stacked["scale"][2].eq(1).all()
    assert replicas.stacked["net.weight0"][2].eq(1).all()
    assert view.net.weight0 is held
    replicas.stacked["net.weight0"][2].fill_(5)
    assert view.net.weight0.eq(5).all()


def test_only_trainable_members_that_are_named_are_leaves():
    replicas = build()
    assert set(replicas.trainable) == {"net.weight0", "net.weight1", "net.bias0", "net.bias1", "scale"}
    assert len(replicas.leaves(())) == 5
    assert [tuple(t.shape) for t in replicas.leaves(("scale",))] == [(3, 2)]
    assert [tuple(t.shape) for t in build("loop").leaves(("scale",))] == [(2,)] * 3


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_freezing_lets_gradients_flow_to_the_chosen_tensors_only(execution):
    replicas = build(execution)
    x = Batch(torch.ones(3, 4, 3))
    for members in (("scale",), ("net",), ("net", "scale"), ()):
        leaves = replicas.leaves(members)
        replicas.freeze_all_but(leaves)
        value = replicas.losses(lambda net, b: b.mean(score(net, b.x)), x).sum()
        grads = torch.autograd.grad(value, leaves)
        assert all(g.shape == leaf.shape for g, leaf in zip(grads, leaves, strict=True))
        wanted = {id(leaf) for leaf in leaves}
        running = {id(p): p for p in replicas.leaves(())}
        assert {i for i, p in running.items() if p.requires_grad} == wanted


@pytest.mark.parametrize("execution", ["direct", "loop"])
def test_norms_and_factors_belong_to_each_replica(execution):
    replicas = build(execution)
    generator = torch.Generator().manual_seed(0)
    grads = [torch.randn(leaf.shape, generator=generator) for leaf in replicas.leaves(())]
    per_replica = (
        [grads[5 * r : 5 * r + 5] for r in range(3)]
        if execution == "loop"
        else [[g[r] for g in grads] for r in range(3)]
    )
    expected = torch.stack([torch.cat([g.reshape(-1) for g in gs]).square().sum() for gs in per_replica])
    torch.testing.assert_close(replicas.square_norms(grads), expected)
    scaled = replicas.scale(grads, torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(replicas.square_norms(scaled), expected * torch.tensor([1.0, 4.0, 9.0]))


def test_restoring_some_replicas_leaves_the_others():
    replicas = build()
    snapshot = replicas.snapshot()
    for tensor in replicas.stacked.values():
        tensor.add_(1)
    moved = replicas.snapshot()
    replicas.restore(snapshot, torch.tensor([False, True, False]))
    for name, tensor in replicas.stacked.items():
        assert torch.equal(tensor[1], snapshot[name][1]), name
        assert torch.equal(tensor[[0, 2]], moved[name][[0, 2]]), name


def test_finite_looks_at_every_number_of_each_replica():
    replicas = build()
    assert replicas.finite().tolist() == [True, True, True]
    replicas.stacked["shift"][2] = torch.inf
    replicas.stacked["net.weight1"][0, 1, 2] = torch.nan
    assert replicas.finite().tolist() == [False, True, False]


def test_noise_is_the_replicas_own_and_the_same_wherever_it_runs():
    together = build("direct")
    together.draw_noise("train", 0, 1)
    together.seek_noise(3)
    running = together._net.noise.draw(6)
    for r, seed in enumerate(SEEDS):
        alone = build(seeds=[seed])
        alone.draw_noise("train", 0, 1)
        alone.seek_noise(3)
        assert torch.equal(running[r], alone.replica(0).noise.draw(6))
        assert torch.equal(running[r], together.replica(r).noise.draw(6))


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_copy_scores_alike_and_shares_nothing(execution):
    replicas, x = build(execution), torch.ones(2, 3)
    copy = deepcopy(replicas)
    expected = replicas.scores(score, x)
    torch.testing.assert_close(copy.scores(score, x), expected, rtol=0, atol=0)
    copy.stacked["shift"].add_(1)
    torch.testing.assert_close(replicas.scores(score, x), expected, rtol=0, atol=0)
