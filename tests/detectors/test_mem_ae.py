"""Properties of the memory-augmented autoencoder, against NumPy, SciPy and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

from whitecrow import MemAE
from whitecrow.train import Batch


def structured(n: int, seed: int = 0) -> np.ndarray:
    """Return rows near a curved surface of two dimensions, in six columns."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-2, 2, (2, n))
    columns = np.column_stack([u, v, np.sin(2 * u), u * v, u - v, np.cos(v)])
    return columns + 0.05 * rng.normal(size=columns.shape)


@pytest.fixture(scope="module")
def fitted() -> MemAE:
    return MemAE(random_state=0, epochs=50, lr=3e-3, regime="clean").fit(structured(600))


def address(det: MemAE, rows: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(det.encoder_.transform(rows))
    return det._address(det.replicas_.replica(0), x).detach().double().numpy()


def rebuild(det: MemAE, x: np.ndarray) -> np.ndarray:
    net = det.replicas_.replica(0)
    return net.decoder(det._address(net, torch.from_numpy(x)) @ net.memory).detach().numpy()


def test_the_weights_are_the_shrunk_softmax_of_the_cosines(fitted):
    net, x = fitted.replicas_.replica(0), torch.from_numpy(fitted.encoder_.transform(structured(50, 1)))
    z, memory = net.encoder(x).detach().double().numpy(), net.memory.detach().double().numpy()
    w = softmax(cosine_similarity(z, memory) / fitted.temperature, axis=1)
    threshold = fitted.shrinkage / fitted.n_slots
    shrunk = np.maximum(w - threshold, 0) * w / (np.abs(w - threshold) + 1e-12)  # eq. 7
    shrunk /= shrunk.sum(1, keepdims=True)
    clear = (np.abs(w - threshold) > 1e-6).all(1)
    assert clear.mean() > 0.9
    np.testing.assert_allclose(address(fitted, structured(50, 1))[clear], shrunk[clear], atol=1e-5)


def test_a_row_is_rebuilt_from_few_slots(fitted):
    w = address(fitted, structured(300, 1))
    assert w.min() >= 0
    np.testing.assert_allclose(w.sum(1), 1, atol=1e-6)
    assert ((w == 0).sum(1) >= 1).all()
    assert np.exp(entropy(w, axis=1)).mean() < fitted.n_slots / 3


def test_rows_together_use_many_slots(fitted):
    usage = address(fitted, structured(300, 1)).mean(0)
    assert np.exp(entropy(usage)) > fitted.n_slots / 4


def test_what_is_decoded_lies_in_the_convex_hull_of_the_slots(fitted):
    memory = fitted.replicas_.replica(0).memory.detach().double().numpy()
    for code in address(fitted, 20 * structured(5, 2)) @ memory:
        sides = np.vstack([memory.T, np.ones(len(memory))])
        hull = linprog(np.zeros(len(memory)), A_eq=sides, b_eq=[*code, 1], bounds=(0, None))
        assert hull.status == 0


def test_with_one_slot_every_row_is_rebuilt_as_the_mean():
    every_row = {"calibration": 0.0, "validation": 0.0, "regime": "clean"}  # their mean is 0
    det = MemAE(random_state=0, n_slots=1, epochs=60, lr=1e-2, lr_schedule="cosine", **every_row).fit(structured(400))
    x = det.encoder_.transform(structured(400))
    np.testing.assert_allclose(rebuild(det, x), np.zeros_like(x), atol=0.02)
    np.testing.assert_allclose(np.ptp(rebuild(det, x), axis=0), 0, atol=1e-6)


def test_weights_that_are_all_small_leave_the_largest():
    det = MemAE(random_state=0, n_slots=4, shrinkage=3.9, temperature=1.0, epochs=2).fit(structured(100))
    w = address(det, structured(50, 1))
    np.testing.assert_allclose(w.max(1), 1)
    assert ((w > 0).sum(1) == 1).all()


def test_the_loss_is_the_error_plus_the_price_of_the_entropy(fitted):
    rows = structured(60, 1)
    batch = Batch(torch.from_numpy(fitted.encoder_.transform(rows)))
    weight = fitted.entropy_weight
    try:
        fitted.set_params(entropy_weight=0.7)
        value = float(fitted.loss(fitted.replicas_.replica(0), batch).detach())
    finally:
        fitted.set_params(entropy_weight=weight)
    expected = fitted.anomaly_score(rows).mean() + 0.7 * entropy(address(fitted, rows), axis=1).mean()
    assert value == pytest.approx(expected, rel=1e-4)


def test_the_memory_is_trained_and_anomalies_are_drawn_to_normal_rows(fitted):
    start = MemAE(random_state=0, epochs=1, lr=1e-12, regime="clean").fit(structured(600))
    moved = fitted.replicas_.stacked["memory"] - start.replicas_.stacked["memory"]
    assert (moved.norm(dim=-1) > 1e-3).all()
    train = fitted.encoder_.transform(structured(600))
    odd = np.random.default_rng(0).uniform(-4, 4, (100, 6)).astype(np.float32)
    before, after = (euclidean_distances(rows, train).min(1) for rows in (odd, rebuild(fitted, odd)))
    assert (after < before).mean() > 0.95
