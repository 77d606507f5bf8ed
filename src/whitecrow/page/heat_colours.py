"""The colours of heat maps."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["coloured"]

# Dark blue over brown and orange to pale yellow. Lightness rises all the way, so the order survives grey print and
# every kind of colour blindness; the hues leave red against green out.
_STOPS = np.array([(12, 18, 52), (36, 72, 138), (112, 100, 126), (190, 112, 72), (240, 164, 62), (255, 240, 172)])


def coloured(share: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the colours of shares from 0 to 1, ``[..., 3]`` between 0 and 1; shares beyond have those of the ends."""
    places = np.linspace(0, 1, len(_STOPS))
    return np.stack([np.interp(share, places, stop) for stop in _STOPS.T], -1) / 255
