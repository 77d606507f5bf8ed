"""The rows of a run as a list of alerts: what the model made of each, and the original columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.dashboard.tables import Frame
from whitecrow.workspace import Workspace

__all__ = ["AlertRows", "alert_columns"]

_JUDGED: Sequence[tuple[str, bool]] = (
    ("Row", True),
    ("Score", True),
    ("Label", False),
    ("Label as given", False),
    ("Verdict", False),
    ("p-value", True),
)
_CLASSES = np.array(["normal", "anomaly", "unknown"], dtype=object)  # -1 counts from the end
# Ours alone: what a cell shows comes from its own value and from the threshold of the page.
_FLAG = "(p) => p.value == null ? '' : p.value > whitecrow.threshold.value ? '▲ flagged' : '○ not flagged'"
_SHORT = "(p) => p.value == null ? '' : String(Number(Number(p.value).toPrecision(6)))"
_CLICKED = "(p) => { if (p.data) emitEvent('wc-record', p.data.c0); }"
_PRESSED = (
    "(p) => { if (p.data && p.event.key === 'Enter') { p.event.preventDefault(); emitEvent('wc-record', p.data.c0); } }"
)


class AlertRows:
    """Source of a table of alerts, the highest score first; see :class:`~whitecrow.dashboard.tables.RowSource`.

    Parameters
    ----------
    workspace : Workspace
    run : str
        Id of a run that is done.
    rows : ndarray of int64
        Rows of the data set in view.

    Attributes
    ----------
    columns : sequence of (str, bool)
        Name of each column, and whether it holds numbers.
    """

    def __init__(self, workspace: Workspace, run: str, rows: NDArray[np.int64]) -> None:
        self._scores = workspace.scores(run)
        self._verdicts = {row: one.verdict for row, one in workspace.feedback.current(run).items()}
        self._values = workspace.rows(run)
        self._rows = self._scores.falling(rows)
        self._order: tuple[tuple[int, bool], NDArray[np.int64]] | None = None
        self.columns: Sequence[tuple[str, bool]] = [*_JUDGED, *Frame(self._values).columns]

    @property
    def n(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def rows(self, start: int, end: int, sort: int | None, descending: bool) -> tuple[list[list[Any]], int]:
        """Return rows by falling score, or in the order of a column with missing values last."""
        places = np.arange(start, min(end, len(self._rows)))
        if sort is not None:
            places = self._sorted(sort, descending)[start:end]
        judged = [self._judged(k, places).alias(str(k)) for k in range(len(_JUDGED))]
        ours, _ = Frame(pl.DataFrame(judged)).rows(0, len(places), None, descending=False)
        theirs, _ = Frame(self._values[self._rows[places]]).rows(0, len(places), None, descending=False)
        return [[*one, *other] for one, other in zip(ours, theirs, strict=True)], len(self._rows)

    def _judged(self, column: int, places: NDArray[np.int64]) -> pl.Series:
        """Return cells of one of our columns: those that are shown, for all of them would be waited for."""
        rows, scores = self._rows[places], self._scores
        name = _JUDGED[column][0]
        if name == "Row":
            return pl.Series(rows, dtype=pl.Int64)
        if name == "Score":
            return pl.Series(scores.score[rows])
        if name == "Label":
            return pl.Series(_CLASSES[scores.label[rows]], dtype=pl.String)
        if name == "Label as given":
            return scores.family[rows]
        if name == "Verdict":
            return pl.Series([self._verdicts.get(row) for row in rows.tolist()], dtype=pl.String)
        p_value = scores.p_value
        return pl.repeat(None, len(rows), dtype=pl.Float64, eager=True) if p_value is None else pl.Series(p_value[rows])

    def _sorted(self, sort: int, descending: bool) -> NDArray[np.int64]:
        wanted = sort, descending
        if self._order is None or self._order[0] != wanted:
            n, everywhere = len(_JUDGED), np.arange(len(self._rows))
            column = self._judged(sort, everywhere) if sort < n else self._values.to_series(sort - n)[self._rows]
            order = column.alias("by").to_frame().with_row_index()
            order = order.sort("by", descending=descending, nulls_last=True, maintain_order=True)["index"]
            self._order = wanted, order.to_numpy().astype(np.int64)
        return self._order[1]


def alert_columns(source: AlertRows) -> dict[str, Any]:
    """Return the options of a grid of alerts: a column of flags that follow the threshold, and what Enter does."""
    shown: list[dict[str, Any]] = []
    for k, (name, numeric) in enumerate(source.columns):
        one: dict[str, Any] = {"field": f"c{k}", "colId": f"c{k}", "headerName": name, "headerTooltip": name}
        one |= {"type": "rightAligned" if numeric else None, "width": 120, "minWidth": 80}
        if name in ("Score", "p-value") and k < len(_JUDGED):
            one[":valueFormatter"] = _SHORT
        shown.append(one)
    flag = {"field": "c1", "colId": "flag", "headerName": "Flag", "sortable": False, "width": 130}
    shown.insert(2, {**flag, ":valueFormatter": _FLAG})
    return {"columnDefs": shown, ":onCellClicked": _CLICKED, ":onCellKeyDown": _PRESSED}
