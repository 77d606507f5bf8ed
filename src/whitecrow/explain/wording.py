"""Values and shares in words for people."""

import math
from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any

__all__ = ["level_shares", "number", "percent", "plain", "shorten", "shown"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONGEST = 60


def number(value: float, spread: float = 0.0) -> str:
    """Return a number with separators and three significant digits, or all digits before the point.

    Parameters
    ----------
    value : float
        Finite.
    spread : float, default=0
        Width of the range that the number is compared with, whose first three digits are shown too.

    Examples
    --------
    >>> [number(v) for v in (9812331.0, 0.053219, 12.0, 3.2e-9)], number(100.234, spread=0.5)
    (['9,812,331', '0.0532', '12', '3.2e-09'], '100.234')
    """
    if value == 0:
        return "0"
    decimals = max(0, *(2 - math.floor(math.log10(abs(size))) for size in (value, spread) if size))
    if decimals > 7 or abs(value) >= 1e15:
        return f"{value:.3g}"
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """Return a share as a whole percentage.

    Examples
    --------
    >>> percent(0.617), percent(0.002), percent(0.9999), percent(0)
    ('62 %', '<1 %', '>99 %', '0 %')
    """
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{share:.0%}".replace("%", " %")


def level_shares(shares: Iterable[tuple[str, float]]) -> str:
    """Return the three commonest levels with their shares.

    Examples
    --------
    >>> level_shares([("dns", 0.22), ("http", 0.61), ("ftp", 0.0)])
    'http 61 %, dns 22 %'
    """
    most = sorted(shares, key=lambda level: -level[1])[:3]
    return ", ".join(f"{shorten(name) or repr(name)} {percent(share)}" for name, share in most if share > 0)


def shorten(text: str) -> str:
    """Return a text of at most 60 characters, cut with an ellipsis where it is longer."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def shown(value: Any, spread: float = 0.0) -> str:
    """Return one value of a table as a person would write it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value, spread)
    if isinstance(value, datetime):
        return f"{_DAYS[value.weekday()]} {value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return f"{_DAYS[value.weekday()]} {value:%Y-%m-%d}"
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return f"'{shorten(str(value))}'"


def plain(value: Any) -> Any:
    """Return one value of a table as JSON has it: None for a missing one, text for dates and times."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat()
