"""A growing file: whole lines only, once each, whatever becomes of the file."""

import json
from contextlib import ExitStack
from datetime import datetime

import polars as pl
import pytest

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.workspace.stream import TailSource
from whitecrow.workspace.stream.follow import Follower


def write(path, text, mode="a"):
    with path.open(mode, newline="") as file:
        file.write(text)


@pytest.fixture
def tail():
    """Make sources that are closed at the end."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(TailSource(*args, **kwargs))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    write(path, "a,b\n1,x\n2,y\n")
    return path


def test_new_lines_come_once_and_in_order(tail, log):
    source = tail(log)
    assert source.take(1).rows() == [(1.0, "x")]
    assert source.take(10).rows() == [(2.0, "y")]
    assert source.take(10).height == 0
    write(log, "3,z\r\n\n4,\n")
    assert source.take(10).rows() == [(3.0, "z"), (4.0, None)]
    assert (source.position, source.bad_lines, source.restarts, source.length) == (4, 0, 0, None)


def test_a_line_is_taken_only_once_its_end_is_written(tail, log):
    source = tail(log)
    source.take(10)
    for part in ("3", ",", "z"):
        write(log, part)
        assert source.take(10).height == 0
    write(log, "z\n4,")
    assert source.take(10).rows() == [(3.0, "zz")]


def test_a_header_that_is_not_whole_yet_is_waited_for(tail, tmp_path):
    path = tmp_path / "log.csv"
    write(path, "\ufeffa,")
    source = tail(path)
    assert source.take(5).shape == (0, 0)
    write(path, "b\n7,x\n")
    assert source.take(5).to_dict(as_series=False) == {"a": [7.0], "b": ["x"]}


def test_bad_lines_are_passed_over_and_counted(tail, log):
    source = tail(log, schema={"a": pl.Int64, "b": pl.String})
    write(log, 'x,y\n1,2,3\n1\n1.5,y\n5,"un\n6,"a, b"\n')
    assert source.take(10).rows() == [(1, "x"), (2, "y"), (6, "a, b")]
    assert source.bad_lines == 5
    assert source.position == 3


def test_a_number_that_is_not_finite_is_a_bad_line_and_a_missing_one_is_missing(tail, log):
    source = tail(log)
    write(log, "inf,x\n-,x\nNaN,x\n")
    assert source.take(10)["a"].to_list() == [1.0, 2.0, None, None]
    assert source.bad_lines == 1


def test_types_are_those_of_the_schema_and_a_new_level_is_no_error(tail, tmp_path):
    path = tmp_path / "log.csv"
    write(path, "when,level,n,left\n2024-03-04 10:00:00,new,3,x\n")
    schema = {"when": pl.Datetime("ms"), "level": pl.Enum(["old"]), "n": pl.Int64}
    rows = tail(path, schema=schema).take(5)
    assert rows.row(0) == (datetime(2024, 3, 4, 10), "new", 3, "x")
    assert rows.dtypes == [pl.Datetime("ms"), pl.String, pl.Int64, pl.String]


def test_a_missing_or_unseen_label_is_never_normal(tail, tmp_path):
    path = tmp_path / "log.csv"
    write(path, "a,label\n1,normal\n2,\n3,zero-day\n4, Normal \n5,0\n")
    source = tail(path, label="label")
    rows = source.take(9)
    assert rows["label"].to_list() == [0, None, 1, 0, 0]
    assert rows[source.family_column].to_list() == [None, None, "zero-day", None, None]


def test_a_rotated_file_is_read_to_its_end_and_then_its_successor(tail, log):
    source = tail(log)
    source.take(1)
    write(log, "3,z\n")
    log.rename(log.with_suffix(".1"))
    assert source.take(10)["a"].to_list() == [2.0, 3.0]
    assert source.take(10).height == 0
    write(log.with_suffix(".1"), "4,late\n")
    write(log, "a,b\n5,new\n")
    assert source.take(10)["a"].to_list() == [4.0]
    assert source.take(10)["a"].to_list() == [5.0]
    assert (source.position, source.restarts, source.bad_lines) == (5, 1, 0)


@pytest.mark.parametrize("header", ["a,b\n", ""])
def test_a_file_that_was_cut_short_is_read_from_its_beginning(tail, log, header):
    source = tail(log)
    write(log, "9,unfinis")
    source.take(10)
    write(log, f"{header}7,x\n", "w")
    assert source.take(10).rows() == [(7.0, "x")]
    assert source.restarts == 1
    assert source.bad_lines == 1


def test_columns_of_a_later_file_are_found_by_name(tail, log):
    source = tail(log)
    source.take(10)
    write(log, "b,a\nq,1\n", "w")
    assert source.take(10).select("a", "b").rows() == [(1.0, "q")]


def test_a_later_file_with_other_columns_is_refused_for_good(tail, log):
    source = tail(log)
    source.take(10)
    write(log, "c,d\n1,x\n", "w")
    for _ in range(2):
        with pytest.raises(DataError, match=r"replaced by a file with the columns c, d; before, they were a, b"):
            source.take(10)
    assert source.position == 2


def test_seek_goes_back_within_the_present_file(tail, log):
    source = tail(log)
    write(log, "bad\n3,z\n4,w\n")
    whole = source.take(10)
    for position in (0, 3, 1, 4, 2):
        source.seek(position)
        assert source.take(10).equals(whole[position:])
        assert source.bad_lines == 1
    source.seek(1)
    with pytest.raises(DataError, match="record 9 has not been written yet"):
        source.seek(9)
    assert source.take(10).equals(whole[1:])
    write(log, "a,b\n5,x\n", "w")
    source.take(1)
    with pytest.raises(DataError, match="record 3 was in a file that has been replaced; the oldest is now 4"):
        source.seek(3)
    source.seek(4)
    assert source.take(1)["a"].item() == 5.0


def test_json_lines_are_read_by_name_and_what_is_no_object_is_bad(tail, tmp_path):
    path = tmp_path / "log.jsonl"
    good = [{"a": 1, "b": "x", "ok": True}, {"b": "y", "more": 2}, {"a": 2.5, "b": None, "ok": False}]
    bad = ["[1]", "{", '{"a": [1]}', '{"a": "text", "b": "x"}', '{"other": 1}', '{"a": Infinity}', "{}", "[" * 9999]
    write(path, "\n".join(json.dumps(one) for one in good[:1]) + "\n")
    source = tail(path)
    assert source.take(1).to_dict(as_series=False) == {"a": [1.0], "b": ["x"], "ok": ["true"]}
    write(path, "\n".join([*bad, *(json.dumps(one) for one in good[1:])]) + "\n")
    assert source.take(20).rows() == [(None, "y", None), (2.5, None, "false")]
    assert source.bad_lines == len(bad)


def test_json_columns_are_those_of_the_schema(tail, tmp_path):
    path = tmp_path / "log.ndjson"
    write(path, '{"extra": 1, "n": 3, "label": 1, "t": true}\n')
    source = tail(path, schema={"n": pl.Int64, "t": pl.Boolean}, label="label")
    assert source.take(5).to_dict(as_series=False) == {"n": [3], "t": [True], "label": [1], "family": ["1"]}


def test_lines_without_end_are_bounded_and_counted_once(tail, tmp_path):
    path = tmp_path / "log.csv"
    write(path, "a\n1\n" + "x" * (5 << 20) + "\n2\n")
    source = tail(path)
    assert source.take(10)["a"].to_list() == [1.0, 2.0]
    assert source.bad_lines == 1
    source.seek(0)
    assert source.take(10)["a"].to_list() == [1.0, 2.0]
    assert source.bad_lines == 1


def test_lines_are_the_same_however_many_are_asked_for(tmp_path):
    path = tmp_path / "log.csv"
    expected = [str(k).encode() * (k % 50) for k in range(20_000)]
    path.write_bytes(b"\n".join(expected) + b"\n")
    for n in (1, 7, 30_000):
        follower, found = Follower(path), []
        while lines := follower.lines(n)[0]:
            found += lines
        assert found == expected
        follower.close()


def test_what_cannot_be_followed_is_refused(tail, log, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv does not exist"):
        tail(tmp_path / "none.csv")
    with pytest.raises(DataError, match="not a regular file"):
        tail(tmp_path)
    with pytest.raises(ParameterError, match="delimiter must be one character"):
        tail(log, delimiter=";;")
    with pytest.raises(DataError, match=r"has no column 'c'\. Its columns are: a, b"):
        tail(log, label="c").take(1)
    write(log, "a,a\n1,2\n", "w")
    with pytest.raises(DataError, match="must name each column once"):
        tail(log).take(1)


def test_from_the_end_only_what_is_written_from_now_on_comes(tail, log):
    write(log, "3,unfin")
    source = tail(log)
    source.begin(at_end=True)
    assert source.take(10).height == 0
    write(log, "ished\n4,w\n")
    assert source.take(10).rows() == [(3.0, "unfinished"), (4.0, "w")]
    source.seek(1)
    assert source.take(10).rows() == [(4.0, "w")]
    source.seek(0)
    assert source.take(10).height == 2
    assert (source.position, source.bad_lines) == (2, 0)
    write(log, "a,b\n5,new\n", "w")
    assert source.take(10).rows() == [(5.0, "new")]
    assert source.restarts == 1


def test_from_the_end_of_a_file_without_a_header_all_comes(tail, tmp_path):
    path = tmp_path / "log.csv"
    write(path, "a,")
    source = tail(path)
    source.begin(at_end=True)
    write(path, "b\n1,x\n")
    assert source.take(10).rows() == [(1.0, "x")]


def test_json_lines_are_followed_from_the_end_too(tail, tmp_path):
    path = tmp_path / "log.jsonl"
    write(path, '{"a": 1}\n' * 3)
    source = tail(path)
    source.begin(at_end=True)
    assert source.take(10).height == 0
    write(path, '{"a": 2}\n')
    assert source.take(10).to_dict(as_series=False) == {"a": [2.0]}


def test_an_optional_label_that_the_file_lacks_leaves_records_without_labels(tail, log):
    source = tail(log, label="truth", label_optional=True)
    assert source.take(1).columns == ["a", "b"]
    assert source.label_column is source.family_column is None
    named = tail(log, label="b", label_optional=True, normal=("x",))
    assert named.take(2)["b"].to_list() == [0, 1]


@pytest.mark.parametrize(("name", "text"), [("log.csv", "a,b\n1,2\n"), ("log.jsonl", '{"a": 1, "b": 2}\n')])
def test_a_file_without_a_required_column_is_refused(tail, tmp_path, name, text):
    write(tmp_path / name, text)
    source = tail(tmp_path / name, schema={"a": pl.Float64}, required=("a", "rate"))
    with pytest.raises(DataError, match=r"has no column 'rate'\. Its columns are: a, b"):
        source.take(1)


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
def test_the_delimiter_is_told_by_the_first_line(tail, tmp_path, mark):
    write(tmp_path / "log.csv", f"a{mark}b{mark}c d\n1{mark}x{mark}2\n")
    assert tail(tmp_path / "log.csv", delimiter=None).take(1).rows() == [(1.0, "x", 2.0)]


def test_columns_outside_the_schema_are_text_if_nothing_is_to_be_inferred(tail, log):
    write(log, "x,9\n")
    source = tail(log, schema={"b": pl.String}, infer=False)
    assert source.take(9)["a"].to_list() == ["1", "2", "x"]
    assert source.bad_lines == 0


def test_truth_values_may_be_written_as_digits(tail, tmp_path):
    write(tmp_path / "log.csv", "a\n1\n0\ntrue\n2\n")
    source = tail(tmp_path / "log.csv", schema={"a": pl.Boolean})
    assert source.take(9)["a"].to_list() == [True, False, True]
    assert source.bad_lines == 1


def test_a_later_file_of_another_width_is_refused(tail, log):
    source = tail(log)
    source.take(10)
    write(log, "a,b,c\n", "w")
    with pytest.raises(DataError, match="replaced by a file with the columns a, b, c"):
        source.take(10)
