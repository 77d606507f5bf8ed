"""Sources say which records are anomalies, normal or unknown, and can be wound back."""

from datetime import date, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.traffic_stream import TrafficStream
from whitecrow.workspace.stream import ReplaySource, SimulatedSource


def table(**columns):
    return pl.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], **columns})


def test_a_simulated_record_is_an_anomaly_if_it_belongs_to_an_attack():
    raw = TrafficStream(1, 0.3, week_rows=400).take(500)
    rows = SimulatedSource(TrafficStream(1, 0.3, week_rows=400)).take(500)
    assert (rows["label"] == (raw["label"] != "normal")).all()
    assert rows.filter(pl.col("label") == 1)["family"].equals(raw.filter(pl.col("label") != "normal")["label"])
    assert rows.filter(pl.col("label") == 0)["family"].null_count() == (raw["label"] == "normal").sum()
    assert rows.drop("label", "family").equals(raw.drop("label"))


def test_a_table_is_replayed_in_its_order_and_again():
    rows = table()
    source = ReplaySource(rows)
    assert pl.concat([source.take(3), source.take(3), source.take(3)]).equals(rows)
    assert (source.position, source.length) == (4, 4)
    source.seek(1)
    assert source.take(2).equals(rows[1:3])
    with pytest.raises(DataError, match="no record 5: they are numbered from 0 to 3"):
        source.seek(5)


def test_a_missing_label_is_unknown_and_any_unlisted_one_an_anomaly():
    source = ReplaySource(table(kind=["normal.", None, "smurf.", "never-seen."]), label="kind", normal=["normal."])
    rows = source.take(9)
    assert rows["kind"].to_list() == [0, None, 1, 1]
    assert rows[source.family_column].to_list() == [None, None, "smurf.", "never-seen."]


@pytest.mark.parametrize("labels", [[0, 1, None, 1], [False, True, None, True], [0.0, 1.0, None, 1.0]])
def test_plain_labels_tell_no_family(labels):
    source = ReplaySource(table(y=labels), label="y")
    rows = source.take(9)
    assert rows["y"].to_list() == [0, 1, None, 1]
    assert rows[source.family_column].null_count() == 4


def test_a_family_column_is_kept_for_anomalies_only():
    source = ReplaySource(table(y=[0, 1, 1, 0], family=["quiet", "scan", None, "scan"]), label="y", family="family")
    assert source.family_column == "family"
    assert source.take(9)["family"].to_list() == [None, "scan", None, None]


def test_the_name_of_the_family_column_is_free():
    source = ReplaySource(table(y=["0", "scan", "0", "0"], family=[1, 2, 3, 4]), label="y")
    rows = source.take(9)
    assert rows["family"].to_list() == [1, 2, 3, 4]
    assert rows[source.family_column].to_list() == [None, "scan", None, None]


DAY = datetime(2024, 5, 1)


@pytest.mark.parametrize(
    ("column", "seconds"),
    [
        ([30.5, 0.5, 30.5, 10.5], [0, 10, 30, 30]),
        (pl.Series([3, 0, 3, 1]), [0, 1, 3, 3]),
        ([DAY + timedelta(milliseconds=k) for k in (1500, 0, 1500, 250)], [0, 0.25, 1.5, 1.5]),
        ([date(2024, 5, k) for k in (3, 1, 3, 2)], [0, 86_400, 172_800, 172_800]),
        ([time(0, 1), time(0, 0), time(0, 1), time(0, 0, 20)], [0, 20, 60, 60]),
    ],
)
def test_rows_come_in_the_order_of_time_and_those_of_one_moment_as_they_stood(column, seconds):
    source = ReplaySource(table(t=column, y=[0, 0, 1, 0]), time="t", label="y")
    rows = source.take(9)
    assert rows["a"].to_list() == [1, 3, 0, 2]
    assert rows["y"].to_list() == [0, 0, 0, 1]
    np.testing.assert_allclose(source.times, seconds)


def test_a_file_is_replayed_like_its_table(tmp_path):
    rows = table(y=[0, 1, 0, 1])
    rows.write_parquet(tmp_path / "rows.parquet")
    rows.write_csv(tmp_path / "rows.csv")
    for name in ("rows.parquet", "rows.csv"):
        found = ReplaySource(tmp_path / name, label="y").take(9)
        assert found["a"].to_list() == [0, 1, 2, 3]
        assert found["y"].to_list() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({}, {"label": "y"}, "no column 'y'. Its columns are: a"),
        ({"y": [0, 1, 0, 1]}, {"family": "y"}, "name the label column too"),
        ({"y": [1, 2, 3, 4]}, {"label": "y"}, "only 0 .normal. and 1"),
        ({"t": ["x", "y", "z", "u"]}, {"time": "t"}, "holds String; accepted are dates, times and seconds"),
        ({"t": [1.0, None, float("nan"), 2.0]}, {"time": "t"}, "2 rows have no time"),
    ],
)
def test_what_cannot_be_replayed_is_refused(columns, arguments, message):
    with pytest.raises(DataError, match=message):
        ReplaySource(table(**columns), **arguments)
    with pytest.raises(DataError, match="no rows"):
        ReplaySource(table().head(0))
    with pytest.raises(ParameterError):
        ReplaySource(table()).take(-1)
