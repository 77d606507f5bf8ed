"""The registry of runs: what was fitted, how far it is, what came of it, and all that is needed to do it again."""

from typing import Any

from nicegui import ui

from whitecrow.dashboard.charts import Chart, axis, line
from whitecrow.dashboard.formats import NOTHING, age, count, duration, figure, interval, moment, parameter, value
from whitecrow.dashboard.parts import (
    Text,
    button,
    card,
    details,
    facts,
    figure_tiles,
    heading,
    link_button,
    notes,
    progress,
    small_table,
    state_mark,
    text_link,
    warnings,
)
from whitecrow.dashboard.run_parts import documents, headline_figures, metric_rows, run_name, standing
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import ViewState
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import DatasetRecord, Epoch, RunRecord
from whitecrow.workspace.honesty import split_words

__all__ = ["SCREEN"]

_LOOK_EVERY = 0.5  # seconds
_SHOWN = 100
_OPEN = ("queued", "running")
_RESUMABLE = ("interrupted", "cancelled", "failed")


async def build(page: Page) -> None:
    """Make the screen, which follows the runs that are under way."""
    view = _Runs(page)
    await view.show()
    ui.timer(_LOOK_EVERY, view.follow)


SCREEN = Screen("Runs", "/runs", "r", "What was fitted, and what came of it.", build)


class _Runs:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._states: dict[str, str] = {}
        self._progress: dict[str, list[tuple[ui.element, Text]]] = {}
        self._picked: set[str] = set(page.state.runs)
        self._chart: Chart | None = None
        self._points: list[Epoch] = []
        with page.title("Runs", "Every fit is kept with its parameters, seed, data and figures."):
            self._compare = ui.element("div").classes("wc-row")
        self._body = ui.element("div").classes("wc-main").style("padding: 0")
        page.on_address(self._moved)

    async def _moved(self, state: ViewState) -> None:
        self._picked = set(state.runs)
        await self.show()
        await self._page.refresh_badge()

    async def show(self) -> None:
        """Make all of it anew."""
        workspace = self._page.workspace
        runs, datasets = await in_thread(lambda: (workspace.runs.all(), workspace.datasets.all()))
        names = {one.id: one for one in datasets}
        self._states = {run.id: run.state for run in runs}
        self._progress.clear()
        self._chart = None
        chosen = next((run for run in runs if run.id in self._page.state.runs[:1]), None)
        epochs = [] if chosen is None else await in_thread(workspace.runs.epochs, chosen.id)
        self._body.clear()
        with self._body:
            if self._page.state.runs and chosen is None:
                self._page.warn(f"There is no run {self._page.state.runs[0]} any more. Choose another.")
            if chosen is not None:
                self._run_card(chosen, names.get(chosen.dataset or ""), epochs)
            self._list_card(runs, names)
        self._offer_comparison()

    async def follow(self) -> None:
        """Move what is under way on; where a run has changed its state, make the screen anew."""
        if not any(state in _OPEN for state in self._states.values()) and not await in_thread(self._new):
            return
        runs = await in_thread(self._page.workspace.runs.all)
        if {run.id: run.state for run in runs} != self._states:
            ended = [run for run in runs if self._states.get(run.id) in _OPEN and run.state not in _OPEN]
            await self.show()
            await self._page.refresh_badge()
            for run in ended:
                self._page.announce(f"Run {run_name(run)} is {run.state}.")
            return
        for run in runs:
            for bar, words in self._progress.get(run.id, ()):
                words.set_text(standing(run))
                if run.fraction is not None:
                    bar.props["value"] = run.fraction
        if self._chart is not None and self._page.state.runs:
            await self._draw_on(self._page.state.runs[0])

    def _new(self) -> bool:
        return {run.id for run in self._page.workspace.runs.all()} != self._states.keys()

    # ---- all of them ----------------------------------------------------------------------------------------------

    def _list_card(self, runs: list[RunRecord], datasets: dict[str, DatasetRecord]) -> None:
        with card("All runs", count(len(runs), "run")):
            if not runs:
                Text("Nothing has been fitted yet.", "p")
                if (address := self._page.link("Data", ViewState())) is not None:
                    with ui.element("div"):
                        link_button("Choose data and fit", address, primary=True)
                return
            heads = [
                "Run",
                "Compare",
                "Data set",
                "State",
                "AUROC",
                "95 % interval",
                "Average precision",
                "Seed",
                "Asked for",
                "Actions",
            ]
            rows = [self._row(run, datasets.get(run.dataset or "")) for run in runs[:_SHOWN]]
            small_table(heads, rows, label="All runs", right=(4, 5, 6, 7))
            if len(runs) > _SHOWN:
                Text(f"The newest {_SHOWN} of {len(runs):,} are listed.", "p").classes("wc-muted")

    def _row(self, run: RunRecord, dataset: DatasetRecord | None) -> list[Any]:
        metrics = {} if run.report is None else run.report["metrics"]
        auroc, ap = metrics.get("auroc"), metrics.get("average_precision")

        def named() -> None:
            link = text_link(run_name(run), ViewState(runs=(run.id,)).link(SCREEN.path)).classes("wc-break")
            if self._page.state.runs[:1] == (run.id,):
                link.props("aria-current=true")

        def pick() -> None:
            box = ui.checkbox(value=run.id in self._picked)
            box.props["aria-label"] = f"Compare run {run.number}"
            box.on_value_change(lambda event: self._pick(run.id, chosen=bool(event.value)))

        return [
            named, pick, dataset.name if dataset else NOTHING, lambda: self._state(run),
            figure(None if auroc is None else auroc["value"]), interval(auroc),
            figure(None if ap is None else ap["value"]), str(run.request.seed), age(run.created),
            lambda: self._tools(run),
        ]  # fmt: skip

    def _state(self, run: RunRecord) -> None:
        with ui.element("div").classes("wc-row"):
            state_mark(run.state)
            if run.state in _OPEN:
                bar = progress(run.fraction or 0.0, f"Progress of run {run.number}")
                words = Text(standing(run)).classes("wc-muted")
                self._progress.setdefault(run.id, []).append((bar, words))

    def _pick(self, key: str, *, chosen: bool) -> None:
        (self._picked.add if chosen else self._picked.discard)(key)
        self._offer_comparison()

    def _offer_comparison(self) -> None:
        self._compare.clear()
        picked = tuple(key for key in self._states if key in self._picked and self._states[key] == "done")
        address = self._page.link("Compare", ViewState(runs=picked))
        if address is not None and len(picked) > 1:
            with self._compare:
                link_button(f"Compare {count(len(picked), 'run')}", address, primary=True)

    # ---- one of them ----------------------------------------------------------------------------------------------

    def _run_card(self, run: RunRecord, dataset: DatasetRecord | None, epochs: list[Epoch]) -> None:
        with card():
            with ui.element("div").classes("wc-card-head"):
                heading(2, run_name(run)).classes("wc-break")
                self._state(run)
            if run.state not in (*_OPEN, "done"):
                warnings([f"This run is {run.state}. {run.error or 'It can be resumed.'}"])
            if run.report is not None:
                figure_tiles(headline_figures(run.report))
            with ui.element("div").classes("wc-row"):
                self._actions(run)
                button("Rename", lambda: self._rename(run), label=f"Rename run {run.number}")
                if run.state not in _OPEN:
                    button("Delete", lambda: self._remove(run), kind="danger", label=f"Delete run {run.number}")
                if run.state == "done":
                    link_button("Model file", f"/api/runs/{run.id}/model", label=f"Model file of run {run.number}")
                    if run.dataset is not None:
                        scores = f"/api/runs/{run.id}/scores.csv"
                        link_button("Scores as CSV", scores, label=f"Scores as CSV of run {run.number}")
                    documents(run)
            if run.notes:
                notes(run.notes)
            if epochs or run.state == "running":
                self._history(run, epochs)
            if run.report is not None:
                with details("All figures"):
                    rows = metric_rows(run.report)
                    heads = ["Figure", "Value", "95 % interval", "By chance"]
                    small_table(heads, rows, label="All figures", right=(1, 2, 3))
            with details("What is needed to do it again", opened=True):
                facts(_origin(run, dataset))

    def _tools(self, run: RunRecord) -> None:
        """Show what can be done to a run in its line of the list."""
        with ui.element("div").classes("wc-row").style("flex-wrap: nowrap"):
            self._actions(run, small=True)
            if run.state == "done":
                documents(run, small=True)

    def _actions(self, run: RunRecord, *, small: bool = False) -> None:
        if run.state in _OPEN:
            button("Cancel", lambda: self._do("cancel", run), small=small, label=f"Cancel run {run.number}")
        elif run.state in _RESUMABLE:
            button("Resume", lambda: self._do("resume", run), small=small, label=f"Resume run {run.number}")

    async def _do(self, what: str, run: RunRecord) -> None:
        with self._page.errors_shown():
            await in_thread(getattr(self._page.workspace.jobs, what), run.id)
            self._page.announce(f"Run {run.number}: {what} is asked for.")
        await self.show()

    async def _rename(self, run: RunRecord) -> None:
        with ui.dialog() as dialog, ui.card().classes("wc-dialog"):
            heading(2, f"Rename run {run.number}")
            field = (
                ui.input("Name", value=run.name).props("outlined dense autofocus maxlength=200").style("width: 100%")
            )
            field.on("keydown.enter", lambda: dialog.submit(field.value))
            with ui.element("div").classes("wc-row"):
                button("Save", lambda: dialog.submit(field.value), kind="primary")
                button("Leave it", lambda: dialog.submit(None))
        dialog.props["aria-label"] = f"Rename run {run.number}"
        name = await dialog
        dialog.delete()
        if name is None:
            return
        with self._page.errors_shown():
            await in_thread(self._page.workspace.runs.rename, run.id, str(name))
            self._page.announce(f"Run {run.number} is renamed.")
            await self.show()

    async def _remove(self, run: RunRecord) -> None:
        consequence = "Its model, its scores and the verdicts on its alerts will be gone."
        if not await self._page.confirmed(f"Delete run {run_name(run)}?", consequence, "Delete it"):
            return
        with self._page.errors_shown():
            await in_thread(self._page.workspace.runs.remove, run.id)
            self._page.announce(f"Run {run.number} is deleted.")
            self._picked.discard(run.id)
            self._page.show(self._page.state.with_(runs=tuple(k for k in self._page.state.runs if k != run.id)))
            await self.show()
            await self._page.refresh_badge()

    # ---- its history ----------------------------------------------------------------------------------------------

    def _history(self, run: RunRecord, epochs: list[Epoch]) -> None:
        self._points = epochs
        options = {
            "xAxis": axis("Epoch", minInterval=1, min=1, max="dataMax"),
            "yAxis": axis("Training loss", nameGap=52, scale=True),
            "series": _curves(epochs),
        }
        self._chart = Chart("Loss by epoch", _loss_words(epochs), options, height="16rem")
        self._chart.table(["Epoch", "Stage", "Loss"], _loss_rows(epochs))
        self._stages = len(options["series"])

    async def _draw_on(self, key: str) -> None:
        after = self._points[-1].place if self._points else -1
        new = await in_thread(self._page.workspace.runs.epochs, key, after)
        if not new or self._chart is None:
            return
        self._points = [*self._points, *new]
        self._chart.set({"series": _curves(self._points)})
        self._chart.describe(_loss_words(self._points))
        self._chart.table(["Epoch", "Stage", "Loss"], _loss_rows(self._points))


def _curves(epochs: list[Epoch]) -> list[dict[str, Any]]:
    stages = list(dict.fromkeys(epoch.stage for epoch in epochs)) or ["fit"]
    return [
        line(stage, [(one.place + 1, one.loss) for one in epochs if one.stage == stage], k)
        for k, stage in enumerate(stages)
    ]


def _loss_rows(epochs: list[Epoch]) -> list[tuple[str, str, str]]:
    return [(str(one.place + 1), one.stage, value(one.loss)) for one in epochs]


def _loss_words(epochs: list[Epoch]) -> str:
    known = [one.loss for one in epochs if one.loss is not None]
    if not known:
        return "No epoch has ended yet."
    return f"From {value(known[0])} after the first epoch to {value(known[-1])} after {count(len(epochs), 'epoch')}."


def _origin(run: RunRecord, dataset: DatasetRecord | None) -> dict[str, str]:
    request, summary, cost = run.request, run.summary or {}, run.cost or {}
    settings = request.settings
    shown = {
        "Detector": run.detector,
        "Parameters": "; ".join(f"{n} = {parameter(v)}" for n, v in request.parameters.items()) or "its defaults",
        "Seed": str(request.seed),
        "Regime": request.regime,
        "Split": split_words(request.split)
        + ("" if request.split.injected is None else f", {request.split.injected:g} of the training rows"),
        "Data set": NOTHING if dataset is None else dataset.name,
        "Data SHA-256": NOTHING if dataset is None else dataset.sha256,
        "Label column": NOTHING if settings is None else settings.label or "none",
        "Ignored": NOTHING if settings is None else ", ".join(settings.ignore) or "none",
        "Budget": f"{duration(float(request.budget.seconds))}, {request.budget.memory_mb:,.0f} MB",
        "Asked for": moment(run.created),
        "Ended": moment(run.ended),
    }
    if run.state == "done":
        shown |= {
            "Model version": run.version or NOTHING,
            "Threshold": f"{value(run.threshold, 6)} – {run.threshold_source}",
            "Learnt from": f"{count(int(summary.get('rows', 0)), 'row')}, {summary.get('rows_held_out', 0):,} held out",
            "Took": f"{duration(cost.get('fit_s'))} to fit, {duration(cost.get('score_s'))} to score "
            f"{count(int(cost.get('rows_scored', 0)), 'row')}, {cost.get('memory_mb', 0):,.0f} MB at most",
            "Versions": ", ".join(f"{name} {one}" for name, one in summary.get("versions", {}).items()),
        }
    return shown
