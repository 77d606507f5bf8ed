"""The lanes of the timeline: by the values of a column, or by run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from nicegui import ui

from whitecrow.dashboard.formats import count, value
from whitecrow.dashboard.parts import Text
from whitecrow.dashboard.timeline_charts import NAME_WIDTH, TOOLTIP, DrawnChart, time_axis
from whitecrow.dashboard.timeline_data import Buckets
from whitecrow.dashboard.timeline_models import ModelLane
from whitecrow.metrics.severity import BANDS, RARE, Severity
from whitecrow.metrics.swimlanes import Lane

__all__ = ["LanesChart", "band_key", "rarity_key"]

_LANE = 24  # pixels
_ABOVE, _BELOW = 12, 52
_MOST_CELLS = 50


class LanesChart:
    """The lanes of the window: overall and by the values of a column, or by run.

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
            "grid": {"left": NAME_WIDTH + 16, "right": 24, "top": _ABOVE, "bottom": _BELOW},
            "legend": {"show": False},
            "tooltip": {**TOOLTIP, "trigger": "item", "formatter": "{b}"},
            "xAxis": time_axis(name),
            "yAxis": {
                "type": "category",
                "inverse": True,
                "data": [],
                "axisTick": {"show": False},
                "axisLabel": {"width": NAME_WIDTH, "overflow": "truncate", "interval": 0},
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
        self._drawn = DrawnChart("Lanes", options, ["text"], height)

    @property
    def picture(self) -> int:
        """Id of its element."""
        return self._drawn.chart.picture.id

    def show(self, buckets: Buckets, bands: Severity, column: str | None) -> None:
        """Draw a lane of all rows, and those of a column's values."""
        lanes = (buckets.overall, *buckets.lanes)
        cells: list[dict[str, Any]] = []
        table: list[tuple[float, tuple[str, ...]]] = []
        for y, lane in enumerate(lanes):
            name, levels = _lane_name(lane), bands.levels(lane.max_score)
            for x in np.flatnonzero(lane.n_rows).tolist():
                top, flagged, rows = float(lane.max_score[x]), int(lane.flagged[x]), int(lane.n_rows[x])
                band = BANDS[levels[x]]
                said = f"{name}\n{buckets.labels[x]}\n{band}: highest score {value(top, 5)}"
                said += f"\n{count(flagged, 'alert')} of {count(rows, 'row')}"
                cells.append({"value": [x, y, int(levels[x]), top], "name": said})
                table.append((top, (name, buckets.labels[x], value(top, 5), band, f"{flagged:,}", f"{rows:,}")))
        self._draw(buckets.labels, [_lane_name(lane) for lane in lanes], cells)
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

    def show_models(self, labels: Sequence[str], models: Sequence[ModelLane]) -> None:
        """Draw a lane for each run, filled by the rank of its scores, for scores of different runs do not compare."""
        cells: list[dict[str, Any]] = []
        table: list[tuple[float, tuple[str, ...]]] = []
        for y, (_, _, lane, percentile, levels, _, _) in enumerate(models):
            for x in np.flatnonzero(lane.n_rows).tolist():
                top, rank, flagged = float(lane.max_score[x]), float(percentile[x]), f"{lane.flagged[x]:,}"
                band, place = BANDS[levels[x]], _percentile(rank)
                said = f"{lane.name}\n{labels[x]}\n{band}: percentile {place}, highest score {value(top, 5)}"
                said += f"\n{count(int(lane.flagged[x]), 'alert')} of {count(int(lane.n_rows[x]), 'row')}"
                cells.append({"value": [x, y, int(levels[x]), rank], "name": said})
                row = lane.name, labels[x], place, band, value(top, 5), flagged, f"{lane.n_rows[x]:,}"
                table.append((rank, row))
        self._draw(labels, [one.lane.name for one in models], cells)
        self._drawn.chart.describe(
            f"One lane for each of {count(len(models), 'run')}. A cell is filled the higher, the rarer the highest "
            "score of its rows is among the scores of the rows that trained its run: lanes compare, whatever unit a "
            "detector scores in. Alerts are by each run's own threshold."
        )
        table.sort(key=lambda cell: -cell[0])
        heads = ["Run", "From", "Percentile", "Rarity", "Highest score", "Alerts", "Rows"]
        self._drawn.chart.table(heads, [row for _, row in table[:_MOST_CELLS]])

    def _draw(self, labels: Sequence[str], names: Sequence[str], cells: list[dict[str, Any]]) -> None:
        self._drawn.show({"xAxis": {"data": list(labels)}, "yAxis": {"data": list(names)}, "series": [{"data": cells}]})


def band_key(bands: Severity) -> None:
    """Say which band of severity is which: its filling, its name, and its scores."""
    cuts = [value(cut, 4) for cut in bands.cuts]
    _key("Bands of severity", [f"up to {cuts[0]}", *(f"to {cut}" for cut in cuts[1:]), f"above {cuts[-1]}"])


def rarity_key(models: Sequence[ModelLane]) -> None:
    """Say which band of rarity is which, what it is among, and which of the rows trained a run."""
    ends = [f"{cut:g}" for cut in RARE[:-1]]
    _key(
        "Bands of rarity",
        [f"up to percentile {ends[0]}", *(f"to {end}" for end in ends[1:]), "to the highest", "above all of them"],
    )
    Text("Percentiles are among the scores of the rows that trained a run, of each run its own.", "p").classes(
        "wc-muted"
    )
    for one in models:
        if one.trained:
            rows = f"{one.trained:,} of {count(int(one.lane.n_rows.sum()), 'row')}"
            Text(f"{one.lane.name} was trained on {rows} in the window; it may know them.", "p").classes("wc-muted")


def _key(label: str, ranges: Sequence[str]) -> None:
    with ui.element("ul").classes("wc-bands").props(f'aria-label="{label}"'):
        for k, (name, scores) in enumerate(zip(BANDS, ranges, strict=True)):
            with ui.element("li"):
                with ui.element("span").classes("wc-band").props(f"data-band={k} aria-hidden=true"):
                    ui.element("span")
                Text(name, "strong")
                Text(scores)


def _percentile(rank: float) -> str:
    """Return a percentile that never claims to be 100 without being above all."""
    return "100, above all" if rank == 100 else f"{min(rank, 99.99):.2f}"


def _lane_name(lane: Lane) -> str:
    if lane.kind == "overall":
        return "All rows"
    if lane.kind == "others":
        return f"{lane.n_entities:,} others"
    return lane.name or "(empty)"
