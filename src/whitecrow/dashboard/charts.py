"""Charts, each with its numbers behind it as a table, an accessible name, and a dash and a marker for every hue.

A chart is made once; later only what has changed is sent, by :meth:`Chart.set`, which merges partial options in the
browser. Colours are those of the theme that is shown, and follow it::

    chart = Chart("Loss by epoch", "The mean training loss after each epoch.", line_options(...))
    chart.table(["Epoch", "Loss"], rows)
    chart.set({"series": [{"data": points}]})
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from nicegui import ui

from whitecrow.dashboard.palette import SERIES, series_style
from whitecrow.dashboard.parts import Text, details, small_table

__all__ = ["Chart", "axis", "line"]

_TABLE_ROWS = 50

# Canvas knows no custom properties of style sheets: they are read when the chart is made, and when the theme changes.
_PAINT = """
(() => {
  const styles = getComputedStyle(document.documentElement);
  const colour = (name) => styles.getPropertyValue(`--wc-${name}`).trim();
  const axis = {
    axisLabel: { color: colour("muted") }, nameTextStyle: { color: colour("muted") },
    axisLine: { lineStyle: { color: colour("control") } }, splitLine: { lineStyle: { color: colour("line") } },
  };
  getElement(ID)?.chart?.setOption({
    xAxis: axis, yAxis: axis,
    legend: { textStyle: { color: colour("text") }, inactiveColor: colour("control") },
    tooltip: {
      backgroundColor: colour("surface"), borderColor: colour("control"), textStyle: { color: colour("text") },
    },
    series: HUES.map((hue) => ({ itemStyle: { color: colour(hue) }, lineStyle: { color: colour(hue) } })),
  });
})()
"""


class Chart:
    """One chart with its caption and its table.

    Parameters
    ----------
    name : str
        Heading of the figure, and the accessible name of the picture.
    caption : str
        What is to be seen, in a sentence: who does not see the picture reads this.
    options : dict
        Of ECharts: axes from :func:`axis`, series from :func:`line`. Keys are ours; names and values may be anything,
        for they are painted on a canvas, and the tooltip too.
    hues : sequence of str, optional
        Custom property (without ``--wc-``) that colours each series, such as ``normal``; by default those of
        :data:`~whitecrow.dashboard.palette.SERIES` in order.
    height : str
        Of the picture, in CSS.
    """

    def __init__(
        self,
        name: str,
        caption: str,
        options: dict[str, Any],
        *,
        hues: Sequence[str] | None = None,
        height: str = "18rem",
    ) -> None:
        series = options.get("series", [])
        self._hues = list(hues or (f"series-{k % len(SERIES)}" for k in range(len(series))))
        with ui.element("figure").classes("wc-chart").style(f"--wc-height: {height}") as self.figure:
            Text(name, "h3")
            # The name stands outside: a changed property of a chart would send all its first options again.
            with ui.element("div").props("role=img") as self._named:
                self.picture = ui.echart({**_COMMON, **options}, renderer="canvas")
            self._name = name
            self._named.props["aria-label"] = f"{name}. {caption}"
            self.caption = Text(caption, "figcaption")
            self._numbers = ui.element("div")
        self.picture.on("chart:finished", js_handler=f"() => {{ {self._once()} }}")
        # The theme's event comes from the window; a chart that is gone is not found.
        ui.run_javascript(f"window.addEventListener('wc-theme', () => {{ {self._paint()} }})")

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]], *, most: int = _TABLE_ROWS) -> None:
        """Show the numbers behind the picture, at most so many rows spread evenly; a later call replaces them."""
        found = list(rows)
        step = max(1, -(-len(found) // most))
        self._numbers.clear()
        with self._numbers, details("Show as table") as folded:
            folded.classes("wc-numbers")
            small_table(heads, found[::step], right=range(len(heads)), label="Numbers behind the chart")

    def set(self, partial: dict[str, Any]) -> None:
        """Change a part of the options; the rest stays. Nothing else is sent."""
        self.picture.run_chart_method("setOption", partial)

    def describe(self, caption: str) -> None:
        """Say anew what is to be seen."""
        self.caption.set_text(caption)
        self._named.props["aria-label"] = f"{self._name}. {caption}"

    def _paint(self) -> str:
        return _PAINT.replace("ID", str(self.picture.id)).replace("HUES", json.dumps(self._hues))

    def _once(self) -> str:
        element = f"getElement({self.picture.id})"
        # Not at once: a chart refuses new options while it is being drawn.
        paint = f"setTimeout(() => {{ {self._paint()} }}, 0)"
        return f"const e = {element}; if (e && !e.painted) {{ e.painted = true; {paint}; }}"


_COMMON: dict[str, Any] = {
    "grid": {"left": 72, "right": 24, "top": 40, "bottom": 48},
    # Text, not HTML: names of series come from data.
    "tooltip": {"trigger": "axis", "renderMode": "richText", "confine": True},
    "legend": {"top": 0, "left": 0},
    "aria": {"enabled": False},  # the picture has a name of its own
    "animation": False,  # a picture is drawn once, not twenty times on its way
}


def axis(name: str, *, kind: str = "value", **options: Any) -> dict[str, Any]:
    """Return an axis with its name at its middle, as charts here have them."""
    return {"type": kind, "name": name, "nameLocation": "middle", "nameGap": 30, **options}


def line(name: str, points: Sequence[Sequence[float | None]], index: int = 0, **options: Any) -> dict[str, Any]:
    """Return a curve that differs from the others by hue, dash and marker.

    Parameters
    ----------
    name : str
        For the legend.
    points : sequence of (x, y)
        None leaves a gap.
    index : int
        Number of the curve in its chart, from 0.
    **options
        More of ECharts.
    """
    style = series_style(index)
    dash = style.dash if isinstance(style.dash, str) else list(style.dash)
    return {
        "type": "line",
        "name": name,
        "data": [list(point) for point in points],
        "symbol": style.marker,
        "symbolSize": 7,
        "showSymbol": len(points) <= 60,
        "lineStyle": {"type": dash, "width": 2},
        **options,
    }
