"""Windows of series to float32 rows, fitted on training steps, and back for display."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Positive, Range, check
from whitecrow.core.spec import Kind
from whitecrow.data.column_values import scaled
from whitecrow.data.columns import NumberColumn, Scaling, number_limit
from whitecrow.data.series.channels import fit_channels, period_window, training_steps
from whitecrow.data.series.encoder_state import LARGEST_ROW, channels_from_state, check_state
from whitecrow.data.series.folding import Fold, Folding
from whitecrow.data.series.reading import as_series
from whitecrow.data.series.rows import SeriesRows
from whitecrow.data.series.windows import check_long_enough, window_starts, window_view

__all__ = ["SeriesEncoder", "Window"]

Window = Annotated[int, Range(1, 1_000_000)] | Literal["auto"]

_Clip = Positive | None

_BLOCK_VALUES = 1 << 18


class SeriesEncoder:
    """Cut series into windows of scaled values, and fold the scores of windows into scores of steps.

    A row is a window, step after step: ``[W * C]`` values of float32. Each channel is scaled by itself. One that is
    constant in training becomes 0, and where it moves later on it is divided by 1e-8 of its size, so that it meets the
    clip: that it moves at all is evidence.

    Fixed windows ``[N, W, C]`` are taken whole, whatever ``window`` says; each gets one score.

    Parameters
    ----------
    window : int or "auto", default="auto"
        Steps in a window, W. "auto" takes the period of the first channel, by :func:`~whitecrow.data.series.period` of
        the longest stretch of training steps, but no more steps than the shortest series has.
    fold : {"last", "centre", "mean", "median", "max"}, default="mean"
        How scores of windows become scores of steps; see :class:`~whitecrow.data.series.Folding`.
    scaling : {"standard", "robust", "minmax", "none"}, default="standard"
        Subtract the mean and divide by the standard deviation (divisor N); do so with those of the winsorised values,
        as :class:`~whitecrow.data.TableEncoder` does; map the training range to [0, 1]; or leave values as they are.
    clip : float or None, default=10.0
        Scaled values are kept within ±clip; 4 suits "minmax". It does not touch values under ``scaling="none"``.
    stride : int, default=1
        Steps from one training window to the next. Scoring takes every window.
    rank : {1, 2}, default=1
        Which period "auto" takes.

    Attributes
    ----------
    window_ : int
        W.
    columns_ : list of NumberColumn
        Name and statistics of each channel.
    shape : tuple of int
        (W, C).
    n_features_out_ : int
        W * C.
    feature_names_ : list of str, length W * C
        Channel and step within the window, ``x0[0]`` first.
    column_of_feature_ : ndarray of int, shape [W * C]
        Index into ``columns_`` of the channel of each feature.

    Examples
    --------
    >>> encoder = SeriesEncoder(window=2).fit(np.array([0.0, 2.0, 0.0, 2.0]))
    >>> encoder.transform(np.array([2.0, 2.0, 0.0])).tolist()
    [[1.0, 1.0], [1.0, -1.0]]
    """

    kind: ClassVar[Kind] = "sequence"
    columns_: list[NumberColumn]
    window_: int

    def __init__(
        self,
        window: int | Literal["auto"] = "auto",
        fold: Fold = "mean",
        scaling: Scaling = "standard",
        clip: float | None = 10.0,
        stride: int = 1,
        rank: Literal[1, 2] = 1,
    ) -> None:
        self.window: int | Literal["auto"] = window
        self.fold: Fold = fold
        self.scaling: Scaling = scaling
        self.clip = clip
        self.stride = stride
        self.rank: Literal[1, 2] = rank

    @staticmethod
    def read(X: Any, time: str | None = None, channels: Sequence[str] | None = None) -> SeriesRows:
        """Return series in one form; see :func:`whitecrow.data.series.as_series`."""
        return as_series(X, time, channels)

    def fit(self, X: Any, rows: ArrayLike | None = None) -> Self:
        """Learn the window and the statistics of the channels.

        Parameters
        ----------
        X : series
            See :func:`whitecrow.data.series.as_series`.
        rows : array of int [n] or of bool [total], optional
            Training steps in the order of ``as_series(X).values``, or training windows where they are fixed:
            everything is learnt from these only. All by default.

        Raises
        ------
        ParameterError
            If a parameter is out of its range.
        DataError
            If the series cannot be used, or one of them is shorter than a window.
        """
        self._check_parameters()
        series = as_series(X)
        chosen = None if rows is None else training_steps(series, np.asarray(rows))
        if series.form == "windows":
            window = int(series.lengths[0])
        else:
            window = period_window(series, chosen, self.rank) if self.window == "auto" else int(self.window)
        check_long_enough(series, window)
        if window * len(series.channels) > LARGEST_ROW:
            raise DataError(
                f"A window of {window} steps of {len(series.channels)} channels has more than {LARGEST_ROW} values. "
                "Take a shorter window or fewer channels."
            )
        self._set(series.source, window, fit_channels(series, chosen, self.scaling, self.clip))
        return self

    def starts(self, X: Any, stride: int = 1) -> NDArray[np.int64]:
        """Return the first steps of the windows of series, ascending; no window reaches over a gap.

        Raises
        ------
        DataError
            If a series is shorter than a window.
        """
        self._check_fitted()
        series = self.reread(X)
        check_long_enough(series, self.window_)
        return window_starts(series.bounds, self.window_, stride)

    def steps(self, X: Any) -> NDArray[np.float32]:
        """Return the scaled steps ``[total, C]``, of which windows are views; see :func:`window_view`."""
        self._check_fitted()
        series, order = self._arranged(X)
        out = np.empty((len(series.values), len(self.columns_)), dtype=np.float32)
        size = max(1, _BLOCK_VALUES // len(self.columns_))
        for first in range(0, len(out), size):
            out[first : first + size] = self._scaled(series.values[first : first + size], order)
        return out

    def transform(self, X: Any, starts: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return windows as rows.

        With stride 1 they take W times the memory of the series; :meth:`fill` and :meth:`steps` do not.

        Parameters
        ----------
        X : series
        starts : ndarray of int64 [n], optional
            First steps of the windows, ascending. All windows by default.

        Returns
        -------
        ndarray of float32, shape [n, W * C]
            C-contiguous and finite.

        Raises
        ------
        DataError
            If the encoder is not fitted, the channels differ, or a series is shorter than a window.
        """
        self._check_fitted()
        series, order, starts = self._prepared(X, starts)
        out = np.empty((len(starts), self.n_features_out_), dtype=np.float32)
        size = max(1, _BLOCK_VALUES // self.n_features_out_)
        for first in range(0, len(starts), size):
            self._write(series, order, starts[first : first + size], out[first : first + size])
        return out

    def fill(self, X: Any, block: NDArray[np.float32], starts: NDArray[np.int64] | None = None) -> Iterator[int]:
        """Write the rows of :meth:`transform` into a block, some at a time, in their order.

        Parameters
        ----------
        X : series
        block : ndarray of float32, shape [rows, W * C] or [rows, W, C], C-contiguous
            Overwritten each time.
        starts : ndarray of int64 [n], optional
            As for :meth:`transform`.

        Yields
        ------
        int
            How many rows of the block are those that follow.

        Raises
        ------
        DataError
            As :meth:`transform` does.
        """
        self._check_fitted()
        return self._filled(*self._prepared(X, starts), block)

    def _filled(
        self, series: SeriesRows, order: list[int] | None, starts: NDArray[np.int64], block: NDArray[np.float32]
    ) -> Iterator[int]:
        for first in range(0, len(starts), len(block)):
            part = starts[first : first + len(block)]
            self._write(series, order, part, block[: len(part)])
            yield len(part)

    def _write(
        self, series: SeriesRows, order: list[int] | None, starts: NDArray[np.int64], out: NDArray[np.float32]
    ) -> None:
        low, high = int(starts.min()), int(starts.max())
        # Each step is scaled once, not once for each of the windows that it is in.
        windows = window_view(self._scaled(series.values[low : high + self.window_], order), self.window_)
        consecutive = high - low == len(starts) - 1
        out.reshape(len(out), *self.shape)[...] = windows if consecutive else windows[starts - low]

    def _scaled(self, values: NDArray[Any], order: list[int] | None) -> NDArray[np.float32]:
        offset, scale = self._statistics[:, 0], self._statistics[:, 1]
        chosen = values if order is None else values[:, order]
        return scaled(chosen, offset, scale, self.columns_[0].limit).astype(np.float32)

    def folding(self, X: Any, n_replicas: int = 1) -> Folding:
        """Return what folds the scores of the windows of :meth:`fill` into scores of steps.

        Raises
        ------
        DataError
            If the encoder is not fitted, a series is shorter than a window, or fixed windows have another length.
        """
        self._check_fitted()
        series = self.reread(X)
        self._check_window(series)
        return Folding(self.fold, series, self.window_, n_replicas)

    def present(self, X: Any, values: NDArray[Any]) -> Any:
        """Return values of the steps in the caller's form: ``[T]``, a list of them, or ``[N]`` for fixed windows."""
        return self.reread(X).present(values)

    def decode(self, features: ArrayLike) -> NDArray[np.float64]:
        """Return rows, or a reconstruction of them, as windows ``[n, W, C]`` in original units.

        Raises
        ------
        DataError
            If the encoder is not fitted or the width is another.
        """
        self._check_fitted()
        rows = np.asarray(features, dtype=np.float64)
        if rows.shape[1:] not in ((self.n_features_out_,), self.shape):
            raise DataError(
                f"decode: features has the shape {rows.shape}; accepted are [n, {self.n_features_out_}] and "
                f"[n, {self.shape[0]}, {self.shape[1]}]."
            )
        with np.errstate(over="ignore"):
            return np.nan_to_num(rows.reshape(-1, *self.shape) * self._statistics[:, 1] + self._statistics[:, 0])

    def typical(self) -> dict[str, str]:
        """Return what is normal per channel, in words: 5th to 95th percentile of the training steps."""
        self._check_fitted()
        return {column.name: column.typical() for column in self.columns_}

    @property
    def shape(self) -> tuple[int, int]:
        """Steps and channels of a window."""
        return self.window_, len(self.columns_)

    @property
    def n_features_out_(self) -> int:
        """Number of values of a row, W * C."""
        return self.window_ * len(self.columns_)

    @property
    def feature_names_(self) -> list[str]:
        """Channel and step of each value of a row."""
        return [f"{column.name}[{k}]" for k in range(self.window_) for column in self.columns_]

    @property
    def column_of_feature_(self) -> NDArray[np.int64]:
        """Index of the channel of each value of a row."""
        return np.tile(np.arange(len(self.columns_)), self.window_)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fitted state as a JSON document and arrays.

        Returns
        -------
        document : dict
            Parameters, window and names of the channels; safe for ``json.dumps``.
        arrays : dict of str to ndarray
            ``channels`` float64 [C, 5]: offset, scale, mean, 5th and 95th percentile.
        """
        self._check_fitted()
        document = {
            "window": self.window if self.window == "auto" else int(self.window),
            "fold": self.fold,
            "scaling": self.scaling,
            "clip": None if self.clip is None else float(self.clip),
            "stride": int(self.stride),
            "rank": int(self.rank),
            "length": self.window_,
            "source": self._source,
            "columns": [{"name": column.name, "kind": column.kind} for column in self.columns_],
        }
        return document, {"channels": self._statistics.copy()}

    @classmethod
    def check_state(cls, document: Any) -> None:
        """Check a document of :meth:`to_state` as far as it can be without its arrays.

        Raises
        ------
        ModelFileError
            If a field is absent, unknown, of the wrong type or out of range.
        """
        check_state(document)

    @classmethod
    def from_state(cls, document: Any, arrays: Mapping[str, Any]) -> Self:
        """Return the encoder that :meth:`to_state` described.

        Raises
        ------
        ModelFileError
            If a field is absent, unknown, of the wrong type, shape or dtype, or out of range.
        """
        check_state(document)
        statistics = channels_from_state(document, arrays)
        clip = None if document["clip"] is None else float(document["clip"])
        encoder = cls(
            document["window"], document["fold"], document["scaling"], clip, document["stride"], document["rank"]
        )
        limit = number_limit("number", document["scaling"], clip)
        columns = [
            NumberColumn(column["name"], k, "number", *numbers, missing=False, limit=limit)
            for k, (column, numbers) in enumerate(zip(document["columns"], statistics.tolist(), strict=True))
        ]
        encoder._set(document["source"], document["length"], columns)
        return encoder

    def _set(self, source: Literal["table", "array"], window: int, columns: list[NumberColumn]) -> None:
        self._source: Literal["table", "array"] = source
        self.window_ = window
        self.columns_ = columns
        self._statistics = np.array([(c.offset, c.scale, c.mean, c.low, c.high) for c in columns])

    def reread(self, X: Any) -> SeriesRows:
        """Return series in one form; of a table only the channels that were learnt from."""
        return as_series(X, channels=[c.name for c in self.columns_] if self._source == "table" else None)

    def _arranged(self, X: Any) -> tuple[SeriesRows, list[int] | None]:
        """Return series, and where each channel of the training is among theirs if not in its place."""
        series = self.reread(X)
        names = tuple(column.name for column in self.columns_)
        if self._source == "array" or series.source == "array":
            if len(series.channels) != len(names):
                raise DataError(
                    f"X has {len(series.channels)} channels, but SeriesEncoder is expecting {len(names)} channels as "
                    "input."
                )
            return series, None
        if absent := [name for name in names if name not in series.channels]:
            raise DataError(
                f"The table has no column {', '.join(map(repr, absent))}, which the training table had. Its channels "
                f"are: {', '.join(series.channels)}."
            )
        return series, None if series.channels == names else [series.channels.index(name) for name in names]

    def _prepared(
        self, X: Any, starts: NDArray[np.int64] | None
    ) -> tuple[SeriesRows, list[int] | None, NDArray[np.int64]]:
        series, order = self._arranged(X)
        self._check_window(series)
        if starts is None:
            return series, order, self.starts(series)
        starts = np.asarray(starts)
        if starts.dtype.kind not in "iu" or starts.ndim != 1:
            raise DataError(
                f"starts has the shape {starts.shape} and the type {starts.dtype}; accepted are integers [n]."
            )
        if starts.size and (starts.min() < 0 or starts.max() > len(series.values) - self.window_):
            raise DataError(
                f"starts runs from {starts.min()} to {starts.max()}; windows of {self.window_} steps begin at 0 to "
                f"{len(series.values) - self.window_}."
            )
        return series, order, starts

    def _check_window(self, series: SeriesRows) -> None:
        if series.form == "windows" and series.lengths[0] != self.window_:
            raise DataError(
                f"X has fixed windows of {series.lengths[0]} steps, but a window takes {self.window_}. Cut them to "
                "this length, or give a list of series to have windows cut from each."
            )

    def _check_parameters(self) -> None:
        for name, accepted in _PARAMETERS.items():
            check("SeriesEncoder", name, getattr(self, name), accepted)

    def _check_fitted(self) -> None:
        if not hasattr(self, "columns_"):
            raise DataError("This SeriesEncoder is not fitted. Call fit with training series first.")


_PARAMETERS: dict[str, Any] = {
    "window": Window,
    "fold": Fold,
    "scaling": Scaling,
    "clip": _Clip,
    "stride": Count,
    "rank": Literal[1, 2],
}
