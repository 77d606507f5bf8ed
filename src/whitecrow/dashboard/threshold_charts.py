"""The curves beside a threshold: scores by class, ROC, precision and recall, cost; the browser moves their marks."""

from typing import Any

from nicegui import ui

from whitecrow.dashboard.charts import Chart, axis, line
from whitecrow.dashboard.explore_curves import cost_rows
from whitecrow.dashboard.explore_view import View
from whitecrow.dashboard.formats import figure, value
from whitecrow.dashboard.parts import Text, card

__all__ = ["ThresholdCharts"]

_WIDE = "grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr))"
_TICK = "(x) => String(Number(x.toPrecision(3)))"


class ThresholdCharts:
    """The charts, within the element that is being filled. The last series of each is its mark.

    Parameters
    ----------
    view : View

    Attributes
    ----------
    tallest : float
        Height of the histogram, in per cent.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._drawn: dict[str, Chart | None] = {"histogram": None, "roc": None, "pr": None, "cost": None}
        with ui.element("div").classes("wc-grid").style(_WIDE):
            with card():
                self._drawn["histogram"] = self._histogram()
            if not view.labelled:
                with card("ROC, precision and recall, cost"):
                    Text("They need labelled anomalies and normal rows.", "p").classes("wc-muted")
                return
            with card():
                self._drawn["roc"] = self._roc()
            with card():
                self._drawn["pr"] = self._pr()
            with card():
                self._drawn["cost"] = chart = self._cost()
                self._describe_cost(chart)

    @property
    def ids(self) -> dict[str, int | None]:
        """Element of each chart, by the names that the browser knows; None of those that need labels."""
        return {name: None if chart is None else chart.picture.id for name, chart in self._drawn.items()}

    def follow(self, view: View) -> None:
        """Bring the words and the table of the cost up to another view of the same rows."""
        before, self._view = self._view, view
        chart = self._drawn["cost"]
        if chart is not None and view.costs != before.costs:
            self._describe_cost(chart)

    def _score_axis(self) -> dict[str, Any]:
        edges, scale = self._view.curves.edges, self._view.curves.scale
        kind = "log" if scale == "log" else "value"
        ends = {"min": float(edges[0]), "max": float(edges[-1]), "splitNumber": 5}
        return axis("Anomaly score", kind=kind, **ends, axisLabel={":formatter": _TICK, "hideOverlap": True})

    def _histogram(self) -> Chart:
        curves = self._view.curves
        classes = [(kind, name) for kind, name in ((0, "Normal"), (1, "Anomaly"), (-1, "Unknown"))]
        present = [name for kind, name in classes if curves.counts[kind].sum()]
        series = []
        for k, (kind, name) in enumerate(classes):
            points = curves.steps(kind) if curves.counts[kind].sum() else []
            series.append(line(name, points, k, step="end", showSymbol=False, areaStyle={"opacity": 0.15}))
        self.tallest = max((max(y for _, y in curves.steps(kind)) for kind, _ in classes), default=1.0)
        series.append(_mark("Threshold", [], line_too=True))
        caption = f"Share of each class by score ({', '.join(name.lower() for name in present)}); the line is the "
        caption += "threshold. Tails beyond the axis are in the outermost bins."
        options = {
            "xAxis": self._score_axis(),
            "yAxis": axis("% of the class", nameGap=44),
            "legend": {"data": [*present, "Threshold"], "top": 0, "left": 0},
            "series": series,
        }
        chart = Chart("Scores by class", caption, options, hues=["normal", "anomaly", "muted", "text"])
        heads = ["From", "To", *(f"{name} rows" for _, name in classes)]
        columns = [curves.counts[kind].tolist() for kind, _ in classes]
        edges = curves.edges.tolist()
        chart.table(
            heads,
            [
                (value(edges[k]), value(edges[k + 1]), *(f"{column[k]:,}" for column in columns))
                for k in range(len(edges) - 1)
            ],
        )
        return chart

    def _roc(self) -> Chart:
        roc = self._view.curves.roc
        assert roc is not None
        series = [_curve("ROC", roc[:, :2].tolist(), 0), _mark("Threshold", [])]
        options = {
            "xAxis": axis("False-positive rate", min=0, max=1),
            "yAxis": axis("Recall", min=0, max=1, nameGap=44),
            "series": series,
        }
        caption = "Recall against the share of normal rows that are flagged; the diamond is the threshold."
        chart = Chart("ROC curve", caption, options, hues=["series-0", "text"])
        chart.table(
            ["False-positive rate", "Recall", "Threshold"],
            [(figure(x, 4), figure(y, 4), value(t, 6)) for x, y, t in roc.tolist()],
        )
        return chart

    def _pr(self) -> Chart:
        pr = self._view.curves.pr
        assert pr is not None
        series = [_curve("Precision", pr[:, :2].tolist(), 2, step="start"), _mark("Threshold", [])]
        options = {
            "xAxis": axis("Recall", min=0, max=1),
            "yAxis": axis("Precision", min=0, max=1, nameGap=44),
            "series": series,
        }
        caption = (
            "Share of the alerts that are right against the share of anomalies caught; the diamond is the threshold."
        )
        chart = Chart("Precision and recall", caption, options, hues=["series-2", "text"])
        chart.table(
            ["Recall", "Precision", "Threshold"], [(figure(x, 4), figure(y, 4), value(t, 6)) for x, y, t in pr.tolist()]
        )
        return chart

    def _cost(self) -> Chart:
        rows = cost_rows(self._view.table, self._view.costs)
        least = {"type": "scatter", "name": "Minimum", "data": [], "symbol": "triangle", "symbolSize": 14}
        series = [_curve("Cost", rows, 3), least, _mark("Threshold", [])]
        options = {
            "xAxis": self._score_axis(),
            "yAxis": axis("Cost per record", nameGap=52, scale=True),
            "series": series,
        }
        return Chart("Expected cost", "", options, hues=["series-3", "anomaly", "text"])

    def _describe_cost(self, chart: Chart) -> None:
        rows = cost_rows(self._view.table, self._view.costs)
        at, least = min(rows, key=lambda row: row[1])
        caption = f"Cost per record against the threshold. The triangle is the minimum, {value(least)} at "
        chart.describe(f"{caption}{value(at)}, found on the data being viewed; the diamond is the threshold.")
        chart.table(["Threshold", "Cost per record"], [(value(t, 6), value(c, 6)) for t, c in rows])


def _curve(name: str, points: list[Any], index: int, **options: Any) -> dict[str, Any]:
    return line(name, points, index, showSymbol=False, animationDurationUpdate=0, **options)


def _mark(name: str, points: list[Any], *, line_too: bool = False) -> dict[str, Any]:
    """Return the series that shows where the threshold is; it is the last one of its chart."""
    look = {"name": name, "data": points, "animation": False, "z": 5}
    if line_too:
        return {**look, "type": "line", "showSymbol": False, "symbol": "diamond", "lineStyle": {"width": 3}}
    return {**look, "type": "scatter", "symbol": "diamond", "symbolSize": 16}
