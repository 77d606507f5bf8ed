"""The screens of the console, in the order of the navigation. A screen that is not built yet is not listed."""

from whitecrow.dashboard.screens import compare, data, explore, overview, runs, stream, triage
from whitecrow.dashboard.shell import Screen

__all__ = ["SCREENS"]

# Overview, Explore, Compare, Stream, Triage, Lab, Data, Runs.
SCREENS: tuple[Screen, ...] = (
    overview.SCREEN,
    explore.SCREEN,
    compare.SCREEN,
    stream.SCREEN,
    triage.SCREEN,
    data.SCREEN,
    runs.SCREEN,
)
