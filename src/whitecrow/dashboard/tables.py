"""Tables of many rows: the browser asks for those that it shows, and gets them as text and numbers.

A hundred thousand rows sent at once take AG Grid eleven seconds; asked for block by block they are there at once::

    rows_table(Frame(table), label="Rows of Traffic")

Columns get names of ours (``c0``, ``c1``, ...): a grid reads dots in names as paths, and NiceGUI takes an option whose
key begins with a colon for JavaScript. Names and values from data are heads and cells alone, which are shown as text.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Protocol

import orjson
import polars as pl
from fastapi import HTTPException, Response
from nicegui import ui

from whitecrow.dashboard.threads import in_thread

__all__ = ["ROWS_PATH", "Changing", "Frame", "RowSource", "answer_rows", "rows_table"]

ROWS_PATH = "/_console/rows"
"""Where grids ask for rows."""

_BLOCK = 100
_MOST = 1000  # rows of one answer
_LONGEST = 500  # characters of a cell

# Of AG Grid, what is used here: all of it takes longer to start.
_MODULES = [
    "CellStyleModule",
    "EventApiModule",
    "InfiniteRowModelModule",
    "RenderApiModule",
    "ScrollApiModule",
    "TooltipModule",
]
# The page would ask for the grid when all else is there.
_EARLY = '<script>for (const name of ["nicegui-aggrid", "dompurify"]) import(name).catch(() => {})</script>'

_sources: dict[str, "RowSource"] = {}


class RowSource(Protocol):
    """What a table shows."""

    @property
    def columns(self) -> Sequence[tuple[str, bool]]:
        """Name of each column, and whether it holds numbers."""
        ...

    def rows(self, start: int, end: int, sort: int | None, descending: bool) -> tuple[list[list[Any]], int]:
        """Return rows as lists of JSON values, and how many there are in all; mostly called in a thread."""
        ...


class Frame:
    """The rows of a data frame.

    Parameters
    ----------
    table : polars.DataFrame, shape [N, C]
        Whatever it holds; dates and the like are shown as text.

    Attributes
    ----------
    columns : sequence of (str, bool)
        Name of each column, and whether it holds numbers.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table
        self._order: tuple[tuple[int, bool], pl.Series] | None = None
        self.columns: Sequence[tuple[str, bool]] = [(name, dtype.is_numeric()) for name, dtype in table.schema.items()]

    def rows(self, start: int, end: int, sort: int | None, descending: bool) -> tuple[list[list[Any]], int]:
        """Return rows in the table's order, or in that of a column with missing values last."""
        cut = self._table[start:end] if sort is None else self._table[self._sorted(sort, descending)[start:end]]
        return list(map(list, zip(*map(_cells, cut.iter_columns()), strict=True))), self._table.height

    def _sorted(self, sort: int, descending: bool) -> pl.Series:
        wanted = sort, descending
        if self._order is None or self._order[0] != wanted:
            # A grid scrolls on in the order that it asked for last.
            order = self._table.to_series(sort).arg_sort(descending=descending, nulls_last=True)
            self._order = wanted, order
        return self._order[1]


def _cells(column: pl.Series) -> list[Any]:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.to_list()
    texts = ["" if cell is None else str(cell) for cell in column.to_list()]
    return [text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…" for text in texts]


async def answer_rows(
    key: str, start: int = 0, end: int = _BLOCK, sort: int = -1, descending: bool = False
) -> Response:
    """Answer a grid: ``{"rows": [{"c0": ...}], "total": N}``.

    Parameters
    ----------
    key : str
        Of the table; it is told to the page that shows it alone.
    start, end : int
        Rows in the order of the table, ``end`` excluded.
    sort : int
        Column whose order the rows are in; below 0 the table's.
    descending : bool
        Whether the largest comes first.

    Raises
    ------
    HTTPException
        404 if the page has been closed, 422 if the rows or the column cannot be.
    """
    source = _sources.get(key)
    if source is None:
        raise HTTPException(404, "The page that showed this table has been closed. Load it again.")
    if not 0 <= start <= end <= start + _MOST or sort >= len(source.columns):
        raise HTTPException(422, f"At most {_MOST} rows are answered at once, in the order of a column that is there.")
    body = await in_thread(_block, source, start, end, None if sort < 0 else sort, descending)
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


def _block(source: RowSource, start: int, end: int, sort: int | None, descending: bool) -> dict[str, Any]:
    rows, total = source.rows(start, end, sort, descending)
    return {"rows": [{f"c{k}": cell for k, cell in enumerate(row)} for row in rows], "total": total}


_DATASOURCE = """{{
  getRows: async (asked) => {{
    const [order] = asked.sortModel;
    const {{ first }} = asked.context;
    delete asked.context.first;
    if (first && asked.startRow === 0 && !order) {{
      asked.successCallback(first.rows, first.total);
      return;
    }}
    const query = new URLSearchParams({{
      start: asked.startRow,
      end: asked.endRow,
      sort: order ? order.colId.slice(1) : -1,
      descending: order?.sort === "desc",
    }});
    try {{
      const answer = await fetch(`{address}?${{query}}`);
      if (!answer.ok) throw new Error(String(answer.status));
      const {{ rows, total }} = await answer.json();
      asked.successCallback(rows, total);
    }} catch {{
      asked.failCallback();
    }}
  }},
}}"""


class Changing:
    """A source in whose place another one of the same columns can be put: the grid stays, and asks again.

    Parameters
    ----------
    source : RowSource
        What is shown first.
    """

    def __init__(self, source: RowSource) -> None:
        self.source = source

    @property
    def columns(self) -> Sequence[tuple[str, bool]]:
        """Name of each column, and whether it holds numbers."""
        return self.source.columns

    def rows(self, start: int, end: int, sort: int | None, descending: bool) -> tuple[list[list[Any]], int]:
        """Return rows of what is shown now."""
        return self.source.rows(start, end, sort, descending)

    def change(self, grid: ui.aggrid, source: RowSource) -> None:
        """Show another source in the grid of this one, from its first row."""
        self.source = source
        grid.run_grid_method("ensureIndexVisible", 0, "top")
        grid.run_grid_method("purgeInfiniteCache")


def rows_table(
    source: RowSource, *, label: str, height: str = "26rem", extra: dict[str, Any] | None = None
) -> ui.aggrid:
    """Show the rows of a source.

    Parameters
    ----------
    source : RowSource
        It is kept until the page is closed.
    label : str
        Accessible name of the grid.
    height : str
        Of the grid, in CSS.
    extra : dict, optional
        More options of AG Grid; never anything from data.

    Returns
    -------
    ui.aggrid
        Its event ``cellClicked`` or, for keys, ``cellKeyDown`` tells the row that was chosen by ``rowIndex``.
    """
    key = secrets.token_urlsafe(16)
    _sources[key] = source
    ui.context.client.on_delete(lambda: _sources.pop(key, None))
    columns = [
        {
            "field": f"c{k}",
            "colId": f"c{k}",
            "headerName": name,
            "headerTooltip": name,
            "type": "rightAligned" if numeric else None,
            "minWidth": 90,
        }
        for k, (name, numeric) in enumerate(source.columns)
    ]
    options = {
        "columnDefs": columns,
        "defaultColDef": {"sortable": True, "resizable": True, "suppressMovable": True},
        "rowModelType": "infinite",
        "cacheBlockSize": _BLOCK,
        "maxBlocksInCache": 20,
        "rowBuffer": 2,
        "rowHeight": 32,
        "headerHeight": 36,
        "suppressFieldDotNotation": True,
        "animateRows": False,
        "enableCellTextSelection": True,
        # The first rows come with the grid, so that nobody waits for them.
        "context": {"first": _block(source, 0, _BLOCK, None, descending=False)},
        ":datasource": _DATASOURCE.format(address=f"{ROWS_PATH}/{key}"),
        **(extra or {}),
    }
    ui.add_head_html(_EARLY)
    with ui.element("div").classes("wc-grid-table").props("role=region") as region:
        region.props["aria-label"] = label
        region.style(f"--wc-height: {height}; width: 100%")
        return ui.aggrid(options, auto_size_columns=False, modules=_MODULES)
