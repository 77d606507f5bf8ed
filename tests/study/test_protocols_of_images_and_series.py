"""Protocols of images and series: who trains and who tests, and what they refuse."""

import itertools

import numpy as np
import pytest

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.study.leaks import LeakError, check_split, duplicates
from whitecrow.study.protocols import Split, protocol, protocol_names

NONE = np.zeros(1000, dtype=np.int8)


def digits(n=1000, seed=1):
    return np.random.default_rng(seed).integers(0, 10, n).astype(str)


def one_class(**options):
    return protocol("one-class-images", **{"one_class": "3", **options})


def series(n=1000, *events):
    y = np.zeros(n, dtype=np.int8)
    for first, last in events:
        y[first:last] = 1
    return y


@pytest.mark.parametrize("name", protocol_names("image") + protocol_names("sequence"))
def test_a_protocol_says_what_it_is_whom_to_cite_and_what_is_wrong_with_the_original(name):
    p = protocol(name)
    assert p.name == name
    assert p.description.endswith(".")
    assert len(p.description) < 100
    assert "20" in p.source
    assert all(fault.split(":")[0] in ("Avoided", "Followed", "Stated") for fault in p.faults)
    assert any(fault.startswith("Stated") or fault.startswith("Followed") for fault in p.faults)


# ---- images ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["N1", "A1"])
def test_the_one_class_is_normal_under_n1_and_the_anomaly_under_a1(convention):
    names, rule = digits(), one_class(convention=convention, holdout=0.0)
    y = rule.labels(NONE, names)
    np.testing.assert_array_equal(y, (names != "3") if convention == "N1" else (names == "3"))
    split = rule.split(NONE, seed=0, families=names)
    check_split(split)
    assert not y[split.train].any()
    assert len(split.train) == int((~y).sum() * 0.8)
    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(1000))


@pytest.mark.parametrize("convention", ["N1", "A1"])
def test_injected_images_are_nested_and_the_test_is_the_same_for_every_share(convention):
    names = digits(4000)
    rule = one_class(convention=convention, most_anomalies=120)
    y = rule.labels(names, names)
    splits = [rule.split(names == "", seed=2, families=names, contamination=c) for c in (0.0, 0.01, 0.04)]
    for smaller, larger in itertools.pairwise(splits):
        np.testing.assert_array_equal(smaller.test, larger.test)
        np.testing.assert_array_equal(smaller.injected, larger.injected[: len(smaller.injected)])
    last = splits[-1]
    check_split(last)
    assert y[last.injected].all()
    assert len(last.injected) == int((len(last.train) - len(last.injected)) * 0.04 / 0.96 + 1e-9)
    assert y[last.test].sum() == 120


def test_thinned_anomalies_are_of_all_classes_and_drawn_anew_for_each_seed():
    names = digits(4000)
    tests = [one_class(most_anomalies=200).split(names == "", seed=s, families=names).test for s in (0, 1)]
    assert all(set(names[test]) == set("0123456789") for test in tests)
    assert set(tests[0]) != set(tests[1])


def test_a_class_has_to_be_chosen_among_those_there_are():
    for given in ({"one_class": ""}, {"one_class": "10"}):
        with pytest.raises(ParameterError, match=r"classes are 0, 1, 2.*Choose one"):
            one_class(**given).split(NONE, seed=0, families=digits())
    with pytest.raises(ParameterError, match="names none"):
        one_class().split(NONE, seed=0)
    with pytest.raises(ParameterError, match="convention"):
        one_class(convention="B1")


def test_images_and_windows_that_are_copies_are_counted():
    X = np.random.default_rng(0).integers(0, 9, (6, 4, 4)).astype(np.float64)
    X[4], X[5] = X[0], -X[1]
    X[1] = X[5] = np.where(X[1] == 0, 0.0, 1.0)
    X[5][X[5] == 0] = -0.0
    rows = np.arange(6)
    report = duplicates(X, Split(rows[:3], rows[3:]))
    assert (report.n_copies, report.n_test, report.distinct_train) == (2, 3, 3)
    with pytest.raises(LeakError, match="both train and test"):
        check_split(Split(rows[:4], rows[3:]))


# ---- series ---------------------------------------------------------------------------------------------------------


def test_tsb_ad_trains_on_the_first_steps_and_tests_the_whole_series():
    y = series(1000, (700, 720))
    split = protocol("tsb-ad").split(y, seed=0, train_end=300)
    np.testing.assert_array_equal(split.train, np.arange(300))
    np.testing.assert_array_equal(split.test, np.arange(1000))
    check_split(split, overlaps=protocol("tsb-ad").overlaps)
    own = protocol("tsb-ad", train_end=200).split(y, seed=0, train_end=300)
    assert len(own.train) == 200


@pytest.mark.parametrize("name", ["tsb-ad", "ecg5000"])
def test_the_end_of_the_training_part_has_to_be_known_and_before_the_last_row(name):
    with pytest.raises(ParameterError, match="does not say where its training part ends"):
        protocol(name).split(series(1000, (700, 720)), seed=0)
    with pytest.raises(ParameterError, match="1000 rows"):
        protocol(name, train_end=1000).split(series(1000, (700, 720)), seed=0)


def test_anomalies_in_the_training_part_of_a_series_are_refused_with_where_it_may_end():
    y = series(1000, (250, 260), (700, 720))
    with pytest.raises(DataError, match=r"10 of the first 300 steps.*step 250.*at most 250"):
        protocol("tsb-ad").split(y, seed=0, train_end=300)
    assert len(protocol("tsb-ad", train_end=250).split(y, seed=0).train) == 250
    with pytest.raises(DataError, match="first 150 steps"):
        protocol("nab").split(series(1000, (149, 160)), seed=0)


@pytest.mark.parametrize(("n", "probation"), [(100, 15), (4032, 604), (5000, 750), (22_695, 750)])
def test_nab_trains_on_the_probationary_period_and_tests_the_rest(n, probation):
    split = protocol("nab").split(series(n, (n - 20, n - 10)), seed=0)
    np.testing.assert_array_equal(split.train, np.arange(probation))
    np.testing.assert_array_equal(split.test, np.arange(probation, n))
    check_split(split)


def test_series_take_no_contamination_and_one_without_an_anomaly_is_refused():
    for name in ("tsb-ad", "nab"):
        with pytest.raises(ParameterError, match="largest share is 0"):
            protocol(name).split(series(1000, (900, 910)), seed=0, train_end=100, contamination=0.1)
        with pytest.raises(DataError, match="all 1000 labels are 0"):
            protocol(name).split(series(1000), seed=0, train_end=100)


def test_ecg5000_trains_on_the_normal_windows_of_the_first_part():
    y = (np.random.default_rng(0).random(500) < 0.4).astype(int)
    clean, dirty = (protocol("ecg5000").split(y, seed=0, train_end=50, contamination=c) for c in (0.0, 0.1))
    np.testing.assert_array_equal(clean.train, np.flatnonzero(y[:50] == 0))
    np.testing.assert_array_equal(clean.test, np.arange(50, 500))
    np.testing.assert_array_equal(dirty.test, clean.test)
    assert set(dirty.train) - set(dirty.injected) == set(clean.train)
    assert y[dirty.injected].all()
    assert (dirty.injected < 50).all()
    assert len(dirty.injected) == len(clean.train) // 9
