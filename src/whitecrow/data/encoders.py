"""What stands between a caller's data and the rows that a detector learns from, by kind of data."""

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.core.spec import Kind

if TYPE_CHECKING:
    from whitecrow.data.encoder import TableEncoder

__all__ = ["KINDS", "Encoder", "Unfolded", "encoder_class", "kind_of", "table_encoder"]

_CLASSES = {
    "table": ("whitecrow.data.encoder", "TableEncoder"),
    "image": ("whitecrow.data.images.encoder", "ImageEncoder"),
    "sequence": ("whitecrow.data.series.encoder", "SeriesEncoder"),
}
KINDS = tuple(_CLASSES)


class Encoder(Protocol):
    """Turns samples of one kind into rows ``[N, D]`` of float32; fitted on training samples only.

    Attributes
    ----------
    kind : str
        Kind of data.
    shape : tuple of int
        Shape of one sample; D is the product of its lengths.
    """

    kind: ClassVar[Kind]

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def n_features_out_(self) -> int: ...
    def fit(self, X: Any, rows: Any = None) -> Self: ...
    def transform(self, X: Any) -> NDArray[np.float32]: ...
    def fill(self, X: Any, block: NDArray[np.float32]) -> Iterator[int]: ...
    def folding(self, X: Any, n_replicas: int) -> Any: ...
    def present(self, X: Any, values: NDArray[Any]) -> Any: ...
    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]: ...
    @classmethod
    def check_state(cls, document: Any) -> None: ...
    @classmethod
    def from_state(cls, document: Any, arrays: Mapping[str, Any]) -> Self: ...


class Unfolded:
    """Collects the scores of rows that are samples themselves, ``[R, b]`` at a time.

    Parameters
    ----------
    n : int
        Number of rows.
    n_replicas : int
        R.
    """

    def __init__(self, n: int, n_replicas: int) -> None:
        self._scores = np.empty((n_replicas, n))
        self._filled = 0

    def add(self, scores: NDArray[Any]) -> None:
        """Take the scores of the next rows, ``[R, b]``; errors of parts of a row, ``[R, b, ...]``, are averaged."""
        scores = scores.reshape(*scores.shape[:2], -1).mean(2) if scores.ndim > 2 else scores
        self._scores[:, self._filled : self._filled + scores.shape[1]] = scores
        self._filled += scores.shape[1]

    def result(self) -> NDArray[np.float64]:
        """Return the scores ``[R, n]``."""
        return self._scores


def encoder_class(kind: Kind) -> Any:
    """Return the encoder's class for a kind of data."""
    module, name = _CLASSES[kind]
    return getattr(import_module(module), name)


def table_encoder(encoder: Encoder, purpose: str) -> "TableEncoder":
    """Return the encoder of a detector that was fitted on a table.

    Raises
    ------
    DataError
        If it was fitted on something else, with what needs a table: ``purpose``, as the start of a sentence.
    """
    if encoder.kind != "table":
        remedy = " For images take anomaly_map(X)." if encoder.kind == "image" else ""
        raise DataError(f"{purpose} needs a detector that was fitted on a table, not on {encoder.kind} data.{remedy}")
    return cast("TableEncoder", encoder)


def kind_of(X: Any, accepted: Sequence[Kind]) -> Kind:
    """Return what kind of data ``X`` is, out of those that a detector accepts.

    Images are told from tables by their form: an array of 3 or 4 axes, a path, a list of paths, or
    :class:`~whitecrow.data.images.Images`.
    """
    if len(accepted) == 1 or "image" not in accepted:
        return accepted[0]
    return "image" if _looks_like_images(X) else next(kind for kind in accepted if kind != "image")


def _looks_like_images(X: Any) -> bool:
    if type(X).__module__.startswith("whitecrow.data.images"):
        return True
    if isinstance(X, (str, os.PathLike)):
        return True
    if isinstance(X, (list, tuple)) and X:
        return isinstance(X[0], (str, os.PathLike)) or np.ndim(X[0]) in (2, 3)
    return getattr(X, "ndim", 0) in (3, 4)
