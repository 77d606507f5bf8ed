"""The threshold and what it leads to: controls, figures, costs and curves that follow it within the browser.

The elements are made here; ``static/threshold.js`` fetches the counts above every score once, and from then on a move
of the slider is one binary search and an update of the nodes that carry ``data-wct``. Their ``data-value`` holds the
figure with all its digits. Quiet for a moment, it tells the page by the event ``wc-threshold``.
"""

import json
import math
from collections.abc import Awaitable, Callable, Iterable
from statistics import NormalDist
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from whitecrow.dashboard.explore_state import MEANINGS, ExploreState
from whitecrow.dashboard.explore_view import View
from whitecrow.dashboard.formats import NOTHING, count, percent, value
from whitecrow.dashboard.parts import Markup, Text, button, card, small_table
from whitecrow.dashboard.threshold_charts import ThresholdCharts
from whitecrow.metrics.alert_table import FEW_ANOMALIES

__all__ = ["ThresholdPanel"]

Action = Callable[[], Awaitable[None] | None]

_LEVEL = 0.95
_MOST_COUNTS = 1_000_000
_NEEDS_LABELS = "needs labels"
_OF_LABELS = ("fpr", "cost")
_SHARES = {
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "f2": "F2",
    "false_positive_rate": "False-positive rate",
    "accuracy": "Accuracy",
}
_MONEY = {
    "miss": ("Cost of a miss (C_FN)", "0"),
    "false_alarm": ("Cost of a false alarm (C_FP)", "0"),
    "alert": ("Cost of handling any alert (C_A)", "0"),
    "catch": ("Value of a catch (V_TP)", "0"),
}
_SPENT = {
    "cost": "Expected cost per record",
    "saved_against_nothing": "Saved against alerting on nothing",
    "saved_against_everything": "Saved against alerting on everything",
}


class ThresholdPanel:
    """The panel, within the element that is being filled; its curves come with :meth:`draw`.

    Parameters
    ----------
    view : View
    adopt : function, which may be asynchronous
        Called when the threshold is to become the run's own.
    """

    def __init__(self, view: View, adopt: Action) -> None:
        self._view = view
        with ui.element("div").style("display: contents").props("data-note=own") as self._root:
            with ui.element("div").classes("wc-grid"):
                self._controls(adopt)
                self._confusion()
            self._figures()
            self._costs()
            self._curves = ui.element("div")
            self._charts: ThresholdCharts | None = None

    def start(self, grid: int | None) -> None:
        """Let the browser take over.

        Parameters
        ----------
        grid : int or None
            Id of the grid of alerts whose flags follow.
        """
        view, state = self._view, self._view.state
        query: dict[str, Any] = {"max_points": _MOST_COUNTS} | ({} if state.part is None else {"part": state.part})
        if state.window is not None:
            query |= {"first": state.window[0], "last": state.window[1]}
        edges = view.curves.edges
        money = {name: getattr(view.costs, name) for name in _MONEY}
        config = {
            "root": self._root.id,
            "grid": grid,
            "address": f"/api/runs/{view.run.id}/curves?{urlencode(query)}",
            "own": view.own,
            "threshold": state.threshold,
            "meaning": self._meaning,
            "money": {**money, "base_rate": state.base_rate},
            "priced": state.costs is not None,
            "axis": {"low": float(edges[0]), "high": float(edges[-1]), "log": view.curves.scale == "log"},
            "z": NormalDist().inv_cdf((1 + _LEVEL) / 2),
            "few": view.table.few_anomalies,
            "copies": view.copies,
            "told": self._intervals(),
            "tallest": 0.0,
            "charts": {},
        }
        ui.run_javascript(f"whitecrow.threshold.start({json.dumps(config)})")

    def draw(self) -> None:
        """Show the curves; the browser has said ``wc-figures`` when it need not wait for their large library."""
        if self._curves.is_deleted:
            return
        with self._curves:
            self._charts = ThresholdCharts(self._view)
        told = {"tallest": self._charts.tallest, "charts": self._charts.ids}
        ui.run_javascript(f"whitecrow.threshold.pictures({self._root.id}, {json.dumps(told)})")

    def follow(self, state: ExploreState) -> None:
        """Bring what is not live up to the browser's state: the costs as a table, and intervals with copies."""
        view = self._view = View(self._view.run, self._view.table, self._view.curves, state)
        if self._charts is not None:
            self._charts.follow(view)
        if view.copies and view.table.few_anomalies:
            ui.run_javascript(f"whitecrow.threshold.intervals({json.dumps(self._intervals())})")

    def _intervals(self) -> dict[str, Any]:
        """Return the threshold and the intervals of figures at it, in which copies of a row count once."""
        view = self._view
        threshold = view.own if view.state.threshold is None else view.state.threshold
        ends = {name: [one.low, one.high] for name, one in view.table.intervals(threshold).items()}
        return {"threshold": threshold, "ends": ends}

    @property
    def _meaning(self) -> str:
        wanted = self._view.state.meaning
        return "score" if wanted in _OF_LABELS and not self._view.labelled else wanted

    # ---- controls -------------------------------------------------------------------------------------------------

    def _controls(self, adopt: Action) -> None:
        view = self._view
        with card("Threshold"):
            options = "".join(
                f'<option value="{key}"{"" if view.labelled or key not in _OF_LABELS else " disabled"}>{title}</option>'
                for key, title in MEANINGS.items()
            )
            slider = '<input type="range" min="0" max="1000" step="1" data-wct="slider" aria-label="Threshold slider">'
            _fields(
                _labelled("It is set by", f'<select data-wct="meaning">{options}</select>'),
                _labelled("Value", '<input type="number" step="any" data-wct="box">'),
            )
            ui.html(_labelled("Slider", slider), sanitize=False).style("width: 100%")
            _sentence(
                f"Rows with a score above {_live('threshold', 'strong')} are flagged: {_live('alerts', 'strong')} of "
                f"{count(view.table.n, 'row')}, {_live('alerts_per_1000', 'strong')} per 1,000."
            )
            for kind, words in _notes(view).items():
                with ui.element("p").props(f"data-wct-note={kind}" + ("" if kind == "own" else " hidden")) as note:
                    if kind != "own":
                        note.classes("wc-warning")
                        Text("Optimistic: ", "strong")
                    Text(words)
            if view.state.part == "train":
                with ui.element("p").classes("wc-warning"):
                    Text("Too good: ", "strong")
                    Text("the model has learnt from these rows.")
            with ui.element("div").classes("wc-row"):
                button("Make it the run's own", adopt)
                button("Back to the run's own").props("data-wct=own")
            Text("").props("data-wct=said role=status").classes("wc-hidden")

    def _confusion(self) -> None:
        table = self._view.table
        heads = ["Labelled", "Flagged", "Not flagged", "All"]
        rows: list[list[Any]] = [
            ["Anomaly", _cell("tp", "caught"), _cell("fn", "missed"), f"{int(table.anomalies[0]):,}"],
            ["Normal", _cell("fp", "false alarms"), _cell("tn", "passed rightly"), f"{int(table.normals[0]):,}"],
            ["Unknown", _cell("unknown_flagged", ""), _cell("unknown_passed", ""), f"{int(table.unknown[0]):,}"],
        ]
        with card("Outcomes"):
            small_table(heads, rows, right=(1, 2, 3), label="Confusion matrix")
            Text("Rows without a label are a class of their own, and never counted as normal.", "p").classes("wc-muted")

    def _figures(self) -> None:
        view, anomalies = self._view, int(self._view.table.anomalies[0])
        aside = count(anomalies, "known anomaly", "known anomalies")
        if view.table.few_anomalies and anomalies:
            aside += f": fewer than {FEW_ANOMALIES}, so mind the {percent(_LEVEL)} intervals"
        made = []
        for name, title in _SHARES.items():
            known = view.table.normals[0] if name == "false_positive_rate" else anomalies
            ends = name in ("precision", "recall") and view.table.few_anomalies
            made.append(_tile(name, title, there=bool(known), interval=ends))
        with card("Figures at this threshold", aside):
            _tiles(made)

    def _costs(self) -> None:
        view = self._view
        with card("Money", "all in one unit"):
            known = int(view.table.anomalies[0] + view.table.normals[0])
            observed = int(view.table.anomalies[0]) / known if known else math.nan
            rate = f'max="1" placeholder="observed: {value(observed)}" data-wct="base_rate"'
            _fields(
                *(
                    _labelled(title, f'<input type="number" min="{least}" step="any" data-wct="{name}">')
                    for name, (title, least) in _MONEY.items()
                ),
                _labelled("Base rate where it will work", f'<input type="number" min="0" step="any" {rate}>'),
            )
            _tiles(_tile(name, title, there=view.labelled) for name, title in _SPENT.items())
            if view.labelled:
                _sentence(
                    f"Lowest expected cost {_live('least_cost', 'strong')} at a score of "
                    f"{_live('least_cost_threshold', 'strong')}; alerting on nothing costs {_live('cost_of_nothing')}, "
                    f"on everything {_live('cost_of_everything')} per record. The minimum is found on the data being "
                    "viewed, so it is optimistic."
                )


def _notes(view: View) -> dict[str, str]:
    source = view.run.threshold_source or NOTHING
    seen = "Figures at it flatter: it was chosen while looking at these labels. Check it on rows not seen here."
    if not view.labelled:
        seen = "The threshold was moved by hand while looking at these rows."
    return {
        "own": f"The run's own threshold: {source}.",
        "moved": f"the threshold was moved on the data being viewed. {seen}",
        "labels": f"the threshold was chosen by the labels in view. {seen}",
    }


# Fields and figures are the browser's; as markup, a panel of a hundred elements is a few to make and to mount.
def _labelled(text: str, field: str) -> str:
    """Return a label around a field."""
    return f'<label class="wc-labelled"><span>{text}</span>{field}</label>'


def _fields(*labelled: str) -> None:
    ui.html("".join(labelled), sanitize=False).classes("wc-form")


def _live(name: str, tag: str = "span", look: str = "") -> Markup:
    """Return an element whose text is the live figure of that name."""
    return Markup(f'<{tag} data-wct="{name}" class="{look}">{NOTHING}</{tag}>')


def _sentence(markup: str) -> None:
    ui.html(markup, sanitize=False, tag="p")


def _cell(name: str, words: str) -> Markup:
    beside = f'<span class="wc-beside">{words}</span>' if words else ""
    return Markup(_live(name, look="wc-outcome") + beside)


def _tiles(tiles: Iterable[str]) -> None:
    ui.html("".join(tiles), sanitize=False, tag="dl").classes("wc-figures")


def _tile(name: str, title: str, *, there: bool, interval: bool = False) -> str:
    beside = ""
    if not there:
        beside = f'<dd class="wc-small">{_NEEDS_LABELS}</dd>'
    elif interval:
        beside = f'<dd class="wc-small" data-wct="{name}_interval"></dd>'
    off = "" if there else " wc-off"
    return f'<div class="wc-figure{off}"><dt>{title}</dt>{_live(name, "dd", "wc-big")}{beside}</div>'
