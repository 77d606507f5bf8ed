"""The workspace as a whole: thresholds, rows, reasons, audit, and folders that are none."""

import sqlite3

import numpy as np
import pytest
from tests.workspace.conftest import small_table

from whitecrow.calibrate import Quantile
from whitecrow.core.errors import DataError, ParameterError, UnknownNameError
from whitecrow.workspace import Workspace, WorkspaceError
from whitecrow.workspace.model_card import model_card


def test_another_threshold_is_another_version_of_the_model(busy, done):
    before = busy.runs.get(done)
    after = busy.set_threshold(done, 12.5, source="an afternoon's alerts", actor="Ann")
    assert (after.threshold, after.threshold_source) == (12.5, "an afternoon's alerts")
    assert after.version != before.version
    assert busy.detector(done).threshold_ == 12.5
    assert busy.runs.model_file(done, before.version).exists()
    assert busy.audit.lines(subject=done)[0].actor == "Ann"


def test_a_version_is_asked_anew_once_somebody_else_has_written(busy, done):
    reader, before = Workspace(busy.folder), busy.runs.get(done)
    assert [reader.runs.version(done) for _ in range(2)] == [before.version] * 2
    busy.set_threshold(done, before.threshold + 1.0)
    assert reader.runs.version(done) == busy.runs.get(done).version != before.version
    with pytest.raises(UnknownNameError):
        reader.runs.version("0123456789ab")


def test_the_figures_of_a_run_are_those_at_its_threshold(busy, done):
    before = busy.runs.get(done)
    scores = busy.scores(done)
    rows = scores.rows()
    threshold = float(np.quantile(scores.score[rows], 0.4))
    after = busy.set_threshold(done, threshold)
    flagged, odd = scores.score[rows] > threshold, scores.label[rows] == 1
    assert after.report["threshold"] == threshold
    figures = {name: ends["value"] for name, ends in after.report["metrics"].items()}
    assert figures["recall"] == pytest.approx(flagged[odd].mean())
    assert figures["precision"] == pytest.approx(odd[flagged].mean())
    assert figures["auroc"] == before.report["metrics"]["auroc"]["value"]
    assert model_card(busy, done).threshold == threshold
    back = busy.set_threshold(done, before.threshold, source=before.threshold_source)
    assert (back.report, back.notes) == (before.report, before.notes)


def test_a_threshold_by_a_rule_says_what_it_means(busy, done):
    assert "2 %" in busy.set_threshold(done, Quantile(0.02)).threshold_source


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_is_finite(busy, done, threshold):
    with pytest.raises(ParameterError, match="finite"):
        busy.set_threshold(done, threshold)


def test_rows_come_in_original_units_and_in_the_order_asked_for(busy, done):
    table = small_table()
    assert busy.rows(done, [7, 3])["size"].to_list() == [table["size"][7], table["size"][3]]
    assert busy.rows(done).height == 300


@pytest.mark.parametrize("row", [-1, 300])
def test_rows_that_are_not_there_are_refused(busy, done, row):
    with pytest.raises(DataError, match="rows from 0 to 299"):
        busy.rows(done, [row])


def test_reasons_name_columns_and_neighbours(busy, done):
    row = int(np.argmax(busy.scores(done).score))
    explanation = busy.explain(done, [row])
    assert {reason.text.split()[0] for reason in explanation.top(0, 3)} <= {"size", "rate", "service"}


def test_a_run_that_is_not_there_is_named(busy):
    for call in (busy.scores, busy.detector, busy.rows, busy.runs.get):
        with pytest.raises(UnknownNameError, match="no run 'nothing'"):
            call("nothing")


def test_every_change_is_in_the_audit(busy, done):
    actions = {line.action for line in busy.audit.lines()}
    assert {"dataset added", "run created", "run done"} <= actions


def test_a_folder_within_none_is_refused(tmp_path):
    with pytest.raises(WorkspaceError, match="cannot be a workspace"):
        Workspace(tmp_path / "none" / "space")


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "workspace.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(WorkspaceError, match="cannot be read as a workspace"):
        Workspace(tmp_path)


def test_a_later_version_is_refused(tmp_path):
    Workspace(tmp_path)
    with sqlite3.connect(tmp_path / "workspace.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(WorkspaceError, match="later whitecrow"):
        Workspace(tmp_path)
