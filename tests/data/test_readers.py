"""Readers: formats, types, batches and what is wrong with a file."""

import csv
import gzip
import io
import os
import random
import warnings
from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whitecrow.core.errors import DataError, FileFormatError, WhitecrowError, WhitecrowWarning
from whitecrow.data import delimited, iter_batches, read_table

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
KDD = DATA / "intrusion" / "kddcup.data_10_percent.gz"

needs_kdd = pytest.mark.skipif(not KDD.exists(), reason="the KDD Cup 99 file is not here")


@pytest.fixture
def write(tmp_path):
    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# ---- types and layout ----


def test_columns_get_the_narrowest_type_that_every_cell_fits(write):
    table = read_table(
        write(
            "i,f,b,d,t,c,s\n"
            "1,1,true,2026-01-31,2026-01-31 10:00:00,23:59:59,a\n"
            "-2,0.5,FALSE,2026-02-01,2026-02-01T10:00:00.5,00:00,1\n"
        )
    )
    assert table.dtypes == [pl.Int64, pl.Float64, pl.Boolean, pl.Date, pl.Datetime("us"), pl.Time, pl.String]
    assert table.row(1) == (
        -2,
        0.5,
        False,
        date(2026, 2, 1),
        datetime(2026, 2, 1, 10, 0, 0, 500_000),
        time(0, 0),
        "1",
    )


def test_a_time_with_an_offset_is_moved_to_utc(write):
    assert read_table(write("t\n2026-01-31T10:00:00+02:00\n"))["t"].to_list() == [datetime(2026, 1, 31, 8)]


def test_missing_words_are_missing_in_typed_columns_and_text_in_text_columns(write):
    table = read_table(write("n,s\n1,NA\n?,?\nNA,x\n,\n2.5,-\nNaN,y\n"))
    assert table["n"].to_list() == [1.0, None, None, None, 2.5, None]
    assert table["s"].to_list() == ["NA", "?", "x", None, "-", "y"]


def test_whole_numbers_with_missing_cells_stay_whole(write):
    assert read_table(write("n,m\n1,2\nNA,3\n5,\n"))["n"].to_list() == [1, None, 5]


def test_a_column_without_a_value_is_text(write):
    assert read_table(write("a,b\n1,\n2,\n")).schema == {"a": pl.Int64, "b": pl.String}


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_separators_are_found(write, mark):
    table = read_table(write(f"a{mark}b\n1{mark}x y\n2{mark}z\n"))
    assert table.rows() == [(1, "x y"), (2, "z")]
    assert table.columns == ["a", "b"]


def test_quoted_cells_may_hold_separators_line_ends_and_quotes(write):
    table = read_table(write('a,b\n1,"x, y"\n2,"two\n\nlines"\n3,"say ""hi"""\n'))
    assert table["b"].to_list() == ["x, y", "two\n\nlines", 'say "hi"']


def test_quotes_inside_plain_cells_are_characters(write):
    assert read_table(write('size,n\n5" pipe,1\n6" pipe,2\n'))["size"].to_list() == ['5" pipe', '6" pipe']


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,x\n2,y\n",
        "\ufeffa,b\n1,x\n2,y\n",
        "a,b\r\n1,x\r\n2,y\r\n",
        "a,b\r1,x\r2,y\r",
        "a,b\n1,x\n2,y",
        "\n\na,b\n\n1,x\n\n\n2,y\n\n\n",
        "a,b\r\n1,x\r\n\r\n2,y\r\n\r\n",
        " a , b \n1,x\n2,y\n",
    ],
)
def test_marks_line_ends_and_blank_lines_change_nothing(write, content):
    table = read_table(write(content))
    assert (table.columns, table.rows()) == (["a", "b"], [(1, "x"), (2, "y")])


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("1,x\n2,y\n", ["column_1", "column_2"]),
        ("n,x\n2,y\n", ["n", "x"]),
        ("name,town\nann,rome\nbob,oslo\n", ["name", "town"]),
        ("ann,rome\nbob,oslo\nann,kyiv\n", ["column_1", "column_2"]),
        ("when,what\n2026-01-01,x\n", ["when", "what"]),
        ("2026-01-01,x\n2026-01-02,y\n", ["column_1", "column_2"]),
        ("?,x,1\n2,y,2\n", ["column_1", "column_2", "column_3"]),
        ("a,b\n", ["a", "b"]),
        (",b\n0,1\n", ["column_1", "b"]),
        ("value\n1\n2\n", ["value"]),
        ("1\n2\n", ["column_1"]),
    ],
)
def test_a_header_is_told_from_data(write, content, names):
    assert read_table(write(content)).columns == names


def test_a_header_alone_is_a_table_without_rows(write):
    path = write("a,b\n")
    assert read_table(path).shape == (0, 2)
    assert [batch.shape for batch in iter_batches(path)] == [(0, 2)]


def test_repeated_column_names_get_suffixes_and_a_warning(write):
    with pytest.warns(WhitecrowWarning, match="more than once: a"):
        table = read_table(write("a,a,a_2,a\n1,2,3,4\n"))
    assert table.columns == ["a", "a_3", "a_2", "a_4"]


def test_a_type_that_only_a_late_cell_needs_holds_for_the_whole_file(write, monkeypatch):
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 64)
    monkeypatch.setattr(delimited, "SAMPLE_BYTES", 64)
    path = write("n,s,e\n" + "1,2,\n" * 100 + "0.5,x,7\n")
    table = read_table(path)
    assert table.schema == {"n": pl.Float64, "s": pl.String, "e": pl.Int64}
    assert table["s"].to_list() == ["2"] * 100 + ["x"]
    assert all(batch.schema == table.schema for batch in iter_batches(path, batch_rows=10))


def test_latin_1_lines_are_read_with_a_warning(write):
    path = write(b"name,n\ncaf\xe9,1\n" + "naïve,2\n".encode())
    with pytest.warns(WhitecrowWarning, match="not UTF-8"):
        assert read_table(path)["name"].to_list() == ["café", "naïve"]


def test_columns_and_n_rows_choose(write):
    path = write("a,b,c\n1,2,3\n4,5,6\n7,8,9\n")
    assert read_table(path, columns=["c", "a"], n_rows=2).rows() == [(3, 1), (6, 4)]
    with pytest.raises(DataError, match=r"no column 'z'.*a, b, c"):
        read_table(path, columns=["z"])


# ---- batches ----


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_are_the_table_in_pieces(tmp_path, monkeypatch, data):
    cell = st.one_of(
        st.integers(-(10**6), 10**6).map(str),
        st.floats(allow_nan=False).map(repr),
        st.text(st.sampled_from('ab ,"\n;é'), max_size=6).map("w".__add__),
    )
    rows = data.draw(st.lists(st.tuples(cell, cell, st.just("end")), min_size=2, max_size=30))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("first", "second", "third"), *rows])
    path = tmp_path / "table.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", data.draw(st.integers(1, 40)))
    whole = read_table(path)
    size = data.draw(st.integers(1, 12))
    batches = list(iter_batches(path, batch_rows=size))
    assert [batch.height for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert all(batch.schema == whole.schema for batch in batches)
    assert pl.concat(batches).equals(whole)
    for name, k in (("first", 0), ("second", 1)):
        cells = [row[k] for row in rows]
        if whole[name].dtype == pl.String:
            assert whole[name].to_list() == cells
        else:
            assert [float(value) for value in whole[name]] == [float(c) for c in cells]


def test_a_schema_overrides_what_the_cells_look_like(write):
    path = write("a,b,c\n1,2,x\n3,4,y\n")
    types = {"a": pl.String, "b": pl.Float32, "absent": pl.Int8}
    (batch,) = iter_batches(path, schema=types)
    assert batch.schema == {"a": pl.String, "b": pl.Float32, "c": pl.String}
    assert batch.rows() == [("1", 2.0, "x"), ("3", 4.0, "y")]


def test_a_cell_that_does_not_fit_the_schema_is_named(write):
    path = write("a,b\n1,2\noops,4\n")
    with pytest.raises(FileFormatError, match=r"'a' must hold Int64.*'oops'"):
        list(iter_batches(path, schema={"a": pl.Int64, "b": pl.Int64}))


def test_batch_rows_below_one_is_refused(write):
    with pytest.raises(DataError, match="at least 1"):
        iter_batches(write("a\n1\n"), batch_rows=0)


# ---- what is wrong with a file ----


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n \n", "is empty"),
        (bytes(range(256)) * 4, "not text"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b'[{"a": 1}]', "JSON"),
        (b"<html></html>", "HTML"),
        (b"a,b\n1,2\n3\n4,5\n", r"line 3: this row has 1 cells, but the first has 2"),
        (b"a,b\n1,2\n\n3,4,5\n", r"line 4: this row has 3 cells"),
        (b'a,b\n1,"x\ny"\n3\n', r"line 4: this row has 1 cells"),
        (b"a,b\n1,2\n3,4\n5", r"line 4: this row has 1 cells"),
        (b'a,b\n1,"x\n3,4\n', "line 2"),
        (b"a,b\n1,2\n3,\x004\n", "zero byte|not text"),
        (gzip.compress(b"a,b\n" + random.Random(0).randbytes(9000).hex().encode(), mtime=0)[:-900], "truncated gzip"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-12] + b"damage-damage", "truncated gzip"),
        (b"\x1f\x8b\x08", "truncated gzip"),
        (gzip.compress(b"PAR1" + b"x" * 99, mtime=0), "gunzip"),
        (b"PAR1" + b"garbage" * 20, "damaged Parquet"),
        (b"PK\x03\x04 an office file", "ZIP archive"),
        (b"MATLAB 7.3 MAT-file", "7.3"),
        (b"\x89HDF\r\n\x1a\n", "7.3"),
        (b"\x93NUMPY\x01\x00garbage", "cannot be read"),
    ],
)
def test_damaged_and_foreign_files_are_named_in_a_clear_error(write, content, said):
    path = write(content, "file.data")
    with pytest.raises(FileFormatError, match=said) as caught:
        read_table(path)
    assert "file.data" in str(caught.value)
    with pytest.raises(FileFormatError, match=said):
        list(iter_batches(path))


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".npy", ".mat"])
def test_a_name_that_promises_another_format_is_refused(write, suffix):
    with pytest.raises(FileFormatError, match="is named like"):
        read_table(write("a,b\n1,2\n", f"file{suffix}"))


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(FileFormatError, match="is a folder"):
        read_table(tmp_path)


@given(content=st.binary(max_size=300), name=st.sampled_from(["f.csv", "f.gz", "f.arff"]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_table_or_an_error_of_ours(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WhitecrowWarning)
        try:
            table = read_table(path)
        except WhitecrowError:
            return
        assert pl.concat(list(iter_batches(path))).equals(table)


# ---- the other formats ----


def test_parquet_comes_back_as_it_was_also_in_batches(tmp_path):
    table = pl.DataFrame({"a": range(1000), "s": [str(k) for k in range(1000)]})
    table.write_parquet(tmp_path / "t.parquet", row_group_size=300)
    assert read_table(tmp_path / "t.parquet").equals(table)
    assert read_table(tmp_path / "t.parquet", columns=["s"], n_rows=3).rows() == [("0",), ("1",), ("2",)]
    batches = list(iter_batches(tmp_path / "t.parquet", batch_rows=128, schema={"a": pl.Float64}))
    assert [batch.height for batch in batches] == [128] * 7 + [104]
    assert pl.concat(batches).equals(table.cast({"a": pl.Float64}))


def test_npz_and_npy_become_numbered_columns(tmp_path):
    X, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 0])
    np.savez(tmp_path / "t.npz", X=X, y=y)
    np.save(tmp_path / "t.npy", X.astype(">f4"))
    table = read_table(tmp_path / "t.npz")
    assert table.columns == ["x0", "x1", "y"]
    assert table.rows() == [(0, 1, 0), (2, 3, 1), (4, 5, 0)]
    assert np.array_equal(read_table(tmp_path / "t.npy").to_numpy(), X)
    assert [batch.height for batch in iter_batches(tmp_path / "t.npz", batch_rows=2)] == [2, 1]


def test_pickled_arrays_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "t.npz", X=np.array([[Trap()]], dtype=object))
    np.save(tmp_path / "t.npy", np.array([[Trap()]], dtype=object))
    for name in ("t.npz", "t.npy"):
        with pytest.raises(FileFormatError, match="cannot be read"):
            read_table(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_npz_without_x_or_with_other_lengths_is_refused(tmp_path):
    np.savez(tmp_path / "t.npz", data=np.eye(2))
    with pytest.raises(FileFormatError, match="'data', but no array named 'X'"):
        read_table(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", X=np.eye(2), y=np.zeros(3))
    with pytest.raises(FileFormatError, match="y has 3 values, but X has 2 rows"):
        read_table(tmp_path / "t.npz")


def test_mat_files_hold_numbers_only(tmp_path):
    X = np.random.default_rng(0).normal(size=(5, 3))
    scipy.io.savemat(tmp_path / "t.mat", {"X": X, "y": np.ones((5, 1))})
    table = read_table(tmp_path / "t.mat")
    assert np.array_equal(table.select("x0", "x1", "x2").to_numpy(), X)
    assert table["y"].to_list() == [1.0] * 5
    scipy.io.savemat(tmp_path / "t.mat", {"X": {"a": 1}})
    with pytest.raises(FileFormatError, match="X is struct"):
        read_table(tmp_path / "t.mat")


@pytest.mark.parametrize("name", ["t.mat", "t.npz", "t.parquet"])
def test_damaged_binary_files_give_a_file_format_error(tmp_path, name, capfd):
    path = tmp_path / name
    X = np.random.default_rng(0).normal(size=(50, 3))
    if name == "t.mat":
        scipy.io.savemat(path, {"X": X}, do_compression=True)
    elif name == "t.npz":
        np.savez_compressed(path, X=X)
    else:
        pl.DataFrame(X).write_parquet(path)
    whole = path.read_bytes()
    rng = random.Random(1)
    for _ in range(40):
        damaged = bytearray(whole[: rng.randrange(4, len(whole))] if rng.random() < 0.5 else whole)
        for _ in range(5):
            damaged[rng.randrange(4, len(damaged)) if len(damaged) > 4 else 0] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            read_table(path)
        except FileFormatError:
            continue
    capfd.readouterr()


def test_arff_nominal_attributes_are_text_and_question_marks_missing(write):
    path = write(
        "% a comment\n@RELATION flows\n\n@attribute 'the size' numeric\n@ATTRIBUTE flag {S0, 'S F', 1}\n"
        "@attribute when date 'yyyy-MM-dd'\n@data\n% another\n"
        "1.5, S0, 2026-01-31\n?, 'S F', ?\n2, ?, 2026-02-01\n",
        "flows.arff",
    )
    table = read_table(path)
    assert table.schema == {"the size": pl.Float64, "flag": pl.String, "when": pl.Date}
    assert table["the size"].to_list() == [1.5, None, 2.0]
    assert table["flag"].to_list() == ["S0", "S F", None]
    assert table["when"].null_count() == 1


def test_arff_that_is_sparse_or_cut_short_is_refused(write):
    with pytest.raises(FileFormatError, match="sparse"):
        read_table(write("@relation r\n@attribute a numeric\n@data\n{0 1}\n", "a.arff"))
    with pytest.raises(FileFormatError, match="without an @data"):
        read_table(write("@relation r\n@attribute a numeric\n", "b.arff"))


# ---- real files ----


@needs_kdd
def test_the_kdd_file_is_read_right():
    head = read_table(KDD, n_rows=1000)
    assert head.shape == (1000, 42)
    text = [k for k, dtype in enumerate(head.dtypes) if dtype == pl.String]
    assert text == [1, 2, 3, 41]
    with gzip.open(KDD, "rt") as stream:
        expected = [next(stream).rstrip("\n").split(",") for _ in range(1000)]
    for k, column in enumerate(head):
        cells = [row[k] for row in expected]
        assert column.to_list() == (cells if k in text else [float(cell) for cell in cells])


@needs_kdd
@pytest.mark.slow
def test_the_whole_kdd_file_has_its_known_rows():
    table = read_table(KDD)
    assert table.shape == (494_021, 42)
    assert (table["column_42"] == "normal.").sum() == 97_278
    assert table.select(pl.all().null_count()).row(0) == (0,) * 42


@pytest.mark.skipif(not (DATA / "odds" / "arrhythmia.mat").exists(), reason="the Arrhythmia file is not here")
def test_the_arrhythmia_file_is_read_right():
    table = read_table(DATA / "odds" / "arrhythmia.mat")
    assert table.shape == (452, 275)
    assert table["y"].sum() == 66
