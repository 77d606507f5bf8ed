"""Properties of the deep autoencoding Gaussian mixture, against scikit-learn and our own reading of the paper."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture

from whitecrow.detectors.tabular import dagmm
from whitecrow.detectors.tabular.dagmm import DAGMM
from whitecrow.train import Batch

# All rows train and no number is scaled, so that the tests see what the method sees.
PLAIN = {"random_state": 0, "calibration": 0.0, "validation": 0.0, "scaling": "none", "clip": None}


def waves(n: int, seed: int) -> np.ndarray:
    """Return rows on two bent lines in five columns, with little noise."""
    rng = np.random.default_rng(seed)
    t, side = rng.uniform(-2, 2, n), rng.choice([-1, 1], n)
    columns = np.column_stack([t, np.sin(2 * t) + side, np.cos(t) * side, t**2 / 2, side * 1.5])
    return columns + 0.05 * rng.normal(size=columns.shape)


def features(det: DAGMM, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return z = [code, distance, cosine] (equations 1 to 3) and the squared errors, by our own reading."""
    net, x = det.replicas_.replica(0), torch.from_numpy(rows).float()
    with torch.no_grad():
        code = net.encoder(x)
        rebuilt, code, x = (t.double().numpy() for t in (net.decoder(code), code, x))
    distance = np.linalg.norm(x - rebuilt, axis=1)
    cosine = (x * rebuilt).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(rebuilt, axis=1)
    return np.column_stack([code, distance / np.sqrt(5), cosine]), distance**2


def mixture_of(det: DAGMM, z: np.ndarray) -> GaussianMixture:
    """Return the mixture of the memberships (equations 4 and 5), by the step M of scikit-learn."""
    with torch.no_grad():
        gamma = det.replicas_.replica(0).estimator(torch.from_numpy(z).float()).softmax(-1).double().numpy()
    mixture = GaussianMixture(det.n_components, reg_covar=1e-6)
    mixture._initialize(z, gamma)
    return mixture


def least_energy(phi: np.ndarray, sigma: np.ndarray) -> float:
    """Return the energy that a row at the means of all components would have."""
    return -np.log((phi / np.sqrt(np.linalg.det(2 * np.pi * sigma))).sum())


def test_the_score_is_the_energy_of_one_mixture_of_all_training_rows() -> None:
    rows, new = waves(400, 0), waves(80, 1) + np.random.default_rng(2).normal(size=(80, 5))
    det = DAGMM(epochs=10, n_components=3, **PLAIN).fit(rows)
    mixture = mixture_of(det, features(det, rows)[0])
    energy = -mixture.score_samples(features(det, new)[0])
    expected = energy - least_energy(np.asarray(mixture.weights_), np.asarray(mixture.covariances_))
    np.testing.assert_allclose(det.anomaly_score(new), expected, rtol=2e-3, atol=1e-2)
    assert expected.min() > 0


def test_the_loss_is_error_plus_energy_plus_penalty_of_the_batch_alone() -> None:
    det = DAGMM(epochs=2, dropout=0.0, energy_weight=0.3, covariance_penalty=0.02, **PLAIN).fit(waves(200, 0))
    rows = waves(150, 3)
    z, error = features(det, rows)
    mixture = mixture_of(det, z)
    penalty = (1 / np.asarray(mixture.covariances_).diagonal(axis1=1, axis2=2)).sum()
    expected = error.mean() - 0.3 * mixture.score_samples(z).mean() + 0.02 * penalty
    loss = det.loss(det.replicas_.replica(0).train(), Batch(torch.from_numpy(rows).float()))
    assert float(loss.detach()) == pytest.approx(expected, rel=2e-3)


def test_held_out_rows_are_measured_by_the_mixture_of_the_training_rows() -> None:
    det = DAGMM(epochs=2, **PLAIN).fit(waves(200, 0))
    one_row = torch.from_numpy(waves(1, 3)).float()
    net = det.replicas_.replica(0).eval()
    # A mixture of this one row alone would have the floor as its variances.
    sigma = net.scale.numpy() @ net.scale.numpy().transpose(0, 2, 1)
    energy = det.anomaly_score(one_row.numpy())[0] + least_energy(np.exp(net.log_phi.numpy()[0]), sigma)
    penalty = (1 / sigma.diagonal(axis1=1, axis2=2)).sum()
    expected = features(det, one_row.numpy())[1][0] + 0.1 * energy + 0.005 * penalty
    assert float(det.loss(net, Batch(one_row)).detach()) == pytest.approx(expected, rel=1e-3)


def test_the_final_mixture_does_not_depend_on_the_chunks_it_is_estimated_in(monkeypatch: pytest.MonkeyPatch) -> None:
    new = waves(50, 1)
    whole = DAGMM(epochs=3, **PLAIN).fit(waves(300, 0)).anomaly_score(new)
    monkeypatch.setattr(dagmm, "_CHUNK", 37)
    np.testing.assert_allclose(DAGMM(epochs=3, **PLAIN).fit(waves(300, 0)).anomaly_score(new), whole, rtol=1e-4)


def test_it_learns_more_than_the_distance_to_the_mean() -> None:
    normal = waves(300, 4)
    shuffled = np.column_stack([np.random.default_rng(j).permutation(c) for j, c in enumerate(normal.T)])
    rows, y = np.vstack([normal, shuffled]), np.repeat([0, 1], 300)
    # Shuffled columns have the same margins, so no distance to the mean can tell them.
    assert roc_auc_score(y, ((rows - normal.mean(0)) ** 2 / normal.var(0)).sum(1)) < 0.6
    det = DAGMM(random_state=0, epochs=50, lr=3e-3, regime="clean").fit(waves(800, 0))
    assert roc_auc_score(y, det.anomaly_score(rows)) > 0.85


def test_scores_of_far_rows_are_finite_and_do_not_tie() -> None:
    """A cap on the energy, as of a sum of densities that underflows, would give all of them one score."""
    det = DAGMM(epochs=5, **PLAIN).fit(waves(200, 0))
    far = np.outer(np.logspace(1, 15, 50), [1.0, -1.0, 2.0, 0.5, -3.0])
    scores = det.anomaly_score(far)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()
    assert scores[0] > det.fit_scores_.max()
