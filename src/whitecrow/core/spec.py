"""What one sample looks like, for every kind of data."""

from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

from whitecrow.core.errors import DataError

__all__ = ["InputSpec", "Kind"]

Kind = Literal["table", "image", "sequence", "tokens"]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Kind and shape of one encoded sample.

    Parameters
    ----------
    kind : {"table", "image", "sequence", "tokens"}
        Kind of data.
    shape : tuple of int
        Shape of one sample without the batch axis: ``(D,)`` for a table, ``(C, H, W)`` for an image,
        ``(T, C)`` for a window of a sequence. Each entry is at least 1.

    Raises
    ------
    DataError
        If the kind is unknown or a length is below 1.
    """

    kind: Kind
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise DataError(f"InputSpec: kind is {self.kind!r}; accepted are {', '.join(get_args(Kind))}.")
        if not self.shape or any(not isinstance(n, int) or n < 1 for n in self.shape):
            raise DataError(f"InputSpec: shape is {self.shape!r}; each length must be an integer of at least 1.")

    @property
    def n_features(self) -> int:
        """Number of values in one sample."""
        return prod(self.shape)
