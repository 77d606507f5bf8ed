"""Runs on common rows: which rows count, what is refused and why, and the figures against scikit-learn."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.dashboard.comparison import compare, spread
from whitecrow.metrics import Costs
from whitecrow.workspace import DatasetSettings, FitRequest, RunRecord, RunScores, SplitRule
from whitecrow.workspace.parts import Part

N = 400
RNG = np.random.default_rng(0)
LABEL = np.where(np.arange(N) % 8 == 0, 1, 0).astype(np.int8)
FAMILY = pl.Series(["scan" if k % 16 == 0 else "flood" if k % 8 == 0 else "normal" for k in range(N)])
SETTINGS = DatasetSettings(label="label")
REQUEST = FitRequest("a" * 12, "pca", split=SplitRule("random"), settings=SETTINGS)


def run(key, number, request=REQUEST, threshold=0.5):
    """A run that is done."""
    blank = dict.fromkeys(RunRecord.__dataclass_fields__)
    return RunRecord(
        **{
            **blank,
            "id": key,
            "number": number,
            "name": request.detector,
            "dataset": request.dataset,
            "detector": request.detector,
            "request": request,
            "state": "done",
            "threshold": threshold,
            "threshold_source": "fixed",
        }
    )


def scores(test, seed, strength=1.0, label=LABEL):
    """Scores whose anomalies are higher, of which ``test`` are tested."""
    rng = np.random.default_rng(seed)
    part = np.full(N, Part.TRAIN, np.uint8)
    part[test] = Part.TEST
    return RunScores(rng.random(N) + strength * (label == 1) * rng.random(N), None, part, label, FAMILY)


def space(*pairs) -> Any:
    """A workspace of runs with scores."""
    runs = {one.id: one for one, _ in pairs}
    found = {one.id: these for one, these in pairs}
    table = pl.DataFrame({"x": np.arange(N)})
    return SimpleNamespace(
        runs=SimpleNamespace(done=runs.__getitem__),
        scores=found.__getitem__,
        datasets=SimpleNamespace(
            all=lambda: [SimpleNamespace(id="a" * 12, name="First"), SimpleNamespace(id="b" * 12, name="Second")],
            rows=lambda _key, _settings: (table, None),
        ),
    )


def test_only_rows_that_every_run_tested_count_and_figures_are_those_of_scikit_learn():
    one, two = scores(np.arange(0, 300), 1), scores(np.arange(100, 400), 2, 0.5)
    found = compare(space((run("1" * 12, 2), one), (run("2" * 12, 1), two)), ["1" * 12, "2" * 12])
    rows = np.arange(100, 300)
    assert np.array_equal(found.rows, rows)
    assert [one.number for one in found.runs] == [1, 2]
    reports = found.reports()
    for key, these in (("1" * 12, one), ("2" * 12, two)):
        merits = reports[key].metrics
        assert merits["auroc"].value == pytest.approx(roc_auc_score(LABEL[rows], these.score[rows]), abs=1e-12)
        expected = average_precision_score(LABEL[rows], these.score[rows])
        assert merits["average_precision"].value == pytest.approx(expected, abs=1e-12)
        flagged = these.score[rows] > 0.5
        assert merits["precision"].value == pytest.approx(LABEL[rows][flagged].mean())
    difference = found.differences("1" * 12)[0]
    expected = roc_auc_score(LABEL[rows], one.score[rows]) - roc_auc_score(LABEL[rows], two.score[rows])
    assert difference.auroc.value == pytest.approx(expected, abs=1e-12)
    assert difference.auroc.low < difference.auroc.value < difference.auroc.high


def test_who_catches_what_and_where_they_disagree_are_counted_by_hand():
    everyone = np.arange(N)
    one, two = scores(everyone, 1), scores(everyone, 2)
    found = compare(space((run("1" * 12, 1), one), (run("2" * 12, 2), two)), ["1" * 12, "2" * 12])
    mine, theirs = one.score > 0.5, two.score > 0.5
    parted = found.disagreements("1" * 12, "2" * 12)
    assert sorted(found.rows[parted.rows]) == np.flatnonzero(mine & ~theirs).tolist()
    scan = next(row for row in found.catches() if row.family == "scan")
    rows = (FAMILY == "scan").to_numpy()
    assert scan.n == rows.sum()
    assert scan.recall["1" * 12].value == mine[rows].mean()
    assert scan.alone["2" * 12] == (theirs & ~mine)[rows].sum()
    assert scan.missed_by_all == (~mine & ~theirs)[rows].sum()


def test_an_unknown_label_counts_in_no_figure():
    unknown = LABEL.copy()
    unknown[:100] = -1
    one, two = scores(np.arange(N), 1, label=unknown), scores(np.arange(N), 2, label=unknown)
    found = compare(space((run("1" * 12, 1), one), (run("2" * 12, 2), two)), ["1" * 12, "2" * 12])
    assert len(found.rows) == N
    report = found.reports(Costs(10, 1))["1" * 12]
    assert report.n == 300
    assert report.metrics["auroc"].value == pytest.approx(roc_auc_score(LABEL[100:], one.score[100:]), abs=1e-12)


def test_without_both_classes_there_are_no_figures_of_merit():
    none = np.full(N, -1, np.int8)
    one, two = scores(np.arange(N), 1, label=none), scores(np.arange(N), 2, label=none)
    found = compare(space((run("1" * 12, 1), one), (run("2" * 12, 2), two)), ["1" * 12, "2" * 12])
    assert not found.judged
    assert found.reports() == {}
    assert found.differences("1" * 12) == []
    assert found.catches() == ()
    assert found.agreement(100).n == N


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (replace(REQUEST, dataset="b" * 12), "their data sets are 'First' and 'Second'"),
        (replace(REQUEST, split=SplitRule("order")), "their splits are random"),
        (replace(REQUEST, split=SplitRule("random", 0.7)), "their splits are random"),
        (replace(REQUEST, settings=DatasetSettings(label="label", normal=("scan",))), "read the label"),
        (replace(REQUEST, settings=DatasetSettings(label="label", time="x")), "the time of the data set differently"),
    ],
    ids=["data set", "kind of split", "share of split", "normal labels", "order"],
)
def test_runs_whose_rows_are_not_the_same_are_refused_with_the_reason(other, reason):
    everyone = np.arange(N)
    workspace = space((run("1" * 12, 1), scores(everyone, 1)), (run("2" * 12, 2, other), scores(everyone, 2)))
    with pytest.raises(DataError, match=reason):
        compare(workspace, ["1" * 12, "2" * 12])


def test_runs_without_a_common_test_row_are_refused():
    workspace = space((run("1" * 12, 1), scores(np.arange(200), 1)), (run("2" * 12, 2), scores(np.arange(200, N), 2)))
    with pytest.raises(DataError, match="No row was tested by all"):
        compare(workspace, ["1" * 12, "2" * 12])
    nothing = space((run("1" * 12, 1), scores([], 1)), (run("2" * 12, 2), scores([], 2)))
    with pytest.raises(DataError, match="rows that one of them trained on do not count"):
        compare(nothing, ["1" * 12, "2" * 12])


def test_one_run_is_no_comparison():
    with pytest.raises(ParameterError, match="takes two or more"):
        compare(space(), ["1" * 12, "1" * 12])


def test_runs_that_differ_in_the_seed_alone_are_one_group():
    everyone = np.arange(N)
    requests = [REQUEST, replace(REQUEST, seed=1), replace(REQUEST, parameters={"contamination": 0.2}, seed=1)]
    runs = [run(str(k) * 12, k, request) for k, request in enumerate(requests, 1)]
    found = compare(space(*((one, scores(everyone, one.number)) for one in runs)), [one.id for one in runs])
    assert [[one.number for one in group] for group in found.seed_groups()] == [[1, 2], [3]]


def test_the_spread_over_seeds_has_the_deviation_of_a_sample():
    values = [0.9, 0.8, 0.85]
    assert spread(values) == pytest.approx((3, np.mean(values), np.std(values, ddof=1)))


def test_skewed_scores_get_bins_of_equal_width_on_a_logarithmic_axis():
    one = scores(np.arange(N), 1)
    heavy = replace(one, score=np.exp(4 * one.score))
    found = compare(space((run("1" * 12, 1), one), (run("2" * 12, 2, threshold=20.0), heavy)), ["1" * 12, "2" * 12])
    plain, skewed = found.histogram("1" * 12), found.histogram("2" * 12)
    assert (plain.scale, skewed.scale) == ("linear", "log")
    assert np.ptp(np.diff(np.log(skewed.edges))) < 1e-9
    assert skewed.normals.sum() + skewed.anomalies.sum() == N
