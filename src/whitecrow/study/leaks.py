"""Leaks that make figures look better than they are: found before training, refused or reported."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from whitecrow.calibrate import BestF1, CostBased, PeaksOverThreshold, Quantile, Threshold
from whitecrow.core.errors import DataError, ParameterError, WhitecrowError
from whitecrow.core.registry import unknown_name
from whitecrow.data.tables import as_table
from whitecrow.metrics.inputs import binary
from whitecrow.study.figures import Figure, figure
from whitecrow.study.label_columns import both_classes, is_label, near_label
from whitecrow.study.protocols.splits import Split

__all__ = [
    "DuplicateReport",
    "LeakError",
    "check_label_column",
    "check_metrics",
    "check_split",
    "check_threshold",
    "duplicates",
]

_OWN = ("model", Quantile.name, PeaksOverThreshold.name)
_LABELLED = (BestF1.name, CostBased.name, "accuracy", "f1", "cost", "youden", "known-ratio", "labels")


class LeakError(WhitecrowError, ValueError):
    """Something of the test reaches training or the threshold."""


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """How many test rows have the values of a training row.

    Attributes
    ----------
    n_test : int
        Rows of the test.
    n_copies : int
        Those whose values all equal those of a training row.
    distinct_train, distinct_test : int
        Different rows of each part.
    """

    n_test: int
    n_copies: int
    distinct_train: int
    distinct_test: int

    @property
    def share(self) -> float:
        """Share of the test that copies a training row, from 0 to 1."""
        return self.n_copies / self.n_test if self.n_test else 0.0

    def __str__(self) -> str:
        return (
            f"{self.n_copies:,} of {self.n_test:,} test rows ({self.share:.1%}) copy a training row; "
            f"{self.distinct_test:,} rows of the test and {self.distinct_train:,} of training are distinct."
        )


def check_split(split: Split, overlaps: bool = False) -> None:
    """Refuse a split in which a row trains and tests.

    Parameters
    ----------
    split : Split
        What a protocol returned.
    overlaps : bool, default=False
        Whether the protocol declares that rows may be in both parts. Rows with a known label never may.

    Raises
    ------
    LeakError
        With the number of rows and what to do.
    """
    known = _shared(split.known, split.test)
    if known.size:
        raise LeakError(
            f"{known.size} test rows have a label that the detector may see ({_some(known)}). "
            "Take the labelled rows out of the test."
        )
    # Injected rows are training rows, whether or not a split lists them there.
    both = _shared(np.concatenate([split.train, split.injected]), split.test)
    if both.size and not overlaps:
        raise LeakError(
            f"{both.size} rows both train and test ({_some(both)}), and the protocol does not declare it. Take them "
            "out of one part; a protocol that draws with replacement declares overlaps = True."
        )


def duplicates(X: Any, split: Split) -> DuplicateReport:
    """Count the test rows whose values equal those of a training row. They are reported, not refused.

    Rows may be images or fixed windows as well, which are compared value by value.

    Rows are compared by a 64-bit hash of all values: 0.0 equals -0.0, NaN equals NaN, and a missing value
    another. That two of a million distinct rows agree by accident happens in fewer than one of ten million tables.

    Parameters
    ----------
    X : table or array-like, shape (N, D), or ndarray, shape (N, ...)
        The rows that the split's indices refer to.
    split : Split
        What a protocol returned.

    Raises
    ------
    DataError
        If X is no table or the split refers to rows that it has not.
    """
    hashes = _hashes(X)
    last = max((int(rows.max()) for rows in (split.train, split.test) if rows.size), default=-1)
    if last >= len(hashes):
        raise DataError(f"The split refers to row {last}, but X has {len(hashes)} rows. Pass the rows it was made for.")
    train, test = np.unique(hashes[split.train]), hashes[split.test]
    return DuplicateReport(
        n_test=len(test),
        n_copies=int(np.isin(test, train).sum()),
        distinct_train=len(train),
        distinct_test=len(np.unique(test)),
    )


def check_label_column(X: Any, y: ArrayLike, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Refuse a table that holds its label as a column; return notes on columns that come near it.

    Refused is a column with two values, numbers or text, one for every anomaly and the other for every normal
    row; a missing value counts as a value. Only noted, because honest columns do it too, is a column that
    separates the classes almost perfectly: by its order (AUROC above 0.999 or below 0.001), by where it is
    missing, or by levels of text that each belong to one class and ten times as many rows as levels.

    Parameters
    ----------
    X : table or array-like, shape (N, D), or ndarray, shape (N, ...)
        Features, without the label; of images and windows, each value is a column.
    y : array-like of {0, 1}, shape (N,)
        1 = anomaly. With a single class there is nothing to find.
    names : sequence of str, optional
        Names of the columns of an array.

    Returns
    -------
    tuple of str
        A sentence for each suspicious column.

    Raises
    ------
    LeakError
        Naming the columns that are the label.
    DataError
        If X, y or names cannot be used together.
    """
    table, labels = _frame(X, names), binary(y)
    if table.height != len(labels):
        raise DataError(f"X has {table.height} rows and y has {len(labels)}; both need one value for each row.")
    if labels.all() or not labels.any():
        return ()
    if same := [column.name for column in table if is_label(column, labels)]:
        raise LeakError(
            f"The label of every row can be read off the column {' and off the column '.join(map(repr, same))}: the "
            "label itself, its complement or a recoding of it. Drop it from the features."
        )
    sample = both_classes(labels)
    notes = [(column.name, near_label(column, labels, sample)) for column in table]
    return tuple(
        f"The column {name!r} {note}. Make sure that it is known before the label." for name, note in notes if note
    )


def check_metrics(names: Iterable[str]) -> tuple[Figure, ...]:
    """Return the figures of these names, if each says what it takes from the test labels.

    Parameters
    ----------
    names : iterable of str
        Names of :func:`whitecrow.study.figures.figures`.

    Raises
    ------
    ParameterError
        If a name leaves open who sets the threshold, such as ``f1``, stands twice, or there is no name.
    UnknownNameError
        If there is no such figure.
    """
    if isinstance(names, str):
        names = [names]
    found = tuple(figure(name) for name in names)
    if not found:
        raise ParameterError("A study needs at least one metric, for example auroc.")
    if twice := sorted({f.name for f in found if found.count(f) > 1}):
        raise ParameterError(f"The metrics name {', '.join(twice)} more than once. Name each once.")
    return found


def check_threshold(source: str | Threshold) -> None:
    """Refuse a study's threshold that would be fitted on the labels of the test.

    Parameters
    ----------
    source : str or threshold rule
        ``"model"``, the detector's own, set when it is fitted; or the name of a rule of
        :mod:`whitecrow.calibrate`, or the rule itself, that needs no labels.

    Raises
    ------
    LeakError
        If it needs labels, or names the test: in a study only the test has them.
    UnknownNameError
        If there is no such source.
    """
    rule = isinstance(source, Threshold)
    name = source.name if rule else str(source)
    plain = name.lower().replace("_", "-").replace(" ", "-")
    if (rule and source.needs_labels) or plain in _LABELLED or "test" in plain.split("-"):
        raise LeakError(
            f"A threshold from {name!r} would be fitted on the labels it is then measured on. Use the model's own "
            "(threshold = 'model'); figures of merit that take a threshold from the test say so in their names: "
            "f1_at_known_ratio, best_f1_on_test, f1_tuned_on_test_fifth."
        )
    if not rule and plain not in _OWN:
        raise unknown_name("threshold source", source, list(_OWN))


def _shared(rows: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(test[np.isin(test, rows)])


def _some(rows: NDArray[np.int64]) -> str:
    shown = ", ".join(map(str, rows[:3].tolist()))
    return f"rows {shown}, ..." if rows.size > 3 else f"row{'s' if rows.size > 1 else ''} {shown}"


def _hashes(X: Any) -> NDArray[Any]:
    """Return a hash of the values of each row."""
    if isinstance(X, np.ndarray) and X.ndim > 2:
        # Hundreds of pixels are no columns of a table. Adding 0 makes -0.0 what it equals.
        return np.array([hash(sample.tobytes()) for sample in X + X.dtype.type(0)])
    return _frame(X).hash_rows(seed=0).to_numpy()


def _frame(X: Any, names: Sequence[str] | None = None) -> pl.DataFrame:
    table = as_table(X.reshape(len(X), -1) if isinstance(X, np.ndarray) and X.ndim > 2 else X)
    if isinstance(table, pl.DataFrame):
        return table
    if names is not None and len(names) != table.shape[1]:
        raise DataError(f"{len(names)} names were given for {table.shape[1]} columns; give one for each.")
    return pl.DataFrame(table, schema=[f"column {i}" for i in range(table.shape[1])] if names is None else list(names))
