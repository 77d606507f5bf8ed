"""Data sets whose samples are arrays: images, and sequences of one length; and stretches of a series that train."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.images import Images, as_images
from whitecrow.data.labels import read_labels
from whitecrow.data.series import SeriesRows, as_series

__all__ = [
    "CONTENT",
    "KINDS",
    "LABEL",
    "SampleKind",
    "checked_samples",
    "for_detector",
    "index_of",
    "labels_understood",
    "open_samples",
    "steps_that_train",
]

SampleKind = Literal["table", "image", "sequence"]
KINDS: tuple[SampleKind, ...] = ("table", "image", "sequence")
"""Kinds of data sets."""

LABEL = "label"
"""Column of the labels that came with arrays."""

CONTENT = "content"
"""Column of a number for the content of each array, by which copies are told; it is not shown."""

_MOST_VALUES = 1 << 24  # of one sample


def checked_samples(kind: SampleKind, samples: Any) -> NDArray[Any]:
    """Return arrays as a data set keeps them.

    Parameters
    ----------
    kind : {"image", "sequence"}
        What they are.
    samples : array-like
        Images ``[N, H, W]``, ``[N, H, W, C]`` or ``[N, C, H, W]``; sequences ``[N, T]`` or ``[N, T, C]``.

    Returns
    -------
    ndarray [N, C, H, W] or [N, T, C]
        Finite numbers, those of images in the type that they came in.

    Raises
    ------
    DataError
        If the shape is another, there is no sample, or values are not finite.
    """
    if kind == "image":
        array = as_images(samples).pixels if not isinstance(samples, Images) else samples.pixels  # pyright: ignore[reportAttributeAccessIssue] - arrays give Images
    else:
        array = np.asarray(samples)
        if array.ndim not in (2, 3) or array.dtype.kind not in "biuf":
            raise DataError(
                f"Sequences have the shape {array.shape} and the type {array.dtype}; accepted are numbers [N, T] or "
                "[N, T, C]: N sequences of T steps and C channels. One long series is brought as a table."
            )
        array = array.reshape(*array.shape[:2], -1).astype(np.float32 if array.dtype == np.float32 else np.float64)
    if not array.size:
        raise DataError(f"The array has the shape {array.shape}, so there is no sample. Give at least one.")
    if array[0].size > _MOST_VALUES:
        raise DataError(f"A sample has {array[0].size:,} values; at most {_MOST_VALUES:,} are taken. Make it smaller.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))[0])
        raise DataError(f"Sample {bad} holds NaN or infinite values. Fill them in, or leave it out.")
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array)


def index_of(array: NDArray[Any], labels: Sequence[Any] | NDArray[Any] | None) -> pl.DataFrame:
    """Return what lists show of samples in place of columns, ``[N, 5]`` or, with the labels, ``[N, 6]``.

    Raises
    ------
    DataError
        If there is not one label for each sample.
    """
    flat = array.reshape(len(array), -1)
    content = [int.from_bytes(blake2b(row.tobytes(), digest_size=8).digest()) for row in flat]
    columns = [
        pl.Series("least", flat.min(1).astype(np.float64)),
        pl.Series("greatest", flat.max(1).astype(np.float64)),
        pl.Series("mean", flat.mean(1, dtype=np.float64)),
        pl.Series("deviation", flat.std(1, dtype=np.float64)),
        pl.Series(CONTENT, content, dtype=pl.UInt64),
    ]
    if labels is not None:
        if len(labels) != len(array):
            raise DataError(f"There are {len(labels):,} labels and {len(array):,} samples; give one for each.")
        columns.append(pl.Series(LABEL, labels))
    return pl.DataFrame(columns)


def labels_understood(index: pl.DataFrame) -> bool:
    """Return whether the labels that came with arrays say by themselves which samples are normal."""
    if LABEL not in index.columns:
        return False
    try:
        read_labels(index[LABEL], None)
    except (DataError, ParameterError):
        return False
    return True


def open_samples(file: Path) -> NDArray[Any]:
    """Return the samples of a file of ours, which are read when they are needed."""
    return np.load(file, mmap_mode="r", allow_pickle=False)


def for_detector(kind: str, array: NDArray[Any]) -> Any:
    """Return samples as detectors take them."""
    return Images(array, "NCHW") if kind == "image" else array


def steps_that_train(
    table: pl.DataFrame, trains: NDArray[np.bool_], y: NDArray[np.int64] | None
) -> tuple[Any, NDArray[np.int64] | None]:
    """Return the rows of a series that train, and what is told of them; no window reaches over those left out.

    Parameters
    ----------
    table : polars.DataFrame, shape [T, columns]
        The whole series.
    trains : ndarray of bool [T]
        Which rows train.
    y : ndarray of int64 [T] or None
        Labels that the detector is told.

    Raises
    ------
    DataError
        If the table is no series.
    """
    n = int(trains.sum())
    if trains[:n].all():
        return table[:n], None if y is None else y[:n]
    rows = as_series(table)
    left_out = np.asarray(rows.arrange((~trains).astype(np.int64))) > 0
    kept = np.flatnonzero(~left_out)
    if len(kept) < 2:
        raise DataError("Fewer than 2 steps would train. Let a larger share train, or take the regime 'contaminated'.")
    segment = np.repeat(np.arange(len(rows.bounds) - 1), np.diff(rows.bounds))[kept]
    starts = np.flatnonzero((np.diff(kept, prepend=-2) > 1) | (np.diff(segment, prepend=-1) > 0))
    part = SeriesRows(
        rows.values[kept],
        np.append(starts, len(kept)).astype(np.int64),
        np.zeros(len(starts), dtype=np.int64),
        np.array([len(kept)], dtype=np.int64),
        rows.channels,
        rows.source,
        "series",
        None,
        None if rows.times is None else rows.times[kept],
    )
    return part, None if y is None else np.asarray(rows.arrange(y))[kept]
