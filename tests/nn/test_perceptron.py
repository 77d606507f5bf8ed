"""The one-node perceptron against plain torch layers."""

import math
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from whitecrow.core.errors import TrainingError
from whitecrow.nn import MLP, Networks, mean_error_gradient, mlp, pullback, reconstruction_error, seeded

TORCH_LAYERS = {
    "relu": nn.ReLU(),
    "leaky-relu": nn.LeakyReLU(0.2),
    "elu": nn.ELU(),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "softplus": nn.Softplus(),
    "none": nn.Identity(),
}


def build(*widths: int, seed: int = 0, **options) -> MLP:
    """Return a perceptron in float64 whose biases are not zero, so that a lost bias shows."""
    with seeded(seed):
        net = mlp(*widths, **options).double()
        for bias in named(net, "bias"):
            bias.data.normal_()
    return net


def named(net: MLP, kind: str) -> list[Tensor]:
    """Return the weights, or the biases, in the order of the layers."""
    return [p for name, p in net.named_parameters() if name.startswith(kind)]


def plain(net: MLP, masks: list[Tensor] | None = None):
    """Return a function that computes what ``net`` computes, from torch's own layers and the same tensors."""

    def run(x: Tensor) -> Tensor:
        biases = named(net, "bias")
        for layer, weight in enumerate(named(net, "weight")):
            bias = biases[layer] if biases else None
            x = TORCH_LAYERS[net.activations[layer]](nn.functional.linear(x, weight, bias))
            if masks is not None and layer < len(masks):
                x = x * masks[layer]
        return x

    return run


def rows(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def assert_same_values_and_gradients(function, reference, x: Tensor, parameters) -> None:
    wanted = [x, *parameters]
    value, expected = function(x), reference(x)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    direction = torch.linspace(-1, 2, value.numel(), dtype=value.dtype).reshape(value.shape)
    ours = torch.autograd.grad((value * direction).sum(), wanted)
    theirs = torch.autograd.grad((expected * direction).sum(), wanted)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", TORCH_LAYERS)
def test_values_and_gradients_are_those_of_plain_layers(activation, bias):
    net = build(5, 7, 4, 3, activation=activation, output=activation, bias=bias)
    assert_same_values_and_gradients(net, plain(net), rows(11, 5), net.parameters())


@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus"])
def test_gradients_agree_with_finite_differences(activation):
    net = build(3, 4, 2, activation=activation, output="elu")
    x = rows(4, 3)
    names = [name for name, _ in net.named_parameters()]

    def call(x: Tensor, *tensors: Tensor) -> Tensor:
        return functional_call(net, dict(zip(names, tensors, strict=True)), (x,))

    assert torch.autograd.gradcheck(call, (x, *net.parameters()))


def test_extreme_values_before_softplus_and_sigmoid_have_finite_gradients():
    net = build(1, 1, activation="softplus", output="softplus", bias=False)
    named(net, "weight")[0].data.fill_(1.0)
    x = torch.tensor([[-800.0], [-30.0], [0.0], [30.0], [800.0]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    torch.testing.assert_close(gradient, torch.sigmoid(x).detach(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("activation", TORCH_LAYERS)
def test_dropout_masks_values_and_gradients_alike(activation):
    net = build(5, 8, 6, 3, activation=activation, dropout=0.4).train()
    assert net.dropout is not None
    net.dropout.noise.pool.uniform_(generator=torch.Generator().manual_seed(3))
    net.dropout.noise.seek(2)
    masks = [net.dropout.mask(torch.Size((9, width))).double() for width in (8, 6)]
    assert {m.unique().numel() for m in masks} == {2}

    noise = net.dropout.noise

    def call(x: Tensor) -> Tensor:
        noise.seek(2)
        return net(x)

    assert_same_values_and_gradients(call, plain(net, masks), rows(9, 5), net.parameters())


def test_dropout_is_off_in_evaluation():
    net = build(5, 8, 3, dropout=0.4).eval()
    x = rows(9, 5)
    torch.testing.assert_close(net(x), plain(net)(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_further_row_axes_are_so_many_more_rows(bias):
    net = build(5, 7, 3, bias=bias)
    assert_same_values_and_gradients(net, plain(net), rows(4, 6, 2, 5), net.parameters())


def stack(nets: list[MLP]) -> MLP:
    """Return a perceptron whose tensors carry a leading replica axis."""
    whole = Networks(net=deepcopy(nets[0]))
    states = [dict(Networks(net=net).tensors()) for net in nets]
    for name in states[0]:
        whole.swap(name, torch.stack([state[name].detach() for state in states]))
    return whole.net


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(6, 5), (4, 6, 5)])
def test_each_replica_of_a_stack_is_what_it_is_alone(bias, shape):
    nets = [build(5, 7, 3, seed=s, activation="elu", bias=bias) for s in range(3)]
    stacked = stack(nets)
    x = rows(3, *shape)
    value = stacked(x)
    grads = torch.autograd.grad(value.sin().sum(), [x, *stacked.parameters()])
    for r, net in enumerate(nets):
        alone = x[r].detach().requires_grad_()
        expected = plain(net)(alone)
        torch.testing.assert_close(value[r], expected, rtol=1e-12, atol=1e-12)
        expected_grads = torch.autograd.grad(expected.sin().sum(), [alone, *net.parameters()])
        torch.testing.assert_close([g[r] for g in grads], list(expected_grads), rtol=1e-10, atol=1e-12)


@pytest.fixture
def one_thread():
    """More of them share out a large product, which adds it up otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n", [1, 3, 7, 12, 24, 25, 64, 123])
def test_a_replica_gets_the_very_bits_of_a_network_alone_however_few_its_rows(bias, n):
    # Of products this small torch adds up a batch in another order than a single one.
    encoders = [build(6, 16, 8, 2, seed=s, activation="tanh", bias=bias).float() for s in range(3)]
    decoders = [build(2, 8, 16, 6, seed=9 + s, activation="tanh", bias=bias).float() for s in range(3)]
    x = rows(3, n, 6).detach().float()
    together = stack(encoders), stack(decoders)
    loss, gradient = mean_error_gradient(x, None, *together)
    error = reconstruction_error(x, *together).detach()
    for r, alone in enumerate(zip(encoders, decoders, strict=True)):
        expected, slopes = mean_error_gradient(x[r].clone(), None, *alone)
        assert torch.equal(loss[r], expected)
        assert torch.equal(error[r], reconstruction_error(x[r].clone(), *alone))
        for whole, part in zip(together, alone, strict=True):
            for p, q in zip(whole.parameters(), part.parameters(), strict=True):
                assert torch.equal(gradient[p][r], slopes[q])


def test_vmap_over_stacked_parameters_gives_each_replica_its_values():
    nets = [build(5, 7, 3, seed=s) for s in range(3)]
    stacked, x = stack(nets), rows(3, 6, 5)
    tensors = dict(stacked.named_parameters())
    value = vmap(lambda t, rows: functional_call(nets[0], t, (rows,)))(tensors, x)
    for r, net in enumerate(nets):
        torch.testing.assert_close(value[r], plain(net)(x[r]), rtol=1e-12, atol=1e-12)


def penalty(net, x: Tensor) -> Tensor:
    """Return a gradient penalty: a gradient within what is differentiated."""
    slope = torch.func.grad(lambda v: net(v).square().sum())(x)
    return slope.square().sum()


def test_a_gradient_within_the_loss_can_be_differentiated():
    net = build(4, 6, 2, activation="tanh")
    x = rows(5, 4)
    (inner,) = torch.autograd.grad(plain(net)(x).square().sum(), x, create_graph=True)
    expected = torch.autograd.grad(inner.square().sum(), list(net.parameters()))
    ours = torch.autograd.grad(penalty(net, x), list(net.parameters()))
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-11)


def test_a_gradient_within_the_loss_runs_under_vmap_over_replicas():
    nets = [build(4, 6, 2, seed=s, activation="tanh") for s in range(2)]
    tensors, x = {n: p.data for n, p in stack(nets).named_parameters()}, rows(2, 5, 4).detach()

    def one(t: dict[str, Tensor], v: Tensor) -> Tensor:
        return penalty(lambda w: functional_call(nets[0], t, (w,)), v)

    torch.testing.assert_close(
        vmap(one)(tensors, x), torch.stack([penalty(n, v) for n, v in zip(nets, x, strict=True)])
    )


def test_no_gradient_is_computed_for_frozen_weights():
    net = build(4, 6, 2).requires_grad_(False)
    x = rows(5, 4)
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    (expected,) = torch.autograd.grad(plain(net)(x).sum(), x)
    torch.testing.assert_close(gradient, expected)
    assert not net(x.detach()).requires_grad


@pytest.mark.parametrize(
    ("init", "activation", "variance"),
    [
        ("kaiming", "relu", 2 / 400),
        ("kaiming", "none", 1 / 400),
        ("xavier", "relu", 2 / 900),
        ("normal", "relu", 4e-4),
    ],
)
def test_initial_weights_have_the_stated_variance(init, activation, variance):
    with seeded(0):
        weight = named(mlp(400, 500, init=init, output=activation), "weight")[0].detach()
    assert float(weight.var()) == pytest.approx(variance, rel=0.03)
    assert abs(float(weight.mean())) < 5 * math.sqrt(variance / weight.numel())


def test_layers_divide_their_weights_by_their_largest_singular_values():
    net = build(6, 8, 3, bias=False, activation="none", spectral=True).eval()
    normed = [w / torch.linalg.matrix_norm(w, 2) for w in named(net, "weight")]
    x = rows(5, 6)
    torch.testing.assert_close(net(x), x @ normed[0].mT @ normed[1].mT, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("output", ["none", "sigmoid"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_chain_with_its_error_is_one_node_with_the_same_values_and_gradients(output, dropout):
    nets = [
        build(5, 7, 2, activation="elu", dropout=dropout, seed=0).train(),
        build(2, 7, 5, activation="relu", output=output, dropout=dropout, seed=1).train(),
    ]
    masks: list[list[Tensor] | None] = [None, None]
    if dropout:
        for i, net in enumerate(nets):
            assert net.dropout is not None
            net.dropout.noise.pool.uniform_(generator=torch.Generator().manual_seed(i))
            masks[i] = [net.dropout.mask(torch.Size((9, 7))).double()]

    def chain(x: Tensor) -> Tensor:
        for net in nets:
            if net.dropout is not None:
                net.dropout.noise.seek(0)
        return reconstruction_error(x, *nets)

    def reference(x: Tensor) -> Tensor:
        return (x - plain(nets[1], masks[1])(plain(nets[0], masks[0])(x))).square().sum(-1)

    assert_same_values_and_gradients(chain, reference, rows(9, 5), [p for net in nets for p in net.parameters()])


def test_the_error_of_a_stacked_chain_is_that_of_each_replica_alone():
    encoders, decoders = ([build(a, 3, b, seed=s + 7 * a) for s in range(3)] for a, b in [(5, 2), (2, 5)])
    x = rows(3, 6, 5)
    error = reconstruction_error(x, stack(encoders), stack(decoders))
    for r in range(3):
        expected = (x[r] - plain(decoders[r])(plain(encoders[r])(x[r]))).square().sum(-1)
        torch.testing.assert_close(error[r], expected)


def test_a_second_derivative_outside_a_transformation_is_refused():
    net = build(3, 4, 1)
    x = rows(2, 3)
    with pytest.raises(TrainingError, match=r"torch\.func\.grad"):
        torch.autograd.grad(net(x).sum(), x, create_graph=True)


@pytest.mark.parametrize("replicas", [(), (2,)])
@pytest.mark.parametrize("bias", [False, True])
def test_pullback_is_the_gradient_of_the_output(replicas, bias):
    generator = torch.Generator().manual_seed(0)
    net = Networks(f=mlp(4, 6, 3, activation="tanh", bias=bias))
    for name, tensor in list(net.tensors()):
        net.swap(name, torch.randn(*replicas, *tensor.shape, generator=generator))
    x = torch.randn(*replicas, 5, 4, generator=generator).requires_grad_()
    g = torch.randn(*replicas, 5, 3, generator=generator)
    expected = net.f(x)
    y, back = pullback(x.detach(), net.f)
    torch.testing.assert_close(y, expected.detach())
    assert not y.requires_grad
    by_x, gradient = back(g.clone())
    parameters = list(net.parameters())
    slopes = torch.autograd.grad(expected, [x, *parameters], g)
    torch.testing.assert_close((by_x, *(gradient[p] for p in parameters)), slopes)
