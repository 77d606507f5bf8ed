"""Numbers, shares and levels in words."""

from datetime import date, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whitecrow.explain.wording import level_shares, number, percent, plain, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1234.5678, "1,235"),
        (-1_234_567.0, "-1,234,567"),
        (12.0000003, "12"),
        (99.96, "100"),
        (0.0532, "0.0532"),
        (2.5e-9, "2.5e-09"),
        (1.7e308, "1.7e+308"),
        (3e15, "3e+15"),
    ],
)
def test_numbers_have_separators_and_three_digits(value, text):
    assert number(value) == text


def test_numbers_in_a_narrow_range_keep_the_digits_that_tell_them_apart():
    assert number(100.2, spread=0.5) == "100.2"
    assert number(100.4, spread=0.5) == "100.4"


@settings(deadline=None, max_examples=100)
@given(st.floats(-1e300, 1e300), st.floats(0, 1e9))
def test_a_shown_number_is_within_half_a_percent(value, spread):
    assert float(number(value, spread).replace(",", "")) == pytest.approx(value, rel=0.006)


def test_shares_are_whole_percentages_that_never_claim_all_or_nothing():
    told = ["0 %", "<1 %", "<1 %", "50 %", ">99 %", "100 %"]
    assert [percent(share) for share in (0, 1e-9, 0.005, 0.5, 0.9999, 1)] == told


def test_levels_are_told_from_the_commonest():
    assert level_shares([("a", 0.1), ("", 0.6), ("b" * 100, 0.2), ("c", 0.05)]) == f"'' 60 %, {'b' * 59}… 20 %, a 10 %"


def test_values_read_as_a_person_writes_them():
    values = (None, float("nan"), True, 12_000, "x y", date(2026, 3, 2), time(9, 5))
    assert [shown(v) for v in values] == [
        "missing",
        "missing",
        "true",
        "12,000",
        "'x y'",
        "Mon 2026-03-02",
        "09:05",
    ]


def test_plain_values_fit_json():
    values = (None, float("inf"), 1, True, "t", date(2026, 3, 2))
    assert [plain(v) for v in values] == [None, None, 1, True, "t", "2026-03-02"]
