"""A fit that is interrupted and taken up again ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_methods import Everything, Exploding, Linear, assert_equal, fit, rows

import whitecrow as wc
from whitecrow.core.errors import CheckpointError, FitCancelled, ParameterError, WhitecrowWarning
from whitecrow.train import Checkpoint, Progress, monitor

SETTINGS = {
    "n_validation": 12,
    "patience": 1,
    "epochs": 5,
    "clip_norm": 0.5,
    "lr_schedule": "cosine",
    "lr": 0.05,
    "trim": 0.1,
}


N_EPOCHS = 2 + 5  # of the warm-up and of the second stage
SEEDS = (3, 11, 8)


class Stop:
    """Cancels the fit at the n-th end of an epoch that it hears of, or never."""

    def __init__(self, after: int, n_epochs: int = N_EPOCHS) -> None:
        self.after, self.n_epochs = after, n_epochs
        self.seen: list[tuple[str, int]] = []

    def __call__(self, progress: Progress) -> None:
        done = progress.fraction * self.n_epochs
        if abs(done - round(done)) < 1e-9:
            self.seen.append((progress.stage, progress.epoch))
            if len(self.seen) == self.after:
                raise FitCancelled("stop")


@pytest.mark.parametrize(
    ("execution", "seeds"), [("direct", SEEDS), ("vmap", (3, 8)), ("loop", (3, 8)), ("direct", (3,))]
)
def test_a_fit_resumed_at_any_epoch_equals_the_uninterrupted_one(tmp_path, execution, seeds):
    method = Everything()
    method.execution = execution
    counter = Stop(-1)
    with monitor(counter):
        undisturbed = fit(method, rows(), seeds, **SETTINGS)
    assert len({stage for stage, _ in counter.seen}) == 2
    for after in range(1, len(counter.seen) + 1):
        checkpoint = Checkpoint(tmp_path / "fit.checkpoint", "one fit", every=1000)
        with monitor(Stop(after)), pytest.raises(FitCancelled):
            fit(method, rows(), seeds, checkpoint, **SETTINGS)
        assert checkpoint.path.exists()
        resumed = fit(method, rows(), seeds, Checkpoint(checkpoint.path, "one fit"), **SETTINGS)
        assert_equal(resumed, undisturbed)
        assert list(tmp_path.iterdir()) == []


def test_a_fit_interrupted_again_and_again_equals_the_uninterrupted_one(tmp_path):
    undisturbed, resumed = fit(Everything(), rows(), SEEDS, **SETTINGS), None
    for _ in range(20):
        try:
            with monitor(Stop(1)):
                resumed = fit(Everything(), rows(), SEEDS, Checkpoint(tmp_path / "c", "one fit"), **SETTINGS)
            break
        except FitCancelled:
            continue
    assert resumed is not None
    assert_equal(resumed, undisturbed)


def test_a_replica_that_diverged_before_the_interruption_stays_frozen(tmp_path):
    explode = (False, True, False)
    with pytest.warns(WhitecrowWarning, match="replica 1 diverged"):
        undisturbed = fit(Exploding(explode, 2), rows(), SEEDS, epochs=6)
    for after in (2, 3, 4):  # before, at and after the divergence
        checkpoint = Checkpoint(tmp_path / "c", "one fit")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WhitecrowWarning)
            with monitor(Stop(after, 6)), pytest.raises(FitCancelled):
                fit(Exploding(explode, 2), rows(), SEEDS, checkpoint, epochs=6)
            resumed = fit(Exploding(explode, 2), rows(), SEEDS, checkpoint, epochs=6)
        assert resumed.diverged == undisturbed.diverged
        assert resumed.n_epochs == undisturbed.n_epochs
        torch.testing.assert_close(resumed.replicas.stacked, undisturbed.replicas.stacked, rtol=0, atol=0)


CHILD = """
import sys, time
sys.path.insert(0, {here!r})
from toy_methods import Everything, fit, rows
from whitecrow.train import Checkpoint

class Halting(Everything):
    calls = 0

    def loss(self, net, batch):
        Halting.calls += 1
        if Halting.calls == {calls}:
            print("halted", flush=True)
            time.sleep(120)
        return super().loss(net, batch)

fit(Halting(), rows(), {seeds}, Checkpoint({path!r}, "one fit", every={every}), **{settings})
"""


def halt_and_signal(path: Path, number: int, every: float) -> int:
    """Signal a fit in another process in the middle of an epoch, and return its exit status."""
    code = CHILD.format(
        here=str(Path(__file__).parent), calls=16, seeds=SEEDS, path=str(path), every=every, settings=SETTINGS
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "halted\n"
        child.send_signal(number)
        return child.wait(60)


@pytest.mark.usefixtures("preloaded")
@pytest.mark.parametrize(("number", "every"), [(signal.SIGKILL, 0), (signal.SIGINT, 1000)])
def test_a_killed_or_interrupted_process_leaves_what_the_next_one_completes(tmp_path, number, every):
    path = tmp_path / "fit.checkpoint"
    assert halt_and_signal(path, number, every) != 0
    assert list(tmp_path.iterdir()) == [path]
    resumed = fit(Everything(), rows(), SEEDS, Checkpoint(path, "one fit"), **SETTINGS)
    assert_equal(resumed, fit(Everything(), rows(), SEEDS, **SETTINGS))
    assert not path.exists()


@pytest.fixture
def half_done(tmp_path) -> Path:
    """Return the checkpoint of a fit that was cancelled."""
    path = tmp_path / "fit.checkpoint"
    with monitor(Stop(2, 4)), pytest.raises(FitCancelled):
        fit(Linear(), rows(), SEEDS, Checkpoint(path, "one fit"))
    return path


def damaged(content: bytes) -> list[bytes]:
    """Return a file that is empty, of another kind, too long, cut off, or has a wrong byte."""
    rng = np.random.default_rng(0)
    cut = [content[:i] for i in rng.integers(0, len(content), 20)]
    places = (0, 5, 9, 60, 200, len(content) - 1, *rng.integers(0, len(content), 40))
    flipped = [content[:i] + bytes([content[i] ^ 0x11]) + content[i + 1 :] for i in places]
    return [b"", b"not a checkpoint", rng.bytes(4000), content + b"x", *cut, *flipped]


def test_a_damaged_checkpoint_is_refused_and_kept(half_done):
    for content in damaged(half_done.read_bytes()):
        half_done.write_bytes(content)
        with pytest.raises(CheckpointError, match="Delete it"):
            Checkpoint(half_done, "one fit").read()
        assert half_done.read_bytes() == content


def test_the_checkpoint_of_another_fit_is_refused_and_kept(half_done):
    with pytest.raises(CheckpointError, match="other parameters"):
        fit(Linear(), rows(), SEEDS, Checkpoint(half_done, "another fit"))
    assert half_done.exists()


def test_a_folder_that_does_not_exist_is_named_before_training(tmp_path):
    with pytest.raises(CheckpointError, match="absent"):
        fit(Linear(), rows(), SEEDS, Checkpoint(tmp_path / "absent" / "c", "one fit"))


def test_a_file_is_written_no_more_often_than_asked(tmp_path):
    seldom = Checkpoint(tmp_path / "seldom", "one fit", every=1000)
    often = Checkpoint(tmp_path / "often", "one fit", every=0)
    for checkpoint in (seldom, often):
        checkpoint.offer({"a": torch.zeros(2)}, {"epoch": 1})
    assert not seldom.path.exists()
    assert often.path.exists()
    seldom.flush()
    state = seldom.read()
    assert state is not None
    assert state[1]["epoch"] == 1


def test_what_is_offered_is_the_state_of_that_moment(tmp_path):
    checkpoint = Checkpoint(tmp_path / "c", "one fit", every=1000)
    tensor = torch.zeros(2)
    checkpoint.offer({"a": tensor}, {"epoch": 1})
    tensor.fill_(9)
    checkpoint.flush()
    state = checkpoint.read()
    assert state is not None
    assert state[0]["a"].eq(0).all()


def detector(path: Path | None, **parameters) -> wc.AutoEncoder:
    given = {"epochs": 6, "random_state": 4, "n_replicas": 2, "dropout": 0.2, **parameters}
    return wc.AutoEncoder(checkpoint=None if path is None else str(path), **given)


def table(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(120, 5))


def test_a_detector_resumes_its_cancelled_fit(tmp_path):
    path = tmp_path / "c"
    with monitor(Stop(3, 6)), pytest.raises(FitCancelled):
        detector(path).fit(table())
    heard: list[Progress] = []
    with monitor(heard.append):
        resumed = detector(path).fit(table())
    assert min(p.epoch for p in heard if p.fraction > 0) >= 3
    expected = detector(None).fit(table())
    np.testing.assert_array_equal(resumed.anomaly_score(table(1)), expected.anomaly_score(table(1)))
    assert resumed.history_ == expected.history_
    assert not path.exists()


@pytest.mark.parametrize("change", [{"lr": 0.5}, {"random_state": 5}, {"n_replicas": 3}, {"dropout": 0.3}, {}])
def test_a_detector_refuses_the_checkpoint_of_other_parameters_or_data(tmp_path, change):
    path = tmp_path / "c"
    with monitor(Stop(1, 6)), pytest.raises(FitCancelled):
        detector(path).fit(table())
    with pytest.raises(CheckpointError, match="Delete it, or give another path"):
        detector(path, **change).fit(table() if change else table(1))


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_a_checkpoint_needs_a_seed_that_is_the_same_next_time(tmp_path, random_state):
    with pytest.raises(ParameterError, match="Give random_state an integer"):
        detector(tmp_path / "c", random_state=random_state).fit(table())


def test_a_detector_whose_second_fit_was_cancelled_is_not_fitted():
    """Its encoder would be of the second fit and its networks of the first."""
    det = detector(None).fit(table())
    with monitor(Stop(2, 6)), pytest.raises(FitCancelled):
        det.fit(100 + table(1)[:, :3])
    with pytest.raises(wc.NotFittedError):
        det.anomaly_score(table())
    assert np.isfinite(det.fit(table()).anomaly_score(table())).all()
