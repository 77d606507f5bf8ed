"""Files that grow and that the operator allows to be followed, by the names that requests may say."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import polars as pl

from whitecrow.core.errors import DataError, ParameterError, UnknownNameError
from whitecrow.data.encoders import table_encoder
from whitecrow.workspace.stream.labelling import NORMAL
from whitecrow.workspace.stream.tail import TailSource

__all__ = ["LiveFile", "LiveFiles"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,58}[A-Za-z0-9])?")
_FORM = "Give NAME=FILE, such as firewall=/var/log/firewall.csv."


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A file that another program writes to.

    Parameters
    ----------
    name : str
        What requests call it: 1 to 60 letters, digits, points, dashes, underscores and blanks between them.
    path : pathlib.Path
        Of CSV, or of JSON lines where the name of the file ends in .jsonl, .ndjson or .json.

    Raises
    ------
    ParameterError
        If the name has other characters.
    """

    name: str
    path: Path

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ParameterError(
                f"A live source cannot be called {self.name[:80]!r}: accepted are 1 to 60 letters, digits, points, "
                f"dashes, underscores and blanks, with a letter or digit at both ends. {_FORM}"
            )

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the file that an operator names as ``NAME=FILE``; it must be there and be readable.

        Raises
        ------
        ParameterError
            If the text has another form, or the file cannot be followed.

        Examples
        --------
        >>> LiveFile.of("firewall.csv")
        Traceback (most recent call last):
        whitecrow.core.errors.ParameterError: 'firewall.csv' names no live source. Give NAME=FILE, such as ...
        """
        name, mark, file = text.partition("=")
        if not mark or not name or not file:
            raise ParameterError(f"{text!r} names no live source. {_FORM}")
        # Not resolved: where the name is a link, it may lead to another file tomorrow.
        made = cls(name, Path(file).expanduser().absolute())
        if not made.path.exists():
            raise ParameterError(f"{file} does not exist, so it cannot be followed as {name!r}. Check the name.")
        if not made.path.is_file():
            raise ParameterError(f"{file} is not a regular file, so it cannot be followed. Name a file that grows.")
        try:
            made.path.open("rb").close()
        except OSError as error:
            raise ParameterError(
                f"{file} cannot be read: {error.strerror}. Let this user read it, or name another."
            ) from error
        return made

    def document(self) -> dict[str, Any]:
        """Return the name, and how the file is now, for JSON; its path is the operator's."""
        try:
            found = self.path.stat() if self.path.is_file() else None
        except OSError:
            found = None
        changed = None if found is None else datetime.fromtimestamp(found.st_mtime, UTC)
        return {
            "name": self.name,
            "available": found is not None,
            "bytes": None if found is None else found.st_size,
            "changed": None if changed is None else changed.isoformat(timespec="milliseconds"),
        }


class LiveFiles:
    """The files that may be followed; none before the operator allows them. A request can name these and no others."""

    def __init__(self) -> None:
        self._files: dict[str, LiveFile] = {}

    def allow(self, files: Iterable[LiveFile]) -> None:
        """Let these files be followed and no others.

        Raises
        ------
        ParameterError
            If two have the same name.
        """
        allowed: dict[str, LiveFile] = {}
        for one in files:
            if one.name in allowed:
                raise ParameterError(f"Two live sources are called {one.name!r}. Give each a name of its own.")
            allowed[one.name] = one
        self._files = allowed

    def all(self) -> list[LiveFile]:
        """Return the files in the order in which they were allowed."""
        return list(self._files.values())

    def open(
        self,
        name: str,
        detectors: Mapping[str, Any],
        *,
        label: str | None = None,
        normal: Sequence[str] | None = None,
        from_beginning: bool = False,
    ) -> TailSource:
        """Open a file for detectors to race on; the caller closes it.

        Parameters
        ----------
        name : str
            Of a file that is allowed.
        detectors : mapping of str to detector
            Fitted on tables. Columns that they read are taken as what they were in training, all others as text.
        label : str, optional
            Column of labels. Where the file has none of this name, or a detector reads it, records have no labels.
        normal : sequence of str, optional
            Labels that mean normal; by default 0, false and the usual names.
        from_beginning : bool, default=False
            Read what is there first; by default only what is written from now on.

        Raises
        ------
        UnknownNameError
            If no file of this name is allowed.
        DataError
            If the file is gone or cannot be read, or lacks a column that a detector reads.
        """
        if name not in self._files:
            known = ", ".join(self._files) or "none"
            raise UnknownNameError(
                f"No live source is called {name[:80]!r}. Allowed are: {known}. The operator allows files with: "
                "whitecrow serve --follow NAME=FILE"
            )
        schema = _schema(detectors.values())
        try:
            source = TailSource(
                self._files[name].path,
                schema=schema, infer=False, required=tuple(schema), delimiter=None,
                label=None if label in schema else label, label_optional=True,
                normal=NORMAL if normal is None else normal,
            )  # fmt: skip
        except OSError as error:
            raise DataError(
                f"The file of the live source {name!r} cannot be opened. Ask the operator for it."
            ) from error
        try:
            source.begin(at_end=not from_beginning)
        except BaseException:
            source.close()
            raise
        return source


def _schema(detectors: Iterable[Any]) -> dict[str, pl.DataType]:
    """Return the type of each column that a detector reads; text, which all can read, where they differ."""
    found: dict[str, pl.DataType] = {}
    for detector in detectors:
        for column in table_encoder(detector.encoder_, "A live source").columns_:
            dtype = _dtype(column)
            found[column.name] = dtype if found.get(column.name, dtype) == dtype else pl.String()
    return found


def _dtype(column: Any) -> pl.DataType:
    if column.kind == "date":
        return pl.Time() if column.parts == ("hour",) else pl.Datetime("us")
    return {"number": pl.Float64(), "boolean": pl.Boolean(), "category": pl.String()}[column.kind]
