"""Networks: members by name, stacked views, tensors swapped without a copy."""

import torch
from torch import nn

from whitecrow.nn import Networks, Noise, mlp


def networks() -> Networks:
    return Networks(net=mlp(3, 2), memory=nn.Parameter(torch.ones(4, 2)), c=torch.arange(3.0), step=torch.tensor(1.0))


def test_modules_and_parameters_are_trained_and_tensors_are_not():
    net = networks()
    assert {n for n, _ in net.named_parameters()} == {"net.weight0", "net.bias0", "memory"}
    assert {n for n, _ in net.named_buffers()} == {"c", "step"}


def test_tensors_lists_every_tensor_and_persistent_leaves_out_what_is_derived():
    net = Networks(noise=Noise(), c=torch.zeros(2))
    assert {n for n, _ in net.tensors()} == {"noise.key", "noise.pool", "c"}
    assert {n for n, _ in net.tensors(persistent=True)} == {"noise.key", "c"}


def test_stacked_vectors_and_numbers_are_read_with_an_axis_for_the_rows():
    net = networks()
    for name, tensor in list(net.tensors()):
        net.swap(name, torch.stack([tensor.detach()] * 5))
    assert net.c.shape == (5, 3)
    net.mark_stacked()
    assert net.c.shape == (5, 1, 3)
    assert net.step.shape == (5, 1)
    assert net.memory.shape == (5, 4, 2)
    assert (torch.zeros(5, 7, 3) - net.c).shape == (5, 7, 3)
    assert (net.step * torch.zeros(5, 7)).shape == (5, 7)


def test_what_is_written_to_a_stacked_vector_is_kept():
    net = networks()
    net.swap("c", torch.zeros(5, 3))
    net.mark_stacked().c.copy_(torch.ones(5, 1, 3))
    assert dict(net.tensors())["c"].eq(1).all()


def test_swap_puts_the_tensor_itself_in_place():
    net = networks()
    replacement = torch.zeros(2, 3)
    net.swap("net.weight0", replacement)
    net.swap("c", replacement)
    assert isinstance(net.net.weight0, nn.Parameter)
    assert net.net.weight0.data_ptr() == net.c.data_ptr() == replacement.data_ptr()


def test_swap_replaces_tied_weights_wherever_they_stand():
    net = Networks(first=mlp(3, 3), second=mlp(3, 3))
    net.second.weight0 = net.first.weight0
    net.swap("first.weight0", torch.zeros(3, 3))
    assert net.second.weight0 is net.first.weight0
    assert net.second.weight0.eq(0).all()


def test_swapping_all_at_once_is_swapping_one_after_the_other():
    tied, other = (Networks(first=mlp(3, 3), second=mlp(3, 3), c=torch.zeros(2)) for _ in range(2))
    for net in (tied, other):
        net.second.weight0 = net.first.weight0
    fresh = {name: torch.full_like(tensor, k) for k, (name, tensor) in enumerate(tied.tensors())}
    tied.swap_all(fresh)
    for name, tensor in fresh.items():
        other.swap(name, tensor)
    assert tied.second.weight0 is tied.first.weight0
    for (name, tensor), (same, expected) in zip(tied.tensors(), other.tensors(), strict=True):
        assert name == same
        assert type(tensor) is type(expected)
        assert tensor.data_ptr() == expected.data_ptr() == fresh[name].data_ptr()
