"""Numbers in words."""

import pytest

from whitecrow.dashboard import formats


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0004, "0 ms"), (0.9994, "999 ms"), (1, "1.0 s"), (59.94, "59.9 s"), (59.96, "1 min"), (60, "1 min"),
     (3599.6, "1 h"), (3660, "1 h 1 min"), (86_400, "1 d"), (float("nan"), "–"), (None, "–")],
)  # fmt: skip
def test_durations(seconds, text):
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (1e-9, "1e-09"), (9999.4, "9999"), (123_456.7, "123,457"), (-20_000, "-20,000"), (2e12, "2e+12"),
     (float("inf"), "–")],
)  # fmt: skip
def test_scores(number, text):
    assert formats.value(number) == text


def test_an_interval_without_an_end_is_not_there():
    assert formats.interval({"value": 0.5, "low": None, "high": 0.6}) == "–"
    assert formats.interval(None) == "–"


def test_sizes_are_in_binary_units():
    assert formats.size(1023) == "1023 bytes"
    assert formats.size(1024) == "1.0 KiB"
    assert formats.size(100 << 20) == "100.0 MiB"


def test_a_time_of_another_zone_is_told_as_it_is_written():
    assert formats.moment("2026-03-04T05:06:07") == "2026-03-04 05:06 UTC"
