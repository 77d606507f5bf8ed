"""Arrays in files: NPZ, NPY and MAT. Numbers only; nothing in them is ever unpickled."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from whitecrow.core.errors import FileFormatError

__all__ = ["read_mat", "read_npy", "read_npz"]

_MAT_NUMBERS = {
    "double",
    "single",
    "logical",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}
# What numpy and scipy raise on damaged files, besides their own errors.
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OSError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npy(path: Path) -> pl.DataFrame:
    """Return a 2-D array as columns ``x0``, ``x1``, ...; a 1-D array is one column.

    Raises
    ------
    FileFormatError
        If the file is damaged or holds anything but numbers.
    """
    # Mapped, so that a declared shape beyond the file's length is an error and not an allocation.
    return _frame(path, _guarded(path, lambda: np.load(path, mmap_mode="r", allow_pickle=False)), None)


def read_npz(path: Path) -> pl.DataFrame:
    """Return the arrays ``X`` [N, D] as columns ``x0``, ``x1``, ... and, where present, ``y`` [N] as ``y``.

    Raises
    ------
    FileFormatError
        If the file is damaged, has no ``X``, or holds anything but numbers.
    """

    def load() -> dict[str, Any]:
        # Opened here, because numpy leaves a damaged file open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as archive:
            return {key: archive[key] for key in ("X", "y") if key in archive.files} or {"": archive.files}

    return _pair(path, _guarded(path, load))


def read_mat(path: Path) -> pl.DataFrame:
    """Return the variables ``X`` and ``y`` of a MATLAB file up to version 7, as :func:`read_npz` does.

    Raises
    ------
    FileFormatError
        If the file is damaged, of version 7.3, has no ``X``, or holds anything but numbers.
    """
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    def load() -> dict[str, Any]:
        try:
            kinds = {name: kind for name, _, kind in whosmat(str(path), appendmat=False)}
            wanted = [key for key in ("X", "y") if key in kinds]
            # The kind is asked first: structures, cells, objects and functions are never built.
            if odd := [f"{key} is {kinds[key]}" for key in wanted if kinds[key] not in _MAT_NUMBERS]:
                raise ValueError(f"{odd[0]}; accepted are dense numeric arrays")
            if not wanted:
                return {"": list(kinds)}
            loaded = loadmat(str(path), variable_names=wanted, appendmat=False)
        except MatReadError as error:
            raise ValueError(str(error)) from error
        return {key: loaded[key] for key in wanted}

    return _pair(path, _guarded(path, load))


def _guarded(path: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except _DAMAGE as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileFormatError(
            f"{path} cannot be read as {path.suffix.lstrip('.').upper() or 'an array file'}: {detail}. "
            "Save dense numeric arrays, without objects, as NPZ."
        ) from error


def _pair(path: Path, arrays: dict[str, Any]) -> pl.DataFrame:
    if "X" not in arrays:
        found = arrays.get("", list(arrays))
        raise FileFormatError(
            f"{path} holds {', '.join(map(repr, found)) or 'nothing'}, but no array named 'X'. "
            "Save the rows as X [N, D] and, if there are labels, y [N]."
        )
    return _frame(path, arrays["X"], arrays.get("y"))


def _frame(path: Path, X: np.ndarray, y: np.ndarray | None) -> pl.DataFrame:
    X = X[:, None] if X.ndim == 1 else X
    if X.ndim != 2 or X.shape[1] == 0:
        raise FileFormatError(f"{path}: X has the shape {X.shape}; accepted is [rows, columns].")
    columns = {f"x{k}": X[:, k] for k in range(X.shape[1])}
    if y is not None:
        if y.size != X.shape[0]:
            raise FileFormatError(f"{path}: y has {y.size} values, but X has {X.shape[0]} rows.")
        columns["y"] = y.reshape(-1)
    return pl.DataFrame({name: _native(path, name, values) for name, values in columns.items()})


def _native(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise FileFormatError(f"{path}: {name} has the type {values.dtype}; accepted are real numbers and booleans.")
    known = values.dtype.kind != "f" or values.dtype.itemsize in (4, 8)
    native = values.dtype.newbyteorder("=") if known else np.dtype(np.float64)
    return np.ascontiguousarray(values, dtype=native)
