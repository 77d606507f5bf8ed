"""Verdicts: kept with the model that they were given on, undone one by one, turned into labels."""

import numpy as np
import pytest
from tests.workspace.conftest import wait

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.workspace import FitRequest, SplitRule, Workspace, WorkspaceError


@pytest.fixture
def scores(busy, done) -> np.ndarray:
    while busy.feedback.undo(done):
        pass
    return busy.scores(done).score


def test_a_verdict_remembers_score_threshold_and_model(busy, done, scores):
    record = busy.runs.get(done)
    (verdict,) = busy.feedback.give(done, [5], "confirmed", scores=scores, note="a scan", reviewer="Ann")
    assert (verdict.row, verdict.verdict, verdict.note, verdict.reviewer) == (5, "confirmed", "a scan", "Ann")
    assert (verdict.score, verdict.threshold, verdict.version) == (scores[5], record.threshold, record.version)
    assert Workspace(busy.folder).feedback.current(done) == {5: verdict}


def test_the_last_verdict_on_a_row_holds_and_undo_brings_back_the_one_before(busy, done, scores):
    busy.feedback.give(done, [1], "confirmed", scores=scores)
    busy.feedback.give(done, [1], "dismissed", scores=scores)
    assert busy.feedback.current(done)[1].verdict == "dismissed"
    (undone,) = busy.feedback.undo(done)
    assert undone.verdict == "dismissed"
    assert busy.feedback.current(done)[1].verdict == "confirmed"
    busy.feedback.give(done, [1], "new", scores=scores)
    assert busy.feedback.current(done) == {}
    assert len(busy.feedback.all(done)) == 2


def test_a_verdict_on_several_rows_is_undone_as_one(busy, done, scores):
    busy.feedback.give(done, [3], "unsure", scores=scores)
    busy.feedback.give(done, [7, 8, 9], "dismissed", scores=scores)
    assert [v.row for v in busy.feedback.undo(done)] == [7, 8, 9]
    assert list(busy.feedback.current(done)) == [3]


def test_undo_of_one_reviewer_leaves_the_others_verdicts(busy, done, scores):
    busy.feedback.give(done, [1], "confirmed", scores=scores, reviewer="Ann")
    busy.feedback.give(done, [2], "confirmed", scores=scores, reviewer="Bob")
    assert [v.row for v in busy.feedback.undo(done, reviewer="Ann")] == [1]
    assert busy.feedback.undo(done, reviewer="Cid") == []


@pytest.mark.parametrize(
    ("rows", "verdict", "more", "message"),
    [
        ([1], "guilty", {}, "verdict"),
        ([], "confirmed", {}, "rows from 0"),
        ([300], "confirmed", {}, "rows from 0 to 299"),
        ([-1], "confirmed", {}, "row"),
        ([1], "confirmed", {"note": "x" * 10_001}, "10000 characters"),
    ],
)
def test_verdicts_that_cannot_be_are_refused_whole(busy, done, scores, rows, verdict, more, message):
    with pytest.raises(ParameterError, match=message):
        busy.feedback.give(done, [*rows], verdict, scores=scores, **more)
    assert busy.feedback.current(done) == {}


def test_a_run_without_a_model_takes_no_verdict(busy, dataset):
    with pytest.raises(WorkspaceError, match="no model"):
        busy.feedback.give("0" * 12, [1], "confirmed", scores=np.zeros(5))


def test_verdicts_become_labels_of_which_half_is_held_out(busy, done, scores):
    busy.feedback.give(done, range(10), "confirmed", scores=scores)
    busy.feedback.give(done, range(10, 30), "dismissed", scores=scores)
    busy.feedback.give(done, [40], "unsure", scores=scores)
    labels, held_out = busy.feedback.labels(done, 300, seed=0)
    assert (labels[:10] == 1).all()
    assert (labels[10:30] == 0).all()
    assert (labels[30:] == -1).all()
    assert len(held_out) == 15
    assert (held_out < 10).sum() == 5


def test_too_few_verdicts_teach_nothing(busy, done, scores):
    busy.feedback.give(done, range(3), "confirmed", scores=scores)
    with pytest.raises(DataError, match="3 alerts are confirmed; at least 4"):
        busy.feedback.labels(done, 300, seed=0)


def test_a_refit_from_verdicts_measures_on_verdicts_that_it_has_not_seen(busy, dataset, done, scores):
    label = busy.scores(done).label
    odd, normal = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    busy.feedback.give(done, odd[:10].tolist(), "confirmed", scores=scores)
    busy.feedback.give(done, normal[:10].tolist(), "dismissed", scores=scores)
    request = FitRequest(dataset, "deep-sad", {"epochs": 3}, regime="labelled", verdicts=done, split=SplitRule("order"))
    record = wait(busy, busy.jobs.submit(request).id)
    assert record.error is None
    part = busy.scores(record.id).part
    reviewed = [*odd[:10], *normal[:10]]
    held_out = busy.feedback.labels(done, 300, seed=0)[1]
    assert sorted(held_out) == sorted(row for row in reviewed if part[row] == 1)


def test_verdicts_are_exported_as_a_table(busy, done, scores):
    busy.feedback.give(done, [2, 1], "confirmed", scores=scores, note="=1+1")
    table = busy.feedback.table(done)
    assert table["row"].to_list() == [1, 2]
    assert table["note"].to_list() == ["=1+1", "=1+1"]
