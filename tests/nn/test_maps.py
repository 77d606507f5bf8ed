"""Filters against SciPy, structural similarity against its formula in NumPy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from whitecrow.nn import box_filter, gaussian_filter, structural_dissimilarity

relaxed = settings(deadline=None, max_examples=60)


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape)


# ---- filters ---------------------------------------------------------------------------------------------------------


@relaxed
@given(height=st.integers(1, 24), width=st.integers(1, 24), sigma=st.floats(0.2, 6))
def test_gaussian_filter_is_that_of_scipy_with_a_mirrored_border(height, width, sigma):
    maps = pixels(2, height, width)
    reach = [min(math.ceil(3 * sigma), side - 1) for side in (height, width)]
    expected = [ndimage.gaussian_filter(m, sigma, mode="mirror", radius=reach) for m in maps]
    np.testing.assert_allclose(gaussian_filter(torch.from_numpy(maps), sigma), expected, rtol=1e-10)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0])
def test_three_sigma_are_enough(sigma):
    maps = pixels(1, 40, 40)
    whole = ndimage.gaussian_filter(maps[0], sigma, mode="mirror", truncate=8)
    assert np.abs(gaussian_filter(torch.from_numpy(maps), sigma)[0].numpy() - whole).max() < 0.005


def test_gaussian_filter_keeps_a_constant_and_moves_nothing():
    even = torch.full((1, 9, 6), 0.7)
    torch.testing.assert_close(gaussian_filter(even, 2.0), even)
    point = torch.zeros(1, 21, 21, dtype=torch.float64)
    point[0, 8, 12] = 1
    smooth = gaussian_filter(point, 1.5)[0]
    assert smooth.argmax() == 8 * 21 + 12
    torch.testing.assert_close(smooth.sum(), torch.tensor(1.0, dtype=torch.float64))
    assert torch.equal(gaussian_filter(point, 0.0), point)


@relaxed
@given(height=st.integers(1, 20), width=st.integers(1, 20), reach=st.integers(0, 5))
def test_box_filter_is_the_mean_of_what_lies_within_the_square(height, width, reach):
    side, maps = 2 * reach + 1, pixels(2, height, width)
    sums = [ndimage.uniform_filter(m, side, mode="constant") for m in maps]
    inside = ndimage.uniform_filter(np.ones((height, width)), side, mode="constant")
    np.testing.assert_allclose(box_filter(torch.from_numpy(maps), side), np.array(sums) / inside, rtol=1e-9)


@pytest.mark.parametrize("smooth", [lambda m: gaussian_filter(m, 1.3), lambda m: box_filter(m, 3)])
def test_a_filtered_map_depends_on_its_image_alone(smooth):
    maps = torch.from_numpy(pixels(5, 9, 7))
    torch.testing.assert_close(smooth(maps)[3:4], smooth(maps[3:4]), rtol=1e-12, atol=0)


# ---- structural similarity -------------------------------------------------------------------------------------------


def similarity(a, b, side, sigma):
    """Return SSIM by its definition: local moments with Gaussian weights, c1 = 0.01^2, c2 = 0.03^2."""

    def mean(x):
        return ndimage.gaussian_filter(x, sigma, mode="nearest", radius=side // 2)

    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance * (2 * covariance + c2) / (variance_a + variance_b + c2)


@pytest.mark.parametrize(("side", "sigma"), [(11, 1.5), (3, 1.5), (5, 0.8), (1, 1.0)])
@pytest.mark.parametrize("closeness", [0.0, 0.9, 1.0])
def test_dissimilarity_is_that_of_the_definition(side, sigma, closeness):
    a, other = pixels(2, 3, 16, 20), pixels(2, 3, 16, 20, seed=1)
    b = closeness * a + (1 - closeness) * other
    planes = zip(a.reshape(-1, 16, 20), b.reshape(-1, 16, 20), strict=True)
    expected = np.reshape([(1 - similarity(x, y, side, sigma)) / 2 for x, y in planes], a.shape)
    found = structural_dissimilarity(torch.from_numpy(a), torch.from_numpy(b), side, sigma)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-12)


@relaxed
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1.0, 1e-4, 0.0]), offset=st.sampled_from([0.0, 0.5]))
def test_equal_images_differ_by_exactly_nothing(seed, scale, offset):
    a = torch.from_numpy(offset + scale * pixels(1, 2, 9, 8, seed=seed)).float()
    assert (structural_dissimilarity(a, a.clone(), 3) == 0).all()


def test_equal_images_leave_no_gradient():
    a = torch.from_numpy(pixels(1, 1, 9, 9))
    b = a.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(structural_dissimilarity(a, b, 5).sum(), b)
    assert gradient.abs().max() < 1e-10


@relaxed
@given(seed=st.integers(0, 10**6))
def test_dissimilarity_is_symmetric_and_between_zero_and_one(seed):
    a, b = (torch.from_numpy((pixels(1, 1, 8, 8, seed=seed + k) > 0.5).astype(float)) for k in range(2))
    found = structural_dissimilarity(a, b, 3)
    torch.testing.assert_close(found, structural_dissimilarity(b, a, 3))
    assert 0 <= found.min() <= found.max() <= 1


def test_opposite_images_are_the_least_similar():
    board = torch.from_numpy(np.indices((12, 12)).sum(0) % 2.0)[None, None]
    assert structural_dissimilarity(board, 1 - board, 11).mean() > 0.99
    shifted = structural_dissimilarity(board, board * 0.9 + 0.05, 11).mean()
    assert 0 < shifted < 0.01


def test_gradient_is_that_of_finite_differences():
    a, b = (torch.from_numpy(pixels(1, 2, 6, 6, seed=k)).requires_grad_() for k in range(2))
    assert torch.autograd.gradcheck(lambda x, y: structural_dissimilarity(x, y, 3), (a, b))


def test_every_image_and_channel_is_compared_by_itself():
    a, b = (torch.from_numpy(pixels(3, 2, 9, 9, seed=k)) for k in range(2))
    whole = structural_dissimilarity(a, b, 5)
    torch.testing.assert_close(structural_dissimilarity(a[1:2], b[1:2], 5), whole[1:2])
    torch.testing.assert_close(structural_dissimilarity(a[:, 1:], b[:, 1:], 5), whole[:, 1:])
