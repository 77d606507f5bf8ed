"""Time spans and shares in words."""

from itertools import pairwise

from whitecrow.page.wording import in_units, percent

__all__ = ["duration", "in_units", "percent"]

_DURATIONS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def duration(steps: float, seconds: float | None = None) -> str:
    """Return a number of steps in words, or the time that they take where that is known.

    >>> duration(1), duration(2.5), duration(18, 5400.0), duration(1, 0.25), duration(3, 0.0)
    ('1 step', '2.5 steps', '1 h 30 min', '0.25 s', '0 s')
    """
    if seconds is None:
        return f"{steps:,.4g} step{'' if steps == 1 else 's'}"
    for (size, name), (smaller, its_name) in pairwise(_DURATIONS):
        if seconds >= size:
            whole, rest = divmod(round(seconds / smaller), size // smaller)
            return f"{whole:,} {name}{f' {rest} {its_name}' * (rest > 0)}"
    return f"{seconds:.3g} s"
