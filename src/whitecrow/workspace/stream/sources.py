"""Where the records of a stream come from: a simulation, or a table that is played again."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Natural, check
from whitecrow.data.labels import read_labels
from whitecrow.data.readers import read_table
from whitecrow.data.traffic_stream import TrafficStream
from whitecrow.workspace.stream.labelling import classes, free_name, require, with_truth

__all__ = ["ReplaySource", "SimulatedSource", "Source"]


class Source(Protocol):
    """Records in a fixed order, taken a few at a time.

    The label column, where there is one, holds 1 (anomaly), 0 (normal) or null (unknown); the family column the kind
    of an anomaly as text, or null. The other columns are what a detector may see.
    """

    @property
    def position(self) -> int:
        """Number of the record that comes next, from 0."""
        ...

    @property
    def length(self) -> int | None:
        """How many records there are; None where more may come."""
        ...

    @property
    def label_column(self) -> str | None:
        """Name of the column of labels."""
        ...

    @property
    def family_column(self) -> str | None:
        """Name of the column of families."""
        ...

    def take(self, n: int) -> pl.DataFrame:
        """Return the next records, at most ``n``: fewer at the end, or while no more have come."""
        ...

    def seek(self, position: int) -> None:
        """Go to the record of this number."""
        ...


class SimulatedSource:
    """The invented office network, without end; see :class:`whitecrow.data.traffic_stream.TrafficStream`.

    Parameters
    ----------
    stream : TrafficStream
        Its ``label`` becomes 0 or 1; the kind of attack becomes the column ``family``. A race reads ahead: change the
        attacks through :meth:`whitecrow.workspace.stream.race.Race.set_attacks`.
    """

    label_column: str | None = "label"
    family_column: str | None = "family"
    length: int | None = None

    def __init__(self, stream: TrafficStream) -> None:
        self.stream = stream

    @property
    def position(self) -> int:
        """Number of the record that comes next, from 0."""
        return self.stream.position

    def take(self, n: int) -> pl.DataFrame:
        """Return the next ``n`` records.

        Raises
        ------
        ParameterError
            If ``n`` is not a number of records.
        """
        rows = self.stream.take(n)
        kinds = rows["label"]
        return with_truth(rows, "label", classes(kinds, ("normal",)), "family", kinds)

    def seek(self, position: int) -> None:
        """Go to any record, back or forth; changes of the attacks stay where they were made.

        Raises
        ------
        ParameterError
            If it is not the number of a record.
        """
        self.stream.seek(position)

    def set_attacks(self, attack_rate: float | None = None, mix: Mapping[str, float] | None = None) -> None:
        """Change the attacks from the next record on.

        Raises
        ------
        ParameterError
            If an argument is out of its range.
        """
        self.stream.set_attacks(attack_rate, mix)


class ReplaySource:
    """The rows of a table once more, in their order or in the order of time.

    Parameters
    ----------
    table : polars.DataFrame or path-like
        A file is read whole, whatever its format (:func:`whitecrow.data.read_table`).
    label : str, optional
        Column of labels. A missing label is unknown, never normal.
    family : str, optional
        Column with the kind of each anomaly. By default the labels themselves, where they tell more than two things.
    normal : sequence of str, optional
        Labels that mean normal; by default 0, false and the usual names
        (:func:`whitecrow.data.labels.read_labels`).
    time : str, optional
        Column of dates, times or seconds by which the rows are ordered; rows of one moment keep their order. It
        stays a column that detectors see.

    Attributes
    ----------
    times : ndarray of float64 [N] or None
        Seconds from the first record to each, rising; for :class:`whitecrow.workspace.stream.pacing.Pacer`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged.
    DataError
        If there are no rows, a column is not there, the labels cannot be told apart, or a row has no time.
    """

    def __init__(
        self,
        table: "pl.DataFrame | str | os.PathLike[str]",
        *,
        label: str | None = None,
        family: str | None = None,
        normal: Sequence[str] | None = None,
        time: str | None = None,
    ) -> None:
        name = "The table" if isinstance(table, pl.DataFrame) else Path(table).name
        rows = table if isinstance(table, pl.DataFrame) else read_table(table)
        if not rows.height:
            raise DataError(f"{name} has no rows. Replay one that has some.")
        require(name, (label, family, time), rows.columns)
        if family is not None and label is None:
            raise DataError(f"family={family!r} without a label column: name the label column too.")
        self.times: NDArray[np.float64] | None = None
        if time is not None:
            seconds = _seconds(name, rows[time])
            order = np.argsort(seconds, kind="stable")
            self.times = seconds[order] - seconds[order[0]]
            rows = rows[order]
        self.label_column, self.family_column = label, family
        if label is not None:
            found = read_labels(rows[label], normal)
            truth = pl.Series(found.y)
            told = pl.Series([None] * rows.height if found.families is None else found.families, dtype=pl.String)
            self.family_column = free_name(rows.columns) if family is None else family
            families = told if family is None else rows[family]
            rows = with_truth(rows, label, truth.set(truth == -1, None), self.family_column, families)
        self._rows = rows
        self._position = 0

    @property
    def position(self) -> int:
        """Number of the record that comes next, from 0."""
        return self._position

    @property
    def length(self) -> int | None:
        """How many records there are."""
        return self._rows.height

    def take(self, n: int) -> pl.DataFrame:
        """Return the next records, at most ``n``; none at the end.

        Raises
        ------
        ParameterError
            If ``n`` is not a number of records.
        """
        check("take", "n", n, Natural)
        rows = self._rows.slice(self._position, n)
        self._position += rows.height
        return rows

    def seek(self, position: int) -> None:
        """Go to the record of this number; the number of records is their end.

        Raises
        ------
        ParameterError
            If it is not the number of a record.
        DataError
            If there are fewer records.
        """
        check("seek", "position", position, Natural)
        if position > self._rows.height:
            raise DataError(f"There is no record {position:,}: they are numbered from 0 to {self._rows.height - 1:,}.")
        self._position = position


def _seconds(name: str, column: pl.Series) -> NDArray[np.float64]:
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if isinstance(column.dtype, (pl.Datetime, pl.Duration)):
        seconds = column.dt.cast_time_unit("us").to_physical().cast(pl.Float64) / 1e6
    elif column.dtype == pl.Time:
        seconds = column.to_physical().cast(pl.Float64) / 1e9
    elif column.dtype.is_numeric():
        seconds = column.cast(pl.Float64)
    else:
        raise DataError(
            f"{name}: the time column {column.name!r} holds {column.dtype}; accepted are dates, times and seconds as "
            "numbers. Replay in the order of the file, or convert the column."
        )
    values = seconds.fill_null(np.nan).to_numpy()
    if without := int((~np.isfinite(values)).sum()):
        raise DataError(f"{name}: {without:,} rows have no time in the column {column.name!r}. Remove them.")
    return values
