"""The card of a model: what it is, what it learnt from, how well it does, and what it is not for."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from whitecrow.core import parameters, registry
from whitecrow.page.wording import METRIC_NAMES, NOTHING, count
from whitecrow.workspace.card_words import UNITS, column_rows, explanation_words, label_words, limits, use
from whitecrow.workspace.honesty import honesty, siblings, split_words
from whitecrow.workspace.parts import Part

if TYPE_CHECKING:
    from whitecrow.detectors import Detector
    from whitecrow.workspace.dataset_record import DatasetRecord
    from whitecrow.workspace.runs import RunRecord
    from whitecrow.workspace.workspace import Workspace

__all__ = ["CardColumn", "CardFigure", "CardParameter", "ModelCard", "model_card"]

# What belongs to a fit and its machine, or stands in the card by itself.
_NOT_LISTED = ("checkpoint", "device", "random_state", "regime", "verbose")
_STEPS_ALIKE = (
    "Neighbouring steps of a series are alike, and the intervals take each for new evidence: they are narrower than "
    "they should be."
)


@dataclass(frozen=True)
class CardParameter:
    """A parameter of the detector: its value, its default, and whether the value is that."""

    name: str
    value: Any
    default: Any
    is_default: bool


@dataclass(frozen=True)
class CardFigure:
    """A figure of merit: what it is called, its value, the ends of its interval, and what chance reaches."""

    name: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    by_chance: float | None


@dataclass(frozen=True)
class CardColumn:
    """A column or channel that the model reads: its type, and what training rows had in it."""

    name: str
    type: str
    typical: str


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """All that somebody should know who is handed a model.

    Parameters
    ----------
    run, number, name, version
        Of the run, and the version of its model.
    made : str
        When the fit ended, in UTC.
    detector, paper, year
        Of the method; the paper is that which it follows.
    kind, unit : str
        Of the samples, and what one is called.
    seed : int
        Source of all randomness.
    regime, label_use, split : str
        What the training rows were taken for, what labels were used for, and how the rows were split, in words.
    contamination : float
        Parameter of the threshold.
    threshold, threshold_source
        Samples with a score above it are flagged, and on what it was found.
    data : dict of str to str
        Name, hash, size and origin of the data set; empty of a model that was brought in.
    rows : dict of str to int
        How many trained, were held out to calibrate, set the threshold, tested, and were left out.
    n_tested, n_anomalies, level
        Test samples with known labels, anomalies among them, and the level of the intervals; None without figures.
    figures : tuple of CardFigure
        On the test samples; empty where there are no labels of both classes.
    caveats : tuple of str
        What makes the figures doubtful.
    parameters : tuple of CardParameter
        Of the detector, those that differ from their defaults first.
    columns : tuple of CardColumn
        What the model reads.
    cost : dict of str to float
        Seconds of fit and of scoring, rows scored, peak memory in MB; empty of a model that was brought in.
    versions : dict of str to str
        Of the packages that it was fitted with.
    use, limits : tuple of str
        What it is for, and what it is not for.
    explanation : str
        How its scores are explained.
    """

    run: str
    number: int
    name: str
    version: str
    made: str | None
    detector: str
    paper: str
    year: int | None
    kind: str
    unit: str
    seed: int
    regime: str
    label_use: str
    split: str
    contamination: float
    threshold: float
    threshold_source: str
    data: dict[str, str]
    rows: dict[str, int]
    n_tested: int | None
    n_anomalies: int | None
    level: float | None
    figures: tuple[CardFigure, ...]
    caveats: tuple[str, ...]
    parameters: tuple[CardParameter, ...]
    columns: tuple[CardColumn, ...]
    cost: dict[str, float]
    versions: dict[str, str]
    use: tuple[str, ...]
    limits: tuple[str, ...]
    explanation: str

    def document(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        return asdict(self)


def model_card(workspace: "Workspace", run: str) -> ModelCard:
    """Return the card of a run's model.

    Parameters
    ----------
    workspace : Workspace
    run : str
        Id of a run that is done.

    Raises
    ------
    UnknownNameError
        If there is no such run.
    WorkspaceError
        If it has no model.
    """
    record, detector = workspace.runs.done(run), workspace.detector(run)
    dataset = None if record.dataset is None else workspace.datasets.get(record.dataset)
    cls = registry.load(record.detector)
    seeds = {one.request.seed for one in siblings(record, workspace.runs.all())}
    report, summary = record.report or {}, record.summary or {}
    kind = detector.spec_.kind
    unit = UNITS[kind] if kind != "sequence" or (dataset is not None and dataset.shape is not None) else "step"
    steps = [_STEPS_ALIKE] if unit == "step" and record.report is not None else []
    return ModelCard(
        run=record.id,
        number=record.number,
        name=record.name,
        version=record.version or NOTHING,
        made=record.ended,
        detector=record.detector,
        paper=cls.paper,
        year=cls.year or None,
        kind=kind,
        unit=unit,
        seed=int(record.request.seed),
        regime=detector.regime,
        label_use=label_words(record, dataset),
        split=NOTHING if dataset is None else split_words(record.request.split),
        contamination=float(detector.contamination),
        threshold=detector.threshold_,
        threshold_source=detector.threshold_source_,
        data={} if dataset is None else _data(record, dataset),
        rows=_rows(workspace, record),
        n_tested=report.get("n"),
        n_anomalies=report.get("n_anomalies"),
        level=report.get("level"),
        figures=_figures(report),
        caveats=(*steps, *honesty(record, dataset, len(seeds)).doubts),
        parameters=_parameters(detector),
        columns=tuple(CardColumn(*row) for row in column_rows(detector)),
        cost=dict(record.cost or {}),
        versions=dict(summary.get("versions", {})),
        use=use(kind, unit),
        limits=limits(kind, unit, detector.regime),
        explanation=explanation_words(detector),
    )


def _data(record: "RunRecord", dataset: "DatasetRecord") -> dict[str, str]:
    settings = record.request.settings or dataset.settings
    return {
        "Name": dataset.name,
        "SHA-256": dataset.sha256,
        "Size": f"{count(dataset.rows, 'row')}, {count(dataset.columns, 'column')}"
        if dataset.shape is None
        else f"{count(dataset.rows, UNITS[dataset.kind])} of shape {' × '.join(map(str, dataset.shape))}",
        "From": dataset.source or NOTHING,
        "Simulated": "yes: no evidence about anything real" if dataset.synthetic else "no, as far as is known",
        "Label column": settings.label or "none",
        "Time column": settings.time or "none",
        "Columns left aside": ", ".join(settings.ignore) or "none",
    }


def _rows(workspace: "Workspace", record: "RunRecord") -> dict[str, int]:
    summary = record.summary or {}
    found = {
        "given to the fit": int(summary.get("rows", 0)),
        "trained": int(summary.get("rows_trained_on", 0)),
        "held out to calibrate": int(summary.get("rows_held_out", 0)),
    }
    if record.dataset is not None:
        parts = workspace.scores(record.id).part
        found["set the threshold"] = int(np.count_nonzero(parts == Part.VALIDATION))
        found["tested"] = int(np.count_nonzero(parts == Part.TEST))
        found["left out"] = int(np.count_nonzero(parts == Part.LEFT_OUT))
    return found


def _figures(report: dict[str, Any]) -> tuple[CardFigure, ...]:
    chance, metrics = report.get("baselines", {}), report.get("metrics", {})
    return tuple(
        CardFigure(name, title, ends["value"], ends["low"], ends["high"], chance.get(name))
        for name, title in METRIC_NAMES.items()
        if (ends := metrics.get(name)) is not None
    )


def _parameters(detector: "Detector") -> tuple[CardParameter, ...]:
    found = []
    for name, field in parameters.fields(type(detector)).items():
        if name not in _NOT_LISTED:
            given = getattr(detector, name)
            found.append(CardParameter(name, _plain(given), _plain(field.default), given == field.default))
    return tuple(sorted(found, key=lambda one: one.is_default))


def _plain(value: Any) -> Any:
    """Return a parameter as JSON has it; what JSON has no form for is told in words."""
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
