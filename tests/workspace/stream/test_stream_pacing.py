"""Records come at their rate, frames at theirs, by a clock that the test sets."""

import polars as pl
import pytest

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.workspace.stream import FrameMerger, Pacer, Race, ReplaySource


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def on(self, seconds):
        self.now += seconds
        return self


@pytest.fixture
def clock():
    return Clock()


@pytest.mark.parametrize("rate", [1, 7.3, 33, 1000, 10_000])
@pytest.mark.parametrize("tick", [1 / 60, 1 / 30, 0.1, 0.2])
def test_over_time_as_many_records_are_due_as_the_rate_says(clock, rate, tick):
    pacer = Pacer(rate, clock=clock)
    total = 0
    for _ in range(round(20 / tick)):
        clock.on(tick)
        total += pacer.due()
    assert total == pytest.approx(20 * rate, abs=1)


def test_a_stalled_consumer_gets_no_burst(clock):
    pacer = Pacer(1000, clock=clock, catch_up=0.25)
    clock.on(60)
    assert pacer.due() == 250
    clock.on(0.125)
    assert pacer.due() == 125


def test_a_pause_does_not_count_and_the_part_of_a_record_is_kept(clock):
    pacer = Pacer(10, clock=clock)
    clock.on(0.15)
    assert pacer.due() == 1
    pacer.pause()
    clock.on(5)
    assert (pacer.due(), pacer.paused) == (0, True)
    pacer.resume()
    clock.on(0.06)
    assert pacer.due() == 1


def test_single_steps_while_paused(clock):
    pacer = Pacer(8, clock=clock)
    pacer.step()
    assert (pacer.paused, pacer.due(), pacer.due()) == (True, 1, 0)
    pacer.step(5)
    clock.on(9)
    assert (pacer.due(), pacer.due()) == (5, 0)
    pacer.resume()
    clock.on(0.125)
    assert pacer.due() == 1


def test_a_new_rate_counts_from_now_on(clock):
    pacer = Pacer(80, clock=clock)
    clock.on(0.125)
    pacer.rate = 1000
    clock.on(0.125)
    assert pacer.due() == 135
    assert pacer.rate == 1000


def test_recorded_gaps_are_kept_and_scaled(clock):
    pacer = Pacer(10, times=[50.0, 51.0, 51.0, 54.0], clock=clock)
    assert pacer.due() == 1
    clock.on(0.09)
    assert pacer.due() == 0
    clock.on(0.02)
    assert pacer.due() == 2
    clock.on(0.2)
    assert pacer.due() == 0
    clock.on(0.2)
    assert pacer.due() == 1
    clock.on(0.2)
    assert pacer.due() == 0


def test_steps_and_restarts_of_recorded_times(clock):
    pacer = Pacer(1, times=[0.0, 10.0, 10.0, 11.0], clock=clock)
    assert pacer.due() == 1
    pacer.step(1)
    assert (pacer.due(), pacer.due()) == (1, 0)
    pacer.resume()
    assert pacer.due() == 1
    pacer.restart(3)
    assert (pacer.due(), pacer.due()) == (1, 0)
    pacer.restart()
    assert pacer.due() == 1


def test_records_of_one_moment_come_in_bounded_numbers(clock):
    pacer = Pacer(1, times=[0.0] * 25_000, clock=clock)
    assert [pacer.due() for _ in range(4)] == [10_000, 10_000, 5_000, 0]


def test_a_clock_that_goes_back_makes_nothing_due(clock):
    pacer = Pacer(100, clock=clock)
    clock.on(-50)
    assert pacer.due() == 0
    clock.on(0.125)
    assert pacer.due() == 12


@pytest.mark.parametrize("rate", [0, 0.5, 10_001, float("nan"), "fast"])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(ParameterError, match="rate must be a number from 1 to 10000"):
        Pacer(rate)
    pacer = Pacer()
    with pytest.raises(ParameterError):
        pacer.rate = rate
    assert pacer.rate == 1000


@pytest.mark.parametrize("times", [[], [1.0, 0.0], [0.0, float("nan")], [[0.0]]])
def test_times_that_do_not_rise_are_refused(times):
    with pytest.raises(DataError, match="finite seconds that do not fall"):
        Pacer(1, times=times)


# ---- frames ----


class Score:
    threshold_ = 0.0

    @staticmethod
    def anomaly_score(rows):
        return rows["a"].to_numpy()


def small_race(n=100_000):
    return Race(ReplaySource(pl.DataFrame({"a": pl.int_range(n, eager=True).cast(pl.Float64)})), {"d": Score})


@pytest.mark.parametrize(("rate", "tick"), [(1000, 1 / 200), (10_000, 1 / 60), (30, 1 / 30), (500, 0.017)])
def test_frames_are_bounded_in_number_and_length_and_lose_no_record(clock, rate, tick):
    pacer, merger, race = Pacer(rate, clock=clock), FrameMerger(30, listed=50, clock=clock), small_race()
    frames, asked = [], 0
    for _ in range(round(3 / tick)):
        clock.on(tick)
        n = pacer.due()
        asked += n
        merger.add(race.step(n))
        frame = merger.take()
        if frame is not None:
            frames.append(frame)
    frames.append(merger.take(at_once=True))
    frames = [frame for frame in frames if frame is not None]
    assert len(frames) <= 3 * 30 + 2
    assert len(frames) >= min(3 * 30, 3 / tick) * 0.9
    assert sum(frame.count for frame in frames) == asked == race.position
    end = 0
    for frame in frames:
        assert frame.first == end
        end += frame.count
        assert frame.records.height == frame.features.height == min(frame.count, 50)
        if frame.count:
            assert frame.records["position"][-1] == end - 1
            assert frame.features["a"][-1] == end - 1
        assert frame.standings["d"].counts.records == end


def test_a_frame_is_held_back_until_its_time(clock):
    merger, race = FrameMerger(10, clock=clock), small_race()
    merger.add(race.step(1))
    assert merger.take().count == 1
    merger.add(race.step(2))
    assert merger.take() is None
    clock.on(0.11)
    assert merger.take().count == 2
    assert merger.take() is None
    merger.add(race.step(3))
    assert merger.take(at_once=True).count == 3


def test_a_frame_from_elsewhere_replaces_what_was_held(clock):
    merger, race = FrameMerger(clock=clock), small_race()
    merger.add(race.step(40))
    race.rewind()
    merger.add(race.step(3))
    frame = merger.take()
    assert (frame.first, frame.count, frame.records.height) == (0, 3, 3)
