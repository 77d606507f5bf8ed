"""Scores in order of time, summed up in buckets: what the timeline of the Explore screen draws."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.dashboard.formats import NOTHING, count, value
from whitecrow.metrics.severity import Severity, severity
from whitecrow.metrics.swimlanes import Lane, swimlanes
from whitecrow.workspace import Workspace
from whitecrow.workspace.parts import Part
from whitecrow.workspace.row_times import row_times

__all__ = ["BUCKETS", "Buckets", "Timeline", "bucket_labels", "lane_columns", "timeline"]

BUCKETS = 60
"""Most cells of a lane."""

_LANES = 12
_MOST_CODES = 50
_SECOND = 1_000_000  # microseconds

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Timeline:
    """The rows in view, in order of time.

    Parameters
    ----------
    axis : str
        Name of the time column, or "Row".
    note : str
        Why the time column is not used, or empty.
    rows : ndarray of int64, shape [N]
        Rows of the data set, rising.
    times : ndarray of datetime64 or numbers, shape [N]
        Rising.
    score : ndarray of float64, shape [N]
    label : ndarray of int8, shape [N]
        1 anomaly, 0 normal, -1 unknown.
    reference : ndarray of float64, shape [M]
        Scores of the rows that trained, or of all where none did.
    neighbours : bool
        Whether the rows in view have no gaps but at their ends.
    """

    axis: str
    note: str
    rows: NDArray[np.int64]
    times: NDArray[Any]
    score: Floats
    label: NDArray[np.int8]
    reference: Floats
    neighbours: bool

    def inside(self, window: tuple[int, int] | None) -> slice:
        """Return the places of the rows within a window of the data set's rows."""
        if window is None:
            return slice(0, len(self.rows))
        return slice(
            int(self.rows.searchsorted(window[0], side="left")), int(self.rows.searchsorted(window[1], side="right"))
        )

    def severity(self, threshold: float) -> Severity:
        """Return the bands of severity that belong to a threshold."""
        return severity(self.reference, threshold)

    def buckets(
        self, threshold: float, window: tuple[int, int] | None = None, entities: pl.Series | None = None
    ) -> "Buckets":
        """Sum up the rows of a window, as one lane and as one for each entity.

        Parameters
        ----------
        threshold : float
            A row is flagged if its score is strictly above.
        window : (int, int), optional
            First and last row of the data set, both included; it must hold a row in view.
        entities : polars.Series, optional
            Of each row of the data set what its lane stands for.
        """
        places = self.inside(window)
        times, scores, rows = self.times[places], self.score[places], self.rows[places]
        named = pl.repeat("", len(rows), eager=True) if entities is None else entities[rows]
        edges, lanes = swimlanes(scores, times, named, threshold, max_lanes=_LANES, max_buckets=BUCKETS)
        # Rows are in order of time, so that a bucket is a stretch of them.
        starts = np.append(0, np.cumsum(lanes[0].n_rows))
        known = self.label[places] == 1
        anomalies = np.diff(np.append(0, np.cumsum(known))[starts])
        ends = [
            (int(rows[a]), int(rows[b - 1])) if b > a else None
            for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        ]
        return Buckets(bucket_labels(edges), tuple(ends), anomalies, lanes[0], () if entities is None else lanes[1:])

    def span(self, window: tuple[int, int] | None) -> str:
        """Return in words which rows a window holds, and their times."""
        places = self.inside(window)
        rows, times = self.rows[places], self.times[places]
        if not len(rows):
            return "no row in view"
        words = f"{count(len(rows), 'row')}, {int(rows[0]):,} to {int(rows[-1]):,}"
        if self.axis == "Row":
            return words
        first, last = bucket_labels(times[[0, -1]], whole=False)
        return f"{words}, {self.axis} {first} to {last}"


class Buckets(NamedTuple):
    """A stretch of rows in B buckets.

    Parameters
    ----------
    labels : tuple of str, length B
        Where each bucket begins.
    ends : tuple of (int, int) or None, length B
        First and last row of the data set in each; None where it holds none.
    anomalies : ndarray of int, shape [B]
        Known anomalies in each.
    overall : Lane
        All rows.
    lanes : tuple of Lane
        By entity; empty without a column.
    """

    labels: tuple[str, ...]
    ends: tuple[tuple[int, int] | None, ...]
    anomalies: NDArray[np.intp]
    overall: Lane
    lanes: tuple[Lane, ...]


def timeline(workspace: Workspace, run: str, part: str | None) -> Timeline:
    """Return the rows of a part in order of time.

    Parameters
    ----------
    workspace : Workspace
    run : str
        Id of a run that is done and has a data set.
    part : str or None
        See :meth:`whitecrow.workspace.RunScores.rows`.
    """
    record, scores = workspace.runs.done(run), workspace.scores(run)
    rows = scores.rows(part)
    train = scores.score[scores.part == Part.TRAIN]
    settings = record.request.settings
    # The table is in order of its time; see Datasets.table.
    axis, note, times = row_times(workspace.rows(run), None if settings is None else settings.time, rows)
    neighbours = len(rows) == 0 or int(rows[-1] - rows[0]) + 1 == len(rows)
    reference = train if len(train) else scores.score
    return Timeline(axis, note, rows, times, scores.score[rows], scores.label[rows], reference, neighbours)


def lane_columns(table: pl.DataFrame) -> list[str]:
    """Return the columns whose values may have a lane each: text, booleans, and whole numbers of few values."""
    return [
        column.name
        for column in table
        if isinstance(column.dtype, (pl.String, pl.Boolean, pl.Categorical, pl.Enum))
        or (column.dtype.is_integer() and column.n_unique() <= _MOST_CODES)
    ]


def bucket_labels(edges: NDArray[Any], *, whole: bool = True) -> tuple[str, ...]:
    """Return the lower edges as text; without ``whole`` each value is one."""
    lower = edges[:-1] if whole else edges
    if edges.dtype.kind != "M":
        return tuple(f"{x:,}" if edges.dtype.kind in "iu" else value(x, 6) for x in np.asarray(lower).tolist())
    step = int((edges[1:] - edges[:-1]).astype("timedelta64[us]").astype(np.int64).min()) if len(edges) > 1 else 0
    unit = "m" if step >= 60 * _SECOND else "s" if step >= _SECOND else "us"
    texts = np.datetime_as_string(np.asarray(lower), unit=unit)
    return tuple(text.replace("T", " ") for text in texts.tolist()) or (NOTHING,)
