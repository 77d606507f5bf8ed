"""Rows of a run: as a sorted and filtered list, one by one, and explained."""

from typing import Annotated, Any

import numpy as np
import polars as pl
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.explain.patches import PatchReasons
from whitecrow.explain.samples import ImageReasons
from whitecrow.server.cells import json_ready
from whitecrow.server.errors import FieldError, RequestError
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes.context import Context, Here, model_of
from whitecrow.server.schemas.figures import AlertsAnswer, ExplainAnswer, RowAnswer
from whitecrow.server.schemas.requests import Explain, Filter, PartName, parsed
from whitecrow.workspace import RunRecord, Workspace
from whitecrow.workspace.results import PART_NAMES, RunScores

__all__ = ["router", "run_table"]

router = APIRouter(prefix="/api/runs", tags=["alerts"])
_MOST_ROWS = 1000
_MOST_IMAGES = 5
_COLUMNS = ("row", "score", "p_value", "flag", "part", "label", "family", "verdict", "assignee")
_VALUES = "values."
_COMPARE = {
    "eq": pl.Series.eq, "ne": pl.Series.ne, "lt": pl.Series.lt, "le": pl.Series.le, "gt": pl.Series.gt,
    "ge": pl.Series.ge,
}  # fmt: skip


@router.get("/{run}/alerts", response_model=AlertsAnswer, summary="List rows, the most anomalous first")
async def alerts(
    here: Here,
    run: str,
    offset: Annotated[int, Query(ge=0, lt=1 << 40)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 100,
    sort: Annotated[
        str, Query(max_length=1000, description="Field; a minus in front sorts falling. Missing cells come last.")
    ] = "-score",
    filter: Annotated[
        str,
        Query(
            max_length=20_000, description='Conditions that all must hold, as JSON: [{"field", "op", "value"}, ...].'
        ),
    ] = "[]",
    part: Annotated[
        PartName | None, Query(description="By default the test rows, or all where every row trained.")
    ] = None,
) -> Response:
    """Return a page of rows with their scores, flags, labels, verdicts and original columns.

    Fields to sort and to filter by are `row`, `score`, `p_value`, `flag`, `part`, `label`, `family`, `verdict` and
    `assignee`, and the original columns as `values.COLUMN`. Rows that are equal in the field keep their order in the
    data set.
    """
    conditions: list[Filter] = parsed(list[Filter], filter, "filter")
    return FiniteJSONResponse(await here.work.heavy(_alerts, here, run, part, sort, conditions, offset, limit))


@router.get("/{run}/rows/{row}", response_model=RowAnswer, summary="Describe a row")
async def row(here: Here, run: str, row: Annotated[int, Path(ge=0, lt=1 << 31)]) -> Response:
    """Return a row with its score, the score's percentile, its margin to the threshold, and its verdict."""
    return FiniteJSONResponse(await here.work.heavy(_row, here, run, row))


@router.post("/{run}/explain", response_model=ExplainAnswer, summary="Explain rows")
async def explain(here: Here, run: str, wish: Explain) -> Response:
    """Say which columns make rows anomalous, in original units, and which normal rows are nearest.

    The method that was used is named: `parts` splits the score, `occlusion` replaces one column at a time. Of images,
    at most five at once, it says which patch is the most anomalous and which patches of normal images are nearest.
    """
    return FiniteJSONResponse(await here.work.heavy(_explain, here, run, wish))


def run_table(workspace: Workspace, run: str, rows: "np.ndarray[Any, np.dtype[np.int64]]") -> pl.DataFrame:
    """Return what the model made of rows of a run: row, score, p_value, flag, part, label, family, verdict, assignee.

    Parameters
    ----------
    workspace : Workspace
    run : str
        Id of a run that is done.
    rows : ndarray of int64
        Rows of the data set, in the order in which they are returned.
    """
    record, scores = workspace.runs.done(run), workspace.scores(run)
    found = _judged(scores, record.threshold or 0.0, rows)
    people = {
        "verdict": {row: one.verdict for row, one in workspace.feedback.current(run).items()},
        "assignee": {row: one.assignee for row, one in workspace.feedback.assigned(run).items()},
    }
    for name, held in people.items():
        known = pl.DataFrame({"row": list(held), name: list(held.values())}, schema={"row": pl.Int64, name: pl.String})
        found = found.join(known, on="row", how="left", maintain_order="left")
    return found


def _judged(scores: RunScores, threshold: float, rows: "np.ndarray[Any, np.dtype[np.int64]]") -> pl.DataFrame:
    names = np.array([name for name, _ in sorted(PART_NAMES.items(), key=lambda item: item[1])], dtype=object)
    score, label = scores.score[rows], scores.label[rows]
    p_value = pl.Series([None] * len(rows)) if scores.p_value is None else pl.Series(scores.p_value[rows])
    return pl.DataFrame(
        [
            pl.Series("row", rows, dtype=pl.Int64),
            pl.Series("score", score),
            p_value.cast(pl.Float64).alias("p_value"),
            pl.Series("flag", score > threshold),
            pl.Series("part", names[scores.part[rows]], dtype=pl.String),
            pl.Series("label", label, dtype=pl.Int8).set(pl.Series(label < 0), None),
            scores.family[rows].alias("family"),
        ]
    )


def _alerts(
    here: Context, run: str, part: str | None, sort: str, conditions: list[Filter], offset: int, limit: int
) -> dict[str, Any]:
    workspace = here.workspace
    record, scores = workspace.runs.done(run), workspace.scores(run)
    table = run_table(workspace, run, scores.rows(part))
    values = workspace.rows(run)
    for condition in conditions:
        table = table.filter(_holds(condition, _field(condition.field, table, values)))
    falling, name = sort.startswith("-"), sort.removeprefix("-")
    order = _field(name, table, values).alias("by").to_frame().with_row_index()
    order = order.sort("by", descending=falling, nulls_last=True, maintain_order=True)["index"]
    page = table[order.slice(offset, limit)]
    return {**model_of(record), "total": table.height, "offset": offset, "rows": _with_values(page, values)}


def _with_values(page: pl.DataFrame, values: pl.DataFrame) -> list[dict[str, Any]]:
    shown = json_ready(values[page["row"]]).to_dicts()
    return [{**row, "values": cells} for row, cells in zip(page.to_dicts(), shown, strict=True)]


def _field(name: str, table: pl.DataFrame, values: pl.DataFrame) -> pl.Series:
    """Return the values of a field for the rows of a table."""
    if name in _COLUMNS:
        return table[name]
    column = name.removeprefix(_VALUES)
    if name.startswith(_VALUES) and column in values.columns:
        return json_ready(values.select(column))[column][table["row"]]
    raise RequestError(
        f"There is no field {name[:100]!r}. Fields are {', '.join(_COLUMNS)}, and {_VALUES}COLUMN for a column.",
        [FieldError(name[:100], "Is unknown.")],
    )


def _holds(condition: Filter, column: pl.Series) -> pl.Series:
    """Return for each row whether a condition holds; a missing cell meets none but `missing`."""
    if condition.op == "missing":
        return column.is_null()
    given = condition.value
    if given is None:
        raise ParameterError(f"The filter on {condition.field[:100]!r} by {condition.op!r} needs a value.")
    if condition.op == "contains":
        return column.cast(pl.String).str.contains(_text(given), literal=True).fill_null(value=False)
    number = column.dtype.is_numeric() and not isinstance(given, (str, bool))
    truth = column.dtype == pl.Boolean and isinstance(given, bool)
    if not (number or truth):
        # Dates and times compare as text in the order of ISO 8601.
        column, given = column.cast(pl.String), _text(given)
    return _COMPARE[condition.op](column, given).fill_null(value=False)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _row(here: Context, run: str, row: int) -> dict[str, Any]:
    workspace = here.workspace
    record, values = workspace.runs.done(run), workspace.rows(run)
    if row >= values.height:
        raise DataError(f"There is no row {row}; the data set has rows from 0 to {values.height - 1}.")
    found = _with_values(run_table(workspace, run, np.array([row])), values)[0]
    verdict = workspace.feedback.current(run).get(row)
    return {
        **model_of(record),
        **found,
        **_place(workspace, run, record.threshold or 0.0, found["score"]),
        "note": None if verdict is None else verdict.note,
    }


def _place(workspace: Workspace, run: str, threshold: float, score: float) -> dict[str, float]:
    """Return where a score stands among those of the fit, and how far from the threshold."""
    seen = workspace.detector(run).fit_scores_
    return {"percentile": 100 * float(seen.searchsorted(score)) / max(len(seen), 1), "margin": score - threshold}


def _explain(here: Context, run: str, wish: Explain) -> dict[str, Any]:
    workspace = here.workspace
    record = workspace.runs.done(run)
    if record.dataset is not None and workspace.datasets.get(record.dataset).kind == "image":
        return _explain_images(workspace, record, wish)
    found = workspace.explain(run, wish.rows, method=wish.method, n_neighbours=wish.n_neighbours)
    document = found.to_dict()
    rows = []
    for number, one in zip(wish.rows, document["rows"], strict=True):
        neighbours = [
            {
                "row": near["row"],
                "distance": near["distance"],
                "values": near["values"],
                "differs": [name for name, value in near["values"].items() if value != one["values"][name]],
            }
            for near in one["neighbours"]
        ]
        kept = {name: one[name] for name in ("score", "p_value", "text", "values", "reasons")}
        place = _place(workspace, run, found.threshold, one["score"])
        answer = {"row": number, **kept, **place, "flag": one["is_anomaly"], "neighbours": neighbours, "patch": None}
        rows.append(answer)
    return {**model_of(record), "method": document["method"], "rows": rows}


def _explain_images(workspace: Workspace, record: RunRecord, wish: Explain) -> dict[str, Any]:
    if len(wish.rows) > _MOST_IMAGES:
        raise ParameterError(
            f"{len(wish.rows)} images are to be explained; at most {_MOST_IMAGES} are at once. Ask for fewer."
        )
    scores, threshold = workspace.scores(record.id), record.threshold or 0.0
    rows, method = [], "map"
    for row in wish.rows:
        found = workspace.explain_sample(record.id, row, n_neighbours=wish.n_neighbours)
        assert isinstance(found, ImageReasons)
        method = "map" if found.own_map else "occlusion"
        near = zip(found.rows, found.distances.tolist(), strict=True)
        rows.append(
            {
                "row": row,
                "score": found.score,
                "p_value": None if scores.p_value is None else float(scores.p_value[row]),
                "flag": found.score > threshold,
                **_place(workspace, record.id, threshold, found.score),
                "text": found.text,
                "values": {},
                "reasons": [],
                "neighbours": [{"row": one, "distance": far, "values": {}, "differs": []} for one, far in near],
                "patch": _patch(found.patch),
            }
        )
    return {**model_of(record), "method": method, "rows": rows}


def _patch(found: PatchReasons | None) -> dict[str, Any] | None:
    if found is None:
        return None
    near = [{"row": one.row, "distance": one.distance, **one.place._asdict()} for one in found.neighbours]
    return {"score": found.score, "method": found.method, **found.place._asdict(), "neighbours": near}
