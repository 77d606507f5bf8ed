"""Figures by name: the right function, the right direction, and what they take from the test labels."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score, roc_curve

from whitecrow.core.errors import DataError, ParameterError, UnknownNameError
from whitecrow.metrics import best_f1, f1_at_known_ratio
from whitecrow.study.figures import figure, figures

FROM_LABELS = {
    "best_affiliation_f1_on_test",
    "best_event_f1_on_test",
    "best_f1_on_test",
    "best_nab_low_fn_on_test",
    "best_nab_low_fp_on_test",
    "best_nab_standard_on_test",
    "best_range_f1_on_test",
    "f1_at_known_ratio",
    "f1_tuned_on_test_fifth",
    "precision_at_known_ratio",
    "recall_at_fpr_1",
    "recall_at_known_ratio",
}


def scored(n=2000, share=0.15, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    return y, rng.normal(size=n) + 1.5 * y


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auroc", lambda y, s, t: roc_auc_score(y, s)),
        ("average_precision", lambda y, s, t: average_precision_score(y, s)),
        ("operational_f1", lambda y, s, t: f1_score(y, s > t)),
        ("operational_precision", lambda y, s, t: precision_score(y, s > t)),
        ("operational_recall", lambda y, s, t: recall_score(y, s > t)),
        ("precision_at_100", lambda y, s, t: y[np.argsort(-s)[:100]].mean()),
        ("f1_at_known_ratio", lambda y, s, t: f1_score(y, s >= np.sort(s)[-y.sum()])),
        ("best_f1_on_test", lambda y, s, t: max(f1_score(y, s >= c) for c in np.sort(s)[::5])),
        ("distinct_scores", lambda y, s, t: len(set(s.tolist()))),
    ],
)
def test_a_figure_is_the_one_that_its_name_says(name, expected):
    y, s = scored()
    tolerance = 0.01 if name == "best_f1_on_test" else 1e-12  # the reference looks at every fifth score only
    assert figure(name)(y, s, 1.0) == pytest.approx(expected(y, s, 1.0), abs=tolerance)


def test_recall_at_one_percent_of_false_alarms_is_read_off_the_roc_curve():
    y, s = scored()
    fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    assert figure("recall_at_fpr_1")(y, s) == pytest.approx(tpr[fpr <= 0.01].max())


def test_precision_recall_and_f1_are_equal_at_the_known_ratio():
    y, s = scored()
    assert len({figure(f"{part}_at_known_ratio")(y, s) for part in ("precision", "recall", "f1")}) == 1


def test_a_test_with_fewer_than_a_hundred_rows_is_taken_whole():
    y = np.array([0, 1, 1, 0])
    assert figure("precision_at_100")(y, [0.1, 0.2, 0.3, 0.4]) == 0.5


def test_f1_tuned_on_a_fifth_lies_between_the_known_ratio_and_the_best_give_or_take():
    y, s = scored(20_000)
    tuned = [figure("f1_tuned_on_test_fifth")(y, s, seed=seed) for seed in range(5)]
    assert len(set(tuned)) > 1
    assert tuned[0] == figure("f1_tuned_on_test_fifth")(y, s, seed=0)
    assert f1_at_known_ratio(y, s).f1 - 0.03 < np.mean(tuned) < best_f1(y, s).f1 + 0.01


def test_f1_tuned_on_a_fifth_flatters_noise_less_than_the_best_f1_does():
    y, _ = scored(5000)
    noise = np.random.default_rng(7).normal(size=len(y))
    assert figure("f1_tuned_on_test_fifth")(y, noise) < best_f1(y, noise).f1


def test_f1_tuned_on_a_fifth_is_perfect_for_perfect_scores_and_needs_two_anomalies():
    y = np.repeat([0, 1], [90, 10])
    assert figure("f1_tuned_on_test_fifth")(y, y + np.arange(100) / 1000) > 0.85
    with pytest.raises(DataError, match="anomaly"):
        figure("f1_tuned_on_test_fifth")([0] * 9 + [1], np.arange(10.0))


def test_only_operational_figures_need_the_models_threshold():
    y, s = scored(300)
    for name in figures():
        if name.startswith("operational"):
            with pytest.raises(ParameterError, match=f"{name} needs the model's own threshold"):
                figure(name)(y, s)
        else:
            assert np.isfinite(figure(name)(y, s))


def test_every_figure_that_takes_a_threshold_from_the_test_says_so():
    assert {name for name in figures() if figure(name).uses_test_labels} == FROM_LABELS
    for name in FROM_LABELS - {"recall_at_fpr_1"}:
        assert "known_ratio" in name or "test" in name


def test_every_figure_has_a_title_of_its_own_a_description_and_a_direction():
    entries = [figure(name) for name in figures()]
    assert len({entry.title for entry in entries}) == len(entries)
    assert all(entry.description.endswith(".") and entry.direction in ("higher", "none") for entry in entries)
    assert [entry.name for entry in entries if entry.direction == "none"] == ["distinct_scores"]


def late_by_five(buffer=0):
    """An event at 40 to 49 of 100 steps, flagged at 45 to 54: worked out by hand in the definitions' papers."""
    y, flags = np.zeros((2, 100), dtype=int)
    y[40:50], flags[45:55] = 1, 1
    return lambda name: figure(name)(y, flags, 0.5, buffer=buffer)


@pytest.mark.parametrize("form", ["operational_{}_f1", "best_{}_f1_on_test"])
def test_figures_of_series_are_those_of_an_event_that_is_flagged_late(form):
    of = late_by_five()
    assert of(form.format("event")) == pytest.approx(2 / 3)
    assert of(form.format("range")) == pytest.approx(6 / 11)
    assert of(form.format("affiliation")) == pytest.approx(2 * 0.925 * 0.975 / 1.9)
    assert of("operational_event_recall") == 1


def test_the_volumes_take_the_buffer_that_they_are_given():
    assert late_by_five()("vus_pr") == pytest.approx(0.3)
    assert late_by_five(20)("vus_pr") == pytest.approx(0.6291, abs=1e-4)
    assert late_by_five(20)("vus_roc") == pytest.approx(0.8426, abs=1e-4)


def test_nab_scores_are_zero_without_a_flag_and_a_hundred_for_the_first_step_of_each_window():
    y = np.repeat([0, 1, 0], [50, 20, 130])
    first = np.zeros(200)
    first[50] = 1
    for name in ("standard", "low_fp", "low_fn"):
        assert figure(f"operational_nab_{name}")(y, first, 2.0) == 0
        assert figure(f"operational_nab_{name}")(y, first, 0.5) == pytest.approx(100)
        assert figure(f"best_nab_{name}_on_test")(y, first) == pytest.approx(100)


def test_figures_of_series_are_listed_for_the_protocols_of_series_alone():
    assert "vus_pr" not in figures("house")
    assert set(figures("tsb-ad")) - set(figures("house")) >= {"vus_pr", "vus_roc", "operational_range_f1"}
    assert not any("nab" in name for name in figures("tsb-ad"))
    assert set(figures("nab")) == set(figures())
    assert figures("ecg5000") == figures("house") == figures("one-class-images")


@pytest.mark.parametrize("name", ["f1", "F1", "f1-score", "precision", "recall", "accuracy", "auc", "best_f1"])
def test_an_ambiguous_name_is_refused_with_names_that_exist(name):
    with pytest.raises(ParameterError, match="Choose from ") as error:
        figure(name)
    offered = str(error.value).split("Choose from ")[1].rstrip(".").split(", ")
    assert set(offered) <= set(figures())


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="distinct_scores"):
        figure("logloss")


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="NaN"):
        figure("distinct_scores")([0, 1], [np.nan, 1.0])
