"""Fits in the background: their outcome, their end before time, and what is left of those that died."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from tests.workspace.conftest import small_table, wait

import whitecrow
from whitecrow.core.processes import started
from whitecrow.workspace import Budget, DatasetSettings, FitRequest, SplitRule, Workspace, WorkspaceError

LONG = {"epochs": 200_000, "validation": 0.0}


# Long enough to be disturbed.
STEADY = {"epochs": 300, "validation": 0.0}


@pytest.fixture(scope="module")
def undisturbed(busy, dataset) -> np.ndarray:
    """Scores of a steady fit that nobody disturbs."""
    return busy.scores(wait(busy, busy.jobs.submit(FitRequest(dataset, "autoencoder", STEADY)).id).id).score


def begun(workspace: Workspace, key: str) -> None:
    """Wait until a run has trained some epochs."""
    end = time.monotonic() + 60
    while not workspace.runs.get(key).epoch:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_run_scores_as_the_same_fit_does_here(busy, dataset, done):
    scores = busy.scores(done)
    rows = small_table().drop("label", "at")
    detector = whitecrow.detector("pca", random_state=0, verbose=False).fit(rows[:150])
    np.testing.assert_array_equal(scores.score, detector.anomaly_score(rows))
    np.testing.assert_array_equal(scores.p_value, detector.p_value(rows))
    assert busy.runs.get(done).threshold == detector.threshold_
    assert scores.rows().tolist() == list(range(150, 300))


def test_a_run_is_judged_on_its_test_rows(busy, done):
    from sklearn.metrics import roc_auc_score

    record, scores = busy.runs.get(done), busy.scores(done)
    test = scores.rows("test")
    assert record.report["n"] == 150
    assert record.report["metrics"]["auroc"]["value"] == pytest.approx(
        roc_auc_score(scores.label[test], scores.score[test]), abs=1e-12
    )
    assert record.cost["rows_scored"] == 300
    assert any("of the training rows are labelled as anomalies" in note for note in record.notes)


def test_a_run_without_labels_has_scores_and_no_figures(busy, dataset):
    settings = DatasetSettings(ignore=("at", "label"))
    request = FitRequest(dataset, "pca", settings=settings, split=SplitRule("all"))
    record = wait(busy, busy.jobs.submit(request).id)
    assert record.report is None
    assert "Every row trained" in record.notes[0]
    assert (busy.scores(record.id).label == -1).all()


def test_progress_and_every_epoch_are_recorded(busy, dataset):
    record = wait(busy, busy.jobs.submit(FitRequest(dataset, "autoencoder", {"epochs": 7, "validation": 0.0})).id)
    epochs = busy.runs.epochs(record.id)
    assert [e.epoch for e in epochs] == [1, 2, 3, 4, 5, 6, 7]
    assert record.fraction == 1
    assert record.loss == epochs[-1].loss > 0
    assert [e.place for e in busy.runs.epochs(record.id, after=4)] == [5, 6]


def test_epochs_of_several_stages_follow_one_another(busy, dataset):
    record = wait(busy, busy.jobs.submit(FitRequest(dataset, "dagmm", {"epochs": 3, "warm_up": 2})).id)
    assert record.error is None
    epochs = busy.runs.epochs(record.id)
    assert [e.place for e in epochs] == list(range(len(epochs)))
    assert len({e.stage for e in epochs}) == 2


def test_a_series_is_fitted_on_its_first_steps(busy, dataset):
    settings = DatasetSettings(label="label", ignore=("service",), time="at")
    request = FitRequest(dataset, "sub-pca", {"window": 8}, settings=settings, split=SplitRule("order"))
    record = wait(busy, busy.jobs.submit(request).id)
    assert record.error is None
    assert len(busy.scores(record.id)) == 300


def test_a_fit_that_cannot_be_is_a_failed_run(busy, dataset):
    settings = DatasetSettings(label="label", ignore=("at", "size", "rate"))
    record = wait(busy, busy.jobs.submit(FitRequest(dataset, "pca", {"n_components": 50}, settings=settings)).id)
    assert record.state == "failed"
    assert "n_components" in record.error
    with pytest.raises(WorkspaceError, match="failed and has no model"):
        busy.scores(record.id)


def test_a_fit_beyond_its_time_fails(busy, dataset):
    request = FitRequest(dataset, "autoencoder", LONG, budget=Budget(seconds=1))
    record = wait(busy, busy.jobs.submit(request).id)
    assert record.state == "failed"
    assert "more than its 1 seconds" in record.error


def test_a_fit_beyond_its_memory_fails(busy, dataset):
    record = wait(busy, busy.jobs.submit(FitRequest(dataset, "autoencoder", LONG, budget=Budget(memory_mb=50))).id)
    assert record.state == "failed"
    assert "more than its 50 MB" in record.error


def test_a_process_that_is_killed_is_a_failed_run_and_the_queue_goes_on(busy, dataset):
    run = busy.jobs.submit(FitRequest(dataset, "autoencoder", LONG))
    begun(busy, run.id)
    (fit,) = busy.jobs._fits.values()
    os.kill(fit.worker._process.pid, signal.SIGKILL)
    assert "ended by signal 9" in wait(busy, run.id).error
    assert wait(busy, busy.jobs.submit(FitRequest(dataset, "pca")).id).state == "done"


def test_a_cancelled_fit_resumes_to_what_it_would_have_been(busy, dataset, undisturbed):
    run = busy.jobs.submit(FitRequest(dataset, "autoencoder", STEADY))
    begun(busy, run.id)
    busy.jobs.cancel(run.id)
    stopped = wait(busy, run.id)
    assert stopped.state == "cancelled"
    assert stopped.epoch < STEADY["epochs"]
    assert (busy.runs.folder(run.id) / "checkpoint").exists()
    busy.jobs.resume(run.id)
    resumed = wait(busy, run.id)
    assert resumed.state == "done"
    np.testing.assert_array_equal(busy.scores(run.id).score, undisturbed)
    assert [e.epoch for e in busy.runs.epochs(run.id)] == list(range(1, STEADY["epochs"] + 1))


def test_a_queued_fit_is_cancelled_at_once(workspace):
    record = workspace.datasets.add(small_table(), "rows", settings=DatasetSettings(label="label"))
    run = workspace.jobs.submit(FitRequest(record.id, "pca"))
    assert workspace.jobs.cancel(run.id).state == "cancelled"
    with pytest.raises(WorkspaceError, match="nothing to cancel"):
        workspace.jobs.cancel(run.id)


def test_only_a_run_without_a_model_resumes(busy, done):
    with pytest.raises(WorkspaceError, match="is done"):
        busy.jobs.resume(done)


def test_a_queued_run_is_claimed_once(workspace):
    record = workspace.datasets.add(small_table(), "rows", settings=DatasetSettings(label="label"))
    runs = [workspace.jobs.submit(FitRequest(record.id, "pca")).id for _ in range(12)]
    claimed: list[str] = []

    def claim() -> None:
        while (key := workspace.runs.claim(os.getpid(), started(os.getpid()))) is not None:
            claimed.append(key)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(runs)


def test_the_number_of_a_run_is_never_given_twice(workspace):
    record = workspace.datasets.add(small_table(), "rows")
    for expected in (1, 2, 3):
        run = workspace.jobs.submit(FitRequest(record.id, "pca"))
        assert run.number == expected
        workspace.jobs.cancel(run.id)
        workspace.runs.remove(run.id)


def test_a_run_that_has_not_ended_is_not_removed(workspace):
    record = workspace.datasets.add(small_table(), "rows")
    run = workspace.jobs.submit(FitRequest(record.id, "pca"))
    with pytest.raises(WorkspaceError, match="queued"):
        workspace.runs.remove(run.id)


def test_a_killed_owner_leaves_an_interrupted_run_that_resumes_to_what_it_would_have_been(undisturbed, tmp_path):
    """The owner is killed without a word; its fit ends by itself, and another owner takes the run up."""
    table, settings = small_table(), DatasetSettings(label="label", ignore=("at",))
    space = Workspace(tmp_path / "space")
    request = FitRequest(space.datasets.add(table, "rows", settings=settings).id, "autoencoder", STEADY)
    code = (
        "import sys, time\n"
        "from whitecrow.workspace import Workspace\n"
        "space = Workspace(sys.argv[1])\n"
        "space.jobs.start()\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    run = space.jobs.submit(request)
    owner = subprocess.Popen([sys.executable, "-c", code, str(space.folder)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout:
        assert owner.stdout.readline() == "up\n"
        begun(space, run.id)
        owner.kill()
        owner.wait()
    space.jobs.start()
    try:
        assert space.runs.get(run.id).state == "interrupted"
        assert not space.runs.scores_file(run.id).exists()
        space.jobs.resume(run.id)
        resumed = wait(space, run.id)
    finally:
        space.jobs.close()
    assert resumed.error is None
    np.testing.assert_array_equal(space.scores(run.id).score, undisturbed)


def test_closing_leaves_a_running_fit_interrupted(tmp_path):
    space = Workspace(tmp_path / "space")
    record = space.datasets.add(small_table(), "rows", settings=DatasetSettings(label="label", ignore=("at",)))
    space.jobs.start()
    run = space.jobs.submit(FitRequest(record.id, "autoencoder", LONG))
    begun(space, run.id)
    space.jobs.close()
    assert space.runs.get(run.id).state == "interrupted"
