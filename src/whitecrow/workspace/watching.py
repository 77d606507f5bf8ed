"""What a watched fit shows after an epoch: losses, scores of both classes, curves and codes, bounded in size."""

import time
from collections.abc import Mapping
from math import ceil, isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.calibrate import Quantile
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.detectors import DeepDetector, NotFittedError
from whitecrow.metrics import auroc, average_precision, pr_curve, roc_curve, score_histogram
from whitecrow.metrics.curves import thin
from whitecrow.train import Progress
from whitecrow.workspace.parts import Part
from whitecrow.workspace.samples import for_detector

__all__ = ["CLASSES", "EpochWatcher"]

CLASSES = {"normal": 0, "anomaly": 1, "unknown": -1}
"""Of each class its label."""

_MOST_EPOCHS = 200
_MOST_ROWS = 5000
_LEAST_ROWS = 200
_SECONDS = 1.0  # for the scores of one epoch, where a method is so slow that fewer rows are looked at
_CODED_ROWS = 500
_BINS = 40
_POINTS = 100  # of a curve
_LONGEST = 300  # characters of a reason

Floats = NDArray[np.float64]


class EpochWatcher:
    """Looks at a fit after its epochs, on rows that are the same for all of them.

    Labels colour what is shown, and nothing else: the threshold of an epoch is the quantile of the scores of training
    rows that the detector's ``contamination`` names.

    Parameters
    ----------
    detector : DeepDetector
        That is being fitted.
    samples : polars.DataFrame or ndarray, N samples
        All rows of a table, or all images or sequences.
    kind : {"table", "image", "sequence"}
        What they are.
    y : ndarray of int8, shape [N]
        Their labels: 1 anomaly, 0 normal, -1 unknown.
    parts : ndarray of uint8, shape [N]
        Values of :class:`~whitecrow.workspace.parts.Part`. Looked at are up to 5,000 test rows, drawn at random; of all
        rows, where every row trains.
    told : ndarray of int64, shape [N], or None
        Labels that the detector is told; known anomalies set no threshold.
    seed : int
        Of the draw.
    in_order : bool, default=False
        Whether the rows are steps of one series, of which only those that follow one another can be scored.
    """

    def __init__(
        self,
        detector: DeepDetector,
        samples: Any,
        kind: str,
        y: NDArray[np.int8],
        parts: NDArray[np.uint8],
        told: NDArray[np.int64] | None,
        seed: int,
        *,
        in_order: bool = False,
    ) -> None:
        self._detector, self._samples, self._kind, self._y = detector, samples, kind, y
        test = np.flatnonzero(parts == Part.TEST)
        train = parts == Part.TRAIN
        if told is not None:
            train &= told != 1
        self._in_order = in_order
        rng = np.random.default_rng(seed)
        self._shown = self._some(test if len(test) else np.arange(len(y)), rng)
        self._trained = self._some(np.flatnonzero(train), rng)
        self._limit: int | None = None
        self._points: Floats | None = None

    def take_up(self, seen: Mapping[str, Any] | None) -> None:
        """Go on from what was seen before an interruption, so that the picture of the codes does not turn."""
        codes = None if seen is None else seen.get("codes")
        if codes is not None:
            self._points = np.asarray([point for name in CLASSES for point in codes[name]], dtype=np.float64)

    @staticmethod
    def wanted(progress: Progress, place: int) -> bool:
        """Return whether an epoch is looked at: evenly spaced ones, about two hundred of a fit, and each stage's last.

        Parameters
        ----------
        progress : Progress
            Of the end of the epoch.
        place : int
            Number of the epoch over all stages, from 0.
        """
        total = (place + 1) / max(progress.fraction, 1e-9)
        # What rounding adds to a whole number must not make a stride.
        return place % ceil(total / _MOST_EPOCHS - 1e-6) == 0 or progress.epoch == progress.epochs

    def __call__(self, progress: Progress) -> dict[str, Any]:
        """Return what is to be seen after an epoch, as JSON values; without scores, ``why`` says why not."""
        measured = {name: value if isfinite(value) else None for name, value in progress.measured.items()}
        try:
            return {"measured": measured, "why": None, **self._looked(self._detector.as_of(progress))}
        except NotFittedError as error:
            why = str(error)
        except Exception as error:  # whatever half-trained networks lead a method to, its fit goes on
            why = f"{type(error).__name__}: {error}"
        return {"measured": measured, "why": why[:_LONGEST]}

    def _looked(self, early: DeepDetector) -> dict[str, Any]:
        if self._limit is None:
            self._limit = self._affordable(early)
        shown, trained = self._shown[: self._limit], self._trained[: self._limit]
        early.set_threshold(Quantile(early.contamination), self._chosen(trained))
        scores, label, threshold = self._scores(early, shown), self._y[shown], float(early.threshold_)
        both = bool((label == 1).any() and (label == 0).any())
        known = label >= 0
        return {
            "threshold": threshold,
            "trained": len(trained),
            "rows": {name: int((label == k).sum()) for name, k in CLASSES.items()},
            "flagged": {name: int((scores[label == k] > threshold).sum()) for name, k in CLASSES.items()},
            "auroc": auroc(label[known], scores[known]) if both else None,
            "average_precision": average_precision(label[known], scores[known]) if both else None,
            "histogram": _histogram(label, scores, threshold, both=both),
            "roc": _roc(label[known], scores[known]) if both else None,
            "pr": _pr(label[known], scores[known]) if both else None,
            "codes": self._codes(early, shown[:_CODED_ROWS]),
        }

    def _scores(self, early: DeepDetector, rows: NDArray[np.int64]) -> Floats:
        return np.asarray(early.anomaly_score(self._chosen(rows)), dtype=np.float64)

    def _affordable(self, early: DeepDetector) -> int:
        """Return how many rows are looked at: fewer where a method takes long to score."""
        if self._in_order:
            return _MOST_ROWS
        few = self._shown[:_LEAST_ROWS]
        self._scores(early, few)  # the first time takes longer
        began = time.perf_counter()
        self._scores(early, few)
        per_row = (time.perf_counter() - began) / len(few)
        return int(min(max(_SECONDS / per_row, _LEAST_ROWS), _MOST_ROWS))

    def _codes(self, early: DeepDetector, rows: NDArray[np.int64]) -> dict[str, Any] | None:
        """Return points of a plane for the codes of rows, by class."""
        if self._in_order:
            return None
        try:
            codes = early.latent_code(self._chosen(rows)).astype(np.float64)
        except ParameterError:  # the method has none
            return None
        if not np.isfinite(codes).all():
            raise DataError("some latent codes are not finite.")
        label = self._y[rows]
        by_class = np.concatenate([np.flatnonzero(label == k) for k in CLASSES.values()])
        points, explained = _plane(codes[by_class])
        if codes.shape[1] > 2 and self._points is not None and self._points.shape == points.shape:
            points = _turned(points, self._points)
        self._points = points
        ends = np.cumsum([0, *((label == k).sum() for k in CLASSES.values())])
        parts = {
            name: _pairs(*points[low:high].T) for name, low, high in zip(CLASSES, ends[:-1], ends[1:], strict=True)
        }
        return {"width": codes.shape[1], "explained": explained, **parts}

    def _chosen(self, rows: NDArray[np.int64]) -> Any:
        return for_detector(self._kind, self._samples[rows])

    def _some(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        return rows[:_MOST_ROWS] if self._in_order else rng.permutation(rows)[:_MOST_ROWS]


def _plane(codes: Floats) -> tuple[Floats, float]:
    """Return codes ``[n, K]`` in a plane, ``[n, 2]``, and the share of their variance that is seen there.

    It is that of their principal axes; codes of two units or one are as they are.
    """
    n, width = codes.shape
    if width <= 2:
        return np.concatenate([codes, np.zeros((n, 2 - width))], 1), 1.0
    centred = codes - codes.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    total = float((sizes**2).sum())
    return left[:, :2] * sizes[:2], float((sizes[:2] ** 2).sum()) / total if total else 1.0


def _turned(points: Floats, before: Floats) -> Floats:
    """Return points turned or mirrored about 0 to lie as near as they can to those of the epoch before.

    The sign of a principal axis means nothing, and two of like variance change places.
    """
    u, _, v = np.linalg.svd(points.T @ before)
    return points @ (u @ v)


def _histogram(label: NDArray[np.int8], scores: Floats, threshold: float, *, both: bool) -> dict[str, Any]:
    scale: Literal["linear", "log"] = "linear"
    if both:
        known = label >= 0
        made = score_histogram(label[known], scores[known], threshold, _BINS)
        edges, scale = made.edges, made.scale
    else:
        low, high = np.quantile(scores, (0.005, 0.995), method="nearest")
        edges = np.histogram_bin_edges(np.clip(scores, low, high), _BINS)
    inside = np.clip(scores, edges[0], edges[-1])
    counts = {name: np.histogram(inside[label == k], edges)[0].tolist() for name, k in CLASSES.items()}
    return {"edges": edges.tolist(), "scale": scale, **counts}


def _roc(y: NDArray[np.int8], scores: Floats) -> list[list[float]]:
    fpr, tpr, _ = roc_curve(y, scores)
    kept = thin(fpr, tpr, _POINTS)
    return _pairs(fpr[kept], tpr[kept])


def _pr(y: NDArray[np.int8], scores: Floats) -> list[list[float]]:
    precision, recall, _ = pr_curve(y, scores)
    kept = thin(recall, precision, _POINTS)
    return _pairs(recall[kept], precision[kept])


def _pairs(x: ArrayLike, y: ArrayLike) -> list[list[float]]:
    """Return points to be drawn, with five significant digits, which is more than a screen shows."""
    return [[float(f"{a:.5g}"), float(f"{b:.5g}")] for a, b in zip(np.asarray(x), np.asarray(y), strict=True)]
