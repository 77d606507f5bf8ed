"""Which rows of a label column are anomalies."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whitecrow.core.errors import DataError, ParameterError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["NORMAL_NAMES", "Labels", "read_labels", "require_columns"]

NORMAL_NAMES = ("0", "normal", "normal.", "benign", "false", "no", "-")
_SHOWN = 8


@dataclass(frozen=True)
class Labels:
    """The labels of a file.

    Parameters
    ----------
    y : ndarray of int8, shape [N]
        1 anomaly, 0 normal, -1 no label.
    families : ndarray of str, shape [N], or None
        The labels as text, where there is more to tell than anomaly and normal.
    counts : dict of str to int
        Rows of each label as text, the most frequent first.
    normal : tuple of str
        Which of them are normal.
    """

    y: "NDArray[np.int8]"
    families: "NDArray[np.str_] | None"
    counts: dict[str, int]
    normal: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what was counted, for JSON."""
        return {
            "normal_values": list(self.normal),
            "counts": self.counts,
            "normal_rows": int((self.y == 0).sum()),
            "anomalous_rows": int((self.y == 1).sum()),
            "unlabelled_rows": int((self.y == -1).sum()),
        }

    def __str__(self) -> str:
        anomalous = {name: n for name, n in self.counts.items() if name not in self.normal}
        named = ", ".join(f"{name} {n:,}" for name, n in list(anomalous.items())[:_SHOWN])
        if len(anomalous) > _SHOWN:
            named += f" and {len(anomalous) - _SHOWN} more"
        text = f"{(self.y == 1).sum():,} rows are anomalies"
        text += f" ({named})" if named else ""
        text += f", {(self.y == 0).sum():,} normal ({', '.join(self.normal)})"
        missing = int((self.y == -1).sum())
        return f"{text}, {missing:,} without a label" if missing else text


def read_labels(column: "pl.Series", normal: Sequence[str] | None) -> Labels:
    """Return the labels of a column.

    Parameters
    ----------
    column : polars.Series
        Truth values, numbers or text. Missing values are no label, never "normal".
    normal : sequence of str or None
        Values that mean normal. None recognises 0, false and :data:`NORMAL_NAMES`.

    Raises
    ------
    ParameterError
        If a value in ``normal`` is not in the column.
    DataError
        If the column is empty, or if ``normal`` is None and it cannot be told which values are normal.
    """
    import polars as pl

    text = _as_text(column)
    counted = text.drop_nulls().value_counts(sort=True)
    counts = dict(zip(counted.to_series(0).to_list(), counted.to_series(1).to_list(), strict=True))
    if not counts:
        raise DataError(f"The label column {column.name!r} has no value in any row. Name another column.")
    chosen = _recognised(column, counts) if normal is None else _given(column.name, counts, normal)
    classes = {name: 0 if name in chosen else 1 for name in counts}
    y = text.replace_strict(classes, return_dtype=pl.Int8).fill_null(-1).to_numpy()
    told = len(counts) > 2 or (column.dtype != pl.Boolean and not column.dtype.is_numeric())
    families = text.fill_null("").to_numpy().astype("U") if told else None
    return Labels(y, families, counts, tuple(name for name in counts if name in chosen))


def require_columns(option: str, names: Iterable[str], columns: Sequence[str], file: object) -> None:
    """Raise a ParameterError if a column that an option names is not in the file."""
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=3)
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            raise ParameterError(
                f"{option} {name}: {file} has no such column. {hint}Its columns are: {', '.join(columns)}."
            )


def _as_text(column: "pl.Series") -> "pl.Series":
    import polars as pl

    if column.dtype.is_float() and bool((column.drop_nulls() == column.drop_nulls().round()).all()):
        column = column.cast(pl.Int64)
    return column.cast(pl.String)


def _recognised(column: "pl.Series", counts: dict[str, int]) -> set[str]:
    some = ", ".join(list(counts)[:_SHOWN])
    if column.dtype.is_numeric() and not set(counts) <= {"0", "1"}:
        raise DataError(
            f"The label column {column.name!r} holds the numbers {some}; unless it is said which are normal, only 0 "
            "(normal) and 1 (anomaly) are understood. Say it: for example by --normal 0 on the command line, or in the "
            "console under Values that mean normal."
        )
    found = {name for name in counts if name.strip().lower() in NORMAL_NAMES}
    if not found and not column.dtype.is_numeric():
        raise DataError(
            f"The label column {column.name!r} holds {some}; none of them is known to mean normal "
            f"({', '.join(NORMAL_NAMES)} are). Say which do: by --normal VALUE on the command line, or in the console "
            "under Values that mean normal."
        )
    return found


def _given(name: str, counts: dict[str, int], normal: Sequence[str]) -> set[str]:
    wanted = {value.strip().lower() for value in normal}
    found = {value for value in counts if value.strip().lower() in wanted}
    if absent := sorted(wanted - {value.strip().lower() for value in found}):
        raise ParameterError(
            f"{absent[0]!r} was called normal, but the label column {name!r} has no such value. It holds: "
            f"{', '.join(list(counts)[:20])}."
        )
    return found
