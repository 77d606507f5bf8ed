"""Why an image, a sequence or a step of a series has its score: where, what was expected, what normal is near."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.explain.hooks import by_hook
from whitecrow.explain.patches import PatchReasons, explain_patch

if TYPE_CHECKING:
    from whitecrow.detectors import Detector

__all__ = ["ImageReasons", "SeriesReasons", "explain_image", "explain_sequence", "explain_step"]

_DONORS = 5  # nearest normal samples that an occluded patch, or what is expected, is made of
_PATCHES = 8  # along a side, of an occlusion map
_BLOCK_VALUES = 1 << 22
_OWN = "the method's own scores by pixel"
_OCCLUDED = "occlusion: how far the score drops when a patch looks as it does in the nearest normal images"
_REBUILT = "what the method rebuilds"
_NEAREST = "the mean of the nearest normal sequences, for the method rebuilds nothing"


@dataclass(frozen=True, eq=False)
class ImageReasons:
    """Why one image has its score.

    Parameters
    ----------
    image : ndarray of float32 [H, W] or [H, W, C]
        As the detector sees it, from 0 to 1.
    score : float
        Higher = more anomalous.
    heat : ndarray of float32 [H, W]
        Scores by place, higher = more anomalous.
    method : str
        How the map was found.
    rebuilt : ndarray of float32 like ``image``, or None
        As the method rebuilds it, where it does.
    neighbours : ndarray of float32 [n, H, W] or [n, H, W, C]
        Nearest normal training images, the nearest first.
    distances : ndarray of float64 [n]
        To them, in pixels scaled from -1 to 1.
    text : str
        In plain words.
    rows : tuple of int or None
        Sample of the data set that each of the neighbours is, where that is at hand.
    patch : PatchReasons or None
        The most anomalous patch beside those of normal images; None where the model keeps no normal image.
    """

    image: NDArray[np.float32]
    score: float
    heat: NDArray[np.float32]
    method: str
    rebuilt: NDArray[np.float32] | None
    neighbours: NDArray[np.float32]
    distances: NDArray[np.float64]
    text: str
    rows: tuple[int | None, ...] = ()
    patch: PatchReasons | None = None

    @property
    def own_map(self) -> bool:
        """Whether the map is of the method's own scores by place, and not made by occlusion."""
        return self.method == _OWN


@dataclass(frozen=True, eq=False)
class SeriesReasons:
    """Why a sequence, or a step of a series, has its score.

    Parameters
    ----------
    channels : tuple of str, length C
    first : int
        Row of the first step that is shown; 0 of a sequence.
    observed, expected : ndarray of float64 [n, C]
        In original units; ``expected`` is NaN where no window reaches.
    score : float
        Of the sequence or the step.
    method : str
        What is expected, and how it was found.
    neighbours : ndarray of float64 [k, W, C]
        Nearest normal training windows, the nearest first.
    distances : ndarray of float64 [k]
        To them, in scaled units.
    text : str
        In plain words.
    """

    channels: tuple[str, ...]
    first: int
    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    score: float
    method: str
    neighbours: NDArray[np.float64]
    distances: NDArray[np.float64]
    text: str


def explain_image(
    detector: "Detector", X: Any, *, n_neighbours: int = 5, rows: NDArray[np.int64] | None = None
) -> ImageReasons:
    """Say where one image is anomalous.

    Parameters
    ----------
    detector : Detector
        Fitted on images.
    X : images
        One of them.
    n_neighbours : int, default=5
        Nearest normal training images to show, and patches of them.
    rows : ndarray of int64, optional
        Which sample of the data set each of the detector's normal images is; see
        :func:`~whitecrow.explain.originals.find_samples`.

    Raises
    ------
    NotFittedError
        If the detector is not fitted.
    DataError
        If it was not fitted on images, or the image cannot be used.
    """
    encoder = _encoder(detector, "image")
    row = detector._encode(X)[:1]
    score = float(np.asarray(detector.anomaly_score(X))[0])
    places, distances = _nearest(detector.reference_, row, n_neighbours)
    near = detector.reference_[places[0]]
    try:
        heat, method = detector.anomaly_map(X)[0], _OWN
    except ParameterError:
        heat, method = _occluded(detector, row, score), _OCCLUDED
    rebuilt = by_hook(detector, row, detector.rebuild_batch)
    image = encoder.decode(row)[0]
    patch = None
    if len(detector.reference_):
        patch = explain_patch(detector, row, heat, n_neighbours=n_neighbours, rows=rows)
    return ImageReasons(
        image, score, heat.astype(np.float32), method,
        None if rebuilt is None else encoder.decode(rebuilt)[0],
        encoder.decode(near) if len(near) else np.zeros((0, *image.shape), dtype=np.float32),
        distances[0], _image_words(heat, score, detector.threshold_),
        tuple(None if rows is None else int(rows[place]) for place in places[0]), patch,
    )  # fmt: skip


def explain_sequence(detector: "Detector", X: NDArray[Any], *, n_neighbours: int = 5) -> SeriesReasons:
    """Say what was expected of one sequence ``[1, T, C]``.

    Raises
    ------
    NotFittedError
        If the detector is not fitted.
    DataError
        If it was not fitted on series, or the sequence cannot be used.
    """
    encoder = _encoder(detector, "sequence")
    row = detector._encode(X)
    score = float(np.asarray(detector.anomaly_score(X))[0])
    rows, method = _expected(detector, row)
    places, distances = _nearest(detector.reference_, row, n_neighbours)
    channels = tuple(column.name for column in encoder.columns_)
    observed, expected = np.asarray(X, dtype=np.float64)[0], encoder.decode(rows)[0]
    text = _series_words(observed, expected, encoder, score, detector.threshold_, 0, "The sequence")
    near = encoder.decode(detector.reference_[places[0]]) if len(places[0]) else np.zeros((0, *observed.shape))
    return SeriesReasons(channels, 0, observed, expected, score, method, near, distances[0], text)


def explain_step(
    detector: "Detector", table: pl.DataFrame, row: int, score: float, *, around: int = 200, n_neighbours: int = 5
) -> SeriesReasons:
    """Say what was expected around one step of a series.

    Parameters
    ----------
    detector : Detector
        Fitted on a series.
    table : polars.DataFrame, shape [T, columns]
        The series in the order of its time.
    row : int
        The step, from 0.
    score : float
        Its anomaly score.
    around : int, default=200
        Steps before and behind that are shown, at least a window.
    n_neighbours : int, default=5
        Nearest normal training windows to show.

    Raises
    ------
    NotFittedError
        If the detector is not fitted.
    DataError
        If it was not fitted on series, or the steps around cannot be used.
    """
    encoder = _encoder(detector, "sequence")
    window = encoder.window_
    around = max(around, window)
    first, last = max(0, row - around), min(table.height, row + around + 1)
    part = table[first:last]
    series = encoder.reread(part)
    starts = encoder.starts(series)
    encoded = encoder.transform(series, starts)
    rows, method = _expected(detector, encoded)
    windows = encoder.decode(rows)
    total, n = np.zeros((len(series.values), windows.shape[2])), np.zeros(len(series.values))
    for start, one in zip(starts.tolist(), windows, strict=True):
        total[start : start + window] += one
        n[start : start + window] += 1
    with np.errstate(invalid="ignore"):
        steps = total / n[:, None]
    places = np.arange(len(part)) if series.places is None else series.places
    names = [column.name for column in encoder.columns_]
    observed, expected = series.values[places].astype(np.float64), np.where(n[:, None] > 0, steps, np.nan)[places]
    # The window in whose middle the step lies, or the nearest to it.
    own = int(np.abs(starts + window // 2 - int(places[row - first])).argmin())
    near, distances = _nearest(detector.reference_, encoded[own : own + 1], n_neighbours)
    text = _series_words(
        observed[row - first : row - first + 1], expected[row - first : row - first + 1], encoder, score,
        detector.threshold_, row, "The step",
    )  # fmt: skip
    neighbours = encoder.decode(detector.reference_[near[0]]) if len(near[0]) else np.zeros((0, window, len(names)))
    return SeriesReasons(tuple(names), first, observed, expected, score, method, neighbours, distances[0], text)


def _encoder(detector: "Detector", kind: str) -> Any:
    detector._check_fitted()
    encoder: Any = detector.encoder_
    if encoder.kind != kind:
        noun = "images" if kind == "image" else "series"
        raise DataError(f"This {type(detector).__name__} was fitted on {encoder.kind} data, not on {noun}.")
    return encoder


def _nearest(
    reference: NDArray[np.float32], rows: NDArray[np.float32], n: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return of each row ``[m, D]`` the n nearest reference rows and the distances to them, ``[m, n]``."""
    n = min(n, len(reference))
    places, distances = np.zeros((len(rows), n), dtype=np.intp), np.zeros((len(rows), n))
    if not n:
        return places, distances
    other = reference.astype(np.float64)
    size = max(1, _BLOCK_VALUES // other.size)
    for start in range(0, len(rows), size):
        block = rows[start : start + size].astype(np.float64)
        # From differences: the expanded square loses the digits of rows that are alike.
        apart = np.sqrt(((block[:, None] - other) ** 2).sum(-1))
        order = np.argsort(apart, axis=1, kind="stable")[:, :n]
        places[start : start + size] = order
        distances[start : start + size] = np.take_along_axis(apart, order, 1)
    return places, distances


def _expected(detector: "Detector", rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Return what is expected in place of encoded windows ``[n, D]``, and how that was found."""
    rebuilt = by_hook(detector, rows, detector.rebuild_batch)
    if rebuilt is not None:
        return rebuilt, _REBUILT
    reference = detector.reference_
    if not len(reference):
        raise DataError("The model keeps no normal samples to compare with. Fit it with a smaller contamination.")
    return reference[_nearest(reference, rows, _DONORS)[0]].mean(1), _NEAREST


def _occluded(detector: "Detector", row: NDArray[np.float32], score: float) -> NDArray[np.float64]:
    """Return how far the score drops for each patch that looks as in the nearest normal images, ``[H, W]``."""
    channels, height, width = detector.spec_.shape
    reference = detector.reference_
    if not len(reference):
        raise DataError("The model keeps no normal images to compare with. Fit it with a smaller contamination.")
    normal = reference[_nearest(reference, row, _DONORS)[0][0]].mean(0).reshape(channels, height, width)
    image = row.reshape(channels, height, width)
    tall, wide = -(-height // _PATCHES), -(-width // _PATCHES)
    corners = [(top, left) for top in range(0, height, tall) for left in range(0, width, wide)]
    changed = np.repeat(image[None], len(corners), axis=0)
    for one, (top, left) in zip(changed, corners, strict=True):
        one[:, top : top + tall, left : left + wide] = normal[:, top : top + tall, left : left + wide]
    drops = score - detector._score(changed.reshape(len(corners), -1)).mean(0)
    heat = np.zeros((height, width))
    for drop, (top, left) in zip(drops, corners, strict=True):
        heat[top : top + tall, left : left + wide] = drop
    return heat


def _verdict(score: float, threshold: float) -> str:
    return f"scores {score:.4g}, {'above' if score > threshold else 'not above'} the threshold {threshold:.4g}"


def _image_words(heat: NDArray[np.floating], score: float, threshold: float) -> str:
    height, width = heat.shape
    top, left = np.unravel_index(int(heat.argmax()), heat.shape)
    places = (
        ("at its upper left", "at its top", "at its upper right"),
        ("at its left", "in its middle", "at its right"),
        ("at its lower left", "at its bottom", "at its lower right"),
    )
    where = places[min(2, 3 * int(top) // height)][min(2, 3 * int(left) // width)]
    return f"The image {_verdict(score, threshold)}; it departs most {where}."


def _series_words(
    observed: NDArray[np.float64],
    expected: NDArray[np.float64],
    encoder: Any,
    score: float,
    threshold: float,
    first: int,
    subject: str,
) -> str:
    text = f"{subject} {_verdict(score, threshold)}"
    scale = np.array([max(column.scale, 1e-12) for column in encoder.columns_])
    apart = np.abs(observed - expected) / scale
    if not np.isfinite(apart).any():
        return f"{text}; no window reaches it, so nothing is expected of it."
    step, channel = np.unravel_index(int(np.nanargmax(apart)), apart.shape)
    name = encoder.columns_[int(channel)].name
    return (
        f"{text}; it departs most from what is expected at step {first + int(step):,}, where {name} is "
        f"{observed[step, channel]:.4g} and {expected[step, channel]:.4g} was expected."
    )
