"""Answers that hold scores and what follows from them."""

from typing import Any, Literal

from whitecrow.server.schemas.records import Answer, ModelAnswer

__all__ = [
    "AlertsAnswer",
    "CompareAnswer",
    "CurvesAnswer",
    "DriftAnswer",
    "ExplainAnswer",
    "FiguresAnswer",
    "RowAnswer",
    "ScoresAnswer",
]

Number = float | None


class ScoresAnswer(ModelAnswer):
    """Scores of the rows that were sent, in their order."""

    rows: int
    scores: list[Number]
    """Higher = more anomalous."""
    p_values: list[Number] | None
    """From 1 / (n + 1) to 1, lower = more anomalous; null if the model was fitted without held-out rows."""
    flags: list[bool]
    """Whether the score is above the model's threshold."""
    ids: list[Any] | None
    """Cells of the column that the query names by `id`."""
    ignored_columns: list[str]
    """Columns that were sent and that the model does not read."""


class ROC(Answer):
    """Rates above each threshold, thresholds falling."""

    fpr: list[float]
    tpr: list[float]
    thresholds: list[float]


class PR(Answer):
    """Precision and recall above each threshold, thresholds falling."""

    precision: list[float]
    recall: list[float]
    thresholds: list[float]


class Histogram(Answer):
    """Rows in each bin; the outer bins hold what lies beyond them too."""

    edges: list[float]
    normals: list[int]
    anomalies: list[int]
    unknown: list[int]
    scale: Literal["linear", "log"]


class Cumulative(Answer):
    """With i the number of `scores` at most t, `anomalies[i]`, `normals[i]` and `unknown[i]` rows are above t."""

    scores: list[float]
    anomalies: list[int]
    normals: list[int]
    unknown: list[int]
    exact: bool
    """Whether every distinct score is kept."""


class CurvesAnswer(ModelAnswer):
    """What a page needs to follow a threshold without a server."""

    part: str
    rows: int
    roc: ROC | None
    """Null unless rows of both classes are known."""
    pr: PR | None
    """Null unless rows of both classes are known."""
    histogram: Histogram
    cumulative: Cumulative


class Counts(Answer):
    """Rows by outcome; those without a label are counted apart, never as normal."""

    tp: int
    fp: int
    fn: int
    tn: int
    unknown_flagged: int
    unknown_passed: int


class Cost(Answer):
    """Expected cost per record, beside the two rules that need no detector."""

    per_record: float
    flag_nothing: float
    flag_everything: float
    saved_against_nothing: float
    saved_against_everything: float


class IntervalAnswer(Answer):
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class FiguresAnswer(ModelAnswer):
    """All figures of merit at one threshold; null where the labels do not determine one."""

    part: str
    rows: int
    threshold: float
    """The threshold that the figures are of."""
    source: str
    """Where it comes from."""
    uses_labels: bool
    """Whether it was found on the labels of these same rows, so that the figures are optimistic."""
    counts: Counts
    alerts: int
    alerts_per_1000: float
    precision: Number
    recall: Number
    f1: Number
    f2: Number
    false_positive_rate: Number
    accuracy: Number
    cost: Cost | None
    intervals: dict[str, IntervalAnswer]
    """Wilson intervals of precision and recall; copies of a row count once for the width."""
    few_anomalies: bool
    """Whether the intervals must be shown beside the figures."""


class AlertRow(Answer):
    """A row of the data set with what the model made of it."""

    row: int
    """Number of the row, from 0."""
    score: float
    p_value: Number
    flag: bool
    part: Literal["train", "test", "left out", "validation"]
    label: int | None
    """1 anomaly, 0 normal, null unknown."""
    family: str | None
    verdict: str | None
    assignee: str | None
    """Who is to look at it."""
    values: dict[str, Any]
    """The original columns, in original units."""


class AlertsAnswer(ModelAnswer):
    """A page of rows."""

    total: int
    """Rows that meet the filter."""
    offset: int
    rows: list[AlertRow]


class RowAnswer(ModelAnswer, AlertRow):
    """One row."""

    percentile: float
    """Share of the scores of the fit that are below this one, in percent."""
    margin: float
    """Score minus the model's threshold."""
    note: str | None
    """Of the verdict, if there is one."""


class Contribution(Answer):
    """What one column has to do with one score."""

    column: str
    value: Any
    contribution: float
    share: float
    shown: str
    remark: str
    typical: str
    alike: str
    text: str
    typical_range: tuple[float, float] | None
    """5th and 95th percentile of the training rows, unrounded; null of a column of levels."""
    alike_range: tuple[float, float] | None
    """What `alike` says, unrounded."""


class Neighbour(Answer):
    """A near normal row."""

    row: int | None
    """Row of the data set, where the model's training rows are in it."""
    distance: float
    """In encoded features."""
    values: dict[str, Any]
    differs: list[str]
    """Columns whose value is another than the explained row's."""


class PlaceAnswer(Answer):
    """A rectangle of an image, in pixels from its upper left corner."""

    top: int
    left: int
    height: int
    width: int


class NearPatchAnswer(PlaceAnswer):
    """A patch of a normal image."""

    row: int | None
    """Image of the data set, where the model's training images are in it."""
    distance: float


class PatchAnswer(PlaceAnswer):
    """The most anomalous patch of an image."""

    score: float
    """Mean of the map over it."""
    method: str
    """What the distances are, and among which patches."""
    neighbours: list[NearPatchAnswer]
    """The nearest first, of different images."""


class ExplainedRow(Answer):
    """One row or image, explained."""

    row: int
    score: float
    p_value: Number
    flag: bool
    percentile: float
    margin: float
    text: str
    """The strongest reasons in one sentence."""
    values: dict[str, Any]
    reasons: list[Contribution]
    """Columns that make the row more anomalous, the strongest first."""
    neighbours: list[Neighbour]
    """Of an image without values."""
    patch: PatchAnswer | None
    """Of an image; null of a row of a table."""


class ExplainAnswer(ModelAnswer):
    """Why rows have their scores."""

    method: Literal["occlusion", "parts", "map"]
    """How the contributions were found; of an image, whether its map is the method's own or made by occlusion."""
    rows: list[ExplainedRow]


class ComparedRun(ModelAnswer):
    """One of the runs that are compared."""

    name: str
    number: int
    detector: str
    auroc: IntervalAnswer | None
    average_precision: IntervalAnswer | None
    roc: ROC | None
    pr: PR | None
    histogram: Histogram
    flagged: int


class Agreement(Answer):
    """Agreement of each pair, in the order of the runs."""

    k: int
    spearman: list[list[Number]]
    kendall: list[list[Number]] | None
    jaccard: list[list[Number]]


class DisagreementAnswer(Answer):
    """Rows that one run flags and another does not, the strongest disagreement first."""

    flagged_by: str
    passed_by: str
    n: int
    rows: list[int]
    rank: list[float]
    other_rank: list[float]


class FamilyAnswer(Answer):
    """How one kind of anomaly fares."""

    family: str
    n: int
    recall: dict[str, IntervalAnswer]
    alone: dict[str, int]
    missed_by_all: int


class Difference(Answer):
    """AUROC of one run minus that of another on the same rows, with its paired 95 % interval."""

    run: str
    other: str
    auroc: IntervalAnswer


class CompareAnswer(Answer):
    """Runs on the rows that all of them tested."""

    rows: int
    known: int
    """Rows with a label."""
    runs: list[ComparedRun]
    agreement: Agreement
    disagreements: list[DisagreementAnswer]
    families: list[FamilyAnswer]
    differences: list[Difference]
    notes: list[str]


class DriftAnswer(ModelAnswer):
    """How a table differs from the rows that a model was trained on."""

    current: str
    """Id of the data set."""
    reference_rows: int
    current_rows: int
    share_drifted: float
    drifted: bool
    columns: list[dict[str, Any]]
    scores: dict[str, Any]
    verdict: dict[str, Any]
