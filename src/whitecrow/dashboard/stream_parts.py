"""Elements of the screen *Stream*: fields that ``static/stream.js`` reads, and the nodes that it paints into.

A field carries ``data-wcs-field`` with its name and ``data-wcs-value`` with what it holds at first; those that belong
to the stream itself, and so to a link, ``data-wcs-kept``; those that make sense for some sources only, their kinds in
``data-wcs-for``. A painted node carries ``data-wcs``, and what needs labels stands in ``data-wcs-truth``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from nicegui import ui

from whitecrow.dashboard.charts import Chart, axis, line
from whitecrow.dashboard.formats import NOTHING
from whitecrow.dashboard.parts import Text, card, details, heading, small_table
from whitecrow.dashboard.run_parts import run_name
from whitecrow.workspace import DatasetRecord, RunRecord
from whitecrow.workspace.stream import LiveFile

__all__ = [
    "PLAYED",
    "action",
    "confusion",
    "cost_chart",
    "number_field",
    "rules_field",
    "source_field",
    "source_note",
    "standings_card",
    "stream_tiles",
    "truth",
]

_FIELD = (
    "font: inherit; color: var(--wc-text); background: var(--wc-surface); border: 1px solid var(--wc-control);"
    "border-radius: 6px; padding: 0.25rem 0.5rem; min-height: 2.25rem; box-sizing: border-box; width: 100%;"
    "text-overflow: ellipsis"
)
_TILES: Mapping[str, str] = {
    "position": "Records",
    "anomalies": "Anomalies",
    "unknown": "Without a label",
    "speed": "Records per second",
    "frames": "Frames per second",
    "nothing": "Cost of alerting on nothing",
    "everything": "Cost of alerting on everything",
}
_FIGURES: Mapping[str, str] = {
    "precision": "Precision",
    "recall": "Recall",
    "fpr": "False-positive rate",
    "alerts": "Alerts",
    "alert_rate": "Alert rate",
    "cost": "Cost so far",
    "nothing": "saved vs nothing",
    "everything": "saved vs everything",
}


PLAYED = "simulation replay"
"""Sources that have a speed and a way back; a live one has neither."""


def action(text: str, does: str, *, primary: bool = False, kinds: str = "") -> None:
    """Show a button that the script of the page answers to: ``does`` is a method of its race."""
    # Not a button of Quasar, which would set its label back.
    made = Text(text, "button").classes("q-btn wc-button").props(f"type=button data-wcs-do={does} data-wcs={does}")
    made.style("cursor: pointer; min-width: 5.5rem")
    if kinds:
        made.props["data-wcs-for"] = kinds
    if primary:
        made.classes("wc-primary")


def number_field(
    name: str, title: str, given: float, *, low: float, high: float, step: str = "1", kept: bool = True, kinds: str = ""
) -> None:
    """Show a field of a number; with ``kept`` it is part of the address, with ``kinds`` it is for these sources."""
    with ui.element("label").style("display: block"):
        Text(title).classes("wc-muted").style("display: block; font-size: 0.8125rem")
        made = _input(name, given, low, high, step, kept=kept)
        if kinds:
            made.props["data-wcs-for"] = kinds


def _input(name: str, given: float, low: float | None, high: float | None, step: str, *, kept: bool) -> ui.element:
    made = ui.element("input").props(f"type=number required step={step}").style(_FIELD)
    if low is not None and high is not None:
        made.props["min"], made.props["max"] = low, high
    made.props["data-wcs-field"] = name
    # Not its value, which every change of the page would set again.
    made.props["data-wcs-value"] = f"{given:.0f}" if float(given).is_integer() else repr(given)
    if kept:
        made.props["data-wcs-kept"] = ""
    return made


def source_field(datasets: Sequence[DatasetRecord], live: Sequence[LiveFile]) -> None:
    """Show the choice between the simulation, a data set that is played again, and a file that grows."""
    offered = {"": "The simulated network, without end"}
    offered |= {f"live:{one.name}": f"Live: {one.name}" for one in live}
    offered |= {one.id: f"Replay of {one.name}" for one in datasets}
    _choice("source", "Records from", offered)
    if live:
        begins = {"": "with what is written from now on", "beginning": "with the beginning of the file"}
        _choice("begin", "The live source begins", begins).props["data-wcs-only"] = "tail"


def _choice(name: str, title: str, offered: Mapping[str, str]) -> ui.element:
    with ui.element("label").style("display: block") as label:
        Text(title).classes("wc-muted").style("display: block; font-size: 0.8125rem")
        made = ui.element("select").style(_FIELD).props(f"data-wcs-field={name} data-wcs-kept")
        made.props["data-wcs-value"] = ""
        with made:
            for value, words in offered.items():
                Text(words, "option").props["value"] = value
    return label


def source_note(live: Sequence[LiveFile]) -> None:
    """Show why some fields are out of use, what became of a live source, and how one is allowed if there is none."""
    Text("", "p").classes("wc-muted").props("id=wcs-limits data-wcs=limits hidden")
    Text("", "p").classes("wc-warning").props("data-wcs=source hidden")
    if not live:
        how = "Files that grow can be followed live once the operator names them: whitecrow serve --follow NAME=FILE"
        Text(how, "p").classes("wc-muted")


def rules_field() -> None:
    """Show whether alert rules hold for the stream: never by a link alone, for deliveries leave the server."""
    with ui.element("label").classes("wc-row").style("min-height: 2.25rem; cursor: pointer"):
        made = ui.element("input").props("type=checkbox data-wcs-field=alert_rules data-wcs-value=on")
        made.style("width: 1.5rem; height: 1.5rem; margin: 0; accent-color: var(--wc-control)")
        Text("Hold these records against the alert rules, which deliver what meets them")


def stream_tiles() -> None:
    """Show how far the stream is."""
    with ui.element("dl").classes("wc-figures"):
        for name, title in _TILES.items():
            with ui.element("div").classes("wc-figure"):
                Text(title, "dt")
                Text(NOTHING, "dd").classes("wc-big").props["data-wcs"] = name


def standings_card(runs: Sequence[RunRecord]) -> None:
    """Show the running figures of every detector, and its threshold, which can be changed."""

    def row(run: RunRecord) -> list[str | Callable[[], None]]:
        def named() -> None:
            Text(run_name(run)).props["data-wcs"] = f"{run.id}.name"

        def threshold() -> None:
            made = _input(f"threshold.{run.id}", run.threshold or 0.0, None, None, "any", kept=False)
            made.style("width: 6.5rem")
            made.props["aria-label"] = f"Threshold of {run_name(run)}"

        return [named, threshold, *(_painted(f"{run.id}.{name}") for name in _FIGURES)]

    with card("Standings", "since the first record"):
        heads = ["Detector", "Flagged above", *_FIGURES.values()]
        small_table(heads, map(row, runs), label="Standings", right=range(2, len(heads)))
        text = "Another threshold holds from the next record on; what was decided before stays. To see the past with "
        Text(text + "it, rewind.", "p").classes("wc-muted")


@contextmanager
def truth() -> Iterator[None]:
    """Hold what only labels can tell: it is greyed, with the reason, while no record has one."""
    with ui.element("div").style("width: 100%").props("data-wcs-truth"):
        reason = (
            "No record so far has a label, so nobody knows which decisions were right and what they cost. Alerts and "
            "their rates stand above."
        )
        Text(reason, "p").classes("wc-muted").props("data-wcs-untold hidden").style("padding-bottom: 0.75rem")
        yield


def confusion(run: RunRecord) -> None:
    """Show the running confusion matrix of a detector."""
    with ui.element("div"):
        heading(3, run_name(run)).classes("wc-break")
        rows = [
            ["Flagged", _painted(f"{run.id}.tp"), _painted(f"{run.id}.fp")],
            ["Passed", _painted(f"{run.id}.fn"), _painted(f"{run.id}.tn")],
        ]
        heads = ["Decision", "Anomalies", "Normal records"]
        small_table(heads, rows, right=(1, 2), label=f"Confusion matrix of {run_name(run)}")


def cost_chart(runs: Sequence[RunRecord]) -> Chart:
    """Show what each detector has cost so far, and what alerting on nothing would have; nothing is drawn yet."""
    names = [*map(run_name, runs), "alert on nothing"]
    chart = Chart(
        "Cost over time",
        "Cost since the first record against the number of records; a detector below “alert on nothing” saves money.",
        {
            "grid": {"left": 80, "right": 24, "top": 26 * (1 + len(names) // 4) + 16, "bottom": 48},
            "animation": False,
            "xAxis": axis("Records", max="dataMax"),
            "yAxis": axis("Cost so far", nameGap=60),
            "series": [line(name, [], k, showSymbol=False) for k, name in enumerate(names)],
        },
    )
    with details("Show as table"):
        heads = ["Records", *names]
        region = small_table(heads, [], label="Cost over time as a table", right=range(1, len(heads)))
        region.props["data-wcs"] = "history"
    return chart


def _painted(name: str) -> Callable[[], None]:
    def fill() -> None:
        Text(NOTHING).props["data-wcs"] = name

    return fill
