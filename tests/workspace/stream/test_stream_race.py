"""A race's figures are those of its own records, however they were stepped through."""

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix

import whitecrow as wc
from whitecrow.core.errors import DataError, ParameterError, UnknownNameError
from whitecrow.data.traffic import simulate_traffic
from whitecrow.data.traffic_stream import TrafficStream
from whitecrow.metrics import Costs
from whitecrow.workspace.stream import Counts, Money, Race, ReplaySource, SimulatedSource, TailSource


class Column:
    """Scores a record by one of its columns."""

    threshold_ = 0.5

    def __init__(self, name):
        self.name, self.seen = name, []

    def anomaly_score(self, rows):
        self.seen.append(rows)
        return rows[self.name].to_numpy()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    n = 1000
    kinds = rng.choice(["normal", "scan", "flood", None], n, p=[0.7, 0.1, 0.1, 0.1])
    lift = np.array([0.3 if kind in ("scan", "flood") else 0.0 for kind in kinds])
    return pl.DataFrame({"u": rng.random(n) + lift, "v": rng.random(n), "kind": pl.Series(kinds, dtype=pl.String)})


def race(rows, **kwargs):
    detectors = {"first": Column("u"), "second": Column("v")}
    return Race(ReplaySource(rows, label="kind"), detectors, {"first": 0.8}, **kwargs)


def stepped(runner, sizes):
    return [runner.step(n) for n in sizes]


def test_totals_equal_those_of_scikit_learn_over_labelled_records(rows):
    standings = race(rows).step(1000).standings
    known = rows.filter(pl.col("kind").is_not_null())
    unknown = rows.filter(pl.col("kind").is_null())
    for name, column, threshold in (("first", "u", 0.8), ("second", "v", 0.5)):
        flags = known[column].to_numpy() > threshold
        (tn, fp), (fn, tp) = confusion_matrix((known["kind"] != "normal").to_numpy(), flags)
        counts = standings[name].counts
        assert (counts.tn, counts.fp, counts.fn, counts.tp) == (tn, fp, fn, tp)
        assert counts.unknown == unknown.height
        assert counts.unknown_flagged == (unknown[column] > threshold).sum()
        assert counts.precision == tp / (tp + fp)
        assert counts.recall == tp / (tp + fn)
        assert counts.fpr == fp / (fp + tn)
        assert counts.alert_rate == (rows[column] > threshold).mean()


def test_recall_by_family_is_counted_by_hand(rows):
    standing = race(rows).step(1000).standings["first"]
    seen = Counter(rows["kind"].to_list())
    flagged = Counter(rows.filter(pl.col("u") > 0.8)["kind"].to_list())
    assert standing.families == {name: (flagged[name], seen[name]) for name in ("flood", "scan")}


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("ahead", [1, 7, 256, 5000])
@pytest.mark.parametrize("sizes", [[100] * 10, [1] * 20 + [979, 1], [0, 999, 5], [333, 333, 334]])
def test_frames_do_not_depend_on_the_sizes_of_steps_nor_on_scoring_ahead(rows, sizes, ahead, background):
    with race(rows, ahead=ahead, costs=Costs(10, 1), background=background) as runner:
        frames = stepped(runner, sizes)
    whole = race(rows, costs=Costs(10, 1)).step(1000)
    assert frames[-1].standings == whole.standings
    assert sum(frame.count for frame in frames) == 1000
    assert pl.concat([frame.records for frame in frames]).equals(whole.records)
    assert pl.concat([frame.features for frame in frames]).equals(whole.features)


def test_a_fitted_detector_gives_the_same_frames_whatever_the_steps():
    detector = wc.detector("pca", random_state=0).fit(simulate_traffic(2000, 0.02, seed=5).X)

    def run(sizes, **kwargs):
        source = SimulatedSource(TrafficStream(2, 0.1))
        return stepped(Race(source, {"pca": detector}, **kwargs), sizes)

    ten, one = run([100] * 10), run([1000])[0]
    assert ten[-1].standings == one.standings
    assert pl.concat([frame.records for frame in ten]).equals(one.records)
    assert run([1000], score=lambda d, rows: wc.io.score_batch(rows, d)["score"])[0].records.equals(one.records)
    assert one.standings["pca"].threshold == detector.threshold_


def test_labels_and_families_are_never_shown_to_a_detector(rows):
    spy = Column("u")
    Race(ReplaySource(rows, label="kind"), {"spy": spy}).step(10)
    simulated = Column("duration")
    Race(SimulatedSource(TrafficStream()), {"spy": simulated}).step(10)
    assert spy.seen[0].columns == ["u", "v"]
    assert not {"label", "family"} & set(simulated.seen[0].columns)


def test_records_are_listed_with_scores_flags_labels_and_families(rows):
    runner = race(rows)
    runner.step(10)
    frame = runner.step(5)
    assert (frame.first, frame.count) == (10, 5)
    assert frame.records["position"].to_list() == [10, 11, 12, 13, 14]
    assert frame.records["score second"].equals(rows["v"][10:15].alias("score second"))
    assert frame.records["flag first"].to_list() == (rows["u"][10:15] > 0.8).to_list()
    expected = [None if kind is None else int(kind != "normal") for kind in rows["kind"][10:15]]
    assert frame.records["label"].to_list() == expected
    assert frame.features.equals(rows[10:15].drop("kind"))


def test_the_window_counts_the_last_records_only(rows):
    frame = stepped(race(rows, window=150), [97] * 10)[-1]
    alone = Race(ReplaySource(rows[820:970], label="kind"), {"first": Column("u")}, {"first": 0.8}).step(150)
    assert frame.standings["first"].recent == alone.standings["first"].counts
    assert frame.standings["first"].counts.records == 970


def test_a_threshold_holds_from_the_next_record_and_decided_records_stay(rows):
    runner = race(rows)
    before = runner.step(400).standings["second"].counts
    runner.set_threshold("second", 2.0)
    after = runner.step(600).standings["second"].counts
    assert (after.tp, after.fp, after.unknown_flagged) == (before.tp, before.fp, before.unknown_flagged)
    runner.rewind()
    assert runner.step(1000).standings["second"].counts.alerts == 0
    runner.set_threshold("second", 0.5)
    runner.rewind()
    assert runner.step(1000).standings == race(rows).step(1000).standings


def test_rewinding_to_a_record_counts_from_there(rows):
    runner = race(rows)
    runner.step(500)
    runner.rewind(700)
    frame = runner.step(1000)
    assert (frame.first, frame.count, runner.position) == (700, 300, 1000)
    assert frame.standings["first"].counts.records == 300


@pytest.mark.parametrize("background", [False, True])
def test_attacks_change_with_the_next_record_although_records_were_scored_ahead(background):
    source = SimulatedSource(TrafficStream(4, 0.0))
    with Race(source, {"d": Column("duration")}, ahead=500, background=background) as runner:
        check_attacks_change(runner)


def check_attacks_change(runner):
    quiet = runner.step(100)
    runner.set_attacks(0.5, {"beaconing": 1})
    stormy = runner.step(300)
    assert quiet.records["label"].sum() == 0
    assert stormy.records["label"].sum() > 100
    source = TrafficStream(4, 0.0)
    source.seek(100)
    source.set_attacks(0.5, {"beaconing": 1})
    assert stormy.features.equals(source.take(300).drop("label"))
    with pytest.raises(ParameterError):
        runner.set_attacks(0.9)
    assert runner.step(50).features.equals(source.take(50).drop("label"))


def test_only_a_simulation_has_attacks(rows):
    with pytest.raises(DataError, match="replayed or live"):
        race(rows).set_attacks(0.1)


def test_records_without_labels_are_all_unknown():
    frame = Race(ReplaySource(pl.DataFrame({"u": [0.1, 0.9, 0.8]})), {"d": Column("u")}, costs=Costs(10, 1)).step(9)
    standing = frame.standings["d"]
    assert standing.counts == Counts(unknown=3, unknown_flagged=2)
    assert (standing.counts.precision, standing.counts.recall, standing.counts.fpr) == (None, None, None)
    assert standing.money.cost == 0
    assert standing.money.per_record is None


def test_a_growing_file_races_as_its_records_come(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("u,label\n")
    with TailSource(path, label="label") as source:
        runner = Race(source, {"d": Column("u")})
        assert runner.step(10).count == 0
        for k, line in enumerate(("0.9,1\n", "0.1,\n", "0.7,0\n")):
            with path.open("a") as file:
                file.write(line)
            assert (runner.step(10).first, runner.position) == (k, k + 1)
        assert runner.standings()["d"].counts == Counts(tp=1, fp=1, unknown=1)


class Failing(Column):
    def anomaly_score(self, rows):
        if self.name == "nan":
            return np.full(rows.height, np.nan)
        if self.name == "short":
            return np.zeros(rows.height - 1)
        raise DataError("cannot score")


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(("fault", "message"), [("nan", "not finite"), ("short", "one finite score"), ("x", "cannot")])
def test_a_step_that_fails_leaves_everything_where_it_was(rows, fault, message, background):
    source = ReplaySource(rows, label="kind")
    detectors = {"good": Column("u"), "bad": Failing(fault)}
    with Race(source, detectors, background=background) as runner, pytest.raises(DataError, match=message):
        runner.step(10)
    assert (runner.position, source.position) == (0, 0)
    assert runner.standings()["good"].counts == Counts()


class Spoilt(Column):
    def anomaly_score(self, rows):
        if 700 in rows["k"]:
            raise DataError("cannot score")
        return rows["k"].to_numpy()


@pytest.mark.parametrize("background", [False, True])
def test_a_record_that_cannot_be_scored_is_met_when_it_is_due_and_not_before(background):
    source = ReplaySource(pl.DataFrame({"k": np.arange(1000)}))
    with Race(source, {"d": Spoilt("k")}, ahead=300, background=background) as runner:
        frames = [runner.step(100) for _ in range(7)]
        for _ in range(2):
            with pytest.raises(DataError, match="cannot score"):
                runner.step(100)
        runner.rewind(701)
        assert runner.step(50).features["k"].to_list() == list(range(701, 751))
    assert pl.concat([frame.features for frame in frames])["k"].to_list() == list(range(700))


def test_a_record_that_is_no_more_leaves_the_race_where_it_was(rows):
    with race(rows, background=True) as runner:
        runner.step(10)
        with pytest.raises(DataError, match="no record 5,000"):
            runner.rewind(5000)
        assert runner.step(990).records.equals(race(rows).step(1000).records[10:])


def test_frames_are_json_without_nan(rows):
    runner = race(rows, costs=Costs(10, 1, prevalence=0.01))
    for n in (0, 3, 500):
        document = json.loads(json.dumps(runner.step(n).document(), allow_nan=False))
        assert len(document["scores"]["first"]) == document["count"] == n
    assert document["standings"]["first"]["money"]["records"] == 503 - rows["kind"][:503].null_count()


def test_what_no_race_can_be_made_of_is_refused(rows):
    source = ReplaySource(rows, label="kind")
    with pytest.raises(ParameterError, match="at least one detector"):
        Race(source, {})
    with pytest.raises(UnknownNameError, match=r"no detector 'x' in this race\. There are: a"):
        Race(source, {"a": Column("u")}, {"x": 1.0})
    with pytest.raises(ParameterError, match="must be a number"):
        Race(source, {"a": Column("u")}, {"a": float("nan")})


# ---- money ----


def test_money_is_the_sum_over_outcomes():
    money = Money.of(Counts(tp=3, fp=5, tn=80, fn=2, unknown=7, unknown_flagged=4), Costs(100, 4, 1, 20))
    assert money.cost == 2 * 100 + 3 * (1 - 20) + 5 * (4 + 1)
    assert money.nothing == 5 * 100
    assert money.everything == 5 * (1 - 20) + 85 * (4 + 1)
    assert money.saved_against_nothing == money.nothing - money.cost
    assert money.saved_against_everything == money.everything - money.cost
    assert money.per_record == money.cost / 90


@pytest.mark.parametrize("prevalence", [None, 0.0, 0.01, 0.5, 1.0])
def test_money_per_record_is_the_expected_cost_of_the_metrics(rows, prevalence):
    costs = Costs(50, 3, 1, 10, prevalence)
    standing = race(rows, costs=costs).step(1000).standings["first"]
    known = rows.filter(pl.col("kind").is_not_null())
    curve = wc.metrics.cost_curve(
        (known["kind"] != "normal").to_numpy(), (known["u"] > 0.8).to_numpy().astype(float), 50, 3,
        cost_alert=1, catch_value=10, prevalence=prevalence,
    )  # fmt: skip
    money = standing.money
    expected = pytest.approx(list(curve.costs * known.height), rel=1e-12, abs=1e-9)
    assert [money.nothing, money.cost, money.everything] == expected


def test_money_is_unknown_where_the_prevalence_needs_a_class_that_has_not_come():
    assert Money.of(Counts(tn=5), Costs(10, 1, prevalence=0.1)).cost is None
    assert Money.of(Counts(tn=5, fp=1), Costs(10, 1, prevalence=0.0)).cost == 1
    assert Money.of(Counts(), Costs(10, 1, prevalence=0.1)) == Money(0.0, 0.0, 0.0, 0)
