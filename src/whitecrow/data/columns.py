"""The code of one column: how its values become features, and features its values again.

Every code reads a polars Series and writes into its slice of a zeroed float32 array [n, D]. What a row's
features are depends on that row alone.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from whitecrow.data.column_values import number_values, scaled, text_values, time_steps, time_values, unusable

__all__ = [
    "CategoryColumn",
    "Column",
    "DateColumn",
    "NumberColumn",
    "NumberColumns",
    "Scaling",
    "fit_column",
    "number_limit",
    "share_lengths",
]

Scaling = Literal["standard", "robust", "minmax", "none"]

_LARGEST = float(np.finfo(np.float32).max)
# Between these quantiles lie the values that robust scaling takes as they are; the others move to the nearer end.
_ROBUST_RANGE = (0.05, 0.95)
# Of the plain standard deviation: a column that is almost constant is not blown up without bound.
_LEAST_ROBUST_SCALE = 0.1
_FEW_ROWS = 1024  # up to which a look-up per row takes less time than the queries of polars
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CYCLES = {"hour": 2 * np.pi * np.arange(1440) / 1440, "weekday": 2 * np.pi * np.arange(7) / 7}
# Tables and not a sine per row: the same minute gives the same bits in every row.
_WAVES = {part: (np.sin(angles), np.cos(angles)) for part, angles in _CYCLES.items()}


@dataclass(frozen=True, slots=True, eq=False)
class NumberColumn:
    """A number (x − offset) / scale, clipped; or a truth value, 0 or 1.

    Missing values become the training mean. If training rows had some, a second feature is 1 for them.
    """

    name: str
    start: int
    kind: Literal["number", "boolean"]
    offset: float
    scale: float
    mean: float
    low: float
    high: float
    missing: bool
    limit: float

    @property
    def feature_names(self) -> list[str]:
        """Names of the features, in order."""
        return [self.name, f"{self.name} is missing"] if self.missing else [self.name]

    def encode(self, column: pl.Series, out: np.ndarray) -> int:
        """Write the features and return how many values are missing without a feature that says so."""
        values = number_values(column, self.kind)
        absent = np.isnan(values)
        count = int(np.count_nonzero(absent))
        if count:
            values = np.where(absent, self.mean, values)
        out[:, self.start] = scaled(values, self.offset, self.scale, self.limit)
        if self.missing:
            out[:, self.start + 1] = absent
            return 0
        return count

    def decode(self, features: np.ndarray) -> pl.Series:
        """Return the values that features [n, D] stand for, for display."""
        values = np.asarray(features[:, self.start], dtype=np.float64)
        if self.kind == "boolean":
            decoded = pl.Series(self.name, values > 0.5)
        else:
            with np.errstate(over="ignore"):
                values = np.nan_to_num(values * self.scale + self.offset)
            decoded = pl.Series(self.name, values)
        return decoded.set(pl.Series(features[:, self.start + 1] > 0.5), None) if self.missing else decoded

    def typical(self) -> str:
        """Return in words what training rows had."""
        if self.kind == "boolean":
            return f"true in {self.mean:.1%}"
        return _number(self.low) if self.low == self.high else f"{_number(self.low)} to {_number(self.high)}"


class NumberColumns:
    """Columns of numbers that are encoded in one call: for few rows, one for each takes longer than their scaling."""

    def __init__(self, columns: Sequence[NumberColumn]) -> None:
        self.names = [column.name for column in columns]
        self._start = np.array([column.start for column in columns], dtype=np.int64)
        self._statistics = np.array([(c.offset, c.scale, c.limit, c.mean) for c in columns]).reshape(-1, 4).T
        self._missing = np.array([column.missing for column in columns], dtype=np.bool_)

    def encode(self, values: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write the features that :meth:`NumberColumn.encode` writes, and return its counts, one for each column.

        Parameters
        ----------
        values : ndarray of float64, shape [n, columns]
            NaN for missing ones, and none infinite.
        out : ndarray of float32, shape [n, D]
        """
        offset, scale, limit, mean = self._statistics
        absent = np.isnan(values)
        if absent.any():
            values = np.where(absent, mean, values)
        out[:, self._start] = scaled(values, offset, scale, limit)
        out[:, self._start[self._missing] + 1] = absent[:, self._missing]
        return np.where(self._missing, 0, absent.sum(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class CategoryColumn:
    """One 0/1 feature per level.

    Declared levels (an Enum, a pandas Categorical) get exactly their features, and any other value none.
    Otherwise the slots after the frequent levels are, in this order: missing, if training rows had missing
    values; rare, if there were more levels than slots; unseen, always.
    """

    kind: ClassVar[Literal["category"]] = "category"

    name: str
    start: int
    levels: tuple[str, ...]
    declared: bool
    missing: bool
    rare: np.ndarray
    shares: np.ndarray
    _slot_of: dict[str | None, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep the slot of each level at hand for batches of few rows."""
        slots: dict[str | None, int] = {level: slot for slot, level in enumerate(self.levels)}
        if self.missing:
            slots[None] = len(self.levels)
        object.__setattr__(self, "_slot_of", slots)

    @property
    def slots(self) -> list[str]:
        """Names of the slots in order, the special ones in parentheses."""
        if self.declared:
            return list(self.levels)
        special = ["(missing)"] * self.missing + ["(rare)"] * bool(self.rare.size) + ["(unseen)"]
        return [*self.levels, *special]

    @property
    def feature_names(self) -> list[str]:
        """Names of the features, in order."""
        return [f"{self.name}={slot}" for slot in self.slots]

    def encode(self, column: pl.Series, out: np.ndarray) -> int:
        """Write the features, as :meth:`NumberColumn.encode` does."""
        texts = text_values(column)
        codes = self._codes_of_few(texts.to_list()) if len(texts) <= _FEW_ROWS else self._codes_of_many(texts)
        rows = np.flatnonzero(codes >= 0)
        out[rows, self.start + codes[rows]] = 1
        return 0

    def _codes_of_few(self, texts: list[str | None]) -> np.ndarray:
        """Return the slots of texts, looked up one by one: a single row costs a hundredth of the queries below."""
        unseen = self._unseen
        codes = {text: self._slot_of.get(text, unseen) for text in set(texts)}
        if self.rare.size:
            others = [text for text in codes if text is not None and text not in self._slot_of]
            for text, rare in zip(others, self._are_rare(others), strict=True):
                codes[text] -= int(rare)
        return np.array([codes[text] for text in texts], dtype=np.int64)

    def _codes_of_many(self, texts: pl.Series) -> np.ndarray:
        """Return the same slots by queries over the whole column."""
        known = texts.cast(pl.Enum(self.levels), strict=False).to_physical().cast(pl.Int64)
        codes = known.fill_null(self._unseen).to_numpy(writable=True)
        if self.declared or not known.null_count():
            return codes
        if self.missing:
            codes[texts.is_null().to_numpy()] = len(self.levels)
        if self.rare.size:
            others = texts.filter(known.is_null()).drop_nulls().unique()
            rare = others.filter(pl.Series(self._are_rare(others)))
            codes[texts.is_in(rare.implode()).fill_null(False).to_numpy()] = self._unseen - 1
        return codes

    @property
    def _unseen(self) -> int:
        """The slot of a text that is no level, the last one, with the slot of rare ones before it; -1 for none."""
        return -1 if self.declared else len(self.levels) + self.missing + bool(self.rare.size)

    def _are_rare(self, texts: Iterable[str]) -> np.ndarray:
        found = digests(texts)
        place = np.searchsorted(self.rare, found)
        return self.rare[np.minimum(place, self.rare.size - 1)] == found

    def decode(self, features: np.ndarray) -> pl.Series:
        """Return the values that features [n, D] stand for, for display."""
        part = features[:, self.start : self.start + len(self.slots)]
        names = pl.Series(self.name, self.slots, dtype=pl.String)
        if not part.shape[1]:
            return pl.Series(self.name, [None] * len(part), dtype=pl.String)
        if self.missing:
            names = names.scatter(len(self.levels), None)
        best = pl.Series(part.argmax(axis=1).astype(np.int64))
        return names.gather(best.set(pl.Series(part.max(axis=1) <= 0), None))

    def typical(self) -> str:
        """Return in words what training rows had."""
        order = np.argsort(-self.shares, kind="stable")[:3]
        return ", ".join(f"{self.slots[k]} {self.shares[k]:.1%}" for k in order if self.shares[k] > 0)


@dataclass(frozen=True, slots=True, eq=False)
class DateColumn:
    """Time of day (to the minute) and day of the week, each as sine and cosine.

    There is no feature for absolute time: it only grows, so every row to come would lie outside of what
    training rows had, and be called anomalous for its date alone.
    """

    kind: ClassVar[Literal["date"]] = "date"

    name: str
    start: int
    parts: tuple[Literal["hour", "weekday"], ...]
    missing: bool
    shares: np.ndarray

    @property
    def feature_names(self) -> list[str]:
        """Names of the features, in order."""
        names = [f"{self.name} {part} {wave}" for part in self.parts for wave in ("sin", "cos")]
        return [*names, f"{self.name} is missing"] if self.missing else names

    def encode(self, column: pl.Series, out: np.ndarray) -> int:
        """Write the features, as :meth:`NumberColumn.encode` does."""
        steps, absent = time_steps(time_values(column, self.parts), self.parts)
        count = int(np.count_nonzero(absent))
        at = self.start
        for part, step in zip(self.parts, steps, strict=True):
            for wave in _WAVES[part]:
                out[:, at] = np.where(absent, 0.0, wave[step]) if count else wave[step]
                at += 1
        if self.missing:
            out[:, at] = absent
            return 0
        return count

    def decode(self, features: np.ndarray) -> pl.Series:
        """Return the values that features [n, D] stand for, for display."""
        shown: dict[str, list[str]] = {}
        at = self.start
        for part in self.parts:
            cycle = _CYCLES[part]
            angle = np.arctan2(features[:, at], features[:, at + 1]) / (2 * np.pi) * len(cycle)
            steps = np.rint(angle).astype(np.int64) % len(cycle)
            shown[part] = [_DAY_NAMES[k] if part == "weekday" else f"{k // 60:02d}:{k % 60:02d}" for k in steps]
            at += 2
        texts = [" ".join(both) for both in zip(*(shown[part] for part in reversed(self.parts)), strict=True)]
        decoded = pl.Series(self.name, texts, dtype=pl.String)
        return decoded.set(pl.Series(features[:, at] > 0.5), None) if self.missing else decoded

    def typical(self) -> str:
        """Return in words what training rows had."""
        said = []
        at = 0
        for part, length in zip(self.parts, share_lengths(self.parts), strict=True):
            shares = self.shares[at : at + length]
            most = [k for k in np.argsort(-shares, kind="stable")[:3] if shares[k] > 0]
            said += [", ".join(_DAY_NAMES[k] if part == "weekday" else f"{k} h" for k in sorted(most))]
            at += length
        return "mostly " + "; ".join(said) if any(said) else "missing"


Column = NumberColumn | CategoryColumn | DateColumn


def fit_column(column: pl.Series, start: int, scaling: Scaling, limit: float | None, max_levels: int) -> Column:
    """Return the code of a column of training rows, whose features begin at ``start``."""
    dtype = column.dtype
    if dtype.is_numeric() or isinstance(dtype, (pl.Duration, pl.Boolean)):
        return fit_number(column, start, scaling, limit)
    if isinstance(dtype, pl.Enum):
        return _fit_declared(column, start, dtype)
    if isinstance(dtype, (pl.String, pl.Categorical, pl.Null)):
        return _fit_levels(column, start, max_levels)
    if isinstance(dtype, (pl.Date, pl.Datetime, pl.Time)):
        return _fit_date(column, start)
    raise unusable(column)


def fit_number(column: pl.Series, start: int, scaling: Scaling, limit: float | None) -> NumberColumn:
    """Return the code of a column of numbers or truth values."""
    boolean = isinstance(column.dtype, pl.Boolean)
    values = number_values(column, "boolean" if boolean else "number")
    present = values[~np.isnan(values)]
    missing = present.size < values.size
    kind: Literal["number", "boolean"] = "boolean" if boolean else "number"
    if not present.size:
        # Nothing is known of its range: like a constant column, it is kept and divided by 1.
        return NumberColumn(column.name, start, kind, 0.0, 1.0, 0.0, 0.0, 0.0, True, number_limit(kind, scaling, limit))
    mean, offset, scale = _scale(present, "none" if boolean else scaling)
    low, high = (float(q) for q in np.quantile(present, (0.05, 0.95), method="closest_observation"))
    return NumberColumn(
        column.name, start, kind, offset, scale, mean, low, high, missing, number_limit(kind, scaling, limit)
    )


def number_limit(kind: str, scaling: Scaling, limit: float | None) -> float:
    """Return the bound on the absolute value of a scaled number."""
    # Unscaled values have no common size that a clip could refer to.
    return _LARGEST if limit is None or kind == "boolean" or scaling == "none" else min(limit, _LARGEST)


def _scale(values: np.ndarray, scaling: Scaling) -> tuple[float, float, float]:
    """Return mean, offset and scale, computed on values brought near 1 by a power of two.

    The power of two changes no digit, but the square of 1e300 overflows and that of 1e-300 vanishes.
    """
    exponent = math.frexp(float(np.abs(values).max()))[1]
    near = np.ldexp(values, -exponent)
    mean = float(near.mean())
    offset, spread, constant = 0.0, 1.0, False
    if scaling in ("standard", "robust"):
        variance = float(near.var())
        # Rounding alone makes a constant column's variance this large (Chan, Golub and LeVeque 1983).
        eps = np.finfo(np.float64).eps
        constant = variance <= near.size * eps * variance + (near.size * mean * eps) ** 2
        offset, spread = mean, math.sqrt(variance)
        if scaling == "robust" and not constant:
            offset, spread = _robust(near, spread)
    elif scaling == "minmax":
        offset = float(near.min())
        spread = float(near.max()) - offset
        constant = spread <= 10 * np.finfo(np.float64).eps
    back = [_ldexp(value, exponent) for value in (mean, offset, spread)]
    if scaling == "none" or constant or back[2] == 0:
        back[2] = 1.0
    return back[0], back[1], back[2]


def _robust(values: np.ndarray, spread: float) -> tuple[float, float]:
    """Return mean and standard deviation of the winsorised values, which few anomalies among them cannot inflate.

    ``spread`` is the plain standard deviation. It stands where nothing but a single value is left.
    """
    low, high = np.quantile(values, _ROBUST_RANGE)
    if low == high:
        return float(low), spread
    winsorised = values.clip(low, high)
    return float(winsorised.mean()), max(float(winsorised.std()), _LEAST_ROBUST_SCALE * spread)


def _ldexp(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(float(np.finfo(np.float64).max), value)


def _fit_declared(column: pl.Series, start: int, dtype: pl.Enum) -> CategoryColumn:
    levels = tuple(dtype.categories.to_list())
    codes = column.to_physical().drop_nulls().cast(pl.Int64).to_numpy()
    shares = np.bincount(codes, minlength=len(levels)) / max(len(column), 1)
    return CategoryColumn(column.name, start, levels, True, False, np.zeros(0, np.int64), shares)


def _fit_levels(column: pl.Series, start: int, max_levels: int) -> CategoryColumn:
    texts = text_values(column)
    counts = texts.drop_nulls().rename("level").value_counts(name="rows")
    counts = counts.sort(["rows", "level"], descending=[True, False])
    kept, others = counts.head(max_levels).sort("level"), counts.slice(max_levels)
    missing = texts.null_count() > 0
    shares = [
        *kept["rows"],
        *[texts.null_count()] * missing,
        *[others["rows"].sum()] * (others.height > 0),
        0,
    ]
    rare = np.sort(digests(others["level"]))
    levels = tuple(kept["level"].to_list())
    return CategoryColumn(column.name, start, levels, False, missing, rare, np.array(shares) / len(column))


def _fit_date(column: pl.Series, start: int) -> DateColumn:
    parts: tuple[Literal["hour", "weekday"], ...] = ("hour", "weekday")
    if isinstance(column.dtype, pl.Date):
        parts = ("weekday",)
    elif isinstance(column.dtype, pl.Time):
        parts = ("hour",)
    present = column.drop_nulls()
    steps, _ = time_steps(time_values(present, parts), parts)
    shares = [
        np.bincount(step // (60 if part == "hour" else 1), minlength=length)
        for part, step, length in zip(parts, steps, share_lengths(parts), strict=True)
    ]
    missing = column.null_count() > 0
    return DateColumn(column.name, start, parts, missing, np.concatenate(shares) / max(len(present), 1))


def share_lengths(parts: tuple[str, ...]) -> list[int]:
    """Return how many shares a date column keeps for each of its parts: per hour, per weekday."""
    return [24 if part == "hour" else 7 for part in parts]


def digests(texts: Iterable[str]) -> np.ndarray:
    """Return a 64-bit hash of each text.

    Rare levels are kept as hashes: a column of names or addresses would otherwise be written out in full
    into every model file.
    """
    codes = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(codes), dtype="<i8").astype(np.int64)


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"
