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
_NAMES = {1: "anomaly", 0: "normal", -1: "unknown"}
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
        scores = workspace.scores(run)
        rows = rows[np.argsort(-scores.score[rows], kind="stable")]
        verdicts = {row: one.verdict for row, one in workspace.feedback.current(run).items()}
        classes = np.array([_NAMES[kind] for kind in (0, 1, -1)], dtype=object)
        p_value = None if scores.p_value is None else scores.p_value[rows]
        self._judged = [
            pl.Series(rows, dtype=pl.Int64),
            pl.Series(scores.score[rows]),
            pl.Series(classes[scores.label[rows]], dtype=pl.String),
            scores.family[rows],
            pl.Series([verdicts.get(int(row)) for row in rows] if verdicts else [None] * len(rows), dtype=pl.String),
            pl.Series([None] * len(rows), dtype=pl.Float64) if p_value is None else pl.Series(p_value),
        ]
        self._values = workspace.rows(run)
        self._rows = rows
        self._order: tuple[tuple[int, bool], NDArray[np.int64]] | None = None
        self.columns: Sequence[tuple[str, bool]] = [*_JUDGED, *Frame(self._values).columns]

    def rows(self, start: int, end: int, sort: int | None, descending: bool) -> tuple[list[list[Any]], int]:
        """Return rows by falling score, or in the order of a column with missing values last."""
        places = np.arange(start, min(end, len(self._rows)))
        if sort is not None:
            places = self._sorted(sort, descending)[start:end]
        judged = [cells.alias(str(k)) for k, cells in enumerate(one[places] for one in self._judged)]
        ours, _ = Frame(pl.DataFrame(judged)).rows(0, len(places), None, descending=False)
        theirs, _ = Frame(self._values[self._rows[places]]).rows(0, len(places), None, descending=False)
        return [[*one, *other] for one, other in zip(ours, theirs, strict=True)], len(self._rows)

    def _sorted(self, sort: int, descending: bool) -> NDArray[np.int64]:
        wanted = sort, descending
        if self._order is None or self._order[0] != wanted:
            n = len(self._judged)
            column = self._judged[sort] if sort < n else self._values.to_series(sort - n)[self._rows]
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
