"""Several fits trained at once end as each would alone.

The rows are so many that no product is of fewer than 400 multiplications: those round otherwise one by one.
"""

import numpy as np
import pytest

import whitecrow as wc
from whitecrow.core.errors import DataError, ParameterError, TrainingError
from whitecrow.detectors import can_fit_together, fit_together

SEEDS = (3, 8, 21)


def tables(n=1000, d=5):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) for _ in SEEDS]


def detectors(name, **parameters):
    return [wc.detector(name, random_state=s, epochs=6, verbose=False, **parameters) for s in SEEDS]


@pytest.mark.parametrize("name", ["autoencoder", "dagmm", "deep-svdd", "mem-ae"])
def test_each_fit_is_the_same_bit_for_bit(name):
    X, new = tables(), np.random.default_rng(1).normal(size=(50, 5))
    together = detectors(name)
    assert fit_together(together, X) == [None] * 3
    for one, alone, rows in zip(together, detectors(name), X, strict=True):
        alone.fit(rows)
        np.testing.assert_array_equal(one.anomaly_score(new), alone.anomaly_score(new))
        assert one.threshold_ == alone.threshold_
        assert one.history_ == alone.history_
        assert one.n_epochs_ == alone.n_epochs_


def test_methods_whose_functions_round_by_place_are_the_same_to_rounding():
    X, new = tables(), np.random.default_rng(1).normal(size=(50, 5))
    together = detectors("vae")
    fit_together(together, X)
    for one, alone, rows in zip(together, detectors("vae"), X, strict=True):
        np.testing.assert_allclose(one.anomaly_score(new), alone.fit(rows).anomaly_score(new), rtol=1e-4)


def test_trimmed_rows_are_each_fits_own():
    X = tables()
    for rows in X:
        rows[:60] += 30.0
    together = detectors("autoencoder", trim=0.1)
    fit_together(together, X)
    for one, alone, rows in zip(together, detectors("autoencoder", trim=0.1), X, strict=True):
        np.testing.assert_array_equal(one.anomaly_score(rows), alone.fit(rows).anomaly_score(rows))


def test_labels_go_with_their_table():
    X = tables()
    y = [np.where(np.arange(1000) % 50 == k, 1, -1) for k in range(3)]
    together = detectors("deep-sad", regime="labelled")
    assert fit_together(together, X, y) == [None] * 3
    for one, alone, rows, labels in zip(together, detectors("deep-sad", regime="labelled"), X, y, strict=True):
        np.testing.assert_array_equal(one.anomaly_score(rows), alone.fit(rows, labels).anomaly_score(rows))


def test_tables_of_other_shapes_are_trained_apart():
    X = tables()
    X[1] = X[1][:500]
    together = detectors("autoencoder")
    assert fit_together(together, X) == [None] * 3
    for one, alone, rows in zip(together, detectors("autoencoder"), X, strict=True):
        np.testing.assert_array_equal(one.anomaly_score(rows), alone.fit(rows).anomaly_score(rows))


def test_a_table_that_cannot_be_used_does_not_stop_the_others():
    X = tables()
    X[0][4, 2] = np.nan
    together = detectors("autoencoder")
    errors = fit_together(together, X)
    assert isinstance(errors[0], DataError)
    assert errors[1:] == [None, None]
    np.testing.assert_array_equal(
        together[2].anomaly_score(X[2]), detectors("autoencoder")[2].fit(X[2]).anomaly_score(X[2])
    )


def test_a_fit_that_diverges_does_not_stop_the_others():
    X = tables()
    X[1] *= 1e30
    together = detectors("autoencoder", scaling="none", clip=None)
    with pytest.warns(UserWarning, match="diverged"):
        errors = fit_together(together, X)
    assert isinstance(errors[1], TrainingError)
    assert errors[0] is None
    assert errors[2] is None


def test_what_cannot_be_trained_together_is_refused():
    mixed = [wc.detector("autoencoder"), wc.detector("vae")]
    shallow = [wc.detector("knn"), wc.detector("knn")]
    unequal = [wc.detector("autoencoder", lr=1e-3), wc.detector("autoencoder", lr=1e-4)]
    for group in (mixed, shallow, unequal):
        assert not can_fit_together(group)
        with pytest.raises(ParameterError, match="cannot be trained together"):
            fit_together(group, tables()[: len(group)])
