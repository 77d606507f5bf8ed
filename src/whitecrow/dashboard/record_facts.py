"""What the record drawer shows of a row: where its score stands, which columns make it so, and who is near."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from whitecrow.core import registry
from whitecrow.core.errors import DataError, WhitecrowError
from whitecrow.dashboard.formats import NOTHING, value
from whitecrow.dashboard.sample_facts import Around, around
from whitecrow.explain.samples import ImageReasons, SeriesReasons
from whitecrow.workspace import RunRecord, Workspace
from whitecrow.workspace.feedback import Verdict
from whitecrow.workspace.results import PART_NAMES

__all__ = ["CLASSES", "ColumnFact", "Neighbour", "RecordFacts", "record_facts"]

CLASSES = {1: "anomaly", 0: "normal", -1: "unknown"}
"""Names of the labels."""

_PARTS = {int(part): name for name, part in PART_NAMES.items()}
_NEIGHBOURS = 5
_DIGITS = 6  # of numbers that are compared: neighbours come back from single precision


@dataclass(frozen=True)
class ColumnFact:
    """One column of the row.

    Parameters
    ----------
    name, shown : str
        Name, and the value in original units.
    near : str
        The value as it is compared with those of neighbours.
    contribution : float
        In the unit of the score.
    share : float
        From 0 to 1, of all that makes the row anomalous.
    typical, alike, remark : str
        What training rows have, what otherwise similar normal rows have, and what is odd about the value.
    """

    name: str
    shown: str
    near: str
    contribution: float
    share: float
    typical: str
    alike: str
    remark: str


@dataclass(frozen=True)
class Neighbour:
    """A normal row: its distance in encoded features, and its values in the order of the columns."""

    distance: float
    values: tuple[str, ...]


@dataclass(frozen=True)
class RecordFacts:
    """All that is known of one row of one run.

    Parameters
    ----------
    run : RunRecord
    score, threshold, margin : float
        The margin is the score less the threshold.
    flag : bool
        Whether the score is above the threshold.
    percentile : float
        Share of the compared rows with a lower score, from 0 to 100.
    compared : str
        Rows that the percentile is among.
    p_value : float or None
    p_value_note : str
        What the p-value says, or why there is none.
    label : {1, 0, -1}
        Anomaly, normal, unknown.
    family : str
        The label as text; empty without one.
    part : str
        What the row was used for.
    verdict : Verdict or None
        That holds.
    sentence : str
        Why, in plain words.
    method : str
        Of the explanation.
    columns : tuple of ColumnFact
        The strongest contribution first.
    neighbours : tuple of Neighbour
        Nearest first, five at most.
    trouble : str or None
        Why the row cannot be explained.
    sample : ImageReasons, SeriesReasons or None
        Why an image, a sequence or a step of a series scores so; rows of a table have columns instead.
    around : Around or None
        Scores of the steps around that of a series.
    """

    run: RunRecord
    score: float
    threshold: float
    margin: float
    flag: bool
    percentile: float
    compared: str
    p_value: float | None
    p_value_note: str
    label: int
    family: str
    part: str
    verdict: Verdict | None
    sentence: str
    method: str
    columns: tuple[ColumnFact, ...]
    neighbours: tuple[Neighbour, ...]
    trouble: str | None
    sample: ImageReasons | SeriesReasons | None = None
    around: Around | None = None


def record_facts(workspace: Workspace, run: str, row: int, threshold: float | None = None) -> RecordFacts:
    """Return what is known of a row; it takes up to some seconds, so it belongs in a thread.

    Parameters
    ----------
    workspace : Workspace
    run : str
        Id of a run that is done.
    row : int
        Row of its data set, from 0.
    threshold : float, optional
        Another threshold than the model's.

    Raises
    ------
    UnknownNameError
        If there is no such run.
    WorkspaceError
        If it has no model, or no data set.
    DataError
        If the row is not there.
    """
    record, scores = workspace.runs.done(run), workspace.scores(run)
    if not 0 <= row < len(scores):
        raise DataError(f"There is no row {row}; the data set has rows from 0 to {len(scores) - 1:,}. Choose another.")
    if threshold is None:
        threshold = record.threshold if record.threshold is not None else 0.0
    score, among = float(scores.score[row]), scores.rows()
    p_value = None if scores.p_value is None else float(scores.p_value[row])
    sample, steps = None, None
    try:
        if _of_samples(workspace, record):
            sample, trouble = workspace.explain_sample(run, row, n_neighbours=_NEIGHBOURS), None
            why = sample.text, sample.method, (), ()
            if isinstance(sample, SeriesReasons):
                steps = around(workspace, run, sample, threshold)
        else:
            why, trouble = _explained(workspace, run, row), None
    except WhitecrowError as error:
        why, trouble = ("This row cannot be explained.", "", (), ()), str(error)
    return RecordFacts(
        record,
        score,
        threshold,
        margin=score - threshold,
        flag=score > threshold,
        percentile=100 * float(np.mean(scores.score[among] < score)),
        compared=f"{len(among):,} {'test rows' if len(among) < len(scores) else 'rows'}",
        p_value=p_value,
        p_value_note="share of normal rows that score as high" if p_value is not None else "no rows were held out",
        label=int(scores.label[row]),
        family=scores.family[row] or "",
        part=_PARTS[int(scores.part[row])],
        verdict=workspace.feedback.current(run).get(row),
        sentence=why[0],
        method=why[1],
        columns=why[2],
        neighbours=why[3],
        trouble=trouble,
        sample=sample,
        around=steps,
    )


def _of_samples(workspace: Workspace, run: RunRecord) -> bool:
    """Return whether a run's detector judges images, sequences or steps of a series."""
    kinds = registry.load(run.detector).kinds
    return run.dataset is not None and (workspace.datasets.get(run.dataset).kind != "table" or "table" not in kinds)


def _explained(
    workspace: Workspace, run: str, row: int
) -> tuple[str, str, tuple[ColumnFact, ...], tuple[Neighbour, ...]]:
    found = workspace.explain(run, [row], n_neighbours=_NEIGHBOURS)
    lines = found.to_frame().sort("contribution", descending=True, maintain_order=True)
    own = found.values.row(0, named=True)
    columns = tuple(
        ColumnFact(
            name=line["column"],
            shown=_or_missing(line["value"]),
            near=_text(own[line["column"]]),
            contribution=line["contribution"],
            share=line["share"],
            typical=line["typical"],
            alike=line["alike"],
            remark=line["remark"],
        )
        for line in lines.iter_rows(named=True)
    )
    distances = found.neighbour_distance[0].tolist()
    near = tuple(
        Neighbour(distance, tuple(_text(values[one.name]) for one in columns))
        for distance, values in zip(distances, found.neighbours(0).iter_rows(named=True), strict=True)
    )
    return found.text(0) + ".", found.method, columns, near


def _or_missing(text: str | None) -> str:
    return "missing" if text is None else text


def _text(given: Any) -> str:
    if given is None or given != given:
        return NOTHING
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return value(float(given), _DIGITS)
    if isinstance(given, datetime):
        return given.isoformat(" ", "seconds")
    return str(given)
