"""Explain the scores of a fitted detector."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.calibrate import p_values
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Natural, check
from whitecrow.data import TableEncoder, as_table
from whitecrow.data.column_values import number_values, text_values, time_values
from whitecrow.data.columns import CategoryColumn, Column, DateColumn, NumberColumn
from whitecrow.data.encoders import table_encoder
from whitecrow.explain.column_map import ColumnMap
from whitecrow.explain.contributions import adds_up, drops, parts
from whitecrow.explain.explanation import Explanation
from whitecrow.explain.originals import Originals
from whitecrow.explain.profiles import Profile, decimals
from whitecrow.explain.similar import find_similar

if TYPE_CHECKING:
    from whitecrow.detectors import Detector

__all__ = ["Method", "explain"]

Method = Literal["auto", "parts", "occlusion"]

_ALIKE = 20


def explain(
    detector: "Detector",
    X: Any,
    *,
    n_neighbours: int = 3,
    method: Method = "occlusion",
    originals: Originals | None = None,
) -> Explanation:
    """Say which columns make rows anomalous, what is normal there, and which normal rows are nearest.

    Parameters
    ----------
    detector : Detector
        A fitted detector for tables.
    X : table or array-like [n, columns]
        The rows to explain, a few to some thousand.
    n_neighbours : int, default=3
        Nearest normal rows to show; fewer if the detector keeps fewer distinct ones.
    method : {"occlusion", "parts", "auto"}, default="occlusion"
        *occlusion*: how far the score drops if the column takes the values it has in normal rows that are
        otherwise alike. It names the guilty column more often, for up to 8 more scores per row and column.
        *parts*: split the score by column, exactly, for methods whose score is a sum over features.
        *auto*: parts where the score splits so, occlusion for the others.
    originals : Originals, optional
        The detector's normal rows as they were given; see :func:`~whitecrow.explain.originals.find_originals`. By
        default they are decoded from their features.

    Returns
    -------
    Explanation
        Each row's explanation depends on that row and the detector alone.

    Raises
    ------
    NotFittedError
        If the detector is not fitted.
    ParameterError
        If ``n_neighbours`` is not an integer of at least 0, or ``method`` is unknown or does not suit the
        detector.
    DataError
        If the rows cannot be used, or the detector keeps no normal rows to compare with.
    """
    check("explain", "n_neighbours", n_neighbours, Natural)
    check("explain", "method", method, Method)
    detector._check_fitted()
    encoder = table_encoder(detector.encoder_, "explain")
    rows = detector._encode(X)
    reference, name = detector.reference_, type(detector).__name__
    if not len(reference):
        raise DataError(
            f"explain: this {name} keeps no normal rows to compare with, because it flagged all rows of its "
            "fit. Fit it on more rows, or with a smaller contamination."
        )
    if method == "auto":
        method = "parts" if adds_up(detector) else "occlusion"
    elif method == "parts" and not adds_up(detector):
        raise ParameterError(
            f"explain(method='parts'): the score of this {name} is no sum over features. Use 'occlusion' or 'auto'."
        )
    columns = ColumnMap(encoder.column_of_feature_, len(encoder.columns_))
    scores = detector._score(rows).mean(0)
    normal = _normal_rows(encoder, reference) if originals is None else _values(originals.table, encoder.columns_)
    normal = normal.fill_nan(None)
    similar = find_similar(rows, reference, columns, _ALIKE, n_neighbours)
    if method == "parts":
        contributions = columns.sum(parts(detector, rows))
    else:
        contributions = drops(detector, rows, scores, columns, similar.otherwise)
    calibration = detector.calibration_scores_
    return Explanation(
        columns=tuple(column.name for column in encoder.columns_),
        contributions=contributions,
        method=method,
        scores=scores,
        p_values=p_values(calibration, scores) if len(calibration) else None,
        threshold=detector.threshold_,
        flags=scores > detector.threshold_,
        values=_values(X, encoder.columns_),
        neighbour_index=similar.neighbours,
        neighbour_distance=similar.distances,
        neighbour_rows=None if originals is None else originals.rows[similar.neighbours],
        _encoded=rows,
        _otherwise=similar.otherwise,
        _normal=normal,
        _profiles=tuple(Profile(*both) for both in zip(encoder.columns_, normal, strict=True)),
    )


def _normal_rows(encoder: TableEncoder, reference: NDArray[np.float32]) -> pl.DataFrame:
    """Return the reference rows in original units, without the digits that float32 has made up."""
    return pl.DataFrame(
        [
            _rounded(column, values) if isinstance(column, NumberColumn) and column.kind == "number" else values
            for column, values in zip(encoder.columns_, encoder.decode(reference), strict=True)
        ]
    )


def _rounded(column: NumberColumn, values: pl.Series) -> pl.Series:
    rounded = np.round(values.cast(pl.Float64).to_numpy(), decimals(column)) + 0.0
    return pl.Series(values.name, rounded).fill_nan(None)


def _values(X: Any, columns: list[Column]) -> pl.DataFrame:
    """Return the rows as the encoder reads them: by name, or by position where no name fits."""
    table, names = as_table(X), [column.name for column in columns]
    if isinstance(table, np.ndarray):
        return pl.DataFrame(table, schema=names)
    if not set(names) <= set(table.columns):
        table = table.rename(dict(zip(table.columns, names, strict=True)))
    return pl.DataFrame([_read(column, table[column.name]) for column in columns])


def _read(column: Column, values: pl.Series) -> pl.Series:
    if isinstance(column, CategoryColumn):
        return text_values(values)
    if isinstance(column, DateColumn):
        return values if values.dtype.is_temporal() else time_values(values, column.parts)
    if column.kind == "boolean":
        return pl.Series(values.name, number_values(values, column.kind)).fill_nan(None).cast(pl.Boolean)
    if values.dtype.is_integer() or values.dtype.is_float():
        return values
    return pl.Series(values.name, number_values(values, column.kind)).fill_nan(None)
