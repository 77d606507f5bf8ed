"""The rows or samples that a detector keeps encoded, so that they are shown as they were given."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.data.encoders import table_encoder

if TYPE_CHECKING:
    from whitecrow.detectors import Detector

__all__ = ["Originals", "find_originals", "find_samples"]

_BLOCK_VALUES = 1 << 22


class Originals(NamedTuple):
    """The reference rows of a detector as they were given.

    Parameters
    ----------
    rows : ndarray of int64, shape [M]
        Which row of the table each of them is; the first of rows that are encoded alike.
    table : polars.DataFrame [M, columns]
        These rows.
    """

    rows: NDArray[np.int64]
    table: pl.DataFrame


def find_originals(
    detector: "Detector", table: pl.DataFrame, rows: NDArray[np.int64] | None = None
) -> Originals | None:
    """Find the rows that a detector's ``reference_`` was encoded from.

    Features are single precision and clipped, so what they are decoded to is close to the row, not the row.

    Parameters
    ----------
    detector : Detector
        Fitted on rows of a table.
    table : polars.DataFrame
        With the columns that it was fitted on.
    rows : ndarray of int64, optional
        Rows of the table among which it was fitted, in rising order; all by default.

    Returns
    -------
    Originals or None
        None if not all of them are in the table.

    Raises
    ------
    DataError
        If the detector was not fitted on a table.
    """
    encoder = table_encoder(detector.encoder_, "find_originals")
    names = [column.name for column in encoder.columns_]
    if not set(names) <= set(table.columns):
        return None

    def encode(part: NDArray[np.int64]) -> NDArray[np.float32]:
        block, features = table.select(names)[part], np.zeros((len(part), encoder.n_features_out_), dtype=np.float32)
        for column in encoder.columns_:
            column.encode(block[column.name], features)
        return features

    places = _places(detector.reference_, np.arange(table.height) if rows is None else rows, encode)
    return None if places is None else Originals(places, table[places])


def find_samples(
    detector: "Detector", samples: Callable[[NDArray[np.int64]], Any], rows: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Find which samples a detector's ``reference_`` was encoded from.

    Parameters
    ----------
    detector : Detector
        Fitted on images, or on sequences of one length.
    samples : function of ndarray of int64
        Returns samples by their number, as the detector takes them.
    rows : ndarray of int64
        Samples among which it was fitted, in rising order.

    Returns
    -------
    ndarray of int64 [M] or None
        None if not all of them are found.
    """
    encoder: Any = detector.encoder_
    return _places(detector.reference_, rows, lambda part: encoder.transform(samples(part)))


def _places(
    reference: NDArray[np.float32], rows: NDArray[np.int64], encode: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.int64] | None:
    """Return the first of the rows whose features are those of each reference row, or None if one has none."""
    wanted = {features.tobytes() for features in reference}
    found: dict[bytes, int] = {}
    # What the features of a row are depends on that row alone, to the last bit.
    size = max(1, _BLOCK_VALUES // max(1, reference.shape[1]))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        for row, features in zip(part.tolist(), encode(part), strict=True):
            key = features.tobytes()
            if key in wanted:
                found.setdefault(key, row)
        if len(found) == len(wanted):
            return np.array([found[features.tobytes()] for features in reference], dtype=np.int64)
    return None
