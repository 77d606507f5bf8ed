"""Curves and figures of a run: what a threshold leads to."""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray
from starlette.responses import Response

from whitecrow.metrics import pr_curve, roc_curve, score_histogram
from whitecrow.metrics.alert_table import AlertTable, ThresholdArrays
from whitecrow.metrics.curves import thin
from whitecrow.server.openapi import media
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes.context import Context, Here, model_headers, model_of
from whitecrow.server.routes.runs import chosen_threshold
from whitecrow.server.schemas.figures import CurvesAnswer, FiguresAnswer
from whitecrow.server.schemas.requests import Money, PartName, ThresholdWish, Wish
from whitecrow.workspace import RunRecord

__all__ = ["binary_curves", "drawn_curves", "histogram", "router"]

router = APIRouter(prefix="/api/runs", tags=["figures"])
_BYTES = "application/octet-stream"
_BINS = 40
_MOST_ROWS = 1 << 40  # more than any data set has
_MAGIC = b"WCT1"
Part = Annotated[
    PartName | None, Query(description="Rows in view; by default the test rows, or all where every row trained.")
]
Row = Annotated[int | None, Query(ge=0, le=_MOST_ROWS)]
NonNegative = Annotated[float | None, Query(ge=0, allow_inf_nan=False)]


@router.get(
    "/{run}/curves",
    response_model=CurvesAnswer,
    responses={200: media("ROC, PR, histogram and cumulative counts.", _BYTES)},
    summary="ROC, PR, histogram, and counts above every score",
)
async def curves(
    here: Here,
    request: Request,
    run: str,
    max_points: Annotated[int, Query(ge=2, le=1_000_000, description="Most points of each curve.")] = 2000,
    part: Part = None,
    first: Annotated[Row, Query(description="First row of the data set that counts.")] = None,
    last: Annotated[Row, Query(description="Last row of the data set that counts.")] = None,
) -> Response:
    """Return the curves and the cumulative counts with which a page follows a threshold by one binary search.

    With `Accept: application/octet-stream` only the counts come, in little-endian binary form: the letters `WCT1`; a
    uint32 that is 1 if every distinct score is kept, else 0; the number K as uint64; K rising scores as float64; then
    the anomalies, the normal rows and the rows without a label above each score, three times K + 1 uint32. Entry i
    counts the rows above every one of the first i scores. The model's version and threshold are headers.
    """
    as_bytes = request.headers.get("accept", "").partition(";")[0].strip().lower() == _BYTES
    window = None if first is None and last is None else (first or 0, _MOST_ROWS if last is None else last)
    return await here.work.heavy(_curves, here, run, part, window, max_points, as_bytes)


@router.get("/{run}/figures", response_model=FiguresAnswer, summary="Figures of merit at a threshold")
async def figures(
    here: Here,
    run: str,
    threshold: Annotated[float | None, Query(allow_inf_nan=False, description="By default the model's own.")] = None,
    by: Annotated[Wish | None, Query(description="What the threshold is to reach, in place of one.")] = None,
    value: Annotated[float | None, Query(allow_inf_nan=False, description="How much of it; cost has none.")] = None,
    miss: NonNegative = None,
    false_alarm: NonNegative = None,
    alert: NonNegative = None,
    catch: NonNegative = None,
    prevalence: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
    part: Part = None,
) -> dict[str, Any]:
    """Return counts, figures of merit with intervals, and the expected cost, at a threshold.

    Rows without a label are counted apart, and never as normal. `miss` and `false_alarm` together ask for the cost.
    """
    given = {"miss": miss, "false_alarm": false_alarm, "alert": alert, "catch": catch, "prevalence": prevalence}
    costs = None
    if miss is not None and false_alarm is not None:
        costs = Money.model_validate({name: number for name, number in given.items() if number is not None})
    wish = ThresholdWish(threshold=threshold, by=by, value=value, costs=costs, part=part, source="given in the request")
    return await here.work.heavy(_figures, here, run, wish)


def histogram(label: NDArray[np.int8], scores: NDArray[np.float64], threshold: float) -> dict[str, Any]:
    """Return the counts of each class in bins that suit the scores.

    Parameters
    ----------
    label : ndarray of int8, shape [N]
        1 anomaly, 0 normal, -1 unknown.
    scores : ndarray of float64, shape [N]
    threshold : float
    """
    known = label >= 0
    scale: Literal["linear", "log"] = "linear"
    if (label == 1).any() and (label == 0).any():
        made = score_histogram(label[known], scores[known], threshold, _BINS)
        edges, scale = made.edges, made.scale
    else:
        low, high = np.quantile(scores, (0.005, 0.995), method="nearest")
        edges = np.histogram_bin_edges(np.clip(scores, low, high), _BINS)
    inside = np.clip(scores, edges[0], edges[-1])
    normals, anomalies, unknown = (np.histogram(inside[label == kind], edges)[0] for kind in (0, 1, -1))
    return {"edges": edges, "normals": normals, "anomalies": anomalies, "unknown": unknown, "scale": scale}


def drawn_curves(
    label: NDArray[np.int8], scores: NDArray[np.float64], most: int
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the ROC and the PR curve of the rows with a label, thinned; None unless both classes are known."""
    known = label >= 0
    if not ((label == 1).any() and (label == 0).any()):
        return None, None
    roc, pr = roc_curve(label[known], scores[known]), pr_curve(label[known], scores[known])
    return (
        _at(roc._asdict(), thin(roc.fpr, roc.tpr, most)),
        _at(pr._asdict(), thin(pr.recall, pr.precision, most)),
    )


def binary_curves(arrays: ThresholdArrays) -> bytes:
    """Return cumulative counts in the form that the endpoint documents."""
    head = _MAGIC + int(arrays.exact).to_bytes(4, "little") + len(arrays.scores).to_bytes(8, "little")
    counts = (rows.astype("<u4").tobytes() for rows in (arrays.anomalies, arrays.normals, arrays.unknown))
    return b"".join((head, arrays.scores.astype("<f8").tobytes(), *counts))


def _curves(
    here: Context, run: str, part: str | None, window: tuple[int, int] | None, most: int, as_bytes: bool
) -> Response:
    record, table = here.workspace.runs.done(run), here.workspace.alert_table(run, part, window)
    arrays = table.arrays(most)
    if as_bytes:
        return Response(binary_curves(arrays), headers=model_headers(model_of(record)), media_type=_BYTES)
    scores = here.workspace.scores(run)
    rows = scores.rows(part, window)
    label, score = scores.label[rows], scores.score[rows]
    roc, pr = drawn_curves(label, score, most)
    return FiniteJSONResponse(
        {
            **model_of(record),
            "part": _part_name(record, part, len(scores.rows(part)), len(scores)),
            "rows": len(rows),
            "roc": roc,
            "pr": pr,
            "histogram": histogram(label, score, record.threshold or 0.0),
            "cumulative": arrays._asdict(),
        }
    )


def _figures(here: Context, run: str, wish: ThresholdWish) -> dict[str, Any]:
    record, table = here.workspace.runs.done(run), here.workspace.alert_table(run, wish.part)
    own = wish.threshold is None and wish.by is None
    if own:
        wish = wish.model_copy(update={"threshold": record.threshold, "source": record.threshold_source})
    choice = chosen_threshold(here.workspace, run, wish)
    return {
        **model_of(record),
        "part": _part_name(record, wish.part, table.n, len(here.workspace.scores(run))),
        "rows": table.n,
        "threshold": choice.threshold,
        "source": choice.source,
        "uses_labels": choice.uses_labels,
        **_merits(table, choice.threshold, wish),
    }


def _merits(table: AlertTable, threshold: float, wish: ThresholdWish) -> dict[str, Any]:
    found = table.figures(threshold, None if wish.costs is None else wish.costs.costs())
    return {
        **found._asdict(),
        "counts": found.counts._asdict(),
        "alerts": found.counts.alerts,
        "cost": None if found.cost is None else found.cost._asdict(),
        "intervals": {name: one._asdict() for name, one in table.intervals(threshold).items()},
        "few_anomalies": table.few_anomalies,
    }


def _part_name(record: RunRecord, part: str | None, n: int, n_all: int) -> str:
    return part or ("all" if n == n_all and record.request.split.kind == "all" else "test")


def _at(curve: dict[str, Any], kept: NDArray[np.intp]) -> dict[str, Any]:
    return {name: values[kept] for name, values in curve.items()}
