"""Readers of series: forms, the order of time, gaps, and what is refused."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from whitecrow.core.errors import DataError, WhitecrowWarning
from whitecrow.data.series import as_series

START = datetime.datetime(2026, 1, 1)


def minutes(*counts):
    return [START + datetime.timedelta(minutes=count) for count in counts]


def table(counts, values=None, name="when"):
    return pl.DataFrame({name: minutes(*counts), "load": values or [float(k) for k in counts]})


def test_a_vector_is_one_series_of_one_channel():
    rows = as_series(np.arange(5))
    assert rows.values.shape == (5, 1)
    assert (rows.form, rows.channels, rows.source, len(rows)) == ("series", ("x0",), "array", 5)
    assert rows.present(np.arange(5.0)).tolist() == [0, 1, 2, 3, 4]


def test_a_matrix_is_one_series_of_several_channels_and_is_not_copied():
    X = np.zeros((7, 3), dtype=np.float32)
    rows = as_series(X)
    assert np.shares_memory(rows.values, X)
    assert rows.channels == ("x0", "x1", "x2")


def test_a_list_keeps_its_series_apart():
    rows = as_series([np.zeros((4, 2)), np.ones((6, 2)), np.ones((1, 2), np.float32)])
    assert rows.bounds.tolist() == [0, 4, 10, 11]
    assert rows.values.dtype == np.float64
    assert [part.tolist() for part in rows.present(np.arange(11))] == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9], [10]]
    assert rows.arrange([[0] * 4, [1] * 6, [2]]).tolist() == [0] * 4 + [1] * 6 + [2]


def test_fixed_windows_are_samples_of_their_own():
    X = np.arange(24.0).reshape(2, 4, 3)
    rows = as_series(X)
    assert (rows.form, len(rows), rows.bounds.tolist()) == ("windows", 2, [0, 4, 8])
    np.testing.assert_array_equal(rows.values.reshape(2, 4, 3), X)
    assert rows.present([0.5, 0.25]).tolist() == [0.5, 0.25]


def test_what_was_read_is_not_read_again():
    rows = as_series(np.zeros(3))
    assert as_series(rows) is rows


@pytest.mark.parametrize("library", [pl.DataFrame, pd.DataFrame, pa.table])
def test_the_column_of_dates_is_the_time_and_the_others_are_channels(library):
    rows = as_series(library({"load": [1.0, 2.0, 3.0], "when": minutes(0, 1, 2), "up": [True, False, True]}))
    assert rows.channels == ("load", "up")
    assert rows.values.tolist() == [[1, 1], [2, 0], [3, 1]]
    assert rows.times is not None
    assert rows.times[1] == np.datetime64(START + datetime.timedelta(minutes=1))


def test_a_text_column_called_timestamp_is_the_time():
    stamps = ["2026-01-01 00:00:00.000", "2026-01-01 00:05:00"]
    assert as_series(pl.DataFrame({"Timestamp": stamps, "load": [1, 2]})).channels == ("load",)


def test_numbers_are_the_time_only_if_they_are_named():
    stamped = pl.DataFrame({"time": [0, 10, 20], "load": [1.0, 2.0, 3.0]})
    assert as_series(stamped, time="time").channels == ("load",)
    with pytest.raises(DataError, match="time='time', or rename"):
        as_series(stamped)


def test_the_index_of_a_pandas_table_is_the_time_if_it_holds_times():
    stamped = pd.DataFrame({"load": [1.0, 2.0, 4.0]}, index=pd.to_datetime(minutes(0, 1, 10_000)))
    with pytest.raises(DataError, match="of the 2 steps"):
        as_series(stamped)
    assert as_series(stamped["load"].iloc[:2]).times is not None
    assert as_series(stamped.reset_index(drop=True)).times is None


def test_a_clock_that_goes_back_in_autumn_is_read_as_it_runs():
    hours = pd.date_range("2025-10-25 22:00", periods=12, freq="h", tz="UTC").tz_convert("Europe/Berlin")
    for stamped in (
        pd.DataFrame({"when": hours, "load": range(12)}),
        pl.DataFrame({"when": list(hours), "load": range(12)}),
    ):
        rows = as_series(stamped)
        assert rows.bounds.tolist() == [0, 12]
        assert rows.places is None


def test_rows_are_sorted_by_time_and_scores_keep_the_order_of_the_caller():
    with pytest.warns(WhitecrowWarning, match="sorted"):
        rows = as_series(table([2, 0, 1, 3]))
    assert rows.values[:, 0].tolist() == [0, 1, 2, 3]
    assert rows.present([10, 11, 12, 13]).tolist() == [12, 10, 11, 13]
    assert rows.arrange([12, 10, 11, 13]).tolist() == [10, 11, 12, 13]


def test_rows_of_one_time_stamp_are_averaged_and_share_a_score():
    counts = [*range(20), 7]
    with pytest.warns(WhitecrowWarning) as caught:
        rows = as_series(table(counts, [float(k) for k in range(20)] + [9.0]))
    assert sorted(str(w.message).split(" of column")[0] for w in caught) == [
        "1 rows repeat a time stamp", "The rows are not in the order",
    ]  # fmt: skip
    assert len(rows) == 21
    assert rows.values.shape == (20, 1)
    assert rows.values[7, 0] == 8.0
    scores = rows.present(np.arange(20))
    assert scores[7] == scores[20] == 7
    labels = np.zeros(21, dtype=int)
    labels[20] = 1
    assert np.flatnonzero(rows.arrange(labels)).tolist() == [7]


def test_the_warning_names_the_line_of_the_caller():
    with pytest.warns(WhitecrowWarning) as caught:
        as_series(table([1, 0, 2]))
    assert caught[0].filename == __file__


def test_many_rows_of_one_time_stamp_are_refused():
    with pytest.raises(DataError, match=r"3 of 6 rows repeat.*list with one table"):
        as_series(table([0, 0, 1, 1, 2, 2]))


def test_a_gap_breaks_the_series():
    rows = as_series(table([*range(20), *range(25, 45)]))
    assert rows.bounds.tolist() == [0, 20, 40]
    assert rows.series.tolist() == [0, 0]
    assert len(rows) == 40


@pytest.mark.parametrize(("late", "segments"), [(1.4, 1), (1.6, 2)])
def test_a_gap_is_more_than_one_and_a_half_steps(late, segments):
    rows = as_series(table([*range(20), *(19 + late + k for k in range(20))]))
    assert len(rows.bounds) - 1 == segments


def test_irregular_steps_are_refused():
    counts = np.cumsum(np.random.default_rng(0).exponential(size=200)).tolist()
    with pytest.raises(DataError, match="Resample"):
        as_series(table(counts))


def test_jitter_is_accepted():
    rng = np.random.default_rng(0)
    assert len(as_series(table((np.arange(200) + rng.uniform(-0.2, 0.2, 200)).tolist())).bounds) == 2


def test_the_time_of_each_table_of_a_list_is_its_own():
    with pytest.warns(WhitecrowWarning, match="sorted"):
        rows = as_series([table([0, 1, 2]), table([5, 4, 3])])
    assert rows.values[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert [part.tolist() for part in rows.present(np.arange(6))] == [[0, 1, 2], [5, 4, 3]]


def test_channels_are_taken_by_name_and_others_are_ignored():
    stamped = table([0, 1, 2]).with_columns(note=pl.lit("x"), level=pl.lit(7))
    assert as_series(stamped, channels=["level", "load"]).values[0].tolist() == [7, 0]
    with pytest.raises(DataError, match="no column 'speed'"):
        as_series(stamped, channels=["speed"])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([1.0, 2.0, np.nan, np.inf]), "'x0', first in row 2"),
        ([np.zeros((2, 2)), np.array([[1, 2], [3, np.inf]])], "'x1', first in series 1, row 1"),
        (np.full((2, 3, 1), np.nan), "'x0', first in window 0, step 0"),
        (pl.DataFrame({"a": [1, 2], "b": [1, None]}), "'b', first in row 1"),
        (pl.DataFrame({"a": [1, 2], "b": ["u", "v"]}), "'b' is String"),
        (pl.DataFrame({"date": ["2026-01-01", "soon"], "b": [1, 2]}), "'soon' in row 1"),
        (pl.DataFrame({"u": minutes(0, 1), "v": minutes(0, 1), "b": [1, 2]}), "time='u'"),
        (pl.DataFrame({"when": minutes(0, 1)}), "0 channels"),
        ([np.zeros((3, 1)), np.zeros((3, 2))], "Series 1 has the channels x0, x1"),
        ([table([0, 1]), table([0, 1]).drop("when")], "Some of the series"),
        (np.zeros((0, 3)), "0 steps"),
        (np.zeros((0, 3, 1)), "fixed windows"),
        (np.zeros((2, 2, 2, 2)), "accepted are one series"),
        (np.array(["a", "b"]), "accepted are numbers"),
        ([[1.0, 2.0], [3.0]], "ragged"),
        ([], "0 steps"),
        (5.0, "shape"),
    ],
)
def test_what_cannot_be_read_is_refused(X, message):
    with pytest.raises(DataError, match=message):
        as_series(X)


def test_an_array_has_no_time_column():
    with pytest.raises(DataError, match="names a column"):
        as_series(np.zeros(3), time="when")


def test_too_many_scores_are_refused():
    with pytest.raises(DataError, match=r"\(3,\)"):
        as_series(np.zeros(3)).present(np.zeros(4))
