"""Data sets of a workspace: there whole or not at all, and read as their settings say."""

import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.workspace.conftest import small_table

from whitecrow.core.errors import DataError, FileFormatError, ParameterError, UnknownNameError
from whitecrow.workspace import DatasetSettings, FitRequest, Workspace


def test_a_table_comes_back_as_it_was(workspace):
    table = small_table()
    record = workspace.datasets.add(table, "  My\n traffic ", settings=DatasetSettings(label="label"), source="a file")
    assert (record.name, record.rows, record.columns, record.source) == ("My traffic", 300, 5, "a file")
    assert_frame_equal(workspace.datasets.table(record.id), table)
    assert Workspace(workspace.folder).datasets.get(record.id) == record


def test_a_file_is_read_by_its_content(workspace, tmp_path):
    small_table().write_csv(tmp_path / "rows.csv")
    record = workspace.datasets.add(tmp_path / "rows.csv", "rows")
    assert workspace.datasets.table(record.id)["size"].dtype == pl.Float64
    assert [column["name"] for column in record.profile] == ["at", "size", "rate", "service", "label"]


def test_labels_are_counted_and_a_missing_one_is_not_normal(workspace):
    table = small_table().with_columns(label=pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise("label"))
    record = workspace.datasets.add(table, "rows", settings=DatasetSettings(label="label"))
    assert record.labels is not None
    assert record.labels["unlabelled_rows"] == 7
    rows, labels = workspace.datasets.rows(record.id)
    assert "label" not in rows.columns
    assert labels is not None
    assert (labels.y[:7] == -1).all()


def test_ignored_columns_are_hidden_from_detectors_only(workspace):
    record = workspace.datasets.add(small_table(), "rows", settings=DatasetSettings(ignore=("at", "service")))
    assert workspace.datasets.rows(record.id)[0].columns == ["size", "rate", "label"]
    assert "service" in workspace.datasets.table(record.id).columns


def test_rows_are_read_in_the_order_of_the_time_column(workspace):
    table = small_table()
    record = workspace.datasets.add(table.reverse(), "rows", settings=DatasetSettings(time="at"))
    assert_frame_equal(workspace.datasets.table(record.id), table)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "x", "3"], "number", [1.0, None, 3.0]),
        ([80, 443, 80], "category", ["80", "443", "80"]),
        (["yes", "0", "maybe"], "boolean", [True, False, None]),
        (["2026-01-02", "2026-01-03", "?"], "date", [None]),
        (["a", "b", "c"], "date", [None, None, None]),
    ],
)
def test_the_type_of_a_column_can_be_corrected(workspace, values, kind, expected):
    table = pl.DataFrame({"a": values, "b": [1.0, 2.0, 3.0]})
    record = workspace.datasets.add(table, "rows")
    changed = workspace.datasets.change(record.id, settings=DatasetSettings(types={"a": kind}))
    found = workspace.datasets.table(record.id)["a"].to_list()
    if kind == "date":
        assert found[-1:] == expected[-1:]
    else:
        assert found == expected
    assert workspace.datasets.get(record.id) == changed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DatasetSettings(label="lable"), "no column 'lable'"),
        (DatasetSettings(ignore=("at", "size", "rate", "service", "label")), "no column to learn from"),
        (DatasetSettings(time="service"), "times or numbers are needed"),
        (DatasetSettings(types={"size": "text"}), "accepted are number, category, date, boolean"),  # pyright: ignore
        (DatasetSettings(label="label", normal=("calm",)), "no such value"),
    ],
)
def test_settings_that_do_not_fit_the_table_are_refused(workspace, settings, message):
    with pytest.raises(ParameterError, match=message):
        workspace.datasets.add(small_table(), "rows", settings=settings)
    assert workspace.datasets.all() == []
    assert list((workspace.folder / "datasets").iterdir()) == []


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (pl.DataFrame({"a": []}), DataError, "0 rows"),
        (pl.DataFrame({"a": [[1, 2], [3]]}), DataError, "lists or structures"),
    ],
)
def test_tables_that_are_none_are_refused(workspace, data, error, message):
    with pytest.raises(error, match=message):
        workspace.datasets.add(data, "rows")


def test_a_damaged_file_is_refused(workspace, tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(FileFormatError):
        workspace.datasets.add(tmp_path / "rows.parquet", "rows")
    assert workspace.datasets.all() == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_name_has_1_to_200_characters(workspace, name):
    with pytest.raises(ParameterError, match="1 to 200"):
        workspace.datasets.add(small_table(), name)


def test_a_data_set_is_removed_once_no_run_needs_it(workspace):
    record = workspace.datasets.add(small_table(), "rows", settings=DatasetSettings(label="label"))
    run = workspace.jobs.submit(FitRequest(record.id, "pca"))
    with pytest.raises(DataError, match="1 run was fitted"):
        workspace.datasets.remove(record.id)
    workspace.jobs.cancel(run.id)
    workspace.runs.remove(run.id)
    workspace.datasets.remove(record.id)
    with pytest.raises(UnknownNameError):
        workspace.datasets.get(record.id)
    assert list((workspace.folder / "datasets").iterdir()) == []


def test_what_a_killed_process_left_behind_is_not_shown_and_is_removed(workspace):
    """The process is killed while it is about to show its data set."""
    code = (
        "import sys, time, polars as pl\n"
        "from whitecrow.workspace import Workspace, datasets\n"
        "space = Workspace(sys.argv[1])\n"
        "datasets._sha256 = lambda path: (print('written', flush=True), time.sleep(60))\n"
        "space.datasets.add(pl.DataFrame({'a': [1.0, 2.0]}), 'rows')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(workspace.folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "written\n"
        workspace.datasets.tidy()
        assert len(list((workspace.folder / "datasets").iterdir())) == 1  # its process lives
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert workspace.datasets.all() == []
    time.sleep(0.01)
    workspace.datasets.tidy()
    assert list((workspace.folder / "datasets").iterdir()) == []
