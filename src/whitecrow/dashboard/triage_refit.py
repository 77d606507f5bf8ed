"""A detector that learns from the verdicts, and what it gains on those that were held out."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.dashboard.formats import count, figure
from whitecrow.dashboard.parts import (
    Text,
    button,
    card,
    heading,
    notes,
    progress,
    small_table,
    state_mark,
    text_link,
    warnings,
)
from whitecrow.dashboard.run_parts import run_name, standing
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.state import ViewState
from whitecrow.dashboard.threads import in_thread
from whitecrow.dashboard.triage_alerts import encoded
from whitecrow.metrics.agreement import paired_difference
from whitecrow.metrics.intervals import Interval
from whitecrow.metrics.ranking import auroc, precision_at_k
from whitecrow.workspace import FitRequest, RunRecord, Workspace
from whitecrow.workspace.parts import Part

__all__ = ["Gain", "RefitCard", "refit_gain", "refit_request"]

_DETECTOR = "deep-sad"
_OPEN = ("queued", "running")
_SHOWN = 3  # refits, the newest first


class Gain(NamedTuple):
    """What a refit gains on verdicts that it was not told.

    Parameters
    ----------
    rows : ndarray of int64 [n]
        Held-out rows, ascending.
    confirmed, dismissed : int
        Of them.
    before, after : float
        AUROC of the old run and of the refit on these rows.
    precision_before, precision_after : float
        Share of confirmed alerts among the ``confirmed`` highest scores.
    difference : Interval
        Of the AUROCs, with its paired bootstrap interval.
    alike : int
        Held-out rows that have a near-duplicate among those that the refit was told of.
    """

    rows: NDArray[np.int64]
    confirmed: int
    dismissed: int
    before: float
    after: float
    precision_before: float
    precision_after: float
    difference: Interval
    alike: int


def refit_request(run: RunRecord) -> FitRequest:
    """Return the request of a refit: the same rows, split and seed, and what the verdicts on a run say."""
    contamination = run.request.parameters.get("contamination")
    return FitRequest(
        run.dataset or "",
        _DETECTOR,
        {} if contamination is None else {"contamination": contamination},
        seed=run.request.seed,
        regime="labelled",
        split=run.request.split,
        budget=run.request.budget,
        name=f"{_DETECTOR} from the verdicts on run {run.number}",
        settings=run.request.settings,
        verdicts=run.id,
    )


def refit_gain(workspace: Workspace, run: RunRecord, refit: RunRecord) -> Gain:
    """Measure a refit and the run whose verdicts it learnt from on the verdicts that were held out.

    Those are the decided rows that the refit tested: what :meth:`~whitecrow.workspace.feedback.Feedback.labels` held
    out when it was fitted, and rows that were decided later.

    Raises
    ------
    DataError
        If no confirmed or no dismissed row is among them.
    """
    decided = {
        row: verdict.verdict == "confirmed"
        for row, verdict in workspace.feedback.current(run.id).items()
        if verdict.verdict in ("confirmed", "dismissed")
    }
    known = np.array(sorted(decided), dtype=np.int64)
    before, after = workspace.scores(run.id), workspace.scores(refit.id)
    tested = after.part[known] == Part.TEST
    rows = known[tested]
    y = np.array([decided[int(row)] for row in rows], dtype=np.int64)
    confirmed, dismissed = int(y.sum()), int(len(y) - y.sum())
    if not confirmed or not dismissed:
        raise DataError(
            f"{confirmed} confirmed and {dismissed} dismissed alerts are held out; figures need both. Review more "
            "alerts."
        )
    try:
        groups: NDArray[np.intp] | None = encoded(workspace, run, known).groups()
    except DataError:
        groups = None
    told = [] if groups is None else groups[~tested]
    old, new = before.score[rows], after.score[rows]
    return Gain(
        rows, confirmed, dismissed, auroc(y, old), auroc(y, new),
        precision_at_k(y, old, confirmed), precision_at_k(y, new, confirmed),
        paired_difference("auroc", y, new, old, groups=None if groups is None else groups[tested]),
        alike=0 if groups is None else int(np.isin(groups[tested], told).sum()),
    )  # fmt: skip


class RefitCard:
    """The card; it follows the refits that are under way.

    Parameters
    ----------
    page : Page
    run : function
        Returns the run that is reviewed; None while there is none.
    reviewer : function
        Returns who asks.
    """

    def __init__(self, page: Page, run: Callable[[], RunRecord | None], reviewer: Callable[[], str]) -> None:
        self._page, self._run, self._reviewer = page, run, reviewer
        self._states: dict[str, str] = {}
        self._bars: dict[str, tuple[ui.element, Text]] = {}
        with card("Learn from the verdicts") as made:
            made.props('role=region aria-label="Learn from the verdicts"')
            Text(
                f"Fits {_DETECTOR} to the same rows and tells it half of the confirmed and half of the dismissed "
                "alerts; on the other half it is measured beside this run.",
                "p",
            ).classes("wc-muted")
            with ui.element("div").classes("wc-row"):
                self._button = button("Fit with the verdicts", self.submit)
            self._refusal = ui.element("div")
            self._list = ui.element("div").classes("wc-main").style("padding: 0; gap: 1rem")

    async def submit(self) -> None:
        """Queue a refit; too few verdicts are refused before anything is queued."""
        run, workspace = self._run(), self._page.workspace
        self._refusal.clear()
        if run is None:
            return
        try:
            n = len(await in_thread(workspace.scores, run.id))
            await in_thread(workspace.feedback.labels, run.id, n, seed=run.request.seed)
        except DataError as error:
            with self._refusal:
                warnings([str(error)])
            self._page.announce(str(error))
            return
        with self._page.errors_shown():
            refit = await in_thread(workspace.jobs.submit, refit_request(run), actor=self._reviewer())
            self._page.announce(f"Run {refit.number} is queued; it learns from the verdicts.")
        await self.show()

    async def show(self) -> None:
        """Show the refits of the run that is reviewed."""
        run = self._run()
        self._refusal.clear()
        refits = [] if run is None else await in_thread(self._refits, run)
        found = {} if run is None else await in_thread(self._gains, run, refits)
        self._states = {one.id: one.state for one in refits}
        self._bars.clear()
        self._list.clear()
        with self._list:
            for refit in refits:
                if run is not None:
                    self._refit(run, refit, found.get(refit.id))

    async def follow(self) -> None:
        """Move bars on, and show the gain of what has ended."""
        run = self._run()
        if run is None or not any(state in _OPEN for state in self._states.values()):
            return
        refits = await in_thread(self._refits, run)
        if {one.id: one.state for one in refits} != self._states:
            ended = [one for one in refits if self._states.get(one.id) in _OPEN and one.state not in _OPEN]
            await self.show()
            for one in ended:
                self._page.announce(f"Run {run_name(one)} is {one.state}.")
            return
        for one in refits:
            if one.id in self._bars:
                bar, words = self._bars[one.id]
                words.set_text(standing(one))
                if one.fraction is not None:
                    bar.props["value"] = one.fraction

    def _refits(self, run: RunRecord) -> list[RunRecord]:
        return [one for one in self._page.workspace.runs.all() if one.request.verdicts == run.id][:_SHOWN]

    def _gains(self, run: RunRecord, refits: list[RunRecord]) -> Mapping[str, Gain | str]:
        found: dict[str, Gain | str] = {}
        for refit in refits:
            if refit.state == "done":
                try:
                    found[refit.id] = refit_gain(self._page.workspace, run, refit)
                except DataError as error:
                    found[refit.id] = str(error)
        return found

    def _refit(self, run: RunRecord, refit: RunRecord, gain: Gain | str | None) -> None:
        with ui.element("div").style("width: 100%"):
            with ui.element("div").classes("wc-row"):
                heading(3, run_name(refit)).classes("wc-break")
                state_mark(refit.state)
                if refit.state in _OPEN:
                    bar = progress(refit.fraction or 0.0, f"Progress of run {refit.number}")
                    self._bars[refit.id] = bar, Text(standing(refit)).classes("wc-muted")
                if (address := self._page.link("Runs", ViewState(runs=(refit.id,)))) is not None:
                    text_link(f"Run {refit.number}", address)
            if refit.state not in (*_OPEN, "done"):
                warnings([f"This refit is {refit.state}. {refit.error or 'It can be resumed among the runs.'}"])
            if isinstance(gain, str):
                warnings([gain])
            elif gain is not None:
                _show_gain(run, refit, gain)


def _show_gain(run: RunRecord, refit: RunRecord, gain: Gain) -> None:
    k = gain.confirmed
    lines = [
        ["AUROC", figure(gain.before), figure(gain.after), f"{gain.after - gain.before:+.3f}"],
        [
            f"Precision at {k:,}",
            figure(gain.precision_before),
            figure(gain.precision_after),
            f"{gain.precision_after - gain.precision_before:+.3f}",
        ],
    ]
    caption = f"On the same {count(len(gain.rows), 'held-out verdict')}: {k:,} confirmed, {gain.dismissed:,} dismissed"
    heads = ["Figure", f"Run {run.number}", f"Run {refit.number}", "Gain"]
    small_table(heads, lines, caption=caption, right=(1, 2, 3), label=f"Gain of run {refit.number}")
    low, high = gain.difference.low, gain.difference.high
    told = "they do not tell the two apart" if low <= 0 <= high else "it does not hold 0"
    said = [
        f"So few verdicts say little: the gain in AUROC lies between {low:+.3f} and {high:+.3f} (95 %), and {told}; "
        "another seed may give another gain.",
        f"All of them are alerts of run {run.number}, which ranks among its own alerts here; what it let pass is not "
        "measured.",
    ]
    if gain.alike:
        said.append(
            f"{count(gain.alike, 'held-out row')} with a near-duplicate among those that run {refit.number} was told "
            "of: its figures are too good by that."
        )
    notes(said)
