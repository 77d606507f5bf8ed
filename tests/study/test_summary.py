"""The numbers of the report are those of the cells, and nothing is ranked that cannot be."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats
from stored_studies import fill, noise, study_of

from whitecrow.core.errors import UnknownNameError
from whitecrow.study.statistics.comparison import CriticalDifference, NoRanking
from whitecrow.study.statistics.degradation import degradation
from whitecrow.study.statistics.intervals import seed_interval, study_interval
from whitecrow.study.statistics.paired import paired_difference
from whitecrow.study.store import Store
from whitecrow.study.summary import overview, summarise
from whitecrow.study.summary.results import load_results

SHARES = [0.0, 0.02, 0.05]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def exported(store, study, **where):
    """The figures of the cells as any user would read them."""
    cells = store.cells(study.name).filter(*(pl.col(k) == v for k, v in where.items()))
    return cells.sort("seed")["auroc"].to_numpy()


def test_means_deviations_and_intervals_are_those_of_the_cells(store):
    study = study_of()
    summary = summarise(fill(store, study), study.name)
    for dataset in "ab":
        for m, detector in enumerate("xyz"):
            values = exported(store, study, dataset=dataset, detector=detector)
            mean = summary.parts[0].means[dataset, "auroc"][m]
            assert mean.interval == seed_interval(values)
            assert mean.std == pytest.approx(np.std(values, ddof=1))
            assert mean.n == 4


def test_means_over_data_sets_and_mean_ranks_are_those_of_the_cells(store):
    study = study_of(datasets="abcdef")
    part = summarise(fill(store, study)).parts[0]
    sets = {d: [exported(store, study, dataset=d, detector=m) for m in "xyz"] for d in "abcdef"}
    means = np.array([[values.mean() for values in sets[d]] for d in "abcdef"])
    ranks = stats.rankdata(-means, axis=1).mean(0)
    ranking = part.rankings["auroc"]
    for m, detector in enumerate("xyz"):
        assert part.overall["auroc"][m].interval == study_interval([sets[d][m] for d in "abcdef"])
        assert ranking.rank(detector) == pytest.approx(ranks[m])
    assert ranking.result.friedman.p == pytest.approx(stats.friedmanchisquare(*means.T).pvalue)


def test_within_a_data_set_blocks_are_seeds(store):
    study = study_of(datasets="a", seeds=8)
    part = summarise(fill(store, study)).parts[0]
    values = np.array([exported(store, study, detector=m) for m in "xyz"])
    found = part.within["a", "auroc"].result
    assert isinstance(found, CriticalDifference)
    assert found.n_blocks == 8
    assert found.friedman.p == pytest.approx(stats.friedmanchisquare(*values).pvalue)
    assert isinstance(part.rankings["auroc"].result, NoRanking)


def test_a_detector_that_is_truly_best_wins_and_leads_the_tables(store):
    study = study_of(datasets="abcdefghij")
    part = summarise(fill(store, study, lambda cell: noise(cell) + 0.1 * (cell.detector.label == "y"))).parts[0]
    assert part.rankings["auroc"].winner == "y"
    assert part.order(("x", "y", "z"), "auroc")[0] == 1
    assert part.difference.reference == "y"


def test_one_seed_gives_no_ranking_no_interval_and_no_difference(store):
    study = study_of(datasets="abcdefghij", seeds=1)
    part = summarise(fill(store, study, lambda cell: noise(cell) + 0.1 * (cell.detector.label == "y"))).parts[0]
    for ranking in [*part.rankings.values(), *part.within.values()]:
        assert isinstance(ranking.result, NoRanking)
        assert "at least 2 seeds, and there is 1" in ranking.result.reason
    assert part.difference is None
    assert part.order(("x", "y", "z"), "auroc") == [0, 1, 2]
    mean = part.means["a", "auroc"][0]
    assert all(math.isnan(v) for v in (mean.interval.low, mean.interval.high, mean.std))


def test_nobody_gains_by_failing(store):
    # y is worst, and fails on the seeds that are hard for all.
    def value(cell):
        return noise(cell, 0.001) - 0.3 * (cell.seed == 3) - 0.05 * (cell.detector.label == "y")

    study = study_of(datasets="abcdef")
    failing = lambda cell: "TrainingError: no" if cell.detector.label == "y" and cell.seed == 3 else ""  # noqa: E731
    part = summarise(fill(store, study, value, error=failing)).parts[0]
    assert part.means["a", "auroc"][1].interval.value > part.means["a", "auroc"][0].interval.value
    assert part.means["a", "auroc"][1].n == 3
    assert part.rankings["auroc"].rank("y") == 3
    assert part.order(("x", "y", "z"), "auroc")[-1] == 1


def test_a_detector_without_figures_on_most_data_sets_is_left_out_by_name(store):
    study = study_of(datasets="abcd")
    some = lambda cell: "no" if cell.detector.label == "z" and cell.data.name != "a" else ""  # noqa: E731
    ranking = summarise(fill(store, study, error=some)).parts[0].rankings["auroc"]
    assert ranking.left_out == ("z",)
    assert ranking.dropped == ()
    assert ranking.result.names in (("x", "y"), ("y", "x"))


def test_a_data_set_on_which_a_detector_fails_is_dropped_by_name(store):
    study = study_of(datasets="abcd")
    some = lambda cell: "no" if cell.detector.label == "z" and cell.data.name == "b" else ""  # noqa: E731
    ranking = summarise(fill(store, study, error=some)).parts[0].rankings["auroc"]
    assert (ranking.left_out, ranking.dropped) == ((), ("b",))
    assert (ranking.result.n_blocks, ranking.result.n_dropped) == (3, 1)


def test_differences_are_paired_by_seed(store):
    study = study_of()
    difference = summarise(fill(store, study), reference="z").parts[0].difference
    assert (difference.reference, difference.chosen) == ("z", True)
    x, z = (exported(store, study, dataset="b", detector=name) for name in "xz")
    assert difference.by_dataset[1][0] == paired_difference(x, z)
    assert difference.by_dataset[1][2] is None
    gaps = [
        exported(store, study, dataset=d, detector="x") - exported(store, study, dataset=d, detector="z") for d in "ab"
    ]
    assert difference.overall[0] == study_interval(gaps)


def test_curves_and_breakdown_points_are_those_of_the_cells(store):
    study = study_of(contamination=SHARES, seeds=3)
    part = summarise(fill(store, study)).parts[0]
    one = part.curves["auroc"][0]
    values = [exported(store, study, dataset="a", detector="x", contamination=share) for share in SHARES]
    expected = degradation(SHARES, values, chance=0.5)
    assert one.chance == 0.5
    assert (one.by_detector[0].mean == expected.mean).all()
    assert one.by_detector[0].breakdown == expected.breakdown
    assert part.curves["f1_at_known_ratio"][0].chance == pytest.approx(0.1)


def test_a_share_that_no_detector_reaches_is_left_out_of_the_curve(store):
    study = study_of(contamination=SHARES)
    beyond = lambda cell: "too few to inject" if cell.data.name == "a" and cell.contamination == 0.05 else ""  # noqa: E731
    found = summarise(fill(store, study, error=beyond)).parts[0].curves["auroc"]
    assert found[0].by_detector[0].shares.tolist() == [0, 0.02]
    assert found[1].by_detector[0].shares.tolist() == SHARES


def test_recall_by_kind_is_a_mean_over_seeds_at_both_ends(store):
    study = study_of(contamination=SHARES)
    fill(store, study)
    recalls = summarise(store).parts[0].recalls
    assert {r.contamination for r in recalls} == {0.0, 0.05}
    one = next(r for r in recalls if (r.dataset, r.detector, r.family, r.contamination) == ("a", "x", "scan", 0.05))
    rows = store.families(study.name).filter(dataset="a", detector="x", family="scan", contamination=0.05)
    assert one.known_ratio == pytest.approx(rows["recall_at_known_ratio"].mean())
    assert one.std == pytest.approx(rows["recall_at_known_ratio"].std())
    assert (one.n, one.n_seeds, one.operational) == (20, 4, 0.25)


def test_costs_are_means_and_peaks(store):
    study = study_of()
    cost = summarise(fill(store, study)).parts[0].costs[0]
    assert (cost.dataset, cost.detector, cost.together) == ("a", "x", 2)
    assert (cost.fit_s, cost.memory_mb) == (2.0, 303.0)


def test_failures_are_counted_by_their_text_and_say_where(store):
    study = study_of()
    fill(store, study, error=lambda cell: "TrainingError: no" if cell.detector.label == "x" and cell.seed else "")
    summary = summarise(store)
    assert (summary.done, summary.failed, summary.missing, summary.planned) == (18, 6, 0, 24)
    (failure,) = summary.failures
    assert (failure.text, failure.n) == ("TrainingError: no", 6)
    assert failure.cells == ("a, x, clean, 0 %: seeds 1, 2, 3", "b, x, clean, 0 %: seeds 1, 2, 3")


def test_notes_are_counted_too(store):
    summary = summarise(fill(store, study_of(), notes=["a column repeats the label"]))
    assert [(note.text, note.n) for note in summary.notes] == [("a column repeats the label", 24)]


def test_a_partial_study_is_counted_and_ranks_what_is_there(store):
    study = study_of(datasets="abc")
    summary = summarise(fill(store, study, keep=lambda cell: cell.data.name != "c"))
    assert (summary.done, summary.missing) == (24, 12)
    part = summary.parts[0]
    assert part.rankings["auroc"].result.n_blocks == 2
    assert math.isnan(part.means["c", "auroc"][0].interval.value)
    # A data set not yet begun is nobody's failure.
    assert part.overall["auroc"][0].n == 2
    assert math.isfinite(part.overall["auroc"][0].interval.value)


@pytest.mark.parametrize("failed", [False, True], ids=["nothing stored", "everything failed"])
def test_a_study_without_figures_has_a_summary(store, failed):
    study = study_of(contamination=SHARES)
    fill(store, study, error=lambda cell: "no", keep=lambda cell: failed)
    summary = summarise(store)
    assert summary.done == 0
    assert summary.failed == failed * len(study.cells)
    part = summary.parts[0]
    assert all(isinstance(r.result, NoRanking) for r in part.rankings.values())
    assert part.difference is None
    assert not any(part.curves.values())


def test_cells_carry_the_names_of_the_study_that_asks(store):
    first, second = study_of(), study_of(name="other", detectors=("u", "v", "w"))
    fill(store, first)
    store.plan(second, [cell.key(cell.data.name) for cell in second.cells])
    mine = summarise(store, "other")
    assert mine.missing == 0
    assert mine.results.detectors == ("u", "v", "w")
    theirs = summarise(store, "made-up").parts[0].means["a", "auroc"]
    assert mine.parts[0].means["a", "auroc"] == theirs


def test_regimes_are_kept_apart(store):
    study = study_of(regimes=["clean", "contaminated"])
    summary = summarise(fill(store, study, lambda cell: noise(cell) + 0.1 * (cell.regime == "clean")))
    clean, contaminated = summary.parts
    assert (clean.regime, contaminated.regime) == ("clean", "contaminated")
    assert clean.means["a", "auroc"][0].interval.value > contaminated.means["a", "auroc"][0].interval.value + 0.05


def test_overview_is_a_row_per_data_set_and_detector(store):
    study = study_of(contamination=[0.05, 0.0])
    table = overview(fill(store, study, error=lambda cell: "no" if cell.data.name == "b" else ""))
    assert table.columns == ["dataset", "detector", "0 %", "5 %"]
    values = exported(store, study, dataset="a", detector="x", contamination=0.05)
    assert table["5 %"][0] == f"{values.mean():.3f} ± {values.std(ddof=1):.3f} (4)"
    assert table["0 %"].to_list()[3:] == ["", "", ""]


def test_unknown_names_are_errors(store):
    fill(store, study_of())
    with pytest.raises(UnknownNameError, match="holds no study 'other'"):
        summarise(store, "other")
    with pytest.raises(UnknownNameError, match=r"no detector 'q'.*x, y, z"):
        summarise(store, reference="q")
    with pytest.raises(UnknownNameError):
        overview(store, None, "auprc")


def test_the_grid_holds_every_cell_at_its_place(store):
    study = study_of(contamination=SHARES, data=["a", {"name": "b", "seeds": 2}])
    results = load_results(fill(store, study))
    grid = results.figure("auroc")
    assert grid.shape == (2, 3, 1, 3, 4)
    assert results.planned[1].sum() == 3 * 3 * 2
    for cell in study.cells:
        d, m, c = "ab".index(cell.data.name), "xyz".index(cell.detector.label), SHARES.index(cell.contamination)
        assert grid[d, m, 0, c, cell.seed] == noise(cell)
