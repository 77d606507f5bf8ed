"""The pictures of the report: colour is never the only thing that tells two marks apart."""

import math
from collections.abc import Sequence

import numpy as np

from whitecrow.metrics.intervals import Interval
from whitecrow.page.markup import Markup, join, tag
from whitecrow.page.parts import STYLES
from whitecrow.page.plot import HEIGHT, WIDTH, Axis, Plot, label_of, shape
from whitecrow.study.statistics.comparison import CriticalDifference
from whitecrow.study.summary.robustness import Curves

__all__ = ["GROUP", "cost_chart", "curve_axis", "curve_chart", "difference_chart", "line_key", "rank_diagram"]

GROUP = len(STYLES)  # lines that one panel tells apart
_NAME = 24  # characters of a name in a picture; tables have it whole


def rank_diagram(found: CriticalDifference, what: str) -> Markup:
    """Draw a critical-difference diagram: mean ranks on an axis, and bars over detectors that do not differ."""
    k, left, right, top, step = len(found.names), 200.0, 560.0, 34.0, 21.0
    axis = Axis(1, k, "Mean rank")
    at = [left + x * (right - left) for x in axis.at(found.ranks).tolist()]
    place = dict(zip(found.names, at, strict=True))
    first = top + 14 + 9 * len(found.cliques) + 14
    half = (k + 1) // 2
    parts = [tag("title", what), tag("line", x1=left, x2=right, y1=top, y2=top, class_="axis")]
    for rank in range(1, k + 1):
        x = left + float(axis.at(rank)) * (right - left)
        parts.append(tag("line", x1=x, x2=x, y1=top - 6, y2=top, class_="axis"))
        if k <= 12 or rank % 2:
            parts.append(tag("text", str(rank), x=x, y=top - 11, text_anchor="middle"))
    for j, (name, rank, x) in enumerate(zip(found.names, found.ranks.tolist(), at, strict=True)):
        on_left = j < half
        y = first + step * (j if on_left else k - 1 - j)
        end = left - 12 if on_left else right + 12
        parts.append(tag("polyline", points=f"{x:.1f},{top} {x:.1f},{y:.1f} {end:.1f},{y:.1f}", class_="stem"))
        text = [tag("tspan", _short(name), class_="strong"), f" {rank:.2f}"]
        if not on_left:
            text = [f"{rank:.2f} ", text[0]]
        side = {"x": end - 6 if on_left else end + 6, "text_anchor": "end" if on_left else "start"}
        parts.append(tag("text", tag("title", name), *text, y=y + 4, **side))
    for level, clique in enumerate(found.cliques):
        y = top + 12 + 9 * level
        low, high = place[clique[0]], place[clique[-1]]
        parts.append(tag("line", x1=low - 4, x2=high + 4, y1=y, y2=y, class_="clique"))
    height = first + step * half
    return tag("svg", *parts, viewBox=f"0 0 760 {height:g}", role="img", aria_label=what, class_="broad")


def difference_chart(rows: Sequence[tuple[str, Interval]], axis: Axis, what: str) -> Markup:
    """Draw differences to a reference with their intervals, one line each, and the line of no difference."""
    left, right, step = 176.0, 14.0, 24.0
    floor = 10 + step * len(rows)

    def px(value: float) -> float:
        return left + float(axis.at(value)) * (WIDTH - left - right)

    parts = [tag("title", what)]
    for value in axis.ticks(4):
        parts.append(tag("line", x1=px(value), x2=px(value), y1=6, y2=floor, class_="gridline"))
        parts.append(tag("text", label_of(round(value, 12)), x=px(value), y=floor + 17, text_anchor="middle"))
    parts.append(tag("line", x1=px(0), x2=px(0), y1=6, y2=floor, class_="axis"))
    for k, (name, gap) in enumerate(rows):
        y = 10 + step * (k + 0.5)
        style = "one" if gap.low > 0 or gap.high < 0 else "open"
        if math.isfinite(gap.low):
            parts.append(tag("line", x1=px(gap.low), x2=px(gap.high), y1=y, y2=y, class_="whisker"))
        parts.append(tag("path", d=shape(px(gap.value), y, "one"), class_=f"dot {style}"))
        parts.append(tag("text", tag("title", name), _short(name), x=left - 10, y=y + 4, text_anchor="end"))
    parts.append(
        tag("text", axis.title, x=(left + WIDTH - right) / 2, y=floor + 38, text_anchor="middle", class_="title")
    )
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH:g} {floor + 44:g}", role="img", aria_label=what)


def curve_axis(one: Curves) -> Axis:
    """Return an axis that has room for all curves of a data set."""
    values = np.concatenate([np.r_[c.mean, c.low, c.high] for c in one.by_detector if c])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = max(0.06 * (high - low), 0.005)
    return Axis(low - pad, high + pad, "")


def curve_chart(one: Curves, drawn: Sequence[int], y: Axis, title: str, detectors: Sequence[str]) -> Markup:
    """Draw degradation curves with bands: those of ``drawn`` in their styles, all others in grey behind them."""
    largest = max(float(c.shares[-1]) for c in one.by_detector if c)
    names = ", ".join(detectors[m] for m in drawn)
    plot = Plot(
        Axis(0, 100 * largest, "Contamination of the training rows, %"),
        y,
        f"{title} on {one.dataset} against contamination for {names}",
    )
    for m, curve in enumerate(one.by_detector):
        if curve and m not in drawn:
            plot.line(100 * curve.shares, curve.mean, "other")
    styled = [(curve, style) for m, style in zip(drawn, STYLES, strict=False) if (curve := one.by_detector[m])]
    for curve, style in styled:
        if curve.n_seeds > 1:
            plot.band(100 * curve.shares, curve.low, curve.high, style)
    for curve, style in styled:
        plot.line(100 * curve.shares, curve.mean, style)
        for x, value in zip((100 * curve.shares).tolist(), curve.mean.tolist(), strict=True):
            plot.marker(x, value, style)
    return plot.svg()


def line_key(names: Sequence[str], others: bool) -> Markup:
    """Return the names of lines with their styles."""
    entries = [tag("li", _sample(style), name) for name, style in zip(names, STYLES, strict=False)]
    if others:
        entries.append(tag("li", _sample("other"), "the other detectors"))
    return tag("ul", *entries, class_="key")


def cost_chart(points: Sequence[tuple[str, float, float]], what: str) -> Markup:
    """Draw quality against the time of a fit: ``(name, seconds, quality)``, with the names beside the points."""
    seconds = np.array([max(s, 1e-3) for _, s, _ in points])
    quality = np.array([q for *_, q in points])
    pad = max(0.12 * float(np.ptp(quality)), 0.005)
    plot = Plot(
        Axis(float(seconds.min()) / 2, float(seconds.max()) * 2, "CPU seconds of a fit (logarithmic)", True),
        Axis(float(quality.min()) - pad, float(quality.max()) + pad, ""),
        what,
    )
    spots = [plot.marker(s, q, "one") for s, q in zip(seconds.tolist(), quality.tolist(), strict=True)]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in spots]
    for (name, *_), (x, y) in zip(points, spots, strict=True):
        _write_beside(plot, _short(name), x, y, taken)
    return plot.svg()


def _write_beside(plot: Plot, text: str, x: float, y: float, taken: list[tuple[float, float, float, float]]) -> None:
    """Write a name on the side of its point where it covers nothing, if there is one."""
    width = 7.5 * len(text)
    sides = [
        (x + 8, y + 4, "start"), (x - 8 - width, y + 4, "end"), (x - width / 2, y - 9, "middle"),
        (x - width / 2, y + 18, "middle"), (x + 6, y - 8, "start"), (x + 6, y + 17, "start"),
        (x - 6 - width, y - 8, "end"), (x - 6 - width, y + 17, "end"),
    ]  # fmt: skip

    def covered(side: tuple[float, float, str]) -> float:
        a, base, _ = side
        box = (a, base - 10, a + width, base + 3)
        outside = max(0, 52 - box[0]) + max(0, box[2] - WIDTH + 2) + max(0, 2 - box[1]) + max(0, box[3] - HEIGHT + 46)
        return 100 * outside + sum(
            max(0, min(box[2], t[2]) - max(box[0], t[0])) * max(0, min(box[3], t[3]) - max(box[1], t[1])) for t in taken
        )

    a, base, anchor = min(sides, key=covered)
    taken.append((a, base - 10, a + width, base + 3))
    plot.text(a + {"start": 0, "middle": width / 2, "end": width}[anchor], base, text, anchor)


def _sample(style: str) -> Markup:
    line = tag("line", x1=1, x2=39, y1=7, y2=7, class_=f"line {style}")
    point = None if style == "other" else tag("path", d=shape(20, 7, style), class_=f"dot {style}")
    return tag(
        "svg", join([line, point]), viewBox="0 0 40 14", width=40, height=14, aria_hidden="true", class_="swatch long"
    )


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
