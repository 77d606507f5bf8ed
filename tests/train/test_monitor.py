"""Progress of a fit, and how it is stopped."""

import io
import itertools
import sys

import pytest
from toy_methods import Everything, Linear, assert_equal, fit, rows

from whitecrow.core.errors import FitCancelled
from whitecrow.train import Progress, monitor

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
