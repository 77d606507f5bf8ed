"""Uploads become whole files of our naming, or nothing."""

import asyncio
import gzip
from pathlib import Path

import pytest

from whitecrow.server.errors import BodyTooLargeError, MediaTypeError, RequestError
from whitecrow.server.uploads import display_name, receive_upload


class Sent:
    """A file as a browser sends it."""

    def __init__(self, filename, data, pause=None):
        self.filename, self._data, self._pause = filename, data, pause

    async def read(self, size=-1):
        part, self._data = self._data[:1000], self._data[1000:]
        if self._pause and not self._data:
            await asyncio.sleep(self._pause)
        return part


def receive(source, folder, **options):
    async def run():
        async with receive_upload(source, folder, max_bytes=10_000, **options) as upload:
            return upload, upload.path.read_bytes(), list(folder.iterdir())

    return asyncio.run(run())


def test_a_file_arrives_whole_and_is_gone_after_its_block(tmp_path):
    data = b"a,b\n" + b"1,2\n" * 1500
    upload, content, seen = receive(Sent("flows.CSV", data), tmp_path)
    assert (upload.label, upload.kind, upload.size) == ("flows.CSV", "csv", len(data))
    assert content == data
    assert seen == [upload.path]
    assert list(tmp_path.iterdir()) == []


def test_who_keeps_a_file_moves_it_away(tmp_path):
    async def run():
        async with receive_upload(Sent("a.csv", b"a\n1\n"), tmp_path, max_bytes=100) as upload:
            upload.path.rename(tmp_path / "kept")

    asyncio.run(run())
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd.csv",
        "..\\..\\boot.csv",
        "/etc/cron.d/x.csv",
        "C:\\x.csv",
        "x\0.csv",
        "~/.ssh/a.csv",
        "a" * 5000 + ".csv",
        "<img src=x onerror=alert(1)>.csv",
        "con.csv",
        "%2e%2e%2fx.csv",
        "\u202evsc.exe.csv",
        "\ud800.csv",
    ],
)
def test_a_name_is_never_part_of_a_path(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    upload, _, _ = receive(Sent(name, b"a\n1\n"), folder)
    assert upload.path.parent == folder
    assert upload.path.name.startswith("upload-")
    assert upload.path.name.isascii()
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert len(upload.label) <= 120
    assert not set(upload.label) & set("/\\<>\0\u202e")


def test_names_are_shown_as_their_last_part():
    assert display_name("C:\\Users\\me\\flows of May.csv") == "flows of May.csv"
    assert display_name("../x/..") == display_name("") == display_name(None) == "unnamed"
    assert display_name("naïve 数据.csv") == "naïve 数据.csv"
    assert display_name("a\r\nSet-Cookie: b.csv") == "aSet-Cookie_ b.csv"
    assert Path(display_name("a/b\\c.parquet")).suffix == ".parquet"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.parquet", b"a,b\n1,2\n"),
        ("a.csv", b"PAR1...."),
        ("a.csv", b"PK\x03\x04...."),
        ("a.csv.gz", b"a\n1\n"),
        ("a.csv", gzip.compress(b"a", mtime=0)),
        ("a.csv", b"\x80\x04\x95\0\0"),
        ("a.pkl", b"\x80\x04\x95"),
        ("a.exe", b"MZ"),
        ("a", b"a\n"),
        (".csv", b"a\n"),
        (None, b"a\n"),
        ("a.csv/", b"a\n"),
        ("a.npz", b"PK\x03\x04"),
        ("a.safetensors", b"\x08\0\0\0\0\0\0\0{}"),
        ("a.csv.exe", b"a\n"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_leaves_nothing(tmp_path, name, data):
    with pytest.raises(MediaTypeError):
        receive(Sent(name, data), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_model_files_are_recognised_where_they_are_taken(tmp_path):
    header = b"\x08\0\0\0\0\0\0\0{}      "
    assert receive(Sent("m.safetensors", header), tmp_path, kinds=("safetensors",))[0].kind == "safetensors"
    with pytest.raises(MediaTypeError):
        receive(Sent("m.safetensors", b"\x80\x04\x95" * 9), tmp_path, kinds=("safetensors",))


def test_too_large_and_empty_files_leave_nothing(tmp_path):
    with pytest.raises(BodyTooLargeError):
        receive(Sent("a.csv", b"1\n" * 5001), tmp_path)
    with pytest.raises(RequestError, match="empty"):
        receive(Sent("a.csv", b""), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_leaves_and_a_block_that_fails_leave_nothing(tmp_path):
    async def cancelled():
        async def run():
            async with receive_upload(Sent("a.csv", b"1\n" * 600, pause=60), tmp_path, max_bytes=10_000):
                pytest.fail("the file never came")

        task = asyncio.create_task(run())
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def failing():
        async with receive_upload(Sent("a.csv", b"1\n"), tmp_path, max_bytes=100):
            raise KeyError("x")

    asyncio.run(cancelled())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError):
        asyncio.run(failing())
    assert list(tmp_path.iterdir()) == []
