"""Runs side by side, on the rows that all of them tested."""

from functools import reduce
from itertools import combinations, permutations
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.responses import Response

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics import auroc, average_precision, bootstrap_interval
from whitecrow.metrics.agreement import disagreements, paired_difference, rank_agreement
from whitecrow.metrics.family_catches import family_catches
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes.context import Context, Here, model_of
from whitecrow.server.routes.curves import drawn_curves, histogram
from whitecrow.server.schemas.figures import CompareAnswer
from whitecrow.workspace import RunRecord

__all__ = ["router"]

router = APIRouter(prefix="/api/compare", tags=["figures"])
_MOST = 8
_RESAMPLES = 200
_ONE_SEED = (
    "Each run is one fit with one seed. A difference between two of them is no ranking of their methods: fit several "
    "seeds to see how far a method varies by itself."
)


@router.get("", response_model=CompareAnswer, summary="Compare runs")
async def compare(
    here: Here,
    runs: Annotated[str, Query(max_length=1000, description="Ids of 2 to 8 runs on one data set, with commas.")],
    k: Annotated[int, Query(ge=1, lt=1 << 31, description="Length of the queues that are compared.")] = 100,
    limit: Annotated[int, Query(ge=0, le=1000, description="Most disagreements named for each pair.")] = 50,
) -> Response:
    """Return curves and figures with 95 % intervals, how far the runs agree, and who catches which kind of anomaly."""
    return FiniteJSONResponse(await here.work.heavy(_compare, here, runs, k, limit))


def _compare(here: Context, runs: str, k: int, limit: int) -> dict[str, Any]:
    names = list(dict.fromkeys(name.strip() for name in runs.split(",") if name.strip()))
    if not 2 <= len(names) <= _MOST:
        raise ParameterError(f"The query names {len(names)} runs; from 2 to {_MOST} different ones can be compared.")
    records = [here.workspace.runs.done(name) for name in names]
    found = [here.workspace.scores(name) for name in names]
    _check_alike(records)
    rows = reduce(np.intersect1d, [one.rows() for one in found])
    if not len(rows):
        raise DataError("No row was tested by all of these runs. Fit them with the same split and seed.")
    label = found[0].label[rows]
    scores = {name: one.score[rows] for name, one in zip(names, found, strict=True)}
    flags = {record.id: scores[record.id] > (record.threshold or 0.0) for record in records}
    copies = _copies(here, records[0], rows)
    known = label >= 0
    both = bool((label == 1).any() and (label == 0).any())
    agreement = rank_agreement(scores, min(k, len(rows)))
    return {
        "rows": len(rows),
        "known": int(known.sum()),
        "runs": [
            {
                **_run(record, label, scores[record.id], copies if both else None),
                "flagged": int(flags[record.id].sum()),
            }
            for record in records
        ],
        "agreement": {name: getattr(agreement, name) for name in ("k", "spearman", "kendall", "jaccard")},
        "disagreements": [_disagreements(one, other, scores, rows, limit) for one, other in permutations(records, 2)],
        "families": _families(flags, label, found[0].family[rows].to_list()),
        "differences": [
            {
                "run": one,
                "other": other,
                "auroc": paired_difference(
                    "auroc", label[known], scores[one][known], scores[other][known], n_resamples=_RESAMPLES,
                    groups=copies[known],
                )._asdict(),
            }
            for one, other in combinations(names, 2)
            if both
        ],
        "notes": _notes(records, len(rows), int((~known).sum())),
    }  # fmt: skip


def _check_alike(records: list[RunRecord]) -> None:
    for record in records:
        if _reading(record) != _reading(records[0]):
            raise DataError(
                f"Runs {records[0].number} and {record.number} do not share a data set, its order and its labels, so "
                "that their rows are not the same. Compare runs that do."
            )


def _reading(record: RunRecord) -> tuple[Any, ...]:
    """Return what decides which row is which, and which label it has."""
    settings = record.request.settings
    return record.dataset, settings and (settings.time, settings.label, settings.normal)


def _copies(here: Context, record: RunRecord, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a number for the content of each row; equal ones count once for the width of intervals."""
    assert record.dataset is not None  # or it would have no scores
    table = here.workspace.datasets.rows(record.dataset, record.request.settings)[0]
    return table.hash_rows(seed=0).to_numpy()[rows]


def _run(
    record: RunRecord, label: NDArray[np.int8], scores: NDArray[np.float64], copies: NDArray[np.uint64] | None
) -> dict[str, Any]:
    roc, pr = drawn_curves(label, scores, 500)
    known = label >= 0
    merits = {
        name: None
        if copies is None
        else bootstrap_interval(
            figure, label[known], scores[known], n_resamples=_RESAMPLES, groups=copies[known]
        )._asdict()
        for name, figure in (("auroc", auroc), ("average_precision", average_precision))
    }
    return {
        **model_of(record),
        "name": record.name,
        "number": record.number,
        "detector": record.detector,
        **merits,
        "roc": roc,
        "pr": pr,
        "histogram": histogram(label, scores, record.threshold or 0.0),
    }


def _disagreements(
    one: RunRecord, other: RunRecord, scores: dict[str, NDArray[np.float64]], rows: NDArray[np.int64], limit: int
) -> dict[str, Any]:
    found = disagreements(scores[one.id], one.threshold or 0.0, scores[other.id], other.threshold or 0.0, limit=limit)
    return {
        "flagged_by": one.id,
        "passed_by": other.id,
        "n": found.n,
        "rows": rows[found.rows],
        "rank": found.rank,
        "other_rank": found.other_rank,
    }


def _families(
    flags: dict[str, NDArray[np.bool_]], label: NDArray[np.int8], families: list[str | None]
) -> list[dict[str, Any]]:
    if not (label == 1).any():
        return []
    return [
        {**one._asdict(), "recall": {name: interval._asdict() for name, interval in one.recall.items()}}
        for one in family_catches(flags, label, np.array(families, dtype=object))
    ]


def _notes(records: list[RunRecord], n: int, unknown: int) -> list[str]:
    notes = [_ONE_SEED]
    if len({(record.request.split, record.request.seed) for record in records}) > 1:
        notes.append(f"The runs were split differently; the {n:,} rows here are those that none of them trained on.")
    if unknown:
        notes.append(f"{unknown:,} rows have no label and count in no figure of merit.")
    return notes
