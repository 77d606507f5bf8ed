"""A detector judged on labelled images, and its maps on the pixels that masks mark."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType

from whitecrow.cli.figures import evaluation_tables, facts, pixel_table
from whitecrow.cli.labelled_images import LabelledImages, labelled_images
from whitecrow.cli.wording import in_units
from whitecrow.core.errors import ParameterError, missing_extra
from whitecrow.workspace.assessment import assess

if TYPE_CHECKING:
    from whitecrow.cli.report import Page
    from whitecrow.cli.request import Request
    from whitecrow.detectors import Detector
    from whitecrow.workspace.assessment import Assessment

__all__ = ["PixelFigures", "evaluate_images", "judge_maps"]

_FPR_LIMIT = 0.3


@dataclass(frozen=True)
class PixelFigures:
    """How well maps mark the pixels that masks mark.

    Parameters
    ----------
    auroc : float
        Area under the ROC curve over all pixels together; 0.5 is chance.
    aupro : float
        Normalised area under the per-region overlap up to ``fpr_limit``; half of that limit is chance.
    fpr_limit : float
        Share of the normal pixels that may be flagged.
    images, masked : int
        Images that were judged, and those of them that have a mask.
    height, width : int
        Size of maps and masks, in pixels: that of the model.
    """

    auroc: float
    aupro: float
    fpr_limit: float
    images: int
    masked: int
    height: int
    width: int


def evaluate_images(request: "Request") -> tuple[dict[str, Any], *tuple[RenderableType, ...]]:
    """Judge, write the report if one is wanted, and return the document and what to show.

    Raises
    ------
    DataError
        If the path holds no images, or they are not of both classes.
    MissingExtraError
        If a report is wanted and Pillow is not installed.
    ParameterError
        If labels are missing or meaningless here.
    """
    console, detector, file = request.console, request.detector, request.file
    if request.report is not None:
        _require_pillow()
    given = labelled_images(file, request.label, request.normal)
    with console.working(f"Scoring {file.name}") as bar:
        scores = detector.anomaly_score(given.images)
        bar.update("Measuring")
        assessment = assess(detector, scores, given.labels, given.hashes(), request.costs, "image")
        for sentence in assessment.notes:
            console.note(sentence)
        masked = any(mask is not None for mask in given.masks)
        heat = _maps(detector, given) if masked or request.report is not None else None
        pixels = None
        if masked and heat is not None:
            pixels, sentences = judge_maps(given, heat)
            for sentence in sentences:
                console.note(sentence)
        elif masked:
            console.note("There are masks, but the detector has no score by pixel: no figures of pixels.")
        if request.report is not None:
            from whitecrow.cli.report import render
            from whitecrow.core.files import write_bytes

            bar.update("Drawing the report")
            page = _page(request, given, assessment, scores, heat, pixels)
            write_bytes(request.report, render(page))
    document = {**assessment.to_dict(), "pixels": None if pixels is None else asdict(pixels)}
    head = facts(request.head({"Images": in_units(str(given.labels), "image")}))
    shown = [evaluation_tables(assessment, "image"), *([] if pixels is None else [pixel_table(pixels)])]
    return request.document(document), head, *shown


def judge_maps(given: LabelledImages, heat: NDArray[np.float32]) -> tuple[PixelFigures | None, list[str]]:
    """Return the figures of maps ``[N, H, W]``, and what makes them doubtful.

    Anomalous images without a mask are left out; normal ones count as normal in every pixel.
    """
    from whitecrow.metrics import aupro, pixel_auroc

    y, notes = given.labels.y, []
    known = np.array([mask is not None for mask in given.masks])
    unknown = int(((y == 1) & ~known).sum())
    if unknown:
        notes.append(f"{unknown:,} anomalous images have no mask and are left out of the figures of pixels.")
    rows = np.flatnonzero(((y == 1) & known) | (y == 0))
    masks = given.read_masks(rows, heat.shape[1:])
    if not masks.any() or masks.all():
        notes.append("The masks are empty or full at the size of the model: no figures of pixels.")
        return None, notes
    # A region may vanish where an image shrinks.
    empty = int((known[rows] & (y[rows] == 1) & ~masks.any((1, 2))).sum())
    if empty:
        notes.append(f"{empty:,} masks are empty at the size of the model, and count as normal in every pixel.")
    height, width = heat.shape[1:]
    chosen = heat[rows]
    figures = PixelFigures(
        pixel_auroc(masks, chosen), aupro(masks, chosen, _FPR_LIMIT), _FPR_LIMIT, len(rows), int(known[rows].sum()),
        height, width,
    )  # fmt: skip
    return figures, notes


def _maps(detector: "Detector", given: LabelledImages) -> NDArray[np.float32] | None:
    """Return the maps, or None where the method has no scores by place."""
    try:
        detector.anomaly_map(given.take(np.arange(1)))
    except ParameterError:
        return None
    return detector.anomaly_map(given.images)


def _require_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise missing_extra("pillow", "image", "The report of images") from error


def _page(
    request: "Request",
    given: LabelledImages,
    assessment: "Assessment",
    scores: NDArray[np.float64],
    heat: NDArray[np.float32] | None,
    pixels: PixelFigures | None,
) -> "Page":
    from whitecrow.cli.gallery import draw_gallery
    from whitecrow.cli.report import Page, model_facts
    from whitecrow.cli.report.image_grid import image_grid, pixel_section

    detector, file = request.detector, request.file
    grid = image_grid(draw_gallery(detector, given, scores, heat), detector.threshold_)
    source = {"Label file": request.label} if request.label is not None else {"Labels from": "sub-folders"}
    return Page(
        title=f"{type(detector).__name__} on {file.name or file.resolve().name}",
        subject=type(detector).__name__,
        assessment=assessment,
        alerts=(),
        model=model_facts(detector, request.model),
        data={"Path": str(file), **source, "Labels": in_units(str(given.labels), "image")},
        notes=tuple(request.console.notes),
        unit="image",
        images=(grid,) if pixels is None else (grid, pixel_section(pixels)),
    )
