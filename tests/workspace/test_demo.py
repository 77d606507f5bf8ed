"""Filling an empty workspace."""

from threading import Thread

import pytest

from whitecrow.workspace import demo
from whitecrow.workspace.demo import DEMO_DETECTORS, fill_with_demo


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch):
    # Nothing is fitted here, so the number of rows matters to the clock alone.
    monkeypatch.setattr(demo, "_ROWS", 500)


def test_a_workspace_is_filled_with_labelled_simulated_rows_in_time(workspace):
    dataset, runs = fill_with_demo(workspace)
    assert dataset.synthetic
    assert dataset.settings.label == "label"
    assert dataset.settings.time == "timestamp"
    assert dataset.labels["normal_values"] == ["normal"]
    assert dataset.labels["anomalous_rows"] == 10
    assert [run.detector for run in runs] == list(DEMO_DETECTORS)
    assert {run.request.split.kind for run in runs} == {"order"}
    assert {run.state for run in runs} == {"queued"}


def test_filling_twice_is_filling_once(workspace):
    assert fill_with_demo(workspace) == fill_with_demo(workspace)
    assert len(workspace.datasets.all()) == 1
    assert len(workspace.runs.all()) == len(DEMO_DETECTORS)


def test_two_clicks_at_once_fill_once(workspace):
    threads = [Thread(target=fill_with_demo, args=(workspace,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(workspace.datasets.all()) == 1
    assert len(workspace.runs.all()) == len(DEMO_DETECTORS)


def test_a_fit_that_was_cancelled_is_asked_for_again(workspace):
    first = fill_with_demo(workspace).runs[0]
    workspace.jobs.cancel(first.id)
    again = fill_with_demo(workspace).runs
    assert again[0].id != first.id
    assert len(workspace.runs.all()) == len(DEMO_DETECTORS) + 1
