"""Tables and arrays to float32 features, fitted on training rows, and back for display."""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ParameterError, WhitecrowWarning
from whitecrow.core.spec import Kind
from whitecrow.data.columns import Column, NumberColumn, NumberColumns, Scaling, fit_column
from whitecrow.data.encoder_state import columns_from_state, columns_to_state, settings_from_state
from whitecrow.data.encoders import Unfolded
from whitecrow.data.tables import as_table

__all__ = ["TableEncoder"]

_BLOCK_ROWS = 65536
_BLOCK_VALUES = 1 << 16  # of an array: half a megabyte of float64, which stays in the cache
_FEW_ROWS = 64  # up to which a call for each column takes longer than the scaling of its values
_NEAR = 32  # scales, within which an offset rounded to float32 is good enough


class TableEncoder:
    """Turn a table or an array into float32 features.

    - Numbers (also decimals, and durations in seconds) are scaled. Missing ones become the training mean; a
      column that had some in training gets a second feature that says so. A constant column is kept and
      divided by 1.
    - Truth values are 0 or 1, categories one 0/1 feature per level, both unscaled.
    - Dates and times become hour and weekday, each as sine and cosine.
    - A column without a single value in training is kept: numbers with scale 1, text with the level
      "missing" alone, so that a value in it is evidence.

    An array's columns are numbers named ``x0``, ``x1``, ... and may hold neither NaN nor inf.

    Whole numbers beyond 2^53 lose their last digits, as any float64 does. Values up to ±1.8e308 are scaled
    without overflow; features lie within ±3.4e38, the range of float32, at most.

    Parameters
    ----------
    scaling : {"standard", "robust", "minmax", "none"}, default="standard"
        Subtract the mean and divide by the standard deviation (divisor N); do so with mean and standard
        deviation of the values winsorised at their 5 % and 95 % quantiles, so that anomalies among the training
        rows do not inflate them (at least a tenth of the plain standard deviation; the plain one where the
        quantiles are equal); map the training range to [0, 1]; or leave numbers as they are.
    clip : float or None, default=10.0
        Scaled values are kept within ±clip. It does not touch numbers under ``scaling="none"``.
    max_levels : int, default=128
        Slots for the most frequent levels of a text column; the other levels seen in training share one, and
        levels that were not seen share another. Enum and pandas categorical columns have exactly the slots
        of their declared categories, and any other value, a missing one too, has none.

    Attributes
    ----------
    columns_ : list of Column
        The code of each column: its ``name``, ``kind`` ("number", "boolean", "category" or "date"), first
        feature ``start``, ``feature_names`` and statistics.
    n_features_out_ : int
        Number of features D.
    feature_names_ : list of str, length D
    column_of_feature_ : ndarray of int, shape [D]
        Index into ``columns_`` of the column that each feature comes from.

    Examples
    --------
    >>> table = pl.DataFrame({"bytes": [1.0, 3.0], "flag": ["S0", "SF"]})
    >>> encoder = TableEncoder().fit(table)
    >>> encoder.feature_names_
    ['bytes', 'flag=S0', 'flag=SF', 'flag=(unseen)']
    >>> encoder.transform(table).tolist()
    [[-1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]]
    """

    kind: ClassVar[Kind] = "table"
    columns_: list[Column]

    def __init__(self, scaling: Scaling = "standard", clip: float | None = 10.0, max_levels: int = 128) -> None:
        self.scaling: Scaling = scaling
        self.clip = clip
        self.max_levels = max_levels

    @staticmethod
    def read(X: Any) -> pl.DataFrame | np.ndarray:
        """Return a table or an array in one form; see :func:`whitecrow.data.as_table`."""
        return as_table(X)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one encoded row, (D,)."""
        return (self.n_features_out_,)

    def fit(self, X: Any, rows: Sequence[int] | np.ndarray | None = None) -> Self:
        """Learn columns, levels and statistics.

        Parameters
        ----------
        X : table or array-like of shape [N, D]
            See :func:`whitecrow.data.as_table`.
        rows : array of int, shape [n], optional
            Training rows: everything is learnt from these only. All rows by default.

        Returns
        -------
        TableEncoder
            Itself.

        Raises
        ------
        ParameterError
            If a parameter is out of its range.
        DataError
            If there is no row or column, an array holds NaN or inf, or a column is of an unusable type.
        """
        self._check_parameters()
        table = as_table(X)
        if table.shape[0] == 0 or table.shape[1] == 0:
            unit = "sample" if table.shape[0] == 0 else "feature"
            raise DataError(f"Found array with 0 {unit}(s) (shape={table.shape}) while a minimum of 1 is required.")
        chosen = None if rows is None else _row_index(rows, len(table))
        columns: list[Column] = []
        start = 0
        if isinstance(table, np.ndarray):
            _refuse_not_finite(table if chosen is None else table[chosen])
        for k in range(table.shape[1]):
            columns.append(fit_column(_column(table, k, chosen), start, self.scaling, self.clip, self.max_levels))
            start += len(columns[-1].feature_names)
        self._set("array" if isinstance(table, np.ndarray) else "table", columns)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of each row, which depend on that row alone.

        A table's columns are found by name, in any order; others are ignored. Where the encoder was fitted on
        an array, a table that has no columns of the names ``x0``, ``x1``, ... is taken by position, and where
        it was fitted on a table of nothing but numbers, so is an array; the width must then be the same.

        Parameters
        ----------
        X : table or array-like of shape [N, ...]

        Returns
        -------
        ndarray of float32, shape [N, D]
            C-contiguous and finite.

        Raises
        ------
        DataError
            If the encoder is not fitted, columns are missing, or values cannot be read as the kind of their
            column.

        Warns
        -----
        WhitecrowWarning
            If values are missing in a column that had none missing in training; they become the mean.
        """
        self._check_fitted()
        table = self._arranged(as_table(X))
        if isinstance(table, pl.DataFrame):
            out = np.zeros((table.height, self.n_features_out_), dtype=np.float32)
            missing: Counter[str] = Counter()
            for first in range(0, len(out), _BLOCK_ROWS):
                self._encode_part(table, first, out[first : first + _BLOCK_ROWS], missing)
            _warn_of_missing(missing)
            return out
        out = np.empty((len(table), self.n_features_out_), dtype=np.float32)
        block = np.empty((max(1, _BLOCK_VALUES // self.n_features_out_), self.n_features_out_), dtype=np.float32)
        filled = 0
        for n in self._fill_from_array(table, block):
            out[filled : filled + n] = block[:n]
            filled += n
        return out

    def fill(self, X: Any, block: np.ndarray) -> Iterator[int]:
        """Write the features of :meth:`transform` into a block, a few rows at a time.

        Parameters
        ----------
        X : table or array-like of shape [N, ...]
        block : ndarray of float32, shape [rows, D], C-contiguous
            Overwritten each time.

        Yields
        ------
        int
            How many rows of the block are those that follow in ``X``.

        Raises
        ------
        DataError
            As :meth:`transform` does; for what is wrong with a row, when it is reached.
        """
        self._check_fitted()
        table = self._arranged(as_table(X))
        if isinstance(table, np.ndarray):
            return self._fill_from_array(table, block)
        return self._fill_from_table(table, block)

    def folding(self, X: Any, n_replicas: int) -> Unfolded:
        """Return what collects the scores of the rows of :meth:`fill`: one score for each sample."""
        return Unfolded(len(X), n_replicas)

    def present(self, X: Any, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the samples in the form in which they were given: as they are."""
        return values

    def decode(self, features: np.ndarray) -> pl.DataFrame:
        """Return features, or a reconstruction of them, in original units.

        Numbers are unscaled (a clipped one shows the clip), categories are the slot with the largest value,
        dates a weekday and a time of day as text.

        Parameters
        ----------
        features : ndarray of shape [N, D]

        Returns
        -------
        polars.DataFrame
            One column per column of the training table.

        Raises
        ------
        DataError
            If the encoder is not fitted or the width is not D.
        """
        self._check_fitted()
        features = np.asarray(features)
        if features.ndim != 2 or features.shape[1] != self.n_features_out_:
            raise DataError(
                f"decode: features has the shape {features.shape}; accepted is [N, {self.n_features_out_}]."
            )
        return pl.DataFrame([column.decode(features) for column in self.columns_])

    def typical(self) -> dict[str, str]:
        """Return what is normal per column, in words: 5th to 95th percentile, or the commonest levels."""
        self._check_fitted()
        return {column.name: column.typical() for column in self.columns_}

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the fitted state as a JSON document and arrays.

        Returns
        -------
        document : dict
            Parameters, column names, kinds and levels; safe for ``json.dumps``.
        arrays : dict of str to ndarray
            Statistics: ``numbers`` float64 [K, 5], ``shares`` float64 [S], ``rare`` int64 [R].
        """
        self._check_fitted()
        columns, arrays = columns_to_state(self.columns_)
        document = {
            "scaling": self.scaling,
            "clip": self.clip,
            "max_levels": self.max_levels,
            "source": self._source,
            "columns": columns,
        }
        return document, arrays

    @classmethod
    def check_state(cls, document: Any) -> None:
        """Check a document of :meth:`to_state` as far as it can be without its arrays.

        Raises
        ------
        ModelFileError
            If a field is absent, unknown, of the wrong type or out of range.
        """
        settings_from_state(document)

    @classmethod
    def from_state(cls, document: Any, arrays: Mapping[str, Any]) -> Self:
        """Return the encoder that :meth:`to_state` described.

        Raises
        ------
        ModelFileError
            If a field is absent, unknown, of the wrong type, length or dtype, or out of range.
        """
        settings = settings_from_state(document)
        encoder = cls(settings.scaling, settings.clip, settings.max_levels)
        columns = columns_from_state(settings, arrays)
        encoder._set(settings.source, columns)
        return encoder

    def _set(self, source: Literal["table", "array"], columns: list[Column]) -> None:
        self._source: Literal["table", "array"] = source
        self.columns_ = columns
        self.feature_names_ = [name for column in columns for name in column.feature_names]
        self.n_features_out_ = len(self.feature_names_)
        widths = [len(column.feature_names) for column in columns]
        self.column_of_feature_ = np.repeat(np.arange(len(columns)), widths)
        self._numbers = NumberColumns([c for c in columns if c.kind == "number"])
        self._others = [k for k, column in enumerate(columns) if column.kind != "number"]

    def _encode_part(self, table: pl.DataFrame, first: int, out: np.ndarray, missing: Counter[str]) -> None:
        """Write the features of the rows from ``first`` on, as many as ``out`` has."""
        part = table.slice(first, len(out))
        together = len(out) <= _FEW_ROWS and self._encode_numbers(part, out, missing)
        for k in self._others if together else range(len(self.columns_)):
            column = self.columns_[k]
            missing[column.name] += column.encode(part.to_series(k), out)

    def _encode_numbers(self, table: pl.DataFrame, out: np.ndarray, missing: Counter[str]) -> bool:
        """Write the features of all columns of numbers in one call; return False if one of them is no ordinary one."""
        names = self._numbers.names
        numbers = table[names] if self._others else table
        if not all(isinstance(dtype, pl.Float64) for dtype in numbers.dtypes):
            return False
        values = np.array(numbers.rows(), dtype=np.float64).reshape(len(out), len(names))
        if np.isinf(values).any():
            return False
        missing.update(dict(zip(names, self._numbers.encode(values, out).tolist(), strict=True)))
        return True

    def _fill_from_table(self, table: pl.DataFrame, block: np.ndarray) -> Iterator[int]:
        missing: Counter[str] = Counter()
        # Encoded in larger blocks than are asked for, because each column costs a call; but in blocks, so that
        # temporaries stay small and the scattered writes stay in the cache.
        n = table.height
        for first in range(0, n, _BLOCK_ROWS):
            features = np.zeros((min(_BLOCK_ROWS, n - first), self.n_features_out_), dtype=np.float32)
            self._encode_part(table, first, features, missing)
            for start in range(0, len(features), len(block)):
                rows = features[start : start + len(block)]
                block[: len(rows)] = rows
                yield len(rows)
        _warn_of_missing(missing)

    def _fill_from_array(self, X: np.ndarray, block: np.ndarray) -> Iterator[int]:
        numbers = [column for column in self.columns_ if isinstance(column, NumberColumn)]
        offset, scale = np.array([(c.offset, c.scale) for c in numbers]).T
        # One limit for all, as the columns of an array have; it is exact in float32 or the largest float32.
        limit = np.float32(numbers[0].limit)
        # Single precision is scaled as it is, in half the time, where rounding the offset to it moves no feature by
        # more than 1e-6.
        single = X.dtype == np.float32 and bool(
            ((scale > 1e-37) & (scale < 1e37) & (abs(offset) <= _NEAR * scale)).all()
        )
        if single:
            offset, scale = offset.astype(np.float32), scale.astype(np.float32)
        # A number that had missing values in training has an indicator beside it, which stays 0.
        places = [column.start for column in numbers]
        narrow = block
        if len(places) < block.shape[1]:
            block.fill(0)
            narrow = np.empty((len(block), len(places)), dtype=np.float32)
        values = narrow if single else np.empty(narrow.shape)
        for first in range(0, len(X), len(block)):
            rows = X[first : first + len(block)]
            n = len(rows)
            scaled, features = values[:n], narrow[:n]
            with np.errstate(over="ignore", invalid="ignore"):
                np.subtract(rows, offset, out=scaled)
                # A finite sum proves all values finite, at a fraction of the cost; any other sum proves nothing.
                if not np.isfinite(scaled.sum()) and not np.isfinite(rows).all():
                    _refuse_not_finite(X)
                scaled /= scale
                if not single:
                    features[...] = scaled
                np.clip(features, -limit, limit, out=features)
            if narrow is not block:
                block[:n, places] = features
            yield n

    def _arranged(self, table: pl.DataFrame | np.ndarray) -> pl.DataFrame | np.ndarray:
        """Return an array as it is, and of a table the columns that were fitted, in their order."""
        names = [column.name for column in self.columns_]
        if isinstance(table, np.ndarray):
            if self._source == "table" and any(column.kind != "number" for column in self.columns_):
                raise DataError(
                    f"TableEncoder was fitted on a table with the columns {', '.join(names)}. Give "
                    "a table with "
                    "these columns, not an array."
                )
            self._check_width(table.shape[1])
            return table
        given = set(table.columns)
        absent = [name for name in names if name not in given]
        if self._source == "array" and len(absent) == len(names):
            self._check_width(table.shape[1])
            return pl.DataFrame([values.alias(name) for name, values in zip(names, table, strict=True)])
        if absent:
            raise DataError(
                f"The table has no column {', '.join(map(repr, absent))}, which the training table had. "
                f"Its columns are: {', '.join(table.columns)}."
            )
        return table if table.columns == names else table[names]

    def _check_width(self, width: int) -> None:
        if width != len(self.columns_):
            raise DataError(
                f"X has {width} features, but TableEncoder is expecting {len(self.columns_)} features as input."
            )

    def _check_parameters(self) -> None:
        if self.scaling not in get_args(Scaling):
            raise ParameterError(
                f"TableEncoder(scaling={self.scaling!r}): scaling must be 'standard', 'robust', 'minmax' or 'none'."
            )
        if self.clip is not None and not (_is_real(self.clip) and math.isfinite(self.clip) and self.clip > 0):
            raise ParameterError(f"TableEncoder(clip={self.clip!r}): clip must be a number greater than 0, or None.")
        if not isinstance(self.max_levels, int) or isinstance(self.max_levels, bool) or self.max_levels < 1:
            raise ParameterError(
                f"TableEncoder(max_levels={self.max_levels!r}): max_levels must be an integer of at least 1."
            )

    def _check_fitted(self) -> None:
        if not hasattr(self, "columns_"):
            raise DataError("This TableEncoder is not fitted. Call fit with training rows first.")


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _row_index(rows: Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    index = np.asarray(rows)
    if index.ndim != 1 or index.size == 0 or index.dtype.kind not in "iu":
        raise DataError(
            f"rows has the shape {index.shape} and the type {index.dtype}; accepted are integers [n], n at least 1."
        )
    if index.min() < 0 or index.max() >= n:
        raise DataError(f"rows holds indices from {index.min()} to {index.max()}, but the table has rows 0 to {n - 1}.")
    return index.astype(np.int64)


def _column(table: pl.DataFrame | np.ndarray, k: int, rows: np.ndarray | None) -> pl.Series:
    if isinstance(table, np.ndarray):
        values = table[:, k] if rows is None else table[rows, k]
        return pl.Series(f"x{k}", np.ascontiguousarray(values, dtype=np.float64))
    column = table.to_series(k)
    return column if rows is None else column.gather(rows)


def _warn_of_missing(missing: Counter[str]) -> None:
    if found := [f"{name!r} ({count})" for name, count in missing.items() if count]:
        warnings.warn(
            "Values are missing in columns that had none missing in training: "
            f"{', '.join(found)}. They were taken to be the training mean.",
            WhitecrowWarning,
            stacklevel=3,
        )


def _refuse_not_finite(X: np.ndarray) -> None:
    # A finite sum proves all values finite, at a fraction of the cost; any other sum proves nothing.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum(dtype=np.float64)):
            return
    bad = ~np.isfinite(X)
    counts = bad.sum(axis=0)
    if counts.any():
        k = int(counts.argmax())
        found = " and ".join(w for w, has in (("NaN", np.isnan(X).any()), ("inf", np.isinf(X).any())) if has)
        raise DataError(
            f"Input X contains {found}: column x{k} in {counts[k]} rows, {int(counts.sum())} values "
            "in all. Remove these "
            "rows, fill in the values, or give a table, in which missing values are allowed."
        )
