"""Markdown that shows text from data as text."""

import re
from collections.abc import Collection, Iterable, Sequence

from whitecrow.page.wording import clean

__all__ = ["escaped", "table"]

_SIGNS = re.compile(r"([\\`*_\[\]|#~])")
# Some readers make links of bare addresses.
_ADDRESS = re.compile(r"(?i)(?<=\b)(https?|ftp)(?=://)|\bwww(?=\.)")


def escaped(text: str) -> str:
    r"""Return text that Markdown shows as it is, on one line.

    >>> print(escaped("a|b <i>"))
    a\|b &lt;i&gt;
    >>> print(escaped("http://x.example"))
    http&#8203;://x.example
    """
    line = " ".join(clean(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ADDRESS.sub(r"\g<0>&#8203;", _SIGNS.sub(r"\\\1", line))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> str:
    r"""Return a table in the syntax of GitHub; all of its texts are escaped, and ``right`` numbers columns of numbers.

    >>> print(table(["Column", "n"], [["a|b", "1"]], right=[1]))
    | Column | n |
    | :-- | --: |
    | a\|b | 1 |
    """
    rule = ["--:" if k in right else ":--" for k in range(len(heads))]
    lines = [[escaped(head) or " " for head in heads], rule]
    lines += [[escaped(cell) or " " for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
