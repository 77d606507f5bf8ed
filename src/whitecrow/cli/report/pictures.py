"""Pixels as pictures inside the page: PNG in data addresses, the scale of colours, outlines of masks."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from whitecrow.page.heat_colours import coloured
from whitecrow.page.markup import Markup, tag

__all__ = ["is_coarse", "outline", "overlaid", "png", "scale_bar"]

_MOST_SIDE = 384
_COARSE_SIDE = 128
_STRONGEST = 0.8


def overlaid(image: NDArray[np.floating], share: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return an image under its map, ``[H, W, 3]``: the higher a pixel's share, the less of the image shows."""
    grey = image if image.ndim == 2 else image[..., :3].mean(-1)
    opacity = _STRONGEST * np.clip(share, 0, 1)[..., None]
    return (1 - opacity) * grey[..., None] + opacity * coloured(share)


def png(pixels: NDArray[np.floating]) -> str:
    """Return pixels between 0 and 1, ``[H, W]`` or ``[H, W, 3 or 4]``, as the address of a PNG that holds them.

    Sides beyond 384 pixels are shrunk; a fourth channel, which is opacity, is left out.
    """
    from PIL import Image

    values = np.clip(np.asarray(pixels) * 255 + 0.5, 0, 255).astype(np.uint8)
    picture = Image.fromarray(values[..., :3] if values.ndim == 3 else values)
    picture.thumbnail((_MOST_SIDE, _MOST_SIDE))
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def is_coarse(shape: tuple[int, ...]) -> bool:
    """Return whether pixels of images of this shape are few enough to be seen one by one."""
    return max(shape[:2]) <= _COARSE_SIDE


def outline(mask: NDArray[np.bool_]) -> str:
    """Return the borders between the marked pixels of ``[H, W]`` and the others as a path, in pixels."""
    framed = np.pad(mask, 1)
    parts: list[str] = []
    # Borders that lie on one line and touch are one stroke.
    for k, row in enumerate(framed[1:] != framed[:-1]):
        parts += [f"M{a - 1} {k}H{b - 1}" for a, b in _runs(row)]
    for k, column in enumerate((framed[:, 1:] != framed[:, :-1]).T):
        parts += [f"M{k} {a - 1}V{b - 1}" for a, b in _runs(column)]
    return "".join(parts)


def _runs(flags: NDArray[np.bool_]) -> list[list[int]]:
    return np.flatnonzero(np.diff(flags, prepend=False, append=False)).reshape(-1, 2).tolist()


def scale_bar(low: float, high: float) -> Markup:
    """Return the scale of colours with the values at its ends and middle."""
    n, width, height = 64, 420.0, 16.0
    colours = (coloured(np.linspace(0, 1, n)) * 255).round().astype(int).tolist()
    # Neighbours overlap, so that no seam shows between them.
    cells = [
        tag("rect", x=f"{k * width / n:.1f}", y=0, width=f"{width / n + (0.6 if k < n - 1 else 0):.1f}", height=height,
            fill=f"rgb({r},{g},{b})")
        for k, (r, g, b) in enumerate(colours)
    ]  # fmt: skip
    ticks = [
        tag("text", f"{low + part * (high - low):.3g}", x=part * width, y=height + 16, text_anchor=anchor)
        for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    ]
    name = f"Scale of colours: dark blue {low:.3g}, pale yellow {high:.3g}"
    return tag(
        "svg", tag("title", name), *cells, *ticks, viewBox=f"0 0 {width:g} {height + 20:g}", role="img",
        aria_label=name, class_="scale-bar",
    )  # fmt: skip
