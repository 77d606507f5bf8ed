"""Detectors: what a user holds, and one file per method.

``whitecrow.detectors(kind)`` lists the registered names. Importing this package binds it to the same name in
``whitecrow``, so the package itself can be called for the list too.
"""

import sys
from types import ModuleType

from whitecrow.core import registry
from whitecrow.core.spec import Kind
from whitecrow.detectors._base import Detector, NotFittedError
from whitecrow.detectors._deep import DeepDetector
from whitecrow.detectors._series import DeepSeriesDetector, SeriesDetector
from whitecrow.detectors._together import can_fit_together, fit_together

__all__ = [
    "DeepDetector",
    "DeepSeriesDetector",
    "Detector",
    "NotFittedError",
    "SeriesDetector",
    "can_fit_together",
    "fit_together",
]


class _Listing(ModuleType):
    def __call__(self, kind: Kind | None = None) -> list[str]:
        return registry.names(kind)


sys.modules[__name__].__class__ = _Listing
