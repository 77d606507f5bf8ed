"""What a detector's own methods make of encoded rows."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import ParameterError

if TYPE_CHECKING:
    from torch import Tensor

    from whitecrow.detectors import Detector
    from whitecrow.nn import Networks

__all__ = ["by_hook"]


def by_hook(
    detector: "Detector", rows: NDArray[np.float32], hook: Callable[["Networks", "Tensor"], "Tensor | None"]
) -> NDArray[np.float32] | None:
    """Return what a hook makes of rows, the mean over the replicas, ``[n, ...]``; None if the method has none.

    Parameters
    ----------
    detector : Detector
        Fitted.
    rows : ndarray of float32 [n, D]
        Encoded.
    hook : function of networks and rows
        One of the detector's, such as ``detector.rebuild_batch``.
    """

    def fill(block: NDArray[np.float32]) -> Iterator[int]:
        for start in range(0, len(rows), len(block)):
            part = rows[start : start + len(block)]
            block[: len(part)] = part
            yield len(part)

    def found(net: "Networks", x: "Tensor") -> "Tensor":
        values = hook(net, x)
        if values is None:
            raise ParameterError("It has none.")
        return values

    try:
        return np.concatenate([one.mean(0) for one in detector._blocks(found, fill)]).astype(np.float32)
    except ParameterError:
        return None
