"""A study computes what is missing, stops what takes too much, counts what fails, and ends the same when broken off."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import whitecrow as wc
from whitecrow.core import registry
from whitecrow.core.errors import ParameterError
from whitecrow.metrics import auroc
from whitecrow.study.execution import run_block
from whitecrow.study.outcome import Outcome
from whitecrow.study.plan import Budget, load_study
from whitecrow.study.runner import run_study
from whitecrow.study.sources import load_rows
from whitecrow.study.store import Store
from whitecrow.study.worker import BudgetError, Worker, WorkerError

TIMES = ("fit_s", "score_s", "memory_mb", "finished")


def results(store, study="small"):
    return store.cells(study).drop(*TIMES, "key")


@pytest.fixture
def misbehaving(monkeypatch, tmp_path):
    """Register the detectors of misbehaving.py in this process and in those it starts."""
    info = tmp_path / "plugin" / "misbehaving_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[whitecrow.detectors]\nmisbehaving = misbehaving:Misbehaving [table]\n")
    paths = [str(tmp_path / "plugin"), str(Path(__file__).parent)]
    for path in paths:
        monkeypatch.syspath_prepend(path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]))
    registry._entries.cache_clear()
    yield lambda how: [{"name": "misbehaving", "parameters": {"how": how}}]
    monkeypatch.undo()
    registry._entries.cache_clear()


def test_a_study_runs_once(make_study, tmp_path):
    study, store = make_study(), Store(tmp_path / "store")
    seen = []
    first = run_study(study, store, on_progress=seen.append)
    assert (first.total, first.stored, first.done, first.failed) == (9, 0, 9, 0)
    assert seen[-1].done == 9
    assert seen[-1].seconds_left == 0
    before = store.cells("small")
    second = run_study(study, store)
    assert (second.stored, second.done) == (9, 0)
    assert store.cells("small").equals(before)
    more = run_study(make_study(seeds=4), store)
    assert (more.stored, more.done) == (9, 3)


@pytest.mark.usefixtures("preloaded")
def test_what_failed_is_run_again_only_when_asked(make_study, tmp_path):
    study, store = make_study(detectors=["pca"], seeds=2), Store(tmp_path)
    key = study.cells[0].key(load_rows(study.data[0]).fingerprint)
    store.write([(key, study.cells[0], "code", Outcome(error="TrainingError: no").document())])
    assert run_study(study, store).done == 1
    assert store.cells("small")["error"].to_list() == ["TrainingError: no", ""]
    assert run_study(study, store, retry_failed=True).done == 1
    assert store.cells("small")["error"].to_list() == ["", ""]


@pytest.mark.usefixtures("preloaded")
def test_a_cell_is_what_a_user_would_compute(make_study, tmp_path):
    study, store = make_study(detectors=["knn"]), Store(tmp_path / "store")
    run_study(study, store)
    rows = load_rows(study.data[0])
    split = study.protocol_for(study.data[0]).split(rows.y, seed=2)
    model = wc.detector("knn", regime="clean", random_state=2).fit(rows.X[split.train])
    expected = auroc(rows.y[split.test], model.anomaly_score(rows.X[split.test]))
    found = store.cells("small").filter(pl.col("seed") == 2)
    assert found["auroc"].to_list() == [expected]
    families = store.families("small").filter(pl.col("seed") == 2)
    flagged = model.is_anomaly(rows.X[split.test])
    far = rows.families[split.test] == "far"
    assert families.filter(pl.col("family") == "far")["operational_recall"].to_list() == [flagged[far].mean()]


def test_seeds_that_train_together_end_as_each_alone(make_study):
    study = make_study(detectors=[{"name": "autoencoder", "parameters": {"epochs": 4}}])
    together = run_block(study.cells)
    alone = [run_block([cell])[0] for cell in study.cells]
    assert [o.together for o in together] == [3, 3, 3]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(list(one.figures.values()), list(other.figures.values()), rtol=1e-5)


@pytest.mark.usefixtures("preloaded")
def test_what_takes_too_long_is_stopped_and_stored(make_study, misbehaving, tmp_path, monkeypatch):
    monkeypatch.setattr("whitecrow.study.worker._GRACE", 0.0)
    study = make_study(detectors=[*misbehaving("sleep"), "pca"], seeds=1, budget={"seconds": 4})
    store = Store(tmp_path / "store")
    summary = run_study(study, store)
    assert (summary.done, summary.failed) == (2, 1)
    cells = store.cells("small")
    assert "more than its time" in cells.filter(pl.col("detector") == "misbehaving")["error"][0]
    assert cells.filter(pl.col("detector") == "pca")["error"][0] == ""


def test_what_takes_too_much_memory_is_stopped(make_study, misbehaving):
    cells = make_study(detectors=misbehaving("memory"), seeds=1).cells
    worker = Worker()
    try:
        with pytest.raises(BudgetError, match="1200 MB"):
            worker.run(cells, Budget(memory_mb=1200))
    finally:
        worker.close()


@pytest.mark.usefixtures("preloaded")
def test_a_process_that_dies_is_a_failure_of_its_cell_alone(make_study, misbehaving, tmp_path):
    study = make_study(detectors=[*misbehaving("die"), "pca"], seeds=2)
    store = Store(tmp_path / "store")
    summary = run_study(study, store)
    assert (summary.done, summary.failed) == (4, 2)
    assert "exit code 3" in next(iter(summary.errors))


@pytest.mark.usefixtures("preloaded")
def test_a_fault_of_a_method_is_stored_with_its_words(make_study, misbehaving):
    worker = Worker()
    try:
        with pytest.raises(WorkerError, match="ZeroDivisionError: a fault of the method"):
            worker.run(make_study(detectors=misbehaving("bug"), seeds=1).cells, Budget())
        # And the process still answers.
        assert worker.run(make_study(detectors=["pca"], seeds=1).cells, Budget())[0]["error"] == ""
    finally:
        worker.close()


def test_seeds_fail_one_by_one(make_study, misbehaving):
    outcomes = run_block(make_study(detectors=misbehaving("odd")).cells)
    assert [bool(o.error) for o in outcomes] == [False, True, False]
    assert outcomes[1].error == "TrainingError: an odd seed"
    assert outcomes[1].figures == {}


@pytest.mark.usefixtures("preloaded")
def test_a_label_among_the_features_fails_every_cell_with_its_name(make_study, tmp_path):
    text = make_study.file.read_text().splitlines()
    copied = [f"{line},{'leak' if i == 0 else int('normal' not in line)}" for i, line in enumerate(text)]
    make_study.file.write_text("\n".join(copied) + "\n")
    store = Store(tmp_path / "store")
    summary = run_study(make_study(detectors=["pca"]), store)
    assert summary.failed == 3
    assert "leak" in next(iter(summary.errors))
    assert "LeakError" in next(iter(summary.errors))


def test_contamination_reaches_training_and_the_threshold(make_study):
    clean, dirty = (make_study(detectors=["knn"], contamination=[c], protocol="robustness", seeds=1) for c in (0, 0.1))
    first, second = run_block(clean.cells)[0], run_block(dirty.cells)[0]
    assert second.n_train > first.n_train
    assert second.n_test == first.n_test
    assert second.figures["auroc"] < first.figures["auroc"]


def test_known_anomalies_are_labels_and_nothing_else(make_study):
    study = make_study(detectors=["deep-sad", "pca"], protocol="semi-supervised", options={"n_labelled": 8}, seeds=1)
    assert {cell.regime for cell in study.cells} == {"labelled"}
    for cell in study.cells:
        found = run_block([cell])[0]
        assert found.error == ""
        assert found.figures["auroc"] > 0.7


def test_rows_beyond_the_most_are_thinned(make_study):
    study = make_study(detectors=[{"name": "knn", "max_train": 50}], protocol="robustness", contamination=[0.1])
    assert [o.n_train for o in run_block(study.cells)] == [50, 50, 50]


def test_a_share_that_cannot_be_injected_is_refused_before_training(make_study, tmp_path):
    study = make_study(protocol="robustness", contamination=[0.0, 0.3])
    with pytest.raises(ParameterError, match=r"data set 'rows': contamination=0.3 .* largest share here is"):
        run_study(study, Store(tmp_path))
    assert Store(tmp_path).finished() == {}


def test_unusable_arguments_are_refused(make_study, tmp_path):
    store = Store(tmp_path)
    with pytest.raises(ParameterError, match="jobs"):
        run_study(make_study(), store, jobs=0)
    with pytest.raises(ParameterError, match="go together"):
        run_study(make_study(), store, backend="dask")


@pytest.mark.usefixtures("preloaded")
def test_a_worker_whose_owner_is_gone_ends(make_study, tmp_path):
    script = (
        "import time\nfrom whitecrow.study.worker import Worker\n"
        "worker = Worker()\nprocess = worker._running()\nprint(process.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        pid = int(owner.stdout.readline())
        owner.kill()
    end = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0]
        if state == "Z":
            break
        time.sleep(0.1)
    else:
        assert not Path(f"/proc/{pid}").exists()


def test_a_run_that_is_killed_leaves_nothing_running(make_study, misbehaving, tmp_path, preloaded_python):
    study = make_study(detectors=misbehaving("sleep"), seeds=2)
    # A process of joblib asks whether the run that started it still lives, so it must be its child.
    script = (
        f"import json, sys\nsys.executable = {sys.executable!r}\nfrom whitecrow.study import Store, Study, run_study\n"
        "run_study(Study.of(json.loads(sys.argv[1])), Store(sys.argv[2]), jobs=2)\n"
    )
    arguments = [preloaded_python, "-c", script, json.dumps(study.document()), str(tmp_path / "store")]
    run = subprocess.Popen(arguments, env={**os.environ, "MARK": str(tmp_path)})

    def started():
        mine = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (
                    str(tmp_path).encode() in (entry / "environ").read_bytes()
                    and b"study.worker" in (entry / "cmdline").read_bytes()
                ):
                    mine.append(entry)
            except OSError:
                continue
        return mine

    def wait(condition):
        end = time.monotonic() + 60
        while not condition() and time.monotonic() < end:
            time.sleep(0.1)
        return condition()

    assert wait(started)
    run.kill()
    run.wait()
    assert wait(lambda: not started())


@pytest.mark.slow
@pytest.mark.usefixtures("preloaded")
def test_broken_off_twenty_times_it_ends_as_undisturbed(make_study, tmp_path, preloaded_python):
    toml = tmp_path / "small.toml"
    methods = '{name = "autoencoder", parameters = {epochs = 3}}, {name = "vae", parameters = {epochs = 2}}, "knn"'
    toml.write_text(
        f'data = [{{name = "rows", file = "{make_study.file}", label = "kind"}}]\n'
        f"detectors = [{methods}]\n"
        'protocol = "robustness"\ncontamination = [0.0, 0.1]\nseeds = 15\n'
    )
    command = [preloaded_python, "-m", "whitecrow.cli", "study", "run", str(toml), "--jobs", "1", "--quiet", "--store"]
    command.append(str(tmp_path / "broken"))
    broken, rng, stored = Store(tmp_path / "broken"), random.Random(0), [0]
    for k in range(20):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        # While it starts or is in its first block, or after it has stored another.
        wanted = stored[-1] + rng.choice([0, 1])
        while len(broken.finished()) < wanted and process.poll() is None:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL if k % 2 else signal.SIGINT)
        process.wait(timeout=60)
        stored.append(len(broken.finished()))
    assert any(0 < n < 90 for n in stored)
    assert subprocess.run(command, check=False).returncode == 0
    whole = Store(tmp_path / "whole")
    assert run_study(load_study(toml), whole).failed == 0
    expected, found = results(whole), results(broken)
    assert expected.height == 90
    assert found.equals(expected)
