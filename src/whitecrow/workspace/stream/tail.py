"""Records that another program appends to a file of CSV or JSON lines."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import polars as pl

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Natural, check
from whitecrow.data.cells import cast_text, clean
from whitecrow.workspace.stream.cells import Cells, csv_cells, json_cells, json_object
from whitecrow.workspace.stream.follow import Follower
from whitecrow.workspace.stream.labelling import NORMAL, classes, free_name, require, with_truth

__all__ = ["TailSource"]

_AT_ONCE = 10_000
_DELIMITERS = ",;\t|"


class TailSource:
    """The records of a file that grows: only whole new lines, in the order in which they were written.

    A line that is no record is passed over and counted: of another width, no JSON object, or with a cell that is not of
    its column's type or not finite. A record is one line, so cells cannot hold line ends. When the file is replaced or
    cut short, its successor is read from the beginning and the numbers of the records go on.

    Parameters
    ----------
    path : path-like
        The file; of CSV, its first line names the columns.
    form : {"csv", "jsonl"}, optional
        By default "jsonl" where the name ends in .jsonl, .ndjson or .json, else "csv".
    schema : mapping of str to polars dtype, optional
        Types of the columns, such as those of the table that the detectors were fitted on; an Enum is read as text,
        so that a new level is a value and not an error. Of JSON lines, only the columns of the schema are read, or
        those of the first records if there is none.
    infer : bool, default=True
        Columns that the schema does not name are numbers where all filled cells of the first records read as such,
        else text; without it they are text, so that no record is passed over for what is in them.
    required : sequence of str, default=()
        Columns that the file must have; of JSON lines, one of the first records.
    delimiter : str or None, default=","
        Of CSV. None takes the one of ``, ; tab |`` that cuts the first line into most cells.
    label : str, optional
        Column of labels. A missing label is unknown, never normal.
    label_optional : bool, default=False
        Whether a file without that column is read too: its records have no labels.
    family : str, optional
        Column with the kind of each anomaly, by default the labels themselves.
    normal : sequence of str, optional
        Labels that mean normal.

    Attributes
    ----------
    label_column, family_column : str or None
        Columns of the records that hold what only an evaluation may see.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ParameterError
        If the delimiter is not one character.
    DataError
        If it is a folder or a device.
    """

    length: int | None = None

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        form: Literal["csv", "jsonl"] | None = None,
        schema: Mapping[str, Any] | None = None,
        infer: bool = True,
        required: Sequence[str] = (),
        delimiter: str | None = ",",
        label: str | None = None,
        label_optional: bool = False,
        family: str | None = None,
        normal: Sequence[str] = NORMAL,
    ) -> None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
            raise ParameterError(f"TailSource(delimiter={delimiter!r}): delimiter must be one character, no quote.")
        if family is not None and label is None:
            raise DataError(f"family={family!r} without a label column: name the label column too.")
        self._follower = Follower(path)
        self._name = self._follower.path.name
        named_json = self._follower.path.suffix.lower() in (".jsonl", ".ndjson", ".json")
        self._form = form or ("jsonl" if named_json else "csv")
        self._schema, self._infer, self._required = dict(schema or {}), infer, tuple(required)
        self._delimiter, self._normal = delimiter, tuple(normal)
        self.label_column, self._family, self._label_optional = label, family, label_optional
        self.family_column = family
        self._header: list[str] = []
        self._types: dict[str, pl.DataType] = {}
        self._bad = self._position = 0
        # What had been counted when the present file began.
        self._first, self._bad_before = 0, 0

    def begin(self, *, at_end: bool = False) -> None:
        """Check the header, if there is one by now; to be called before the first :meth:`take`, if at all.

        Parameters
        ----------
        at_end : bool, default=False
            Pass over the records that are there: the first one is the next that is written. A file that does not even
            have a header yet is read from its beginning.

        Raises
        ------
        DataError
            As :meth:`take` does.
        """
        if self._form == "csv":
            lines, _ = self._follower.lines(1)
            if lines:
                self._without_header(lines)
            self._follower.rewind()
            at_end = at_end and bool(lines)
        if at_end:
            self._follower.skip()

    @property
    def position(self) -> int:
        """Number of the record that comes next, from 0."""
        return self._position

    @property
    def bad_lines(self) -> int:
        """Lines that were passed over so far."""
        return self._bad + self._follower.broken

    @property
    def restarts(self) -> int:
        """How many times the file was replaced or cut short."""
        return self._follower.restarts

    def take(self, n: int) -> pl.DataFrame:
        """Return the new records, at most ``n``.

        Raises
        ------
        ParameterError
            If ``n`` is not a number of records.
        DataError
            If the file lacks a required column or one of labels or families that was asked for, was replaced by one
            with other columns, or may no longer be read.
        """
        check("take", "n", n, Natural)
        pieces: list[pl.DataFrame] = []
        lacking = n
        while lacking > 0:
            lines, first = self._follower.lines(min(lacking, _AT_ONCE))
            if not lines:
                break
            if first and pieces:
                self._follower.rewind()  # what comes from another file comes with the next call
                break
            if first:
                self._first, self._bad_before = self._position, self._bad
            try:
                if first and self._form == "csv":
                    lines = self._without_header(lines)
                rows = self._records([line for line in lines if line.strip()])
            except DataError:
                self._follower.rewind()  # the next call says the same; nothing is read under the wrong names
                raise
            if rows.height:
                pieces.append(rows)
                lacking -= rows.height
                self._position += rows.height
        if not pieces:
            return self._labelled(pl.DataFrame(schema=self._types))
        return pl.concat(pieces)

    def seek(self, position: int) -> None:
        """Go to a record of the present file.

        Raises
        ------
        ParameterError
            If it is not the number of a record.
        DataError
            If the record was in a file that has been replaced, or has not been written yet.
        """
        check("seek", "position", position, Natural)
        if position == self._position:
            return
        if position < self._first:
            raise DataError(
                f"{self._name}: record {position:,} was in a file that has been replaced; the oldest is now "
                f"{self._first:,}. Rewind to that one."
            )
        back = self._position
        if position < back:
            self._follower.rewind()
            self._position, self._bad = self._first, self._bad_before
        while self._position < position:
            if not self.take(min(position - self._position, _AT_ONCE)).height:
                self.seek(max(back, self._first))
                raise DataError(f"{self._name}: record {position:,} has not been written yet.")

    def close(self) -> None:
        """Close the file; ``with TailSource(...) as source`` does so at its end."""
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ---- lines to cells ----

    def _without_header(self, lines: list[bytes]) -> list[bytes]:
        """Return the lines without the header, which is read once and must be the same in a later file."""
        head = lines[0].removeprefix(b"\xef\xbb\xbf")
        if self._delimiter is None:
            self._delimiter = max(_DELIMITERS, key=lambda mark: len(csv_cells(head, mark) or ()))
        cells = csv_cells(head, self._delimiter) or []
        names = [(cell or "").strip() for cell in cells]
        if not self._header:
            if not names or "" in names or len(set(names)) < len(names):
                raise DataError(f"{self._name}: its first line must name each column once, but is {names!r}.")
            require(self._name, self._required, names)
            self._set_columns(names)
        elif sorted(names) == sorted(self._header):
            self._header = names
        elif self._is_header(cells):
            raise DataError(
                f"{self._name} was replaced by a file with the columns {', '.join(names)}; before, they were "
                f"{', '.join(self._header)}. Open it anew."
            )
        else:
            return lines  # cut short and written on without a header
        return lines[1:]

    def _is_header(self, cells: Cells) -> bool:
        return (
            len(cells) != len(self._header)
            or not set(self._header).isdisjoint(cells)
            or self._typed([cells]).height == 0
        )

    def _set_columns(self, names: list[str]) -> None:
        if self._label_optional and self._family is None and self.label_column not in names:
            self.label_column = None
        require(self._name, (self.label_column, self._family), names)
        self._header = names
        if self.label_column is not None and self._family is None:
            self.family_column = free_name(names)

    def _records(self, lines: list[bytes]) -> pl.DataFrame:
        if self._form == "csv":
            rows = [csv_cells(line, self._delimiter or ",") for line in lines]
        else:
            objects = [json_object(line) for line in lines]
            if not self._header and any(objects):
                found = dict.fromkeys(name for one in objects if one for name in one)
                require(self._name, self._required, found)
                extra = [name for name in (self.label_column, self._family) if name is not None]
                self._set_columns(list(dict.fromkeys([*self._schema, *extra])) if self._schema else list(found))
            rows = [None if one is None else json_cells(one, self._header) for one in objects]
        typed = self._typed([row for row in rows if row is not None and len(row) == len(self._header)])
        self._bad += len(lines) - typed.height
        return self._labelled(typed)

    # ---- cells to typed columns ----

    def _typed(self, rows: list[Cells]) -> pl.DataFrame:
        """Return the rows whose filled cells all read as the types of their columns."""
        texts = pl.DataFrame(rows, schema=dict.fromkeys(self._header, pl.String), orient="row")
        if not rows:
            return pl.DataFrame(schema=self._types)
        if not self._types:
            self._types = {column.name: self._type(column) for column in texts}
        columns, good = [], pl.Series([True] * len(rows), dtype=pl.Boolean)
        for name, dtype in self._types.items():
            column = texts[name]
            if isinstance(dtype, pl.String):
                columns.append(column.set(column == "", None))
                continue
            cells = clean(column)
            if isinstance(dtype, pl.Boolean):
                cells = cells.replace({"1": "true", "0": "false"})
            values = cast_text(cells, dtype)
            fits = values.is_not_null() | cells.is_null()
            if dtype.is_float():
                fits &= values.is_finite().fill_null(True)
            good &= fits
            columns.append(values.alias(name))
        return pl.DataFrame(columns).filter(good)

    def _type(self, column: pl.Series) -> pl.DataType:
        if column.name in (self.label_column, self._family):
            return pl.String()
        if column.name in self._schema:
            dtype = pl.Series(dtype=self._schema[column.name]).dtype
            return pl.String() if isinstance(dtype, (pl.Enum, pl.Categorical)) else dtype
        filled = clean(column).drop_nulls()
        numbers = self._infer and len(filled) and not cast_text(filled, pl.Float64()).null_count()
        return pl.Float64() if numbers else pl.String()

    def _labelled(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.label_column is None or self.family_column is None or not rows.columns:
            return rows
        labels = rows[self.label_column]
        truth = classes(labels, self._normal)
        families = labels if self._family is None else rows[self._family]
        return with_truth(rows, self.label_column, truth, self.family_column, families)
