"""The pictures of the timeline: all rows with the brush, the window's scores, and its lanes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from nicegui import ui

from whitecrow.dashboard.charts import Chart, axis, line
from whitecrow.dashboard.formats import NOTHING, count, value
from whitecrow.dashboard.parts import Text
from whitecrow.dashboard.timeline_data import Buckets
from whitecrow.metrics.severity import BANDS, Severity
from whitecrow.metrics.swimlanes import Lane

__all__ = ["LanesChart", "ScoreChart", "StripChart", "band_key", "words_of"]

_LANE = 24  # pixels
_ABOVE, _BELOW = 12, 52
_TICK = "(x) => String(Number(x.toPrecision(3)))"
_NAME_WIDTH = 116
_MOST_CELLS = 50
_TOOLTIP = {"renderMode": "richText", "confine": True}


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


class _Drawn:
    """A chart that is made with its first data: what is sent to a chart that is not there yet is lost."""

    def __init__(self, name: str, options: dict[str, Any], hues: Sequence[str], height: str) -> None:
        self._name, self._options, self._hues, self._height = name, options, hues, height
        self._box = ui.element("div")
        self._made: Chart | None = None

    @property
    def chart(self) -> Chart:
        assert self._made is not None
        return self._made

    def show(self, partial: dict[str, Any]) -> None:
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
            "grid": {"left": _NAME_WIDTH + 16, "right": 24, "top": 8, "bottom": 40},
            "legend": {"show": False},
            "tooltip": {**_TOOLTIP, "trigger": "axis", ":formatter": _words("strip")},
            "xAxis": _time_axis(name),
            "yAxis": [axis("", axisLabel={"show": False}, scale=True), _share_axis()],
            "series": series,
        }
        self._drawn = _Drawn("All rows in view", options, ["series-0", "control"], "7.5rem")

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
            "grid": {"left": _NAME_WIDTH + 16, "right": 24, "top": 40, "bottom": 52},
            "tooltip": {**_TOOLTIP, "trigger": "axis", ":formatter": _words("score")},
            "xAxis": _time_axis(name),
            "yAxis": [
                axis("Anomaly score", nameGap=60, axisLabel={":formatter": _TICK, "hideOverlap": True}),
                _share_axis(),
            ],
            "series": series,
        }
        hues = ["series-0", "anomaly", "anomaly", "series-2"]
        self._drawn = _Drawn("Scores in the window", options, hues, "18rem")

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
                    buckets.labels[k], f"{lane.n_rows[k]:,}", value(float(lane.max_score[k]), 5), _band(levels[k]),
                    f"{lane.flagged[k]:,}", f"{buckets.anomalies[k]:,}",
                )
                for k in range(n)
            ],
            most=n,
        )  # fmt: skip


class LanesChart:
    """The lanes of the window: overall, and by the values of a column.

    Parameters
    ----------
    name : str
        Of the axis.
    n_lanes : int
        How many; another number needs another chart.
    """

    def __init__(self, name: str, n_lanes: int) -> None:
        self.n_lanes = n_lanes
        options = {
            "grid": {"left": _NAME_WIDTH + 16, "right": 24, "top": _ABOVE, "bottom": _BELOW},
            "legend": {"show": False},
            "tooltip": {**_TOOLTIP, "trigger": "item", "formatter": "{b}"},
            "xAxis": _time_axis(name),
            "yAxis": {
                "type": "category",
                "inverse": True,
                "data": [],
                "axisTick": {"show": False},
                "axisLabel": {"width": _NAME_WIDTH, "overflow": "truncate", "interval": 0},
            },
            "series": [
                {
                    "type": "custom",
                    "name": "Highest score",
                    ":renderItem": "(params, api) => whitecrow.timeline.cell(params, api)",
                    "encode": {"x": 0, "y": 1},
                    "data": [],
                    "animation": False,
                }
            ],
        }
        height = f"{n_lanes * _LANE + _ABOVE + _BELOW}px"
        self._drawn = _Drawn("Lanes", options, ["text"], height)

    @property
    def picture(self) -> int:
        """Id of its element."""
        return self._drawn.chart.picture.id

    def show(self, buckets: Buckets, bands: Severity, column: str | None) -> None:
        """Draw the lanes."""
        lanes = (buckets.overall, *buckets.lanes)
        names = [_lane_name(lane) for lane in lanes]
        cells: list[dict[str, Any]] = []
        table: list[tuple[float, tuple[str, ...]]] = []
        for y, lane in enumerate(lanes):
            levels = bands.levels(lane.max_score)
            for x in np.flatnonzero(lane.n_rows).tolist():
                top, flagged, rows = float(lane.max_score[x]), int(lane.flagged[x]), int(lane.n_rows[x])
                band = BANDS[levels[x]]
                said = f"{names[y]}\n{buckets.labels[x]}\n{band}: highest score {value(top, 5)}"
                said += f"\n{count(flagged, 'alert')} of {count(rows, 'row')}"
                cells.append({"value": [x, y, int(levels[x]), top], "name": said})
                row = names[y], buckets.labels[x], value(top, 5), band, f"{flagged:,}", f"{rows:,}"
                table.append((top, row))
        self._drawn.show(
            {
                "xAxis": {"data": list(buckets.labels)},
                "yAxis": {"data": names},
                "series": [{"data": cells}],
            }
        )
        by = (
            "One lane for all rows" if column is None else f"One lane for all rows, then one for each value of {column}"
        )
        self._drawn.chart.describe(
            f"{by}. A cell is filled the higher, the more severe the highest score of its rows is; without rows there "
            "is no cell."
        )
        table.sort(key=lambda cell: -cell[0])
        self._drawn.chart.table(
            ["Lane", "From", "Highest score", "Severity", "Alerts", "Rows"], [row for _, row in table[:_MOST_CELLS]]
        )


def band_key(bands: Severity) -> None:
    """Say which band of severity is which: its filling, its name, and its scores."""
    cuts = [value(cut, 4) for cut in bands.cuts]
    ranges = [f"up to {cuts[0]}", *(f"to {cut}" for cut in cuts[1:]), f"above {cuts[-1]}"]
    with ui.element("ul").classes("wc-bands").props('aria-label="Bands of severity"'):
        for k, (name, scores) in enumerate(zip(BANDS, ranges, strict=True)):
            with ui.element("li"):
                with ui.element("span").classes("wc-band").props(f"data-band={k} aria-hidden=true"):
                    ui.element("span")
                Text(name, "strong")
                Text(scores)


def _band(level: int) -> str:
    return NOTHING if level < 0 else BANDS[level]


def _lane_name(lane: Lane) -> str:
    if lane.kind == "overall":
        return "All rows"
    if lane.kind == "others":
        return f"{lane.n_entities:,} others"
    return lane.name or "(empty)"


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


def _time_axis(name: str) -> dict[str, Any]:
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
