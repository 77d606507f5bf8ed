"""A server starts only with limits that make sense, and never open to others without a token."""

import pytest

from whitecrow.core.errors import ParameterError
from whitecrow.server.settings import Settings, is_loopback

TOKEN = "a-token-of-24-characters"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_needs_no_token(host):
    assert Settings(host=host).loopback


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.0.4", "example.org", "localhost.example.org", "127.0.0.1.a"]
)
def test_beyond_loopback_a_token_is_required(host):
    assert not is_loopback(host)
    with pytest.raises(ParameterError, match="--token"):
        Settings(host=host)
    assert Settings(host=host, token=TOKEN).token == TOKEN


@pytest.mark.parametrize("token", ["", "short", "x" * 15, " " + "x" * 20, 7])
def test_a_token_that_is_no_secret_is_refused_without_being_said(token):
    with pytest.raises(ParameterError, match="at least 16") as caught:
        Settings(token=token)
    assert "x" * 15 not in str(caught.value)


def test_a_token_is_not_shown():
    assert TOKEN not in repr(Settings(token=TOKEN))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 0),
        ("port", 65536),
        ("max_rows", 0),
        ("request_seconds", 0),
        ("log_json", "yes"),
        ("host", ""),
        ("max_concurrent", 1.5),
        ("allowed_hosts", "name"),
        ("batch_window_ms", -1),
        ("max_bytes_in_flight", 10),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ParameterError, match=name):
        Settings(**{name: value})


def test_on_loopback_only_its_own_names_are_hosts():
    assert Settings(allowed_hosts=("Console",)).hosts == {"localhost", "127.0.0.1", "::1", "console"}
    assert Settings(host="0.0.0.0", token=TOKEN).hosts is None
