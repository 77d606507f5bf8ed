"""What answers a field that sends a file."""

import asyncio
from contextlib import nullcontext

import pytest
from fastapi import HTTPException, Request

from whitecrow.dashboard import upload_field
from whitecrow.dashboard.upload_field import answer_upload


@pytest.fixture
def send(monkeypatch):
    """Return a function that sends chunks to a field of at most ten bytes, and returns what it took."""
    taken = []

    async def take(file, name):
        taken.append((name, file.read_bytes(), file))

    monkeypatch.setattr(upload_field, "_fields", {"key": upload_field._Field(take, nullcontext(), 10)})

    def sent(*chunks, key="key", name="a.csv"):
        left = list(chunks)

        async def receive():
            return {"type": "http.request", "body": left.pop(0) if left else b"", "more_body": bool(left)}

        headers = [(b"x-file-name", name.encode())]
        asyncio.run(answer_upload(key, Request({"type": "http", "method": "POST", "headers": headers}, receive)))
        return taken

    return sent


def test_a_file_arrives_whole_and_is_gone_afterwards(send):
    [(name, content, file)] = send(b"a,b\n", b"1,2\n")
    assert (name, content) == ("a.csv", b"a,b\n1,2\n")
    assert not file.exists()


def test_a_name_is_decoded_and_names_no_file(send):
    [(name, _, file)] = send(b"1", name="%2e%2e%2Fm%C3%A4rz.csv")
    assert name == "../märz.csv"
    assert file.name == "upload"


def test_what_is_too_large_is_refused_before_it_is_taken(send):
    with pytest.raises(HTTPException) as error:
        send(b"123456", b"123456", b"1" * 10**6)
    assert error.value.status_code == 413


def test_a_page_that_is_closed_takes_nothing(send):
    with pytest.raises(HTTPException) as error:
        send(b"1", key="another")
    assert error.value.status_code == 404
