"""SeriesEncoder: statistics, windows, gaps, long series, and hostile state."""

import functools
import json
import operator
import tracemalloc
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from whitecrow.core.errors import DataError, ModelFileError, ParameterError, WhitecrowWarning
from whitecrow.data.series import SeriesEncoder, as_series, chronological_split, period, training_part

RNG = np.random.default_rng(0)
SERIES = RNG.normal([3, -50], [2, 0.1], size=(40, 2))
TWO = [SERIES[:17], SERIES[17:]]


def windows(values, window):
    return np.stack([values[k : k + window].ravel() for k in range(len(values) - window + 1)])


@pytest.mark.parametrize(("scaling", "reference"), [("standard", StandardScaler()), ("minmax", MinMaxScaler())])
def test_windows_hold_what_scikit_learn_scales(scaling, reference):
    encoder = SeriesEncoder(window=5, scaling=scaling).fit(SERIES)
    expected = windows(reference.fit_transform(SERIES), 5)
    np.testing.assert_allclose(encoder.transform(SERIES), expected, rtol=1e-6, atol=1e-6)
    assert encoder.transform(SERIES).dtype == np.float32
    assert (encoder.kind, encoder.shape, encoder.n_features_out_) == ("sequence", (5, 2), 10)


def test_unscaled_values_stay_as_they_are_and_are_not_clipped():
    encoder = SeriesEncoder(window=3, scaling="none", clip=1.0).fit(SERIES)
    np.testing.assert_array_equal(encoder.transform(SERIES), windows(SERIES, 3).astype(np.float32))


def test_no_window_reaches_from_one_series_into_the_next():
    encoder = SeriesEncoder(window=6).fit(TWO)
    expected = np.concatenate([encoder.transform(part) for part in TWO])
    np.testing.assert_array_equal(encoder.transform(TWO), expected)
    assert encoder.starts(TWO).tolist() == [*range(12), *range(17, 35)]


@pytest.mark.parametrize("size", [1, 4, 11, 64])
@pytest.mark.parametrize("flat", [True, False])
def test_blocks_are_the_rows_of_transform_in_their_order(size, flat):
    encoder = SeriesEncoder(window=6).fit(TWO)
    block = np.empty((size, 12) if flat else (size, 6, 2), dtype=np.float32)
    rows = np.concatenate([block[:n].reshape(n, -1).copy() for n in encoder.fill(TWO, block)])
    np.testing.assert_array_equal(rows, encoder.transform(TWO))


def test_chosen_windows_are_those_of_all_windows():
    encoder = SeriesEncoder(window=4).fit(TWO)
    starts = encoder.starts(TWO)
    chosen = starts[[0, 3, 9, 20]]
    np.testing.assert_array_equal(encoder.transform(TWO, chosen), encoder.transform(TWO)[[0, 3, 9, 20]])
    for bad in ([-1], [37], [0.5], [[1]]):
        with pytest.raises(DataError, match="starts"):
            encoder.transform(TWO, np.array(bad))


def test_statistics_are_those_of_the_training_steps_alone():
    changed = SERIES.copy()
    changed[30:] = 1e6
    fitting = training_part(as_series(changed), 0.25)
    for rows in (fitting, np.flatnonzero(fitting)):
        encoder = SeriesEncoder(window=4).fit(changed, rows)
        np.testing.assert_array_equal(
            encoder.transform(SERIES[:30]), SeriesEncoder(window=4).fit(SERIES[:30]).transform(SERIES[:30])
        )
    assert encoder.transform(changed).max() == 10


def test_training_windows_are_those_of_the_split_at_the_stride():
    encoder = SeriesEncoder(window=4, stride=3).fit(SERIES)
    split = chronological_split(as_series(SERIES), encoder.window_, 0.2, stride=encoder.stride)
    assert split.train.tolist() == list(range(0, 29, 3))
    assert len(encoder.transform(SERIES)) == 37


@pytest.mark.parametrize("scaling", ["standard", "robust", "minmax"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e12 + 0.1])
def test_a_constant_channel_becomes_0_and_meets_the_clip_where_it_moves(scaling, value):
    values = np.full((1000, 1), value)
    encoder = SeriesEncoder(window=2, scaling=scaling).fit(values)
    assert not encoder.transform(values).any()
    assert (encoder.steps(values + 1e-3 * max(1, abs(value))) == 10).all()
    assert abs(encoder.steps(np.nextafter(values, np.inf))).max() < 1e-6


@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1e300])
def test_the_unit_of_a_channel_does_not_matter(factor):
    values = SERIES[:, :1]
    expected = SeriesEncoder(window=3).fit(values).transform(values)
    np.testing.assert_allclose(
        SeriesEncoder(window=3).fit(values * factor).transform(values * factor), expected, rtol=1e-5, atol=1e-6
    )


def test_fixed_windows_are_taken_whole():
    X = RNG.normal(size=(6, 5, 2))
    encoder = SeriesEncoder(window=99).fit(X, rows=np.array([0, 1, 2]))
    assert encoder.shape == (5, 2)
    mean, std = X[:3].mean((0, 1)), X[:3].std((0, 1))
    np.testing.assert_allclose(encoder.transform(X), ((X - mean) / std).reshape(6, 10), rtol=1e-5, atol=1e-6)
    with pytest.raises(DataError, match="fixed windows of 4 steps, but a window takes 5"):
        encoder.transform(X[:, :4])


def test_windows_are_decoded_to_original_units():
    encoder = SeriesEncoder(window=5).fit(SERIES)
    decoded = encoder.decode(encoder.transform(SERIES))
    np.testing.assert_allclose(decoded, windows(SERIES, 5).reshape(-1, 5, 2), rtol=1e-5)
    with pytest.raises(DataError, match=r"accepted are \[n, 10\]"):
        encoder.decode(np.zeros((2, 9)))


def test_each_feature_is_a_step_of_a_channel():
    encoder = SeriesEncoder(window=2).fit(SERIES)
    assert encoder.feature_names_ == ["x0[0]", "x1[0]", "x0[1]", "x1[1]"]
    assert encoder.column_of_feature_.tolist() == [0, 1, 0, 1]
    assert list(encoder.typical()) == ["x0", "x1"]


def test_the_channels_of_a_table_are_found_by_name():
    table = pl.DataFrame(SERIES, schema=["a", "b"])
    encoder = SeriesEncoder(window=3).fit(table)
    expected = encoder.transform(table)
    turned = table.select("b", "a", note=pl.lit("x"))
    np.testing.assert_array_equal(encoder.transform(turned), expected)
    np.testing.assert_array_equal(encoder.transform(as_series(turned.drop("note"))), expected)
    np.testing.assert_array_equal(encoder.transform(SERIES), expected)
    with pytest.raises(DataError, match="no column 'a'"):
        encoder.transform(table.drop("a"))
    with pytest.raises(DataError, match="X has 1 channels, but SeriesEncoder is expecting 2"):
        encoder.transform(SERIES[:, :1])


def test_the_window_is_the_period_of_the_training_steps():
    wave = np.sin(np.arange(900) * 2 * np.pi / 30)
    other = np.concatenate([wave[:600], np.sin(np.arange(300) * 2 * np.pi / 70)])
    encoder = SeriesEncoder(fold="last").fit(other, rows=np.arange(600))
    assert encoder.window_ == period(wave[:600]) == 30
    assert SeriesEncoder(rank=2).fit(wave).window_ == period(wave, rank=2) == 60


def test_the_window_found_is_no_longer_than_the_shortest_series():
    noise = RNG.normal(size=40).cumsum()
    assert SeriesEncoder().fit([np.arange(400.0), noise]).window_ == 40


def test_a_series_shorter_than_the_window_is_refused():
    with pytest.raises(DataError, match="X has 9 steps but a window takes 10"):
        SeriesEncoder(window=10).fit(np.arange(9))
    encoder = SeriesEncoder(window=10).fit(np.arange(10.0))
    with pytest.raises(DataError, match="Series 1 has 3 steps"):
        encoder.transform([np.arange(10.0), np.arange(3.0)])


def test_scores_of_the_windows_become_scores_of_the_rows_of_the_caller():
    stamps = pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 2, 15), "1h", eager=True)
    table = pl.DataFrame({"when": stamps, "a": SERIES[:, 0]}).reverse()
    encoder = SeriesEncoder(window=4, fold="last").fit(SERIES[:, 0])
    with pytest.warns(WhitecrowWarning, match="sorted"):
        rows = as_series(table)
    folding = encoder.folding(rows)
    folding.add(np.arange(37.0)[None])
    scores = rows.present(folding.result()[0])
    assert scores.tolist() == [*range(36, -1, -1), 0, 0, 0]


def test_a_long_series_is_encoded_and_folded_in_little_memory():
    values = RNG.normal(size=300_000)
    encoder = SeriesEncoder(window=100).fit(values)
    block = np.empty((1024, 100), dtype=np.float32)
    tracemalloc.start()
    rows = as_series(values)
    folding = encoder.folding(rows)
    for n in encoder.fill(rows, block):
        folding.add(np.square(block[None, :n]))
    scores = rows.present(folding.result()[0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = np.square((values - values.mean()) / values.std())
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)
    assert peak < 5 * values.nbytes  # with the series itself, fewer than six copies of it


@pytest.mark.parametrize(
    "arguments",
    [
        {"window": 0}, {"window": "period"}, {"fold": "first"}, {"scaling": "quantile"}, {"clip": 0}, {"stride": 0},
        {"rank": 3},
    ],
)  # fmt: skip
def test_parameters_out_of_range_are_refused(arguments):
    with pytest.raises(ParameterError, match=f"SeriesEncoder.{next(iter(arguments))}"):
        SeriesEncoder(**arguments).fit(SERIES)


@pytest.mark.parametrize("rows", [[], [40], [-1], [0.5], [[1]], np.zeros(40, bool), np.zeros(39, bool)])
def test_training_steps_that_are_none_are_refused(rows):
    with pytest.raises(DataError, match="rows"):
        SeriesEncoder(window=2).fit(SERIES, rows=np.asarray(rows))


def test_an_encoder_that_is_not_fitted_says_so():
    for call in ("transform", "decode", "folding", "starts", "steps"):
        with pytest.raises(DataError, match="not fitted"):
            getattr(SeriesEncoder(), call)(SERIES)


# ---- state ----


def state():
    return SeriesEncoder(window=5, fold="median", stride=2).fit(pl.DataFrame(SERIES, schema=["a", "ß"])).to_state()


@pytest.mark.parametrize("window", [5, np.int64(5), "auto"])
@pytest.mark.parametrize("scaling", ["standard", "robust", "minmax", "none"])
@pytest.mark.parametrize("clip", [None, 3, 10.0])
def test_the_state_goes_through_json_and_arrays_unchanged(window, scaling, clip):
    encoder = SeriesEncoder(window, scaling=scaling, clip=clip).fit(SERIES)
    document, arrays = encoder.to_state()
    again = SeriesEncoder.from_state(json.loads(json.dumps(document, allow_nan=False)), arrays)
    np.testing.assert_array_equal(again.transform(SERIES), encoder.transform(SERIES))
    assert again.to_state()[0] == document
    assert (again.fold, again.window_, again.typical()) == (encoder.fold, encoder.window_, encoder.typical())
    with pytest.raises(DataError, match="channels"):
        again.transform(SERIES[:, :1])


def places(node, path=()):
    """Yield the path of every node of a JSON document."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield from places(child, (*path, key))


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(10**5000), st.floats(), st.text(max_size=3), st.just("\ud800"),
    st.just([]), st.just({}), st.lists(st.integers() | st.text(max_size=2), max_size=3),
)  # fmt: skip


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_document_loads_an_encoder_or_gives_a_model_file_error(data):
    document, arrays = state()
    root = {"root": document}
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
        encoder = SeriesEncoder.from_state(root["root"], arrays)
    except ModelFileError:
        return
    try:
        encoded = encoder.transform(SERIES)
    except DataError:
        return
    assert np.isfinite(encoded).all()
    encoder.decode(encoded)
    encoder.typical()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window", True), ("window", 0), ("window", 10**6 + 1), ("length", 5.0), ("length", 1 << 26), ("length", 0),
        ("fold", "sum"), ("fold", ["mean"]), ("scaling", "quantile"), ("clip", 0), ("clip", True), ("clip", 10**400),
        ("stride", 0), ("rank", 3), ("source", "array"), ("columns", []), ("columns", [{"name": "a", "kind": "date"}]),
        ("columns", [{"name": "a", "kind": "number"}] * 2), ("columns", [{"name": "\ud800", "kind": "number"}]),
    ],
)  # fmt: skip
def test_a_field_out_of_range_gives_a_model_file_error(field, value):
    document, arrays = state()
    SeriesEncoder.check_state(document)
    with pytest.raises(ModelFileError, match="damaged"):
        SeriesEncoder.check_state(document | {field: value})
    with pytest.raises(ModelFileError, match="damaged"):
        SeriesEncoder.from_state(document | {field: value}, arrays)


@pytest.mark.parametrize(
    "damage",
    [
        lambda a: None,
        lambda a: a.tolist(),
        lambda a: a[:-1],
        lambda a: a[:, :4],
        lambda a: a.astype(np.float32),
        lambda a: a.astype(object),
        lambda a: np.where(np.eye(2, 5) > 0, np.nan, a),
        lambda a: a * [1, 0, 1, 1, 1],
        lambda a: a * [1, -1, 1, 1, 1],
        lambda a: a[:, [0, 1, 2, 4, 3]],
    ],
)
def test_a_changed_array_gives_a_model_file_error(damage):
    document, arrays = state()
    with pytest.raises(ModelFileError, match=r"damaged.*channels"):
        SeriesEncoder.from_state(document, {"channels": damage(arrays["channels"])})


@pytest.mark.parametrize("arrays", [{}, None, [1], {"channels": np.ones((2, 5)), "more": np.zeros(1)}])
def test_absent_and_unknown_arrays_give_a_model_file_error(arrays):
    with pytest.raises(ModelFileError, match="arrays"):
        SeriesEncoder.from_state(state()[0], arrays)
