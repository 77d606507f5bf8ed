"""What a column holds, and whether it would mislead a detector."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.page.wording import percent

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ColumnProfile", "profile_columns"]

_GIVES_AWAY = 0.99
_ENOUGH_ROWS = 100
_ID_SHARE = 0.95


@dataclass(frozen=True)
class ColumnProfile:
    """One column.

    Parameters
    ----------
    name, kind : str
        Name and type.
    missing : float
        Share of missing values, from 0 to 1.
    distinct : int
        Distinct values, missing ones not counted.
    examples : str
        Range of numbers and dates, the commonest values of text.
    warnings : tuple of str
        Why the column may be better left out.
    """

    name: str
    kind: str
    missing: float
    distinct: int
    examples: str
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the profile for JSON."""
        return asdict(self)


def profile_columns(table: "pl.DataFrame", label: str | None, y: NDArray[np.int8] | None) -> list[ColumnProfile]:
    """Return the profiles of all columns.

    Parameters
    ----------
    table : polars.DataFrame, shape [N, C]
        The rows.
    label : str or None
        The label column, which is not warned of.
    y : ndarray of int8, shape [N], or None
        1 anomaly, 0 normal, -1 no label.
    """
    return [_profile(column, None if column.name == label else y, is_label=column.name == label) for column in table]


def _profile(column: "pl.Series", y: NDArray[np.int8] | None, *, is_label: bool) -> ColumnProfile:
    present = column.drop_nulls()
    distinct = present.n_unique()
    warnings = []
    if not is_label:
        if distinct <= 1:
            warnings.append("constant: it tells nothing" if distinct else "empty: it tells nothing")
        elif _is_identifier(present, distinct):
            warnings.append("nearly every value differs, as in an identifier: consider ignoring it")
        if y is not None and distinct > 1:
            gives_away = _separation(column, y)
            if gives_away > _GIVES_AWAY:
                warnings.append(f"alone tells the label (AUROC {gives_away:.3f}): a leak? Consider ignoring it")
    return ColumnProfile(
        name=column.name,
        kind=str(column.dtype).split("(")[0].lower(),
        missing=1 - len(present) / max(len(column), 1),
        distinct=distinct,
        examples=_examples(present),
        warnings=tuple(warnings),
    )


def _is_identifier(present: "pl.Series", distinct: int) -> bool:
    if len(present) < _ENOUGH_ROWS or distinct < _ID_SHARE * len(present):
        return False
    # Measurements with many digits all differ too; counters and names do not measure.
    return present.dtype.is_integer() or not (present.dtype.is_numeric() or present.dtype.is_temporal())


def _examples(present: "pl.Series") -> str:
    if present.is_empty():
        return ""
    if present.dtype.is_numeric() or present.dtype.is_temporal():
        low, middle, high = present.min(), present.median(), present.max()
        return f"{_short(low)} … {_short(middle)} … {_short(high)}"
    counted = present.value_counts(sort=True).head(3)
    shares = zip(counted.to_series(0).to_list(), counted.to_series(1).to_list(), strict=True)
    return ", ".join(f"{_short(value)} {percent(n / len(present))}" for value, n in shares)


def _short(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else text[:23] + "…"


def _separation(column: "pl.Series", y: NDArray[np.int8]) -> float:
    """Return how well the column alone ranks anomalies: the AUROC of its values or of its levels' rates."""
    from whitecrow.metrics import auroc

    known = y >= 0
    if not (y == 1).any() or not (y == 0).any():
        return 0.5
    labels = y[known]
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        values = np.nan_to_num(column.to_physical().cast(float).fill_null(_mean(column)).to_numpy()[known])
        found = auroc(labels, values)
        return float(max(found, 1 - found))
    return _level_separation(column.filter(known), labels)


def _mean(column: "pl.Series") -> float:
    """Return the mean that stands for missing values, 0 for a column without any value."""
    mean = column.to_physical().cast(float).mean()
    return float(mean) if isinstance(mean, float) else 0.0


def _level_separation(column: "pl.Series", labels: NDArray[np.int8]) -> float:
    """Rank each half of the rows by the anomaly rates that the levels have in the other half."""
    from whitecrow.metrics import auroc

    codes = np.unique(column.cast(str).fill_null("").to_numpy().astype(str), return_inverse=True)[1]
    half = np.random.default_rng(0).permutation(len(labels)) % 2 == 0
    rates = np.empty(len(labels))
    for learn, judge in ((half, ~half), (~half, half)):
        n = np.bincount(codes[learn], minlength=codes.max() + 1)
        hits = np.bincount(codes[learn], weights=labels[learn], minlength=codes.max() + 1)
        # A level that the other half lacks gets the overall rate.
        rates[judge] = ((hits + labels.mean()) / (n + 1))[codes[judge]]
    return float(auroc(labels, rates))
