"""How the columns of a data set are read, and what is known of them then."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

import polars as pl

from whitecrow.core.errors import ParameterError
from whitecrow.data.labels import read_labels
from whitecrow.workspace.column_profile import profile_columns

__all__ = ["ColumnKind", "DatasetSettings", "described", "read_by"]

ColumnKind = Literal["number", "category", "date", "boolean"]
_CASTS: dict[str, pl.DataType] = {
    "number": pl.Float64(),
    "category": pl.String(),
    "date": pl.Datetime("us"),
    "boolean": pl.Boolean(),
}


@dataclass(frozen=True)
class DatasetSettings:
    """How the columns of a data set are read.

    Parameters
    ----------
    label : str or None
        Column that says which rows are anomalies. It never reaches training.
    normal : tuple of str or None
        Its values that mean normal; None recognises the usual ones. A missing label is no label, never "normal".
    ignore : tuple of str
        Columns that no detector sees.
    time : str or None
        Column by which rows are in time; they are read in its order.
    types : mapping of str to {"number", "category", "date", "boolean"}
        Columns that are read as another type than the file's. A value that is none becomes missing.
    """

    label: str | None = None
    normal: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    time: str | None = None
    types: Mapping[str, ColumnKind] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return the settings of a JSON object."""
        normal = document.get("normal")
        return cls(
            label=document.get("label"),
            normal=None if normal is None else tuple(normal),
            ignore=tuple(document.get("ignore", ())),
            time=document.get("time"),
            types=dict(document.get("types", {})),
        )

    def document(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return json.loads(json.dumps(asdict(self)))


def described(
    table: pl.DataFrame, settings: DatasetSettings
) -> tuple[tuple[dict[str, Any], ...], dict[str, Any] | None]:
    """Check the settings against the table; return the profile of its columns and the counts of its labels.

    Raises
    ------
    ParameterError
        If a column is not there, a type is none, or nothing is left to learn from.
    DataError
        If the labels cannot be read.
    """
    named = [n for n in (settings.label, settings.time, *settings.ignore, *settings.types) if n is not None]
    if absent := [name for name in named if name not in table.columns]:
        raise ParameterError(
            f"The table has no column {absent[0]!r}. Its columns are: {', '.join(table.columns[:50])}."
        )
    if wrong := [kind for kind in settings.types.values() if kind not in _CASTS]:
        raise ParameterError(f"A column's type is {wrong[0]!r}; accepted are {', '.join(_CASTS)}.")
    hidden = {settings.label, *settings.ignore}
    if not [name for name in table.columns if name not in hidden]:
        raise ParameterError("Label and ignored columns leave no column to learn from. Ignore fewer.")
    read = read_by(table, settings)
    if settings.time is not None and not (
        read[settings.time].dtype.is_temporal() or read[settings.time].dtype.is_numeric()
    ):
        raise ParameterError(
            f"The time column {settings.time!r} holds {read[settings.time].dtype}; times or numbers are needed. "
            "Read it as a date, or name another."
        )
    labels = None if settings.label is None else read_labels(read[settings.label], settings.normal)
    profile = profile_columns(read, settings.label, None if labels is None else labels.y)
    documents: list[dict[str, Any]] = json.loads(json.dumps([column.to_dict() for column in profile]))
    return tuple(documents), None if labels is None else labels.to_dict()


def read_by(table: pl.DataFrame, settings: DatasetSettings) -> pl.DataFrame:
    """Return a table with the types, and in the order, that settings name."""
    casts = [_cast(table[name], _CASTS[kind]) for name, kind in settings.types.items()]
    table = table.with_columns(casts)
    if settings.time is None or table[settings.time].is_sorted():
        return table
    return table.sort(settings.time, maintain_order=True)


def _cast(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if column.dtype == pl.String and dtype == pl.Datetime("us"):
        try:
            return column.str.to_datetime(time_unit="us", strict=False)
        except pl.exceptions.PolarsError:  # no value looks like a time
            return pl.Series(column.name, [None] * len(column), dtype=dtype)
    if column.dtype == pl.String and dtype == pl.Boolean():
        lower = column.str.to_lowercase()
        truth = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        return lower.replace_strict(truth, default=None, return_dtype=pl.Boolean)
    return column.cast(dtype, strict=False)
