"""Products and the softplus, bit for bit alike alone and among replicas."""

import pytest
import torch

from whitecrow.nn import softplus
from whitecrow.nn.product import add_product_, product


def factors(m: int, k: int, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(m * k + n)
    a, b, bias = (torch.randn(3, *shape, generator=generator) for shape in ((m, k), (k, n), (n,)))
    return a, b, bias


# Few multiplications; one column, one row; few rows; few columns.
@pytest.mark.parametrize(
    ("m", "k", "n"), [(11, 6, 3), (64, 128, 1), (1, 128, 64), (7, 128, 64), (63, 31, 7), (5, 20, 33)]
)
@pytest.mark.parametrize("biased", [False, True])
def test_replicas_are_multiplied_like_a_single_network(m: int, k: int, n: int, biased: bool) -> None:
    a, b, bias = factors(m, k, n)
    stacked = product(a, b, bias if biased else None)
    for r in range(3):
        torch.testing.assert_close(stacked[r], product(a[r], b[r], bias[r] if biased else None), rtol=0, atol=0)


@pytest.mark.parametrize(("m", "k", "n"), [(11, 6, 3), (64, 128, 1), (7, 128, 64)])
def test_products_added_to_a_start_are_alike_too(m: int, k: int, n: int) -> None:
    a, b, bias = factors(m, k, n)
    start = bias.unsqueeze(1) * torch.ones(3, m, 1)
    stacked = add_product_(start.clone(), a, b)
    for r in range(3):
        torch.testing.assert_close(stacked[r], add_product_(start[r].clone(), a[r], b[r]), rtol=0, atol=0)


@pytest.mark.parametrize(("m", "k", "n"), [(11, 6, 3), (64, 128, 1), (7, 128, 64), (63, 31, 7), (64, 32, 16)])
def test_the_values_are_those_of_the_product(m: int, k: int, n: int) -> None:
    a, b, bias = factors(m, k, n)
    exact = a.double() @ b.double() + bias.double().unsqueeze(1)
    for found in (
        product(a, b, bias),
        product(a, b) + bias.unsqueeze(1),
        add_product_(0 * exact.float(), a, b) + bias[:, None],
    ):
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(product(a[1], b[1], bias[1]).double(), exact[1], rtol=1e-5, atol=1e-4)


def test_a_softplus_is_the_same_wherever_its_value_stands() -> None:
    x = torch.linspace(-30, 30, 203)
    whole = softplus(x)
    for first in range(1, 40):
        torch.testing.assert_close(softplus(x[first:].clone()), whole[first:], rtol=0, atol=0)
    exact = torch.nn.functional.softplus(x.double(), threshold=50)
    torch.testing.assert_close(whole.double(), exact, rtol=1e-6, atol=0)
