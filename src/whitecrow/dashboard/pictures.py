"""Pixels as pictures of the page: PNG in data addresses, which the content-security policy lets in."""

import struct
import zlib
from base64 import b64encode
from collections.abc import Callable

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from whitecrow.dashboard.parts import Text
from whitecrow.explain.patches import Place
from whitecrow.page.heat_colours import coloured

__all__ = ["between", "heat_over", "marked", "picture", "png_address"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR, _COLOUR_ALPHA = 0, 2, 6
_MOST_SIDE = 512
_MARKED_SIDE = 256  # to which a marked image is enlarged, by whole pixels
_LINE = 4


def png_address(pixels: NDArray[np.floating]) -> str:
    """Return pixels between 0 and 1, ``[H, W]`` or ``[H, W, 3 or 4]``, as the address of a PNG that holds them.

    A fourth channel is opacity. Sides of more than 512 pixels lose every other one, or more.
    """
    step = max(1, -(-max(pixels.shape[:2]) // _MOST_SIDE))
    values = np.clip(pixels[::step, ::step] * 255 + 0.5, 0, 255).astype(np.uint8)
    height, width = values.shape[:2]
    kind = _GREY if values.ndim == 2 else {3: _COLOUR, 4: _COLOUR_ALPHA}[values.shape[2]]
    rows = values.reshape(height, -1)
    # Each line begins with the number of its filter; 0 is none.
    lines = np.concatenate([np.zeros((height, 1), dtype=np.uint8), rows], 1).tobytes()
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    data = _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")
    return f"data:image/png;base64,{b64encode(data).decode()}"


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def between(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return values from 0, the lowest, to 1, the highest; 0 where all are equal."""
    low, high = float(values.min()), float(values.max())
    return (values.astype(np.float64) - low) / (high - low) if high > low else np.zeros(values.shape)


def marked(image: NDArray[np.floating], place: Place) -> NDArray[np.float64]:
    """Return an image ``[H, W]`` or ``[H, W, 3]`` in colours, larger, with a frame around a place.

    The frame is white within black, so that it is seen on any ground. It lies around the place, and within it at the
    edges of the image.
    """
    times = max(1, _MARKED_SIDE // max(image.shape[:2]))
    colours = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
    large = np.repeat(np.repeat(colours.astype(np.float64), times, axis=0), times, axis=1)
    height, width = large.shape[:2]
    top, left = place.top * times, place.left * times
    low, right = top + place.height * times, left + place.width * times
    for wide, shade in ((2 * _LINE, 0.0), (_LINE, 1.0)):
        frame = np.zeros((height, width), dtype=bool)
        frame[max(0, top - wide) : low + wide, max(0, left - wide) : right + wide] = True
        frame[max(top, wide) : min(low, height - wide), max(left, wide) : min(right, width - wide)] = False
        large[frame] = shade
    return large


def picture(address: str, description: str, *, side: str = "10rem", caption: str = "") -> ui.element:
    """Show a picture whose pixels stay sharp.

    Parameters
    ----------
    address : str
        Of :func:`png_address`.
    description : str
        For who does not see it.
    side : str
        Its width, in CSS.
    caption : str
        Below it.
    """
    with ui.element("figure").classes("wc-picture").style(f"--wc-side: {side}") as made:
        image = ui.element("img")
        image.props["src"] = address
        image.props["alt"] = description
        if caption:
            Text(caption, "figcaption")
    return made


def heat_over(
    image: NDArray[np.floating], heat: NDArray[np.floating], description: str, *, side: str = "16rem"
) -> Callable[[NDArray[np.floating], NDArray[np.floating]], None]:
    """Show an image under its heat map, with a slider for the map's opacity.

    Parameters
    ----------
    image : ndarray [H, W] or [H, W, 3 or 4]
        From 0 to 1.
    heat : ndarray [H, W]
        Higher = more anomalous.
    description : str
        For who does not see it.
    side : str
        Width, in CSS.

    Returns
    -------
    function of two arrays
        Shows another image and map in their place.
    """
    with ui.element("figure").classes("wc-picture").style(f"--wc-side: {side}"):
        with ui.element("div").classes("wc-heat") as stack:
            below = ui.element("img")
            below.props["alt"] = description
            above = ui.element("img").props('alt=""').classes("wc-heat-map")
        with ui.element("label").classes("wc-opacity"):
            Text("Opacity of the map")
            slider = ui.element("input").props("type=range min=0 max=100 step=5 value=60")
            # In the browser alone: nothing is asked for while it is dragged.
            slider.on(
                "input",
                js_handler=f"(event) => getHtmlElement({stack.id})?.style.setProperty("
                "'--wc-opacity', event.target.value / 100)",
            )

    def show(image: NDArray[np.floating], heat: NDArray[np.floating]) -> None:
        below.props["src"] = png_address(image)
        above.props["src"] = png_address(coloured(between(heat)))

    show(image, heat)
    return show
