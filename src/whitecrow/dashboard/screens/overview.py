"""The first screen: what data there is, what model looks at it, how well, and what to do next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from whitecrow.dashboard.drift_badge import drift_badge
from whitecrow.dashboard.formats import NOTHING, age, count, duration, moment, percent, size, value
from whitecrow.dashboard.parts import (
    Text,
    button,
    card,
    facts,
    figure_tiles,
    link_button,
    notes,
    progress,
    small_table,
    state_mark,
    text_link,
)
from whitecrow.dashboard.run_parts import documents, headline_figures, run_name, standing
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import ViewState
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import DatasetRecord, RunRecord, Workspace
from whitecrow.workspace.demo import DEMO_DETECTORS, fill_with_demo

__all__ = ["SCREEN"]

_RECENT = 8
_LOOK_EVERY = 1.0  # seconds


@dataclass(frozen=True)
class _Seen:
    """What the screen shows: a data set, a run that is done, and the last runs."""

    dataset: DatasetRecord | None
    run: RunRecord | None
    runs: Sequence[RunRecord]
    datasets: Sequence[DatasetRecord]

    @property
    def waiting(self) -> list[RunRecord]:
        """Runs that have not ended."""
        return [run for run in self.runs if run.state in ("queued", "running")]


async def build(page: Page) -> None:
    """Make the screen; while runs are under way it follows them."""
    view = _Overview(page)
    await view.show()
    ui.timer(_LOOK_EVERY, view.follow)


SCREEN = Screen("Overview", "/", "o", "What there is, how well it does, and what to do next.", build)


class _Overview:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._shown: list[tuple[str, str]] = []
        self._bars: dict[str, tuple[ui.element, Text]] = {}
        with page.title("Overview"):
            self._tools = ui.element("div").classes("wc-row")
        self._body = ui.element("div").classes("wc-main").style("padding: 0")

    async def show(self) -> None:
        """Make all of it anew."""
        seen = await in_thread(_look, self._page.workspace, self._page.state)
        self._shown = [(run.id, run.state) for run in seen.runs]
        if seen.run is not None:
            # The badge and the address are about the run that is shown: a reload shows it, though newer ones come.
            self._page.show(self._page.state.with_(runs=(seen.run.id,)), step=False)
        self._bars.clear()
        self._body.clear()
        with self._body:
            if not seen.datasets:
                self._welcome()
                return
            if seen.waiting:
                self._under_way(seen.waiting)
            if seen.run is not None and seen.run.report is not None:
                _figures(seen.run)
            with ui.element("div").classes("wc-grid"):
                if seen.dataset is not None:
                    _dataset_card(self._page, seen.dataset, seen.run)
                if seen.run is not None:
                    _model_card(seen.run)
                self._next_card(seen)
            if seen.run is not None and seen.run.notes:
                with card("What makes these figures doubtful"):
                    notes(seen.run.notes)
            if seen.runs:
                _recent_card(self._page, seen)

    async def follow(self) -> None:
        """Look whether something has changed: the bars move on, and a run that has ended is shown."""
        runs = await in_thread(self._page.workspace.runs.all)
        before = dict(self._shown)
        if [(run.id, run.state) for run in runs] == self._shown:
            for run in runs:
                if run.id in self._bars:
                    bar, words = self._bars[run.id]
                    if run.fraction is not None:
                        bar.props["value"] = run.fraction
                    words.set_text(standing(run))
            return
        ended = [r for r in runs if before.get(r.id) in ("queued", "running") and r.state not in ("queued", "running")]
        await self.show()
        await self._page.refresh_badge()
        for run in ended:
            self._page.announce(f"Run {run_name(run)} is {run.state}.")

    # ---- an empty workspace ---------------------------------------------------------------------------------------

    def _welcome(self) -> None:
        with card("This workspace is empty") as made:
            made.classes("wc-empty")
            ui.label(
                "Fill it with a simulated network and look around, or bring your own table. The traffic is invented "
                "and its attacks are known, so all figures can be checked; it is no evidence about a real network."
            ).style("max-width: 70ch")
            with ui.element("div").classes("wc-row"):
                self._fill = button("Fit the demo models", self._fill_with_demo, kind="primary")
                if (address := self._page.link("Data", ViewState())) is not None:
                    link_button("Bring your own data", address)
            names = ", ".join(DEMO_DETECTORS)
            Text(
                f"One click: 20,000 connections over two weeks; {names} learn from the first week and are judged on "
                "the second. It takes less than a minute.",
                "p",
            ).classes("wc-muted")

    async def _fill_with_demo(self) -> None:
        self._fill.disable()
        self._page.announce("The traffic is being simulated.")
        with self._page.errors_shown():
            demo = await in_thread(fill_with_demo, self._page.workspace)
            self._page.announce(f"{count(demo.dataset.rows, 'row')} simulated; {count(len(demo.runs), 'fit')} queued.")
        await self.show()

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _under_way(self, waiting: Sequence[RunRecord]) -> None:
        with card("Under way"), ui.element("ul").classes("wc-plain"):
            for run in reversed(waiting):
                with ui.element("li").classes("wc-row"):
                    state_mark(run.state)
                    Text(run_name(run)).classes("wc-break")
                    bar = progress(run.fraction or 0.0, f"Progress of run {run.number}")
                    words = Text(standing(run)).classes("wc-muted")
                    self._bars[run.id] = bar, words

    def _next_card(self, seen: _Seen) -> None:
        page = self._page
        steps: list[tuple[str, str, str | None]] = []
        run = None if seen.run is None else ViewState(runs=(seen.run.id,))
        if run is not None:
            steps.append(
                ("Move the threshold", "see what each choice flags, misses and costs", page.link("Explore", run))
            )
            steps.append(("Review alerts", "confirm or dismiss them by keyboard", page.link("Triage", run)))
            steps.append(("See every figure", "with parameters, seed and versions", page.link("Runs", run)))
        done = [one.id for one in seen.runs if one.state == "done"]
        if len(done) > 1:
            steps.append(
                ("Compare detectors", "on the same rows", page.link("Compare", ViewState(runs=tuple(done[:4]))))
            )
        if seen.dataset is not None:
            data = page.link("Data", ViewState(dataset=seen.dataset.id))
            if seen.dataset.settings.label is None:
                steps.append(("Pick the label column", "figures of merit need one", data))
            steps.append(("Fit another detector", "with parameters of your choice", data))
        steps.append(("Bring your own data", "CSV or Parquet", page.link("Data", ViewState())))
        with card("What to do next"), ui.element("ul").classes("wc-plain"):
            for what, why, address in steps:
                if address is not None:
                    with ui.element("li"):
                        text_link(what, address)
                        Text(f" – {why}").classes("wc-muted")


def _look(workspace: Workspace, state: ViewState) -> _Seen:
    datasets, runs = workspace.datasets.all(), workspace.runs.all()
    by_id = {one.id: one for one in datasets}
    done = [run for run in runs if run.state == "done" and state.dataset in (None, run.dataset)]
    run = next((one for one in done if one.id in state.runs[:1]), None)
    if run is None:
        # The newest with figures of merit, and not the best: that would be a choice by the test's labels.
        run = next((one for one in done if one.report is not None), done[0] if done else None)
    wanted = state.dataset or (None if run is None else run.dataset)
    dataset = by_id.get(wanted or "", datasets[0] if datasets else None)
    return _Seen(dataset, run, runs, datasets)


def _figures(run: RunRecord) -> None:
    report = run.report or {}
    anomalies = count(report["n_anomalies"], "anomaly", "anomalies")
    with card(f"How well {run_name(run)} does", f"{count(report['n'], 'test row')}, {anomalies}"):
        figure_tiles(headline_figures(report))
        source = f"A row is flagged above {value(run.threshold)}: {run.threshold_source}."
        Text(source, "p").classes("wc-muted")


def _dataset_card(page: Page, record: DatasetRecord, run: RunRecord | None) -> None:
    labels = record.labels
    warned = sum(bool(column["warnings"]) for column in record.profile)
    missing = sum(column["missing"] > 0 for column in record.profile)
    with card("Data set", "simulated" if record.synthetic else ""):
        heading = page.link("Data", ViewState(dataset=record.id))
        if heading is not None:
            text_link(record.name, heading).classes("wc-break")
        facts(
            {
                "Rows": f"{record.rows:,}",
                "Columns": f"{record.columns:,}",
                "Labels": "no label column" if labels is None else _label_words(labels),
                "Time column": record.settings.time or "none: rows are in the file's order",
                "Missing values": f"in {count(missing, 'column')}" if missing else "none",
                "Warnings": f"about {count(warned, 'column')}" if warned else "none",
                "Size and hash": f"{size(record.bytes)}, SHA-256 {record.sha256[:12]}…",
                "From": record.source or NOTHING,
            }
        )
        if run is not None and run.dataset == record.id:
            drift_badge(page, run, record)


def _label_words(labels: dict[str, object]) -> str:
    anomalous, normal = int(str(labels["anomalous_rows"])), int(str(labels["normal_rows"]))
    unknown = int(str(labels["unlabelled_rows"]))
    words = f"{count(anomalous, 'anomaly', 'anomalies')} ({percent(anomalous / max(anomalous + normal, 1))})"
    return f"{words}, {unknown:,} unknown" if unknown else words


def _model_card(run: RunRecord) -> None:
    summary, cost = run.summary or {}, run.cost or {}
    with card("Model", moment(run.ended)):
        Text(run_name(run)).classes("wc-break")
        facts(
            {
                "Detector": run.detector,
                "Learnt from": f"{count(int(summary.get('rows', 0)), 'row')}, {run.request.regime}",
                "Features": f"{summary.get('features', NOTHING)} from {summary.get('columns', NOTHING)} columns",
                "Threshold": f"{value(run.threshold)} – {run.threshold_source}",
                "Seed": str(run.request.seed),
                "Time": f"{duration(cost.get('fit_s'))} to fit, {duration(cost.get('score_s'))} to score",
                "Version": run.version or NOTHING,
            }
        )
        with ui.element("div").classes("wc-row"):
            documents(run)


def _recent_card(page: Page, seen: _Seen) -> None:
    names = {one.id: one.name for one in seen.datasets}

    def row(run: RunRecord) -> list[str | Callable[[], Any]]:
        ends = None if run.report is None else run.report["metrics"].get("auroc")
        auroc = NOTHING if ends is None else f"{ends['value']:.3f} ({ends['low']:.3f} to {ends['high']:.3f})"
        address = page.link("Runs", ViewState(runs=(run.id,)))

        def named() -> None:
            text_link(run_name(run), address or "#").classes("wc-break")

        return [named, names.get(run.dataset or "", NOTHING), lambda: state_mark(run.state), auroc, age(run.created)]

    heads = ["Run", "Data set", "State", "AUROC (95 % interval)", "Asked for"]
    with card("Recent runs"):
        small_table(heads, [row(run) for run in seen.runs[:_RECENT]], label="Recent runs")
