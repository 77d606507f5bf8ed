"""Tables of any library, and arrays, in one form."""

from collections.abc import Callable
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from whitecrow.core.errors import DataError

__all__ = ["as_table"]


def as_table(X: Any) -> pl.DataFrame | np.ndarray:
    """Return a table as a polars DataFrame, and anything like an array as a 2-D array of floats.

    Parameters
    ----------
    X : table or array-like
        A pandas, polars, Arrow, Modin or other table that narwhals knows; or numbers of shape [N, D].
        A pandas categorical column becomes an Enum with its categories; a column of mixed objects becomes
        text; times keep their clock and lose their zone. pandas tables need no pyarrow.

    Returns
    -------
    polars.DataFrame or ndarray of shape [N, D]
        Arrays of 32-bit floats stay so; all other numbers become 64-bit floats. Values may be NaN or inf.

    Raises
    ------
    DataError
        If column names are repeated or of mixed types, or if an array is not 2-D or holds no numbers.
    TypeError
        As NumPy and scikit-learn raise it, if X is sparse or holds objects.
    """
    if isinstance(X, pl.DataFrame):
        return X
    if isinstance(X, pl.LazyFrame):
        return X.collect()
    if isinstance(X, np.ndarray):
        return _array(X)
    frame = nw.from_native(X, pass_through=True) if not hasattr(X, "columns") else _known_table(X)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect(backend="polars")
    if not isinstance(frame, nw.DataFrame):
        return _array(X)
    if not frame.implementation.is_pandas_like():
        return frame.to_polars()
    return pl.DataFrame([_column(str(series.name), series) for series in frame.iter_columns()])


def _known_table(X: Any) -> Any:
    names = list(X.columns) if not callable(X.columns) else []
    kinds = sorted({type(name).__name__ for name in names})
    if len(kinds) > 1 and "str" in kinds:
        raise DataError(
            f"Column names must be all strings, but these are of the types {', '.join(kinds)}. "
            "Rename them, for example with X.columns = X.columns.astype(str)."
        )
    texts = [str(name) for name in names]
    if repeated := sorted({name for name in texts if texts.count(name) > 1}):
        raise DataError(f"Column names must differ, but X has more than one {', '.join(map(repr, repeated))}.")
    return nw.from_native(X, pass_through=True)


def _array(X: Any) -> np.ndarray:
    from sklearn.utils import check_array

    try:
        array = check_array(
            X,
            dtype="numeric",
            ensure_all_finite=False,
            ensure_min_samples=0,
            ensure_min_features=1,
            input_name="X",
        )
    except ValueError as error:
        raise DataError(str(error)) from error
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _column(name: str, series: nw.Series) -> pl.Series:
    """Return a column of a pandas-like table; pandas' own conversion would need pyarrow."""
    dtype = series.dtype
    if isinstance(dtype, (nw.Categorical, nw.Enum)):
        return _categories(name, series)
    if isinstance(dtype, nw.Datetime):
        series = series.dt.replace_time_zone(None)
    if dtype.is_numeric() or dtype == nw.Boolean or isinstance(dtype, (nw.Datetime, nw.Duration)):
        return _numbers(name, series)
    values = [None if _is_missing(value) else value for value in series.to_list()]
    if dtype == nw.String:
        return pl.Series(name, values, dtype=pl.String)
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        if all(value is None or type(value) in (int, float) for value in values):
            return pl.Series(name, values, dtype=pl.Float64, strict=False)
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)


def _numbers(name: str, series: nw.Series) -> pl.Series:
    missing = series.is_null().to_numpy().astype(bool)
    if not missing.any():
        return pl.Series(name, series.to_numpy())
    present = pl.Series(name, series.filter(~series.is_null()).to_numpy())
    # The n-th filled row takes the n-th present value; a null index leaves a null.
    position = pl.Series(np.cumsum(~missing) - 1).set(pl.Series(missing), None)
    return present.gather(position) if len(present) else pl.Series(name, [None] * len(missing), dtype=present.dtype)


def _categories(name: str, series: nw.Series) -> pl.Series:
    native = series.to_native()
    levels = [str(level) for level in native.cat.categories]
    if len(set(levels)) < len(levels):
        raise DataError(f"Column {name!r} has categories that read the same as text. Rename them.")
    codes = pl.Series(np.asarray(native.cat.codes, dtype=np.int64))
    chosen = pl.Series(name, levels, dtype=pl.Enum(levels))
    if not levels:
        return pl.Series(name, [None] * len(codes), dtype=pl.Enum([]))
    return chosen.gather(codes.set(codes < 0, None))


def _is_missing(value: Any) -> bool:
    # NaN, NaT and NA are the values that differ from themselves, or refuse to say.
    if value is None:
        return True
    equal: Callable[[], Any] = lambda: bool(value == value)  # noqa: E731
    try:
        return not equal()
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"
