"""Agreement of detectors against SciPy, scikit-learn and resampling row by row."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from whitecrow import metrics
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics.agreement import disagreements, paired_difference, rank_agreement
from whitecrow.metrics.family_catches import family_catches


def three_detectors(n=400, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=n)
    return {
        "a": np.round(base, 1),
        "b": np.round(np.exp(base + 0.5 * rng.normal(size=n)), 1),
        "c": rng.normal(size=n),
    }


def test_rank_correlations_equal_scipy_on_ties():
    scores = three_detectors()
    found = rank_agreement(scores, k=40)
    assert found.names == ("a", "b", "c")
    for i, one in enumerate(scores.values()):
        for j, other in enumerate(scores.values()):
            assert found.spearman[i, j] == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)
            assert found.kendall[i, j] == pytest.approx(stats.kendalltau(one, other).statistic, abs=1e-12)


def test_jaccard_is_that_of_the_two_queues():
    scores = three_detectors()
    found = rank_agreement(scores, k=40)
    flags = [metrics.flag_top(values, 40) for values in scores.values()]
    for i in range(3):
        for j in range(3):
            assert found.jaccard[i, j] == sk.jaccard_score(flags[i], flags[j])


def test_detectors_in_other_units_agree_and_opposite_ones_do_not():
    scores = np.arange(50.0)
    found = rank_agreement({"a": scores, "exp": np.exp(scores / 10), "opposite": -scores}, k=10)
    np.testing.assert_allclose(found.spearman, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    np.testing.assert_array_equal(found.jaccard, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_constant_scores_have_no_rank_correlation():
    found = rank_agreement({"a": np.arange(9.0), "flat": np.ones(9)}, k=2)
    np.testing.assert_array_equal(np.isnan(found.spearman), [[False, True], [True, True]])
    np.testing.assert_array_equal(np.isnan(found.kendall), np.isnan(found.spearman))


def test_kendall_is_left_out_of_large_tables():
    assert rank_agreement({"a": np.arange(20_001.0)}, k=5).kendall is None


def test_disagreements_are_sorted_by_how_far_the_ranks_are_apart():
    # Row 4 is the last of the other detector, row 5 its third from the top.
    one, other = [0, 1, 2, 3, 4, 5], [50, 40, 30, 20, 0, 35]
    found = disagreements(one, 3.5, other, 37)
    assert found.n == 2
    assert found.rows.tolist() == [4, 5]
    np.testing.assert_allclose(found.rank, [4.5 / 6, 5.5 / 6])
    np.testing.assert_allclose(found.other_rank, [0.5 / 6, 3.5 / 6])


def test_limit_shortens_the_list_and_not_the_count():
    found = disagreements(np.arange(100.0), 9, -np.arange(100.0), 0, limit=3)
    assert found.n == 90
    assert found.rows.tolist() == [99, 98, 97]


@pytest.mark.parametrize("figure", ["auroc", "average_precision"])
@pytest.mark.parametrize("copies", [1, 3])
def test_paired_interval_equals_resampling_rows(figure, copies):
    rng = np.random.default_rng(1)
    y = np.repeat(rng.random(200) < 0.2, copies)
    one, other = (np.repeat(np.round(rng.normal(size=200), 1), copies) + shift * y for shift in (1.5, 1.0))
    groups = np.repeat(np.arange(200), copies)
    reference = {"auroc": sk.roc_auc_score, "average_precision": sk.average_precision_score}[figure]

    def difference(labels, rows):
        rows = rows.astype(int)
        return reference(labels, one[rows]) - reference(labels, other[rows])

    # The score handed to the slow path is the row number, so both detectors see the same drawn rows.
    slow = metrics.bootstrap_interval(difference, y, np.arange(len(y)), n_resamples=50, seed=4, groups=groups)
    fast = paired_difference(figure, y, one, other, n_resamples=50, seed=4, groups=groups)
    assert fast == pytest.approx(slow, abs=1e-12)


def test_pairing_makes_the_interval_of_twins_narrow():
    rng = np.random.default_rng(2)
    y = rng.random(500) < 0.2
    one = rng.normal(size=500) + y
    interval = paired_difference("auroc", y, one, one + 0.01 * rng.normal(size=500), n_resamples=200)
    alone = metrics.bootstrap_interval(metrics.auroc, y, one, n_resamples=200)
    assert interval.low <= interval.value <= interval.high
    assert interval.high - interval.low < 0.2 * (alone.high - alone.low)


def test_copies_do_not_narrow_the_interval_when_groups_are_given():
    rng = np.random.default_rng(3)
    y = rng.random(200) < 0.3
    one, other = (rng.normal(size=200) + shift * y for shift in (1.2, 1.0))
    single = paired_difference("auroc", y, one, other, n_resamples=300)
    many = [np.repeat(v, 20) for v in (y, one, other)]
    naive = paired_difference("auroc", *many, n_resamples=300)
    grouped = paired_difference("auroc", *many, n_resamples=300, groups=np.repeat(np.arange(200), 20))
    assert grouped.high - grouped.low == pytest.approx(single.high - single.low, rel=0.15)
    assert naive.high - naive.low < 0.4 * (single.high - single.low)


def test_who_alone_catches_which_family():
    y = [1, 1, 1, 1, 1, 0, -1]
    families = ["scan", "scan", "scan", "flood", "flood", "scan", "flood"]
    flags = {"a": [1, 1, 0, 0, 0, 1, 1], "b": [0, 1, 0, 0, 1, 1, 1]}
    flood, scan = family_catches(flags, y, families)
    assert (flood.family, flood.n, flood.alone, flood.missed_by_all) == ("flood", 2, {"a": 0, "b": 1}, 1)
    assert (scan.family, scan.n, scan.alone, scan.missed_by_all) == ("scan", 3, {"a": 1, "b": 0}, 1)
    assert scan.recall["a"] == metrics.wilson_interval(2 / 3, 3)
    assert flood.recall["a"].value == 0


def test_family_recalls_equal_those_of_the_evaluation_report():
    rng = np.random.default_rng(5)
    y = rng.random(300) < 0.3
    scores = rng.normal(size=300) + y
    families = np.where(y, rng.choice(["dos", "probe", "r2l"], size=300), "")
    report = metrics.evaluation_report(y, scores, 0.5, threshold_source="fixed", families=families, n_resamples=2)
    found = {row.family: row.recall["only"] for row in family_catches({"only": scores > 0.5}, y, families)}
    assert found == {row.family: row.recall for row in report.families}


def test_families_without_a_name_stay_visible():
    found = family_catches({"a": [1, 0, 1]}, [1, 1, 1], [None, np.nan, "scan"])
    assert {row.family: row.n for row in found} == {"(not named)": 2, "scan": 1}


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: rank_agreement({}, 1), DataError, "at least one detector"),
        (lambda: rank_agreement({"a": [1.0, 2.0], "b": [1.0]}, 1), DataError, "has 1 rows"),
        (lambda: rank_agreement({"a": [1.0, 2.0]}, 3), ParameterError, "number of rows"),
        (lambda: disagreements([1.0], 0, [1.0, 2.0], 0), DataError, "other_scores has 2"),
        (lambda: paired_difference("f1", [0, 1], [1, 2], [1, 2]), ParameterError, "figure must be one of"),
        (lambda: paired_difference("auroc", [0, 1], [1, 2], [1, 2, 3]), DataError, "other_scores has 3"),
        (lambda: family_catches({}, [1], ["a"]), DataError, "at least one detector"),
        (lambda: family_catches({"a": [1]}, [-1], ["a"]), DataError, "known to be an anomaly"),
    ],
)
def test_unusable_input_is_refused(call, error, said):
    with pytest.raises(error, match=said):
        call()
