"""Properties of the one-class neural network, against NumPy."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.detectors.tabular.oc_nn import OneClassNN
from whitecrow.train import Batch


def normal_rows(n: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)) @ rng.normal(size=(4, 4)) + 3


def y_hat(det: OneClassNN, rows: np.ndarray) -> np.ndarray:
    """Return the outputs of the network, by our own reading."""
    x, net = det.encoder_.transform(rows).astype(float), det.replicas_.replica(0)
    z = x @ net.V.weight0.detach().numpy().T
    g = {"bump": lambda z: 1 / (1 + z**2), "sigmoid": lambda z: 1 / (1 + np.exp(-z)), "linear": lambda z: z}
    return (g[det.activation](z) @ net.w.weight0.detach().numpy().T)[:, 0]


@pytest.fixture(scope="module", params=["bump", "sigmoid", "linear"])
def fitted(request: pytest.FixtureRequest) -> OneClassNN:
    brief = {"epochs": 15, "validation": 0.0, "calibration": 0.0}
    return OneClassNN(random_state=0, activation=request.param, nu=0.1, **brief).fit(normal_rows())


def test_the_score_is_the_negative_output(fitted):
    rows = normal_rows(50, seed=1)
    np.testing.assert_allclose(fitted.anomaly_score(rows), -y_hat(fitted, rows), rtol=1e-3, atol=1e-4)


def test_the_loss_is_equation_4(fitted):
    rows, net = normal_rows(50, seed=1), fitted.replicas_.replica(0)
    w, v, r = (t.detach().numpy().astype(float) for t in (net.w.weight0, net.V.weight0, net.r))
    expected = (w**2).sum() / 2 + (v**2).sum() / 2 + np.maximum(r - y_hat(fitted, rows), 0).mean() / 0.1 - r
    x = torch.from_numpy(fitted.encoder_.transform(rows))
    assert float(fitted.loss(net, Batch(x)).detach()) == pytest.approx(expected, rel=1e-4)


def test_the_share_nu_of_the_training_rows_misses_the_margin(fitted):
    missed = float(fitted.replicas_.replica(0).r) + fitted.anomaly_score(normal_rows())
    assert (missed > 0).mean() == pytest.approx(0.1, abs=1 / len(missed))


def test_r_minimises_the_objective(fitted):
    outputs, best = y_hat(fitted, normal_rows()), float(fitted.replicas_.replica(0).r)
    around = best + np.ptp(outputs) * np.linspace(-0.5, 0.5, 201)
    objective = [np.maximum(r - outputs, 0).mean() / 0.1 - r for r in around]
    assert objective[100] <= min(objective) + 1e-5 * np.ptp(outputs)


def test_bumps_find_anomalies_on_every_side_where_a_linear_map_sees_one():
    centre, step = normal_rows().mean(0), 6 * normal_rows().std(0)
    rows = np.vstack([normal_rows(200, seed=0), centre + step, centre - step])
    both = OneClassNN(random_state=0, epochs=15).fit(normal_rows()).anomaly_score(rows)
    assert both[-2:].min() > np.quantile(both[:200], 0.95)
    one = OneClassNN(random_state=0, epochs=15, activation="linear").fit(normal_rows()).anomaly_score(rows)
    # A linear output changes its sign with the row, so the two sides lie on either side of all others.
    assert one[-2:].min() < np.quantile(one[:200], 0.05)
    assert one[-2:].max() > np.quantile(one[:200], 0.95)


def test_it_separates_a_cloud_from_its_surroundings():
    rng = np.random.default_rng(5)
    rows = np.vstack([rng.normal(size=(300, 3)), rng.uniform(-6, 6, size=(300, 3))])
    det = OneClassNN(random_state=0, epochs=15).fit(rng.normal(size=(400, 3)))
    assert roc_auc_score(np.repeat([0, 1], 300), det.anomaly_score(rows)) > 0.9
    assert len(np.unique(det.anomaly_score(rows))) > 570


def test_rows_far_away_are_still_ranked():
    det = OneClassNN(random_state=0, epochs=15, clip=None).fit(normal_rows())
    step = normal_rows().std(0)
    far = normal_rows().mean(0) + np.outer(10.0 ** np.arange(1, 7), step)
    assert (np.diff(det.anomaly_score(far)) > 0).all()


def test_the_trivial_optimum_is_reported():
    with pytest.warns(WhitecrowWarning, match=r"outputs of replicas \[0\] have collapsed"):
        det = OneClassNN(random_state=0, epochs=60, lr_hidden=1e-2, hidden_dim=32, validation=0.0).fit(normal_rows())
    assert det.spread_[0] < 1e-5
