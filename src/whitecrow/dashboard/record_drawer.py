"""The record drawer: one row of a run, over any screen, with what makes it anomalous and what would be normal.

A screen makes one, and opens it for a row; the row is in the address meanwhile, so that a reload shows it again::

    drawer = RecordDrawer(page)
    await drawer.open(run, row)
    ui.timer(0.05, lambda: drawer.follow(run), once=True)  # what the address says
"""

from nicegui import ui

from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.charts import Chart, axis
from whitecrow.dashboard.formats import NOTHING, count, figure, value
from whitecrow.dashboard.parts import Text, button, card, facts, figure_tiles, heading, small_table, warnings
from whitecrow.dashboard.record_facts import CLASSES, RecordFacts, record_facts
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.sample_facts import show_image, show_series
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.explain.samples import ImageReasons

__all__ = ["RecordDrawer"]

_BARS = 12
_METHODS = {
    "occlusion": "occlusion: how far the score drops when a column takes the values of otherwise similar normal rows",
    "parts": "parts: the score is a sum over columns, and is split into them",
}
_VERDICTS = {"confirmed": "confirmed: an anomaly", "dismissed": "dismissed: normal", "unsure": "unsure"}


class RecordDrawer:
    """A panel over the screen, for one row at a time.

    It is a dialog: it keeps the focus, gives it back, and Escape closes it. The row's number is the field ``record``
    of the state while it is open.

    Parameters
    ----------
    page : Page
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._row: int | None = None
        self._turn = 0
        with page.main, ui.dialog().props("position=right maximized") as self._dialog:
            panel = ui.element("div").classes("wc-drawer").style(_PLACE)
        with panel:
            # The head stays while rows come and go: what has the focus must not be made anew.
            with ui.element("div").classes("wc-card-head"):
                self._heading = heading(2, "Row")
                button("Close", self.close, small=True, label="Close the row").props("autofocus")
            # Within the panel, for what is outside of it is not heard while it is open.
            self._said = Text("").classes("wc-hidden").props("role=status")
            self._body = ui.element("div").style(_COLUMN)
        panel.on("keydown", js_handler=_TURN)
        self._dialog.on("show", js_handler=_OUTSIDE.format("setAttribute('inert', '')"))
        # Before the focus goes back to where it was, which takes none while it is inert.
        self._dialog.on("before-hide", js_handler=_OUTSIDE.format("removeAttribute('inert')"))
        self._dialog.on("hide", self._hidden)

    @property
    def row(self) -> int | None:
        """Row that is shown; None while it is closed."""
        return self._row

    async def open(self, run: str, row: int) -> None:
        """Show a row, instead of another one if that is shown.

        Parameters
        ----------
        run : str
            Id of a run that is done.
        row : int
            Row of its data set, from 0. One that is not there is said so in the panel.
        """
        self._turn += 1
        turn, self._row = self._turn, row
        if self._page.state.record != row:
            self._page.show(self._page.state.with_(record=row))
        self._dialog.props["aria-label"] = f"Row {row}"
        self._busy(row)
        self._dialog.open()
        threshold = self._page.state.threshold if self._page.state.runs[:1] == (run,) else None
        try:
            found: RecordFacts | str = await in_thread(record_facts, self._page.workspace, run, row, threshold)
        except WhitecrowError as error:
            found = str(error)
        if turn != self._turn or self._row is None:
            return  # another row was asked for meanwhile, or none
        self._fill(row, found)

    async def close(self) -> None:
        """Close the panel, if it is open."""
        self._dialog.close()
        self._forget()

    async def follow(self, run: str | None) -> None:
        """Show what the state of the page says: its record, or nothing.

        Parameters
        ----------
        run : str or None
            Run that the screen shows.
        """
        wanted = self._page.state.record
        if run is None or wanted is None:
            if self._row is not None:
                await self.close()
        elif wanted != self._row:
            await self.open(run, wanted)

    def _hidden(self) -> None:
        # A row that was opened again while the panel was moving out stays.
        if not self._dialog.value:
            self._forget()

    def _forget(self) -> None:
        if self._row is None:
            return
        self._row = None
        if self._page.state.record is not None:
            self._page.show(self._page.state.with_(record=None))

    # ---- what is shown --------------------------------------------------------------------------------------------

    def _busy(self, row: int) -> None:
        self._heading.set_text(f"Row {row}")
        self._body.clear()
        self._body.props("aria-busy=true")
        self._said.set_text(f"Explaining row {row} …")
        with self._body:
            Text("Explaining this row …", "p")

    def _fill(self, row: int, found: RecordFacts | str) -> None:
        self._body.clear()
        self._body.props("aria-busy=false")
        with self._body:
            if isinstance(found, str):
                warnings([found])
                self._said.set_text(found)
                return
            _standing(found)
            if found.trouble is not None:
                warnings([found.trouble])
            elif isinstance(found.sample, ImageReasons):
                show_image(found.sample)
            elif found.sample is not None:
                show_series(found.sample, found.around, row)
            else:
                _reasons(found)
                _neighbours(found)
        self._said.set_text(f"Row {row}: {'flagged' if found.flag else 'not flagged'}. {found.sentence}")


# Ours alone, and the same for every row. Tab goes round within the panel.
_OUTSIDE = "() => document.querySelectorAll('.q-layout').forEach((one) => one.{})"
_TURN = """(event) => {
  if (event.key !== "Tab") return;
  const able = "a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex='-1'])";
  const all = [...event.currentTarget.querySelectorAll(able)].filter((one) => !one.disabled && one.checkVisibility());
  const [from, to] = event.shiftKey ? [all[0], all.at(-1)] : [all.at(-1), all[0]];
  if (document.activeElement !== from) return;
  event.preventDefault();
  to.focus();
}"""
_COLUMN = "display: flex; flex-direction: column; gap: 1rem"
_PLACE = (
    f"{_COLUMN}; width: min(56rem, 100vw); max-width: 100vw; max-height: 100vh; overflow-y: auto; padding: 1.25rem;"
    "box-sizing: border-box; background: var(--wc-page); border-left: 1px solid var(--wc-control); border-radius: 0"
)


def _standing(found: RecordFacts) -> None:
    where = "above" if found.margin > 0 else "at or below"
    with card():
        Text(f"{found.sentence}", "p").props("data-wc=sentence")
        figure_tiles(
            [
                ("Score", value(found.score, 6), [f"percentile {found.percentile:.2f} of {found.compared}"]),
                (
                    "Margin to the threshold",
                    f"{found.margin:+.4g}",
                    [f"{where} {value(found.threshold, 6)}", "flagged" if found.flag else "not flagged"],
                ),
                ("p-value", NOTHING if found.p_value is None else figure(found.p_value, 4), [found.p_value_note]),
            ]
        )
        verdict = NOTHING if found.verdict is None else _VERDICTS[found.verdict.verdict]
        shown = {
            "Run": run_name(found.run),
            "Flag": "▲ flagged" if found.flag else "○ not flagged",
            "Label": CLASSES[found.label] + (f" ({found.family})" if found.family not in ("", CLASSES[0]) else ""),
            "Verdict": verdict + (f", by {found.verdict.reviewer}" if found.verdict and found.verdict.reviewer else ""),
            "Assigned to": found.assignee or NOTHING,
            "Part": found.part,
        }
        if found.verdict is not None and found.verdict.note:
            shown["Note"] = found.verdict.note
        facts(shown)


def _reasons(found: RecordFacts) -> None:
    with card("Why", f"by {found.method}", level=3):
        Text(f"Method: {_METHODS.get(found.method, found.method)}.", "p").classes("wc-muted")
        if not found.columns:
            return
        bars = list(reversed(found.columns[:_BARS]))
        caption = (
            f"{bars[-1].name} contributes most, {value(bars[-1].contribution)}; "
            f"{count(len(found.columns), 'column')} in all."
        )
        chart = Chart(
            "Contributions by column",
            caption,
            {
                "grid": {"left": 8, "right": 24, "top": 8, "bottom": 44, "containLabel": True},
                "xAxis": axis("Contribution to the score"),
                "yAxis": axis(
                    "",
                    kind="category",
                    data=[one.name for one in bars],
                    axisLabel={"width": 150, "overflow": "truncate"},
                ),
                "legend": {"show": False},
                "series": [{"type": "bar", "name": "Contribution", "data": [one.contribution for one in bars]}],
            },
            hues=["anomaly"],
            height=f"{4 + 1.5 * len(bars):g}rem",
        )
        heads = ["Column", "Contribution", "Share"]
        chart.table(heads, [(one.name, value(one.contribution), f"{100 * one.share:.1f} %") for one in found.columns])
        heads = ["Column", "This row", "Normally", "In similar rows", "Share"]
        rows = [
            [one.name, one.shown + (f" ({one.remark})" if one.remark else ""), one.typical, one.alike or NOTHING,
             f"{100 * one.share:.1f} %"]
            for one in found.columns[:_BARS]
        ]  # fmt: skip
        small_table(heads, rows, caption="Values in original units beside what is typical", right=(4,))


def _neighbours(found: RecordFacts) -> None:
    near = found.neighbours
    with card("Nearest normal rows", "normal compared with what", level=3):
        if not near:
            Text("The model keeps no normal rows near this one.", "p")
            return
        names = [one.name for one in found.columns]
        differing = [k for k in range(len(names)) if any(one.values[k] != found.columns[k].near for one in near)]
        told = [f"{k + 1}" if one.row is None else f"Row {one.row:,}" for k, one in enumerate(near)]
        heads = [
            "Column",
            "This row",
            *(f"{name}: {value(one.distance, 3)} away" for name, one in zip(told, near, strict=True)),
        ]
        rows = []
        for k in differing:
            own = found.columns[k].near
            rows.append([names[k], own, *("= same" if one.values[k] == own else one.values[k] for one in near)])
        same = len(names) - len(differing)
        caption = "Where they differ"
        if same:
            caption += f"; {count(same, 'more column')} {'is' if same == 1 else 'are'} the same in all of them"
        small_table(heads, rows, caption=caption, right=range(1, len(heads)), label="Nearest normal rows")
