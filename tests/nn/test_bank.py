"""The bank of perceptrons against a loop over them."""

import torch
from torch.func import functional_call, vmap

from whitecrow.nn import Networks, bank, seeded


def build(seed: int = 0):
    with seeded(seed):
        return bank(3, 5, 7, 4).double()


def loop(net, x: torch.Tensor) -> torch.Tensor:
    """Return ``[K, B, out]``, one perceptron after the other."""
    inner = net.inner.reshape(3, 7, 5)
    return torch.stack([torch.relu(x @ inner[k].T) @ net.outer[k].T for k in range(3)])


def rows(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_bank_is_a_loop_over_its_perceptrons():
    net, x = build(), rows(6, 5).requires_grad_()
    torch.testing.assert_close(net(x), loop(net, x))
    wanted = [x, net.inner, net.outer]
    for ours, theirs in zip(
        torch.autograd.grad(net(x).square().sum(), wanted),
        torch.autograd.grad(loop(net, x).square().sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_linear_map_of_the_outputs_is_folded_into_the_weights():
    net, x, then = build(), rows(6, 5), rows(2, 4)
    torch.testing.assert_close(net(x, then=then), loop(net, x) @ then.T)


def test_stacked_bank_is_each_bank_and_vmap_of_it():
    nets, x = [build(seed) for seed in range(2)], rows(2, 6, 5)
    alone = torch.stack([net(rows_) for net, rows_ in zip(nets, x, strict=True)])
    stacked = {
        name: torch.stack([dict(n.named_parameters())[name].detach() for n in nets]) for name in ("inner", "outer")
    }
    holder = Networks(bank=build())
    for name, tensor in stacked.items():
        holder.swap(f"bank.{name}", tensor)
    torch.testing.assert_close(holder.bank(x), alone)
    torch.testing.assert_close(vmap(lambda t, r: functional_call(nets[0], t, (r,)))(stacked, x), alone)


def test_bank_keeps_the_variance_of_its_input():
    with seeded(0):
        outputs = bank(11, 50, 400, 50)(torch.randn(500, 50)).detach()
    assert 0.8 < float(outputs.var()) < 1.2
