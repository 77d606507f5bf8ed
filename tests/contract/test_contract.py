"""The contract that every registered detector keeps; a new one is covered by being registered."""

import copy
import inspect
import random
import re
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import whitecrow as wc
from whitecrow.core import parameters, registry
from whitecrow.core.errors import DataError, ParameterError, TrainingError

NAMES = wc.detectors("table")
DEEP = [name for name in NAMES if issubclass(registry.load(name), wc.DeepDetector)]
LEARNERS = [name for name in NAMES if registry.load(name).uses_labels]
# All rows train a committee; those that calibrate are scored by fits without them.
COMMITTEES = [name for name in NAMES if hasattr(registry.load(name), "inner")]
NEEDY = [name for name in NAMES if registry.load(name).needs_labels]
ROOT = Path(__file__).parents[2]


# A search for a code, row by row, copies of a row, or trees, by the hundred, and epochs before the first take most of
# the time of those that need them. Where quality is not in question, a few do.
FEW = {
    "auto": {"budget": "fast", "n_folds": 2},
    "committee": {"members": ("knn", "pca(n_components=1)"), "n_folds": 2},
    "anogan": {"n_starts": 16, "n_search_steps": 2},
    "dagmm": {"warm_up": 1},
    "drocc": {"warm_up": 1},
    "fence-gan": {"warm_up": 1},
    "goad": {"n_transformations": 8},
    "isolation-forest": {"n_estimators": 20},
    "rec-forest": {"n_estimators": 20},
    "som-dagmm": {"warm_up": 1},
}


def quick(name: str, **parameters: object) -> wc.Detector:
    """Return a detector that trains for moments."""
    brief = {"epochs": 10} if name in DEEP else {}
    return wc.detector(name, **{"random_state": 0, **brief, **parameters})


def brief(name: str, **parameters: object) -> wc.Detector:
    """Return a detector that trains for three epochs: enough where two fits are compared, or a fit must just be one."""
    return quick(name, **{**({"epochs": 3} if name in DEEP else {}), **FEW.get(name, {}), **parameters})


def with_anomalies(rows: np.ndarray | pl.DataFrame, n: int | None = None) -> tuple:
    """Spread known anomalies out of a wider box evenly among the rows; return these rows and labels of 1 and -1."""
    rng, n = np.random.default_rng(4), max(3, len(rows) // 20) if n is None else n
    order = np.argsort(np.concatenate([np.arange(len(rows)), np.linspace(0, len(rows), n)]), kind="stable")
    labels = np.repeat([-1, 1], [len(rows), n])[order]
    if isinstance(rows, pl.DataFrame):
        odd = rows.sample(n, with_replacement=True, seed=0).with_columns(pl.selectors.float() * -9)
        return pl.concat([rows, odd])[order], labels
    box = rng.uniform(-3, 3, size=(n, rows.shape[1])) * np.abs(rows).max(0).clip(1)
    return np.concatenate([rows, box])[order], labels


def lesson(name: str, rows: np.ndarray | pl.DataFrame) -> tuple:
    """Return what to fit this detector on: the rows, or the rows with known anomalies and labels if it needs them."""
    return with_anomalies(rows) if name in NEEDY else (rows,)


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two Gaussian blobs to learn; more of them, and a box three times as wide, to tell apart."""
    rows, _ = make_blobs(900, n_features=4, centers=[[-3, -3, 3, 0], [3, 3, -3, 0]], cluster_std=0.6, random_state=0)
    rng = np.random.default_rng(1)
    box = rng.uniform(-1, 1, size=(300, 4)) * 3 * np.abs(rows).max(0)
    test = np.concatenate([rows[600:], box])
    return rows[:600], test, np.repeat([0, 1], 300)


@pytest.fixture(scope="module")
def mixed() -> pl.DataFrame:
    """A table with every kind of column, and missing values in most of them."""
    n, rng = 300, np.random.default_rng(2)
    numbers = rng.normal(size=n)
    return pl.DataFrame(
        {
            "amount": np.exp(numbers),
            "count": rng.poisson(4, n),
            "holes": [None if i % 9 == 0 else float(v) for i, v in enumerate(numbers)],
            "protocol": rng.choice(["tcp", "udp", "icmp"], n, p=[0.7, 0.2, 0.1]),
            "state": [None if i % 31 == 0 else s for i, s in enumerate(rng.choice(["SF", "S0"], n))],
            "internal": rng.random(n) < 0.3,
            "day": [datetime(2024, 1, 1) + timedelta(hours=7 * i) for i in range(n)],
            "class": pl.Series(rng.choice(["a", "b"], n), dtype=pl.Enum(["a", "b", "c"])),
        }
    )


# Fits that several tests look at; none may change them.


@pytest.fixture(scope="module")
def learnt(blobs: tuple) -> Callable[[str], wc.Detector]:
    """Return a function that returns the detector of a name which has learnt the blobs."""
    return cache(lambda name: brief(name).fit(*lesson(name, blobs[0])))


@pytest.fixture(scope="module")
def learnt_longer(blobs: tuple) -> Callable[[str], wc.Detector]:
    """Return a function that returns the detector of a name which has learnt the blobs well."""
    # The width rule suits tables of more columns; four columns hide less.
    return cache(lambda name: quick(name, **({"epochs": 40} if name in DEEP else {})).fit(*lesson(name, blobs[0])))


@pytest.fixture(scope="module")
def learnt_mixed(mixed: pl.DataFrame) -> Callable[[str], wc.Detector]:
    """Return a function that returns the detector of a name which has learnt the table of every kind of column."""
    return cache(lambda name: brief(name).fit(*lesson(name, mixed)))


# scikit-learn's checks give detectors no labels. A method that cannot do without is checked as a subclass that labels
# every ninth row itself. What it cannot keep even so: it has no contaminated regime.
_SHARE = "asks for contamination to be the share flagged of the training rows; here it is that of held-out normal rows"
NOT_FOR_THE_NEEDY = {"check_outliers_fit_predict": _SHARE, "check_outliers_train": _SHARE}


def checked(name: str) -> wc.Detector:
    """Return the detector that scikit-learn's checks examine."""
    # One epoch: the checks ask for behaviour, not for quality.
    brief = {**({"epochs": 1} if name in DEEP else {}), **FEW.get(name, {})}
    cls = registry.load(name)
    if name in NEEDY:

        def labels(self: wc.Detector, y: object, n: int) -> np.ndarray:
            return cls._labels(self, np.where(np.arange(n) % 9, -1, 1), n)

        # A check pickles it, so it must be found by its name.
        globals()[cls.__name__] = type(cls.__name__, (cls,), {"_labels": labels, "__module__": __name__})
        return globals()[cls.__name__](**brief)
    return cls(**brief)


def checks() -> list[object]:
    """Return scikit-learn's checks for each detector, one test each."""
    out = []
    for name in NAMES:
        for estimator, check in estimator_checks_generator(checked(name), mark="skip"):
            function = (check.func if hasattr(check, "func") else check).__name__
            reason = NOT_FOR_THE_NEEDY.get(function) if name in NEEDY else None
            # No xfail: by chance the share may be the one asked for.
            marks = [pytest.mark.skip(reason=reason)] if reason else []
            out.append(pytest.param(estimator, check, id=f"{name}-{function}", marks=marks))
    return out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), checks())
def test_scikit_learn_check(estimator: wc.Detector, check: object) -> None:
    check(clone(estimator))


# ---- same seed, same result ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_refit_forgets_and_repeats(name: str, blobs: tuple, learnt: Callable) -> None:
    train, test, _ = blobs
    detector = brief(name).fit(*lesson(name, train))
    first = detector.anomaly_score(test)
    detector.fit(*lesson(name, train[:50] * 7 + 3))
    np.testing.assert_array_equal(detector.fit(*lesson(name, train)).anomaly_score(test), first)
    np.testing.assert_array_equal(learnt(name).anomaly_score(test), first)


@pytest.mark.parametrize("name", NAMES)
def test_global_random_states_are_untouched(name: str, blobs: tuple) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()  # noqa: NPY002
    brief(name, random_state=None).fit(*lesson(name, blobs[0])).anomaly_score(blobs[1])
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert random.getstate() == before[2]


@pytest.mark.parametrize("name", NAMES)
def test_unsupervised_methods_ignore_labels(name: str, blobs: tuple, learnt: Callable) -> None:
    train, test, _ = blobs
    if registry.load(name).uses_labels:
        pytest.skip("learns from labels")
    labels = np.random.default_rng(0).integers(0, 2, len(train))
    np.testing.assert_array_equal(brief(name).fit(train, labels).anomaly_score(test), learnt(name).anomaly_score(test))


@pytest.mark.parametrize("name", NAMES)
def test_labelled_anomalies_are_kept_out_of_training(name: str, blobs: tuple) -> None:
    train, test, _ = blobs
    if registry.load(name).uses_labels or name == "auto":
        pytest.skip("learns from labels")
    poisoned = np.concatenate([train, np.full((60, 4), 9.0)])
    labels = np.repeat([0, 1], [len(train), 60])
    clean = brief(name, regime="clean").fit(train).anomaly_score(test)
    np.testing.assert_array_equal(brief(name, regime="labelled").fit(poisoned, labels).anomaly_score(test), clean)


# ---- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (None, "needs y.*labels of 1"),
        (np.ones(600), "600 of the 600 rows.*at least 2 other rows"),
        (np.repeat([1, 0], [599, 1]), "599 of the 600 rows.*at least 2 other rows"),
        (np.repeat([1, -1], [60, 539]), r"shape \(599,\).*each of the 600 rows"),
        (np.zeros((600, 1)), r"shape \(600, 1\).*shape \(600,\)"),
        (np.repeat([0, 1, 2], 200), "values such as 0, 1, 2; .*one of 1"),
        (np.repeat([0.0, 1.0, np.nan], 200), "nan; .*one of 1"),
        (np.repeat(["normal", "attack"], 300), "'normal', 'attack'; .*must be a number"),
        (np.repeat(np.array([0, 1, None], object), 200), "None; .*one of 1"),
    ],
    ids=["none", "all-anomalies", "all-but-one", "too-few", "column", "other-values", "nan", "text", "holes"],
)
def test_unusable_labels_are_refused_before_training(name: str, labels: object, says: str, blobs: tuple) -> None:
    with pytest.raises(DataError, match=says):
        quick(name, regime="labelled").fit(blobs[0], labels)


@pytest.mark.parametrize("name", NEEDY)
@pytest.mark.parametrize("value", [0, -1])
def test_without_a_known_anomaly_a_method_that_needs_one_says_so(name: str, value: int, blobs: tuple) -> None:
    with pytest.raises(DataError, match=r"none of the 600 rows 1.*learns from known anomalies.*at least one row 1"):
        quick(name).fit(blobs[0], np.full(len(blobs[0]), value))


@pytest.mark.parametrize("name", NEEDY)
@pytest.mark.parametrize("regime", ["clean", "contaminated"])
def test_a_method_that_needs_labels_refuses_another_regime(name: str, regime: str, blobs: tuple) -> None:
    assert quick(name).regime == "labelled"
    with pytest.raises(ParameterError, match=f"regime='{regime}'.*regime is 'labelled'.*fit"):
        quick(name, regime=regime).fit(*with_anomalies(blobs[0]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("calibration", [0.0, 0.5])
def test_known_anomalies_are_no_contamination(name: str, calibration: float, blobs: tuple) -> None:
    rows, labels = with_anomalies(blobs[0], 300)
    detector = quick(name, regime="labelled", calibration=calibration, contamination=0.1).fit(rows, labels)
    assert 0.05 <= detector.is_anomaly(blobs[0]).mean() <= 0.15
    assert len(detector.fit_scores_) == len(blobs[0])
    assert detector.summary_["rows_held_out"] == calibration * len(blobs[0])
    known = detector.encoder_.transform(rows[labels == 1])
    assert not (detector.reference_[:, None] == known).all(-1).any()


@pytest.mark.parametrize("name", NAMES)
def test_rows_known_to_be_normal_calibrate_and_unlabelled_ones_make_up_for_few(name: str, blobs: tuple) -> None:
    rows, labels = with_anomalies(blobs[0])
    for n_normal in (4, 250):
        given = labels.copy()
        given[np.flatnonzero(labels == -1)[:n_normal]] = 0
        detector = brief(name, regime="labelled", calibration=0.5).fit(rows, given)
        # A method that learns from labels keeps half of the rows that are known to be normal.
        spent = n_normal // 2 if name in LEARNERS else n_normal
        assert detector.summary_["rows_held_out"] == max(spent, 100)
        if name in COMMITTEES:
            continue
        normal = detector.anomaly_score(rows[given == 0])
        shared = np.isclose(detector.calibration_scores_[:, None], normal, rtol=1e-5).any(1).sum()
        assert shared >= spent
        if n_normal == 250:
            assert shared == len(detector.calibration_scores_)


@pytest.mark.parametrize("name", LEARNERS)
def test_one_known_anomaly_is_enough(name: str, blobs: tuple) -> None:
    rows, labels = with_anomalies(blobs[0], 1)
    detector = quick(name, regime="labelled", epochs=40).fit(rows, labels)
    assert detector.is_anomaly(rows[labels == 1]).all()


def taught(name: str, labels: np.ndarray, rows: np.ndarray, test: np.ndarray, y: np.ndarray) -> float:
    """Return the mean AUROC of three replicas on the test rows."""
    detector = quick(name, regime="labelled", n_replicas=3, epochs=40).fit(rows, labels)
    return float(np.mean([roc_auc_score(y, scores) for scores in detector._score(detector._encode(test))]))


@pytest.mark.parametrize("name", LEARNERS)
def test_more_known_anomalies_do_not_hurt(name: str, blobs: tuple) -> None:
    train, *test = blobs
    rows, labels = with_anomalies(train, 50)
    found = []
    for n in (1, 10, 50):
        # The others are left out, not left unlabelled.
        known = np.random.default_rng(0).permutation(np.flatnonzero(labels == 1))[:n]
        kept = np.sort(np.concatenate([np.flatnonzero(labels == -1), known]))
        found.append(taught(name, labels[kept], rows[kept], *test))
    assert found[1] >= found[0] - 0.02
    assert found[2] >= found[1] - 0.02


@pytest.mark.parametrize("name", LEARNERS)
def test_shuffled_labels_teach_nothing(name: str, blobs: tuple) -> None:
    train, *test = blobs
    rows, labels = with_anomalies(train, 30)
    without = 0.5 if name in NEEDY else taught(name, np.full(len(rows), -1), rows, *test)
    shuffles = [np.random.default_rng(seed).permutation(labels) for seed in range(3)]
    found = np.mean([taught(name, shuffled, rows, *test) for shuffled in shuffles])
    assert found <= without + 0.2
    assert found < taught(name, labels, rows, *test)


# ---- a score depends on its row alone --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_score_does_not_depend_on_the_other_rows(name: str, blobs: tuple, learnt_longer: Callable) -> None:
    detector, test = learnt_longer(name), blobs[1][::3]
    whole = detector.anomaly_score(test)
    parts = np.concatenate([detector.anomaly_score(test[i : i + 7]) for i in range(0, len(test), 7)])
    np.testing.assert_allclose(parts, whole, rtol=1e-6)
    order = np.random.default_rng(0).permutation(len(test))
    np.testing.assert_allclose(detector.anomaly_score(test[order]), whole[order], rtol=1e-6)
    many = np.tile(test, (5, 1))
    np.testing.assert_allclose(detector.anomaly_score(many)[-len(test) :], whole, rtol=1e-6)
    np.testing.assert_array_equal(detector.anomaly_score(test), whole)


@pytest.mark.parametrize("name", NAMES)
def test_scores_survive_a_change_of_units(name: str, blobs: tuple, learnt: Callable) -> None:
    train, test, labels = blobs
    units, origin = np.array([1000.0, 0.25, 8.0, 1.0]), np.array([5.0, -100.0, 0.0, 3.0])
    rows, *y = lesson(name, train)
    here = learnt(name).anomaly_score(test)
    there = brief(name).fit(rows * units + origin, *y).anomaly_score(test * units + origin)
    # Rounding may turn a comparison of a tree, so ranks are compared, not digits.
    assert np.corrcoef(here.argsort().argsort(), there.argsort().argsort())[0, 1] > 0.99
    assert abs(roc_auc_score(labels, here) - roc_auc_score(labels, there)) < 0.01


# ---- quality and thresholds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_blobs_are_told_from_a_box(name: str, blobs: tuple, learnt_longer: Callable) -> None:
    _, test, labels = blobs
    assert roc_auc_score(labels, learnt_longer(name).anomaly_score(test)) >= 0.95


@pytest.mark.parametrize("name", NAMES)
def test_flagged_share_of_new_rows_is_near_the_contamination(name: str) -> None:
    rows = np.random.default_rng(0).normal(size=(3000, 4))
    regime = "labelled" if name in NEEDY else "clean"
    detector = brief(name, regime=regime, contamination=0.1).fit(*lesson(name, rows[:2000]))
    assert 0.03 <= detector.is_anomaly(rows[2000:]).mean() <= 0.2


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(NEEDY)))
def test_flagged_share_of_contaminated_rows_is_the_contamination(name: str) -> None:
    rows = np.random.default_rng(0).normal(size=(2000, 4))
    contaminated = brief(name, regime="contaminated", contamination=0.1).fit(rows)
    assert contaminated.is_anomaly(rows).mean() == pytest.approx(0.1, abs=0.005)
    assert not brief(name, contamination=0).fit(rows).is_anomaly(rows).any()


@pytest.mark.parametrize("name", NAMES)
def test_p_values_hold_on_new_normal_rows(name: str) -> None:
    rows = np.random.default_rng(3).normal(size=(4000, 3))
    detector = brief(name, calibration=0.5).fit(*lesson(name, rows[:2000]))
    p = detector.p_value(rows[2000:])
    assert p.min() >= 1 / 1001
    for level in (0.01, 0.05, 0.1, 0.5):
        # 3.5 standard errors of the calibration set and of the test set together
        assert (p <= level).mean() <= level + 3.5 * np.sqrt(level * (1 - level) * (1 / 1000 + 1 / 2000))


@pytest.mark.parametrize("name", NAMES)
def test_threshold_can_be_set_without_a_refit(name: str, blobs: tuple, learnt: Callable) -> None:
    from whitecrow.calibrate import BestF1, Quantile

    _, test, labels = blobs
    detector = copy.deepcopy(learnt(name))
    scores = detector.anomaly_score(test)
    detector.set_threshold(Quantile(0.25), test)
    assert detector.is_anomaly(test).mean() == pytest.approx(0.25, abs=0.01)
    detector.set_threshold(BestF1(), test, labels)
    assert "labelled" in detector.threshold_source_
    detector.set_threshold(float(scores.max()))
    assert not detector.is_anomaly(test).any()
    with pytest.raises(ParameterError, match="finite"):
        detector.set_threshold(float("nan"))


# ---- small and odd tables --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "rows",
    [
        np.random.default_rng(0).normal(size=(5, 3)),
        np.random.default_rng(0).normal(size=(60, 1)),
        np.column_stack([np.random.default_rng(0).normal(size=60), np.full(60, 7.0)]),
        np.repeat(np.random.default_rng(0).normal(size=(3, 4)), 30, axis=0),
        np.ones((40, 2)),
        np.random.default_rng(0).normal(size=(80, 3)) * 1e30,
        np.random.default_rng(0).normal(size=(12, 40)),
    ],
    ids=["few-rows", "one-column", "constant-column", "duplicates", "all-equal", "huge", "wide"],
)
@pytest.mark.filterwarnings("ignore::whitecrow.core.errors.WhitecrowWarning")
def test_odd_tables_are_scored(name: str, rows: np.ndarray) -> None:
    scores = quick(name, **FEW.get(name, {})).fit(*lesson(name, rows)).anomaly_score(rows)
    assert scores.shape == (len(rows),)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_value_that_leaves_a_constant_column_is_seen(name: str) -> None:
    rng = np.random.default_rng(0)
    train = np.column_stack([rng.normal(size=(400, 2)), np.zeros(400)])
    detector = quick(name, **({"epochs": 30} if name in DEEP else {})).fit(*lesson(name, train))
    usual, moved = np.array([[0.1, 0.1, 0.0]]), np.array([[0.1, 0.1, 8.0]])
    if name == "isolation-forest":
        pytest.skip("a tree never splits a constant column")
    assert detector.anomaly_score(moved)[0] > detector.anomaly_score(usual)[0]


# ---- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_mixed_tables_are_taken_as_they_are(name: str, mixed: pl.DataFrame, learnt_mixed: Callable) -> None:
    detector = learnt_mixed(name)
    assert list(detector.feature_names_in_) == mixed.columns
    scores = detector.anomaly_score(mixed)
    assert np.isfinite(scores).all()
    shuffled = mixed.select(reversed(mixed.columns)).with_columns(extra=pl.lit(1))
    np.testing.assert_array_equal(detector.anomaly_score(shuffled), scores)
    np.testing.assert_array_equal(detector.anomaly_score(mixed.to_pandas()), scores)
    np.testing.assert_array_equal(detector.anomaly_score(mixed.to_arrow()), scores)


@pytest.mark.parametrize("name", NAMES)
def test_unseen_level_and_new_hole_are_scored(name: str, mixed: pl.DataFrame, learnt_mixed: Callable) -> None:
    detector = learnt_mixed(name)
    odd = mixed.head(2).with_columns(protocol=pl.Series(["sctp", "tcp"]))
    assert np.isfinite(detector.anomaly_score(odd)).all()
    holes = mixed.head(2).with_columns(count=pl.Series([None, 3], dtype=pl.Int64))
    with pytest.warns(UserWarning, match="count"):
        assert np.isfinite(detector.anomaly_score(holes)).all()


@pytest.mark.parametrize("name", NAMES)
def test_pandas_fit_equals_polars_fit(name: str, mixed: pl.DataFrame) -> None:
    rows, *y = lesson(name, mixed.drop("class"))
    np.testing.assert_array_equal(
        brief(name).fit(rows.to_pandas(), *y).anomaly_score(rows), brief(name).fit(rows, *y).anomaly_score(rows)
    )


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.array([[1.0, np.nan], [2.0, 3.0], [4.0, 1.0]]), "NaN"),
        (np.array([[1.0, np.inf], [2.0, 3.0], [4.0, 1.0]]), "inf"),
        (np.array([["a", "b"], ["c", "d"]]), "convert|numeric|string"),
        (np.empty((0, 3)), "0 sample"),
        (np.empty((5, 0)), "0 feature"),
        (np.ones((1, 3)), "1"),
        (np.ones(5), "2D|1D"),
        (pl.DataFrame({"a": [1.0, float("inf"), 2.0]}), "'a'|\"a\"|a "),
        (pd.DataFrame({"a": []}), "0 rows"),
        (pl.DataFrame({"a": [[1], [2], [3]]}), "a"),
    ],
    ids=["nan", "inf", "strings", "no-rows", "no-columns", "one-row", "1d", "inf-table", "empty-table", "lists"],
)
def test_bad_rows_are_refused_before_training(name: str, rows: object, says: str) -> None:
    labels = (np.where(np.arange(len(rows)) % 3, -1, 1),) if name in NEEDY else ()
    with pytest.raises(DataError, match=says):
        quick(name).fit(rows, *labels)


@pytest.mark.parametrize("name", NAMES)
def test_other_columns_are_refused(
    name: str, blobs: tuple, mixed: pl.DataFrame, learnt: Callable, learnt_mixed: Callable
) -> None:
    detector = learnt(name)
    with pytest.raises(DataError, match=r"3 features, but .* expecting 4"):
        detector.anomaly_score(blobs[1][:, :3])
    with pytest.raises(DataError, match="NaN"):
        detector.anomaly_score(np.full((2, 4), np.nan))
    with pytest.raises(DataError, match="protocol"):
        learnt_mixed(name).anomaly_score(mixed.drop("protocol"))


@pytest.mark.parametrize("name", NAMES)
def test_unfitted_detector_says_so(name: str, blobs: tuple) -> None:
    detector = quick(name)
    for call in (detector.anomaly_score, detector.is_anomaly, detector.p_value, detector.explain):
        with pytest.raises(wc.NotFittedError, match="not fitted"):
            call(blobs[1])
    with pytest.raises(wc.NotFittedError, match="not fitted"):
        detector.save("nowhere.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_bad_parameters_are_refused_before_training(name: str, blobs: tuple) -> None:
    with pytest.raises(ParameterError, match=r"contamination=0\.9.*from 0 to 0\.5.*other class"):
        quick(name, contamination=0.9).fit(blobs[0])
    with pytest.raises(ParameterError, match=r"has no parameter 'contaminatoin'.*Did you mean contamination"):
        wc.detector(name, contaminatoin=0.1)
    with pytest.raises(ParameterError, match="one of"):
        quick(name, regime="dirty").fit(blobs[0])
    with pytest.raises(ParameterError, match="device"):
        quick(name, device="abacus").fit(*lesson(name, blobs[0]))
    with pytest.raises(DataError, match="calibration"):
        brief(name, calibration=0.0).fit(*lesson(name, blobs[0])).p_value(blobs[1])


# ---- scikit-learn's company ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_works_in_a_pipeline_and_a_grid_search(name: str, blobs: tuple) -> None:
    test = blobs[1]
    rows, *y = lesson(name, blobs[0][:200])
    pipe = make_pipeline(StandardScaler(), brief(name)).fit(rows, *y)
    assert set(pipe.predict(test)) <= {-1, 1}
    search = GridSearchCV(
        brief(name), {"contamination": [0.05, 0.1]}, scoring=lambda est, X, y=None: est.score_samples(X).mean(), cv=2
    )
    assert search.fit(rows, *y).best_params_["contamination"] in {0.05, 0.1}
    np.testing.assert_allclose(pipe[-1].decision_function(test), pipe[-1].threshold_ - pipe[-1].anomaly_score(test))


@pytest.mark.parametrize("name", NAMES)
def test_saved_detector_scores_the_same(name: str, mixed: pl.DataFrame, learnt_mixed: Callable, tmp_path: Path) -> None:
    detector = learnt_mixed(name)
    detector.save(tmp_path / "model.safetensors")
    loaded = wc.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.anomaly_score(mixed), detector.anomaly_score(mixed))
    np.testing.assert_array_equal(loaded.p_value(mixed), detector.p_value(mixed))
    assert loaded.threshold_ == detector.threshold_
    assert loaded.get_params() == detector.get_params()


@pytest.mark.parametrize("name", NAMES)
def test_explanation_has_a_number_per_column(name: str, mixed: pl.DataFrame, learnt_mixed: Callable) -> None:
    explanation = learnt_mixed(name).explain(mixed.head(3))
    assert explanation.contributions.shape == (3, len(mixed.columns))
    assert np.isfinite(explanation.contributions).all()
    assert explanation.text(0)


# ---- gradient-trained detectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEEP)
def test_replicas_are_solo_fits_however_they_run(name: str, blobs: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test, _ = blobs
    train = train[:300]
    cls, scores = registry.load(name), {}
    claimed = cls.execution
    few = {"epochs": 4, **FEW.get(name, {})}  # what rounds otherwise grows with each step of a game
    for execution in {"vmap", "loop", claimed} if claimed != "loop" else {"loop"}:
        monkeypatch.setattr(cls, "execution", execution)
        detector = quick(name, n_replicas=3, **few).fit(*lesson(name, train))
        scores[execution] = detector._score(detector._encode(test))
    alone = [
        quick(name, random_state=seed, **few).fit(*lesson(name, train)).anomaly_score(test)
        for seed in detector.replica_seeds_
    ]
    for execution, values in scores.items():
        np.testing.assert_allclose(values, alone, rtol=5e-5, atol=1e-6 * np.ptp(alone), err_msg=execution)


@pytest.mark.parametrize("name", DEEP)
def test_spread_over_replicas_is_returned(name: str, blobs: tuple) -> None:
    detector = brief(name, n_replicas=2).fit(*lesson(name, blobs[0]))
    mean, std = detector.anomaly_score(blobs[1], return_std=True)
    assert mean.shape == std.shape == (len(blobs[1]),)
    assert (std > 0).all()


@pytest.mark.parametrize("name", DEEP)
def test_every_parameter_is_trained_by_its_objectives_alone(name: str, blobs: tuple, learnt: Callable) -> None:
    from whitecrow.train import Batch, Replicas

    rows, labels = with_anomalies(blobs[0]) if name in LEARNERS else (blobs[0], np.full(len(blobs[0]), -1))
    detector = learnt(name)
    x, y = torch.from_numpy(detector._encode(rows)), torch.from_numpy(labels)
    replicas = Replicas.build(detector.networks, detector.spec_, [0], "direct")
    replicas.draw_noise("test")
    with torch.no_grad():  # as the engine calls it
        detector.prepare(replicas.replica(0), x, y)
    trained: set[str] = set()
    for stage in detector.stages():
        for objective in stage.objectives:
            leaves = replicas.leaves(objective.trains)
            replicas.freeze_all_but(leaves)
            loss = replicas.losses(getattr(detector, objective.loss), Batch(x, y))
            grads = torch.autograd.grad(loss, leaves)
            parameters = dict(replicas.replica(0).named_parameters())
            names = [n for leaf in leaves for n, p in parameters.items() if p is leaf]
            dead = [n for n, g in zip(names, grads, strict=True) if not g.abs().sum() > 0]
            assert not dead
            trained.update(names)
    assert trained == set(replicas.trainable)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", DEEP)
def test_gradient_by_hand_is_that_of_the_loss(name: str, weighted: bool, blobs: tuple) -> None:
    from whitecrow.train import Batch, Replicas

    # The weights are drawn anew: of the fit, the encoding alone is used.
    dropout = {"dropout": 0.3} if "dropout" in parameters.fields(registry.load(name)) else {}
    detector = quick(name, epochs=1, **dropout).fit(*lesson(name, blobs[0]))
    x = torch.from_numpy(detector._encode(blobs[0]))[:90].reshape(3, 30, -1)
    weight = torch.rand(3, 30, generator=torch.Generator().manual_seed(0)) if weighted else None
    replicas = Replicas.build(detector.networks, detector.spec_, [0, 1, 2], "direct")
    replicas.draw_noise("test")
    replicas.seek_noise(5)
    written = replicas.gradient(detector.gradient, Batch(x, None, weight))
    if written is None:
        pytest.skip("leaves its gradient to automatic differentiation")
    replicas.seek_noise(5)
    leaves = replicas.leaves(())
    loss = replicas.losses(detector.loss, Batch(x, None, weight))
    torch.testing.assert_close(written[0], loss.detach())
    for leaf, grad in zip(leaves, torch.autograd.grad(loss.sum(), leaves), strict=True):
        torch.testing.assert_close(written[1][leaf], grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", DEEP)
def test_training_beats_the_initialisation(name: str, blobs: tuple, learnt_longer: Callable) -> None:
    from whitecrow.train import Replicas

    _, test, labels = blobs
    detector = copy.copy(learnt_longer(name))
    trained = roc_auc_score(labels, detector.anomaly_score(test))
    detector.replicas_ = Replicas.build(detector.networks, detector.spec_, detector.replica_seeds_, "direct")
    detector.replicas_.draw_noise("score")
    assert trained > roc_auc_score(labels, detector.anomaly_score(test))


@pytest.mark.parametrize("name", DEEP)
def test_too_high_a_rate_is_reported(name: str, blobs: tuple) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            scores = quick(name, lr=1e30, clip_norm=None).fit(*lesson(name, blobs[0])).anomaly_score(blobs[1])
        except TrainingError as error:
            message = str(error)
        else:
            assert np.isfinite(scores).all()
            message = " ".join(str(w.message) for w in caught)
    assert "ower lr" in message


# ---- the registry ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", wc.detectors())
def test_detector_has_a_page_a_test_and_documented_parameters(name: str) -> None:
    cls = registry.load(name)
    assert registry.name_of(cls) == name
    assert getattr(wc, cls.__name__) is cls
    assert (ROOT / "docs" / "detectors" / f"{name}.md").exists()
    assert (ROOT / "tests" / "detectors" / f"test_{name.replace('-', '_')}.py").exists()
    documented = "\n".join(inspect.getdoc(base) or "" for base in cls.__mro__ if issubclass(base, wc.Detector))
    lines = (re.search(rf"^(\w+, )*{p}(, \w+)* : ", documented, re.MULTILINE) for p in parameters.fields(cls))
    missing = [p for p, line in zip(parameters.fields(cls), lines, strict=True) if line is None]
    assert not missing
    assert "References" in inspect.getdoc(cls)
