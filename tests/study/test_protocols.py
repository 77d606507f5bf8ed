"""Every protocol: who trains, who tests, who is injected, and what is said about the original."""

import itertools
import math

import numpy as np
import pytest

from whitecrow.core.errors import DataError, ParameterError, UnknownNameError
from whitecrow.data.contamination import house_split
from whitecrow.study.leaks import check_split
from whitecrow.study.protocols import protocol, protocol_names

INJECTING = ["house", "dagmm", "alad", "deepad", "robustness", "semi-supervised"]
TABLES = protocol_names("table")
SHARES = (0.0, 0.01, 0.02, 0.05, 0.08, 0.12, 0.25)


def labels(normal=1000, anomalies=400, seed=5):
    return np.random.default_rng(seed).permutation(np.repeat([0, 1], [normal, anomalies]))


def families(y):
    return np.where(y == 0, "normal", np.random.default_rng(8).choice(["dos", "probe"], len(y), p=[0.7, 0.3]))


# ---- all of them ----------------------------------------------------------------------------------------------------


def test_the_protocols_are_listed_by_kind():
    assert sorted([*INJECTING, "goad", "adbench-one-class", "adbench-unsupervised"]) == TABLES
    assert protocol_names("image") == ["one-class-images"]
    assert protocol_names("sequence") == ["ecg5000", "nab", "tsb-ad"]
    assert set(protocol_names()) == {*TABLES, *protocol_names("image"), *protocol_names("sequence")}


@pytest.mark.parametrize("name", protocol_names())
def test_a_protocol_says_what_it_is_whom_to_cite_and_what_is_wrong_with_the_original(name):
    p = protocol(name)
    assert p.name == name
    assert p.description.endswith(".")
    assert len(p.description) < 100
    assert any(year in p.source for year in ("20", "arXiv"))
    assert p.faults
    assert all(fault.split(":")[0].split(" ")[0] in ("Avoided", "Followed", "Stated") for fault in p.faults)


@pytest.mark.parametrize("name", TABLES)
def test_rows_that_train_do_not_test_unless_it_is_declared(name):
    p, y = protocol(name), labels(1200, 300)
    split = p.split(y, seed=3)
    check_split(split, p.overlaps)
    for rows in (split.train, split.test, split.injected, split.known):
        assert rows.dtype == np.int64
        assert rows.size == 0 or (rows.min() >= 0 and rows.max() < len(y))
    if not p.overlaps:
        for rows in (split.train, split.test):
            assert len(np.unique(rows)) == len(rows)


@pytest.mark.parametrize("name", [n for n in TABLES if n not in ("deepad", "adbench-one-class", "alad")])
def test_the_seed_alone_decides_the_split(name):
    p, y = protocol(name), labels()
    one, again, other = (p.split(y, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.train, again.train)
    np.testing.assert_array_equal(one.test, again.test)
    assert set(one.train) != set(other.train)


@pytest.mark.parametrize("name", TABLES)
def test_the_global_random_state_is_left_alone(name):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    protocol(name).split(labels(), seed=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", INJECTING)
def test_injections_are_nested_and_the_test_is_the_same_for_every_share(name):
    p, y = protocol(name), labels()
    splits = [p.split(y, seed=7, contamination=share) for share in (0.0, 0.02, 0.05, 0.1)]
    for smaller, larger in itertools.pairwise(splits):
        np.testing.assert_array_equal(smaller.test, larger.test)
        np.testing.assert_array_equal(smaller.injected, larger.injected[: len(smaller.injected)])
        assert set(smaller.train) - set(smaller.injected) == set(larger.train) - set(larger.injected)
    for split in splits:
        assert set(split.injected) <= set(split.train)
        assert not set(split.injected) & set(split.test)
        assert y[split.injected].all()


@pytest.mark.parametrize("name", INJECTING)
@pytest.mark.parametrize("share", [0.02, 0.12])
def test_the_share_of_the_resulting_training_set_is_the_one_asked_for(name, share):
    y = labels()
    split = protocol(name).split(y, seed=1, contamination=share)
    unlabelled = np.setdiff1d(split.train, split.known)
    n_normal = (y[unlabelled] == 0).sum()
    assert y[unlabelled].sum() == len(split.injected) == math.floor(n_normal * share / (1 - share) + 1e-9)


@pytest.mark.parametrize("name", INJECTING)
def test_too_large_a_share_names_the_largest_possible_one(name):
    with pytest.raises(ParameterError, match=r"largest share here is 0\.\d{4}"):
        protocol(name).split(labels(1000, 50), seed=0, contamination=0.4)


@pytest.mark.parametrize("name", ["goad", "adbench-one-class", "adbench-unsupervised"])
def test_a_protocol_without_injection_refuses_contamination_and_names_those_that_inject(name):
    with pytest.raises(ParameterError, match=r"largest share is 0.*robustness or house"):
        protocol(name).split(labels(), seed=0, contamination=0.05)


@pytest.mark.parametrize("name", ["house", "dagmm", "alad", "goad", "robustness", "semi-supervised"])
def test_max_rows_draws_each_class_in_its_share_and_leaves_smaller_data_alone(name):
    y = labels(4000, 1000)
    whole = protocol(name).split(y, seed=2)
    np.testing.assert_array_equal(protocol(name, max_rows=5000).split(y, seed=2).train, whole.train)
    splits = [protocol(name, max_rows=600).split(y, seed=s) for s in (2, 3)]
    used = [np.concatenate([s.train, s.test]) for s in splits]
    assert all(len(rows) <= 600 and y[rows].sum() <= 120 for rows in used)
    if name == "goad":  # it leaves no row out
        assert [(len(rows), y[rows].sum()) for rows in used] == [(600, 120), (600, 120)]
    if name != "alad":
        assert set(used[0]) != set(used[1])


def test_a_rare_class_survives_max_rows():
    y = labels(9995, 5)
    split = protocol("goad", max_rows=100).split(y, seed=0)
    assert y[split.test].sum() == 1


def test_an_unknown_protocol_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"'dagm'. Did you mean dagmm\? .*semi-supervised"):
        protocol("dagm")


def test_an_unknown_option_lists_the_accepted_ones():
    with pytest.raises(
        ParameterError, match="house has no option hold_out; accepted are max_rows, holdout, train_share"
    ):
        protocol("house", hold_out=0.2)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("house", "holdout", 1.0),
        ("house", "train_share", 0.0),
        ("house", "max_rows", 1),
        ("alad", "test_ratio", 1.0),
        ("alad", "fixed", "yes"),
        ("adbench-one-class", "cap", 0),
        ("deepad", "n_train", 0),
        ("deepad", "train_share", 1.0),
        ("robustness", "family", 3),
        ("semi-supervised", "labelled", -0.1),
        ("semi-supervised", "n_labelled", 0),
    ],
)
def test_an_option_out_of_its_range_is_refused_on_construction(name, option, value):
    with pytest.raises(ParameterError, match=rf"{name}\({option}="):
        protocol(name, **{option: value})


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 0, "contamination": 1.0}, {"seed": 0.5}])
def test_a_seed_or_share_out_of_range_is_refused(arguments):
    with pytest.raises(ParameterError):
        protocol("house").split(labels(), **arguments)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("y", [[0, 1, 2], [[0, 1]], ["a", "b"], []])
def test_labels_that_are_not_zeros_and_ones_are_refused(name, y):
    with pytest.raises(DataError):
        protocol(name).split(y, seed=0)


@pytest.mark.parametrize("name", TABLES)
def test_a_data_set_of_one_class_is_refused(name):
    with pytest.raises(DataError, match=r"all 2000 labels are 0.*rows of both classes"):
        protocol(name).split(np.zeros(2000, int), seed=0)
    with pytest.raises(DataError, match="all 2000 labels are 1"):
        protocol(name).split(np.ones(2000, int), seed=0)


def test_a_test_without_anomalies_is_refused():
    y = np.repeat([0, 1], [1000, 1])
    seeds = range(8)  # in one half of them or so the only anomaly falls into the training half
    lonely = [s for s in seeds if 1000 in np.random.default_rng(s).permutation(1001)[:500]]
    assert lonely
    with pytest.raises(DataError, match="none of the 501 test rows is an anomaly"):
        protocol("dagmm").split(y, seed=lonely[0])


@pytest.mark.parametrize("name", ["house", "goad", "adbench-one-class", "robustness"])
def test_a_data_set_with_no_normal_row_to_train_on_is_refused(name):
    y = np.repeat([0, 1], [1, 1999])
    with pytest.raises(DataError, match="train"):
        protocol(name).split(y, seed=0)


# ---- house and robustness -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_house_is_the_house_split(share):
    y = labels()
    ours = protocol("house", holdout=0.5, train_share=0.6).split(y, seed=4, contamination=share)
    theirs = house_split(y, 4, contamination=share, holdout=0.5, train_share=0.6)
    for part in ("train", "test", "injected"):
        np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))


def test_house_without_holdout_tests_all_anomalies():
    y = labels()
    assert y[protocol("house", holdout=0).split(y, seed=0).test].sum() == 400


@pytest.mark.parametrize("share", SHARES)
def test_robustness_tests_the_same_rows_whatever_is_injected(share):
    y = labels(1000, 600)
    clean = protocol("robustness").split(y, seed=6)
    np.testing.assert_array_equal(clean.test, house_split(y, 6).test)
    split = protocol("robustness").split(y, seed=6, contamination=share)
    np.testing.assert_array_equal(split.test, clean.test)
    assert len(split.injected) == math.floor(500 * share / (1 - share) + 1e-9)


def test_robustness_injects_one_family_and_tests_all():
    y = labels()
    names = families(y)
    plain = protocol("robustness").split(y, seed=6, contamination=0.05, families=names)
    dos = protocol("robustness", family="dos").split(y, seed=6, contamination=0.05, families=names)
    assert set(names[plain.injected]) == {"dos", "probe"}
    assert set(names[dos.injected]) == {"dos"}
    assert len(dos.injected) == len(plain.injected)
    np.testing.assert_array_equal(dos.test, plain.test)
    assert set(names[dos.test]) == {"normal", "dos", "probe"}


def test_robustness_keeps_families_with_their_rows_when_it_subsamples():
    y = labels()
    names = families(y)
    split = protocol("robustness", family="probe", max_rows=700).split(y, seed=1, contamination=0.05, families=names)
    assert set(names[split.injected]) == {"probe"}


def test_a_family_needs_names_for_the_rows_and_has_to_be_one_of_the_anomalies():
    y = labels()
    with pytest.raises(ParameterError, match="needs the family of each row"):
        protocol("robustness", family="dos").split(y, seed=0)
    with pytest.raises(ParameterError, match="anomalies are of dos, probe"):
        protocol("robustness", family="normal").split(y, seed=0, families=families(y))
    with pytest.raises(DataError, match="one name for each of the 1400 rows"):
        protocol("robustness", family="dos").split(y, seed=0, families=["dos"])


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.6])
def test_robustness_brings_the_test_to_a_ratio_for_every_share_alike(ratio):
    y = labels()
    p = protocol("robustness", test_ratio=ratio)
    clean, dirty = p.split(y, seed=0), p.split(y, seed=0, contamination=0.12)
    np.testing.assert_array_equal(clean.test, dirty.test)
    assert abs(y[clean.test].mean() - ratio) < 0.5 / len(clean.test) + 1e-3
    assert set(clean.test) < set(house_split(y, 0).test)


# ---- semi-supervised ------------------------------------------------------------------------------------------------


def test_labelled_anomalies_train_and_are_known_and_are_not_tested():
    y = labels()
    split = protocol("semi-supervised", n_labelled=30).split(y, seed=2, contamination=0.1)
    assert len(split.known) == 30
    assert y[split.known].all()
    assert set(split.known) <= set(split.train)
    assert not set(split.known) & (set(split.test) | set(split.injected))
    np.testing.assert_array_equal(split.test, house_split(y, 2).test)


@pytest.mark.parametrize(
    ("anomalies", "share", "n"), [(400, 0.05, 20), (400, 0.4, 160), (400, 0.0, 1), (100, 0.29, 29)]
)
def test_the_labelled_share_is_one_of_all_anomalies_and_at_least_one(anomalies, share, n):
    split = protocol("semi-supervised", labelled=share).split(labels(anomalies=anomalies), seed=0)
    assert len(split.known) == n


def test_choices_of_labelled_anomalies_are_nested():
    few, many = (protocol("semi-supervised", n_labelled=n).split(labels(), seed=9) for n in (5, 50))
    np.testing.assert_array_equal(few.known, many.known[:5])
    np.testing.assert_array_equal(few.test, many.test)


def test_labels_and_injections_do_not_move_one_another():
    y = labels()
    few, many = (protocol("semi-supervised", n_labelled=n) for n in (5, 50))
    one, two = few.split(y, seed=9, contamination=0.1), many.split(y, seed=9, contamination=0.1)
    np.testing.assert_array_equal(one.injected, two.injected)
    np.testing.assert_array_equal(few.split(y, seed=9).known, one.known)


def test_more_labels_than_anomalies_set_aside_name_the_largest_number():
    y = labels()  # 160 of 400 anomalies are set aside
    with pytest.raises(ParameterError, match=r"Ask for at most 160 \(n_labelled\), a share of 0\.4000"):
        protocol("semi-supervised", n_labelled=161).split(y, seed=0)
    assert len(protocol("semi-supervised", n_labelled=160).split(y, seed=0).known) == 160
    with pytest.raises(ParameterError, match="55 anomalies, but 54 are set aside"):
        protocol("semi-supervised", n_labelled=106).split(y, seed=0, contamination=0.1)


# ---- DAGMM, ALAD, GOAD ----------------------------------------------------------------------------------------------


def test_dagmm_tests_a_random_half_of_all_rows_at_the_natural_ratio():
    y = labels(9000, 1000)
    split = protocol("dagmm").split(y, seed=0)
    assert len(split.test) == 5000
    assert not y[split.train].any()
    # Hypergeometric: mean 500, standard deviation 15.
    assert 440 < y[split.test].sum() < 560
    assert len(split.train) == 9000 - (y[split.test] == 0).sum()


def test_dagmm_takes_its_contamination_from_the_training_half():
    y = labels()
    clean = protocol("dagmm").split(y, seed=0)
    full = protocol("dagmm").split(y, seed=0, contamination=0.2)
    left_out = set(range(len(y))) - set(clean.train) - set(clean.test)
    assert set(full.injected) <= left_out


def test_alad_varies_nothing_but_the_initialisation_unless_told_to():
    y = labels()
    fixed = [protocol("alad").split(y, seed=s) for s in (0, 1)]
    np.testing.assert_array_equal(fixed[0].train, fixed[1].train)
    np.testing.assert_array_equal(fixed[0].test, fixed[1].test)
    free = [protocol("alad", fixed=False).split(y, seed=s) for s in (0, 42)]
    assert set(free[0].train) != set(free[1].train)
    np.testing.assert_array_equal(free[1].train, fixed[0].train)


@pytest.mark.parametrize(("normal", "anomalies"), [(1000, 400), (4000, 40)])
def test_alad_tests_one_anomaly_in_five_whichever_class_is_short(normal, anomalies):
    y = labels(normal, anomalies)
    split = protocol("alad").split(y, seed=0)
    n_anomalies = y[split.test].sum()
    assert n_anomalies == round((y[split.test] == 0).sum() / 4)
    natural = protocol("alad", test_ratio=None).split(y, seed=0)
    assert set(split.test) < set(natural.test)
    assert len(natural.test) == len(y) - len(y) // 2


def test_alad_on_arrhythmia_keeps_the_anomalies_of_the_training_half():
    y = labels(386, 66)
    split = protocol("alad", keep_anomalies=True, test_ratio=None).split(y, seed=0)
    assert len(split.train) == len(split.test) == 226
    assert y[split.train].sum() + y[split.test].sum() == 66
    assert not split.injected.size
    with pytest.raises(ParameterError, match=r"in training already, so the largest share to inject is 0, not 0\.05"):
        protocol("alad", keep_anomalies=True).split(y, seed=0, contamination=0.05)


def test_goad_trains_on_half_of_the_normals_and_tests_all_anomalies():
    y = labels(1001, 400)
    split = protocol("goad").split(y, seed=0)
    assert len(split.train) == 500
    assert not y[split.train].any()
    assert y[split.test].sum() == 400
    assert len(split.test) == 901


def test_goad_in_file_order_trains_on_the_first_half_of_the_normals():
    y = labels()
    normal = np.flatnonzero(y == 0)
    split = protocol("goad", file_order=True).split(y, seed=3)
    np.testing.assert_array_equal(split.train, normal[:500])
    assert set(protocol("goad").split(y, seed=3).train) != set(split.train)


# ---- ADBench --------------------------------------------------------------------------------------------------------


def published_one_class(y, seed, cap):
    """Restate the published protocol with the draws of the benchmark script."""
    rng = np.random.default_rng(seed)
    if len(y) < 1_000:
        rows = rng.integers(0, len(y), 1_000)
    elif len(y) > 50_000:
        rows = rng.permutation(len(y))[:50_000]
    else:
        rows = np.arange(len(y))
    normal = [r for r in rows.tolist() if y[r] == 0]
    train, test = normal[: len(normal) // 2], normal[len(normal) // 2 :] + [r for r in rows.tolist() if y[r] == 1]
    if cap is not None and len(train) > cap:
        train = sorted(rng.permutation(train)[:cap].tolist())
    return train, test


@pytest.mark.parametrize(("normal", "anomalies"), [(150, 64), (900, 60), (1500, 300), (24_000, 900), (50_000, 3_000)])
@pytest.mark.parametrize("cap", [None, 10_000])
def test_adbench_one_class_is_the_published_split_with_the_same_draws(normal, anomalies, cap):
    y = labels(normal, anomalies)
    split = protocol("adbench-one-class", cap=cap).split(y, seed=1)
    train, test = published_one_class(y, 1, cap)
    np.testing.assert_array_equal(split.train, train)
    np.testing.assert_array_equal(split.test, test)


def test_adbench_one_class_is_the_file_order_for_every_seed_between_the_bounds():
    y = labels(1500, 300)
    one, two = (protocol("adbench-one-class").split(y, seed=s) for s in (0, 1))
    np.testing.assert_array_equal(one.train, two.train)
    assert one.train.max() < min(set(one.test) - set(np.flatnonzero(y)))


def test_adbench_draws_small_sets_up_with_copies_on_both_sides():
    split = protocol("adbench-one-class").split(labels(300, 100), seed=0)
    assert len(split.train) + len(split.test) == 1000
    assert set(split.train) & set(split.test)


def test_adbench_unsupervised_trains_on_a_bootstrap_sample_of_all_rows():
    y = labels(3000, 1000)
    split = protocol("adbench-unsupervised").split(y, seed=0)
    np.testing.assert_array_equal(split.test, np.arange(4000))
    assert len(split.train) == 4000
    # A bootstrap sample holds 1 - 1/e of the rows; the standard deviation of that share is 0.0049.
    assert abs(len(np.unique(split.train)) / 4000 - (1 - math.exp(-1))) < 0.025
    assert abs(y[split.train].mean() - 0.25) < 0.035


@pytest.mark.parametrize(("n", "used"), [(400, 1000), (2000, 2000), (60_000, 50_000)])
def test_adbench_unsupervised_tests_all_rows_that_were_drawn(n, used):
    split = protocol("adbench-unsupervised").split(labels(n - n // 10, n // 10), seed=0)
    assert len(split.test) == len(split.train) == used
    assert set(split.train) <= set(split.test)
    assert (len(np.unique(split.test)) == used) == (n >= 1000)


def test_the_cap_keeps_a_random_draw_of_the_training_rows_in_row_order():
    y = labels(3000, 1000)
    for name in ("adbench-one-class", "adbench-unsupervised"):
        full, capped = (protocol(name, cap=cap).split(y, seed=0) for cap in (None, 100))
        assert len(capped.train) == 100
        assert (np.diff(capped.train) >= 0).all()
        assert set(capped.train) <= set(full.train)
        np.testing.assert_array_equal(capped.test, full.test)


# ---- deepad ---------------------------------------------------------------------------------------------------------


def test_deepad_trains_on_the_normal_rows_of_the_first_part_and_tests_the_rest():
    y = labels(700, 300)
    split = protocol("deepad").split(y, seed=0)
    np.testing.assert_array_equal(split.train, np.flatnonzero(y[:800] == 0))
    np.testing.assert_array_equal(split.test, np.arange(800, 1000))
    other = protocol("deepad", n_train=650).split(y, seed=1)
    np.testing.assert_array_equal(other.test, np.arange(650, 1000))


def test_deepad_injects_anomalies_of_the_training_part_only():
    y = labels(700, 300)
    split = protocol("deepad").split(y, seed=0, contamination=0.1)
    assert split.injected.size
    assert split.injected.max() < 800


def test_deepad_draws_a_stated_number_of_each_class_from_the_test_part():
    y = labels(7000, 3000)
    p = protocol("deepad", n_train=4000, n_test_normal=800, n_test_anomalies=200)
    one, two = (p.split(y, seed=s) for s in (0, 1))
    assert np.bincount(y[one.test]).tolist() == [800, 200]
    assert one.test.min() >= 4000
    assert set(one.test) != set(two.test)
    np.testing.assert_array_equal(one.train, two.train)
    with pytest.raises(ParameterError, match=r"n_test_anomalies=5000.*the test part holds"):
        protocol("deepad", n_test_anomalies=5000).split(y, seed=0)


def test_deepad_refuses_a_file_sorted_by_class_and_names_the_n_train_that_works():
    y = np.repeat([0, 1], [8000, 2000])
    with pytest.raises(DataError, match=r"none of the 2000 test rows is a normal row.*n_train of at most 7999"):
        protocol("deepad").split(y, seed=0)
    assert (y[protocol("deepad", n_train=7999).split(y, seed=0).test] == 0).sum() == 1
