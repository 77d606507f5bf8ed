import re
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from whitecrow.core import registry
from whitecrow.core.errors import DataError, FileFormatError, ParameterError
from whitecrow.io import load, part_folder, score_batch
from whitecrow.io.part_folder import missing_parts, verify_parts, write_here
from whitecrow.io.parts import plan_parts, scan_parquet, write_part

# What a shell, a glob, a URL and a format string would each read otherwise.
HOSTILE = [
    "a [1-3].parquet",
    "b *?.parquet",
    "c %20{0}.parquet",
    "d 'q\"; $(x).PARQUET",
    "e\nüñ🐦.parquet",
    "f=1.parquet",
]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return pl.DataFrame({"row": np.arange(2000), "a": rng.normal(size=2000), "b": rng.normal(size=2000)})


@pytest.fixture(scope="module")
def model(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    registry.load("pca")(random_state=0).fit(table.select("a", "b")).save(path)
    return path


def write(table, path):
    with path.open("wb") as stream:
        table.write_parquet(stream)


@pytest.fixture
def source(table, tmp_path):
    """Return a folder of six files with names that programs stumble over."""
    folder = tmp_path / "in [x]"
    folder.mkdir()
    for name, piece in zip(HOSTILE, table.iter_slices(350), strict=True):
        write(piece, folder / name)
    return folder


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out {0}*"
    folder.mkdir()
    return folder


@pytest.fixture
def parts(source, model, out):
    return plan_parts(source, model, out, part_rows=100)


def result(parts):
    return pl.concat([scan_parquet(part.path).collect() for part in parts])


def test_parts_hold_every_row_once_and_in_order(parts, table, model, out):
    assert len(parts) == 5 * 4 + 3
    assert sum(written.rows for _, written in write_here(parts)) == table.height
    assert result(parts).equals(score_batch(table, model))
    assert [part.path for part in parts] == sorted(out.iterdir())


def test_the_count_is_of_the_rows_that_are_there(parts, table, model):
    list(write_here(parts))
    assert verify_parts(parts)[:2] == (table.height, score_batch(table, model)["is_anomaly"].sum())


def test_a_folder_of_parts_is_read_by_its_name(table, model, tmp_path):
    write(table, tmp_path / "t.parquet")
    list(write_here(plan_parts(tmp_path / "t.parquet", model, tmp_path / "out", part_rows=333)))
    assert pl.read_parquet(tmp_path / "out").equals(score_batch(table, model))


def test_a_part_written_twice_has_the_same_bytes(parts):
    write_part(parts[3])
    first = parts[3].path.read_bytes()
    write_part(parts[3])
    assert parts[3].path.read_bytes() == first


def test_what_is_there_is_not_done_again(parts):
    for part in parts[::2]:
        write_part(part)
    assert missing_parts(parts) == parts[1::2]


def test_a_damaged_or_shorter_part_is_done_again(parts):
    list(write_here(parts))
    parts[1].path.write_bytes(parts[1].path.read_bytes()[:-20])
    parts[4].path.write_bytes(b"")
    shutil.copy(parts[7].path, parts[5].path)
    assert missing_parts(parts) == [parts[1], parts[4], parts[5]]
    with pytest.raises(DataError, match=re.escape(parts[1].path.name)):
        verify_parts(parts)


def test_what_a_killed_process_left_is_no_obstacle_and_is_removed_in_the_end(parts):
    draft = parts[0].path.with_name(f".{parts[0].path.name}.0123456789abcdef.part")
    draft.write_bytes(b"half")
    assert missing_parts(parts) == parts
    list(write_here(parts))
    verify_parts(parts)
    assert not draft.exists()


def test_parts_of_another_model_prefix_or_input_are_never_mixed_in(parts, source, model, table, out, tmp_path):
    write_part(parts[0])
    other = tmp_path / "other"
    load(model).set_threshold(1.0).save(other)
    with pytest.raises(DataError, match="another model"):
        missing_parts(plan_parts(source, other, out, part_rows=100))
    with pytest.raises(DataError, match="another prefix"):
        missing_parts(plan_parts(source, model, out, "x_", part_rows=100))
    with pytest.raises(DataError, match="another version of whitecrow"):
        missing_parts([replace(part, whitecrow="0.0.1") for part in parts])
    write(table.head(350).reverse(), source / HOSTILE[0])
    with pytest.raises(DataError, match="another input, or of the input as it was"):
        missing_parts(plan_parts(source, model, out, part_rows=100))


@pytest.mark.parametrize("name", ["notes.txt", "part-000000.parquet", ".hidden", "folder"])
def test_a_folder_with_something_else_in_it_is_left_alone(parts, name, out):
    entry = out / name
    entry.mkdir() if name == "folder" else entry.write_text("mine")
    with pytest.raises(DataError, match=re.escape(repr(name)) + ".*no part of these scores.*new or empty folder"):
        missing_parts(parts)
    assert entry.exists()


def test_a_stop_leaves_whole_parts_only_and_the_rest_is_done_later(parts, table, model, monkeypatch):
    def stops(part):
        if part.number == 5:
            raise KeyboardInterrupt
        return write_part(part)

    monkeypatch.setattr(part_folder, "write_part", stops)
    with pytest.raises(KeyboardInterrupt):
        list(write_here(parts))
    monkeypatch.undo()
    assert missing_parts(parts) == parts[5:]
    list(write_here(missing_parts(parts)))
    assert result(parts).equals(score_batch(table, model))


def test_a_file_without_rows_is_one_part_without_rows(table, model, out, tmp_path):
    write(table.head(0), tmp_path / "none.parquet")
    (part,) = plan_parts(tmp_path / "none.parquet", model, out)
    assert write_part(part).rows == 0
    assert verify_parts([part])[:2] == (0, 0)
    assert result([part]).schema["score"] == pl.Float64


def test_warnings_of_a_part_come_back_as_notes(table, model, out, tmp_path):
    write(table.with_columns(b=pl.lit(None, pl.Float64)), tmp_path / "holes.parquet")
    (part,) = plan_parts(tmp_path / "holes.parquet", model, out)
    (note,) = write_part(part).notes
    assert "'b'" in note


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("b"), "'b' is absent, but Float64 in a [1-3].parquet"),
        (lambda t: t.with_columns(c=1), "'c' is Int32, but absent"),
        (lambda t: t.with_columns(pl.col("a").cast(pl.Float32)), "'a' is Float32, but Float64"),
        (lambda t: t.select("b", "a", "row"), "another order"),
    ],
)
def test_files_that_differ_in_their_columns_are_named(source, model, table, tmp_path, change, message, out):
    write(change(table), source / HOSTILE[3])
    with pytest.raises(DataError, match=re.escape(HOSTILE[3]) + ".*" + re.escape(message)):
        plan_parts(source, model, out)


def test_a_missing_column_or_a_name_that_is_taken_is_found_before_any_work(table, model, tmp_path, out):
    write(table.drop("b"), tmp_path / "short.parquet")
    with pytest.raises(DataError, match=r"short.parquet: .*no column 'b'"):
        plan_parts(tmp_path / "short.parquet", model, out)
    write(table.with_columns(score=1), tmp_path / "scored.parquet")
    with pytest.raises(ParameterError, match=r"scored.parquet: .*'score' already"):
        plan_parts(tmp_path / "scored.parquet", model, out)


def test_rows_that_cannot_be_scored_are_named(table, model, out, tmp_path):
    text = table.with_columns(pl.col("a").cast(pl.String))
    text[1500, "a"] = "unknown"
    write(text, tmp_path / "text.parquet")
    parts = plan_parts(tmp_path / "text.parquet", model, out, part_rows=1000)
    write_part(parts[0])
    with pytest.raises(DataError, match=r"text.parquet, rows 1,001 to 2,000: .*'a'"):
        write_part(parts[1])
    assert list(out.iterdir()) == [parts[0].path]


def test_what_is_not_parquet_is_refused_by_name(source, model, tmp_path, out):
    (source / HOSTILE[2]).write_text("a,b\n1,2\n")
    with pytest.raises(FileFormatError, match=re.escape(HOSTILE[2]) + " is no Parquet file"):
        plan_parts(source, model, out)


def test_folders_in_a_folder_and_folders_without_parquet_are_refused(source, model, tmp_path, out):
    (source / "more").mkdir()
    with pytest.raises(DataError, match="holds the folder 'more'"):
        plan_parts(source, model, out)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no Parquet files"):
        plan_parts(tmp_path / "none", model, out)


def test_what_other_programs_hide_in_a_folder_is_passed_over(source, model, tmp_path, parts, out):
    for name in ("_SUCCESS", ".part-0.crc", "_metadata.parquet", "read me.txt"):
        (source / name).write_text("x")
    assert plan_parts(source, model, out, part_rows=100) == parts


def test_a_worker_that_sees_other_files_says_on_which_machine(parts, model, tmp_path):
    part = parts[0]
    for field in ("source", "model", "folder"):
        with pytest.raises(FileNotFoundError, match=r"elsewhere.* does not exist on .*shared file system"):
            write_part(replace(part, **{field: str(tmp_path / "elsewhere")}))
    with pytest.raises(DataError, match="another size on"):
        write_part(replace(part, source_bytes=1))
    with pytest.raises(DataError, match="another model on"):
        write_part(replace(part, model_checksum="0" * 32))


def test_a_file_that_loses_rows_meanwhile_is_noticed(parts):
    with pytest.raises(DataError, match="only 50 rows are there"):
        write_part(replace(parts[0], first=300))
