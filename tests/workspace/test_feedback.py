"""Verdicts: kept with the model that they were given on, undone one by one, turned into labels."""

import sqlite3
from contextlib import closing

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


def test_who_is_to_look_at_an_alert_is_kept_and_undone_beside_its_verdict(busy, done, scores):
    busy.feedback.give(done, [5], "confirmed", scores=scores, note="a scan", reviewer="Ann")
    made = busy.feedback.assign(done, [6, 5], "  Bob   the 2nd ", n_rows=300, reviewer="Ann")
    assert [(one.row, one.assignee, one.reviewer) for one in made] == [
        (6, "Bob the 2nd", "Ann"),
        (5, "Bob the 2nd", "Ann"),
    ]
    again = Workspace(busy.folder).feedback
    assert again.assigned(done) == {one.row: one for one in made}
    (verdict,) = again.current(done).values()
    assert (verdict.verdict, verdict.note, verdict.reviewer) == ("confirmed", "a scan", "Ann")
    busy.feedback.assign(done, [5], "", n_rows=300, reviewer="Cid")
    assert list(busy.feedback.assigned(done)) == [6]
    assert [one.row for one in busy.feedback.undo(done, reviewer="Cid")] == [5]
    assert sorted(busy.feedback.assigned(done)) == [5, 6]
    assert busy.feedback.undo(done, reviewer="Ann") == made
    assert busy.feedback.assigned(done) == {}
    assert list(busy.feedback.current(done)) == [5]
    actions = [line.action for line in busy.audit.lines(limit=4)]
    assert actions == ["assignment undone", "assignment undone", "assigned", "assigned"]
    assert busy.audit.lines(limit=3)[2].detail == {"rows": [5], "assignee": ""}


def test_a_verdict_may_assign_and_both_are_undone_as_one(busy, done, scores):
    busy.feedback.assign(done, [1], "Ann", n_rows=300)
    busy.feedback.give(done, [1], "unsure", scores=scores)
    assert busy.feedback.assigned(done)[1].assignee == "Ann"
    busy.feedback.give(done, [1], "confirmed", scores=scores, assignee="Bob")
    assert busy.feedback.assigned(done)[1].assignee == "Bob"
    assert len(busy.feedback.undo(done)) == 2
    assert busy.feedback.current(done)[1].verdict == "unsure"
    assert busy.feedback.assigned(done)[1].assignee == "Ann"


def test_names_are_remembered_the_most_recent_first(busy, done, scores):
    busy.feedback.give(done, [1], "unsure", scores=scores, reviewer="Zoe")
    busy.feedback.assign(done, [1], "Yan", n_rows=300)
    assert busy.feedback.names()[:2] == ["Yan", "Zoe"]


@pytest.mark.parametrize(
    ("rows", "name", "message"),
    [([300], "Ann", "rows from 0 to 299"), ([], "Ann", "rows from 0"), ([1], "x" * 201, "at most 200 characters")],
)
def test_assignments_that_cannot_be_are_refused_whole(busy, done, scores, rows, name, message):
    with pytest.raises(ParameterError, match=message):
        busy.feedback.assign(done, rows, name, n_rows=300)
    assert busy.feedback.assigned(done) == {}


def test_a_workspace_from_before_assignees_takes_them(busy, done, scores, tmp_path):
    with (
        closing(sqlite3.connect(busy.folder / "workspace.sqlite")) as present,
        closing(sqlite3.connect(tmp_path / "workspace.sqlite", isolation_level=None)) as old,
    ):
        present.backup(old)
        old.execute("DROP TABLE assignments")
    feedback = Workspace(tmp_path).feedback
    assert feedback.assigned(done) == {}
    feedback.assign(done, [3], "Ann", n_rows=300)
    assert Workspace(tmp_path).feedback.assigned(done)[3].assignee == "Ann"


def test_verdicts_are_exported_as_a_table(busy, done, scores):
    busy.feedback.give(done, [2, 1], "confirmed", scores=scores, note="=1+1")
    table = busy.feedback.table(done)
    assert table["row"].to_list() == [1, 2]
    assert table["note"].to_list() == ["=1+1", "=1+1"]
    busy.feedback.assign(done, [2, 7], "Ann", n_rows=300)
    table = busy.feedback.table(done)
    assert table.select("row", "verdict", "assignee").rows() == [
        (1, "confirmed", None), (2, "confirmed", "Ann"), (7, "new", "Ann")
    ]  # fmt: skip
