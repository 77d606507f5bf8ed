"""What the charts of the Lab draw of one epoch: options of ECharts, a caption, and the numbers as rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whitecrow.dashboard.charts import axis, line
from whitecrow.dashboard.formats import count, figure, percent, value
from whitecrow.dashboard.lab_epochs import CLASS_NAMES
from whitecrow.workspace import Epoch

__all__ = ["Axis", "Picture", "classes", "code_picture", "histogram_picture", "mark", "pr_picture", "roc_picture"]

Seen = Mapping[str, Any]

_MARK = "#808A94"
_NO_ENDS = {"showMinLabel": False, "showMaxLabel": False, "hideOverlap": True}
_SYMBOLS = {"normal": ("circle", 5), "anomaly": ("diamond", 9), "unknown": ("triangle", 7)}
_NONE = "This epoch has no scores."


@dataclass(frozen=True)
class Picture:
    """What a chart shows.

    Parameters
    ----------
    options : dict
        Of ECharts; those of two epochs have the same series.
    caption : str
        What is to be seen.
    rows : function
        Returns the numbers for a table.
    """

    options: dict[str, Any]
    caption: str
    rows: Callable[[], list[list[str]]]


@dataclass(frozen=True)
class Axis:
    """The axis of scores that fits a number of epochs.

    Parameters
    ----------
    kind : {"value", "log"}
        Linear or logarithmic.
    low, high : float
        Its ends.
    """

    kind: str
    low: float
    high: float

    @classmethod
    def of(cls, epochs: Sequence[Epoch]) -> "Axis":
        """Return the axis on which the histograms of all epochs fit."""
        bins = [one.seen["histogram"] for one in epochs if one.seen and "histogram" in one.seen]
        if not bins:
            return cls("value", 0.0, 1.0)
        low, high = min(one["edges"][0] for one in bins), max(one["edges"][-1] for one in bins)
        logarithmic = low > 0 and any(one["scale"] == "log" for one in bins)
        return cls("log" if logarithmic else "value", low, high)


def classes(epochs: Sequence[Epoch]) -> list[str]:
    """Return the classes of the rows that are shown; they are the same after every epoch."""
    rows = next((one.seen["rows"] for one in epochs if one.seen and "rows" in one.seen), {})
    return [name for name in CLASS_NAMES if rows.get(name)]


def histogram_picture(seen: Seen, names: Sequence[str], whole: Axis, *, fixed: bool) -> Picture:
    """Return the scores of each class in bins, with the threshold; on the axis of all epochs if it is ``fixed``."""
    bins = seen.get("histogram")
    edges = [] if bins is None else bins["edges"]
    low, high = (whole.low, whole.high) if fixed or bins is None else (edges[0], edges[-1])
    series = []
    for k, name in enumerate(names):
        counts = [] if bins is None else bins[name]
        shares = [100 * one / max(sum(counts), 1) for one in counts]
        # A bin's share holds from its lower edge to the next one.
        points = list(zip(edges, [*shares, *shares[-1:]], strict=True))
        series.append(line(CLASS_NAMES[name], points, k, step="end", showSymbol=False, areaStyle={"opacity": 0.15}))
    if series:
        series[0]["markLine"] = mark(seen.get("threshold"), "threshold")
    options = {
        # The ends are scores with all their digits, which nobody wants to read.
        "xAxis": axis("Anomaly score", kind=whole.kind, min=low, max=high, axisLabel=_NO_ENDS),
        "yAxis": axis("% of the class", nameGap=36),
        "series": series,
    }
    if bins is None:
        return Picture(options, _NONE, list)
    above = " and ".join(
        f"{seen['flagged'][name]:,} of {count(seen['rows'][name], one, many)}"
        for name, one, many in (("anomaly", "anomaly", "anomalies"), ("normal", "normal row", "normal rows"))
    )

    def rows() -> list[list[str]]:
        return [
            [value(edges[k]), value(edges[k + 1]), *(f"{bins[name][k]:,}" for name in names)]
            for k in range(len(edges) - 1)
        ]

    return Picture(options, f"Above the threshold of {value(seen['threshold'])} lie {above}.", rows)


def roc_picture(seen: Seen) -> Picture:
    """Return the ROC curve beside that of chance."""
    points = seen.get("roc") or []
    chance = line("Chance", [(0, 0), (1, 1)], 3, showSymbol=False)
    options = {
        "xAxis": axis("False-positive rate", min=0, max=1),
        "yAxis": axis("Recall", min=0, max=1, nameGap=40),
        "series": [line("ROC", points, 0, showSymbol=False, areaStyle={"opacity": 0.1}), chance],
    }
    caption = f"AUROC {figure(seen.get('auroc'), 4)}; chance is 0.5." if points else _NONE
    return Picture(options, caption, lambda: [[figure(x, 4), figure(y, 4)] for x, y in points])


def pr_picture(seen: Seen) -> Picture:
    """Return the precision-recall curve."""
    points = seen.get("pr") or []
    options = {
        "xAxis": axis("Recall", min=0, max=1),
        "yAxis": axis("Precision", min=0, max=1, nameGap=40),
        # Between two points precision is that of the later one: a straight line would flatter it.
        "series": [line("Precision", points, 0, showSymbol=False, step="start")],
    }
    caption = f"Average precision {figure(seen.get('average_precision'), 4)}." if points else _NONE
    return Picture(options, caption, lambda: [[figure(x, 4), figure(y, 4)] for x, y in points])


def code_picture(seen: Seen, names: Sequence[str]) -> Picture:
    """Return the latent codes of up to 500 rows: as they are, or along their two principal axes."""
    codes = seen.get("codes")
    series = [
        {
            "type": "scatter",
            "name": CLASS_NAMES[name],
            "data": [] if codes is None else codes[name],
            "symbol": _SYMBOLS[name][0],
            "symbolSize": _SYMBOLS[name][1],
            "itemStyle": {"opacity": 0.6 if name == "normal" else 0.9},
        }
        for name in names
    ]
    wide = codes is not None and codes["width"] > 2
    one, two = ("First principal axis", "Second principal axis") if wide else ("First unit", "Second unit")
    options = {
        "xAxis": axis(one, scale=True, axisLine={"onZero": False}),
        "yAxis": axis(two, scale=True, nameGap=44, axisLine={"onZero": False}),
        "tooltip": {"trigger": "item"},
        "series": series,
    }
    if codes is None:
        return Picture(options, "This epoch has no codes.", list)
    n = sum(len(codes[name]) for name in names)
    caption = f"The codes of {count(n, 'row')}, {codes['width']} wide"
    if wide:
        caption += (
            f"; the two principal axes hold {percent(codes['explained'])} of their variance. They are turned to lie as "
            "they did the epoch before"
        )

    def rows() -> list[list[str]]:
        return [[CLASS_NAMES[name], value(x), value(y)] for name in names for x, y in codes[name]]

    return Picture(options, caption + ".", rows)


def mark(at: float | None, label: str) -> dict[str, Any]:
    """Return a vertical line of ECharts with a label; none without a place."""
    return {
        "symbol": "none",
        "silent": True,
        "animation": False,
        "lineStyle": {"type": "solid", "width": 2, "color": _MARK},
        "label": {"formatter": label, "color": _MARK, "position": "end"},
        "data": [] if at is None else [{"xAxis": at}],
    }
