"""The answer that is a model card."""

from typing import Any

from whitecrow.server.schemas.records import Answer

__all__ = ["CardAnswer"]


class CardParameterAnswer(Answer):
    """A parameter of the detector."""

    name: str
    value: Any
    default: Any
    is_default: bool
    """Whether the value is the default."""


class CardFigureAnswer(Answer):
    """A figure of merit on the test rows."""

    name: str
    title: str
    """The same in words."""
    value: float | None
    low: float | None
    high: float | None
    """Ends of the interval."""
    by_chance: float | None
    """What scores without any information reach, where that is known."""


class CardColumnAnswer(Answer):
    """A column or channel that the model reads."""

    name: str
    type: str
    typical: str
    """What training rows had: the 5th to the 95th percentile, or the commonest values with their shares."""


class CardAnswer(Answer):
    """All that somebody should know who is handed a model."""

    run: str
    number: int
    name: str
    version: str
    """Version of the model: first twelve digits of its file's SHA-256."""
    made: str | None
    """When the fit ended."""
    detector: str
    paper: str
    year: int | None
    kind: str
    """What a sample is: table, image, sequence."""
    unit: str
    """What a sample is called: row, image, sequence, step."""
    seed: int
    regime: str
    label_use: str
    """What labels were used for."""
    split: str
    """How the rows were split, in words."""
    contamination: float
    threshold: float
    """Samples with a score strictly above it are flagged."""
    threshold_source: str
    """What that threshold means, and on which rows it was found."""
    data: dict[str, str]
    """Name, hash, size and origin of the data set; empty of a model that was uploaded."""
    rows: dict[str, int]
    """How many samples trained, were held out to calibrate, set the threshold, tested, and were left out."""
    n_tested: int | None
    """Test samples with known labels; null without figures."""
    n_anomalies: int | None
    level: float | None
    """Of the intervals."""
    figures: list[CardFigureAnswer]
    caveats: list[str]
    """What makes the figures doubtful."""
    parameters: list[CardParameterAnswer]
    """Those that differ from their defaults first."""
    columns: list[CardColumnAnswer]
    cost: dict[str, float]
    """Seconds of fit and of scoring, rows scored, peak memory in MB."""
    versions: dict[str, str]
    """Of the packages that it was fitted with."""
    use: list[str]
    limits: list[str]
    explanation: str
    """How its scores are explained."""
