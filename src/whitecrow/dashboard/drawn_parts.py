"""What is shown of a drawing while it is drawn: score, verdict, p-value, and where or when it departs."""

import numpy as np
from nicegui import ui

from whitecrow.dashboard.charts import Chart
from whitecrow.dashboard.drawn import Judgement, Subject
from whitecrow.dashboard.formats import NOTHING, figure, value
from whitecrow.dashboard.parts import Text, card, details, small_table
from whitecrow.dashboard.pictures import between, heat_over, picture, png_address
from whitecrow.dashboard.sample_facts import expected_options, expected_rows
from whitecrow.explain.samples import ImageReasons, SeriesReasons

__all__ = ["DrawnView"]


class DrawnView:
    """The figures and pictures of one subject, within the element that is being filled.

    Parameters
    ----------
    subject : Subject
        Whose verdict is shown.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        with card("Verdict", f"by run {subject.run.number}, {subject.run.detector}"):
            with ui.element("dl").classes("wc-figures"):
                self._verdict = _tile("Verdict", "verdict").style("font-size: 1.25rem; line-height: 1.625")
                self._score = _tile("Score", "score")
                self._p = _tile("p-value", "p")
            self._sentence = Text("Draw something, or load an example.", "p").props("data-wcd=sentence")
            self._time = Text("", "p").classes("wc-muted")
        self._chart: Chart | None = None
        with card("Why") as made:
            made.style("min-width: 0")
            self._method = Text("", "p").classes("wc-muted")
            self._body = ui.element("div").classes("wc-shelf").style("width: 100%")
            self._slow = ui.element("div").style("width: 100%")
        self._heat = self._rebuilt = self._apart = None

    def blank(self) -> None:
        """Show that nothing is drawn."""
        for one in (self._verdict, self._score, self._p):
            one.set_text(NOTHING)
            one.props["data-value"] = ""
        self._sentence.set_text("Draw something, or load an example.")
        self._time.set_text("")
        self._method.set_text("")
        self._body.clear()
        self._slow.clear()
        self._chart = self._heat = self._rebuilt = self._apart = None

    def show(self, found: Judgement, filled: int) -> None:
        """Show a judgement at once; what takes longer to paint comes with :meth:`settle`."""
        reasons = found.reasons
        self._verdict.set_text("▲ anomalous" if found.flag else "○ normal")
        self._verdict.props["data-value"] = str(found.flag).lower()
        self._score.set_text(value(reasons.score))
        self._score.props["data-value"] = repr(reasons.score)
        self._p.set_text(figure(found.p_value, 4))
        self._p.props["data-value"] = "" if found.p_value is None else repr(found.p_value)
        words = reasons.text
        if filled:
            words += f" {filled} points were not drawn and are filled in on straight lines."
        self._sentence.set_text(words)
        self._time.set_text(f"Judged and explained in {1000 * found.seconds:.0f} ms.")
        if isinstance(reasons, ImageReasons):
            self._method.set_text(f"Map by {reasons.method}.")
            self._show_image(reasons)
        else:
            self._method.set_text(f"Expected: {reasons.method}.")
            self._show_curve(reasons)

    def _show_image(self, reasons: ImageReasons) -> None:
        if self._heat is None:
            self._body.clear()
            with self._body:
                with ui.element("div"):
                    self._heat = heat_over(
                        reasons.image, reasons.heat, "The drawing under its map of anomaly scores", side="13rem"
                    )
                if reasons.rebuilt is not None:
                    self._rebuilt = picture("", "As the method rebuilds it", side="9rem", caption="Reconstruction")
                    self._apart = picture("", "Difference to the reconstruction", side="9rem", caption="Difference")
        self._heat(reasons.image, reasons.heat)
        if reasons.rebuilt is not None and self._rebuilt is not None and self._apart is not None:
            _repaint(self._rebuilt, png_address(reasons.rebuilt))
            _repaint(self._apart, png_address(between(np.abs(reasons.image - reasons.rebuilt))))

    def _show_curve(self, reasons: SeriesReasons) -> None:
        observed, expected = reasons.observed[:, 0], reasons.expected[:, 0]
        options = expected_options(observed, expected)
        if self._chart is None:
            self._body.clear()
            with self._body:
                self._chart = Chart(
                    "Observed and expected", reasons.text, options, hues=["normal", "text", "anomaly", "anomaly"]
                )
            return
        self._chart.set({"series": [{"data": one["data"]} for one in options["series"]]})

    def settle(self, found: Judgement) -> None:
        """Show the tables and the neighbours, once the pen rests."""
        reasons = found.reasons
        if isinstance(reasons, SeriesReasons):
            if self._chart is not None:
                observed, expected = reasons.observed[:, 0], reasons.expected[:, 0]
                self._chart.describe(reasons.text)
                self._chart.table(["Point", "Observed", "Expected", "Difference"], expected_rows(observed, expected))
            return
        self._slow.clear()
        with self._slow:
            Text("Nearest normal images", "h3")
            with ui.element("div").classes("wc-shelf"):
                for k, (one, distance) in enumerate(zip(reasons.neighbours, reasons.distances.tolist(), strict=True)):
                    words = f"{k + 1}: {value(distance, 3)} away"
                    picture(png_address(one), f"Normal image {words}", side="5rem", caption=words)
            step = max(1, -(-max(reasons.heat.shape) // 28))
            heat = reasons.heat[::step, ::step]
            with details("Show the map as table") as folded:
                folded.classes("wc-numbers")
                heads = ["Row", *(str(step * k) for k in range(heat.shape[1]))]
                rows = [[str(step * k), *(value(float(one), 3) for one in line)] for k, line in enumerate(heat)]
                small_table(heads, rows, label="Numbers behind the map", right=range(len(heads)))


def _tile(name: str, key: str) -> Text:
    with ui.element("div").classes("wc-figure"):
        Text(name, "dt")
        made = Text(NOTHING, "dd").classes("wc-big")
    made.props["data-wcd"] = key
    made.props["data-value"] = ""
    return made


def _repaint(made: ui.element, address: str) -> None:
    next(iter(made.default_slot.children)).props["src"] = address
