"""Numbers, shares, durations, sizes and times as text for readers."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from whitecrow.page.wording import NOTHING, count, duration, parameter, percent

__all__ = [
    "NOTHING",
    "age",
    "count",
    "duration",
    "figure",
    "interval",
    "moment",
    "original",
    "p_value",
    "parameter",
    "percent",
    "size",
    "value",
]

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


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


def original(given: Any, spread: float = 0.0) -> str:
    """Return a value of a table in its own units, of which less than a millionth is rounded off.

    Parameters
    ----------
    given : object
        A cell.
    spread : float, default=0
        Width of the range that it is compared with, whose first three digits are shown too.

    Examples
    --------
    >>> original(9_812_331), original(0.0123456789), original(1e9), original(None), original(True)
    ('9,812,331', '0.01234568', '1,000,000,000', '–', 'true')
    >>> original(1e9 + 0.5), original(1e9 + 0.5, spread=3.0)
    ('1e+09', '1,000,000,000.5')
    """
    if given is None or given != given:
        return NOTHING
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, int):
        return f"{given:,}"
    if isinstance(given, float):
        if given.is_integer() and abs(given) < 1e15:
            return f"{given:,.0f}"
        told = math.log10(abs(given) / spread) if 0 < spread < math.inf else 0.0
        return f"{given:,.{min(15, max(7, math.ceil(told) + 3))}g}"
    return given.isoformat(" ") if isinstance(given, datetime) else str(given)


def p_value(number: float | None) -> str:
    """Return a p-value with two significant digits; one that a double can hardly hold is told by its bound.

    >>> p_value(0.0123), p_value(0.0), p_value(None)
    ('0.012', '< 1e-99', '–')
    """
    return "< 1e-99" if number is not None and number < 1e-99 else value(number, 2)


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


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
