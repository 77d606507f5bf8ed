"""The sections of images: a grid of them with their maps, and the figures of pixels."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whitecrow.cli.report.pictures import is_coarse, outline, overlaid, png, scale_bar
from whitecrow.cli.wording import percent
from whitecrow.page.heat_colours import coloured
from whitecrow.page.markup import Markup, tag
from whitecrow.page.parts import number_cell, section, table_of

if TYPE_CHECKING:
    from whitecrow.cli.gallery import Gallery, Picture
    from whitecrow.cli.image_assessment import PixelFigures

__all__ = ["image_grid", "pixel_section"]

_HEADINGS = {
    "found": "Found: anomalies that are flagged, the highest scores",
    "missed": "Missed: anomalies that are not flagged, the lowest scores first",
    "false alarm": "False alarms: normal images that are flagged, the highest scores first",
    "most normal": "Most normal: normal images with the lowest scores",
}


def image_grid(gallery: "Gallery", threshold: float) -> Markup:
    """Return the images with what the detector makes of them, one row of pictures for each."""
    maps = any(picture.heat is not None for picture in gallery.pictures)
    masks = any(picture.mask is not None for picture in gallery.pictures)
    wide = any(picture.rebuilt is not None for picture in gallery.pictures)
    grid = "gallery wide" if wide else "gallery"
    groups = [
        tag(
            "div",
            tag("h3", heading),
            tag("div", *(_card(p, gallery, threshold) for p in gallery.pictures if p.group == group), class_=grid),
            class_="group",
        )
        for group, heading in _HEADINGS.items()
        if any(p.group == group for p in gallery.pictures)
    ]
    choice = (
        "Three of each kind, or fewer where there are no more; the places that are left go to the anomalies found. "
        "Each image is shown as the detector sees it, in its size and channels."
    )
    scale = None
    if maps:
        text = (
            "One scale of colours for all maps: its ends are the quantiles 0.01 and 0.995 of all pixels shown, and "
            "values beyond have the colours of the ends. Overlaid, a pixel hides the more of the image the higher its "
            "score is." + (" The white line is the border of the true mask." if masks else "")
        )
        scale = tag(
            "div",
            tag("h3", "Anomaly score of a pixel, in the unit of the method"),
            scale_bar(gallery.low, gallery.high),
            tag("p", text, class_="soft"),
            class_="panel scale",
        )
    else:
        choice += " This detector scores an image as a whole and has no score by pixel."
    return section("The images, and where they stand out", choice, *([scale] if scale else []), *groups)


def _card(picture: "Picture", gallery: "Gallery", threshold: float) -> Markup:
    what = f"{picture.name}, {picture.label}"
    shown = [_picture("image", picture.image, f"Image {what}")]
    if picture.rebuilt is not None:
        shown.append(_picture("reconstruction", picture.rebuilt, f"Reconstruction of {what}"))
    share = np.zeros(picture.image.shape[:2])
    if picture.heat is not None:
        share = (picture.heat - gallery.low) / (gallery.high - gallery.low)
        name = f"Anomaly map of {what}, highest value {picture.heat.max():.3g}"
        shown.append(_picture("map", coloured(share), name))
    if picture.mask is not None:
        name = f"{what}: the map over the image, with the border of the true mask"
        shown.append(_picture("overlay, mask", overlaid(picture.image, share), name, picture.mask))
    elif picture.heat is not None:
        shown.append(_picture("overlay", overlaid(picture.image, share), f"{what}: the map over the image"))
    verdict = "flagged" if picture.score > threshold else "let pass"
    return tag(
        "figure",
        tag("div", *shown, class_="strip"),
        tag(
            "figcaption",
            tag("b", picture.name),
            tag("br"),
            f"{picture.label} · score {picture.score:.4g}, {verdict}",
        ),
        class_="picture",
    )


def _picture(caption: str, pixels: NDArray[np.floating], name: str, mask: NDArray[np.bool_] | None = None) -> Markup:
    height, width = pixels.shape[:2]
    base = tag(
        "image", href=png(pixels), x=0, y=0, width=width, height=height,
        class_="coarse" if is_coarse(pixels.shape) else None,
    )  # fmt: skip
    path = "" if mask is None else outline(mask)
    # White on black is seen on every colour of the scale.
    lines = [tag("path", d=path, class_=f"border {style}") for style in ("under", "over")] if path else []
    svg = tag("svg", tag("title", name), base, *lines, viewBox=f"0 0 {width} {height}", role="img", aria_label=name)
    return tag("div", svg, tag("span", caption))


def pixel_section(pixels: "PixelFigures") -> Markup:
    """Return how well the maps mark the pixels that masks mark."""
    limit = percent(pixels.fpr_limit)
    rows = [
        [tag("th", name, scope="row"), number_cell(f"{value:.3f}"), number_cell(f"{chance:.3f}"), tag("td", meaning)]
        for name, value, chance, meaning in (
            (
                "Pixel AUROC",
                pixels.auroc,
                0.5,
                "The chance that a random anomalous pixel scores higher than a random normal one. Large defects "
                "dominate it.",
            ),
            (
                f"AUPRO up to {limit}",
                pixels.aupro,
                pixels.fpr_limit / 2,
                "Share of each anomalous region that is marked, averaged over regions and over thresholds that mark "
                f"up to {limit} of the normal pixels. Small defects weigh as much as large ones.",
            ),
        )
    ]
    return section(
        "How well the maps mark defects",
        f"Over {pixels.images:,} images, {pixels.masked:,} of them with masks, all read at the size of the model: "
        f"{pixels.height} x {pixels.width} pixels (height x width).",
        tag(
            "div",
            table_of(["", "Value", "No skill", ""], rows, right=(1, 2), class_="maps"),
            class_="panel scroll",
            tabindex=0,
        ),
    )
