"""Tables from files: whole, or in batches of bounded memory.

The format is recognised by content: a file's first bytes say gzip, Parquet, NPZ, NPY or MAT, and everything
else is text (CSV, TSV and their kin, or ARFF). The name only has to agree.
"""

import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import polars as pl

from whitecrow.core.errors import DataError, FileFormatError
from whitecrow.data.array_files import read_mat, read_npy, read_npz
from whitecrow.data.delimited import TextTable

__all__ = ["iter_batches", "read_table"]

_MAGIC = {
    b"PAR1": "parquet",
    b"PK\x03\x04": "npz",
    b"PK\x05\x06": "npz",
    b"\x93NUMPY": "npy",
    b"MATLAB 5.0": "mat",
    b"MATLAB 7.3": "mat 7.3",
    b"\x89HDF\r\n": "mat 7.3",
}
_ARRAYS = {"npz": read_npz, "npy": read_npy, "mat": read_mat}
T = TypeVar("T")

_BINARY = {".parquet": "parquet", ".npz": "npz", ".npy": "npy", ".mat": "mat"}


def read_table(
    path: str | os.PathLike[str], *, columns: Iterable[str] | None = None, n_rows: int | None = None
) -> pl.DataFrame:
    """Read a table from a file.

    Parameters
    ----------
    path : path-like
        CSV, TSV or other delimited text with or without a header, ARFF (text also gzipped), Parquet, or NPZ,
        NPY and MAT with a numeric array ``X`` and optionally ``y``, which become the columns ``x0``, ``x1``,
        ... and ``y``.
    columns : iterable of str, optional
        Columns to read, in this order; all by default. A text file without a header has ``column_1``,
        ``column_2``, ...
    n_rows : int, optional
        Read only the first rows. The types of a text file's columns are then those of these rows (or of a
        few megabytes around them).

    Returns
    -------
    polars.DataFrame

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged, ragged or of an unknown format.
    DataError
        If a column is not in the file.
    """
    source, kind = _recognise(path)
    wanted = None if columns is None else list(columns)
    if kind == "text":
        text = TextTable(source, wanted)
        _require(source, wanted, text.dialect.names)
        frame = text.read(n_rows)
    elif kind == "parquet":
        scan = _scan(source)
        _require(source, wanted, tuple(scan.collect_schema()))
        frame = _collect(source, scan if wanted is None else scan.select(wanted), n_rows)
    else:
        frame = _ARRAYS[kind](source)
        _require(source, wanted, tuple(frame.columns))
        frame = frame if n_rows is None else frame.head(n_rows)
    return frame if wanted is None else frame.select(wanted)


def iter_batches(
    path: str | os.PathLike[str],
    *,
    schema: Mapping[str, pl.DataType | type[pl.DataType]] | None = None,
    batch_rows: int = 65536,
) -> Iterator[pl.DataFrame]:
    """Read a table from a file as batches that all have the same columns and types.

    Text and Parquet are read as a stream, so memory is bounded by the batch. A text file's types depend on
    all of its cells, so a text file is read twice unless ``schema`` names every column.

    Parameters
    ----------
    path : path-like
        A file of any format that :func:`read_table` accepts.
    schema : mapping of str to polars dtype, optional
        Types of columns by name. Names that are not in the file are ignored.
    batch_rows : int, default=65536
        Rows per batch, at least 1; the last batch may be shorter.

    Yields
    ------
    polars.DataFrame
        The next rows. A file with a header and no rows yields one batch of no rows.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged, ragged, of an unknown format, or does not have the types of ``schema``.
    DataError
        If ``batch_rows`` is below 1.
    """
    if batch_rows < 1:
        raise DataError(f"iter_batches(batch_rows={batch_rows}): batch_rows must be an integer of at least 1.")
    source, kind = _recognise(path)
    types = {name: pl.Series(dtype=dtype).dtype for name, dtype in (schema or {}).items()}
    return _batches(source, kind, types, batch_rows)


def _batches(source: Path, kind: str, types: dict[str, pl.DataType], batch_rows: int) -> Iterator[pl.DataFrame]:
    if kind == "text":
        text = TextTable(source, schema=types)
        text.settle()
        yield from _rebatch(text.frames(), pl.DataFrame(schema=text.schema), batch_rows)
        return
    pieces = _row_groups(source, batch_rows) if kind == "parquet" else iter([_ARRAYS[kind](source)])
    for batch in _rebatch(pieces, None, batch_rows):
        yield _cast(source, batch, types)


def _rebatch(pieces: Iterator[pl.DataFrame], empty: pl.DataFrame | None, batch_rows: int) -> Iterator[pl.DataFrame]:
    """Cut and join frames into batches of exactly ``batch_rows`` rows, the last one shorter."""
    held = empty
    yielded = False
    for piece in pieces:
        held = piece if held is None or held.is_empty() else pl.concat([held, piece], rechunk=False)
        while held.height >= batch_rows:
            yield held.head(batch_rows).rechunk()
            yielded = True
            held = held.slice(batch_rows)
    if held is not None and (held.height or not yielded):
        yield held.rechunk()


def _cast(source: Path, batch: pl.DataFrame, types: Mapping[str, pl.DataType]) -> pl.DataFrame:
    for name in batch.columns:
        if name in types and batch.schema[name] != types[name]:
            try:
                batch = batch.with_columns(pl.col(name).cast(types[name]))
            except pl.exceptions.PolarsError as error:
                raise FileFormatError(
                    f"{source}: column {name!r} holds {batch.schema[name]} that cannot be read as {types[name]}."
                ) from error
    return batch


def _require(source: Path, wanted: list[str] | None, names: tuple[str, ...]) -> None:
    if absent := [name for name in wanted or [] if name not in names]:
        raise DataError(f"{source} has no column {', '.join(map(repr, absent))}. Its columns are: {', '.join(names)}.")


def _recognise(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """Return the path and "text", "parquet", "npz", "npy" or "mat"."""
    source = Path(path)
    if source.is_dir():
        raise FileFormatError(f"{source} is a folder. Give the name of a file in it.")
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist. Check the name and the folder.")
    with source.open("rb") as raw:
        head = raw.read(16)
    packed = head.startswith(b"\x1f\x8b")
    if packed:
        head = _unpacked_head(source)
    kind = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "text")
    if kind == "mat 7.3":
        raise FileFormatError(f"{source} is a MATLAB 7.3 (HDF5) file. Save it with save(..., '-v7') or as CSV.")
    if kind == "npz" and source.suffix.lower() != ".npz":
        raise FileFormatError(
            f"{source} is a ZIP archive (or an Office file), not a table. Unpack it or save it as CSV."
        )
    named = _BINARY.get(source.suffix.lower())
    if named is not None and named != kind:
        raise FileFormatError(
            f"{source} is named like {named.upper()}, but its content is not. Fetch or save it again."
        )
    if packed and kind != "text":
        raise FileFormatError(f"{source} is a gzipped {kind.upper()} file. Unpack it with gunzip first.")
    return source, kind


def _unpacked_head(source: Path) -> bytes:
    try:
        with gzip.open(source, "rb") as stream:
            return stream.read(16)
    except (EOFError, OSError, zlib.error) as error:
        raise FileFormatError(f"{source} is a damaged or truncated gzip file. Fetch it again.") from error


def _scan(source: Path) -> pl.LazyFrame:
    scan = pl.scan_parquet(source, glob=False)
    _parquet(source, scan.collect_schema)
    return scan


def _collect(source: Path, scan: pl.LazyFrame, n_rows: int | None) -> pl.DataFrame:
    return _parquet(source, (scan if n_rows is None else scan.head(n_rows)).collect)


def _parquet(source: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise FileFormatError(f"{source} is a damaged Parquet file: {str(error).splitlines()[0]}") from error


def _row_groups(source: Path, batch_rows: int) -> Iterator[pl.DataFrame]:
    scan = _scan(source)
    start = 0
    while True:
        piece = _parquet(source, scan.slice(start, batch_rows).collect)
        if piece.height or start == 0:
            yield piece
        start += piece.height
        if piece.height < batch_rows:
            return
