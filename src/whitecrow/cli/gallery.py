"""The images that a report shows: a dozen, chosen by score and label, with their maps."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.errors import ParameterError
from whitecrow.workspace.report.alerts import label_text

if TYPE_CHECKING:
    from whitecrow.cli.labelled_images import LabelledImages
    from whitecrow.detectors import Detector

__all__ = ["GROUPS", "Gallery", "Picture", "choose_images", "draw_gallery"]

GROUPS = ("found", "missed", "false alarm", "most normal")
_OF_EACH = 3
_IN_ALL = len(GROUPS) * _OF_EACH
# A few extreme pixels must not leave the others without colour.
_COLOURED = (0.01, 0.995)


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of a gallery.

    Parameters
    ----------
    name : str
        File or number.
    group : str
        Why it is shown, one of :data:`GROUPS`.
    label : str
        Its label as text.
    score : float
        Anomaly score.
    image : ndarray of float32 [H, W] or [H, W, 3]
        As the detector sees it, from 0 to 1.
    rebuilt : ndarray of float32 [H, W] or [H, W, 3], or None
        What the detector makes of it, where it says so.
    heat : ndarray of float32 [H, W] or None
        Its anomaly map, where the detector has one.
    mask : ndarray of bool [H, W] or None
        True anomalous pixels, where they are known.
    """

    name: str
    group: str
    label: str
    score: float
    image: NDArray[np.float32]
    rebuilt: NDArray[np.float32] | None
    heat: NDArray[np.float32] | None
    mask: NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class Gallery:
    """Images with one common scale of colours.

    Parameters
    ----------
    pictures : tuple of Picture
        In the order of :data:`GROUPS`.
    low, high : float
        Values of the maps at the ends of the scale of colours; values beyond have the colours of the ends.
    """

    pictures: tuple[Picture, ...]
    low: float
    high: float


def choose_images(y: NDArray[np.integer], scores: NDArray[np.float64], threshold: float) -> list[tuple[str, int]]:
    """Return at most twelve images worth a look, each with its group.

    Three of each: the anomalies with the highest scores that are flagged, those with the lowest scores that are not,
    the normal images with the highest scores that are flagged, and those with the lowest scores. Where a group has
    fewer, more of the first are taken.

    Parameters
    ----------
    y : ndarray of int [N]
        1 anomaly, 0 normal; others are never shown.
    scores : ndarray [N]
        Anomaly scores.
    threshold : float
        An image is flagged if its score is above.
    """
    flagged, order = scores > threshold, np.argsort(-scores, kind="stable")

    def ranked(chosen: NDArray[np.bool_], rows: NDArray[np.intp]) -> list[int]:
        return rows[chosen[rows]].tolist()

    found = ranked((y == 1) & flagged, order)
    others = [
        ranked((y == 1) & ~flagged, order[::-1])[:_OF_EACH],
        ranked((y == 0) & flagged, order)[:_OF_EACH],
        ranked((y == 0) & ~flagged, order[::-1])[:_OF_EACH],
    ]
    first = found[: _IN_ALL - sum(map(len, others))]
    return [(group, row) for group, rows in zip(GROUPS, [first, *others], strict=True) for row in rows]


def draw_gallery(
    detector: "Detector",
    given: "LabelledImages",
    scores: NDArray[np.float64],
    heat: NDArray[np.float32] | None,
) -> Gallery:
    """Return the images to show.

    Parameters
    ----------
    detector : Detector
        Fitted on images. If it rebuilds them, its reconstructions are shown as well.
    given : LabelledImages
        What was judged.
    scores : ndarray [N]
        Anomaly scores.
    heat : ndarray [N, H, W] or None
        Anomaly maps, if the detector has any.
    """
    chosen = choose_images(given.labels.y, scores, detector.threshold_)
    rows = np.array([row for _, row in chosen], dtype=np.intp)
    images, encoder = given.take(rows), detector.encoder_
    shown = encoder.decode(encoder.transform(images))  # pyright: ignore[reportAttributeAccessIssue] - of images
    try:
        rebuilt = detector.reconstruction(images)
    except ParameterError:  # a method that rebuilds nothing
        rebuilt = None
    masks = given.read_masks(rows, shown.shape[1:3])
    pictures = tuple(
        Picture(
            name=given.names[row],
            group=group,
            label=label_text(given.labels, row),
            score=float(scores[row]),
            image=shown[k],
            rebuilt=None if rebuilt is None else rebuilt[k],
            heat=None if heat is None else heat[row],
            mask=masks[k] if given.masks[row] is not None else None,
        )
        for k, (group, row) in enumerate(chosen)
    )
    low, high = (0.0, 1.0) if heat is None else map(float, np.quantile(heat[rows], _COLOURED))
    return Gallery(pictures, low, high if high > low else low + 1.0)
