"""What the record drawer shows of an image, a sequence or a step of a series."""

from typing import Any

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from whitecrow.dashboard.charts import Chart, axis
from whitecrow.dashboard.formats import value
from whitecrow.dashboard.parts import Text, card, details, small_table
from whitecrow.dashboard.pictures import between, heat_over, marked, picture, png_address
from whitecrow.explain.patches import NearPatch, PatchReasons, Place
from whitecrow.explain.samples import ImageReasons, SeriesReasons
from whitecrow.workspace import Workspace

__all__ = ["Around", "around", "expected_options", "expected_rows", "show_image", "show_series"]

_CHANNELS = 4
_TABLE_SIDE = 28  # of a map whose numbers are listed


class Around:
    """Scores of the steps around one, and the threshold.

    Parameters
    ----------
    first : int
        Row of the first of them.
    scores : ndarray of float64 [n]
    threshold : float
    """

    def __init__(self, first: int, scores: NDArray[np.float64], threshold: float) -> None:
        self.first, self.scores, self.threshold = first, scores, threshold


def around(workspace: Workspace, run: str, reasons: SeriesReasons, threshold: float) -> Around | None:
    """Return the scores of the steps that are shown; None of a sequence, which has one score for all."""
    record = workspace.runs.get(run)
    if record.dataset is None or workspace.datasets.get(record.dataset).shape is not None:
        return None
    scores = workspace.scores(run).score[reasons.first : reasons.first + len(reasons.observed)]
    return Around(reasons.first, scores, threshold)


def show_image(found: ImageReasons) -> None:
    """Show where an image is anomalous, how the method rebuilds it, and which normal ones are near."""
    with card("Where", "", level=3):
        Text(f"Method: {found.method}.", "p").classes("wc-muted")
        with ui.element("div").classes("wc-shelf"):
            picture(png_address(found.image), "The image as the detector sees it", side="12rem", caption="Input")
            with ui.element("div"):
                heat_over(found.image, found.heat, "The image under its map of anomaly scores", side="12rem")
            if found.rebuilt is not None:
                picture(png_address(found.rebuilt), "As the method rebuilds it", side="12rem", caption="Reconstruction")
                apart = np.abs(found.image - found.rebuilt)
                picture(
                    png_address(between(apart)), "Difference between image and reconstruction", side="12rem",
                    caption=f"Difference, at most {value(float(apart.max()), 3)}",
                )  # fmt: skip
        low, high = value(float(found.heat.min())), value(float(found.heat.max()))
        Text(f"The map runs from {low} (dark blue) to {high} (pale yellow).", "p").classes("wc-muted")
        height, width = found.heat.shape
        step = max(1, -(-max(height, width) // _TABLE_SIDE))
        heat = found.heat[::step, ::step]
        with details("Show as table") as folded:
            folded.classes("wc-numbers")
            heads = ["Row", *(str(k * step) for k in range(heat.shape[1]))]
            rows = [[str(k * step), *(value(float(one), 3) for one in line)] for k, line in enumerate(heat)]
            small_table(heads, rows, label="Numbers behind the map", right=range(len(heads)))
    if found.patch is not None:
        _show_patch(found.image, found.patch)
    with card("Nearest normal images", "normal compared with what", level=3):
        if not len(found.neighbours):
            Text("The model keeps no normal images.", "p")
        with ui.element("div").classes("wc-shelf"):
            for k, (one, distance) in enumerate(zip(found.neighbours, found.distances.tolist(), strict=True)):
                name = f"{k + 1}" if k >= len(found.rows) or found.rows[k] is None else f"Image {found.rows[k]:,}"
                words = f"{name}: {value(distance, 3)} away"
                picture(png_address(one), f"Normal image {words}", side="6rem", caption=words)


def _show_patch(image: NDArray[np.floating], found: PatchReasons) -> None:
    """Show the most anomalous patch where it lies, beside the nearest patches of normal images."""
    top, left, height, width = found.place
    with card("Nearest normal patches", "normal compared with what", level=3):
        Text(
            f"The most anomalous patch: {height} × {width} pixels at row {top}, column {left}; its map is "
            f"{value(found.score)} on average. Nearest by {found.method}.",
            "p",
        ).classes("wc-muted")
        with ui.element("div").classes("wc-shelf"):
            _pair(image, found.place, "This image")
            for one in found.neighbours:
                _pair(one.image, one.place, f"{_source(one)}: {value(one.distance, 3)} away")
        if not found.neighbours:
            Text("The model keeps no other normal images.", "p")
            return
        with details("Show as table") as folded:
            folded.classes("wc-numbers")
            heads = ["Patch of", "Row of its top", "Column of its left", "Distance"]
            rows = [
                (_source(one), str(one.place.top), str(one.place.left), value(one.distance, 6))
                for one in found.neighbours
            ]
            small_table(heads, rows, label="Nearest normal patches", right=(1, 2, 3))


def _pair(image: NDArray[np.floating], place: Place, words: str) -> None:
    """Show a patch above the image that it is of, in which it is marked."""
    with ui.element("div").style("display: flex; flex-direction: column; gap: 0.5rem"):
        picture(png_address(place.of(image)), f"Patch. {words}", side="7rem")
        where = f"at row {place.top}, column {place.left}"
        picture(png_address(marked(image, place)), f"{words}; the patch is marked, {where}", side="7rem", caption=words)


def _source(one: NearPatch) -> str:
    return "A normal image" if one.row is None else f"Image {one.row:,}"


def show_series(found: SeriesReasons, scores: Around | None, row: int) -> None:
    """Show what was observed and expected, the scores of the steps, and which normal sequences are near."""
    with card("Observed and expected", "", level=3):
        Text(f"Expected: {found.method}.", "p").classes("wc-muted")
        for channel in range(min(len(found.channels), _CHANNELS)):
            _expected_chart(found, channel)
        if len(found.channels) > _CHANNELS:
            Text(f"The first {_CHANNELS} of {len(found.channels)} channels are shown.", "p").classes("wc-muted")
        if scores is not None:
            _score_chart(scores, row)
    with card("Nearest normal sequences", "normal compared with what", level=3):
        if not len(found.neighbours):
            Text("The model keeps no normal sequences.", "p")
            return
        named = [f"{k + 1}: {value(distance, 3)} away" for k, distance in enumerate(found.distances.tolist())]
        chart = Chart(
            f"Nearest normal sequences, {found.channels[0]}",
            f"The nearest is {value(float(found.distances[0]), 3)} away, in scaled units.",
            {
                "xAxis": axis("Step"),
                "yAxis": axis(""),
                "series": [
                    {
                        "type": "line",
                        "name": name,
                        "showSymbol": False,
                        "data": _points(one[:, 0], 0),
                        "lineStyle": {"width": 1.5, "type": ["solid", "dashed", "dotted"][k % 3]},
                    }
                    for k, (name, one) in enumerate(zip(named, found.neighbours, strict=True))
                ],
            },
            height="14rem",
        )
        rows = [[str(k), *(value(float(x)) for x in line)] for k, line in enumerate(found.neighbours[:, :, 0].T)]
        chart.table(["Step", *named], rows)


def expected_options(
    observed: NDArray[np.floating], expected: NDArray[np.floating], first: int = 0, unit: str = "Step"
) -> dict[str, Any]:
    """Return the options of a chart of one channel: both curves, and what lies between them shaded."""
    low, high = np.fmin(observed, expected), np.fmax(observed, expected)
    return {
        "xAxis": axis(unit, min="dataMin", max="dataMax"),
        "yAxis": axis("", scale=True),
        "series": [
            {"type": "line", "name": "Observed", "showSymbol": False, "data": _points(observed, first)},
            {
                "type": "line",
                "name": "Expected",
                "showSymbol": False,
                "lineStyle": {"type": "dashed"},
                "data": _points(expected, first),
            },
            # Two bare curves, stacked, of which the upper one is filled: the area between the others.
            {
                "type": "line", "stack": "between", "stackStrategy": "all", "showSymbol": False, "silent": True,
                "lineStyle": {"opacity": 0}, "tooltip": {"show": False}, "data": _points(low, first),
            },
            {
                "type": "line", "name": "Difference", "stack": "between", "stackStrategy": "all", "showSymbol": False,
                "silent": True, "lineStyle": {"opacity": 0}, "areaStyle": {"opacity": 0.35},
                "data": _points(high - low, first),
            },
        ],
    }  # fmt: skip


def expected_rows(
    observed: NDArray[np.floating], expected: NDArray[np.floating], first: int = 0
) -> list[tuple[str, str, str, str]]:
    """Return the table behind such a chart."""
    return [
        (str(first + k), value(float(a)), value(float(b)), value(float(a - b)))
        for k, (a, b) in enumerate(zip(observed, expected, strict=True))
    ]


def _expected_chart(found: SeriesReasons, channel: int) -> None:
    observed, expected = found.observed[:, channel], found.expected[:, channel]
    apart = np.abs(observed - expected)
    words = "Nothing is expected here."
    if np.isfinite(apart).any():
        at = int(np.nanargmax(apart))
        words = f"They differ most at step {found.first + at:,}, by {value(float(apart[at]))}."
    chart = Chart(
        found.channels[channel], words, expected_options(observed, expected, found.first),
        hues=["normal", "text", "anomaly", "anomaly"], height="16rem",
    )  # fmt: skip
    chart.table(["Step", "Observed", "Expected", "Difference"], expected_rows(observed, expected, found.first))


def _score_chart(scores: Around, row: int) -> None:
    own = float(scores.scores[row - scores.first])
    last = scores.first + len(scores.scores) - 1
    chart = Chart(
        "Score over time",
        f"At step {row:,} the score is {value(own)}; the threshold is {value(scores.threshold)}.",
        {
            "xAxis": axis("Step", min="dataMin", max="dataMax"),
            "yAxis": axis("", scale=True),
            "series": [
                {
                    "type": "line", "name": "Score", "showSymbol": False, "data": _points(scores.scores, scores.first),
                },
                {
                    "type": "line", "name": "Threshold", "showSymbol": False, "lineStyle": {"type": "dashed"},
                    "data": [[scores.first, scores.threshold], [last, scores.threshold]],
                },
                {"type": "scatter", "name": "This step", "symbol": "diamond", "symbolSize": 12, "data": [[row, own]]},
            ],
        },
        hues=["normal", "text", "anomaly"],
        height="12rem",
    )  # fmt: skip
    chart.table(["Step", "Score"], [(str(scores.first + k), value(float(s))) for k, s in enumerate(scores.scores)])


def _points(values: NDArray[np.floating], first: int) -> list[list[float | None]]:
    return [[first + k, float(one) if np.isfinite(one) else None] for k, one in enumerate(values)]
