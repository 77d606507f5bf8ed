"""Every leak is planted here, and found with a message of its own."""

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from whitecrow.calibrate import BestF1, CostBased, PeaksOverThreshold, Quantile
from whitecrow.core.errors import DataError, ParameterError, UnknownNameError, WhitecrowError
from whitecrow.study.leaks import (
    LeakError,
    check_label_column,
    check_metrics,
    check_split,
    check_threshold,
    duplicates,
)
from whitecrow.study.protocols import Split, protocol


def rows(*values):
    return np.array(values, dtype=np.int64)


def labels(n=500, share=0.2, seed=0):
    return (np.random.default_rng(seed).random(n) < share).astype(int)


def features(n=500, seed=1):
    return np.random.default_rng(seed).normal(size=(n, 3))


# ---- rows on both sides ---------------------------------------------------------------------------------------------


def test_a_leak_is_an_error_of_the_house_and_a_value_error():
    assert issubclass(LeakError, WhitecrowError)
    assert issubclass(LeakError, ValueError)


def test_test_rows_added_to_training_are_counted_and_named():
    clean = protocol("house").split(labels(), seed=0)
    check_split(clean)
    leaky = replace(clean, train=np.concatenate([clean.train, clean.test[:7]]))
    first = ", ".join(map(str, clean.test[:3].tolist()))
    with pytest.raises(LeakError, match=rf"^7 rows both train and test \(rows {first}, \.\.\.\).*out of one part"):
        check_split(leaky)
    check_split(leaky, overlaps=True)


def test_injected_anomalies_left_in_the_test_are_refused():
    with pytest.raises(LeakError, match=r"^2 rows both train and test \(rows 4, 5\)"):
        check_split(Split(rows(0, 1), rows(2, 3, 4, 5), injected=rows(4, 5)))


def test_a_labelled_row_in_the_test_is_refused_even_where_rows_may_overlap():
    with pytest.raises(LeakError, match=r"^1 test rows have a label .* \(row 3\)"):
        check_split(Split(rows(0, 1, 3), rows(2, 3), known=rows(3)), overlaps=True)


# ---- copies ---------------------------------------------------------------------------------------------------------


def test_planted_copies_are_counted_as_numpy_counts_them():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, size=(400, 4)).astype(float)
    split = Split(np.arange(0, 150), np.arange(150, 400))
    train, test = ({tuple(row) for row in X[part]} for part in (split.train, split.test))
    report = duplicates(X, split)
    assert report.n_test == 250
    assert report.n_copies == sum(tuple(row) in train for row in X[split.test])
    assert report.share == report.n_copies / 250
    assert (report.distinct_train, report.distinct_test) == (len(train), len(test))
    assert f"{report.n_copies} of 250 test rows" in str(report)


def test_rows_that_differ_in_one_value_are_no_copies():
    X = features(200)
    X[100:] = X[:100]
    X[100:, 2] += 1e-12
    report = duplicates(X, Split(np.arange(100), np.arange(100, 200)))
    assert report.n_copies == 0
    assert report.share == 0.0


def test_tables_with_text_and_missing_values_are_compared_as_they_are():
    table = pl.DataFrame(
        {"service": ["http", "http", None, "http", None], "bytes": [1.0, 2.0, None, 1.0, None]},
        schema={"service": pl.Categorical, "bytes": pl.Float64},
    )
    report = duplicates(table, Split(rows(0, 1, 2), rows(3, 4)))
    assert report.n_copies == 2


def test_zero_equals_minus_zero_and_nan_equals_nan():
    X = np.array([[0.0, np.nan], [-0.0, np.nan], [0.0, 1.0]])
    assert duplicates(X, Split(rows(0), rows(1, 2))).n_copies == 1


def test_a_bootstrap_protocol_shows_its_copies():
    y = labels(400)
    report = duplicates(features(400), protocol("adbench-one-class").split(y, seed=0))
    assert report.share > 0.2
    assert duplicates(features(400), protocol("house").split(y, seed=0)).share == 0.0


def test_a_split_of_another_table_is_refused():
    with pytest.raises(DataError, match="refers to row 9, but X has 5 rows"):
        duplicates(features(5), Split(rows(0, 1), rows(9)))


def test_half_a_million_rows_are_counted_in_seconds():
    X = np.random.default_rng(0).normal(size=(500_000, 41)).astype(np.float32)
    X[400_000:] = X[:100_000]
    start = time.process_time()
    report = duplicates(X, Split(np.arange(250_000), np.arange(250_000, 500_000)))
    assert report.n_copies == 100_000
    assert time.process_time() - start < 8  # about 1 s alone on one thread


# ---- the label as a column ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recoded",
    [
        lambda y: y,
        lambda y: 1 - y,
        lambda y: y.astype(bool),
        lambda y: np.where(y == 1, -3.5, 17.25),
        lambda y: np.where(y == 1, "attack", "normal"),
        lambda y: pl.Series(np.where(y == 1, "attack", "normal")).cast(pl.Categorical),
        lambda y: pl.Series([None if v else 1.0 for v in y]),
        lambda y: pl.Series(["alert" if v else None for v in y]),
        lambda y: np.where(y == 1, np.nan, 0.0),
    ],
    ids=["itself", "complement", "bool", "numbers", "text", "categories", "null", "text-or-null", "nan"],
)
def test_a_column_that_is_the_label_is_refused_by_name(recoded):
    y = labels()
    table = pl.DataFrame(features(), schema=["a", "b", "c"]).with_columns(pl.Series("target", recoded(y)))
    with pytest.raises(LeakError, match=r"read off the column 'target'.*Drop it"):
        check_label_column(table, y)


def test_a_column_of_an_array_is_named_as_told_or_by_its_place():
    y = labels()
    X = np.column_stack([features(), 1 - y])
    with pytest.raises(LeakError, match="the column 'column 3':"):
        check_label_column(X, y)
    with pytest.raises(LeakError, match="the column 'outlier':"):
        check_label_column(X, y, ["a", "b", "c", "outlier"])


def test_one_row_off_is_not_the_label_but_comes_near_it():
    y = labels(5000)
    near = y.copy()
    near[np.flatnonzero(y)[0]] = 0
    (note,) = check_label_column(near[:, None], y)
    assert f"AUROC of {1 - 0.5 / y.sum():.4f}" in note
    near[np.flatnonzero(y)[:10]] = 0  # an AUROC of 1 - 5 / 1000 or so
    assert check_label_column(near[:, None], y) == ()


def test_a_third_level_is_not_the_label_and_honest_columns_leave_no_note():
    y = labels()
    levels = np.where(y == 1, "x", "y").astype(object)
    levels[:5] = "z"  # of both classes
    assert len(set(y[:5])) == 2
    table = pl.DataFrame(features(), schema=["a", "b", "c"]).with_columns(
        pl.Series("d", levels.tolist()),
        pl.Series("constant", [1] * 500),
        pl.Series("id", [f"r{i}" for i in range(500)]),
    )
    assert check_label_column(table, y) == ()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_column_that_separates_almost_perfectly_is_noted_with_its_auroc(sign):
    y = labels()
    scores = sign * (y * 10 + np.random.default_rng(2).normal(size=500))
    (note,) = check_label_column(np.column_stack([features(), scores]), y)
    assert note.startswith("The column 'column 3' alone separates")
    assert "AUROC of 1.0000" in note or "AUROC of 0.0000" in note


def test_a_column_that_merely_separates_well_is_not_noted():
    y = labels()
    assert check_label_column((y * 3 + np.random.default_rng(2).normal(size=500))[:, None], y) == ()


def test_infinities_and_missing_values_do_not_hide_a_column():
    y = labels()
    column = np.where(y == 1, np.inf, np.random.default_rng(0).normal(size=500))
    column[:3] = np.nan
    (note,) = check_label_column(column[:, None], y)
    assert "AUROC of 1.0000" in note


def test_a_column_that_is_missing_for_one_class_only_is_noted():
    y = labels()
    for missing, who in ((y == 1, "anomalies"), (y == 0, "normal rows")):
        (note,) = check_label_column(np.where(missing, np.nan, features()[:, 0])[:, None], y)
        assert f"is missing for exactly the {who}" in note


def test_attack_names_left_in_the_table_are_noted():
    y = labels()
    names = np.where(y == 1, np.random.default_rng(0).choice(["neptune", "smurf"], 500), "normal")
    (note,) = check_label_column(pl.DataFrame({"attack": names}), y)
    assert "'attack' has 3 levels, each of which belongs to one class" in note


def test_labels_of_one_class_reveal_nothing():
    assert check_label_column(np.zeros((5, 1)), np.zeros(5)) == ()


def test_labels_and_names_have_to_fit_the_table():
    with pytest.raises(DataError, match="X has 500 rows and y has 499"):
        check_label_column(features(), labels()[:-1])
    with pytest.raises(DataError, match="2 names were given for 3 columns"):
        check_label_column(features(), labels(), ["a", "b"])


# ---- metrics and thresholds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["f1", "precision", "recall"])
def test_a_metric_that_hides_who_sets_its_threshold_is_refused_with_the_honest_names(name):
    with pytest.raises(ParameterError, match=rf"does not say who sets the threshold.*{name}_at_known_ratio, oper") as e:
        check_metrics(["auroc", name])
    assert f"operational_{name}" in str(e.value)


def test_metrics_come_back_with_what_they_take_from_the_test_labels():
    plain, oracle = check_metrics(["operational_f1", "best_f1_on_test"])
    assert plain.uses_test_labels == ""
    assert "labels" in oracle.uses_test_labels


def test_metrics_need_a_name_and_each_only_once():
    with pytest.raises(ParameterError, match="at least one metric"):
        check_metrics([])
    with pytest.raises(ParameterError, match="auroc more than once"):
        check_metrics(["auroc", "average_precision", "auroc"])
    with pytest.raises(UnknownNameError, match="Did you mean auroc"):
        check_metrics(["aurok"])


@pytest.mark.parametrize(
    "source", ["best-f1", "best_f1", "f1", "test", "test labels", "best F1 on test", "accuracy", BestF1(), "cost"]
)
def test_a_threshold_fitted_on_test_labels_is_refused(source):
    with pytest.raises(LeakError, match=r"fitted on the labels it is then measured on.*f1_at_known_ratio"):
        check_threshold(source)


def test_every_rule_that_needs_labels_is_refused_by_object_and_by_name():
    rule = CostBased(cost_miss=10, cost_false_alarm=1)
    for source in (rule, rule.name, BestF1.name):
        with pytest.raises(LeakError):
            check_threshold(source)


@pytest.mark.parametrize("source", ["model", Quantile(0.05), "quantile", PeaksOverThreshold(0.001)])
def test_a_threshold_without_labels_passes(source):
    check_threshold(source)


def test_an_unknown_threshold_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="model, quantile"):
        check_threshold("modell")
