"""The one-class SVM against scikit-learn's, its dual problem and a published figure."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import spearmanr
from sklearn import svm
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KernelDensity

from whitecrow.core.errors import ModelFileError, ParameterError
from whitecrow.detectors.tabular.one_class_svm import OneClassSVM
from whitecrow.nn import Networks

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data"))
KDD = DATA / "intrusion" / "kddcup.data_10_percent.gz"
DEEPAD = DATA / "intrusion" / "deepad_8020"


def plain(**parameters):
    """Return a detector that sees the rows as they are."""
    return OneClassSVM(scaling="none", calibration=0, random_state=0, **parameters)


def rows(n=400, d=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32).astype(np.float64)


def net(detector):
    return detector.replicas_.replica(0)


@pytest.mark.parametrize("gamma", ["scale", "auto", 0.02, 3.0])
@pytest.mark.parametrize("nu", [0.01, 0.1, 0.5])
def test_score_is_the_negative_decision_function_of_scikit_learn(gamma, nu):
    train, test = rows(), 2 * rows(seed=1)
    reference = -svm.OneClassSVM(gamma=gamma, nu=nu).fit(train).decision_function(test)
    scores = plain(gamma=gamma, nu=nu).fit(train).anomaly_score(test)
    np.testing.assert_allclose(scores, reference, rtol=1e-6, atol=1e-9)


def test_mean_far_from_zero_costs_no_digits():
    train, test = np.round(rows() * 8) + 2**20, np.round(rows(seed=1) * 8) + 2**20
    reference = -svm.OneClassSVM(gamma=0.01, nu=0.1).fit(train).decision_function(test)
    scores = plain(gamma=0.01).fit(train).anomaly_score(test)
    np.testing.assert_allclose(scores, reference, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("nu", [0.05, 0.2, 0.5])
def test_nu_bounds_the_rows_outside_and_the_support_vectors(nu):
    detector = plain(nu=nu, tol=1e-6).fit(rows(1000))
    assert (detector.anomaly_score(rows(1000)) > 1e-6).mean() <= nu
    assert len(net(detector).alpha) / 1000 >= nu


def test_weights_solve_the_dual_problem():
    train = rows()
    detector = plain(nu=0.2, gamma=0.3, tol=1e-6).fit(train)
    alpha = net(detector).alpha.numpy()
    assert alpha.sum() == pytest.approx(0.2 * len(train))
    assert alpha.min() > 0
    assert alpha.max() <= 1
    # The slope of the objective is rho where the weight is free, at most rho at the upper bound, at least rho at 0.
    outside = detector.anomaly_score(train)
    weight = np.zeros(len(train))
    weight[[int(np.argmin(((train - s) ** 2).sum(1))) for s in net(detector).support.numpy()]] = alpha
    assert np.abs(outside[(weight > 1e-9) & (weight < 1 - 1e-9)]).max() < 1e-4
    assert outside[weight >= 1 - 1e-9].min() > -1e-4
    assert outside[weight == 0].max() < 1e-4


def test_all_rows_support_a_kernel_density_estimate_as_nu_nears_one():
    train, test = rows(), rows(seed=1)
    density = KernelDensity(bandwidth=1.0).fit(train).score_samples(test)
    scores = plain(nu=0.999, gamma=0.5).fit(train).anomaly_score(test)
    assert spearmanr(scores, -density).statistic > 0.999


def test_rows_far_away_tie_at_rho():
    detector = plain().fit(rows())
    scores = detector.anomaly_score(np.array([[1e3] * 5, [-1e4, 0, 0, 0, 0], [1e30] * 5]))
    np.testing.assert_array_equal(scores, float(net(detector).rho))


def test_up_to_max_rows_the_solution_is_exact():
    detector = plain(max_rows=400).fit(rows())
    assert detector.approximation_ == "exact"
    np.testing.assert_array_equal(
        detector.anomaly_score(rows(seed=1)), plain(max_rows=None).fit(rows()).anomaly_score(rows(seed=1))
    )


def test_beyond_max_rows_a_sample_stands_for_all():
    train, test = rows(4000), rows(seed=1)
    detector = plain(max_rows=1000).fit(train)
    assert detector.approximation_ == "random sample of 1,000 of the 4,000 training rows"
    scores = detector.anomaly_score(test)
    np.testing.assert_array_equal(plain(max_rows=1000).fit(train).anomaly_score(test), scores)
    assert not np.array_equal(plain(max_rows=1000).set_params(random_state=1).fit(train).anomaly_score(test), scores)
    assert spearmanr(scores, plain().fit(train).anomaly_score(test)).statistic > 0.97


@pytest.mark.parametrize("train", [np.ones((30, 3)), np.repeat(rows(3), 20, axis=0), rows(2)])
def test_degenerate_tables_are_scored(train):
    assert np.isfinite(plain().fit(train).anomaly_score(train)).all()


@pytest.mark.parametrize("bad", [{"nu": 0.0}, {"nu": 1.0}, {"gamma": 0.0}, {"gamma": "wide"}, {"max_rows": 0}])
def test_bad_parameters_are_refused(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        plain(**bad).fit(rows())


@pytest.mark.parametrize(
    "tamper",
    [
        lambda b: b.pop("rho"),
        lambda b: b.update(alpha=b["alpha"][:-1]),
        lambda b: b.update(alpha=-b["alpha"]),
        lambda b: b.update(alpha=torch.empty(0, dtype=torch.float64), support=torch.empty(0, 5)),
        lambda b: b.update(support=b["support"][:, :4]),
        lambda b: b.update(support=b["support"].double()),
        lambda b: b["support"].fill_(float("nan")),
        lambda b: b.update(support=torch.tensor(1.0)),
        lambda b: b["gamma"].fill_(-1.0),
        lambda b: b.update(gamma=torch.ones(5, dtype=torch.float64)),
        lambda b: b.update(rows=torch.tensor([400, 300])),
        lambda b: b.update(rows=torch.tensor([1, 400])),
    ],
)
def test_tampered_buffers_are_refused(tamper):
    detector = plain().fit(rows())
    buffers = {name: tensor.clone() for name, tensor in net(detector).tensors()}
    detector.check_buffers(Networks(**buffers))
    tamper(buffers)
    with pytest.raises(ModelFileError, match="OneClassSVM"):
        detector.check_buffers(Networks(**buffers))


@pytest.mark.skipif(not (KDD.is_file() and DEEPAD.is_dir()), reason="KDD Cup 1999 is absent: set WHITECROW_DATA")
def test_deepads_published_figure_is_reproduced():
    from whitecrow.data.datasets import KDD_COLUMNS

    test = pl.concat(
        [pl.read_csv(DEEPAD / f"test_{part}.csv.gz", infer_schema_length=None) for part in ("inliers", "outliers")],
        how="vertical_relaxed",
    )
    y = test["target"].to_numpy()
    test = test.drop("target").cast(pl.Float64)
    kdd = pl.read_csv(KDD, has_header=False, new_columns=[*KDD_COLUMNS, "label"])
    train = kdd.filter(pl.col("label") == "normal.").select(test.columns).cast(pl.Float64)
    assert train.shape == (97278, 18)
    detector = OneClassSVM(
        gamma=0.5, nu=0.0001, max_rows=None, scaling="minmax", regime="clean", calibration=0, random_state=0
    ).fit(train)
    assert detector.approximation_ == "exact"
    assert len(net(detector).alpha) == 63
    assert roc_auc_score(y, detector.anomaly_score(test)) == pytest.approx(0.9577, abs=0.0005)
