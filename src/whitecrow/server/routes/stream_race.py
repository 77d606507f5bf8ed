"""The race that a client of the stream asks for: its models, its records, and the alert rules beside it."""

from typing import Any

import polars as pl

from whitecrow.calibrate import p_values
from whitecrow.data.traffic_stream import TrafficStream
from whitecrow.detectors import Detector
from whitecrow.server.batching import scored
from whitecrow.server.routes.context import Context, model_of
from whitecrow.server.schemas.streaming import Begin, Replay, Tail
from whitecrow.workspace import RunRecord
from whitecrow.workspace.stream import Frame, Race, ReplaySource, SimulatedSource, Source, TailSource

__all__ = ["Models", "close_race", "make_race", "watch"]

Models = dict[str, tuple[str, Detector]]
"""Version and detector of each run."""


def make_race(here: Context, begin: Begin) -> tuple[Race, dict[str, Any], Models]:
    """Return the race, what is told of each run's model, and the models.

    Raises
    ------
    UnknownNameError
        If there is no such run, data set or live source.
    WorkspaceError
        If a run has no model.
    DataError
        If the records cannot be read.
    ParameterError
        If an argument is out of its range.
    """
    workspace = here.workspace
    runs = list(dict.fromkeys(begin.runs))
    records = {run: workspace.runs.done(run) for run in runs}
    models = {run: (record.version or "", workspace.detector(run, record.version)) for run, record in records.items()}
    detectors = {run: detector for run, (_, detector) in models.items()}
    source = _source(here, begin, records, detectors)
    costs = None if begin.costs is None else begin.costs.costs()
    try:
        race = Race(source, detectors, begin.thresholds, costs, score=_scores, background=True)
    except BaseException:
        _close(source)
        raise
    return race, {run: model_of(record) | {"name": record.name} for run, record in records.items()}, models


def close_race(race: Race) -> None:
    """End what a race has going, and close the file that it follows."""
    race.close()
    _close(race.source)


def watch(here: Context, models: Models, frame: Frame) -> None:
    """Hold the records of a step against the alert rules."""
    for run, (version, detector) in models.items():
        if not here.workspace.alerting.watches(run):
            continue
        scores = frame.records[f"score {run}"].to_numpy()
        held = detector.calibration_scores_
        here.workspace.alerting.consider(
            run,
            version,
            frame.features,
            scores,
            frame.records[f"flag {run}"].to_numpy(),
            p_values(held, scores) if len(held) else None,
        )


def _source(here: Context, begin: Begin, records: dict[str, RunRecord], detectors: dict[str, Detector]) -> Source:
    workspace, wish = here.workspace, begin.source
    if isinstance(wish, Replay):
        settings = workspace.datasets.get(wish.dataset).settings
        table = workspace.datasets.table(wish.dataset, settings)
        return ReplaySource(table, label=settings.label, normal=settings.normal)
    if isinstance(wish, Tail):
        label, normal = _labels(here, records)
        return workspace.live.open(wish.name, detectors, label=label, normal=normal, from_beginning=wish.from_beginning)
    return SimulatedSource(TrafficStream(wish.seed, wish.attack_rate, wish.mix, week_rows=wish.week_rows))


def _labels(here: Context, records: dict[str, RunRecord]) -> tuple[str | None, tuple[str, ...] | None]:
    """Return the label column of the first run whose data set has one, and the labels that mean normal."""
    for record in records.values():
        if record.dataset is not None:
            settings = record.request.settings or here.workspace.datasets.get(record.dataset).settings
            if settings.label is not None:
                return settings.label, settings.normal
    return None, None


def _close(source: Source) -> None:
    if isinstance(source, TailSource):
        source.close()


def _scores(detector: Any, rows: pl.DataFrame) -> Any:
    # Not anomaly_score: requests score with the same detectors, and this takes its turn among them.
    return scored(detector, rows)["score"].to_numpy()
