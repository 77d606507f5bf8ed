"""What a request may hold; everything else is refused before work starts."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, model_validator

from whitecrow.metrics import Costs
from whitecrow.server.errors import FieldError, RequestError
from whitecrow.workspace import DatasetSettings, FitRequest

__all__ = [
    "DatasetChange",
    "DatasetReading",
    "Explain",
    "Filter",
    "Fit",
    "Given",
    "Money",
    "Rename",
    "ThresholdWish",
    "Undo",
    "VerdictGiven",
    "parsed",
]

ColumnName = Annotated[str, Field(max_length=1000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
RowNumber = Annotated[int, Field(ge=0, lt=1 << 31)]
Wish = Literal["percentile", "alert_count", "alerts_per_1000", "false_positive_rate", "cost"]
PartName = Literal["test", "train", "left out", "validation", "all"]
T = TypeVar("T")


class Given(BaseModel):
    """Base of all of them: unknown fields and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class DatasetReading(Given):
    """How the columns of a data set are read. What is left out stays as it is."""

    label: ColumnName | None = None
    """Column that says which rows are anomalies. It never reaches training."""
    normal: list[ColumnName] | None = Field(default=None, max_length=1000)
    """Its values that mean normal; null recognises the usual ones. A missing label is none, never normal."""
    ignore: list[ColumnName] = Field(default=[], max_length=2000)
    """Columns that no detector sees."""
    time: ColumnName | None = None
    """Column by whose order the rows are read."""
    types: dict[ColumnName, Literal["number", "category", "date", "boolean"]] = Field(default={}, max_length=2000)
    """Columns that are read as another type than the file's."""

    def over(self, settings: DatasetSettings) -> DatasetSettings:
        """Return settings with what is given here in place of theirs."""
        return DatasetSettings.of({**settings.document(), **self.model_dump(exclude_unset=True)})


class DatasetChange(Given):
    """Another name, another reading, or both."""

    name: Name | None = None
    settings: DatasetReading | None = None


class Split(Given):
    """Which rows train, which set the threshold, and which test."""

    kind: Literal["random", "order", "all"] = "random"
    """A random share trains; the first rows do; or all do, and nothing is tested."""
    share: float = Field(default=0.5, gt=0, lt=1)
    """Share of the rows that trains."""
    injected: float | None = Field(default=None, ge=0, lt=0.5)
    """Share of anomalies to inject among normal training rows; needs labels."""
    validation: float | None = Field(default=None, gt=0, lt=1)
    """Share of the rows that sets the threshold, and neither trains nor tests; null leaves it to the detector, which
    finds it on training rows."""
    test: float | None = Field(default=None, gt=0, lt=1)
    """Share of the rows that tests; null takes the rest. The shares add up to 1."""
    time: ColumnName | None = None
    """Column of times or numbers by whose order an `order` split goes: the oldest rows train, the newest test. Null is
    the order of the data set."""


class Budget(Given):
    """What a fit may take; beyond it the run fails."""

    seconds: float = Field(default=3600.0, gt=0, le=7 * 86400)
    memory_mb: float = Field(default=8192.0, gt=0, le=1 << 20)


class Fit(Given):
    """One fit."""

    dataset: str = Field(max_length=100)
    """Id of the data set."""
    detector: str = Field(max_length=100)
    """Registered name; see /api/detectors."""
    parameters: dict[Annotated[str, Field(max_length=100)], JsonValue] = Field(default={}, max_length=200)
    """Of the detector, by name; its defaults otherwise."""
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    """Source of all randomness."""
    regime: Literal["contaminated", "clean", "labelled"] = "contaminated"
    """What the training rows are taken for."""
    split: Split = Field(default_factory=Split)
    budget: Budget = Field(default_factory=Budget)
    name: str = Field(default="", max_length=200)
    """For display; the detector's name by default."""
    settings: DatasetReading | None = None
    """How the columns are read, beside what the data set says now."""
    verdicts: str | None = Field(default=None, max_length=100)
    """Run whose verdicts are told to the detector as labels."""
    watch: bool = False
    """Whether scores, curves and codes are recorded after the epochs; see /api/runs/{run}/epochs."""

    def request(self, settings: DatasetSettings) -> FitRequest:
        """Return what the workspace is asked, with the data set's settings under those that are given here."""
        document = self.model_dump()
        document["settings"] = None if self.settings is None else self.settings.over(settings).document()
        return FitRequest.of(document)


class Rename(Given):
    """Another name for a run."""

    name: Name


class Money(Given):
    """What the outcomes cost, all in one unit."""

    miss: float = Field(ge=0)
    """Cost of an anomaly that is not flagged."""
    false_alarm: float = Field(ge=0)
    """Cost of a normal row that is flagged."""
    alert: float = Field(default=0.0, ge=0)
    """Cost of handling any alert."""
    catch: float = Field(default=0.0, ge=0)
    """Value of an anomaly that is flagged."""
    prevalence: float | None = Field(default=None, ge=0, le=1)
    """Share of anomalies where the detector works; by default that of the rows with known labels."""

    def costs(self) -> Costs:
        """Return them as the metrics take them."""
        return Costs(**self.model_dump())


class ThresholdWish(Given):
    """A threshold as a score, or as a wish that leads to one."""

    threshold: float | None = None
    """Rows with a score strictly above it are flagged."""
    by: Wish | None = None
    """What the threshold is to reach; in place of `threshold`."""
    value: float | None = None
    """How much of it: percent, alerts, alerts per 1,000 records, or a share; `cost` has none."""
    costs: Money | None = None
    """For `cost`."""
    part: PartName | None = None
    """Rows on which the wish is fulfilled; by default the test rows, or all where every row trained."""
    source: str = Field(default="", max_length=300)
    """What a threshold given as a score means, in words."""


class Explain(Given):
    """Rows to explain."""

    rows: list[RowNumber] = Field(min_length=1, max_length=50)
    method: Literal["occlusion", "parts", "auto"] = "occlusion"
    n_neighbours: int = Field(default=5, ge=1, le=20)
    """Nearest normal rows to name."""


class VerdictGiven(Given):
    """A verdict on one row or on several alike, all or none; or who is to look at them; or both."""

    rows: list[RowNumber] = Field(min_length=1, max_length=10_000)
    verdict: Literal["new", "confirmed", "dismissed", "unsure"] | None = None
    """Confirmed: an anomaly. Dismissed: normal. New: taken back to what was never reviewed. Without one there must be
    an assignee and no note, and verdicts stay as they are."""
    note: str = Field(default="", max_length=10_000)
    reviewer: str = Field(default="", max_length=200)
    assignee: str | None = Field(default=None, max_length=200)
    """Who is to look at the rows from now on, empty for nobody; null leaves that as it is."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.verdict is None and (self.assignee is None or self.note):
            raise ValueError("Without a verdict an assignee is needed, and a note has no place: it is a verdict's.")
        return self


class Undo(Given):
    """Whose last verdict or assignment is taken back; anybody's by default."""

    reviewer: str | None = Field(default=None, max_length=200)


class Filter(Given):
    """A condition on the rows of a list."""

    field: ColumnName
    """One of row, score, p_value, flag, part, label, family, verdict and assignee, or `values.COLUMN`."""
    op: Literal["eq", "ne", "lt", "le", "gt", "ge", "contains", "missing"]
    value: float | bool | Annotated[str, Field(max_length=1000)] | None = None


def parsed(kind: Any, text: str, field: str) -> Any:
    """Return what a JSON text in a form or a query stands for.

    Raises
    ------
    RequestError
        With the fields that are wrong.
    """
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        wrong = [
            FieldError(".".join([field, *(str(part)[:100] for part in one["loc"])]), one["msg"])
            for one in error.errors(include_url=False, include_context=False, include_input=False)[:20]
        ]
        raise RequestError(f"The field {field!r} is not the JSON that it should be.", wrong) from error
