"""The stream on which several detectors race: where records come from, who judges them, how fast they come."""

from whitecrow.workspace.stream.frames import Frame, Standing
from whitecrow.workspace.stream.live import LiveFile, LiveFiles
from whitecrow.workspace.stream.outcomes import Counts, Money
from whitecrow.workspace.stream.pacing import FrameMerger, Pacer
from whitecrow.workspace.stream.race import Race
from whitecrow.workspace.stream.sources import ReplaySource, SimulatedSource, Source
from whitecrow.workspace.stream.tail import TailSource

__all__ = [
    "Counts",
    "Frame",
    "FrameMerger",
    "LiveFile",
    "LiveFiles",
    "Money",
    "Pacer",
    "Race",
    "ReplaySource",
    "SimulatedSource",
    "Source",
    "Standing",
    "TailSource",
]
