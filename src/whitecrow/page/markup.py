"""Markup that cannot forget to escape: text becomes markup through :func:`tag` alone."""

import html
from collections.abc import Iterable

from whitecrow.page.wording import clean

__all__ = ["Markup", "join", "tag"]

_EMPTY = frozenset({"meta", "link", "input", "br", "hr"})


class Markup(str):
    """Text that is HTML or SVG already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return an element. Children that are no Markup are escaped, and so is every attribute.

    Attribute names are written with underscores (``stroke_width``, ``class_``, ``for_``); None leaves one out.

    >>> tag("td", "<b>", class_="name", title=None)
    '<td class="name">&lt;b&gt;</td>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(clean(_text(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Return the children behind one another, escaped where they are no Markup."""
    return Markup(
        "".join(c if isinstance(c, Markup) else html.escape(clean(_text(c))) for c in children if c is not None)
    )


def _text(value: object) -> str:
    # A percentage stays on one line.
    return f"{value:.5g}" if isinstance(value, float) else str(value).replace(" %", "\u00a0%")
