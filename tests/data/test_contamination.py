"""The house split: who trains, who tests, who is injected."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.contamination import house_split, inject_contamination, largest_contamination

some_labels = st.lists(st.integers(0, 1), min_size=8, max_size=200).filter(lambda y: y.count(0) >= 4)
relaxed = settings(deadline=None, max_examples=50)


def labels(normal=1000, anomalies=400):
    return np.random.default_rng(5).permutation(np.repeat([0, 1], [normal, anomalies]))


@relaxed
@given(y=some_labels, seed=st.integers(0, 99), holdout=st.floats(0, 0.9))
def test_train_and_test_share_no_row_and_only_uninjected_holdouts_are_left_out(y, seed, holdout):
    held = math.floor(sum(y) * holdout + 1e-9)
    largest = largest_contamination(y.count(0) // 2, held)
    split = house_split(y, seed, contamination=largest, holdout=holdout)
    rows = np.concatenate([split.train, split.test])
    assert len(np.unique(rows)) == len(rows)
    assert set(split.injected) <= set(split.train)
    assert len(y) - held <= len(rows) <= len(y)


@relaxed
@given(y=some_labels, seed=st.integers(0, 99))
def test_half_of_the_normals_train_and_the_other_half_tests(y, seed):
    y = np.array(y)
    split = house_split(y, seed)
    assert (y[split.train] == 0).all()
    assert len(split.train) == (y == 0).sum() // 2
    assert (y[split.test] == 0).sum() == (y == 0).sum() - len(split.train)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.02, 0.05, 0.08, 0.12, 0.2])
def test_the_share_of_the_resulting_training_set_is_the_one_asked_for(share):
    y = labels()
    split = house_split(y, 3, contamination=share)
    n_injected = y[split.train].sum()
    assert n_injected == len(split.injected) == math.floor(500 * share / (1 - share) + 1e-9)
    assert share - 1 / len(split.train) < n_injected / len(split.train) <= share + 1e-12


def test_the_count_is_not_lost_to_rounding_of_floats():
    # 8 * 0.2 / 0.8 is 2; a plain floor of the float product may say 1.
    for n in range(4, 400, 4):
        assert len(inject_contamination(n, np.arange(n), 0.2)) == n // 4


def test_the_test_rows_are_the_same_for_every_share():
    y = labels()
    tests = [house_split(y, 7, contamination=share).test for share in (0, 0.05, 0.12, 0.2)]
    for other in tests[1:]:
        np.testing.assert_array_equal(tests[0], other)
    assert y[tests[0]].sum() == 240  # 400 less the 40 % set aside


def test_injections_are_nested_over_the_shares():
    y = labels()
    injected = [house_split(y, 7, contamination=share).injected for share in (0.01, 0.05, 0.12)]
    for smaller, larger in itertools.pairwise(injected):
        np.testing.assert_array_equal(smaller, larger[: len(smaller)])


def test_the_normal_training_rows_do_not_depend_on_the_share():
    y = labels()
    plain, mixed = (house_split(y, 7, contamination=share) for share in (0, 0.1))
    assert set(plain.train) == set(mixed.train) - set(mixed.injected)


def test_another_seed_draws_another_split_and_the_same_seed_the_same():
    y = labels()
    one, again, other = house_split(y, 1), house_split(y, 1), house_split(y, 2)
    np.testing.assert_array_equal(one.train, again.train)
    assert set(one.train) != set(other.train)
    assert set(one.test) != set(other.test)


def test_too_large_a_share_names_the_largest_possible_one():
    y = labels(normal=1000, anomalies=50)  # 20 set aside, so at most 20 / 520
    with pytest.raises(ParameterError, match=r"takes 55 anomalies, but 20 are set aside.*0\.0385"):
        house_split(y, 0, contamination=0.1)
    assert len(house_split(y, 0, contamination=largest_contamination(500, 20)).injected) == 20


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"contamination": 1.0}, "contamination"),
        ({"contamination": -0.1}, "contamination"),
        ({"contamination": math.nan}, "contamination"),
        ({"holdout": 1.0}, "holdout"),
        ({"train_share": 0.0}, "train_share"),
        ({"train_share": 1.0}, "train_share"),
    ],
)
def test_shares_out_of_range_are_refused(arguments, name):
    with pytest.raises(ParameterError, match=name):
        house_split(labels(), 0, **arguments)


@pytest.mark.parametrize("y", [[[0, 1], [1, 0]], [0, 1, 2], [0.0, 0.5], ["normal", "attack"], [1, 1, 1], [0], []])
def test_labels_that_are_not_zeros_and_ones_or_hold_no_normal_row_are_refused(y):
    with pytest.raises(DataError):
        house_split(y, 0)


def test_the_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    house_split(labels(), 0, contamination=0.1)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
