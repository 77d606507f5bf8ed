"""Uploaded files: names, limits, contents."""

import polars as pl
import pytest

from whitecrow.core.errors import DataError, FileFormatError, ParameterError
from whitecrow.dashboard.uploads import UploadLimits, display_name, take_in
from whitecrow.workspace import Workspace

CSV = b"size,service\n1.5,http\n2.5,dns\n"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "space")


@pytest.fixture
def upload(tmp_path, workspace):
    """Return a function that takes in bytes under a client's name."""

    def send(content, name, limits=UploadLimits()):  # noqa: B008 - frozen
        file = tmp_path / "arrived"
        file.write_bytes(content)
        return take_in(workspace, file, name, limits)

    return send


def test_a_csv_file_becomes_a_data_set(upload, workspace):
    record = upload(CSV, "march.csv")
    assert (record.name, record.rows, record.columns, record.source) == ("march.csv", 2, 2, "uploaded: march.csv")
    assert workspace.datasets.table(record.id)["service"].to_list() == ["http", "dns"]


def test_a_parquet_file_becomes_a_data_set(upload, tmp_path):
    file = tmp_path / "t.parquet"
    pl.DataFrame({"a": [1, 2, 3]}).write_parquet(file)
    assert upload(file.read_bytes(), "T.PARQUET").rows == 3


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.csv", "..\\..\\windows\\x.csv", "/abs/x.csv", "a\0b.csv", "\u202efdp.csv"],
)
def test_a_name_is_for_display_alone(name, workspace, upload):
    record = upload(CSV, name)
    assert "/" not in record.name
    assert "\\" not in record.name
    assert record.name.isprintable()
    assert {p.name for p in workspace.folder.parent.iterdir()} <= {"space", "arrived"}


def test_a_name_without_anything_to_show_is_unnamed():
    assert display_name("../..") == "unnamed"


def test_a_long_name_is_cut_before_its_ending(upload):
    record = upload(CSV, "x" * 300 + ".csv")
    assert len(record.name) == 120
    assert record.name.endswith("….csv")


@pytest.mark.parametrize(
    ("content", "name"),
    [(CSV, "march.xlsx"), (CSV, "march"), (CSV, "march.parquet"), (b"PAR1" + CSV, "march.csv"),
     (b"\x1f\x8b" + CSV, "march.csv"), (b"PK\x03\x04" + CSV, "march.csv"), (b"PAR1garbage", "march.parquet")],
)  # fmt: skip
def test_other_contents_are_refused_without_a_trace(content, name, upload, workspace):
    with pytest.raises(FileFormatError) as error:
        upload(content, name)
    assert "/tmp" not in str(error.value)
    assert workspace.datasets.all() == []
    assert list((workspace.folder / "datasets").iterdir()) == []


@pytest.mark.parametrize("limits", [UploadLimits(max_bytes=10), UploadLimits(max_rows=1), UploadLimits(max_columns=1)])
def test_limits_hold(limits, upload, workspace):
    with pytest.raises(DataError, match="at most"):
        upload(CSV, "march.csv", limits)
    assert workspace.datasets.all() == []


def test_a_check_comes_before_reading(upload):
    seen = []

    def refuse(file):
        seen.append(file.suffix)
        raise DataError("A bomb.")

    with pytest.raises(DataError, match="bomb"):
        upload(b"PAR1", "bomb.parquet", UploadLimits(check=refuse))
    assert seen == [".parquet"]


def test_a_limit_below_one_is_an_error():
    with pytest.raises(ParameterError, match="max_rows"):
        UploadLimits(max_rows=0)
