"""What the record drawer shows of a row: where its score stands, which columns make it so, and who is near."""

from dataclasses import dataclass

import numpy as np

from whitecrow.core import registry
from whitecrow.core.errors import DataError, WhitecrowError
from whitecrow.dashboard.formats import original
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


@dataclass(frozen=True)
class ColumnFact:
    """One column of the row.

    Parameters
    ----------
    name, shown : str
        Name, and the value in original units.
    near : str
        The value as it is compared with those of neighbours: "–" where it is missing.
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
    """A normal row: its distance in encoded features, its values in the order of the columns, and its number."""

    distance: float
    values: tuple[str, ...]
    row: int | None


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
    assignee : str
        Who is to look at it; empty if nobody is.
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
    assignee: str
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
    given = workspace.feedback.assigned(run).get(row)
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
        assignee="" if given is None else given.assignee,
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
    own, reasons = found.values.row(0, named=True), found.reasons(0)
    spreads = {one.column: 0.0 if one.typical_range is None else float(np.ptp(one.typical_range)) for one in reasons}
    columns = tuple(
        ColumnFact(
            name=one.column,
            shown="missing" if one.shown == "missing" else original(own[one.column], spreads[one.column]),
            near=original(own[one.column], spreads[one.column]),
            contribution=one.contribution,
            share=one.share,
            typical=_range(one.typical_range, one.typical, spreads[one.column]),
            alike=_range(one.alike_range, one.alike, spreads[one.column]),
            remark=one.remark,
        )
        for one in reasons
    )
    distances = found.neighbour_distance[0].tolist()
    numbers = [None] * len(distances) if found.neighbour_rows is None else found.neighbour_rows[0].tolist()
    near = tuple(
        Neighbour(distance, tuple(original(values[one.name], spreads[one.name]) for one in columns), number)
        for distance, number, values in zip(distances, numbers, found.neighbours(0).iter_rows(named=True), strict=True)
    )
    return found.text(0) + ".", found.method, columns, near


def _range(ends: tuple[float, float] | None, words: str, spread: float) -> str:
    """Return the ends of a range in original units; of what has none, its words."""
    if ends is None:
        return words
    low, high = (original(end, spread) for end in ends)
    return low if low == high else f"{low} to {high}"
