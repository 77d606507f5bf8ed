"""Numbers, shares, durations, sizes and times as text for readers."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from whitecrow.page.wording import percent

__all__ = [
    "NOTHING",
    "age",
    "count",
    "duration",
    "figure",
    "interval",
    "moment",
    "p_value",
    "parameter",
    "percent",
    "size",
    "value",
]

NOTHING = "–"
"""What stands for a figure that is not there."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things.

    >>> count(1, "run"), count(20_000, "row"), count(2, "anomaly", "anomalies")
    ('1 run', '20,000 rows', '2 anomalies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def figure(number: float | None, digits: int = 3) -> str:
    """Return a figure of merit, which lies between 0 and 1, with so many decimals.

    >>> figure(0.95551), figure(None), figure(float("nan"))
    ('0.956', '–', '–')
    """
    return NOTHING if number is None or not math.isfinite(number) else f"{number:.{digits}f}"


def interval(ends: Mapping[str, float | None] | None, digits: int = 3) -> str:
    """Return the ends of a confidence interval, as reports hold it, in words.

    >>> interval({"value": 0.95, "low": 0.9312, "high": 0.9688})
    '0.931 to 0.969'
    """
    if ends is None or ends.get("low") is None or ends.get("high") is None:
        return NOTHING
    return f"{figure(ends['low'], digits)} to {figure(ends['high'], digits)}"


def value(number: float | None, digits: int = 4) -> str:
    """Return a score, threshold or loss with so many significant digits.

    >>> value(0.0123456), value(123456.7), value(12.0), value(None)
    ('0.01235', '123,457', '12', '–')
    """
    if number is None or not math.isfinite(number):
        return NOTHING
    if 1e4 <= abs(number) < 1e9:
        return f"{number:,.0f}"
    return f"{number:.{digits}g}"


def p_value(number: float | None) -> str:
    """Return a p-value with two significant digits; one that a double can hardly hold is told by its bound.

    >>> p_value(0.0123), p_value(0.0), p_value(None)
    ('0.012', '< 1e-99', '–')
    """
    return "< 1e-99" if number is not None and number < 1e-99 else value(number, 2)


def duration(seconds: float | None) -> str:
    """Return a time span in two units at most.

    >>> [duration(s) for s in (0.0123, 4.26, 75, 3725, 90_000, None)]
    ['12 ms', '4.3 s', '1 min 15 s', '1 h 2 min', '1 d 1 h', '–']
    """
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, lower, lower_name in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min")):
        if whole >= unit:
            rest = whole % unit // lower
            return f"{whole // unit} {name}" + (f" {rest} {lower_name}" if rest else "")
    return f"{whole // _MINUTE} min" + (f" {whole % _MINUTE} s" if whole % _MINUTE else "")


def size(n_bytes: int) -> str:
    """Return a size of a file.

    >>> size(900), size(20_480), size(5_400_000)
    ('900 bytes', '20.0 KiB', '5.1 MiB')
    """
    if n_bytes < 1024:
        return f"{n_bytes} bytes"
    power = min(int(math.log(n_bytes, 1024)), 4)
    return f"{n_bytes / 1024**power:.1f} {('KiB', 'MiB', 'GiB', 'TiB')[power - 1]}"


def moment(text: str | None) -> str:
    """Return a time of the workspace to the minute, in UTC.

    >>> moment("2026-03-04T05:06:07.123+00:00")
    '2026-03-04 05:06 UTC'
    """
    return NOTHING if text is None else f"{_time(text):%Y-%m-%d %H:%M} UTC"


def age(text: str | None, now: datetime | None = None) -> str:
    """Return how long ago a time of the workspace was.

    >>> age("2026-03-04T05:06:07+00:00", datetime(2026, 3, 4, 5, 16, 8, tzinfo=UTC))
    '10 min ago'
    """
    if text is None:
        return NOTHING
    seconds = ((now or datetime.now(UTC)) - _time(text)).total_seconds()
    if seconds < _MINUTE:
        return "just now"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name} ago"
    return NOTHING


def parameter(given: Any) -> str:
    """Return the value of a parameter as a form shows it.

    >>> parameter((64, 32)), parameter(None), parameter(True), parameter(0.001)
    ('64, 32', 'none', 'yes', '0.001')
    """
    if given is None:
        return "none"
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, Sequence) and not isinstance(given, str):
        return ", ".join(map(parameter, given))
    return str(given)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
