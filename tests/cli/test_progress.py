"""Where no bar can be drawn, as in a log, progress is a line now and then."""

import io
import time

import pytest
import rich.console

from whitecrow.cli import console as module
from whitecrow.cli.console import Console, Options


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr(module, "_BETWEEN_LINES", 0.02)
    return io.StringIO()


def console_to(stream, **options):
    made = Console(Options(**options))
    made._err = rich.console.Console(file=stream, width=20)
    return made


def until(lines, stream):
    end = time.monotonic() + 20
    while len(stream.getvalue().splitlines()) < lines:
        assert time.monotonic() < end, stream.getvalue()
        time.sleep(0.01)


def test_a_log_has_a_line_now_and_then_and_none_afterwards(log):
    with console_to(log).working("Training", 8) as bar:
        until(2, log)
        bar.update("Training on [many] connections", 2)
        end = len(log.getvalue().splitlines()) + 2
        until(end, log)
    written = log.getvalue()
    assert written.splitlines()[0] == "Training (0%)"
    # A line is whole, however narrow a terminal would be.
    assert written.splitlines()[-1] == "Training on [many] connections (25%)"
    time.sleep(0.1)
    assert log.getvalue() == written


def test_what_has_no_end_that_is_known_has_no_share(log):
    with console_to(log).working("Loading"):
        until(1, log)
    assert log.getvalue().splitlines()[0] == "Loading"


def test_quiet_says_nothing(log):
    with console_to(log, quiet=True).working("Loading"):
        time.sleep(0.2)
    assert log.getvalue() == ""
