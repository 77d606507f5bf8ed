"""Answers that tell what a workspace holds."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from whitecrow.workspace.feedback import VerdictName
from whitecrow.workspace.runs import State

__all__ = [
    "Answer",
    "AssignmentAnswer",
    "AuditAnswer",
    "AuditEntry",
    "DatasetAnswer",
    "DatasetsAnswer",
    "DetectorAnswer",
    "DetectorsAnswer",
    "EpochAnswer",
    "EpochsAnswer",
    "FeedbackAnswer",
    "ModelAnswer",
    "RowsAnswer",
    "RunAnswer",
    "RunEntry",
    "RunsAnswer",
    "UndoneAnswer",
    "VerdictAnswer",
    "VerdictsAnswer",
]


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class ModelAnswer(Answer):
    """Base of all answers that rest on a model."""

    run: str
    """Id of the run."""
    version: str
    """Version of the model: first twelve digits of its file's SHA-256."""
    model_threshold: float
    """The model's own threshold; rows with a score strictly above it are flagged."""
    threshold_source: str
    """What that threshold means, and on which rows it was found."""


class DetectorEntry(Answer):
    """A detector in the list."""

    name: str
    kinds: list[str]
    """What a sample may be: table, image, sequence."""


class DetectorsAnswer(Answer):
    """All detectors."""

    detectors: list[DetectorEntry]


class ParameterAnswer(Answer):
    """One parameter of a detector."""

    name: str
    default: Any
    accepted: str
    """What it must be, in words."""
    own: bool
    """Whether it belongs to this method, and not to all."""


class DetectorAnswer(Answer):
    """All that is known of a detector."""

    name: str
    kinds: list[str]
    paper: str
    year: int | None
    cost: str
    """Of a fit against the plain autoencoder's: low, medium or high."""
    labels: str
    """Whether it learns from known anomalies: no, uses, needs."""
    regime: str
    """What it takes the training rows for by default."""
    parameters: list[ParameterAnswer]
    """Those of this method first."""
    parameter_schema: dict[str, Any]
    """The same as JSON schema (draft 2020-12), with bounds and defaults."""


class DatasetAnswer(Answer):
    """A data set."""

    id: str
    name: str
    kind: str
    rows: int
    columns: int
    bytes: int
    sha256: str
    """Hash of its file."""
    source: str
    synthetic: bool
    """Whether it was simulated, and so is no evidence about anything real."""
    settings: dict[str, Any]
    profile: list[dict[str, Any]]
    """Of each column its name, kind, share of missing values, distinct values, examples and warnings."""
    labels: dict[str, Any] | None
    """Counts of each label, where a label column is set; rows without one are counted apart."""
    created: str
    shape: list[int] | None
    """Of one sample where samples are arrays: (C, H, W) of an image, (T, C) of a sequence."""


class DatasetsAnswer(Answer):
    """All data sets, the newest first."""

    datasets: list[DatasetAnswer]


class RowsAnswer(Answer):
    """A page of rows, in the order of the time column if there is one."""

    total: int
    offset: int
    columns: list[str]
    rows: list[list[Any]]
    """A list of cells for each row; a cell that is missing is null."""


class RunEntry(Answer):
    """A run in the list."""

    id: str
    number: int
    name: str
    dataset: str | None
    """Id of its data set; null for a model that was uploaded."""
    detector: str
    state: State
    error: str | None
    created: str
    begun: str | None
    ended: str | None
    stage: str | None
    epoch: int | None
    epochs: int | None
    fraction: float | None
    """How much of the training is done, from 0 to 1."""
    loss: float | None
    version: str | None
    threshold: float | None
    threshold_source: str | None


class RunAnswer(RunEntry):
    """A run."""

    request: dict[str, Any]
    summary: dict[str, Any] | None
    report: dict[str, Any] | None
    """Figures of merit on the test rows with known labels."""
    cost: dict[str, Any] | None
    notes: list[str] | None
    """What makes the figures doubtful."""


class RunsAnswer(Answer):
    """All runs, the newest first."""

    runs: list[RunEntry]


class EpochAnswer(Answer):
    """A run after one epoch."""

    place: int
    """Counts the epochs of all stages from 0."""
    stage: str
    epoch: int
    """Counts the epochs of the stage from 1."""
    loss: float | None
    """Mean training loss."""
    seen: dict[str, Any] | None
    """What was looked at, if that was asked for: `measured` (losses), `threshold` (of training scores), `rows`,
    `flagged`, `auroc`, `average_precision`, `histogram`, `roc`, `pr`, `codes`; without scores, `why` says why not."""


class EpochsAnswer(Answer):
    """Epochs of a run, in order."""

    run: str
    epochs: list[EpochAnswer]


class VerdictAnswer(Answer):
    """What somebody said of one row."""

    id: int
    run: str
    row: int
    verdict: VerdictName
    note: str
    reviewer: str
    score: float
    threshold: float
    version: str
    at: str


class AssignmentAnswer(Answer):
    """Who is to look at one row."""

    id: int
    run: str
    row: int
    assignee: str
    """Empty where the row was taken from everybody."""
    reviewer: str
    """Who said so."""
    at: str


class VerdictsAnswer(Answer):
    """Verdicts and assignments that were given."""

    verdicts: list[VerdictAnswer]
    assignments: list[AssignmentAnswer]


class UndoneAnswer(Answer):
    """Verdicts and assignments that were taken back; none if there were none."""

    undone: list[VerdictAnswer]
    unassigned: list[AssignmentAnswer]


class FeedbackAnswer(ModelAnswer):
    """The verdicts that hold on a run, by row."""

    verdicts: list[VerdictAnswer]
    assignments: list[AssignmentAnswer]
    """Of each row that somebody is to look at."""
    confirmed: int
    dismissed: int
    unsure: int
    precision: float | None
    """Share of the confirmed among the confirmed and dismissed; null while there are none."""


class AuditEntry(Answer):
    """A line of the audit."""

    id: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class AuditAnswer(Answer):
    """The last lines, the newest first."""

    lines: list[AuditEntry]
