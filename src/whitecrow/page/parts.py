"""Parts that pages are made of: figures, tables, keys."""

from collections.abc import Iterable, Mapping, Sequence

from whitecrow.page.markup import Markup, join, tag

__all__ = [
    "STYLES",
    "facts",
    "figure",
    "key",
    "number_cell",
    "numbers",
    "section",
    "some",
    "swatch",
    "table_of",
]

STYLES = ("one", "two", "three", "four", "five", "six")
_TABLE_ROWS = 12


def key(style: str, name: str) -> Markup:
    """Return a name with the line that stands for it."""
    return join([swatch(style), name])


def swatch(style: str) -> Markup:
    """Return a sample of a line or bar."""
    if style == "normal":
        sample = tag("rect", x=1, y=1, width=26, height=10, class_="bar normal")
    else:
        sample = tag("line", x1=1, x2=29, y1=6, y2=6, class_=f"line {style}")
    return tag("svg", sample, viewBox="0 0 30 12", width=30, height=12, aria_hidden="true", class_="swatch")


def section(title: str, text: str, *parts: Markup) -> Markup:
    """Return a section with its heading."""
    return tag("section", tag("h2", title), tag("p", text, class_="lede") if text else None, *parts)


def figure(title: str, chart: Markup, caption: str, table: Markup | None = None, legend: Sequence[str] = ()) -> Markup:
    """Return a picture with its heading, key, caption, and the numbers behind it."""
    shown = None
    if legend:
        shown = tag("ul", *(tag("li", key(s, n)) for n, s in zip(legend, STYLES, strict=False)), class_="key")
    return tag("figure", tag("h3", title), shown, chart, tag("figcaption", caption), table)


def table_of(
    heads: Sequence[str],
    rows: Sequence[Sequence[Markup]],
    *,
    caption: str = "",
    numbers: bool = False,
    right: Sequence[int] = (),
    class_: str | None = None,
) -> Markup:
    """Return a table; ``right`` numbers the columns of numbers, ``numbers`` makes all of them such."""
    cells = [
        tag("th", head, scope="col", class_="n" if numbers or k in right else None) for k, head in enumerate(heads)
    ]
    return tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", *cells)),
        tag("tbody", *(tag("tr", *row) for row in rows)),
        class_=class_,
    )


def numbers(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return the numbers behind a picture, folded away."""
    table = table_of(heads, [[number_cell(cell) for cell in row] for row in rows], numbers=True)
    return tag("details", tag("summary", "The numbers"), tag("div", table, class_="scroll", tabindex=0))


def number_cell(text: str) -> Markup:
    """Return a cell that is set to the right."""
    return tag("td", text, class_="n")


def facts(values: Mapping[str, str]) -> Markup:
    """Return names and values side by side."""
    rows = (tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in values.items())
    return tag("table", tag("tbody", *rows), class_="facts")


def some(x: Iterable[float], y: Iterable[float]) -> list[tuple[float, float]]:
    """Return points that are spread evenly along a curve, both ends included."""
    points = list(zip(x, y, strict=True))
    n = min(_TABLE_ROWS, len(points))
    return [points[round(k * (len(points) - 1) / max(n - 1, 1))] for k in range(n)]
