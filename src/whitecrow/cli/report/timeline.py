"""The picture of a series: channels and score over time, with the true windows shaded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.cli.report.time_axis import TimeAxis
from whitecrow.page.markup import Markup, tag
from whitecrow.page.plot import Axis, label_of

__all__ = ["Panel", "channels_worth_showing", "extremes", "timeline"]

_WIDTH, _LEFT, _RIGHT = 1000.0, 62.0, 12.0
_TITLE, _GAP, _FOOT = 20.0, 10.0, 44.0
_CHANNEL_HEIGHT, _SCORE_HEIGHT, _STRIP = 84.0, 190.0, 10.0
_COLUMNS = int(_WIDTH - _LEFT - _RIGHT)
_LEAST_WIDTH = 2.0  # of a shaded window, so that a short one of a long series is seen
_MOST_CHANNELS = 4
_HIGHEST = 0.01
_SKEWED = 30.0


@dataclass(frozen=True, eq=False)
class Panel:
    """Values over time.

    Parameters
    ----------
    title : str
        What is drawn.
    values : ndarray [T]
        One value for each step.
    style : str
        Class of the line.
    height : float
        In the unit of the picture.
    threshold : float or None
        Where to draw a line across.
    """

    title: str
    values: NDArray[Any]
    style: str = "one"
    height: float = _CHANNEL_HEIGHT
    threshold: float | None = None

    @staticmethod
    def of_score(scores: NDArray[np.float64], threshold: float) -> "Panel":
        """Return the panel of the anomaly score."""
        return Panel("Anomaly score", scores, "two", _SCORE_HEIGHT, threshold)

    def axis(self) -> Axis:
        """Return the axis of the values; that of a score is logarithmic where its peaks would flatten all else."""
        inside = self.values if self.threshold is None else np.append(self.values, self.threshold)
        low, high = float(inside.min()), float(inside.max())
        if self.threshold is not None and low > 0 and high > _SKEWED * self.threshold:
            return Axis(low / 1.1, high * 1.1, f"{self.title} (logarithmic)", True)
        room = 0.05 * (high - low) or max(abs(high), 1.0)
        return Axis(low - room, high + room, self.title)


def channels_worth_showing(values: NDArray[Any], scores: NDArray[np.float64]) -> list[int]:
    """Return the channels ``[T, C]`` to draw: all, or of more than four those that stand out where the score is high.

    These are at most four whose values at the steps of the highest hundredth of the scores lie furthest from the
    channel's mean, in its standard deviations, on average; none that is constant, unless all are. They come in the
    order of the columns.
    """
    n = values.shape[1]
    if n <= _MOST_CHANNELS:
        return list(range(n))
    top = np.argsort(-scores, kind="stable")[: max(1, int(_HIGHEST * len(scores)))]
    spread = values.std(0)
    distance = np.abs(values[top] - values.mean(0)).mean(0) / np.where(spread > 0, spread, 1)
    best = np.argsort(-distance, kind="stable")[: min(_MOST_CHANNELS, max(1, int((spread > 0).sum())))]
    return sorted(best.tolist())


def extremes(
    places: NDArray[np.float64], values: NDArray[Any], bounds: NDArray[np.int64], columns: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[Any]]]:
    """Yield for each stretch between bounds the points to draw, thinned so that no peak is lost.

    A picture of W columns shows no more than the lowest and the highest value of each. Both are kept, wherever a
    column has more than two steps.

    Parameters
    ----------
    places : ndarray [T]
        From 0 to 1, rising.
    values : ndarray [T]
        One value for each step.
    bounds : ndarray of int [S + 1]
        Stretch s is ``bounds[s]:bounds[s + 1]``.
    columns : int
        W.
    """
    for first, stop in pairwise(bounds.tolist()):
        x, v = places[first:stop], values[first:stop]
        column = np.minimum((x * columns).astype(int), columns - 1)
        starts = np.flatnonzero(np.diff(column, prepend=-1))
        if len(x) <= 2 * len(starts):
            yield x, v
            continue
        ends = np.append(starts[1:], len(v)) - 1
        low, high = np.minimum.reduceat(v, starts), np.maximum.reduceat(v, starts)
        rising = v[ends] >= v[starts]
        pairs = np.stack([np.where(rising, low, high), np.where(rising, high, low)], axis=1)
        yield np.repeat((column[starts] + 0.5) / columns, 2), pairs.ravel()


def timeline(
    panels: Sequence[Panel],
    time: TimeAxis,
    bounds: NDArray[np.int64],
    windows: NDArray[np.intp],
    alarms: NDArray[np.intp],
) -> Markup:
    """Draw panels one below the other over one axis of time.

    Parameters
    ----------
    panels : sequence of Panel
        From top to bottom.
    time : TimeAxis
        Places of the steps.
    bounds : ndarray of int [S + 1]
        Where stretches without gaps begin; no line is drawn across a gap.
    windows, alarms : ndarray of int [n, 2]
        True windows, which are shaded, and runs of flagged steps, which are marked below. Half-open.
    """
    bottom = sum(_TITLE + panel.height + _GAP for panel in panels) + _STRIP
    shades = _intervals(windows, time, 0.0, bottom, "window")
    marks = _intervals(alarms, time, bottom - _STRIP, _STRIP, "alarm")
    parts: list[Markup] = []
    top = 0.0
    for panel in panels:
        parts += _panel(panel, time, bounds, top + _TITLE)
        top += _TITLE + panel.height + _GAP
    parts.append(tag("text", "flagged", x=_LEFT - 7, y=bottom - 1, text_anchor="end"))
    for place, text in time.ticks():
        x = _x(place)
        parts.append(tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 5, class_="axis"))
        parts.append(tag("text", text, x=x, y=bottom + 18, text_anchor=_anchor(place)))
    parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(tag("text", time.title, x=middle, y=bottom + 38, text_anchor="middle", class_="title"))
    name = (
        f"{', '.join(panel.title for panel in panels)} over time: {len(windows):,} true windows shaded, "
        f"{len(alarms):,} runs of flagged steps"
    )
    return tag(
        "svg", tag("title", name), *shades, *parts, *marks, viewBox=f"0 0 {_WIDTH:g} {bottom + _FOOT:g}", role="img",
        aria_label=name, class_="timeline",
    )  # fmt: skip


def _panel(panel: Panel, time: TimeAxis, bounds: NDArray[np.int64], top: float) -> list[Markup]:
    axis, right, floor = panel.axis(), _WIDTH - _RIGHT, top + panel.height

    def y(values: Any) -> NDArray[np.float64]:
        return floor - axis.at(values) * panel.height

    parts = [tag("text", axis.title, x=_LEFT, y=top - 6, class_="title")]
    for value in axis.ticks(5 if panel.height > _CHANNEL_HEIGHT else 3):
        at = float(y(value))
        parts.append(tag("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="gridline"))
        parts.append(tag("text", label_of(value), x=_LEFT - 7, y=at + 4, text_anchor="end"))
    for places, values in extremes(time.places, panel.values, bounds, _COLUMNS):
        pixels = zip(_x(places).tolist(), y(values).tolist(), strict=True)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in pixels)
        parts.append(tag("polyline", points=points, class_=f"trace {panel.style}"))
    if panel.threshold is not None:
        at = float(y(panel.threshold))
        parts.append(tag("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="line threshold"))
    return parts


def _intervals(intervals: NDArray[np.intp], time: TimeAxis, top: float, height: float, style: str) -> list[Markup]:
    """Return rectangles over intervals of steps; neighbours that would lie on one another are one."""
    joined: list[list[float]] = []
    for first, stop in intervals.tolist():
        left, right = float(_x(time.places[first])), float(_x(time.places[stop - 1]))
        missing = max(_LEAST_WIDTH - (right - left), 0.0)
        left, right = left - missing / 2, right + missing / 2
        if joined and left <= joined[-1][1]:
            joined[-1][1] = max(right, joined[-1][1])
        else:
            joined.append([left, right])
    return [
        tag("rect", x=f"{a:.1f}", y=f"{top:.1f}", width=f"{b - a:.1f}", height=f"{height:.1f}", class_=style)
        for a, b in joined
    ]


def _x(places: Any) -> Any:
    return _LEFT + np.asarray(places) * (_WIDTH - _LEFT - _RIGHT)


def _anchor(place: float) -> str:
    """Return how a label is set, so that one at an end stays inside the picture."""
    return "start" if place < 0.01 else "end" if place > 0.97 else "middle"
