"""The pictures of the timeline: all rows with the brush, and the window's scores; its lanes are beside this."""

import math
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from whitecrow.dashboard.charts import Chart, axis, line
from whitecrow.dashboard.formats import NOTHING, count, value
from whitecrow.dashboard.timeline_data import Buckets
from whitecrow.metrics.severity import BANDS, Severity
from whitecrow.metrics.swimlanes import Lane

__all__ = ["NAME_WIDTH", "TOOLTIP", "DrawnChart", "ScoreChart", "StripChart", "band_name", "time_axis", "words_of"]

_TICK = "(x) => String(Number(x.toPrecision(3)))"
NAME_WIDTH = 116
TOOLTIP = {"renderMode": "richText", "confine": True}


def words_of(buckets: Buckets, bands: Severity) -> list[str]:
    """Return what is said of each bucket when it is pointed at."""
    lane = buckets.overall
    levels = bands.levels(lane.max_score)
    return [
        f"{label}\nno rows"
        if not lane.n_rows[k]
        else f"{label}\n{count(int(lane.n_rows[k]), 'row')}, {count(int(lane.flagged[k]), 'alert')}\n"
        f"highest score {value(float(lane.max_score[k]), 5)}, {BANDS[levels[k]]}"
        + (f"\n{count(int(buckets.anomalies[k]), 'known anomaly', 'known anomalies')}" if buckets.anomalies[k] else "")
        for k, label in enumerate(buckets.labels)
    ]


class DrawnChart:
    """A chart that is made with its first data: what is sent to a chart that is not there yet is lost.

    Parameters
    ----------
    name, options, hues, height
        Of :class:`~whitecrow.dashboard.charts.Chart`.
    """

    def __init__(self, name: str, options: dict[str, Any], hues: Sequence[str], height: str) -> None:
        self._name, self._options, self._hues, self._height = name, options, hues, height
        self._box = ui.element("div")
        self._made: Chart | None = None

    @property
    def chart(self) -> Chart:
        """The chart, once it has been shown."""
        assert self._made is not None
        return self._made

    def show(self, partial: dict[str, Any]) -> None:
        """Put options over those that it has."""
        if self._made is not None:
            self._made.set(partial)
            return
        with self._box:
            options = _merged(self._options, partial)
            self._made = Chart(self._name, "", options, hues=self._hues, height=self._height)


class StripChart:
    """All rows in view, low and wide; the window is shaded, and chosen by the brush.

    Parameters
    ----------
    name : str
        Of the axis.
    """

    def __init__(self, name: str) -> None:
        window = {"type": "bar", "name": "Window", "yAxisIndex": 1, "barWidth": "100%", "data": []}
        series = [
            line("Highest score", [], 0, showSymbol=False, areaStyle={"opacity": 0.2}),
            {**window, "itemStyle": {"opacity": 0.4}},
        ]
        options = {
            "grid": {"left": NAME_WIDTH + 16, "right": 24, "top": 8, "bottom": 40},
            "legend": {"show": False},
            "tooltip": {**TOOLTIP, "trigger": "axis", ":formatter": _words("strip")},
            "xAxis": time_axis(name),
            "yAxis": [axis("", axisLabel={"show": False}, scale=True), _share_axis()],
            "series": series,
        }
        self._drawn = DrawnChart("All rows in view", options, ["series-0", "control"], "7.5rem")

    @property
    def picture(self) -> int:
        """Id of its element."""
        return self._drawn.chart.picture.id

    def show(self, buckets: Buckets, chosen: tuple[int, int] | None, scale: str, words: str) -> None:
        """Draw the buckets; those from one to another are the window, None is all."""
        low = _lowest(buckets.overall, scale)
        shaded = [int(chosen is not None and chosen[0] <= k <= chosen[1]) for k in range(len(buckets.labels))]
        self._drawn.show(
            {
                "xAxis": {"data": list(buckets.labels)},
                "yAxis": [{"type": "log" if scale == "log" else "value"}, {}],
                "series": [{"data": _heights(buckets.overall, low)}, {"data": shaded}],
            }
        )
        self._drawn.chart.describe(
            f"The highest score over time. Drag over it to choose a window, which is shaded: {words}."
        )
        self._drawn.chart.table(
            ["From", "Rows", "Highest score", "Alerts", "In the window"],
            [
                (label, f"{n:,}", value(top), f"{flagged:,}", "yes" if inside or chosen is None else "no")
                for label, n, top, flagged, inside in zip(
                    buckets.labels, buckets.overall.n_rows.tolist(), buckets.overall.max_score.tolist(),
                    buckets.overall.flagged.tolist(), shaded, strict=True,
                )
            ],
            most=len(buckets.labels),
        )  # fmt: skip


class ScoreChart:
    """The scores of the window, with the threshold, its alerts, and the known anomalies.

    Parameters
    ----------
    name : str
        Of the axis.
    """

    def __init__(self, name: str) -> None:
        series = [
            line("Highest score", [], 0, showSymbol=False),
            line("Above the threshold", [], 1, showSymbol=False, areaStyle={"opacity": 0.12, "origin": "end"}),
            {"type": "scatter", "name": "Alerts", "symbol": "triangle", "symbolSize": 12, "data": []},
            {"type": "bar", "name": "Known anomalies", "yAxisIndex": 1, "barWidth": "100%", "data": []},
        ]
        series[3]["itemStyle"] = {"opacity": 0.28}
        options = {
            "grid": {"left": NAME_WIDTH + 16, "right": 24, "top": 40, "bottom": 52},
            "tooltip": {**TOOLTIP, "trigger": "axis", ":formatter": _words("score")},
            "xAxis": time_axis(name),
            "yAxis": [
                axis("Anomaly score", nameGap=60, axisLabel={":formatter": _TICK, "hideOverlap": True}),
                _share_axis(),
            ],
            "series": series,
        }
        hues = ["series-0", "anomaly", "anomaly", "series-2"]
        self._drawn = DrawnChart("Scores in the window", options, hues, "18rem")

    @property
    def picture(self) -> int:
        """Id of its element."""
        return self._drawn.chart.picture.id

    def show(self, buckets: Buckets, bands: Severity, threshold: float, scale: str, words: str) -> None:
        """Draw the buckets of the window."""
        lane, n = buckets.overall, len(buckets.labels)
        low = _lowest(lane, scale)
        heights = _heights(lane, low)
        line_at = max(threshold, low) if scale == "log" else threshold
        alerts = [height if flagged else None for height, flagged in zip(heights, lane.flagged.tolist(), strict=True)]
        self._drawn.show(
            {
                "xAxis": {"data": list(buckets.labels)},
                "yAxis": [{"type": "log" if scale == "log" else "value"}, {}],
                "series": [
                    {"data": heights},
                    {"data": [line_at] * n},
                    {"data": alerts},
                    {"data": [int(known > 0) for known in buckets.anomalies.tolist()]},
                ],
            }
        )
        known = int(buckets.anomalies.sum())
        events = (
            f" Shaded from top to bottom: where {count(known, 'known anomaly', 'known anomalies')} lie."
            if known
            else ""
        )
        self._drawn.chart.describe(
            f"The highest score of each of {count(n, 'stretch', 'stretches')} of {words}. Shaded above: beyond the "
            f"threshold of {value(threshold, 5)}; a triangle marks each stretch with alerts, "
            f"{int(lane.flagged.sum()):,} in all.{events}"
        )
        levels = bands.levels(lane.max_score)
        self._drawn.chart.table(
            ["From", "Rows", "Highest score", "Severity", "Alerts", "Known anomalies"],
            [
                (
                    buckets.labels[k], f"{lane.n_rows[k]:,}", value(float(lane.max_score[k]), 5), band_name(levels[k]),
                    f"{lane.flagged[k]:,}", f"{buckets.anomalies[k]:,}",
                )
                for k in range(n)
            ],
            most=n,
        )  # fmt: skip


def band_name(level: int) -> str:
    """Return the name of a band of severity by its number; a dash for -1."""
    return NOTHING if level < 0 else BANDS[level]


def _merged(options: Any, partial: Any) -> Any:
    """Return options with others put over them, as ECharts does."""
    if isinstance(options, dict) and isinstance(partial, dict):
        both = {name: _merged(options[name], partial[name]) for name in options.keys() & partial.keys()}
        return {**options, **partial, **both}
    if isinstance(options, list) and isinstance(partial, list) and options:
        return [_merged(one, other) for one, other in zip(options, partial, strict=True)]
    return partial


def _words(name: str) -> str:
    return f"(found) => whitecrow.timeline.words('{name}', found[0]?.dataIndex)"


def time_axis(name: str) -> dict[str, Any]:
    """Return the axis of buckets."""
    return axis(name, kind="category", data=[], axisLabel={"hideOverlap": True}, axisTick={"show": False})


def _share_axis() -> dict[str, Any]:
    return {"type": "value", "min": 0, "max": 1, "show": False}


def _lowest(lane: Lane, scale: str) -> float:
    """Return what stands for scores of 0 or below on a logarithmic axis."""
    if scale != "log":
        return -math.inf
    positive = lane.max_score[lane.max_score > 0]
    return float(positive.min()) if len(positive) else 1.0


def _heights(lane: Lane, low: float) -> Sequence[float | None]:
    return [None if math.isnan(top) else max(top, low) for top in lane.max_score.tolist()]
