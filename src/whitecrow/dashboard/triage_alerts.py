"""The alerts of a run, read for review: flagged rows, their near-duplicates, and what they may cost."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from whitecrow.core.errors import DataError, WhitecrowError
from whitecrow.dashboard.formats import NOTHING
from whitecrow.data.encoders import table_encoder
from whitecrow.metrics.near_duplicates import near_duplicates, robust_scale
from whitecrow.workspace import RunRecord, RunScores, Workspace

__all__ = ["AlertList", "Reasons", "cell", "encoded", "load_alerts", "reasons_of"]

_MOST = 2000  # alerts that are listed; nobody reviews more
_SCALE_ROWS = 20_000
_LONGEST = 200  # characters of a cell
_TOLD = 5  # columns that an explanation names


@dataclass(frozen=True, eq=False)
class AlertList:
    """Alerts of one part of a run's rows, the highest score first.

    Parameters
    ----------
    run : RunRecord
        Whose model flagged them.
    scores : RunScores
        Of all rows.
    rows : ndarray of int64 [n]
        All flagged rows.
    listed : int
        How many of them can be reviewed here, from the top.
    points : Points or None
        What near-duplicates are found by; None where rows cannot be compared.
    ungrouped : str
        Why they cannot be compared.
    q_values : ndarray [listed] or None
        Expected share of false alarms among all rows that are at least as anomalous; None without p-values.
    values : polars.DataFrame [listed, C]
        All columns but that of the label, in original units.
    base_rate : float or None
        Share of anomalies among the labelled rows of the part.
    """

    run: RunRecord
    scores: RunScores
    rows: NDArray[np.int64]
    listed: int
    points: "Points | None"
    ungrouped: str
    q_values: NDArray[np.float64] | None
    values: pl.DataFrame
    base_rate: float | None

    @cached_property
    def places(self) -> dict[int, int]:
        """Place of each listed row."""
        return {int(row): place for place, row in enumerate(self.rows[: self.listed])}

    def groups(self, radius: float) -> NDArray[np.intp] | None:
        """Return the group of each listed row; takes a moment at first, so it is called in a thread then."""
        if self.points is None:
            return None
        if radius not in self._groups:
            self._groups.clear()  # that of the last radius is kept
            self._groups[radius] = self.points.groups(radius)
        return self._groups[radius]

    @cached_property
    def _groups(self) -> dict[float, NDArray[np.intp]]:
        return {}

    def p_value(self, row: int) -> float | None:
        """Return the p-value of a row, where there is one."""
        return None if self.scores.p_value is None else float(self.scores.p_value[row])

    def matching(self, column: str, text: str) -> set[int]:
        """Return the listed rows with a text in a column, whatever the case; all if there is no such column."""
        if column not in self.values.columns or not text:
            return set(self.places)
        sought = text.lower()
        has = [given is not None and sought in cell(given).lower() for given in self.values[column].to_list()]
        return {row for row, place in self.places.items() if has[place]}


class Points(NamedTuple):
    """Encoded rows, and the usual spread of each feature in training.

    Parameters
    ----------
    rows : ndarray of float32 [n, D]
    scale : ndarray of float32 [D]
    """

    rows: NDArray[np.float32]
    scale: NDArray[np.float32]

    def groups(self, radius: float = 1.0) -> NDArray[np.intp]:
        """Return the group of near-duplicates of each row; see :func:`~whitecrow.metrics.near_duplicates`."""
        return near_duplicates(self.rows, self.scale, radius=radius).group


class Reasons(NamedTuple):
    """Why an alert was raised, or why that cannot be said.

    Parameters
    ----------
    text : str
        In one sentence.
    method : str
        How it was found; empty if it was not.
    columns : tuple of (str, str)
        Columns that contribute most, the strongest first, and what training rows have there.
    """

    text: str
    method: str = ""
    columns: tuple[tuple[str, str], ...] = ()


def load_alerts(workspace: Workspace, key: str, part: str | None) -> AlertList:
    """Return the rows of a part that a run's model flags; takes a moment, so it is called in a thread.

    Parameters
    ----------
    workspace : Workspace
    key : str
        Id of a run that is done and has a data set.
    part : {"train", "test", "left out", "validation"} or None
        None is the test rows, or all rows where every row trained.

    Raises
    ------
    UnknownNameError
        If there is no such run.
    WorkspaceError
        If it has no model, or no data set.
    """
    run, scores = workspace.runs.done(key), workspace.scores(key)
    threshold = np.inf if run.threshold is None else run.threshold
    part_rows = scores.rows(part)
    flagged = part_rows[scores.score[part_rows] > threshold]
    rows = flagged[np.argsort(-scores.score[flagged], kind="stable")]
    listed = rows[:_MOST]
    points, ungrouped = None, ""
    try:
        points = encoded(workspace, run, listed)
    except DataError as error:
        ungrouped = str(error)
    known = scores.label[part_rows]
    known = known[known >= 0]
    return AlertList(
        run, scores, rows, len(listed), points, ungrouped,
        q_values=_q_values(scores, part_rows, listed),
        values=_values(workspace, run, listed),
        base_rate=float(known.mean()) or None if len(known) else None,
    )  # fmt: skip


def encoded(workspace: Workspace, run: RunRecord, rows: NDArray[np.int64]) -> Points:
    """Return rows in the encoding of a run's detector.

    Raises
    ------
    DataError
        If the detector does not take rows one by one.
    """
    encoder = table_encoder(workspace.detector(run.id).encoder_, "Grouping of near-duplicates")
    train = workspace.scores(run.id).rows("train")
    sample = train[:: max(1, -(-len(train) // _SCALE_ROWS))]
    scale = robust_scale(encoder.transform(workspace.rows(run.id, sample.tolist())))
    if not len(rows):
        return Points(np.zeros((0, len(scale)), dtype=np.float32), scale)
    return Points(encoder.transform(workspace.rows(run.id, rows.tolist())), scale)


def reasons_of(workspace: Workspace, run: str, row: int) -> Reasons:
    """Return the reasons for the score of a row; takes a moment, so it is called in a thread."""
    record = workspace.runs.get(run)
    try:
        if record.dataset is not None and workspace.datasets.get(record.dataset).kind != "table":
            sample = workspace.explain_sample(run, row)
            return Reasons(sample.text, sample.method)
        found = workspace.explain(run, [row])
    except WhitecrowError as error:
        return Reasons(f"There is no explanation: {error}")
    typical = tuple((reason.column, reason.typical) for reason in found.top(0, _TOLD))
    return Reasons(found.text(0), found.method, typical)


def cell(given: Any) -> str:
    """Return a value of a column as text.

    >>> cell(0.1 + 0.2), cell(None), cell(20_000), cell("<b>")
    ('0.3', '–', '20000', '<b>')
    """
    if given is None:
        return NOTHING
    text = f"{given:.10g}" if isinstance(given, float) else str(given)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _q_values(scores: RunScores, part_rows: NDArray[np.int64], listed: NDArray[np.int64]) -> NDArray[np.float64] | None:
    if scores.p_value is None or not len(part_rows):
        return None
    place = np.searchsorted(part_rows, listed)
    return np.asarray(stats.false_discovery_control(scores.p_value[part_rows]))[place]


def _values(workspace: Workspace, run: RunRecord, rows: NDArray[np.int64]) -> pl.DataFrame:
    table = workspace.rows(run.id, rows.tolist())
    settings = run.request.settings
    # A reviewer who sees the label confirms the label, not the alert.
    return table if settings is None or settings.label is None else table.drop(settings.label, strict=False)
