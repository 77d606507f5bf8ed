"""Figures of time series against measured values of the reference code, to four decimals, and on pure noise."""

import numpy as np
import pytest

from whitecrow import metrics
from whitecrow.metrics import series

FIGURES = {
    "PA-F1": series.inflated_point_adjusted_f1,
    "composite": series.composite_f1,
    "range": series.range_based,
    "affiliation": series.affiliation,
}


def steps(begin, end, n=100):
    flags = np.zeros(n)
    flags[begin:end] = 1
    return flags


Y = steps(40, 50)
CASES = {
    "perfect": Y,
    "late by 5": steps(45, 55),
    "late by 20": steps(60, 70),
    "single hit": steps(45, 46),
    "constant": np.ones(100),
    "inverted": 1 - Y,
}


def four(value):
    return pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize(
    ("case", "buffer", "pr", "roc"),
    [
        ("perfect", 0, 1, 1),
        ("perfect", 10, 1, 1),
        ("late by 5", 0, 0.3000, 0.7222),
        ("late by 5", 10, 0.4890, 0.7974),
        ("late by 5", 20, 0.6291, 0.8426),
        ("late by 20", 0, 0.1000, 0.4444),
        ("late by 20", 10, 0.1374, 0.4552),
        ("single hit", 0, 0.1900, 0.5500),
        ("single hit", 10, 0.2237, 0.5597),
        ("constant", 10, 0.1374, 0.5107),
        ("inverted", 10, 0.1099, 0.1634),
    ],
)
def test_volume_under_the_surface_is_the_measured_one(case, buffer, pr, roc):
    area = series.vus(Y, CASES[case], buffer)
    assert area.pr == four(pr)
    assert area.roc == four(roc)


@pytest.mark.parametrize(
    ("case", "pr", "roc"),
    [
        ("perfect", 1, 1),
        ("late by 5", 0.3000, 0.7222),
        ("late by 20", 0.1000, 0.4444),
        ("single hit", 0.1900, 0.5500),
        ("constant", 0.1000, 0.5000),
        ("inverted", 0.1000, 0.0000),
    ],
)
def test_plain_areas_are_the_measured_ones(case, pr, roc):
    assert metrics.average_precision(Y, CASES[case]) == four(pr)
    assert metrics.auroc(Y, CASES[case]) == four(roc)


@pytest.mark.parametrize(
    ("case", "plain", "adjusted", "composite", "range_f1", "affiliation"),
    [
        ("perfect", 1, 1, 1, 1, 1),
        ("late by 5", 0.5, 0.8000, 0.6667, 0.5455, 0.9493),
        ("late by 20", 0.1818, 0, 0, 0, 0.6462),
        ("single hit", 0.1818, 1, 1, 0.4375, 0.9791),
        # The reference leaves affiliation undefined where nothing is flagged; here its F1 is 0 by definition.
        ("constant", 0.1818, 0, 0, 0, 0),
        ("inverted", 0.1818, 0, 0, 0, 0.6107),
    ],
)
def test_oracle_figures_are_the_measured_ones(case, plain, adjusted, composite, range_f1, affiliation):
    assert metrics.best_f1(Y, CASES[case]).f1 == four(plain)
    found = [series.oracle_f1(figure, Y, CASES[case]).f1 for figure in FIGURES.values()]
    assert found == [four(value) for value in (adjusted, composite, range_f1, affiliation)]


def test_the_oracle_threshold_reproduces_its_figure():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=100) + Y
    for figure in FIGURES.values():
        best = series.oracle_f1(figure, Y, scores)
        assert figure(Y, scores > best.threshold) == best[:3]
        grid = np.linspace(scores.min(), scores.max(), 100)
        assert best.f1 == max(figure(Y, scores > threshold).f1 for threshold in grid)


def test_the_oracle_takes_the_fewest_flags_among_equals():
    scores = np.where(Y == 1, 3.0, np.arange(100) / 100)
    assert metrics.confusion(Y, scores > series.oracle_f1(series.event_wise, Y, scores).threshold).fp == 0


@pytest.fixture(scope="module")
def noise():
    """Figures of ten vectors of uniform scores on ten events of 100 steps among 10,000, one column each."""
    y = np.tile(steps(450, 550, 1000), 10)
    rows = []
    for seed in range(10):
        scores = np.random.default_rng(seed).random(len(y))
        area = series.vus(y, scores, 20)
        adjusted = series.inflated_random_oracle_f1(y, seed=seed, n_draws=1)
        affiliation = series.oracle_f1(series.affiliation, y, scores).f1
        rows.append((metrics.average_precision(y, scores), area.pr, area.roc, affiliation, adjusted))
    return np.array(rows)


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [(0, 0.097, 0.101), (1, 0.103, 0.108), (2, 0.508, 0.532), (3, 0.672, 0.678), (4, 0.865, 0.877)],
    ids=["AUC-PR", "VUS-PR", "VUS-ROC", "affiliation F", "PA-F1"],
)
def test_noise_reaches_what_three_draws_of_the_reference_reached(noise, column, low, high):
    values = noise[:, column]
    # The bands are the extremes of three draws; ours must be draws of the same distribution.
    assert values.min() <= low
    assert values.max() >= high
    assert abs(values.mean() - (low + high) / 2) < 2 * values.std(ddof=1) * np.sqrt(1 / 3 + 1 / 10)


def test_noise_looks_excellent_under_point_adjustment_alone(noise):
    y = np.tile(steps(450, 550, 1000), 10)
    # At alarm rate p an event of 100 steps is found with probability 1 - (1 - p)^100.
    p = np.linspace(0.001, 0.2, 1000)
    recall = 1 - (1 - p) ** 100
    expected = (2 * recall / (1 + recall + 9 * p)).max()
    assert noise[:, 4].mean() > expected > 0.85  # the best of many thresholds gains a little more by luck
    assert metrics.best_f1(y, np.random.default_rng(0).random(len(y))).f1 < 0.19
