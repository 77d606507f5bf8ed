"""Products with windows and with what they leave, against NumPy."""

import numpy as np
import pytest
import torch
from torch.func import vmap

from whitecrow.core.errors import TrainingError
from whitecrow.nn import complement_product, window_product

SHAPES = [(2, 1), (5, 2), (9, 8), (60, 2), (80, 9), (90, 2), (130, 40)]


def case(d: int, width: int, *replicas: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows and the weight of their complements."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*replicas, 4, d, generator=generator, dtype=torch.float64)
    return x, torch.randn(*replicas, 3, d - width, generator=generator, dtype=torch.float64)


def naive(x: torch.Tensor, weight: torch.Tensor, width: int) -> np.ndarray:
    rows, w = x.numpy(), weight.detach().numpy()
    starts = range(rows.shape[1] - width + 1)
    return np.stack([np.delete(rows, range(j, j + width), axis=1) @ w.T for j in starts])


@pytest.mark.parametrize(("d", "width"), SHAPES)
def test_complements_are_the_rows_without_their_windows(d, width):
    x, weight = case(d, width)
    np.testing.assert_allclose(complement_product(x, weight, width), naive(x, weight, width), atol=1e-12)


@pytest.mark.parametrize(("d", "width"), SHAPES)
def test_windows_are_consecutive_features(d, width):
    x, _ = case(d, width)
    weight = torch.randn(3, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = np.stack([x.numpy()[:, j : j + width] @ weight.numpy().T for j in range(d - width + 1)])
    np.testing.assert_allclose(window_product(x, weight, width), expected, atol=1e-12)


@pytest.mark.parametrize(("d", "width"), [(5, 2), (90, 2)])
def test_stacked_products_are_those_of_each_replica(d, width):
    x, weight = case(d, width, 2)
    expected = torch.stack([complement_product(*pair, width) for pair in zip(x, weight, strict=True)])
    torch.testing.assert_close(complement_product(x, weight, width), expected)
    torch.testing.assert_close(vmap(lambda a, w: complement_product(a, w, width))(x, weight), expected)
    few = weight[..., :width]
    expected = torch.stack([window_product(*pair, width) for pair in zip(x, few, strict=True)])
    torch.testing.assert_close(window_product(x, few, width), expected)


@pytest.mark.parametrize(("d", "width"), [(5, 2), (90, 2), (130, 40)])
@pytest.mark.parametrize("replicas", [(), (2,)])
def test_the_gradient_of_the_weight_agrees_with_finite_differences(d, width, replicas):
    x, weight = case(d, width, *replicas)
    weight.requires_grad_()
    assert torch.autograd.gradcheck(lambda w: complement_product(x, w, width), weight, fast_mode=True)


def test_a_huge_feature_leaves_no_rounding_error_in_complements_without_it():
    x, weight = (t.float() for t in case(130, 10))
    far = x.clone()
    far[:, 60] = 1e15
    ours, usual = complement_product(far, weight, 10), complement_product(x, weight, 10)
    without = slice(51, 61)  # the windows that hold feature 60
    torch.testing.assert_close(ours[without], usual[without])
    assert torch.isfinite(ours).all()


def test_a_gradient_of_the_rows_is_refused_where_there_is_none():
    x, weight = case(130, 10)
    with pytest.raises(TrainingError, match="by its weight alone"):
        torch.autograd.grad(complement_product(x.requires_grad_(), weight, 10).sum(), x)
