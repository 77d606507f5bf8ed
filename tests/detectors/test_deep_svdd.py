"""Properties of Deep SVDD, against NumPy."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.detectors.tabular.deep_svdd import DeepSVDD
from whitecrow.train import Batch


def ring(n: int = 500, seed: int = 0) -> np.ndarray:
    """Return rows near a circle: their mean is as anomalous as the far outside."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * rng.normal(size=(n, 2))


def encoded(det: DeepSVDD, rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(det.encoder_.transform(rows))


def initial(det: DeepSVDD) -> DeepSVDD:
    """Return the detector as it stands before the first step that moves anything."""
    return DeepSVDD(**{**det.get_params(), "lr": 1e-30, "weight_decay": 0.0, "epochs": 1})


@pytest.fixture(scope="module")
def fitted() -> DeepSVDD:
    return DeepSVDD(random_state=0, epochs=60, lr=1e-3, validation=0.0, calibration=0.0).fit(ring())


def test_the_centre_is_the_mean_output_at_initialisation_off_zero_and_frozen(fitted):
    start = initial(fitted).fit(ring())
    x, net = encoded(start, ring()), start.replicas_.replica(0)
    mean = net.phi(x).detach().numpy().astype(float).mean(0)
    expected = np.where(np.abs(mean) < 0.1, np.where(mean < 0, -0.1, 0.1), mean)
    np.testing.assert_allclose(net.c.numpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(fitted.replicas_.replica(0).c.numpy(), net.c.numpy())
    assert not torch.equal(fitted.replicas_.replica(0).phi.weight0, net.phi.weight0)


def test_a_centre_coordinate_of_exactly_zero_is_moved_too():
    # A column of zeros alone has outputs of zero alone.
    det = DeepSVDD(random_state=0, epochs=1, validation=0.0).fit(np.ones((30, 1)))
    np.testing.assert_allclose(det.replicas_.replica(0).c.numpy(), 0.1)


def test_the_loss_is_the_mean_score_and_the_map_has_no_bias(fitted):
    net, x = fitted.replicas_.replica(0), encoded(fitted, ring(seed=1))
    assert {name for name, _ in net.phi.named_parameters()} == {"weight0", "weight1"}
    assert float(fitted.loss(net, Batch(x)).detach()) == pytest.approx(
        fitted.anomaly_score(ring(seed=1)).mean(), rel=1e-5
    )


def test_with_an_identity_map_it_is_the_squared_distance_to_the_mean():
    rows = ring() + 5
    plain = {"hidden_dims": (), "latent_dim": 2, "scaling": "none", "centre_margin": 1e-9, "calibration": 0.0}
    det = DeepSVDD(random_state=0, epochs=1, lr=1e-30, validation=0.0, **plain).fit(rows)
    net = det.replicas_.replica(0)
    with torch.no_grad():
        net.phi.weight0.copy_(torch.eye(2))
        det._set_centre(net, torch.from_numpy(rows).float())
        ours = det.score_batch(net, torch.from_numpy(rows).float())
    np.testing.assert_allclose(ours, ((rows - rows.mean(0)) ** 2).sum(1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("nu", [0.1, 0.4])
def test_the_soft_boundary_leaves_out_the_share_nu(nu):
    det = DeepSVDD(objective="soft-boundary", nu=nu, random_state=0, epochs=30, lr=1e-4, validation=0.0, calibration=0)
    scores = det.fit(ring()).anomaly_score(ring())
    net, x = det.replicas_.replica(0), encoded(det, ring())
    radius_squared = float(net.radius_squared)
    assert (scores > radius_squared * (1 + 1e-6)).mean() == pytest.approx(nu, abs=1 / len(scores))
    # ... and that radius minimises eq. 3.
    distance = (net.phi(x) - net.c).detach().double().square().sum(1).numpy()
    objective = [r + np.maximum(distance - r, 0).mean() / nu for r in radius_squared * np.linspace(0.5, 1.5, 101)]
    assert objective[50] <= min(objective) + 1e-6


def test_it_learns_a_shape_that_no_distance_to_the_mean_can_tell(fitted):
    rng = np.random.default_rng(2)
    inside = rng.normal(size=(200, 2)) * 0.2
    rows, y = np.vstack([ring(200, seed=3), inside, 2 * ring(200, seed=4)]), np.repeat([0, 1, 1], [200, 200, 200])
    assert roc_auc_score(y, (rows**2).sum(1)) < 0.6
    assert roc_auc_score(y, fitted.anomaly_score(rows)) > 0.95
    assert roc_auc_score(y, initial(fitted).fit(ring()).anomaly_score(rows)) < 0.9
    assert len(np.unique(fitted.anomaly_score(ring(1000, seed=5)))) > 950


def test_pretraining_sets_the_centre_after_the_autoencoder():
    det = DeepSVDD(random_state=0, pretraining=15, epochs=1, lr=1e-30, validation=0.0, calibration=0.0).fit(ring())
    losses = np.ravel(det.history_["pre-training.reconstruction_loss"])
    assert len(losses) == 15
    assert losses[-1] < 0.3 * losses[0]
    net, x = det.replicas_.replica(0), encoded(det, ring())
    mean = net.phi(x).detach().numpy().mean(0)
    np.testing.assert_allclose(net.c.numpy()[np.abs(mean) > 0.1], mean[np.abs(mean) > 0.1], atol=1e-5)


def test_a_collapse_is_reported():
    with pytest.warns(WhitecrowWarning, match=r"outputs of replicas \[0\] have collapsed"):
        det = DeepSVDD(random_state=0, epochs=40, lr=1e-3, weight_decay=1e4, validation=0.0).fit(ring())
    assert det.spread_[0] < 1e-5
