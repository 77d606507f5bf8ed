"""Progress of a fit, and how it is stopped."""

import io
import itertools
import sys

import pytest
import torch
from toy_methods import Everything, Exploding, Linear, assert_equal, fit, rows

from whitecrow.core.errors import FitCancelled
from whitecrow.train import Progress, Replicas, monitor

EPOCHS = 2 + 4  # of the warm-up and of the second stage


def test_the_observer_hears_of_every_epoch_of_every_stage():
    heard: list[Progress] = []
    with monitor(heard.append):
        training = fit(Everything(), rows(), (3, 4))
    ends = [(p.stage, p.epoch, p.epochs) for p in heard]
    expected = [("warm-up", e, 2) for e in (1, 2)] + [("fit", e, 4) for e in (1, 2, 3, 4)]
    assert [e for e in dict.fromkeys(ends) if e[1] > 0] == expected
    assert heard[-1].fraction == 1
    fractions = [p.fraction for p in heard]
    assert fractions == sorted(fractions)
    last = [training.history[name][-1] for name in ("fit.loss", "fit.criticise")]
    assert heard[-1].loss == pytest.approx(sum(map(sum, last)) / 4)


def test_an_observer_is_heard_inside_its_block_only():
    heard: list[Progress] = []
    with monitor(heard.append):
        pass
    fit(Linear(), rows())
    assert not heard


def test_observing_changes_nothing():
    with monitor(lambda progress: None):
        observed = fit(Everything(), rows(), (3, 4))
    assert_equal(observed, fit(Everything(), rows(), (3, 4)))


def test_an_observer_that_cancels_stops_the_fit():
    heard: list[Progress] = []

    def cancel(progress: Progress) -> None:
        heard.append(progress)
        if progress.epoch == 2:
            raise FitCancelled("enough")

    with monitor(cancel), pytest.raises(FitCancelled, match="enough"):
        fit(Linear(), rows(), epochs=50)
    assert heard[-1].epoch == 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "verbose", "lines"), [(0.0, True, 0), (3.0, True, 1), (3.0, False, 0)])
def test_a_long_fit_writes_one_line_to_a_terminal(monkeypatch, seconds, verbose, lines):
    clock, terminal = itertools.count(0.0, seconds), Terminal()
    monkeypatch.setattr(sys.modules["whitecrow.train.monitor"].time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stderr", terminal)
    fit(Linear(), rows(), verbose=verbose)
    written = terminal.getvalue()
    assert written.count("\n") == lines
    if lines:
        assert "fit: epoch 4/4" in written
        assert "100%" in written


RUNS = {"direct": (3, 4), "vmap": (3, 4), "loop": (3, 4), "alone": (3,)}
HARD = {"validation": {"n_validation": 12, "patience": 1, "epochs": 8}, "trim": {"trim": 0.2}, "plain": {}}


def everything(execution: str) -> Everything:
    method = Everything()
    method.execution = "direct" if execution == "alone" else execution  # pyright: ignore[reportAttributeAccessIssue]
    return method


@pytest.mark.parametrize("settings", HARD.values(), ids=HARD)
@pytest.mark.parametrize("execution", RUNS)
def test_looking_at_the_networks_changes_nothing(execution, settings):
    def spoil(progress: Progress) -> None:
        if progress.networks is not None:
            looked.append(progress)
            copied = progress.networks()
            with torch.no_grad():
                for tensor in copied.stacked.values():
                    tensor.fill_(7)

    looked: list[Progress] = []
    with monitor(spoil):
        watched = fit(everything(execution), rows(), RUNS[execution], **settings)
    assert len(looked) == len(watched.history["warm-up.reconstruct"]) + len(watched.history["fit.loss"])
    assert_equal(watched, fit(everything(execution), rows(), RUNS[execution], **settings))


@pytest.mark.parametrize("execution", RUNS)
def test_the_networks_after_the_last_epoch_are_those_that_the_fit_leaves(execution):
    seen: list[Replicas] = []
    with monitor(lambda p: seen.append(p.networks()) if p.networks is not None else None):
        training = fit(everything(execution), rows(), RUNS[execution])
    assert len(seen) == EPOCHS
    # With the averages of the stage, what the hooks have set, finish among them, and the noise of scoring.
    torch.testing.assert_close(seen[-1].stacked, training.replicas.stacked, rtol=0, atol=0)
    assert not torch.equal(seen[-2].stacked["level"], seen[-1].stacked["level"])


def test_what_is_measured_of_an_epoch_is_what_the_history_keeps_of_it():
    heard: list[Progress] = []
    with monitor(heard.append):
        training = fit(Everything(), rows(), (3, 4), n_validation=12)
    ends = [p for p in heard if p.networks is not None]
    assert [p.epoch for p in ends] == [1, 2, 1, 2, 3, 4]
    for p in ends:
        names = {"reconstruct"} if p.stage == "warm-up" else {"loss", "criticise", "validation"}
        assert p.measured.keys() == names
        for name in names:
            kept = training.history[f"{p.stage}.{name}"][p.epoch - 1]
            assert p.measured[name] == pytest.approx(sum(kept) / 2, rel=1e-15)
    within = [p for p in heard if p.networks is None]
    assert all(not p.measured for p in within)


def test_a_replica_that_diverged_is_left_out_of_what_is_measured():
    ends: list[Progress] = []
    with (
        monitor(lambda p: ends.append(p) if p.networks is not None else None),
        pytest.warns(UserWarning, match="replica 1"),
    ):
        training = fit(Exploding((False, True), epoch=2), rows(), (3, 4))
    assert ends[-1].measured["loss"] == training.history["fit.loss"][-1][0]


def test_nobody_looking_costs_nothing(monkeypatch):
    def never(*_):
        raise AssertionError("somebody looked")

    monkeypatch.setattr(Replicas, "copy", never)
    heard: list[Progress] = []
    with monitor(heard.append):
        fit(Linear(), rows())
    assert heard[-1].networks is not None
    monkeypatch.setattr(sys.modules["whitecrow.train.engine"]._Run, "_measured", never)
    fit(Linear(), rows())
