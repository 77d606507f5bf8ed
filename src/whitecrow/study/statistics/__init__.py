"""Intervals, ranks and tests of a study, from plain arrays: NaN is a cell that failed, higher is better."""
