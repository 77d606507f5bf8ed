"""The gradient of a perceptron with respect to its input, against automatic differentiation."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from whitecrow.nn import MLP, Activation, mlp, seeded
from whitecrow.nn.input_gradient import input_gradient

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
        for name, parameter in net.named_parameters():
            if name.startswith("bias"):
                parameter.data.normal_()
    return net


def plain(net: MLP, x: Tensor) -> Tensor:
    """Compute what ``net`` computes by torch's own layers."""
    parameters = dict(net.named_parameters())
    for layer, activation in enumerate(net.activations):
        x = nn.functional.linear(x, parameters[f"weight{layer}"], parameters.get(f"bias{layer}"))
        x = TORCH_LAYERS[activation](x)
    return x


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("output", ["none", "softplus"])
@pytest.mark.parametrize("activation", list(TORCH_LAYERS))
def test_value_and_gradient_are_those_of_automatic_differentiation(
    activation: Activation, output: Activation, bias: bool
) -> None:
    net, x = build(5, 7, 6, 3, activation=activation, output=output, bias=bias), rows(9, 5).requires_grad_()
    expected = plain(net, x)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    with torch.no_grad():
        y, g = input_gradient(x, net.layers(x.shape[:-1]))
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(g, slope, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", ["softplus", "tanh", "sigmoid", "elu", "relu", "leaky-relu"])
def test_it_can_be_differentiated_with_respect_to_the_parameters(activation: Activation) -> None:
    net, x = build(4, 6, 5, 2, activation=activation, output="softplus"), rows(8, 4)
    parameters = list(net.parameters())
    ours = torch.autograd.grad(input_gradient(x, net.layers(x.shape[:-1]))[1].square().sum(), parameters)
    point = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(plain(net, point).sum(), point, create_graph=True)
    theirs = torch.autograd.grad(slope.square().sum(), parameters)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_dropped_values_have_no_gradient() -> None:
    net, x = build(4, 6, 1, dropout=0.5), rows(8, 4).requires_grad_()
    net.dropout.noise.pool.uniform_(generator=torch.Generator().manual_seed(0))
    layers = net.layers(x.shape[:-1])
    with torch.no_grad():
        _, g = input_gradient(x, layers)
    hidden = torch.relu(x @ net.weight0.T + net.bias0) * layers[3][0]
    (slope,) = torch.autograd.grad((hidden @ net.weight1.T).sum(), x)
    torch.testing.assert_close(g, slope, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "softplus", "elu", "leaky-relu", "tanh", "sigmoid"])
def test_stacked_mapped_and_single_networks_agree(activation: Activation) -> None:
    nets, x = [build(4, 6, 2, seed=s, activation=activation) for s in range(3)], rows(3, 5, 4)
    alone = torch.stack([input_gradient(x[r], net.layers(x.shape[1:2]))[1] for r, net in enumerate(nets)])
    tensors = {name: torch.stack([dict(n.named_parameters())[name] for n in nets]) for name in nets[0]._parameters}

    class Gradient(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nets[0]

        def forward(self, rows: Tensor) -> Tensor:
            return input_gradient(rows, self.net.layers(rows.shape[:-1]))[1]

    module = Gradient()
    mapped = vmap(lambda t, z: functional_call(module, {f"net.{k}": v for k, v in t.items()}, (z,)))(tensors, x)
    torch.testing.assert_close(mapped, alone)
    names = [f"{kind}{i}" for kind in ("weight", "bias") for i in range(2)]
    w0, w1, b0, b1 = (tensors[n].detach() for n in names)
    stacked = input_gradient(x, (nets[0].activations, [w0, w1], [b0, b1], [None, None]))[1]
    torch.testing.assert_close(stacked, alone)
