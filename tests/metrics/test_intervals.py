"""Intervals: right width, right coverage, deterministic, and the fast path equal to resampling rows."""

from functools import partial

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from whitecrow import metrics
from whitecrow.core.errors import DataError, ParameterError


def table(n, share, seed=0, digits=3, shift=1.5):
    rng = np.random.default_rng(seed)
    y = np.zeros(n, int)
    y[: round(share * n)] = 1
    return y, np.round(rng.normal(size=n) + shift * y, digits)


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        (metrics.auroc, sk.roc_auc_score),
        (metrics.average_precision, sk.average_precision_score),
        (
            partial(metrics.recall_at_fpr, max_fpr=0.1),
            lambda y, s: np.mean(s[y == 1] > np.sort(s[y == 0])[::-1][int(0.1 * (y == 0).sum())]),
        ),
    ],
)
@pytest.mark.parametrize("digits", [1, 6])
def test_counting_resamples_gives_the_interval_of_resampling_rows(metric, reference, digits):
    y, scores = table(300, 0.2, digits=digits)
    fast = metrics.bootstrap_interval(metric, y, scores, n_resamples=200)
    # The same draws, with scikit-learn on the drawn rows: a callable it does not know takes the slow path.
    slow = metrics.bootstrap_interval(reference, y, scores, n_resamples=200)
    assert fast == pytest.approx(slow, abs=1e-12)


def test_standard_error_of_auroc_is_that_of_theory():
    # Hanley and McNeil's error is exact for exponential scores.
    rng = np.random.default_rng(3)
    y = np.r_[np.ones(400, int), np.zeros(1600, int)]
    scores = rng.exponential(size=2000) * np.where(y == 1, 3.0, 1.0)
    a = 0.75
    q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
    error = np.sqrt((a * (1 - a) + 399 * (q1 - a**2) + 1599 * (q2 - a**2)) / (400 * 1600))
    interval = metrics.bootstrap_interval(metrics.auroc, y, scores, n_resamples=2000)
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(error, rel=0.1)


def test_interval_covers_the_truth_as_often_as_it_says():
    truth = stats.norm.cdf(1.5 / np.sqrt(2))
    covered = [
        interval.low <= truth <= interval.high
        for interval in (
            metrics.bootstrap_interval(metrics.auroc, *table(400, 0.25, seed, 6), n_resamples=200, level=0.9)
            for seed in range(100)
        )
    ]
    assert 0.8 <= np.mean(covered) <= 0.98


def test_same_seed_gives_the_same_interval_whatever_the_global_state():
    y, scores = table(500, 0.1)
    first = metrics.bootstrap_interval(metrics.auroc, y, scores, seed=5)
    np.random.seed(1)  # noqa: NPY002 - the global state is what must not matter
    before = repr(np.random.get_state())  # noqa: NPY002
    assert metrics.bootstrap_interval(metrics.auroc, y, scores, seed=5) == first
    assert repr(np.random.get_state()) == before  # noqa: NPY002
    assert metrics.bootstrap_interval(metrics.auroc, y, scores, seed=6) != first


def test_copies_of_rows_do_not_narrow_an_interval_by_groups():
    y, scores = table(200, 0.3)
    once = metrics.bootstrap_interval(metrics.auroc, y, scores, seed=1)
    copies = np.repeat(np.arange(200), 25)
    naive = metrics.bootstrap_interval(metrics.auroc, y[copies], scores[copies], seed=1)
    grouped = metrics.bootstrap_interval(metrics.auroc, y[copies], scores[copies], seed=1, groups=copies)
    assert grouped == pytest.approx(once)
    assert naive.high - naive.low < 0.3 * (once.high - once.low)


def test_groups_may_be_named_and_hold_both_classes():
    y, scores = table(60, 0.5)
    names = [f"row {i % 7}" for i in range(60)]
    interval = metrics.bootstrap_interval(metrics.average_precision, y, scores, groups=names)
    assert interval.low <= interval.value <= interval.high


def test_every_resample_holds_both_classes():
    y = [1] + [0] * 30
    seen = []

    def share(labels, scores):
        seen.append((labels.sum(), len(labels)))
        return 0.0

    metrics.bootstrap_interval(share, y, np.arange(31.0), n_resamples=50)
    assert set(seen) == {(1, 31)}


def test_interval_of_one_anomaly_and_one_normal_row_exists():
    assert metrics.bootstrap_interval(metrics.auroc, [0, 1], [0.2, 0.1]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 7), (7, 7), (1, 1), (250, 1000)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_wilson_interval_equals_scipy(hits, n, level):
    reference = stats.binomtest(hits, n).proportion_ci(level, method="wilson")
    assert metrics.wilson_interval(hits / n, n, level=level)[1:] == pytest.approx(reference, abs=1e-12)


def test_wilson_interval_of_no_rows_says_nothing():
    assert metrics.wilson_interval(0.0, 0) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("setting", [{"level": 1.0}, {"level": 0}, {"n_resamples": 0}, {"seed": -1}])
def test_settings_out_of_range_are_parameter_errors(setting):
    with pytest.raises(ParameterError, match=next(iter(setting))):
        metrics.bootstrap_interval(metrics.auroc, [0, 1], [0.1, 0.2], **setting)


def test_groups_of_another_length_are_a_data_error():
    with pytest.raises(DataError, match="groups has 1 rows"):
        metrics.bootstrap_interval(metrics.auroc, [0, 1], [0.1, 0.2], groups=[1])
