"""Text for readers: shares in words, and text from data made harmless."""

import re
import unicodedata

__all__ = ["clean", "in_units", "percent"]

_ROW = re.compile(r"\b(?:(an?) )?row(s?)\b", re.IGNORECASE)


def clean(text: str) -> str:
    """Return text without what a terminal takes for a command; data and model files may hold anything."""
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "\ufffd" for c in text)


def percent(share: float) -> str:
    """Return a share as a whole percentage, or with one decimal below 10 %.

    >>> [percent(share) for share in (0.0002, 0.021, 0.634, 0.9999, 1)]
    ['<0.1 %', '2.1 %', '63 %', '>99.9 %', '100 %']
    """
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    digits = 1 if 0 < share < 0.0995 or 0.99 <= share < 1 else 0
    return f"{100 * share:.{digits}f} %"


def in_units(text: str, unit: str) -> str:
    """Return a sentence of ours on rows as one on something else.

    >>> in_units("A row is flagged; 3 rows are not", "image")
    'An image is flagged; 3 images are not'
    """
    if unit == "row":
        return text

    def renamed(found: re.Match[str]) -> str:
        article, plural = found.groups()
        if article is None:
            return (unit.capitalize() if found[0][0].isupper() else unit) + plural
        return f"{article[0]}{'n' if unit[0] in 'aeiou' else ''} {unit}{plural}"

    return _ROW.sub(renamed, text)
