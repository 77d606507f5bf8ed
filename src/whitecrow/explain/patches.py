"""The most anomalous patch of an image, and the patches of normal images that are nearest to it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from whitecrow.explain.hooks import by_hook

if TYPE_CHECKING:
    from whitecrow.detectors import Detector

__all__ = ["NearPatch", "PatchReasons", "Place", "explain_patch"]

_SIDE = 5  # of the shorter side of an image: a patch's
_LEAST_SIDE = 3
_CELLS = 3  # places of a method's own grid, along the side of what a patch shows
_MOST_VALUES = 1 << 22  # that are compared within one image
_PIXELS = "Euclidean distance of pixels from 0 to 1"
_OWN = "Euclidean distance of the features by which the method compares patches"


class Place(NamedTuple):
    """A rectangle of an image, in pixels from its upper left corner."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the pixels of an image ``[H, W]`` or ``[H, W, C]`` that it holds."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


class NearPatch(NamedTuple):
    """A patch of a normal image.

    Parameters
    ----------
    image : ndarray of float32 [H, W] or [H, W, C]
        All of the image, from 0 to 1.
    row : int or None
        Sample of the data set that it is, where that is at hand.
    place : Place
        Where in it the patch lies.
    distance : float
        See :class:`PatchReasons`.
    """

    image: NDArray[np.float32]
    row: int | None
    place: Place
    distance: float


@dataclass(frozen=True, eq=False)
class PatchReasons:
    """The most anomalous patch of an image.

    Parameters
    ----------
    place : Place
        Where it lies.
    score : float
        Mean of the map over it.
    method : str
        What the distances are, and among which patches.
    neighbours : tuple of NearPatch
        The nearest first, of different images.
    """

    place: Place
    score: float
    method: str
    neighbours: tuple[NearPatch, ...]


def explain_patch(
    detector: "Detector",
    row: NDArray[np.float32],
    heat: NDArray[np.floating],
    *,
    n_neighbours: int = 5,
    rows: NDArray[np.int64] | None = None,
) -> PatchReasons:
    """Find the most anomalous patch of an image, and the nearest patches of the normal images that a detector keeps.

    A method that compares patches by features of its own is asked for them; for the others pixels are compared. The
    work is bounded: a detector keeps at most about a million pixels of normal images, and in a large image not every
    place is compared.

    Parameters
    ----------
    detector : Detector
        Fitted on images.
    row : ndarray of float32 [1, D]
        The encoded image.
    heat : ndarray [H, W]
        Its scores by place, higher = more anomalous.
    n_neighbours : int, default=5
        Patches to show, at most one of an image; none of the image itself.
    rows : ndarray of int64, optional
        Which sample of the data set each of the detector's ``reference_`` is.
    """
    others = np.flatnonzero((detector.reference_ != row).any(axis=1))
    reference = detector.reference_[others]
    features = by_hook(detector, np.concatenate([row, reference]), detector.patch_batch)
    if features is None:
        place = _hottest(heat)
        found, words = _by_pixels(detector, row, reference, place)
    else:
        place, found = _by_features(features, heat)
        words = _OWN
    encoder: Any = detector.encoder_
    order = sorted(range(len(found)), key=lambda k: found[k][1])[:n_neighbours]
    near = tuple(
        NearPatch(
            encoder.decode(reference[k : k + 1])[0],
            None if rows is None else int(rows[others[k]]),
            *found[k],
        )
        for k in order
    )
    return PatchReasons(place, float(place.of(heat).mean()), f"{words}; one patch of an image at most", near)


def _hottest(heat: NDArray[np.floating]) -> Place:
    """Return the square with the greatest mean; of equal ones the first, row by row."""
    side = min(max(_LEAST_SIDE, min(heat.shape) // _SIDE), *heat.shape)
    means = sliding_window_view(heat.astype(np.float64), (side, side)).mean(axis=(2, 3))
    top, left = np.unravel_index(int(means.argmax()), means.shape)
    return Place(int(top), int(left), side, side)


def _by_pixels(
    detector: "Detector", row: NDArray[np.float32], reference: NDArray[np.float32], place: Place
) -> tuple[list[tuple[Place, float]], str]:
    """Return the nearest patch of each reference image with its distance, and what was compared."""
    encoder: Any = detector.encoder_
    patch = np.moveaxis(np.atleast_3d(place.of(encoder.decode(row)[0])), 2, 0)
    size, found, step = patch.shape[1:], [], 1
    for one in reference:
        image = encoder.decode(one[None])[0]
        views = sliding_window_view(np.atleast_3d(image), size, axis=(0, 1))  # [places, places, C, h, w]
        step = max(1, int(np.ceil(np.sqrt(views.size / _MOST_VALUES))))
        apart = np.square(views[::step, ::step] - patch).sum(axis=(2, 3, 4), dtype=np.float64)
        top, left = np.unravel_index(int(apart.argmin()), apart.shape)
        distance = float(np.sqrt(apart[top, left]))
        found.append((Place(int(top) * step, int(left) * step, *size), distance))
    return found, _PIXELS if step == 1 else f"{_PIXELS}, at every {step}th row and column"


def _by_features(features: NDArray[np.floating], heat: NDArray[np.floating]) -> tuple[Place, list[tuple[Place, float]]]:
    """Return the place of the map's peak and of the nearest patch of each image but the first, ``[n, h, w, C]``."""
    h, w = features.shape[1:3]
    height, width = heat.shape
    size = min(height, round(_CELLS * height / h)), min(width, round(_CELLS * width / w))

    def around(cell: tuple[int, int]) -> Place:
        middle = (cell[0] + 0.5) * height / h, (cell[1] + 0.5) * width / w
        top, left = (min(max(round(m - s / 2), 0), n - s) for m, s, n in zip(middle, size, heat.shape, strict=True))
        return Place(top, left, *size)

    y, x = np.unravel_index(int(heat.argmax()), heat.shape)
    cell = int((y + 0.5) * h / height), int((x + 0.5) * w / width)
    own = features[0, *cell].astype(np.float64)
    found = []
    for one in features[1:]:
        apart = np.linalg.norm(one.astype(np.float64) - own, axis=2)
        i, j = np.unravel_index(int(apart.argmin()), apart.shape)
        found.append((around((int(i), int(j))), float(apart[i, j])))
    return around(cell), found
