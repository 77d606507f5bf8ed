"""Figures of anomaly maps against scikit-learn, region by region."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from whitecrow import metrics
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics.maps import aupro, pixel_auroc


def images(seed=0, levels=12):
    """Three images with four separate regions in two of them, and maps with ties."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((3, 12, 15), int)
    masks[0, 1:4, 1:3] = 1
    masks[0, 7:11, 8:14] = 1
    masks[2, 0, 0] = 1
    masks[2, 5:7, 3:12] = 1
    regions = np.zeros_like(masks)
    for number, box in enumerate([np.s_[0, 1:4, 1:3], np.s_[0, 7:11, 8:14], np.s_[2, 0, 0], np.s_[2, 5:7, 3:12]], 1):
        regions[box] = number
    return masks, regions, rng.integers(levels, size=masks.shape) + 2.0 * masks * rng.random()


def partial_area(y, scores, limit):
    """Area under the ROC curve up to a false-positive rate, divided by that rate, through scikit-learn."""
    if limit == 1:
        return sk.roc_auc_score(y, scores)
    standardised = sk.roc_auc_score(y, scores, max_fpr=limit)
    least = limit**2 / 2
    return (least + (2 * standardised - 1) * (limit - least)) / limit


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_aupro_is_the_mean_partial_area_of_the_regions(seed, limit):
    masks, regions, maps = images(seed)
    normal = masks == 0
    each = []
    for region in range(1, 5):
        kept = normal | (regions == region)
        each.append(partial_area(masks[kept], maps[kept], limit))
    assert aupro(masks, maps, limit) == pytest.approx(np.mean(each), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 30))
def test_of_one_region_the_whole_aupro_is_the_pixel_auroc(seed, levels):
    rng = np.random.default_rng(seed)
    masks = np.zeros((2, 6, 6), int)
    masks[1, 1:4, 2:5] = 1
    maps = rng.integers(levels, size=masks.shape)
    assert aupro(masks, maps, 1.0) == pytest.approx(pixel_auroc(masks, maps), abs=1e-12)


def test_pixel_auroc_is_that_of_all_pixels_together():
    masks, _, maps = images()
    assert pixel_auroc(masks, maps) == pytest.approx(sk.roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)
    assert pixel_auroc(masks, maps) == metrics.auroc(masks.ravel(), maps.ravel())


def test_a_small_region_weighs_as_much_as_a_large_one():
    masks = np.zeros((1, 20, 20), int)
    masks[0, 2:12, 2:12] = 1
    masks[0, 18, 18] = 1
    maps = np.zeros(masks.shape)
    maps[0, 2:12, 2:12] = 1  # the large one found, the small one not
    # PRO is 1/2 at once and rises linearly to 1 where everything is flagged: its mean up to 0.3 is 0.5 + 0.3 / 4.
    assert aupro(masks, maps) == pytest.approx(0.575)
    assert pixel_auroc(masks, maps) > 0.99


def test_pixels_that_touch_at_a_corner_are_one_region_and_images_are_apart():
    maps = np.zeros((2, 4, 4))
    maps[0, 0, 0] = 1
    corner, apart, stacked = (np.zeros((2, 4, 4), int) for _ in range(3))
    corner[0, 0, 0] = corner[0, 1, 1] = corner[0, 2, 2] = 1  # one region, a third found
    apart[0, 0, 0] = apart[0, 3, 2:] = 1  # two regions, one found
    stacked[0, 0, 0] = stacked[1, 0, 0] = 1
    for masks, found in [(corner, 1 / 3), (apart, 1 / 2), (stacked, 1 / 2)]:
        assert aupro(masks, maps, 0.3) == pytest.approx(found + (1 - found) * 0.15)


def test_perfect_maps_score_1_and_constant_ones_chance():
    masks, _, _ = images()
    assert aupro(masks, masks) == pytest.approx(1)
    assert aupro(masks, np.ones(masks.shape)) == pytest.approx(0.15)
    assert aupro(masks, 1 - masks) == pytest.approx(0)


def test_only_the_order_of_values_counts():
    masks, _, maps = images()
    assert aupro(masks, np.exp(maps / 3)) == aupro(masks, maps)


def test_unusable_input_is_refused():
    masks, _, maps = images()
    with pytest.raises(DataError, match=r"accepted is the same shape \[N, H, W\]"):
        aupro(masks, maps[:, None])
    with pytest.raises(DataError, match=r"accepted is the same shape \[N, H, W\]"):
        pixel_auroc(masks[0], maps[0])
    with pytest.raises(DataError, match="holds 255"):
        aupro(masks * 255, maps)
    with pytest.raises(DataError, match="NaN"):
        pixel_auroc(masks, np.full(masks.shape, np.nan))
    with pytest.raises(DataError, match="at least one anomaly"):
        aupro(masks * 0, maps)
    for limit in (0, 1.1, np.nan):
        with pytest.raises(ParameterError, match="fpr_limit must be"):
            aupro(masks, maps, limit)
