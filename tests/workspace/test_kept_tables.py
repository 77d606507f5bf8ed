"""What a workspace keeps, so that no page waits for it twice: tables as settings read them, and rows in order."""

import numpy as np
import polars as pl
import pytest

from whitecrow.core.errors import UnknownNameError
from whitecrow.workspace import DatasetSettings, RunScores

TABLE = pl.DataFrame({"at": [3, 1, 2], "size": ["30", "10", "x"], "label": ["normal", "scan", "normal"]})


@pytest.fixture
def timed(workspace) -> str:
    """Id of a small data set that is in order of its time, and holds numbers as text."""
    settings = DatasetSettings(label="label", time="at", types={"size": "number"})
    return workspace.datasets.add(TABLE, "Rows", settings=settings).id


def scores_of(values: list[float]) -> RunScores:
    n = len(values)
    return RunScores(
        np.array(values), None, np.zeros(n, dtype=np.uint8), np.zeros(n, dtype=np.int8), pl.Series([None] * n)
    )


def test_a_table_is_read_and_sorted_once(workspace, timed):
    table = workspace.datasets.table(timed)
    assert table["at"].to_list() == [1, 2, 3]
    assert table["size"].to_list() == [10.0, None, 30.0]
    assert workspace.datasets.table(timed) is table


def test_other_settings_read_another_table(workspace, timed):
    first = workspace.datasets.table(timed)
    as_text = DatasetSettings(label="label", time="at")
    assert workspace.datasets.table(timed, as_text)["size"].to_list() == ["10", "x", "30"]
    in_order = DatasetSettings(label="label", types={"size": "number"})
    assert workspace.datasets.table(timed, in_order)["at"].to_list() == [3, 1, 2]
    workspace.datasets.change(timed, settings=in_order)
    assert workspace.datasets.table(timed)["at"].to_list() == [3, 1, 2]
    assert first["at"].to_list() == [1, 2, 3]


def test_what_settings_hide_alone_changes_what_is_seen(workspace, timed):
    assert workspace.datasets.seen(timed).columns == ["at", "size"]
    hidden = DatasetSettings(label="label", time="at", types={"size": "number"}, ignore=("at",))
    assert workspace.datasets.seen(timed, hidden).columns == ["size"]
    rows, labels = workspace.datasets.rows(timed, hidden)
    assert rows.equals(workspace.datasets.seen(timed, hidden))
    assert labels.y.tolist() == [1, 0, 0]


def test_nothing_is_kept_of_a_data_set_that_is_removed(workspace, timed):
    workspace.datasets.table(timed)
    workspace.datasets.remove(timed)
    with pytest.raises(UnknownNameError):
        workspace.datasets.table(timed)


def test_rows_fall_by_score_with_equal_ones_in_their_order():
    scores = scores_of([0.2, 0.9, 0.2, 0.5, 0.9])
    assert scores.falling(np.arange(5)).tolist() == [1, 4, 3, 0, 2]
    assert scores.falling(np.array([0, 2, 4])).tolist() == [4, 0, 2]
    assert scores.falling(np.array([], dtype=np.int64)).tolist() == []


def test_any_rows_fall_as_sorting_them_alone_would_have_it():
    rng = np.random.default_rng(0)
    scores = scores_of(rng.integers(0, 40, 500).astype(float).tolist())
    for share in (0.02, 0.5, 1.0):
        rows = np.flatnonzero(rng.random(500) < share)
        expected = rows[np.argsort(-scores.score[rows], kind="stable")]
        np.testing.assert_array_equal(scores.falling(rows), expected)


def test_the_counts_of_a_window_know_copies_of_rows_among_all_that_the_run_reads(busy, done):
    run = busy.runs.get(done)
    seen, rows = busy.datasets.seen(run.dataset, run.request.settings), busy.scores(done).rows("all")
    for window in (None, (10, 60)):
        inside = rows if window is None else rows[(rows >= window[0]) & (rows <= window[1])]
        table = busy.alert_table(done, "all", window)
        known = inside[busy.scores(done).label[inside] >= 0]
        assert int(table.distinct_known[0]) == seen[known].n_unique()
