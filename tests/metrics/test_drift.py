"""Drift: tests against SciPy, effect sizes by hand, false alarms by simulation, and the verdict on known worlds."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from scipy import stats

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics.column_drift import column_drift
from whitecrow.metrics.drift import drift_report, score_drift
from whitecrow.metrics.drift_measures import (
    homogeneity_p,
    ks_distance,
    level_table,
    number_table,
    population_stability_index,
    scaled_wasserstein,
)


def world(rng, n, anomalies=0.01, shift=0.0, moved=range(8)):
    """A table of numbers, categories, booleans and missing values, and its scores."""
    z = rng.normal(size=(n, 8))
    z[:, :4] += 0.5 * rng.normal(size=(n, 1))
    strange = rng.random(n) < anomalies
    z[strange, :5] += 4 * rng.choice([-1, 1], size=(strange.sum(), 5))
    z[:, list(moved)] += shift
    table = {f"x{j}": z[:, j] for j in range(8)}
    table["service"] = rng.choice(["http", "dns", "smtp", "rare"], p=[0.6, 0.29, 0.1, 0.01], size=n)
    table["flag"] = rng.random(n) < 0.3
    table["gaps"] = np.where(rng.random(n) < 0.05, np.nan, rng.exponential(size=n))
    return table, (z**2).mean(1)


def verdict(seed, n=1000, **change):
    rng = np.random.default_rng(seed)
    (before, one), (now, other) = world(rng, n), world(rng, n, **change)
    return drift_report(before, now, one, other)


@pytest.mark.parametrize(("n", "m", "digits"), [(200, 300, 5), (1500, 40, 1), (30, 30, 0)])
def test_kolmogorov_smirnov_and_wasserstein_equal_scipy(n, m, digits):
    rng = np.random.default_rng(n)
    one, other = np.round(rng.normal(size=n), digits), np.round(rng.normal(0.2, 1.3, size=m), digits)
    distance, p = ks_distance(one, other)
    reference = stats.ks_2samp(one, other, method="asymp")
    assert distance == pytest.approx(reference.statistic, abs=1e-12)
    assert p == pytest.approx(reference.pvalue, rel=1e-9)
    expected = stats.wasserstein_distance(one, other) / one.std()
    assert scaled_wasserstein(one, other) == pytest.approx(expected, rel=1e-9)


def test_homogeneity_equals_scipy():
    table = np.array([[50, 30, 20], [40, 45, 30]])
    assert homogeneity_p(table) == stats.chi2_contingency(table, correction=False).pvalue
    small = np.array([[50, 1], [45, 6]])
    assert homogeneity_p(small) == stats.fisher_exact(small).pvalue
    assert homogeneity_p(np.array([[50], [45]])) == 1.0


def test_psi_by_hand():
    # Shares with half a row added: 10.5/21 and 10.5/21 against 5.5/21 and 15.5/21.
    expected = (5.5 - 10.5) / 21 * np.log(5.5 / 10.5) + (15.5 - 10.5) / 21 * np.log(15.5 / 10.5)
    assert population_stability_index(np.array([[10, 10], [5, 15]])) == pytest.approx(expected)
    assert population_stability_index(np.array([[7, 3], [7, 3]])) == 0


def test_psi_of_a_shifted_normal_is_near_theory():
    # The symmetric divergence of N(0, 1) and N(d, 1) is d squared; ten bins see a little less.
    rng = np.random.default_rng(0)
    table = number_table(rng.normal(size=50_000), rng.normal(0.5, 1, size=50_000))
    np.testing.assert_allclose(table[0], 5000, atol=1)
    assert 0.21 < population_stability_index(table) < 0.25


def test_rare_levels_are_merged_until_they_can_be_tested():
    # Of 11 rows in two samples of equal size each should hold 5.5; the level of 5 rows and the new one of 5 are rare.
    reference, current = [60, 30, 6, 3, 1, 0], [50, 38, 5, 2, 0, 5]
    np.testing.assert_array_equal(level_table(reference, current), [[60, 30, 6, 4], [50, 38, 5, 7]])
    # Two levels stay two cells, however rare one is: Fisher's test can do with that.
    np.testing.assert_array_equal(level_table([99, 1], [100, 0]), [[99, 1], [100, 0]])
    # What is left over is too little for a cell of its own.
    np.testing.assert_array_equal(level_table([90, 9, 1], [90, 9, 1]), [[90, 10], [90, 10]])


def columns_of(before, now, **settings):
    return {row.column: row for row in column_drift(before, now, **settings)}


def test_each_column_gets_the_test_of_its_type():
    rng = np.random.default_rng(1)
    before = pl.DataFrame(
        {
            "number": rng.normal(size=300),
            "count": rng.integers(0, 50, size=300),
            "code": rng.integers(0, 3, size=300),
            "text": rng.choice(["a", "b"], size=300),
            "flag": rng.random(300) < 0.5,
            "when": [datetime(2024, 1, 1)] * 300,
            "empty": pl.Series([None] * 300, dtype=pl.Null),
        }
    ).with_columns(category=pl.col("text").cast(pl.Categorical))
    found = columns_of(before, before)
    assert {name: row.test for name, row in found.items()} == {
        "number": "ks",
        "count": "ks",
        "code": "chi-square",
        "text": "chi-square",
        "flag": "chi-square",
        "category": "chi-square",
        "when": "none",
        "empty": "none",
    }
    assert not any(row.drifted for row in found.values())
    assert found["when"].p_value is None
    assert found["number"].p_value == 1.0


def test_p_values_are_adjusted_by_benjamini_and_hochberg():
    rng = np.random.default_rng(2)
    before = {f"x{j}": rng.normal(size=200) for j in range(10)}
    now = {f"x{j}": rng.normal(0.06 * j, 1, size=200) for j in range(10)}
    rows = column_drift(before, now)
    p = [row.p_value for row in rows]
    assert p == pytest.approx([stats.ks_2samp(before[r.column], now[r.column], method="asymp").pvalue for r in rows])
    assert [row.adjusted_p_value for row in rows] == pytest.approx(stats.false_discovery_control(p))


def test_drifted_columns_come_first():
    rng = np.random.default_rng(3)
    before = {name: rng.normal(size=500) for name in "abcd"}
    now = {name: rng.normal(shift, 1, size=500) for name, shift in zip("abcd", (0, 2, 0, 1), strict=True)}
    rows = column_drift(before, now)
    assert [row.column for row in rows if row.drifted] == ["b", "d"]
    assert [row.drifted for row in rows] == [True, True, False, False]


def test_a_change_of_missing_values_alone_is_drift():
    rng = np.random.default_rng(4)
    gaps = np.where(rng.random(400) < 0.2, np.nan, 0.0)
    before, now = {"x": rng.normal(size=400)}, {"x": rng.normal(size=400) + gaps}
    row = columns_of(before, now)["x"]
    assert row.drifted
    assert (row.missing, row.reference_missing) == (np.isnan(gaps).mean(), 0.0)
    n = int(np.isnan(gaps).sum())
    # Two tests were made: of values and of missing shares.
    expected = stats.chi2_contingency([[0, 400], [n, 400 - n]], correction=False).pvalue
    assert row.p_value == pytest.approx(2 * expected)


def test_column_that_is_all_missing_now_has_drifted():
    row = columns_of({"x": [1.0, 2.0, 3.0] * 20}, {"x": [None] * 60})["x"]
    assert (row.test, row.drifted, row.missing) == ("none", True, 1.0)


def test_unseen_levels_are_shown_and_tested_once_frequent():
    before = {"c": ["a"] * 60 + ["b"] * 40}
    rare = columns_of(before, {"c": ["a"] * 60 + ["b"] * 38 + ["new", "other"]})["c"]
    frequent = columns_of(before, {"c": ["a"] * 40 + ["b"] * 30 + ["new"] * 30})["c"]
    assert (rare.unseen, rare.drifted) == (0.02, False)
    assert (frequent.unseen, frequent.drifted) == (0.3, True)


def test_identifiers_are_no_drift():
    row = columns_of({"id": [f"a{i}" for i in range(500)]}, {"id": [f"b{i}" for i in range(500)]})["id"]
    assert (row.unseen, row.drifted) == (1.0, False)


def test_small_differences_of_large_tables_are_no_drift():
    rng = np.random.default_rng(5)
    row = columns_of({"x": rng.normal(size=50_000)}, {"x": rng.normal(0.05, 1, size=50_000)})["x"]
    assert row.adjusted_p_value < 1e-6
    assert not row.drifted
    assert columns_of({"x": rng.normal(size=50_000)}, {"x": rng.normal(0.05, 1, size=50_000)}, min_effect=0.01)[
        "x"
    ].drifted


def test_mapping_and_frame_give_one_report():
    rng = np.random.default_rng(6)
    (before, _), (now, _) = world(rng, 200), world(rng, 200, shift=1.0)
    assert column_drift(before, now) == column_drift(pl.DataFrame(before), pl.DataFrame(now))


def test_order_of_rows_and_columns_does_not_matter():
    rng = np.random.default_rng(7)
    (before, _), (now, _) = world(rng, 300), world(rng, 300, shift=0.5)
    order = rng.permutation(300)
    shuffled = {name: now[name][order] for name in reversed(now)}
    assert column_drift(before, now) == column_drift(before, shuffled)


def test_score_drift_against_scipy():
    rng = np.random.default_rng(8)
    before, now = rng.exponential(size=400), 1.5 * rng.exponential(size=300)
    found = score_drift(before, now)
    assert found.p_value == pytest.approx(stats.ks_2samp(before, now, method="asymp").pvalue)
    assert found.mean_shift == pytest.approx((now.mean() - before.mean()) / before.std())
    assert found.drifted
    assert score_drift(np.ones(50), np.ones(50)) == (0.0, 1.0, 0.0, 0.0, 0.0, False)


def test_the_same_world_is_seldom_called_another():
    reports = [verdict(seed, n=200) for seed in range(40)]
    # Each with a chance of at most 5 %: six or more of 40 would hardly come by chance.
    assert sum(any(row.drifted for row in report.columns) for report in reports) <= 5
    assert sum(report.scores.drifted for report in reports) <= 5
    assert sum(report.verdict.verdict != "stable" for report in reports) <= 5
    assert not any(report.drifted for report in reports)


@pytest.mark.parametrize("anomalies", [0.1, 0.3])
def test_more_anomalies_leave_the_bulk_as_it_was(anomalies):
    found = [verdict(seed, anomalies=anomalies).verdict for seed in range(8)]
    assert {row.verdict for row in found} == {"more anomalies"}
    assert all(row.tail > row.reference_tail and not row.bulk_columns for row in found)


def test_fewer_anomalies_are_told_apart_too():
    rng = np.random.default_rng(0)
    (before, one), (now, other) = world(rng, 3000, anomalies=0.05), world(rng, 3000, anomalies=0.0)
    assert drift_report(before, now, one, other).verdict.verdict == "fewer anomalies"


@pytest.mark.parametrize("shift", [0.5, 1.5, 10.0])
def test_a_moved_bulk_is_another_world(shift):
    reports = [verdict(seed, shift=shift) for seed in range(5)]
    assert {report.verdict.verdict for report in reports} == {"the world moved"}
    assert all(report.drifted and report.share_drifted >= 0.5 for report in reports)
    assert "fit the detector again" in reports[0].verdict.reason


def test_one_moved_column_is_named():
    report = verdict(0, n=3000, shift=0.7, moved=[7])
    assert report.verdict.bulk_columns == ("x7",)
    assert report.columns[0].column == "x7"
    assert not report.drifted
    assert report.verdict.verdict in ("some columns moved", "the world moved")


def test_share_from_which_drift_is_declared_can_be_chosen():
    rng = np.random.default_rng(9)
    (before, one), (now, other) = world(rng, 500), world(rng, 500, shift=1.0, moved=[0, 1])
    assert not drift_report(before, now, one, other).drifted
    report = drift_report(before, now, one, other, declare_at=2 / 11)
    assert report.share_drifted == 2 / 11
    assert report.drifted


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"x": [1.0]}, {"y": [1.0]}, "x, y are in one table only"),
        ({"x": [1.0, 2.0]}, {"x": ["a", "b"]}, "numbers in the reference and categories"),
        ({"x": []}, {"x": [1.0]}, "has 0 rows"),
        ({"x": [1.0], "y": [1.0, 2.0]}, {"x": [1.0], "y": [1.0]}, "cannot be read as a table"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(before, now, said):
    with pytest.raises(DataError, match=said):
        column_drift(before, now)


def test_report_refuses_scores_of_other_rows_and_tiny_tables():
    table = {"x": np.arange(10.0)}
    with pytest.raises(DataError, match="current_scores has 9 rows"):
        drift_report(table, table, np.arange(10.0), np.arange(9.0))
    with pytest.raises(DataError, match="at least 20 of each"):
        drift_report(table, table, np.arange(10.0), np.arange(10.0))
    with pytest.raises(ParameterError, match="declare_at"):
        drift_report(table, table, np.arange(10.0), np.arange(10.0), declare_at=2.0)
