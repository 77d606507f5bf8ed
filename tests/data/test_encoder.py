"""TableEncoder: statistics, slots, missing values, foreign tables and hostile state."""

import functools
import json
import operator
import os
import warnings
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from whitecrow.core.errors import DataError, ModelFileError, ParameterError, WhitecrowWarning
from whitecrow.data import TableEncoder, as_table, columns, read_table
from whitecrow.data import encoder as encoder_module
from whitecrow.data.column_values import time_steps

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
KDD = DATA / "intrusion" / "kddcup.data_10_percent.gz"
SYMBOLIC = [f"column_{k}" for k in (2, 3, 4, 7, 12, 21, 22)]

RNG = np.random.default_rng(0)
MIXED = pl.DataFrame(
    {
        "bytes": [1.0, 2.0, None, 10.0, 5.0, 4.0],
        "count": [3, 1, 4, 1, 5, 9],
        "flag": ["SF", "S0", None, "SF", "REJ", "SF"],
        "proto": pl.Series(["tcp", "udp", "tcp", "tcp", "udp", None], dtype=pl.Enum(["icmp", "tcp", "udp"])),
        "login": [True, False, None, True, True, False],
        "root": [True, False, False, True, True, False],
        "at": [datetime(2026, 1, 5 + k, 4 * k, 30) for k in range(6)],
    }
)


def feature(encoder, X, name):
    return encoder.transform(X)[:, encoder.feature_names_.index(name)]


# ---- arrays and statistics ----


@pytest.mark.parametrize(("scaling", "reference"), [("standard", StandardScaler()), ("minmax", MinMaxScaler())])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_array_statistics_equal_those_of_scikit_learn(scaling, reference, dtype):
    X = (RNG.normal(size=(500, 6)) * [1, 1e-3, 50, 1e4, 7, 0] + [0, 5, -3, 1e6, 0, 4]).astype(dtype)
    encoded = TableEncoder(scaling, clip=None).fit(X).transform(X)
    assert encoded.dtype == np.float32
    assert encoded.flags.c_contiguous
    np.testing.assert_allclose(encoded, reference.fit_transform(X.astype(np.float64)), rtol=1e-6, atol=1e-6)


def test_robust_scaling_is_standardisation_by_the_winsorised_values():
    X = RNG.normal(size=(400, 3)) * [1, 1e-3, 1e4] + [0, 5, -3]
    X[:12] += np.multiply(6, [1, 1e-3, 1e4])
    low, high = np.quantile(X, [0.05, 0.95], axis=0)
    expected = StandardScaler().fit(X.clip(low, high)).transform(X)
    np.testing.assert_allclose(TableEncoder("robust", clip=None).fit(X).transform(X), expected, rtol=1e-5, atol=1e-6)


def test_anomalies_among_the_training_rows_hardly_change_the_robust_scale():
    x = RNG.normal(size=(1000, 1))
    spoilt = np.concatenate([x, np.full((40, 1), 1e3)])
    clean, plain, robust = (
        encoder.columns_[0].scale
        for encoder in (TableEncoder("robust").fit(x), TableEncoder().fit(spoilt), TableEncoder("robust").fit(spoilt))
    )
    assert plain > 100 * clean
    # Here a tenth of the plain one is the larger.
    np.testing.assert_allclose(robust, 0.1 * plain)
    mild = np.concatenate([x, np.full((40, 1), 8.0)])
    np.testing.assert_allclose(TableEncoder("robust").fit(mild).columns_[0].scale, clean, rtol=0.15)


def test_robust_scaling_of_an_almost_constant_column_is_by_the_plain_standard_deviation():
    x = np.zeros((100, 1))
    x[:3] = 7
    encoder = TableEncoder("robust", clip=None).fit(x)
    assert (encoder.columns_[0].offset, encoder.columns_[0].scale) == (0.0, pytest.approx(float(x.std())))
    constant = TableEncoder("robust").fit(np.full((50, 1), 0.1))
    np.testing.assert_allclose(constant.transform([[0.1], [1.1]]).ravel(), [0.0, 1.0], atol=1e-6)


def test_statistics_come_from_the_training_rows_only():
    X = RNG.normal(size=(100, 3))
    rows = RNG.permutation(100)[:40]
    expected = np.asarray(StandardScaler().fit(X[rows]).transform(X))
    np.testing.assert_allclose(TableEncoder(clip=None).fit(X, rows=rows).transform(X), expected, rtol=1e-5, atol=1e-6)
    table = pl.DataFrame({"n": X[:, 0], "s": ["in" if k in rows else "out" for k in range(100)]})
    encoder = TableEncoder(clip=None).fit(table, rows=rows)
    np.testing.assert_allclose(feature(encoder, table, "n"), expected[:, 0], rtol=1e-5, atol=1e-6)
    assert encoder.feature_names_ == ["n", "s=in", "s=(unseen)"]


@pytest.mark.parametrize("scaling", ["standard", "robust", "minmax"])
def test_scaled_values_are_clipped_on_both_sides(scaling):
    encoder = TableEncoder(scaling, clip=2.0).fit([[0.0], [1.0], [2.0]])
    assert encoder.transform([[-1e9], [1e9]]).ravel().tolist() == [-2.0, 2.0]


def test_unscaled_values_are_not_clipped():
    assert TableEncoder("none", clip=2.0).fit([[0.0], [1.0]]).transform([[77.0]]).tolist() == [[77.0]]


def test_a_constant_column_is_divided_by_one_and_kept():
    encoder = TableEncoder().fit(np.full((50, 1), 0.1))
    np.testing.assert_allclose(encoder.transform([[0.1], [1.1]]).ravel(), [0.0, 1.0], atol=1e-6)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    st.sampled_from(["standard", "robust", "minmax", "none"]),
    st.sampled_from([None, 10.0]),
)
@settings(max_examples=200, deadline=None)
def test_any_finite_column_gives_finite_features(values, scaling, clip):
    X = np.array(values)[:, None]
    encoder = TableEncoder(scaling, clip).fit(X)
    assert np.isfinite(encoder.transform(X)).all()
    assert np.isfinite(encoder.transform([[1.7e308], [-1.7e308], [0.0], [5e-324]])).all()
    assert encoder.decode(encoder.transform(X))["x0"].is_finite().all()


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e150])
def test_extreme_magnitudes_are_standardised_like_any_other(size):
    x = np.array([1.0, 2.0, 3.0, 10.0])[:, None]
    expected = StandardScaler().fit_transform(x)
    np.testing.assert_allclose(TableEncoder().fit(x * size).transform(x * size), expected, rtol=1e-6)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
def test_nan_and_inf_in_arrays_are_refused_with_their_column(value, said):
    X = np.ones((4, 3))
    encoder = TableEncoder().fit(X)
    X[1:3, 2] = value
    for call in (encoder.fit, encoder.transform):
        with pytest.raises(DataError, match=rf"Input X contains {said}: column x2 in 2 rows"):
            call(X)


def test_finite_arrays_whose_sum_overflows_are_accepted():
    X = np.full((4, 1), 1.5e308)
    assert np.isfinite(TableEncoder().fit(X).transform(X)).all()


def test_another_width_is_refused_in_the_words_of_scikit_learn():
    encoder = TableEncoder().fit(np.eye(5))
    with pytest.raises(DataError, match=r"X has 3 features, but \w+ is expecting 5 features as input"):
        encoder.transform(np.ones((2, 3)))


@pytest.mark.parametrize("rows", [[], [0.5], [[0]], [5], [-1], np.array([True, False, True, False, True])], ids=str)
def test_rows_that_are_no_indices_are_refused(rows):
    with pytest.raises(DataError, match="rows"):
        TableEncoder().fit(np.eye(5), rows=rows)


@pytest.mark.parametrize(
    "bad",
    [
        {"scaling": "quantile"},
        {"clip": 0},
        {"clip": np.inf},
        {"clip": "1"},
        {"max_levels": 0},
        {"max_levels": True},
    ],
)
def test_parameters_out_of_range_are_refused_at_fit(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        TableEncoder(**bad).fit(np.eye(2))


def test_an_encoder_that_is_not_fitted_says_so():
    with pytest.raises(DataError, match="not fitted"):
        TableEncoder().transform(np.eye(2))


@pytest.mark.parametrize(
    "X", [np.empty((0, 3)), pl.DataFrame({"a": []}), pl.DataFrame()], ids=["array", "table", "none"]
)
def test_nothing_to_fit_on_is_refused(X):
    with pytest.raises(DataError, match="minimum of 1 is required"):
        TableEncoder().fit(X)


def test_no_rows_give_no_features():
    assert TableEncoder().fit(MIXED).transform(MIXED.clear()).shape[0] == 0


# ---- tables: numbers ----


def test_numbers_of_every_type_are_numbers():
    table = pl.DataFrame(
        {
            "u": pl.Series([1, 2], dtype=pl.UInt8),
            "big": pl.Series([2**63 - 1, -(2**63)]),
            "dec": [Decimal("1.5"), Decimal("2.5")],
            "ns": pl.Series([timedelta(seconds=1), timedelta(seconds=2.5)], dtype=pl.Duration("ns")),
            "ms": pl.Series([timedelta(seconds=1), timedelta(seconds=2.5)], dtype=pl.Duration("ms")),
        }
    )
    encoder = TableEncoder("none").fit(table)
    assert [column.kind for column in encoder.columns_] == ["number"] * 5
    np.testing.assert_allclose(encoder.transform(table)[:, 2:], [[1.5, 1, 1], [2.5, 2.5, 2.5]])
    assert np.isfinite(TableEncoder().fit(table).transform(table)).all()


def test_missing_numbers_become_the_mean_and_are_marked():
    encoder = TableEncoder().fit(MIXED)
    present = MIXED["bytes"].drop_nulls().to_numpy()
    expected = (present - present.mean()) / present.std()
    got = feature(encoder, MIXED, "bytes")
    np.testing.assert_allclose(got, [*expected[:2], 0.0, *expected[2:]], rtol=1e-6, atol=1e-7)
    assert feature(encoder, MIXED, "bytes is missing").tolist() == [0, 0, 1, 0, 0, 0]


def test_nan_in_a_table_is_missing():
    with_nan = MIXED.with_columns(pl.col("bytes").fill_null(float("nan")))
    encoder = TableEncoder().fit(with_nan)
    assert np.array_equal(encoder.transform(with_nan), TableEncoder().fit(MIXED).transform(MIXED))


def test_values_missing_for_the_first_time_become_the_mean_with_one_warning():
    encoder = TableEncoder().fit(MIXED)
    table = MIXED.with_columns(count=pl.lit(None), root=pl.lit(None), at=pl.lit(None))
    with pytest.warns(WhitecrowWarning, match=r"'count' \(6\), 'root' \(6\), 'at' \(6\)") as caught:
        encoded = encoder.transform(table)
    assert len(caught) == 1
    assert np.abs(encoded[:, encoder.feature_names_.index("count")]).max() < 1e-6
    np.testing.assert_allclose(encoded[:, encoder.feature_names_.index("root")], 0.5)


def test_inf_in_a_table_is_refused_with_its_column():
    with pytest.raises(DataError, match=r"'bytes' holds inf or -inf in 1 rows"):
        TableEncoder().fit(MIXED).transform(MIXED.with_columns(bytes=pl.lit(1.0) / pl.arange(0, 6)))


def test_columns_without_a_value_are_kept_so_that_a_value_is_evidence():
    schema = {"n": pl.Float64, "s": pl.String, "z": pl.Null}
    encoder = TableEncoder().fit(pl.DataFrame({name: [None, None] for name in schema}, schema=schema))
    assert encoder.feature_names_ == [
        "n",
        "n is missing",
        "s=(missing)",
        "s=(unseen)",
        "z=(missing)",
        "z=(unseen)",
    ]
    assert encoder.transform(pl.DataFrame({"n": [None], "s": [None], "z": [None]})).tolist() == [[0, 1, 1, 0, 1, 0]]
    assert encoder.transform(pl.DataFrame({"n": [3.0], "s": ["a"], "z": [1]})).tolist() == [[3, 0, 0, 1, 0, 1]]


def test_text_that_reads_as_numbers_serves_for_a_number_column():
    encoder = TableEncoder().fit(MIXED)
    text = MIXED.with_columns(pl.col("bytes", "count").cast(pl.String), pl.col("login").cast(pl.String))
    assert np.array_equal(encoder.transform(text), encoder.transform(MIXED))
    with pytest.raises(DataError, match=r"'count' held a number.*'many'"):
        encoder.transform(text.with_columns(count=pl.lit("many")))


# ---- tables: truth values, categories, dates ----


def test_truth_values_are_zero_and_one():
    encoder = TableEncoder().fit(MIXED)
    assert feature(encoder, MIXED, "root").tolist() == [1, 0, 0, 1, 1, 0]
    assert feature(encoder, MIXED, "login is missing").tolist() == [0, 0, 1, 0, 0, 0]
    as_numbers = MIXED.with_columns(pl.col("root").cast(pl.Int8))
    assert np.array_equal(encoder.transform(as_numbers), encoder.transform(MIXED))
    with pytest.raises(DataError, match="'root' held truth values"):
        encoder.transform(MIXED.with_columns(root=pl.lit(2)))


def test_declared_levels_get_exactly_their_slots():
    encoder = TableEncoder().fit(MIXED.select("proto"))
    assert encoder.feature_names_ == ["proto=icmp", "proto=tcp", "proto=udp"]
    table = pl.DataFrame({"proto": ["icmp", "udp", "gre", None]})
    assert encoder.transform(table).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_text_levels_have_slots_for_missing_and_unseen():
    encoder = TableEncoder().fit(MIXED.select("flag"))
    assert encoder.feature_names_ == ["flag=REJ", "flag=S0", "flag=SF", "flag=(missing)", "flag=(unseen)"]
    encoded = encoder.transform(pl.DataFrame({"flag": ["SF", "new", None, ""]}))
    assert encoded.argmax(axis=1).tolist() == [2, 4, 3, 4]
    assert encoded.sum(axis=1).tolist() == [1, 1, 1, 1]


def test_missing_text_that_training_never_had_is_unseen():
    encoder = TableEncoder().fit(pl.DataFrame({"s": ["a", "b"]}))
    assert encoder.transform(pl.DataFrame({"s": [None, "a"]}, schema={"s": pl.String})).tolist() == [
        [0, 0, 1],
        [1, 0, 0],
    ]


def test_rare_levels_share_a_slot_apart_from_unseen_ones():
    texts = ["a"] * 5 + ["b"] * 4 + ["e", "d", "c"]
    encoder = TableEncoder(max_levels=3).fit(pl.DataFrame({"s": texts}))
    assert encoder.feature_names_ == ["s=a", "s=b", "s=c", "s=(rare)", "s=(unseen)"]
    assert encoder.transform(pl.DataFrame({"s": ["c", "d", "e", "f"]})).argmax(axis=1).tolist() == [
        2,
        3,
        3,
        4,
    ]


def test_levels_do_not_depend_on_the_order_of_rows():
    texts = pl.DataFrame({"s": [str(k % 40) for k in range(150)]})
    first = TableEncoder(max_levels=16).fit(texts)
    second = TableEncoder(max_levels=16).fit(texts.sample(fraction=1.0, shuffle=True, seed=1))
    assert first.feature_names_ == second.feature_names_
    assert np.array_equal(first.transform(texts), second.transform(texts))


def test_dates_become_hour_and_weekday_on_circles():
    monday = datetime(2026, 1, 5, 6, 0)
    table = pl.DataFrame({"t": [monday, monday + timedelta(days=7), monday + timedelta(hours=12)]})
    encoder = TableEncoder().fit(table)
    assert encoder.feature_names_ == ["t hour sin", "t hour cos", "t weekday sin", "t weekday cos"]
    np.testing.assert_allclose(encoder.transform(table), [[1, 0, 0, 1], [1, 0, 0, 1], [-1, 0, 0, 1]], atol=1e-7)
    assert encoder.decode(encoder.transform(table))["t"].to_list() == ["Mon 06:00", "Mon 06:00", "Mon 18:00"]


def test_dates_have_the_parts_that_their_type_has():
    table = pl.DataFrame({"d": [date(2026, 1, 5)], "t": [time(12, 0)]})
    encoder = TableEncoder().fit(table)
    assert encoder.feature_names_ == ["d weekday sin", "d weekday cos", "t hour sin", "t hour cos"]
    as_text = table.cast({"d": pl.String, "t": pl.String})
    assert np.array_equal(encoder.transform(as_text), encoder.transform(table))
    with pytest.raises(DataError, match=r"'d' held a date.*'soon'"):
        encoder.transform(pl.DataFrame({"d": ["soon"], "t": ["12:00"]}))


@pytest.mark.parametrize(
    "values", [[[1, 2]], [{"a": 1}], [b"x"], [object()]], ids=["list", "struct", "binary", "object"]
)
def test_columns_without_a_code_are_refused_by_name(values):
    with pytest.raises(DataError, match=r"Column 'odd' is .*accepted are numbers"):
        TableEncoder().fit(pl.DataFrame({"odd": values}))
    with pytest.raises(DataError, match="'flag'"):
        TableEncoder().fit(pl.DataFrame({"flag": ["a"]})).transform(pl.DataFrame({"flag": values}))


# ---- which columns ----


def test_columns_are_found_by_name_in_any_order_and_others_ignored():
    encoder = TableEncoder().fit(MIXED)
    other = MIXED.select(reversed(MIXED.columns)).with_columns(extra=pl.lit("x"))
    assert np.array_equal(encoder.transform(other), encoder.transform(MIXED))


def test_absent_columns_are_listed():
    with pytest.raises(DataError, match=r"no column 'count', 'root'.*Its columns are: bytes, flag"):
        TableEncoder().fit(MIXED).transform(MIXED.drop("count", "root"))


def test_arrays_and_tables_of_numbers_stand_for_one_another():
    X = RNG.normal(size=(20, 3))
    table = pl.DataFrame(X, schema=["a", "b", "c"])
    from_array, from_table = TableEncoder().fit(X), TableEncoder().fit(table)
    assert np.array_equal(from_array.transform(table), from_array.transform(X))
    assert np.array_equal(from_table.transform(X), from_table.transform(table))
    shuffled = pl.DataFrame(X, schema=["x0", "x1", "x2"]).select("x2", "x0", "x1")
    assert np.array_equal(from_array.transform(shuffled), from_array.transform(X))
    with pytest.raises(DataError, match="Give a table"):
        TableEncoder().fit(MIXED).transform(X)
    with pytest.raises(DataError, match="X has 2 features"):
        from_array.transform(table.drop("a"))


def test_features_know_their_column():
    encoder = TableEncoder().fit(MIXED)
    assert encoder.n_features_out_ == len(encoder.feature_names_) == encoder.transform(MIXED).shape[1]
    owners = [encoder.columns_[k].name for k in encoder.column_of_feature_]
    assert all(name.startswith(owner) for name, owner in zip(encoder.feature_names_, owners, strict=True))
    assert [c.start for c in encoder.columns_] == [owners.index(c.name) for c in encoder.columns_]


# ---- tables of other libraries ----


def test_pandas_arrow_and_polars_tables_give_the_same_features():
    plain = MIXED.drop("proto")
    frame = pd.DataFrame(
        {
            "bytes": MIXED["bytes"].to_list(),
            "count": pd.array(MIXED["count"].to_list(), dtype="Int64"),
            "flag": pd.Series(MIXED["flag"].to_list(), dtype=object),
            "login": pd.array(MIXED["login"].to_list(), dtype="boolean"),
            "root": MIXED["root"].to_list(),
            "at": pd.to_datetime(MIXED["at"].to_list()),
        }
    )
    encoder = TableEncoder().fit(plain)
    expected = encoder.transform(plain)
    for table in (frame, pa.table(plain.to_dict(as_series=False)), plain.lazy()):
        assert np.array_equal(TableEncoder().fit(table).transform(table), expected)
        assert np.array_equal(encoder.transform(table), expected)


def test_pandas_categories_are_declared_levels():
    frame = pd.DataFrame({"c": pd.Categorical(["v", None, "u"], categories=["u", "w", "v"])})
    encoder = TableEncoder().fit(frame)
    assert encoder.feature_names_ == ["c=u", "c=w", "c=v"]
    assert encoder.transform(frame).tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_mixed_objects_become_text_and_zones_keep_their_clock():
    frame = pd.DataFrame(
        {
            "o": pd.Series([1, "a", None], dtype=object),
            "t": pd.to_datetime(["2026-01-05 10:00"] * 3).tz_localize("Asia/Tokyo"),
            "n": pd.array([1, None, 3], dtype="Int64"),
        }
    )
    table: Any = as_table(frame)
    assert table["o"].to_list() == ["1", "a", None]
    assert table["t"].to_list() == [datetime(2026, 1, 5, 10)] * 3
    assert table["n"].to_list() == [1, None, 3]


def test_column_names_that_are_mixed_or_repeated_are_refused():
    with pytest.raises(DataError, match="types int, str"):
        as_table(pd.DataFrame(np.eye(2), columns=["a", 1]))
    with pytest.raises(DataError, match="more than one 'a'"):
        as_table(pd.DataFrame(np.eye(2), columns=["a", "a"]))
    table: Any = as_table(pd.DataFrame(np.eye(2)))
    assert table.columns == ["0", "1"]


@pytest.mark.parametrize("X", [[1, 2], "text", None, {"a": [1]}, np.ones((2, 2, 2)), [["a"]], np.ones((2, 2)) * 1j])
def test_things_that_are_no_table_are_refused(X):
    with pytest.raises(DataError):
        as_table(X)


def test_array_likes_become_float_arrays():
    for given_, dtype in (
        ([[1, 2], [3, 4]], np.float64),
        (np.ones((2, 2), dtype=np.float32), np.float32),
        (np.array([[1, 2.5]], dtype=object), np.float64),
    ):
        array: Any = as_table(given_)
        assert array.dtype == dtype
        assert array.tolist() == np.asarray(given_).tolist()


# ---- properties ----

TABLES = (
    st.integers(1, 30)
    .flatmap(
        lambda n: st.fixed_dictionaries(
            {
                "n": st.lists(st.none() | st.floats(-1e6, 1e6), min_size=n, max_size=n),
                "i": st.lists(st.integers(-(10**6), 10**6), min_size=n, max_size=n),
                "s": st.lists(st.none() | st.sampled_from(list("abcdefgh")), min_size=n, max_size=n),
                "b": st.lists(st.none() | st.booleans(), min_size=n, max_size=n),
                "t": st.lists(
                    st.none() | st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)),
                    min_size=n,
                    max_size=n,
                ),
            }
        )
    )
    .map(
        lambda columns: pl.DataFrame(
            columns,
            schema={"n": pl.Float64, "i": pl.Int64, "s": pl.String, "b": pl.Boolean, "t": pl.Datetime("us")},
        )
    )
)


@given(TABLES, st.integers(1, 9), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_row_is_encoded_alike_whatever_rows_are_beside_it(table, max_levels, random):
    encoder = TableEncoder(max_levels=max_levels).fit(table)
    whole = encoder.transform(table)
    order = random.sample(range(table.height), random.randint(1, table.height))
    assert np.array_equal(encoder.transform(table[order]), whole[order])
    assert np.array_equal(encoder.transform(table.with_columns(pl.col("n").cast(pl.String))), whole)


NUMBERS = st.none() | st.floats(allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, 1e300, 5e-324])
TEXTS = (
    st.none() | st.sampled_from(["", " ", "a", "b", "A", "ä", "a\0", "true", "1", "NaN", "null"]) | st.text(max_size=2)
)
MOMENTS = st.none() | st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1))
# Values by the type of their column, whatever it held in training: an integer may stand in a column of floats.
CELLS = {
    "n": [(NUMBERS, pl.Float64), (st.none() | st.integers(-(2**63), 2**63 - 1), pl.Int64)],
    "m": [(st.floats(-1e3, 1e3), pl.Float64), (NUMBERS, pl.Float64), (st.integers(0, 9), pl.Int32)],
    "b": [(st.none() | st.booleans(), pl.Boolean), (st.none() | st.integers(0, 1), pl.Int8)],
    "s": [(TEXTS, pl.String), (TEXTS, pl.Categorical), (NUMBERS, pl.Float64), (st.none() | st.booleans(), pl.Boolean)],
    "e": [(st.none() | st.sampled_from(["a", "b"]), pl.Enum(["b", "", "a"])), (TEXTS, pl.String)],
    "t": [(MOMENTS, pl.Datetime(unit, zone)) for unit in ("ms", "us", "ns") for zone in (None, "Europe/Berlin")],
    "d": [(MOMENTS.map(lambda t: t and t.date()), pl.Date), (MOMENTS, pl.Datetime("us"))],
    "c": [(MOMENTS.map(lambda t: t and t.time()), pl.Time)],
    "z": [(st.none(), pl.Null), (TEXTS, pl.String)],
}


@st.composite
def mixed_tables(draw: st.DrawFn, *, fitted: bool = False) -> pl.DataFrame:
    """Draw a table of every kind of column; ``fitted`` ones have the first type of each."""
    n = draw(st.integers(1, 12))
    chosen = {name: types[0] if fitted else draw(st.sampled_from(types)) for name, types in CELLS.items()}
    return pl.DataFrame(
        [
            pl.Series(name, draw(st.lists(values, min_size=n, max_size=n)), dtype=dtype, strict=False)
            for name, (values, dtype) in chosen.items()
        ]
    )


@given(mixed_tables(fitted=True), mixed_tables(), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
@pytest.mark.filterwarnings("ignore::whitecrow.core.errors.WhitecrowWarning")
def test_few_rows_are_encoded_bit_for_bit_as_many_are(trained, table, max_levels):
    encoder = TableEncoder(max_levels=max_levels).fit(trained)
    few = [encoder.transform(table[k]) for k in range(table.height)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_FEW_ROWS", -1)
        patch.setattr(encoder_module, "_FEW_ROWS", -1)
        many = encoder.transform(table)
    assert np.concatenate(few).tobytes() == many.tobytes()


@given(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**13), 10**13), max_size=6),
    st.sampled_from(["ms", "us", "ns"]),
)
@settings(max_examples=300, deadline=None)
def test_times_are_read_off_the_calendar_of_polars(ticks, unit):
    at = pl.Series("t", ticks, dtype=pl.Int64).cast(pl.Datetime(unit))
    (minutes, weekdays), missing = time_steps(at, ("hour", "weekday"))
    assert missing.tolist() == at.is_null().to_list()
    present, known = ~missing, at.drop_nulls()
    minute = known.dt.hour().cast(pl.Int64) * 60 + known.dt.minute()
    assert minutes[present].tolist() == minute.fill_null(0).to_list()
    assert weekdays[present].tolist() == (known.dt.weekday() - 1).to_list()


@pytest.mark.parametrize("year", [-262_143, -262_142, 262_142, 262_143])
def test_the_calendar_ends_where_that_of_polars_does(year):
    first = np.datetime64(f"{year:05d}-01-01", "D").astype(np.int64)
    at = pl.Series("t", [(first + day) * 86_400_000 + 46_860_000 for day in (-1, 0, 364, 365)]).cast(pl.Datetime("ms"))
    (minutes,), _ = time_steps(at, ("hour",))
    assert minutes.tolist() == (at.dt.hour().cast(pl.Int64) * 60 + at.dt.minute()).fill_null(0).to_list()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
def test_times_with_a_zone_are_read_off_its_clock(zone):
    # Across both changes of the clock, a quarter of an hour apart.
    utc = pl.datetime_range(datetime(2025, 12, 1), datetime(2026, 12, 1), "15m", time_zone="UTC", eager=True)
    at = utc.dt.convert_time_zone(zone)
    (minutes, weekdays), _ = time_steps(at, ("hour", "weekday"))
    assert minutes.tolist() == (at.dt.hour().cast(pl.Int64) * 60 + at.dt.minute()).to_list()
    assert weekdays.tolist() == (at.dt.weekday().cast(pl.Int64) - 1).to_list()


def test_time_of_day_is_read_to_the_minute():
    at = pl.Series("t", [time(0), None, time(23, 59, 59, 999_999), time(7, 5)])
    (minutes,), missing = time_steps(at, ("hour",))
    assert minutes.tolist() == [0, 0, 1439, 425]
    assert missing.tolist() == [False, True, False, False]


@pytest.mark.parametrize("n", [1, 5000])
def test_rare_and_unseen_levels_keep_apart_in_few_rows_and_in_many(n):
    texts = ["a"] * 9 + ["b"] * 8 + [f"rare {k}" for k in range(300)] + [None]
    encoder = TableEncoder(max_levels=2).fit(pl.DataFrame({"s": texts}))
    assert encoder.feature_names_ == ["s=a", "s=b", "s=(missing)", "s=(rare)", "s=(unseen)"]
    for text, slot in {"b": 1, None: 2, "rare 0": 3, "rare 299": 3, "rare 300": 4, "": 4}.items():
        encoded = encoder.transform(pl.DataFrame({"s": pl.Series([text] * n, dtype=pl.String)}))
        assert encoded.sum(axis=0).tolist() == [n * (k == slot) for k in range(5)]


@given(TABLES, st.sampled_from(["standard", "minmax", "none"]))
@settings(max_examples=60, deadline=None)
def test_decoding_gives_back_what_was_encoded(table, scaling):
    encoder = TableEncoder(scaling).fit(table)
    decoded = encoder.decode(encoder.transform(table))
    assert decoded.columns == table.columns
    assert decoded["s"].to_list() == table["s"].to_list()
    assert decoded["b"].to_list() == table["b"].to_list()
    assert decoded["t"].to_list() == [t and t.strftime("%a %H:%M") for t in table["t"]]
    for name in ("n", "i"):
        given_, back = table[name], decoded[name]
        assert (given_.is_null() == back.is_null()).all()
        values = given_.drop_nulls().cast(pl.Float64).to_numpy()
        if values.size:
            size = max(np.abs(values).max(), 1e-30)
            np.testing.assert_allclose(back.drop_nulls().to_numpy(), values, rtol=1e-5, atol=2e-6 * size)


@given(
    TABLES,
    st.sampled_from(["standard", "robust", "minmax", "none"]),
    st.sampled_from([None, 3, 10.0]),
    st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_the_state_goes_through_json_and_arrays_unchanged(table, scaling, clip, max_levels):
    encoder = TableEncoder(scaling, clip, max_levels).fit(table)
    document, arrays = encoder.to_state()
    again = TableEncoder.from_state(json.loads(json.dumps(document, allow_nan=False)), arrays)
    assert again.feature_names_ == encoder.feature_names_
    assert np.array_equal(again.transform(table), encoder.transform(table))
    assert again.typical() == encoder.typical()
    assert again.to_state()[0] == json.loads(json.dumps(document))


def state():
    return TableEncoder(max_levels=2).fit(MIXED).to_state()


def places(node, path=()):
    """Yield the path of every node of a JSON document."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield from places(child, (*path, key))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=3),
    st.just("\ud800"),
    st.just([]),
    st.just({}),
    st.lists(st.integers() | st.text(max_size=2), max_size=3),
)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_changed_document_loads_an_encoder_or_gives_a_model_file_error(data):
    document, arrays = state()
    root = json.loads(json.dumps({"root": document}))
    *way, last = data.draw(st.sampled_from([path for path in places(root) if path]))
    parent: Any = functools.reduce(operator.getitem, way, root)
    match data.draw(st.sampled_from(["replace", "drop", "add", "repeat"])):
        case "replace":
            parent[last] = data.draw(JUNK)
        case "drop" if last != "root":
            del parent[last]
        case "add" if isinstance(parent, dict):
            parent["extra"] = 1
        case "repeat" if isinstance(parent, list):
            parent.append(parent[int(last)])
    try:
        encoder = TableEncoder.from_state(root["root"], arrays)
    except ModelFileError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WhitecrowWarning)
        try:
            encoded = encoder.transform(MIXED)
        except DataError:
            return
    assert np.isfinite(encoded).all()
    encoder.decode(encoded)
    encoder.typical()


@pytest.mark.parametrize("name", ["numbers", "shares", "rare"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda a: None,
        lambda a: a.tolist(),
        lambda a: a[:-1],
        lambda a: a[None],
        lambda a: a.astype(np.float32),
        lambda a: a.astype(object),
        lambda a: np.full_like(a, np.nan if a.dtype.kind == "f" else 0)[: len(a) // 2],
        lambda a: np.concatenate([a, a]),
    ],
)
def test_a_changed_array_gives_a_model_file_error(name, damage):
    document, arrays = state()
    with pytest.raises(ModelFileError, match="damaged"):
        TableEncoder.from_state(document, arrays | {name: damage(arrays[name])})


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("numbers", (0, 0), np.nan),
        ("numbers", (0, 1), 0.0),
        ("numbers", (0, 1), -1.0),
        ("numbers", (1, 1), np.inf),
        ("numbers", (0, 3), 1e9),
        ("shares", (0,), -0.1),
        ("shares", (0,), 1.5),
        ("shares", (0,), np.nan),
    ],
)
def test_values_out_of_range_give_a_model_file_error(name, place, value):
    document, arrays = state()
    arrays[name][place] = value
    with pytest.raises(ModelFileError, match=name):
        TableEncoder.from_state(document, arrays)


def test_absent_and_unknown_arrays_give_a_model_file_error():
    document, arrays = state()
    changes: list[Any] = [{}, arrays | {"more": np.zeros(1)}, None, [1]]
    for changed in changes:
        with pytest.raises(ModelFileError, match="arrays"):
            TableEncoder.from_state(document, changed)


# ---- what is shown ----


def test_typical_ranges_are_of_the_training_rows():
    encoder = TableEncoder().fit(pl.DataFrame({"n": range(1, 101), "s": ["a"] * 75 + ["b"] * 25}))
    assert encoder.typical() == {"n": "5 to 95", "s": "a 75.0%, b 25.0%"}


def test_decoding_another_width_is_refused():
    with pytest.raises(DataError, match=r"accepted is \[N, 2\]"):
        TableEncoder().fit(np.eye(2)).decode(np.ones((1, 3)))


# ---- real data ----


@pytest.mark.skipif(not KDD.exists(), reason="the KDD Cup 99 file is not here")
def test_kdd_with_declared_categories_has_121_features():
    table = read_table(KDD).drop("column_42")
    table = table.with_columns(
        pl.col(name).cast(pl.String).cast(pl.Enum(table[name].cast(pl.String).unique().sort())) for name in SYMBOLIC
    )
    encoder = TableEncoder().fit(table)
    assert encoder.n_features_out_ == 121
    some = RNG.choice(table.height, 5000, replace=False)
    encoded = encoder.transform(table[some])
    numbers = [k for k, c in enumerate(encoder.columns_) if c.kind == "number"]
    assert len(numbers) == 34
    features = [encoder.columns_[k].start for k in numbers]
    values = table.drop(SYMBOLIC).to_numpy().astype(np.float64)
    scaled = np.asarray(StandardScaler().fit(values).transform(values[some])).clip(-10, 10)
    np.testing.assert_allclose(encoded[:, features], scaled, atol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 5.0, 31.0, 1e3, 1e6])
def test_single_precision_gives_the_features_of_double(offset: float) -> None:
    units = np.array([1e-20, 1e-3, 1, 50, 1e9, 1e25])
    rows = ((np.random.default_rng(0).normal(size=(3000, 6)) + offset) * units).astype(np.float32)
    encoder = TableEncoder(clip=None).fit(rows)
    double = encoder.transform(rows.astype(np.float64))
    np.testing.assert_allclose(encoder.transform(rows), double, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_block_is_filled_with_the_rows_in_their_order(dtype: type) -> None:
    rows = np.random.default_rng(0).normal(size=(2500, 3)).astype(dtype)
    table = pl.DataFrame(rows, schema=["a", "b", "c"]).with_columns(d=pl.Series(["x", "y"] * 1250))
    for X in (rows, table):
        encoder = TableEncoder().fit(X)
        block = np.full((600, encoder.n_features_out_), np.nan, dtype=np.float32)
        parts = [block[:n].copy() for n in encoder.fill(X, block)]
        assert [len(part) for part in parts] == [600, 600, 600, 600, 100]
        np.testing.assert_array_equal(np.concatenate(parts), encoder.transform(X))


def test_what_is_not_finite_is_named_wherever_it_stands() -> None:
    rows = np.random.default_rng(0).normal(size=(200_000, 2)).astype(np.float32)
    encoder = TableEncoder().fit(rows)
    rows[[3, 199_999], 1] = np.nan, np.inf
    with pytest.raises(DataError, match="NaN and inf: column x1 in 2 rows"):
        encoder.transform(rows)
    rows[3, 1] = 0
    with pytest.raises(DataError, match="inf: column x1 in 1 rows"):
        encoder.transform(rows)
