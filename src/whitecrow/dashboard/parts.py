"""Parts that screens are made of: headings, buttons, cards, facts, figures, small tables, states.

All of them show text as text. Each returns its element, or is a context that is filled.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, Literal, cast

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

__all__ = [
    "STATES",
    "Markup",
    "Text",
    "button",
    "card",
    "details",
    "facts",
    "figure_tiles",
    "heading",
    "link_button",
    "notes",
    "progress",
    "small_table",
    "state_mark",
    "text_link",
    "warnings",
]

STATES = {
    "queued": ("◷", "queued"),
    "running": ("▶", "running"),
    "done": ("✓", "done"),
    "failed": ("✕", "failed"),
    "cancelled": ("■", "cancelled"),
    "interrupted": ("‖", "interrupted"),
}
"""Of each state of a run its symbol and its word."""


class Markup(str):
    """HTML that is read, not shown as text: made by the program, with all that comes from data escaped."""

    __slots__ = ()


class Text(TextElement):
    """A text in an HTML element of any name; what looks like HTML in it is shown, not read.

    Parameters
    ----------
    text : str
    tag : str, default="span"
        Name of the element.
    """

    def __init__(self, text: str, tag: str = "span") -> None:
        super().__init__(tag=tag, text=text)


def heading(level: Literal[1, 2, 3], text: str) -> Text:
    """Return a heading; a page has one of level 1, cards begin with level 2."""
    return Text(text, f"h{level}")


def button(
    text: str,
    on_click: Callable[..., Awaitable[None] | None] | None = None,
    *,
    kind: Literal["plain", "primary", "danger"] = "plain",
    small: bool = False,
    label: str = "",
) -> ui.button:
    """Return a button.

    Parameters
    ----------
    text : str
        What it does, in the imperative.
    on_click : function, optional
        May be asynchronous.
    kind : {"plain", "primary", "danger"}
        A view has one primary button at most.
    small : bool, default=False
        Whether it is one of many in a row; it is more than 24 pixels high even so.
    label : str
        Accessible name where the text alone is ambiguous, such as "Cancel run 3"; it begins with the text.
    """
    made = ui.button(text, on_click=on_click, color=None).props("unelevated no-caps").classes("wc-button")
    if kind != "plain":
        made.classes(f"wc-{kind}")
    if small:
        made.classes("wc-small")
    if label:
        made.props["aria-label"] = label
    return made


def text_link(text: str, address: str) -> Text:
    """Return a link within text; :func:`link_button` stands out."""
    made = Text(text, "a")
    made.props["href"] = address
    return made


def link_button(text: str, address: str, *, primary: bool = False, small: bool = False, label: str = "") -> Text:
    """Return a link that looks like a button: it leads somewhere, or downloads something."""
    made = text_link(text, address).classes("wc-button")
    if primary:
        made.classes("wc-primary")
    if small:
        made.classes("wc-small")
    if label:
        made.props["aria-label"] = label
    return made


@contextmanager
def card(title: str = "", aside: str = "", level: Literal[2, 3] = 2) -> Iterator[ui.element]:
    """Frame what belongs together, under a heading.

    Parameters
    ----------
    title : str
        Heading; without one the content brings its own.
    aside : str
        Stands at the other end of the heading's line.
    level : {2, 3}
        Of the heading.
    """
    with ui.element("section").classes("wc-card") as made:
        if title:
            with ui.element("div").classes("wc-card-head"):
                heading(level, title)
                if aside:
                    Text(aside).classes("wc-muted")
        yield made


@contextmanager
def details(summary: str | tuple[str, str], *, opened: bool = False) -> Iterator[ui.element]:
    """Fold content away behind a summary; of a pair the first is set in bold."""
    with ui.element("details") as made:
        if opened:
            made.props("open")
        with ui.element("summary"):
            if isinstance(summary, str):
                Text(summary)
            else:
                Text(summary[0], "strong")
                Text(summary[1])
        yield made


def facts(values: Mapping[str, str]) -> None:
    """Show names and values side by side."""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(given)}</dd>" for name, given in values.items())
    ui.html(lines, sanitize=False, tag="dl").classes("wc-facts")


def figure_tiles(figures: Iterable[tuple[str, str, Sequence[str]]]) -> None:
    """Show figures large: of each its name, its value, and lines that go with it, such as an interval."""
    with ui.element("dl").classes("wc-figures"):
        for name, given, beside in figures:
            with ui.element("div").classes("wc-figure"):
                Text(name, "dt")
                Text(given, "dd").classes("wc-big")
                for one in beside:
                    Text(one, "dd").classes("wc-small")


def notes(lines: Iterable[str]) -> None:
    """Show sentences as a list; nothing where there are none."""
    if items := "".join(f"<li>{escape(line)}</li>" for line in lines):
        ui.html(items, sanitize=False, tag="ul").classes("wc-notes")


def warnings(lines: Iterable[str]) -> None:
    """Show sentences that ask for attention, each with the word for it."""
    for line in lines:
        with ui.element("p").classes("wc-warning"):
            Text("Warning: ", "strong")
            Text(line)


def small_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str | Callable[[], Any]]],
    *,
    caption: str = "",
    right: Sequence[int] = (),
    label: str = "",
) -> ui.element:
    """Show some dozen rows; many rows belong into :mod:`~whitecrow.dashboard.tables`.

    Parameters
    ----------
    heads : sequence of str
        Head of each column; the first column heads the rows.
    rows : iterable of sequences
        Text of each cell, or :class:`Markup` where all others are texts, or a function that fills the cell.
    caption : str
        Above the table.
    right : sequence of int
        Columns of numbers, from 0.
    label : str
        Accessible name of the region that scrolls sideways on a narrow screen; by default the caption.
    """
    found = list(map(list, rows))
    with ui.element("div").classes("wc-scroll").props("tabindex=0 role=region") as region:
        region.props["aria-label"] = label or caption or "Table"
        if all(isinstance(cell, str) for row in found for cell in row):
            # One element: of one for each cell, a hundred rows take a second to make and to show.
            markup = _markup(heads, cast("list[list[str]]", found), caption, right)
            ui.html(markup, sanitize=False, tag="table").classes("wc-table")
            return region
        with ui.element("table").classes("wc-table"):
            if caption:
                Text(caption, "caption")
            with ui.element("thead"), ui.element("tr"):
                for k, head in enumerate(heads):
                    _numeric(Text(head, "th").props("scope=col"), k in right)
            with ui.element("tbody"):
                for row in found:
                    with ui.element("tr"):
                        for k, cell in enumerate(row):
                            _cell(cell, first=not k, numeric=k in right)
    return region


def _markup(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str, right: Sequence[int]) -> str:
    """Return the inside of a table; all texts are escaped, for they may come from data."""

    def cell(k: int, text: str, scope: str) -> str:
        tag = "th" if scope else "td"
        numeric = ' class="wc-n"' if k in right else ""
        return f"<{tag}{scope}{numeric}>{text if isinstance(text, Markup) else escape(text)}</{tag}>"

    first = ' scope="row"'
    head = "".join(cell(k, text, ' scope="col"') for k, text in enumerate(heads))
    body = "".join(
        f"<tr>{''.join(cell(k, text, '' if k else first) for k, text in enumerate(row))}</tr>" for row in rows
    )
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"


def _cell(cell: str | Callable[[], Any], *, first: bool, numeric: bool) -> None:
    tag = "th" if first else "td"
    if isinstance(cell, str):
        made: ui.element = Text(cell, tag)
    else:
        with ui.element(tag) as made:
            cell()
    if first:
        made.props("scope=row")
    _numeric(made, numeric)


def _numeric(made: ui.element, numeric: bool) -> None:
    if numeric:
        made.classes("wc-n")


def state_mark(state: str) -> ui.element:
    """Show the state of a run by a symbol and a word, and colour besides."""
    symbol, word = STATES[state]
    with ui.element("span").classes("wc-state").props(f"data-state={state}") as made:
        Text(symbol).props("aria-hidden=true")
        Text(word)
    return made


def progress(fraction: float | None, label: str) -> ui.element:
    """Show how far something is, from 0 to 1; None while that is not known."""
    made = ui.element("progress").props("max=1")
    made.props["aria-label"] = label
    if fraction is not None:
        made.props["value"] = fraction
    return made
