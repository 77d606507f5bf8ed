import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.labels import NORMAL_NAMES, read_labels


@pytest.mark.parametrize(
    ("values", "normal", "y"),
    [
        ([0, 1, 0], None, [0, 1, 0]),
        ([0.0, 1.0, 1.0], None, [0, 1, 1]),
        ([True, False], None, [1, 0]),
        (["Normal.", "smurf.", "neptune."], None, [0, 1, 1]),
        (["BENIGN", "DoS"], None, [0, 1]),
        (["no", "yes"], None, [0, 1]),
        (["-", "Fuzzers"], None, [0, 1]),
        ([2, 7, 4], ["2", "4"], [0, 1, 0]),
        ([2.0, 7.0], ["2"], [0, 1]),
        (["ok", "OK", "bad"], ["ok"], [0, 0, 1]),
        (["smurf.", "normal."], ["smurf."], [0, 1]),
    ],
)
def test_which_values_are_normal(values, normal, y):
    assert read_labels(pl.Series("label", values), normal).y.tolist() == y


def test_a_missing_label_is_no_label_and_never_normal():
    labels = read_labels(pl.Series("label", ["normal", None, "scan"]), None)
    assert labels.y.tolist() == [0, -1, 1]
    assert labels.to_dict()["unlabelled_rows"] == 1


@pytest.mark.parametrize("values", [[1, 2, 3], [-1, 1], [0.5, 0.0]])
def test_numbers_other_than_0_and_1_need_to_be_told(values):
    with pytest.raises(DataError, match="--normal"):
        read_labels(pl.Series("label", values), None)


def test_text_without_a_known_normal_value_needs_to_be_told():
    with pytest.raises(DataError, match="none of them is known to mean normal"):
        read_labels(pl.Series("label", ["fine", "odd"]), None)


def test_a_misspelt_normal_value_is_refused_because_it_would_make_every_row_an_anomaly():
    with pytest.raises(ParameterError, match="norml"):
        read_labels(pl.Series("label", ["normal", "scan"]), ["norml"])


def test_a_column_without_any_label_is_refused():
    with pytest.raises(DataError, match="no value"):
        read_labels(pl.Series("label", [None, None], dtype=pl.String), None)


def test_families_are_the_labels_of_text_but_not_of_0_and_1():
    assert read_labels(pl.Series(["normal", "scan"]), None).families.tolist() == ["normal", "scan"]
    assert read_labels(pl.Series([0, 1]), None).families is None
    assert read_labels(pl.Series([0, 1, 2]), ["0"]).families.tolist() == ["0", "1", "2"]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*NORMAL_NAMES, "a", "b", None]), min_size=1, max_size=40))
def test_every_row_is_counted_once(values):
    if not {v for v in values if v is not None} & set(NORMAL_NAMES):
        return
    labels = read_labels(pl.Series("label", values, dtype=pl.String), None)
    counted = labels.to_dict()
    assert counted["normal_rows"] == sum(v in NORMAL_NAMES for v in values)
    assert counted["anomalous_rows"] == sum(v in ("a", "b") for v in values)
    assert np.array_equal(labels.y == -1, [v is None for v in values])
    assert sum(counted["counts"].values()) == sum(v is not None for v in values)
