"""What a client says over the websocket of a stream."""

from typing import Annotated, Literal

from pydantic import Field

from whitecrow.server.schemas.records import Answer
from whitecrow.server.schemas.requests import Given, Money

__all__ = ["Begin", "Command", "LiveAnswer", "Replay", "Simulation", "Tail"]

RunId = Annotated[str, Field(max_length=100)]
Mix = Annotated[dict[Annotated[str, Field(max_length=100)], float], Field(max_length=50)]
Share = Annotated[float, Field(ge=0, le=0.5)]


class Simulation(Given):
    """The invented office network, without end."""

    kind: Literal["simulation"] = "simulation"
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    attack_rate: Share = 0.02
    mix: Mix | None = None
    """Weight of each kind of attack."""
    week_rows: int = Field(default=20_000, ge=100, le=200_000)
    """Connections in a week, as in the table that the detectors were fitted on."""


class Replay(Given):
    """The rows of a data set once more, in its order."""

    kind: Literal["replay"]
    dataset: str = Field(max_length=100)


class Tail(Given):
    """The records that another program appends to a file, as they are written."""

    kind: Literal["tail"]
    name: str = Field(max_length=100)
    """Of a live source that the operator allows; see /api/stream/sources."""
    from_beginning: bool = False
    """Whether what is there comes first; by default only what is written from now on."""


class Begin(Given):
    """The first message."""

    runs: list[RunId] = Field(min_length=1, max_length=8)
    source: Annotated[Simulation | Replay | Tail, Field(discriminator="kind")] = Field(default_factory=Simulation)
    rate: float = Field(default=1000.0, ge=1, le=10_000)
    """Records per second; a live source has its own."""
    costs: Money | None = None
    thresholds: dict[RunId, float] = Field(default={}, max_length=8)
    """In place of the models' own."""
    frames_per_second: float = Field(default=30.0, ge=1, le=60)
    listed: int = Field(default=100, ge=1, le=1000)
    """Most records that a frame lists; its counts are of all."""
    paused: bool = False
    alert_rules: bool = False
    """Whether alert rules of the runs are held against these records, as they are against those sent to be scored."""


class _Plain(Given):
    type: Literal["pause", "resume"]


class _Step(Given):
    type: Literal["step"]
    n: int = Field(default=1, ge=1, le=10_000)


class _Speed(Given):
    type: Literal["speed"]
    rate: float = Field(ge=1, le=10_000)


class _Rewind(Given):
    type: Literal["rewind"]
    position: int = Field(default=0, ge=0, lt=1 << 40)


class _Threshold(Given):
    type: Literal["threshold"]
    run: RunId
    value: float


class _Attacks(Given):
    type: Literal["attacks"]
    attack_rate: Share | None = None
    mix: Mix | None = None


Command = Annotated[
    _Plain | _Step | _Speed | _Rewind | _Threshold | _Attacks,
    Field(discriminator="type"),
]
"""Every later message."""


class LiveFileAnswer(Answer):
    """A file that streams may follow."""

    name: str
    available: bool
    """Whether it is there now; a file that is rotated may be away for a moment."""
    bytes: int | None
    changed: str | None
    """When it was last written to."""


class LiveAnswer(Answer):
    """The live sources that the operator allows, in the order of the command line."""

    live: list[LiveFileAnswer]
