"""One run against the others: paired differences, and the records that it flags and another does not."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from whitecrow.dashboard.comparison import Comparison, Difference
from whitecrow.dashboard.comparison_parts import difference_table
from whitecrow.dashboard.formats import count, figure, percent, value
from whitecrow.dashboard.parts import Text, button, heading, small_table
from whitecrow.dashboard.record_drawer import RecordDrawer
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.metrics.agreement import Disagreements

__all__ = ["PairView"]

_LISTED = 25  # disagreements shown at first, and with every further step
_CLASSES = {1: "anomaly", 0: "normal", -1: "unknown"}


class PairView:
    """The choice of two runs and what parts them, within the element that is being filled.

    The first run of the page's state is the one that is looked at, the second what it is held against: a choice
    changes their order there.

    Parameters
    ----------
    page : Page
    comparison : Comparison
        Of the runs of the page's state.
    drawer : RecordDrawer
        Opens a record of the list.
    """

    def __init__(self, page: Page, comparison: Comparison, drawer: RecordDrawer) -> None:
        self._page, self._comparison, self._drawer = page, comparison, drawer
        self._n_listed = _LISTED
        one, other = page.state.runs[:2]
        names = {run.id: run_name(run) for run in comparison.runs}
        with ui.element("div").classes("wc-row"):
            self._first, self._second = (
                ui.select(names, value=key, label=label).props("outlined dense options-dense").style("width: 15rem")
                for key, label in ((one, "Flagged by"), (other, "and not by"))
            )
            button("The other way round", self._swap)
        self._body = ui.element("div").classes("wc-main").style("padding: 0")
        self._list: ui.element
        self._first.on_value_change(self._choose)
        self._second.on_value_change(self._choose)

    async def show(self) -> None:
        """Compute and show what parts the two."""
        comparison = self._comparison
        one, other = pair = self._page.state.runs[:2]
        self._body.clear()
        with self._body:
            # A record of the list before must not be opened as one of the next.
            Text("The two are being compared …", "p").classes("wc-muted")
        parted, differences = await in_thread(
            lambda: (comparison.disagreements(one, other), comparison.differences(one))
        )
        if pair != self._page.state.runs[:2] or self._body.is_deleted:
            return  # others were chosen meanwhile
        self._n_listed = _LISTED
        self._body.clear()
        with self._body:
            self._differences(one, differences)
            names = run_name(comparison.run(one)), run_name(comparison.run(other))
            heading(3, f"Flagged by {names[0]} and not by {names[1]}")
            self._list = ui.element("div").style("width: 100%")
        self._show_list(parted, one, other)

    async def _swap(self) -> None:
        one, other = self._page.state.runs[:2]
        await self._go_to(other, one)

    async def _choose(self) -> None:
        await self._go_to(str(self._first.value), str(self._second.value))

    async def _go_to(self, one: str, other: str) -> None:
        runs = self._page.state.runs
        if (one, other) == runs[:2]:
            return
        if one == other:
            self._page.warn("A run does not disagree with itself. Choose two different runs.")
            return
        rest = tuple(key for key in runs if key not in (one, other))
        self._page.show(self._page.state.with_(runs=(one, other, *rest), record=None))
        # The address is ahead of the two fields, whose change then is none.
        self._first.set_value(one)
        self._second.set_value(other)
        await self.show()
        await self._page.refresh_badge()

    def _differences(self, key: str, found: list[Difference]) -> None:
        if not found:
            return
        reference = self._comparison.run(key)
        heading(3, f"How much better is {run_name(reference)}?")
        difference_table(reference, found)
        text = (
            f"Paired bootstrap, {self._comparison.n_resamples:,} resamples: both are measured on the same draws of "
            "these rows. An interval that holds 0 does not tell the two apart, and none covers how much training "
            "varies with its seed."
        )
        Text(text, "p").classes("wc-muted")

    def _show_list(self, parted: Disagreements, one: str, other: str) -> None:
        comparison = self._comparison
        shown = min(self._n_listed, len(parted.rows))
        first, second = comparison.run(one).number, comparison.run(other).number
        heads = ["Record", "Known as", f"Score of run {first}", "rank", f"Score of run {second}", "rank"]
        self._list.clear()
        with self._list:
            if not parted.n:
                Text("None: the other flags all of them too.", "p")
                return
            caption = f"{count(parted.n, 'record')}, the strongest disagreement first; {shown:,} are listed"
            if parted.n == len(parted.rows):
                caught = int((comparison.label[parted.rows] == 1).sum())
                caption += f". {count(caught, 'anomaly', 'anomalies')} among them ({figure(caught / parted.n, 2)})"
            rows = [self._row(parted, k, one, other) for k in range(shown)]
            small_table(heads, rows, caption=caption, right=(2, 3, 4, 5), label="Records they disagree about")
            Text("Rank is the share of these rows that score lower, ties counted half.", "p").classes("wc-muted")
            if shown < len(parted.rows):

                def more() -> None:
                    self._n_listed += _LISTED
                    self._show_list(parted, one, other)

                button(f"List {_LISTED} more", more)

    def _row(self, parted: Disagreements, k: int, one: str, other: str) -> list[str | Callable[[], Any]]:
        comparison, place = self._comparison, int(parted.rows[k])
        number, label, family = int(comparison.rows[place]), int(comparison.label[place]), comparison.family[place]
        kind = _CLASSES[label] if family is None or label != 1 else f"anomaly: {family}"

        def opened() -> None:
            button(f"Row {number}", lambda: self._drawer.open(one, number), small=True)

        return [
            opened, kind,
            value(float(comparison.scores[one][place])), percent(float(parted.rank[k])),
            value(float(comparison.scores[other][place])), percent(float(parted.other_rank[k])),
        ]  # fmt: skip
