"""Answers are compressed; files that never change, once."""

import asyncio
import gzip
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from whitecrow.dashboard import compression
from whitecrow.dashboard.compression import Compression

SCRIPT = b"let crow = 'white';\n" * 500


class Files:
    """An application with one script, which counts how often it is asked for it."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "script.js"
        self.script.write_bytes(SCRIPT)
        self.noise = folder / "noise.png"
        self.noise.write_bytes(bytes((i * i * 7919 >> 3) % 251 for i in range(50)))
        self.asked = 0
        routes = [Route("/fixed/{name}", self.file), Route("/other/{name}", self.file), Route("/rows", self.rows)]
        self.app = Compression(Starlette(routes=routes), fixed=["/fixed/"])

    def get(self, path: str, **headers: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://console") as client:
                return await client.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})

        return asyncio.run(ask())

    async def file(self, request: Request) -> Response:
        self.asked += 1
        name = request.path_params["name"]
        if name == "missing":
            return PlainTextResponse("There is no such file." * 100, status_code=404)
        return FileResponse(self.noise if name.endswith("png") else self.script)

    async def rows(self, request: Request) -> Response:
        return PlainTextResponse("1,2,3\n" * 1000)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_fixed_file_is_read_and_compressed_once(files: Files) -> None:
    answers = [files.get("/fixed/script.js") for _ in range(3)]
    assert files.asked == 1
    for answer in answers:
        assert answer.content == SCRIPT
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-type"].startswith("text/javascript")
        assert int(answer.headers["content-length"]) == len(gzip.compress(SCRIPT, 9, mtime=0))


def test_one_that_compression_does_not_shorten_is_sent_as_it_is(files: Files) -> None:
    for _ in range(2):
        answer = files.get("/fixed/noise.png")
        assert answer.content == files.noise.read_bytes()
        assert "content-encoding" not in answer.headers
    assert files.asked == 1


@pytest.mark.parametrize("headers", [{"accept_encoding": "identity"}, {"range": "bytes=0-9"}, {"if_none_match": "old"}])
def test_other_questions_about_a_file_reach_its_server(files: Files, headers: dict[str, str]) -> None:
    files.get("/fixed/script.js")
    answer = files.get("/fixed/script.js", **headers)
    assert files.asked == 2
    assert answer.content == (SCRIPT[:10] if "range" in headers else SCRIPT)


def test_a_missing_file_is_asked_for_again(files: Files) -> None:
    for _ in range(2):
        answer = files.get("/fixed/missing")
        assert answer.status_code == 404
        assert answer.text.startswith("There is no such file.")
    assert files.asked == 2


def test_no_more_is_kept_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_ROOM", len(gzip.compress(SCRIPT, 9, mtime=0)) + 10)
    files = Files(tmp_path)
    for name in ("script.js", "same.js", "script.js", "same.js"):
        assert files.get(f"/fixed/{name}").content == SCRIPT
    assert files.asked == 3  # the second name is read each time


def test_everything_else_is_compressed_for_each_answer(files: Files) -> None:
    for path in ("/other/script.js", "/other/script.js", "/rows"):
        assert files.get(path).headers["content-encoding"] == "gzip"
    assert files.asked == 2
