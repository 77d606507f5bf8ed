"""The frame of a page: one HTML file that needs nothing else, whatever the data put into it."""

from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files

from whitecrow.page.markup import Markup, tag

__all__ = ["document"]

# Nothing may be loaded and no script may run.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(
    title: str,
    brand: str,
    header: Sequence[Markup],
    main: Sequence[Markup | None],
    *,
    style: str = "",
    pictures: bool = False,
) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title : str
        The heading.
    brand : str
        A line above it: what kind of page this is.
    header : sequence of Markup
        What stands under the heading.
    main : sequence of Markup or None
        The sections; None is left out.
    style : str, default=""
        Rules beyond those of every page. They are trusted.
    pictures : bool, default=False
        Whether the page holds pictures of its own, PNG in data addresses.
    """
    policy = f"{_POLICY}; img-src data:" if pictures else _POLICY
    base = files("whitecrow.page").joinpath("page.css").read_text("utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(base + style)),
    )
    top = tag("header", tag("p", brand, class_="brand"), tag("h1", title), *header)
    footer = tag("footer", tag("p", f"Made by whitecrow {version('whitecrow')}. This file is complete in itself."))
    return "<!doctype html>\n" + tag("html", head, tag("body", top, tag("main", *main), footer), lang="en") + "\n"
