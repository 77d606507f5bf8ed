"""Recalibration: the threshold that verdicts speak for, shown with its bias and applied only when asked for."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from nicegui import ui

from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.formats import NOTHING, count, figure, value
from whitecrow.dashboard.parts import Text, button, card, facts, warnings
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.dashboard.triage_alerts import AlertList
from whitecrow.metrics import Costs
from whitecrow.metrics.intervals import Interval
from whitecrow.metrics.triage import Recalibration, recalibrated_threshold

__all__ = ["ThresholdCard"]

_AIMS = {"precision": "A precision", "cost": "The lowest cost"}


class ThresholdCard:
    """The card; nothing is applied before it has been seen and confirmed.

    Parameters
    ----------
    page : Page
    verdicts : function
        Returns the alerts, and the verdicts that hold by row; None while there are no alerts.
    costs : function
        Returns what the outcomes cost.
    reviewer : function
        Returns who asks.
    applied : function
        Called when the run has another threshold.
    """

    def __init__(
        self,
        page: Page,
        verdicts: Callable[[], tuple[AlertList, Mapping[int, str]] | None],
        costs: Callable[[], Costs],
        reviewer: Callable[[], str],
        applied: Callable[[], Awaitable[None]],
    ) -> None:
        self._page, self._verdicts, self._costs, self._reviewer, self._applied = (
            page,
            verdicts,
            costs,
            reviewer,
            applied,
        )
        with card("Threshold from the verdicts") as made:
            made.props('role=region aria-label="Threshold from the verdicts"')
            Text(
                "Verdicts can raise the threshold to where alerts are right often enough, or cost least. Nothing is "
                "applied before you have seen it.",
                "p",
            ).classes("wc-muted")
            with ui.element("div").classes("wc-form"):
                self._aim = ui.select(_AIMS, label="Aim", value="precision").props("outlined dense options-dense")
                self._target = ui.number("Target precision", value=0.9, min=0.01, max=1, step=0.05)
                self._target.props("outlined dense")
            self._aim.on_value_change(lambda: self._target.set_visibility(self._aim.value == "precision"))
            with ui.element("div").classes("wc-row"):
                button("Propose a threshold", self.propose)
            self._answer = ui.element("div").classes("wc-main").style("padding: 0; gap: 0.75rem")

    def clear(self) -> None:
        """Take a proposal away that belongs to other verdicts or to another run."""
        self._answer.clear()

    async def propose(self) -> None:
        """Show the threshold that the verdicts speak for, or why they do not."""
        self._answer.clear()
        known = self._verdicts()
        if known is None:
            return
        found, verdicts = known
        try:
            target = self._target.value
            aim = replace(self._costs(), prevalence=None) if self._aim.value == "cost" else float(target or 0)
            rows = found.rows.tolist()
            given = [verdicts.get(row, "new") for row in rows]
            old = found.run.threshold or 0.0
            proposal = await in_thread(recalibrated_threshold, found.scores.score[rows], given, old, aim)
        except WhitecrowError as error:
            with self._answer:
                warnings([str(error)])
            self._page.announce(str(error))
            return
        self._show(found, proposal)

    def _show(self, found: AlertList, proposal: Recalibration) -> None:
        old = found.run.threshold or 0.0
        left = int((found.scores.score[found.rows] > proposal.threshold).sum())
        with self._answer:
            facts(
                {
                    "Proposed threshold": f"{value(proposal.threshold, 6)}, {proposal.source}",
                    "Now": f"{value(old, 6)}, {found.run.threshold_source}",
                    "Alerts left": f"{left:,} of {len(found.rows):,}",
                    "Precision of those decided": _with_ends(proposal.precision)
                    + f", {proposal.confirmed:,} confirmed and {proposal.dismissed:,} dismissed",
                    "Confirmed alerts kept": _with_ends(proposal.catches_kept),
                }
            )
            warnings([proposal.bias])
            if proposal.threshold > old:
                with ui.element("div").classes("wc-row"):
                    button("Apply this threshold", lambda: self._apply(found, proposal, left))
            else:
                Text("The present threshold meets the aim already.", "p")
        self._page.announce(f"Proposed threshold {value(proposal.threshold, 6)}; {count(left, 'alert')} would be left.")

    async def _apply(self, found: AlertList, proposal: Recalibration, left: int) -> None:
        page, run = self._page, found.run
        question = f"Set the threshold of run {run.number} to {value(proposal.threshold, 6)}?"
        consequence = (
            f"It makes another version of the model, and {count(left, 'alert')} of {len(found.rows):,} are left. "
            "Verdicts keep the version and the threshold that they were given on."
        )
        # The button goes with its proposal, and must not take along what is still under way.
        with page.main, page.errors_shown():
            if not await page.confirmed(question, consequence, "Set it"):
                return
            await in_thread(
                page.workspace.set_threshold, run.id, proposal.threshold, source=proposal.source, actor=self._reviewer()
            )
            self.clear()
            await self._applied()
            page.announce(f"The threshold is {value(proposal.threshold, 6)}; {count(left, 'alert')} left.")


def _with_ends(found: Interval | None) -> str:
    return NOTHING if found is None else f"{figure(found.value)} ({figure(found.low)} to {figure(found.high)})"
