"""Figures of a stretch by rows and by events, counted by hand."""

import numpy as np
import pytest

from whitecrow.core.errors import DataError
from whitecrow.metrics.event_figures import event_figures
from whitecrow.metrics.series import vus

LABEL = np.array([0, 1, 1, 1, 0, 0, 1, 0, 0, 0], dtype=np.int8)
SCORES = np.array([0.1, 0.9, 0.2, 0.2, 0.1, 0.8, 0.3, 0.1, 0.1, 0.7])


def test_by_rows_and_by_events():
    found = event_figures(LABEL, SCORES, 0.5)
    assert (found.n_events, found.caught) == (2, 1)
    # Rows 1, 5 and 9 are flagged: one of four anomalies, and one right of three.
    assert (found.points.precision, found.points.recall) == (1 / 3, 1 / 4)
    assert (found.events.precision, found.events.recall) == (1 / 3, 1 / 2)
    assert found.areas == vus(LABEL, SCORES, 2)
    assert found.buffer == 2


def test_rows_without_a_label_are_neither_catches_nor_false_alarms():
    label = np.insert(LABEL, [5, 8], -1).astype(np.int8)
    scores = np.insert(SCORES, [5, 8], [9.0, 9.0])
    assert event_figures(label, scores, 0.5) == event_figures(LABEL, SCORES, 0.5)


def test_without_normal_rows_there_are_no_areas():
    assert event_figures(np.ones(3, dtype=np.int8), np.arange(3.0), 0.5).areas is None


def test_without_events_it_is_refused():
    with pytest.raises(DataError, match="no events"):
        event_figures(np.array([0, -1], dtype=np.int8), np.arange(2.0), 0.5)
