"""Adam on stacked tensors against torch.optim.Adam, step by step."""

import math

import pytest
import torch
from torch import Tensor, nn

from whitecrow.core.spec import InputSpec
from whitecrow.nn import Networks
from whitecrow.train import Objective, Replicas
from whitecrow.train.optimiser import Adam

SHAPES = {"matrix": (3, 4), "vector": (5,), "number": ()}
SEEDS = (0, 1, 2)
PLANS = {
    "plain": {},
    "weight decay": {"weight_decay": 0.3},
    "clipping": {"clip_norm": 1.5},
    "cosine": {"schedule": "cosine"},
    "all": {"weight_decay": 0.1, "clip_norm": 0.7, "schedule": "cosine"},
}


def build(execution, seeds=SEEDS) -> Replicas:
    def networks(spec: InputSpec) -> Networks:
        return Networks(**{n: nn.Parameter(torch.randn(s, dtype=torch.float64)) for n, s in SHAPES.items()})

    return Replicas.build(networks, InputSpec("table", (1,)), seeds, execution)


def optimiser(replicas: Replicas, objective: Objective = Objective(), n_steps: int = 8, **plan) -> Adam:  # noqa: B008
    given = {"lr": 0.05, "weight_decay": 0.0, "clip_norm": None, "schedule": "constant", **plan}
    return Adam(replicas, objective, n_steps=n_steps, **given)


def gradients(step: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(100 * step + seed)
    scale = 10.0**seed  # replicas whose gradients differ in size, so that a common norm would show
    return [scale * torch.randn(s, generator=generator, dtype=torch.float64) for s in SHAPES.values()]


def arrange(per_seed: list[list[Tensor]], execution: str) -> list[Tensor]:
    if len(per_seed) == 1:
        return per_seed[0]
    if execution == "loop":
        return [g for grads in per_seed for g in grads]
    return [torch.stack(together) for together in zip(*per_seed, strict=True)]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("execution", "seeds"), [("direct", SEEDS), ("loop", SEEDS), ("direct", (1,))])
def test_every_step_is_that_of_torch_adam_for_each_replica(execution, seeds, plan):
    chosen = PLANS[plan]
    replicas = build(execution, seeds)
    ours = optimiser(replicas, Objective(betas=(0.8, 0.95)), **chosen)
    copies = [[p.detach().clone().requires_grad_() for p in build("direct", [s]).leaves(())] for s in seeds]
    theirs = [
        torch.optim.Adam(c, lr=0.05, betas=(0.8, 0.95), weight_decay=chosen.get("weight_decay", 0.0)) for c in copies
    ]
    for step in range(8):
        per_seed = [gradients(step, seed) for seed in seeds]
        for leaves, optimiser_, grads in zip(copies, theirs, per_seed, strict=True):
            norm = math.sqrt(sum(float(g.square().sum()) for g in grads))
            factor = min(1.0, chosen.get("clip_norm", math.inf) / norm)
            for leaf, g in zip(leaves, grads, strict=True):
                leaf.grad = g * factor
            if "schedule" in chosen:
                optimiser_.param_groups[0]["lr"] = 0.05 * 0.5 * (1 + math.cos(math.pi * step / 8))
            optimiser_.step()
        ours.step(arrange(per_seed, execution))
        for r, leaves in enumerate(copies):
            for name, leaf in zip(SHAPES, leaves, strict=True):
                torch.testing.assert_close(replicas.stacked[name][r], leaf.detach(), rtol=1e-6, atol=1e-8)


def test_the_gradients_given_are_not_changed_and_may_be_one_tensor_twice():
    def networks(spec: InputSpec) -> Networks:
        return Networks(a=nn.Parameter(torch.zeros(3)), b=nn.Parameter(torch.zeros(3)))

    replicas = Replicas.build(networks, InputSpec("table", (1,)), [0], "direct")
    ours = optimiser(replicas, clip_norm=0.1, weight_decay=0.0)
    shared = torch.tensor(1.0).expand(3)
    ours.step([shared, shared])
    assert shared.eq(1).all()
    moments = ours.state("o")
    # Both moments hold the gradient clipped once: 0.1 / sqrt(6) each, times 1 - beta1.
    for i in (0, 1):
        torch.testing.assert_close(moments[f"o.first.{i}"], torch.full((3,), 0.1 * 0.1 / math.sqrt(6)))


def test_an_objective_may_have_its_own_rate_and_members():
    replicas = build("direct")
    before = replicas.snapshot()
    optimiser(replicas, Objective(trains=("vector",), lr=0.5)).step([torch.ones(3, 5, dtype=torch.float64)])
    torch.testing.assert_close(before["vector"] - replicas.stacked["vector"], torch.full((3, 5), 0.5).double())
    assert torch.equal(replicas.stacked["matrix"], before["matrix"])


def test_state_taken_back_goes_on_as_if_nothing_had_happened():
    straight, broken = build("direct"), build("direct")
    one, first_half = (optimiser(r, schedule="cosine") for r in (straight, broken))
    for step in range(6):
        one.step(arrange([gradients(step, s) for s in SEEDS], "direct"))
    for step in range(3):
        first_half.step(arrange([gradients(step, s) for s in SEEDS], "direct"))
    second_half = optimiser(broken, schedule="cosine")
    second_half.load("x", {k: t.clone() for k, t in first_half.state("x").items()})
    for step in range(3, 6):
        second_half.step(arrange([gradients(step, s) for s in SEEDS], "direct"))
    torch.testing.assert_close(broken.stacked, straight.stacked, rtol=0, atol=0)
