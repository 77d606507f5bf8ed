"""Files scored batch by batch, in memory that does not grow with the file."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from whitecrow.core.errors import DataError, ParameterError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from whitecrow.detectors import Detector

__all__ = [
    "Scored",
    "TopRows",
    "check_folder",
    "check_output",
    "require_file",
    "scored_batches",
    "table_batches",
]


class Scored(NamedTuple):
    """A batch of rows with their scores."""

    rows: "pl.DataFrame"
    scores: "NDArray[np.float64]"
    first: int  # number of the first row, from 1


def table_batches(path: Path, detector: "Detector", batch_rows: int = 1 << 16) -> Iterator["pl.DataFrame"]:
    """Read a file batch by batch, with the types that the detector was fitted with.

    In text a category stays text even if all its values in this file are numbers. Numbers, dates and truth
    values arrive as the file has them.

    Yields
    ------
    polars.DataFrame
        All columns of the file, in their order.
    """
    import polars as pl

    from whitecrow.data import iter_batches
    from whitecrow.data.encoders import table_encoder

    encoder = table_encoder(detector.encoder_, f"Scoring the rows of {path.name}")
    categories = {column.name: pl.String() for column in encoder.columns_ if column.kind == "category"}
    # Parquet says itself what its columns are.
    schema = {} if path.suffix.lower() == ".parquet" else categories
    yield from iter_batches(path, schema=schema, batch_rows=batch_rows)


def scored_batches(path: Path, detector: "Detector", batch_rows: int = 1 << 16) -> Iterator[Scored]:
    """Read a file as :func:`table_batches` does, and score it.

    Yields
    ------
    Scored
        All columns of the file, in their order.
    """
    import numpy as np

    first = 1
    for rows in table_batches(path, detector, batch_rows):
        scores = detector.anomaly_score(rows) if rows.height else np.empty(0)
        yield Scored(rows, scores, first)
        first += rows.height


class TopRows:
    """Keeps the highest scores of a stream of batches.

    Attributes
    ----------
    rows : polars.DataFrame or None
        The rows, highest score first.
    numbers : ndarray of int64
        Their numbers in the file, from 1.
    scores : ndarray of float64
        Their scores.
    """

    def __init__(self, k: int) -> None:
        import numpy as np

        self._k = k
        self.rows: pl.DataFrame | None = None
        self.numbers: NDArray[np.int64] = np.empty(0, np.int64)
        self.scores: NDArray[np.float64] = np.empty(0)

    def add(self, batch: Scored) -> None:
        """Take what is high enough of a batch; of equal scores the earlier row stays."""
        import numpy as np
        import polars as pl

        best = np.argsort(-batch.scores, kind="stable")[: self._k]
        rows = batch.rows[best] if self.rows is None else pl.concat([self.rows, batch.rows[best]])
        numbers = np.append(self.numbers, batch.first + best)
        scores = np.append(self.scores, batch.scores[best])
        order = np.argsort(-scores, kind="stable")[: self._k]
        self.rows, self.numbers, self.scores = rows[order], numbers[order], scores[order]


def require_file(path: Path) -> None:
    """Check that a file is there before anything heavy is imported.

    Raises
    ------
    FileNotFoundError
        If it is not.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Check the name and the folder.")


def check_output(option: str, path: Path, suffixes: tuple[str, ...] = ()) -> None:
    """Check before any work that a file can be written.

    Raises
    ------
    ParameterError
        If its suffix is none of ``suffixes`` (any will do if there are none).
    DataError
        If it is a folder, or its folder is absent or cannot be written to.
    """
    if suffixes and not path.name.lower().endswith(suffixes):
        raise ParameterError(f"{option} {path}: the name must end in {', '.join(suffixes)}.")
    if path.is_dir():
        raise DataError(f"{option} {path} is a folder. Give the name of a file in it.")
    _check_parent(option, path)


def check_folder(option: str, path: Path, source: Path) -> None:
    """Check before any work that a folder for the rows of ``source`` can be made or filled.

    Raises
    ------
    ParameterError
        If it is the source or lies in it.
    DataError
        If it is a file, or cannot be written to.
    """
    if path.exists() and not path.is_dir():
        raise DataError(f"{option} {path} is a file, and the scores go to a folder of files. Give another name.")
    inner, outer = path.resolve(), source.resolve()
    if inner == outer or outer in inner.parents:
        raise ParameterError(f"{option} {path} is the folder of the input, or lies in it. Give another.")
    _check_parent(option, path)
    if path.is_dir() and not os.access(path, os.W_OK):
        raise DataError(f"{option} {path}: this folder cannot be written to. Choose another.")


def _check_parent(option: str, path: Path) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise DataError(f"{option} {path}: the folder {folder} does not exist. Create it first.")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{option} {path}: the folder {folder} cannot be written to. Choose another.")
