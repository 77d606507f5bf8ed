"""The screens of the console, in the order of the navigation. A screen that is not built yet is not listed."""

from whitecrow.dashboard.screens import compare, data, draw, drift, explore, lab, overview, rules, runs, stream, triage
from whitecrow.dashboard.shell import Screen

__all__ = ["SCREENS"]

# Overview, Explore, Compare, Stream, Triage, Lab, Drift, Data, Runs, Rules.
SCREENS: tuple[Screen, ...] = (
    overview.SCREEN,
    explore.SCREEN,
    compare.SCREEN,
    stream.SCREEN,
    triage.SCREEN,
    lab.SCREEN,
    draw.SCREEN,
    drift.SCREEN,
    data.SCREEN,
    runs.SCREEN,
    rules.SCREEN,
)
