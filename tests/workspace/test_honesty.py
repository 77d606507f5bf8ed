"""What the badge of honest evaluation says."""

from dataclasses import replace

import pytest

from whitecrow.workspace import DatasetRecord, DatasetSettings, FitRequest, RunRecord, SplitRule
from whitecrow.workspace.honesty import honesty, siblings

FIT = FitRequest("d" * 12, "pca", split=SplitRule("order", 0.5))
NOTHING = dict.fromkeys(
    ("error", "begun", "ended", "pid", "pid_began", "stage", "epoch", "epochs", "fraction", "loss", "cost")
)
RUN = RunRecord(
    id="a" * 12, number=1, name="pca", dataset="d" * 12, detector="pca", request=FIT, state="done",
    created="2026-03-04T05:06:07+00:00", version="v", threshold=1.5, threshold_source="0.98 quantile; training rows",
    summary={"rows": 1000}, report={"n": 1000, "n_anomalies": 200, "prevalence": 0.2}, notes=[], **NOTHING,
)  # fmt: skip
REAL = DatasetRecord(
    "d" * 12, "Traffic", "table", 2000, 3, 1, "0" * 64, "", False, DatasetSettings(), (), None, "2026-03-04T05:06:07"
)


def doubts(run=RUN, dataset=REAL, seeds=5, threshold=None):
    return " ".join(honesty(run, dataset, seeds, threshold).doubts)


def test_a_sound_evaluation_raises_no_doubt():
    found = honesty(RUN, REAL, 5)
    assert found.level == "plain"
    assert found.doubts == ()
    assert dict(found.facts)["Tested on"] == "1,000 rows, 200 anomalies (20 %)"
    assert dict(found.facts)["Split"] == "the first 50 % of the rows trained, the later ones tested"
    assert dict(found.facts)["Threshold from"] == "0.98 quantile; training rows"


def test_one_seed_is_no_ranking():
    assert "no ranking" in doubts(seeds=1)
    assert honesty(RUN, REAL, 1).level == "caution"


def test_a_threshold_moved_by_hand_is_optimistic():
    assert "optimistic" in doubts(threshold=1.6)
    assert "optimistic" not in doubts(threshold=1.5)


@pytest.mark.parametrize("source", ["best F1 on labels", "recalibrated from verdicts"])
def test_a_threshold_by_labels_is_doubted(source):
    assert "chosen by labels" in doubts(replace(RUN, threshold_source=source))


def test_few_positives_are_told():
    assert "only 12 anomalies" in doubts(replace(RUN, report={"n": 1000, "n_anomalies": 12, "prevalence": 0.012}))


def test_simulated_data_is_no_evidence():
    assert "simulated" in doubts(dataset=replace(REAL, synthetic=True))


def test_a_run_without_labels_has_no_figures_and_says_so():
    found = honesty(replace(RUN, report=None), REAL, 5)
    assert "no figures of merit" in found.doubts[0]
    assert "no labelled test" in found.summary


def test_what_the_fit_noted_is_kept_and_duplicates_are_named():
    note = "12 % of the test rows have the values of a training row."
    found = honesty(replace(RUN, notes=[note]), REAL, 5)
    assert note in found.doubts
    assert dict(found.facts)["Duplicates"] == note


def test_injected_contamination_is_told():
    request = replace(FIT, split=SplitRule("random", 0.5, injected=0.05))
    assert "5.0 % of anomalies injected" in dict(honesty(replace(RUN, request=request), REAL, 5).facts)["Training data"]


def test_seeds_are_counted_over_runs_that_differ_in_nothing_else():
    def run(key, state="done", **changes):
        return replace(RUN, id=key * 12, state=state, request=replace(FIT, **changes))

    others = [
        run("1", seed=1), run("2", seed=2, name="another"), run("3", seed=3, parameters={"n_components": 2}),
        run("4", seed=4, state="failed"), run("5", seed=5, split=SplitRule("random")),
    ]  # fmt: skip
    assert {one.id[0] for one in siblings(RUN, [RUN, *others])} == {"a", "1", "2"}
