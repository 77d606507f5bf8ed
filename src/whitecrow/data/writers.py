"""Tables to files, batch by batch; a file appears whole or not at all."""

import gzip
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import polars as pl

from whitecrow.core.errors import DataError, FileFormatError
from whitecrow.core.files import atomic_write

__all__ = ["TableWriter"]

_PART_ROWS = 1 << 16
_FORMATS = ".parquet, .csv, .csv.gz, .jsonl or .ndjson"


class _Sink(Protocol):
    def write(self, batch: pl.DataFrame) -> None: ...

    def close(self) -> None: ...


class TableWriter:
    r"""Context manager that writes a table in batches of bounded memory.

    The file appears under its name when the block ends without an error; otherwise nothing is left.

    Parameters
    ----------
    path : path-like
        File to write. Its suffix gives the format: .parquet, .csv, .csv.gz, .jsonl or .ndjson.

    Raises
    ------
    FileFormatError
        If the suffix is none of these.
    FileNotFoundError
        On entry, if the folder does not exist.
    DataError
        If a batch has other columns or types than the first, if a column cannot be written in this format,
        or if the block ends without a batch.

    Examples
    --------
    >>> import polars, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "scores.csv"
    >>> with TableWriter(path) as writer:
    ...     writer.write(polars.DataFrame({"score": [0.5, 2.0]}))
    >>> path.read_text()
    'score\n0.5\n2.0\n'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._format = next((end for end in _SINKS if self.path.name.lower().endswith(end)), "")
        if not self._format:
            raise FileFormatError(f"{self.path}: the format is not known by its suffix. Accepted are {_FORMATS}.")
        self._stack = ExitStack()
        self._sink: _Sink | None = None
        self._schema: pl.Schema | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            draft = stack.enter_context(atomic_write(self.path))
            self._sink = _SINKS[self._format](draft, stack)
            self._stack = stack.pop_all()
        return self

    def write(self, batch: pl.DataFrame) -> None:
        """Append a batch of rows.

        Parameters
        ----------
        batch : polars.DataFrame
            Rows with the same columns and types as those of the first batch. No rows are fine.
        """
        if self._sink is None:
            raise DataError("TableWriter: write was called outside of the 'with' block. Call it inside.")
        if self._schema is None:
            self._schema = batch.schema
        if batch.schema != self._schema:
            raise DataError(
                f"{self.path}: this batch has the columns {dict(batch.schema)}, but the first had "
                f"{dict(self._schema)}. Give every batch the same columns and types."
            )
        try:
            self._sink.write(batch)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{self.path}: {str(error).splitlines()[0]}. Write another format, or cast it.") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sink, self._sink = self._sink, None
        stack = self._stack.pop_all()
        if error is not None:
            # The stack is told of the error, so the draft is removed and not renamed.
            stack.__exit__(kind, error, trace)
            return
        with stack:
            if sink is None or self._schema is None:
                raise DataError(
                    f"{self.path}: no batch was written, so the columns are unknown. Write one, if only an empty one."
                )
            sink.close()


class _Lines:
    """CSV or JSON lines: each batch is appended as text."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile, csv: bool) -> None:
        self._stream = stream
        self._csv = csv
        self._first = True

    def write(self, batch: pl.DataFrame) -> None:
        text = batch.write_csv(include_header=self._first) if self._csv else batch.write_ndjson()
        self._stream.write(text.encode())
        self._first = False

    def close(self) -> None:
        self._stream.close()


class _Parquet:
    """Parquet: batches go into part files beside the final one, which polars then joins as a stream."""

    def __init__(self, draft: Path, stack: ExitStack) -> None:
        self._draft = draft
        self._folder = Path(tempfile.mkdtemp(prefix=f"{draft.name}.", dir=draft.parent))
        stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._held: list[pl.DataFrame] = []
        self._rows = 0
        self._parts: list[Path] = []

    def write(self, batch: pl.DataFrame) -> None:
        self._held.append(batch)
        self._rows += batch.height
        if self._rows >= _PART_ROWS:
            self._flush()

    def _flush(self) -> None:
        part = self._folder / f"{len(self._parts):06d}.parquet"
        pl.concat(self._held, rechunk=True).write_parquet(part)
        self._parts.append(part)
        self._held.clear()
        self._rows = 0

    def close(self) -> None:
        if self._held or not self._parts:
            self._flush()
        if len(self._parts) == 1:
            self._parts[0].replace(self._draft)
        else:
            pl.scan_parquet(self._parts, glob=False).sink_parquet(
                self._draft, row_group_size=_PART_ROWS, maintain_order=True
            )


def _csv(draft: Path, stack: ExitStack) -> _Sink:
    return _Lines(stack.enter_context(draft.open("wb")), csv=True)


def _json_lines(draft: Path, stack: ExitStack) -> _Sink:
    return _Lines(stack.enter_context(draft.open("wb")), csv=False)


def _packed_csv(draft: Path, stack: ExitStack) -> _Sink:
    raw = stack.enter_context(draft.open("wb"))
    # No name and no time in the header: the same rows give the same bytes.
    packed = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0)
    return _Lines(stack.enter_context(packed), csv=True)


_SINKS = {
    ".parquet": _Parquet,
    ".csv": _csv,
    ".csv.gz": _packed_csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}
