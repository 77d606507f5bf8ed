"""Grouping of near-duplicate alerts against the rule, row by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics.near_duplicates import near_duplicates, robust_scale


def by_the_rule(rows, scale, radius):
    """Each row joins the earliest leader within the radius, or leads."""
    leaders, group = [], []
    for i, row in enumerate(rows):
        near = (g for g, k in enumerate(leaders) if (((row - rows[k]) / scale) ** 2).sum() <= radius**2)
        group.append(next(near, len(leaders)))
        if group[-1] == len(leaders):
            leaders.append(i)
    return group, leaders


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 5))
def test_groups_follow_the_rule(seed, n, d):
    rng = np.random.default_rng(seed)
    # Halves are exact in every type, so the rule itself meets no rounding, and distances equal to the radius occur.
    rows, scale = rng.integers(-4, 5, size=(n, d)) / 2, rng.choice([0.5, 1.0, 2.0], size=d)
    found = near_duplicates(rows, scale, radius=1.5)
    group, leaders = by_the_rule(rows, scale, 1.5)
    assert found.group.tolist() == group
    assert found.leaders.tolist() == leaders
    assert found.sizes.tolist() == np.bincount(group).tolist()


def test_groups_do_not_depend_on_how_rows_are_blocked_or_on_later_rows():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 30))
    rows = (centres[rng.integers(40, size=900)] + 0.1 * rng.normal(size=(900, 30))).astype(np.float32)
    scale = np.ones(30)
    found = near_duplicates(rows, scale)
    assert found.group.tolist() == by_the_rule(rows.astype(float), scale, 1.0)[0]
    for n in (1, 255, 257, 700):
        np.testing.assert_array_equal(near_duplicates(rows[:n], scale).group, found.group[:n])


def test_copies_and_slight_variants_stand_behind_the_first():
    rng = np.random.default_rng(1)
    kinds = rng.normal(size=(5, 20)).astype(np.float32)
    rows = np.concatenate([kinds, np.repeat(kinds, 30, axis=0) + np.float32(0.01)])
    found = near_duplicates(rows, np.ones(20))
    assert found.leaders.tolist() == [0, 1, 2, 3, 4]
    assert found.sizes.tolist() == [31] * 5


def test_another_category_is_another_group():
    rows = np.array([[0, 1, 0.1], [0, 1, 0.2], [1, 0, 0.1]])
    assert near_duplicates(rows, np.ones(3)).group.tolist() == [0, 0, 1]


def test_robust_scale_is_the_deviation_of_normal_numbers_and_never_0():
    rng = np.random.default_rng(2)
    number = rng.normal(3, 2, size=20_000)
    number[:100] = 1e6
    seldom_on = (np.arange(20_000) < 50).astype(float)
    scale = robust_scale(np.column_stack([number, seldom_on, np.ones(20_000)]))
    assert scale[0] == pytest.approx(2, rel=0.03)
    assert scale[1:].tolist() == [1.0, 1.0]


def test_scale_comes_from_the_rows_when_none_is_given():
    rows = np.random.default_rng(3).normal(size=(50, 4)).astype(np.float32)
    np.testing.assert_array_equal(
        near_duplicates(rows, radius=0.8).group, near_duplicates(rows, robust_scale(rows), radius=0.8).group
    )


def test_units_of_the_features_do_not_matter():
    rows = np.random.default_rng(4).normal(size=(200, 6)).astype(np.float32)
    units = 2.0 ** np.arange(-3, 3)
    np.testing.assert_array_equal(near_duplicates(rows).group, near_duplicates(rows * units).group)


def test_no_alerts_make_no_groups():
    found = near_duplicates(np.zeros((0, 3)))
    assert [len(part) for part in found] == [0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "scale", "said"),
    [
        (np.zeros(3), None, "matrix"),
        (np.array([[np.nan]]), None, "NaN or infinite"),
        (np.array([["a"]]), None, "matrix"),
        (np.zeros((2, 2)), [1.0], "2 finite numbers above 0"),
        (np.zeros((2, 2)), [1.0, 0.0], "above 0"),
    ],
)
def test_unusable_rows_are_refused(rows, scale, said):
    with pytest.raises(DataError, match=said):
        near_duplicates(rows, scale)


def test_radius_must_be_positive():
    with pytest.raises(ParameterError, match="radius"):
        near_duplicates(np.zeros((2, 2)), radius=0.0)
