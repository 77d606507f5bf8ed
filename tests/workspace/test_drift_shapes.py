"""The small pictures of a column's distribution before and now."""

import numpy as np
import polars as pl
import pytest

from whitecrow.workspace.drift_shapes import column_shape


def moved(shape) -> float:
    """Return the share that lies in another bin now."""
    return float(np.abs(shape.reference - shape.current).sum() / 2)


@pytest.mark.parametrize("long_tail", [False, True])
def test_both_shares_are_whole_and_a_moved_column_is_seen(long_tail):
    rng = np.random.default_rng(0)
    before = rng.normal(size=4000)
    now = before + 1
    if long_tail:  # on an even axis 97 and 83 % of them would fill one bin
        before, now = np.exp(2 * before), np.exp(2 * now)
    shape = column_shape(pl.Series(before), pl.Series(now))
    assert shape.reference.sum() == pytest.approx(1)
    assert shape.current.sum() == pytest.approx(1)
    assert moved(shape) > 0.2
    assert max(shape.reference.max(), shape.current.max()) < 0.6


def test_the_same_rows_have_the_same_shape():
    values = pl.Series(np.random.default_rng(1).pareto(0.5, 1000))
    shape = column_shape(values, values)
    np.testing.assert_array_equal(shape.reference, shape.current)


def test_a_constant_column_fills_one_bin():
    shape = column_shape(pl.Series([7] * 5), pl.Series([7] * 9))
    assert shape.reference.max() == shape.current.max() == 1
    assert shape.words == "median 7 (7 to 7) → 7 (7 to 7)"
