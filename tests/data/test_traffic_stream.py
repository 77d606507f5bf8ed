"""The endless stream: reproducible however it is taken, and time never goes back."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from whitecrow.core.errors import ParameterError
from whitecrow.data.traffic import KINDS, traffic_table
from whitecrow.data.traffic_stream import USUAL_MIX, TrafficStream

WEEK = 700


def stream(seed=3, attack_rate=0.1, mix=None, **kwargs):
    return TrafficStream(seed, attack_rate, mix, week_rows=WEEK, **kwargs)


def taken(source, sizes):
    return pl.concat([source.take(n) for n in sizes])


def test_a_week_is_what_the_simulator_makes_of_its_seed():
    found = stream().take(2 * WEEK)
    for week in (0, 1):
        seed = int(np.random.SeedSequence(3, spawn_key=(week,)).generate_state(1, np.uint64)[0])
        table = traffic_table(WEEK, 0.1, seed)
        table = table.with_columns(pl.col("timestamp") + timedelta(weeks=week))
        assert found[week * WEEK : (week + 1) * WEEK].equals(table)


@pytest.mark.parametrize("sizes", [[1900], [1] * 10 + [690, 1200], [699, 1, 1, 1199], [0, 1000, 0, 900]])
def test_the_records_do_not_depend_on_how_many_are_taken_at_once(sizes):
    assert taken(stream(), sizes).equals(stream().take(1900))


def test_blocks_are_two_thousand_records_each_and_follow_one_another():
    source = stream()
    blocks = [next(source), next(source)]
    assert [block.height for block in blocks] == [2000, 2000]
    assert pl.concat(blocks).equals(stream().take(4000))


def test_another_seed_is_another_stream_and_no_week_repeats():
    one, other = stream(3).take(WEEK), stream(4).take(WEEK)
    assert not one.equals(other)
    both = stream(3).take(2 * WEEK)["bytes_out"].to_numpy()
    assert not np.array_equal(both[:WEEK], both[WEEK:])


def test_the_stream_of_a_seed_is_not_the_table_of_that_seed():
    assert not TrafficStream(0, 0.02).take(500).equals(traffic_table(20_000, 0.02, 0).head(500))


def test_time_goes_on_over_the_weeks_and_over_changes():
    source = stream()
    parts = [source.take(333)]
    for rate in (0.4, 0.0, 0.3):
        source.set_attacks(attack_rate=rate)
        source.set_attacks(attack_rate=rate / 2)
        parts.append(source.take(500))
    times = pl.concat(parts)["timestamp"]
    assert times.is_sorted()
    assert times[-1] > times[0] + timedelta(weeks=2)


def test_seek_reaches_any_record():
    whole = stream().take(3 * WEEK)
    source = stream()
    for position in (1500, 0, 699, 700, 701, 2099):
        source.seek(position)
        assert source.position == position
        assert source.take(1).equals(whole[position : position + 1])


def test_each_week_has_exactly_the_rate_of_attacks():
    labels = stream(attack_rate=0.1).take(2 * WEEK)["label"]
    assert [(labels[k * WEEK : (k + 1) * WEEK] != "normal").sum() for k in (0, 1)] == [70, 70]


def test_a_thousand_records_are_a_thousand_different_ones_with_the_share_that_was_asked_for():
    found = TrafficStream(0, 0.2, week_rows=1000).take(1000)
    assert found.height == 1000
    assert found.drop("timestamp", "label").n_unique() > 900
    assert found.filter(pl.col("label") != "normal").drop("timestamp", "label").n_unique() > 100
    assert (found["label"] != "normal").sum() == 200


def test_the_mix_decides_which_attacks_there_are():
    labels = stream(mix={"port_scan": 3, "beaconing": 1}, attack_rate=0.4).take(WEEK)["label"]
    counts = dict(labels.value_counts().iter_rows())
    assert counts == {"normal": 420, "port_scan": 210, "beaconing": 70}
    assert set(stream(attack_rate=0.4).take(WEEK)["label"]) == {"normal", *KINDS}


def test_a_change_takes_effect_with_the_next_record_and_not_before():
    source = stream(attack_rate=0.0)
    before = source.take(300)
    source.set_attacks(attack_rate=0.5, mix={"syn_flood": 1})
    after = source.take(WEEK)
    assert set(before["label"]) == {"normal"}
    assert set(after["label"]) == {"normal", "syn_flood"}
    assert (after["label"] == "syn_flood").mean() > 0.3
    assert before.equals(stream(attack_rate=0.0).take(300))


def changed():
    """A stream whose attacks changed at three records, the first twice over."""
    source = stream()
    for position, rate, mix in ((200, 0.4, None), (200, 0.3, None), (900, None, {"beaconing": 1}), (1400, 0.0, None)):
        source.seek(position)
        source.set_attacks(rate, mix)
    source.seek(0)
    return source


def test_a_change_is_reproduced_from_the_number_of_its_record():
    source = changed()
    live = stream()
    parts = [live.take(200)]
    live.set_attacks(0.3)
    parts += [live.take(100), live.take(600)]
    live.set_attacks(mix={"beaconing": 1})
    parts.append(live.take(500))
    live.set_attacks(0.0)
    parts.append(live.take(600))
    assert taken(source, [7, 1000, 993]).equals(pl.concat(parts))
    again = stream()
    for change in source.changes:
        again.seek(change.position)
        again.set_attacks(change.attack_rate, change.mix)
    again.seek(0)
    assert again.take(2000).equals(pl.concat(parts))
    assert [change.position for change in source.changes] == [200, 900, 1400]


def test_rewinding_plays_the_changes_again_and_a_new_one_drops_the_later():
    source = changed()
    whole = source.take(2000)
    source.seek(100)
    assert source.take(1900).equals(whole[100:])
    source.seek(500)
    source.set_attacks(attack_rate=0.05)
    assert [change.position for change in source.changes] == [200, 500]
    assert source.attack_rate == 0.05
    assert source.mix == pytest.approx(USUAL_MIX, abs=0.01)


def test_setting_what_is_set_already_changes_nothing():
    source = stream()
    first = source.take(100)
    source.set_attacks(attack_rate=0.1, mix=USUAL_MIX)
    assert source.changes == ()
    assert pl.concat([first, source.take(900)]).equals(stream().take(1000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"attack_rate": 0.6}, "attack_rate must be a number from 0 to 0.5. Attacks are the rare class"),
        ({"mix": {"flood": 1}}, "no attack 'flood'. The kinds are: port_scan"),
        ({"mix": {"port_scan": -1}}, "mix must be a number of at least 0"),
        ({"mix": {"port_scan": 0.0}}, "at least one weight must be above 0"),
        ({"mix": {}}, "at least one weight must be above 0"),
        ({"week_rows": 0}, "week_rows must be an integer of at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ParameterError, match=message):
        TrafficStream(**arguments)


def test_a_record_beyond_the_calendar_is_refused_and_nothing_moves():
    source = stream()
    for call in (lambda: source.seek(10**18), lambda: source.take(10**18), lambda: source.seek(-1)):
        with pytest.raises(ParameterError):
            call()
    assert source.position == 0
