"""Simulated heartbeats: the same for the same seed, and their deviations are where they are said to be."""

import numpy as np
import pytest

from whitecrow.core.errors import ParameterError
from whitecrow.data.heartbeats import BEAT_KINDS, BEAT_STEPS, simulate_heartbeats


def test_a_seed_gives_the_same_beats():
    one, two, other = (simulate_heartbeats(50, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.beats, two.beats)
    assert not np.array_equal(one.beats, other.beats)
    assert one.beats.shape == (50, BEAT_STEPS)


def test_the_share_of_deviations_is_the_one_asked_for():
    kinds = simulate_heartbeats(20_000, anomalous=0.1, seed=1).kinds
    assert (kinds != "normal").mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 20_000))
    assert set(kinds) == set(BEAT_KINDS)
    assert set(simulate_heartbeats(100, anomalous=0.0).kinds) == {"normal"}


def test_the_waves_deviate_as_their_names_say():
    beats, kinds = simulate_heartbeats(3000, anomalous=0.8, seed=0)
    mean = {kind: beats[kinds == kind].mean(0) for kind in BEAT_KINDS}
    t_wave = slice(80, 105)
    assert mean["normal"][t_wave].mean() > 0.3
    assert mean["inverted T"][t_wave].mean() < -0.3
    assert mean["early"].argmax() < mean["normal"].argmax() - 10
    assert np.ptp(mean["flat"]) < 0.25 * np.ptp(mean["normal"])
    assert mean["no P"][22:34].max() < 0.3 * mean["normal"][22:34].max()


def test_what_cannot_be_is_refused():
    with pytest.raises(ParameterError):
        simulate_heartbeats(0)
    with pytest.raises(ParameterError):
        simulate_heartbeats(5, anomalous=1.5)
