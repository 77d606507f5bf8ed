"""Detectors: what a user holds, and one file per method."""

from whitecrow.detectors._base import Detector, NotFittedError
from whitecrow.detectors._deep import DeepDetector

__all__ = ["DeepDetector", "Detector", "NotFittedError"]
