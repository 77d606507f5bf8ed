"""Another threshold after drift: proposed from the rows that are compared, and set only once it is confirmed."""

from collections.abc import Awaitable, Callable

import numpy as np
from nicegui import ui

from whitecrow.calibrate import Quantile
from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.formats import count, percent, value
from whitecrow.dashboard.parts import Text, button, card, facts, warnings
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace.drift_study import DriftStudy

__all__ = ["RecalibrationCard"]

_FITS = "the world moved"
_LEAST, _MOST = 1e-6, 0.5
_NAME_LENGTH = 80
_ADVICE = {
    "stable": "Nothing speaks for another threshold.",
    "some columns moved": "Scores have not moved, so nothing speaks for another threshold. Look at the columns first.",
    "more anomalies": "The bulk of the rows is as it was, so these are more anomalies: a higher threshold would hide "
    "them. Look at the alerts.",
    "fewer anomalies": "The bulk of the rows is as it was: the threshold still means what it did.",
    "the world moved": "The bulk of the rows has moved, so the threshold no longer flags the share that it was set "
    "for. Recalibrate it on these rows, or fit the detector again.",
}


class RecalibrationCard:
    """The card.

    Parameters
    ----------
    page : Page
    study : DriftStudy
        Of the rows that a threshold would be fitted on.
    applied : function
        Called when the run has another threshold.
    """

    def __init__(self, page: Page, study: DriftStudy, applied: Callable[[], Awaitable[None]]) -> None:
        self._page, self._study, self._applied = page, study, applied
        verdict = study.report.verdict.verdict
        share = min(max(study.rate, _LEAST), _MOST)
        with card("Recalibration", "suggested" if verdict == _FITS else "not suggested") as made:
            made.props('role=region aria-label="Recalibration"')
            Text(_ADVICE[verdict], "p")
            Text("It is never applied by itself.", "p").classes("wc-muted")
            with ui.element("div").classes("wc-form"):
                self._share = ui.number(
                    "Share of these rows to flag, in %", value=round(100 * share, 4), min=0, max=100 * _MOST, step=0.1
                ).props("outlined dense")
            with ui.element("div").classes("wc-row"):
                button("Propose a threshold", self.propose)
            self._answer = ui.element("div").classes("wc-main").style("padding: 0; gap: 0.75rem")

    async def propose(self) -> None:
        """Show the threshold that flags at most the share of these rows."""
        study = self._study
        self._answer.clear()
        try:
            threshold = float(Quantile((self._share.value or 0.0) / 100).fit(study.scores))
        except WhitecrowError as error:
            with self._answer:
                warnings([str(error)])
            return
        left = int((study.scores > threshold).sum())
        with self._answer:
            facts(
                {
                    "Proposed threshold": f"{value(threshold, 6)}, flags {left:,} of {len(study.rows):,} rows",
                    "Now": f"{value(study.threshold, 6)}, flags {study.alerts:,}; {study.run.threshold_source}",
                    "Fitted on": study.span,
                    "Of the training rows it would flag": percent(float(np.mean(study.reference_scores > threshold))),
                }
            )
            if study.report.verdict.verdict != _FITS:
                warnings([_ADVICE[study.report.verdict.verdict]])
            with ui.element("div").classes("wc-row"):
                button("Recalibrate the threshold", lambda: self._apply(threshold, left))
        self._page.announce(f"Proposed threshold {value(threshold, 6)}, flags {count(left, 'row')}.")

    async def _apply(self, threshold: float, left: int) -> None:
        page, study = self._page, self._study
        question = f"Set the threshold of run {study.run.number} to {value(threshold, 6)}?"
        consequence = (
            f"It is fitted on {study.span}, of which {left:,} are flagged. Anomalies among them count as "
            "ordinary. Another version of the model is written, the old one is kept, and the audit says what the "
            "threshold was fitted on."
        )
        # The button goes with its proposal, and must not take along what is still under way.
        with page.main, page.errors_shown():
            if not await page.confirmed(question, consequence, "Recalibrate"):
                return
            await in_thread(page.workspace.set_threshold, study.run.id, threshold, source=_source(study, left))
            await self._applied()
            page.announce(f"Run {study.run.number} flags above {value(threshold, 6)} from now on.")


def _source(study: DriftStudy, left: int) -> str:
    first, last, name = int(study.rows[0]), int(study.rows[-1]), study.dataset.name[:_NAME_LENGTH]
    share = f"{100 * left / len(study.rows):.3g} %"
    return (
        f"recalibrated after a look at drift ({study.report.verdict.verdict}): {share} of the {len(study.rows):,} rows "
        f"{first:,} to {last:,} of {name} lie above"
    )
