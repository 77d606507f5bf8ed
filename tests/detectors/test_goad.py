"""Properties of GOAD, against loops in NumPy and SciPy's functions."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score

from whitecrow import GOAD
from whitecrow.train import Batch


def ring(n: int, seed: int) -> np.ndarray:
    """Return rows near a circle in four columns."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), rng.normal(size=n)]) + 5


@pytest.fixture(scope="module")
def fitted() -> GOAD:
    small = {"n_transformations": 8, "transformation_dim": 4, "n_layers": 2}
    every_row = {"calibration": 0.0, "validation": 0.0}
    return GOAD(random_state=0, shift=2.0, epochs=40, **small, **every_row).fit(ring(600, 0))


def transformed(det: GOAD, rows: np.ndarray) -> list[np.ndarray]:
    """Return ``f(T_m(x))`` map by map, by our own reading of the paper."""
    net, x = det.replicas_.replica(0), det.encoder_.transform(rows).astype(float)
    maps = net.maps.double().numpy().reshape(det.n_transformations, -1, x.shape[1])
    shifts = net.shifts.double().numpy().reshape(det.n_transformations, -1)
    first, second = (p.detach().double().numpy() for p in net.f.parameters())
    out = []
    for w, b in zip(maps, shifts, strict=True):
        h = (x @ w.T + b) @ first.T
        out.append(np.where(h > 0, h, 0.2 * h) @ second.T)
    return out


def test_the_score_is_the_log_probability_of_the_right_maps(fitted):
    rows = np.vstack([ring(30, 1), np.random.default_rng(0).normal(size=(30, 4)) * 10])
    centres = np.stack([f.mean(0) for f in transformed(fitted, ring(600, 0))])
    expected = np.zeros(len(rows))
    for m, f in enumerate(transformed(fitted, rows)):
        expected -= log_softmax(-cdist(f, centres, "sqeuclidean"), axis=1)[:, m]
    np.testing.assert_allclose(fitted.anomaly_score(rows), expected, rtol=1e-3, atol=1e-3)


def test_the_loss_is_the_triplet_loss_of_the_batch_means_and_the_cross_entropy(fitted):
    rows, net = ring(40, 2), fitted.replicas_.replica(0)
    f = transformed(fitted, rows)
    centres = np.stack([g.mean(0) for g in f])
    weight, bias = (p.detach().double().numpy() for p in net.head.parameters())
    triplets, entropies = [], []
    for m, g in enumerate(f):
        distance = cdist(g, centres, "sqeuclidean")
        triplets.append(np.maximum(distance[:, m] + 1 - np.delete(distance, m, 1).min(1), 0))
        entropies.append(-log_softmax(np.where(g > 0, g, 0.2 * g) @ weight.T + bias, axis=1)[:, m])
    loss = fitted.loss(net, Batch(torch.from_numpy(fitted.encoder_.transform(rows))))
    assert loss.item() == pytest.approx(0.1 * np.mean(triplets) + np.mean(entropies), rel=1e-3)


def test_weights_of_the_rows_count_in_the_centres_too(fitted):
    x, net = torch.from_numpy(fitted.encoder_.transform(ring(40, 2))), fitted.replicas_.replica(0)
    weight = (torch.arange(40) < 25).float()
    torch.testing.assert_close(fitted.loss(net, Batch(x, None, weight)), fitted.loss(net, Batch(x[:25])))


def test_features_that_do_not_differ_score_m_log_m():
    det = GOAD(random_state=0, n_transformations=16, epochs=1).fit(ring(200, 0))
    with torch.no_grad():
        det.replicas_.stacked["f.weight1"].zero_()
        det.replicas_.stacked["centres"].zero_()
    np.testing.assert_allclose(det.anomaly_score(ring(10, 1)), 16 * np.log(16), rtol=1e-5)


def test_transformed_training_rows_are_nearest_to_the_centre_of_their_map(fitted):
    f = transformed(fitted, ring(600, 0))
    centres = np.stack([g.mean(0) for g in f])
    nearest = np.stack([cdist(g, centres).argmin(1) for g in f])
    assert (nearest == np.arange(8)[:, None]).mean() > 0.9


def test_without_shifts_a_linear_network_cannot_tell_the_maps_of_centred_rows_apart():
    rows, far = ring(600, 0), np.vstack([ring(200, 1), ring(200, 2) + 4])
    settings = {"random_state": 0, "n_layers": 1, "n_transformations": 8, "calibration": 0.0, "validation": 0.0}
    y = np.repeat([0, 1], 200)
    without, with_shifts = (GOAD(shift=s, **settings).fit(rows) for s in (0.0, 1.0))
    assert np.abs(without.replicas_.stacked["centres"].numpy()).max() < 1e-4
    with_auroc, without_auroc = (roc_auc_score(y, det.anomaly_score(far)) for det in (with_shifts, without))
    assert with_auroc > max(0.95, without_auroc)


def test_rows_of_any_size_have_finite_scores():
    det = GOAD(random_state=0, epochs=2, clip=None).fit(ring(100, 0))
    far = np.full((4, 4), [[1e3], [1e15], [-1e30], [1e37]])
    assert np.isfinite(det.anomaly_score(far)).all()
