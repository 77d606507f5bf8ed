import math

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.study.selection.evidence import LEVEL, cross_fitted_scores, tail_evidence


def alarms(draw, n_tables):
    return sum(tail_evidence(draw(np.random.default_rng(seed))).found for seed in range(n_tables))


# With 500 tables at a level of 1 %, 13 alarms or more have a probability of 0.2 %.
@pytest.mark.parametrize("shape", [0.5, 1, 5])
def test_power_laws_are_alarms_at_the_stated_level_however_heavy(shape):
    assert alarms(lambda rng: 1 + rng.pareto(shape, 400), 500) < 13


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: np.abs(rng.normal(size=400)),
        lambda rng: rng.exponential(size=400),
        lambda rng: np.abs(rng.standard_t(3, 400)),
        lambda rng: np.abs(rng.standard_cauchy(400)),
        lambda rng: np.exp(rng.normal(size=400)),
        lambda rng: rng.random(400),
    ],
    ids=["Gaussian", "exponential", "Student", "Cauchy", "log-normal", "uniform"],
)
def test_lighter_tails_are_alarms_less_often_than_the_level(draw):
    assert alarms(draw, 200) < 7


def test_the_p_value_of_a_power_law_is_uniform():
    p = [tail_evidence(1 + np.random.default_rng(seed).pareto(2, 400)).p for seed in range(400)]
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.1)
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.06)


def test_a_group_beyond_a_gap_is_found_and_counted():
    rng = np.random.default_rng(0)
    scores = np.concatenate([np.abs(rng.normal(size=980)), 30 + np.abs(rng.normal(size=20))])
    evidence = tail_evidence(rng.permutation(scores))
    assert evidence.found
    assert evidence.p == pytest.approx(1 / 2001)
    assert 20 <= evidence.n_apart <= 60
    assert "stand apart" in str(evidence)


def test_a_second_regime_without_a_gap_is_found():
    rng = np.random.default_rng(0)
    scores = np.abs(rng.normal(size=2000)) * np.where(np.arange(2000) < 100, 8, 1)
    assert tail_evidence(scores).found


def test_one_far_row_alone_is_none():
    scores = np.append(np.abs(np.random.default_rng(0).normal(size=999)), 8.0)
    assert not tail_evidence(scores).found


def test_the_unit_of_the_scores_and_the_order_of_the_rows_do_not_matter():
    scores = np.random.default_rng(3).lognormal(size=500)
    evidence = tail_evidence(scores)
    assert tail_evidence(scores[::-1] * 4096) == evidence


def test_nothing_is_said_of_few_rows_or_of_copies():
    for scores in (np.arange(1.0, 100), np.ones(1000), np.r_[np.zeros(990), np.arange(1.0, 11)]):
        evidence = tail_evidence(scores)
        assert math.isnan(evidence.p)
        assert not evidence.found
        assert "cannot be said" in str(evidence)


def test_scores_come_from_the_other_half():
    X = np.random.default_rng(0).normal(size=(201, 3)).astype(np.float32)
    scores = cross_fitted_scores(X, 7)
    rows = np.random.default_rng(7).permutation(201)
    for test, train in ((rows[:100], rows[100:]), (rows[100:], rows[:100])):
        distance, _ = NearestNeighbors(n_neighbors=5).fit(X[train]).kneighbors(X[test])
        assert scores[test] == pytest.approx(distance.mean(1), rel=1e-5)


@pytest.mark.parametrize("kind", ["Gaussian", "uniform", "heavy"])
def test_clean_tables_are_no_evidence_and_planted_rows_are(kind):
    rng = np.random.default_rng(4)
    draws = {
        "Gaussian": rng.normal(size=(1000, 6)),
        "uniform": rng.random((1000, 6)),
        "heavy": rng.standard_t(3, (1000, 6)),
    }
    X = draws[kind].astype(np.float32)
    clean = tail_evidence(cross_fitted_scores(X, 0))
    assert clean.p > LEVEL
    assert str(clean).startswith("No evidence of anomalies")
    X[:30] = 60 + 20 * rng.normal(size=(30, 6))
    assert tail_evidence(cross_fitted_scores(X, 0)).found


def test_wrong_scores_are_refused():
    with pytest.raises(DataError, match="at least 0"):
        tail_evidence([-1.0] * 500)
    with pytest.raises(DataError, match="finite"):
        tail_evidence([math.nan] * 500)
    with pytest.raises(ParameterError, match="seed"):
        tail_evidence(np.ones(500), seed=-1)
    with pytest.raises(DataError, match="at least 4"):
        cross_fitted_scores(np.zeros((3, 2), dtype=np.float32), 0)
