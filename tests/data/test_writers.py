"""Writers: every format comes back as it was, and a file appears whole or not at all."""

import gzip
import json
import os
import stat

import polars as pl
import pytest

from whitecrow.core.errors import DataError, FileFormatError
from whitecrow.core.files import atomic_write, write_bytes
from whitecrow.data import TableWriter, read_table, writers

BATCHES = [
    pl.DataFrame({"id": range(k, k + 40), "name": [f'a,"{k}\n' if i % 7 else None for i in range(40)]})
    for k in (0, 40, 80)
]


def everything_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("part_rows", [30, 10_000])
@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz", "T.CSV"])
def test_batches_come_back_as_one_table_in_order(tmp_path, monkeypatch, name, part_rows):
    monkeypatch.setattr(writers, "_PART_ROWS", part_rows)
    with TableWriter(tmp_path / name) as writer:
        for batch in BATCHES:
            writer.write(batch)
        assert name not in everything_in(tmp_path)
    assert everything_in(tmp_path) == [name]
    assert read_table(tmp_path / name).equals(pl.concat(BATCHES))


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson"])
def test_json_lines_hold_one_object_per_row(tmp_path, name):
    with TableWriter(tmp_path / name) as writer:
        for batch in BATCHES:
            writer.write(batch)
    rows = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
    assert rows == pl.concat(BATCHES).to_dicts()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz", "t.jsonl"])
def test_nothing_is_left_and_the_old_file_stays_after_an_error(tmp_path, monkeypatch, name, error):
    monkeypatch.setattr(writers, "_PART_ROWS", 30)
    (tmp_path / name).write_text("old")

    def interrupted():
        with TableWriter(tmp_path / name) as writer:
            writer.write(BATCHES[0])
            raise error

    with pytest.raises(error):
        interrupted()
    assert everything_in(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "old"


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_a_table_without_rows_keeps_its_columns(tmp_path, name):
    with TableWriter(tmp_path / name) as writer:
        writer.write(BATCHES[0].clear())
    assert read_table(tmp_path / name).columns == ["id", "name"]


def test_a_block_without_a_batch_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="no batch was written"), TableWriter(tmp_path / "t.parquet"):
        pass
    assert everything_in(tmp_path) == []


def test_batches_must_agree(tmp_path):
    def disagreeing():
        with TableWriter(tmp_path / "t.csv") as writer:
            writer.write(pl.DataFrame({"a": [1]}))
            writer.write(pl.DataFrame({"a": ["x"]}))

    with pytest.raises(DataError, match="same columns and types"):
        disagreeing()
    assert everything_in(tmp_path) == []


def test_columns_that_a_format_cannot_hold_are_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"t\.csv"), TableWriter(tmp_path / "t.csv") as writer:
        writer.write(pl.DataFrame({"a": [[1, 2]]}))


def test_an_unknown_suffix_a_missing_folder_and_a_closed_writer_are_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"\.parquet, \.csv"):
        TableWriter(tmp_path / "t.xlsx")
    with pytest.raises(FileNotFoundError, match="Create it first"), TableWriter(tmp_path / "no" / "t.csv"):
        pass
    with pytest.raises(DataError, match="outside of the 'with' block"):
        TableWriter(tmp_path / "t.csv").write(BATCHES[0])


def test_the_same_rows_give_the_same_gzip_bytes(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        with TableWriter(tmp_path / name) as writer:
            writer.write(BATCHES[0])
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).startswith(b"id,name\n0,\n")


def test_write_bytes_replaces_a_file_and_follows_links(tmp_path):
    write_bytes(tmp_path / "f", b"one")
    (tmp_path / "link").symlink_to(tmp_path / "f")
    write_bytes(tmp_path / "link", "zwö")
    assert (tmp_path / "f").read_bytes() == "zwö".encode()
    assert (tmp_path / "link").is_symlink()
    assert everything_in(tmp_path) == ["f", "link"]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    write_bytes(tmp_path / "f", b"")
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_folders_and_devices_are_never_replaced(tmp_path):
    for target in (tmp_path, os.devnull):
        with pytest.raises(DataError, match="not a regular file"):
            write_bytes(target, b"x")


def test_the_draft_lies_beside_the_file_and_goes_after_an_error(tmp_path):
    drafts = []

    def failing():
        with atomic_write(tmp_path / "f") as draft:
            drafts.append(draft)
            draft.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert drafts[0].parent == tmp_path
    assert everything_in(tmp_path) == []
