"""A drawing area with two axes, in SVG; colours come from the page's style sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.page.markup import Markup, join, tag

__all__ = ["HEIGHT", "WIDTH", "Axis", "Plot", "label_of", "shape"]

WIDTH, HEIGHT = 460.0, 320.0
_ROUND = tuple((math.cos(k * math.pi / 8), math.sin(k * math.pi / 8)) for k in range(16))
_SHAPES = {
    "one": _ROUND,
    "two": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "three": ((0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
    "four": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "five": ((0, 1.2), (1.1, -0.8), (-1.1, -0.8)),
    "six": ((-1.2, -0.45), (1.2, -0.45), (1.2, 0.45), (-1.2, 0.45)),
}
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 16.0, 46.0


def label_of(value: float) -> str:
    """Return a tick's label.

    >>> [label_of(v) for v in (0, 0.25, 1500, 2e6, 1e-5)]
    ['0', '0.25', '1.5k', '2M', '1e-5']
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1000 * size:
            return f"{value / size:.4g}{unit}"
    text = f"{value:.4g}"
    return text.replace("e-0", "e-").replace("e+0", "e") if "e" in text else text


def shape(x: float, y: float, style: str, size: float = 4.6) -> str:
    """Return the path of the point shape of a style around a place: styles differ by more than their colour."""
    corners = _SHAPES.get(style, _SHAPES["one"])
    points = " L".join(f"{x + size * a:.1f} {y + size * b:.1f}" for a, b in corners)
    return f"M{points} Z"


@dataclass(frozen=True)
class Axis:
    """A scale from values to shares of a length.

    Parameters
    ----------
    low, high : float
        Ends, low < high; both above 0 if logarithmic.
    title : str
        What is measured.
    logarithmic : bool
        Whether equal ratios have equal lengths.
    """

    low: float
    high: float
    title: str
    logarithmic: bool = False

    def at(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the places of values, from 0 to 1; values beyond an end lie on it."""
        inside = np.clip(np.asarray(values, np.float64), self.low, self.high)
        if self.logarithmic:
            return np.log(inside / self.low) / math.log(self.high / self.low)
        return (inside - self.low) / (self.high - self.low)

    def ticks(self, aimed: int = 5) -> list[float]:
        """Return round values on the axis."""
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            decades = [10.0**k for k in range(first, last + 1)]
            step = max(1, math.ceil(len(decades) / (aimed + 1)))
            if len(decades) >= 2:
                return decades[::step]
            # Within one decade a logarithm hardly bends: round values as on a linear axis.
        span = self.high - self.low
        size = 10.0 ** math.floor(math.log10(span / aimed))
        step = min((m * size for m in (1, 2, 5, 10)), key=lambda s: abs(span / s - aimed))
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


class Plot:
    """Collects marks; :meth:`svg` returns them with axes.

    Parameters
    ----------
    x, y : Axis
        The two axes.
    name : str
        What the picture shows, read aloud to those who do not see it.
    """

    def __init__(self, x: Axis, y: Axis, name: str) -> None:
        self.x, self.y, self.name = x, y, name
        self._marks: list[Markup] = []

    def _px(self, x: ArrayLike) -> NDArray[np.float64]:
        return _LEFT + self.x.at(x) * (WIDTH - _LEFT - _RIGHT)

    def _py(self, y: ArrayLike) -> NDArray[np.float64]:
        return HEIGHT - _BOTTOM - self.y.at(y) * (HEIGHT - _TOP - _BOTTOM)

    def line(self, x: ArrayLike, y: ArrayLike, style: str, *, steps: bool = False, filled: bool = False) -> None:
        """Add a line through points, or one that changes in steps, the area below it filled if asked."""
        px, py = self._px(x), self._py(y)
        if steps:
            px, py = np.repeat(px, 2)[1:], np.repeat(py, 2)[:-1]
        points = [f"{a:.1f},{b:.1f}" for a, b in zip(px.tolist(), py.tolist(), strict=True)]
        # Points within a tenth of a pixel of one another say nothing.
        points = [p for k, p in enumerate(points) if k == 0 or p != points[k - 1]]
        if filled:
            floor = HEIGHT - _BOTTOM
            area = f"{px[0]:.1f},{floor} {' '.join(points)} {px[-1]:.1f},{floor}"
            self._marks.append(tag("polygon", points=area, class_=f"area {style}"))
        self._marks.append(tag("polyline", points=" ".join(points), class_=f"line {style}"))

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, style: str) -> None:
        """Add the area between two lines."""
        px = self._px(x).tolist()
        there = [f"{a:.1f},{b:.1f}" for a, b in zip(px, self._py(low).tolist(), strict=True)]
        back = [f"{a:.1f},{b:.1f}" for a, b in zip(px, self._py(high).tolist(), strict=True)]
        self._marks.append(tag("polygon", points=" ".join(there + back[::-1]), class_=f"area {style}"))

    def marker(self, x: float, y: float, style: str) -> tuple[float, float]:
        """Add the point shape of a style, and return where it lies in the picture."""
        px, py = float(self._px(x)), float(self._py(y))
        self._marks.append(tag("path", d=shape(px, py, style), class_=f"dot {style}"))
        return px, py

    def text(self, x: float, y: float, text: str, anchor: str = "start") -> None:
        """Add a text at a place in the picture, not in the units of the axes."""
        self._marks.append(tag("text", text, x=x, y=y, class_="mark", text_anchor=anchor))

    def bars(self, edges: Sequence[float], heights: Sequence[float], style: str) -> None:
        """Add bars between neighbouring edges; those of height 0 are not drawn."""
        left, right = self._px(edges[:-1]), self._px(edges[1:])
        top, floor = self._py(heights), HEIGHT - _BOTTOM
        for a, b, t, height in zip(left.tolist(), right.tolist(), top.tolist(), heights, strict=True):
            if height > 0:
                size = {"x": f"{a:.1f}", "y": f"{t:.1f}", "width": f"{b - a:.1f}", "height": f"{floor - t:.1f}"}
                self._marks.append(tag("rect", class_=f"bar {style}", **size))

    def dot(self, x: float, y: float, style: str, text: str = "", *, left: bool = False, above: bool = False) -> None:
        """Add a point, with a text beside it and below, or above."""
        px, py = float(self._px(x)), float(self._py(y))
        self._marks.append(tag("circle", cx=px, cy=py, r="4.5", class_=f"dot {style}"))
        if text:
            place = {"x": px - 8 if left else px + 8, "y": py - 8 if above else py + 17}
            self._marks.append(tag("text", text, class_="mark", text_anchor="end" if left else "start", **place))

    def vertical(self, x: float, style: str, text: str) -> None:
        """Add a line across the height at ``x``, with a text at its top."""
        px = float(self._px(x))
        self._marks.append(tag("line", x1=px, x2=px, y1=_TOP, y2=HEIGHT - _BOTTOM, class_=f"line {style}"))
        right = px > WIDTH * 0.6
        self._marks.append(
            tag(
                "text",
                text,
                x=px - 6 if right else px + 6,
                y=_TOP + 11,
                class_="mark",
                text_anchor="end" if right else "start",
            )
        )

    def horizontal(self, y: float, style: str, text: str) -> None:
        """Add a line across the width at ``y``, with a text at its right end."""
        py = float(self._py(y))
        self._marks.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=py, y2=py, class_=f"line {style}"))
        self._marks.append(tag("text", text, x=WIDTH - _RIGHT - 4, y=py - 5, class_="mark", text_anchor="end"))

    def svg(self) -> Markup:
        """Return the picture."""
        floor, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
        parts = [tag("title", self.name)]
        for value in self.y.ticks():
            at = float(self._py(value))
            parts.append(tag("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="gridline"))
            parts.append(tag("text", label_of(value), x=_LEFT - 7, y=at + 4, text_anchor="end"))
        for value in self.x.ticks():
            at = float(self._px(value))
            parts.append(tag("line", x1=at, x2=at, y1=floor, y2=floor + 4, class_="axis"))
            parts.append(tag("text", label_of(value), x=at, y=floor + 17, text_anchor="middle"))
        parts.append(tag("line", x1=_LEFT, x2=right, y1=floor, y2=floor, class_="axis"))
        parts.append(
            tag("text", self.x.title, x=(_LEFT + right) / 2, y=HEIGHT - 6, text_anchor="middle", class_="title")
        )
        middle = (_TOP + floor) / 2
        turned = f"rotate(-90 13 {middle:.0f})"
        parts.append(tag("text", self.y.title, x=13, y=middle, text_anchor="middle", class_="title", transform=turned))
        return tag(
            "svg", *parts, join(self._marks), viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", aria_label=self.name
        )
