import numpy as np
import polars as pl
import pytest
from scipy import stats

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data import TableEncoder
from whitecrow.study.selection.synthetic import KINDS, AnomalyGenerator


def generator(X, seed=0):
    encoder = TableEncoder(clip=None).fit(X)
    rows = encoder.transform(X)
    return AnomalyGenerator.fit(encoder, rows, seed), rows, encoder


def correlated(n=2000, seed=0):
    return np.random.default_rng(seed).multivariate_normal([3, -2], [[1, 0.9], [0.9, 1]], n)


@pytest.fixture
def mixed():
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "size": rng.normal(size=300),
            "gap": pl.Series(rng.normal(size=300)).set(pl.Series(rng.random(300) < 0.1), None),
            "kind": rng.choice(["a", "b", "c"], 300),
            "open": rng.random(300) < 0.3,
        }
    )


def test_local_anomalies_have_five_times_the_covariance():
    made, rows, _ = generator(correlated())
    drawn = made.draw("local", 4000, np.random.default_rng(0))
    assert np.cov(drawn.T) == pytest.approx(5 * np.cov(rows.T), rel=0.1)
    assert drawn.mean(0) == pytest.approx(rows.mean(0), abs=0.12)


def test_global_anomalies_are_uniform_over_a_box_a_tenth_wider():
    made, rows, _ = generator(correlated())
    drawn = made.draw("global", 4000, np.random.default_rng(0))
    span = np.ptp(rows, axis=0)
    low = rows.min(0) - 0.1 * span
    for j in range(2):
        assert stats.kstest(drawn[:, j], "uniform", (low[j], 1.2 * span[j])).pvalue > 0.01


def test_dependency_anomalies_keep_each_column_and_lose_what_ties_them():
    made, rows, _ = generator(correlated())
    drawn = made.draw("dependency", 4000, np.random.default_rng(0))
    for j in range(2):
        assert stats.ks_2samp(drawn[:, j], rows[:, j]).pvalue > 0.01
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.05
    assert np.corrcoef(rows.T)[0, 1] > 0.85


def test_cluster_anomalies_have_the_shape_of_a_component_five_times_as_far_out_as_a_row():
    made, rows, _ = generator(correlated())
    middle = np.median(rows, axis=0)
    for seed in range(5):
        drawn = made.draw("cluster", 2000, np.random.default_rng(seed))
        assert np.cov(drawn.T) == pytest.approx(np.cov(rows.T), rel=0.15)
        place = middle + (drawn.mean(0) - middle) / 5
        assert np.linalg.norm(rows - place, axis=1).min() < 0.05


def test_the_mixture_finds_separate_groups():
    rng = np.random.default_rng(0)
    made, _, _ = generator(np.concatenate([rng.normal(0, 1, (500, 2)), rng.normal(20, 1, (300, 2))]))
    assert len(made.weights) == 2
    assert sorted(made.weights) == pytest.approx([3 / 8, 5 / 8], abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_no_column_that_is_no_number_shows_a_value_that_no_row_has(mixed, kind):
    made, rows, encoder = generator(mixed)
    drawn = made.draw(kind, 200, np.random.default_rng(0))
    for k, column in enumerate(encoder.columns_):
        features = np.flatnonzero(encoder.column_of_feature_ == k)[column.kind == "number" :]
        known = {tuple(row) for row in rows[:, features].tolist()}
        assert {tuple(row) for row in drawn[:, features].tolist()} <= known


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_without_numbers_still_gives_rows(kind):
    made, rows, _ = generator(pl.DataFrame({"kind": ["a", "b"] * 20, "open": [True, False, False, True] * 10}))
    drawn = made.draw(kind, 30, np.random.default_rng(0))
    assert drawn.shape == (30, rows.shape[1])
    assert drawn.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_rows(kind):
    made, _, _ = generator(correlated())
    first, again = (made.draw(kind, 10, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, again)


def test_constant_columns_and_copies_of_one_row_are_no_obstacle():
    made, _, _ = generator(np.ones((60, 3)))
    for kind in KINDS:
        assert np.isfinite(made.draw(kind, 5, np.random.default_rng(0))).all()


def test_wrong_use_is_refused():
    made, rows, encoder = generator(correlated(50))
    with pytest.raises(ParameterError, match="one of 'local', 'global', 'dependency', 'cluster'"):
        made.draw("odd", 3, np.random.default_rng(0))
    with pytest.raises(ParameterError, match="at least 1"):
        made.draw("local", 0, np.random.default_rng(0))
    with pytest.raises(DataError, match="at least 2"):
        AnomalyGenerator.fit(encoder, rows[:1], 0)
