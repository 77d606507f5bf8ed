"""Properties of internal contrastive learning, against loops in NumPy and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import normalize

from whitecrow import ICL


def related(n: int, seed: int) -> np.ndarray:
    """Return rows of eight columns that depend on two hidden numbers."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(2, n))
    return np.column_stack([u, v, u + v, u - v, u * v, np.sin(u), np.cos(v), 2 * u - v]) + 0.05 * rng.normal(
        size=(n, 8)
    )


@pytest.fixture(scope="module")
def fitted() -> ICL:
    return ICL(random_state=0, n_replicas=2, epochs=40, window=3).fit(related(600, 0))


def embed(network: torch.nn.Module, window: int, rows: np.ndarray) -> np.ndarray:
    """Return the unit embeddings of rows seen as the given window, layer by layer."""
    weights = {name: p.detach().double().numpy() for name, p in network.named_parameters()}
    h = rows @ weights["first.weight0"].T + weights["shifts"][window]
    for layer in range(2):
        h = np.where(h > 0, h, 0.2 * h) @ weights[f"rest.weight{layer}"].T + weights[f"rest.bias{layer}"]
    return normalize(h)


def naive_scores(det: ICL, rows: np.ndarray, r: int) -> np.ndarray:
    """Return the paper's score of replica ``r``, window by window."""
    net, k = det.replicas_.replica(r), 3
    x = det.encoder_.transform(rows).astype(float)[:, np.argsort(net.order.numpy())]
    m = x.shape[1] - k + 1
    u = [embed(net.F, j, np.delete(x, range(j, j + k), axis=1)) for j in range(m)]
    v = [embed(net.G, j, x[:, j : j + k]) for j in range(m)]
    losses = [
        -log_softmax(np.stack([(u[j] * v[other]).sum(1) for other in range(m)], 1) / det.temperature, axis=1)[:, j]
        for j in range(m)
    ]
    return np.mean(losses, axis=0)


def test_the_score_is_the_mean_contrastive_loss_of_the_windows(fitted):
    rows = np.vstack([related(20, 1), np.random.default_rng(0).normal(size=(20, 8)) * 5])
    ours = fitted._score(fitted.encoder_.transform(rows))
    for r in range(2):
        np.testing.assert_allclose(ours[r], naive_scores(fitted, rows, r), rtol=1e-3, atol=1e-5)


def test_each_replica_has_an_order_of_its_own(fitted):
    first, second = (fitted.replicas_.replica(r).order.argsort().tolist() for r in range(2))
    assert first != second
    assert sorted(first) == sorted(second) == list(range(8))


def test_windows_that_look_alike_score_log_m():
    det = ICL(random_state=0, epochs=1, window=3).fit(related(100, 0))
    with torch.no_grad():
        for name, tensor in det.replicas_.stacked.items():
            if name.startswith("G.") and "weight" in name:
                tensor.zero_()
    np.testing.assert_allclose(det.anomaly_score(related(10, 1)), np.log(6), rtol=1e-5)


def test_the_score_lies_within_the_bounds_of_cosines(fitted):
    scores = fitted.anomaly_score(np.random.default_rng(0).normal(size=(300, 8)) * 50)
    assert scores.min() > 0
    assert scores.max() <= np.log(1 + 5 * np.exp(2 / fitted.temperature))


def test_broken_relations_score_higher_than_the_same_margins(fitted):
    normal = related(300, 1)
    shuffled = np.column_stack([np.random.default_rng(j).permutation(c) for j, c in enumerate(normal.T)])
    y = np.repeat([0, 1], 300)
    assert roc_auc_score(y, fitted.anomaly_score(np.vstack([normal, shuffled]))) > 0.9


def test_the_most_usual_rows_do_not_score_high(fitted):
    scores = fitted.anomaly_score(np.vstack([related(600, 0).mean(0), related(300, 1)]))
    assert scores[0] < np.quantile(scores, 0.9)


@pytest.mark.parametrize(("columns", "windows"), [(1, 2), (2, 2), (3, 3), (4, 3), (50, 41), (161, 151), (300, 151)])
def test_windows_by_number_of_columns(columns, windows):
    rows = np.random.default_rng(0).normal(size=(30, columns))
    det = ICL(random_state=0, epochs=1).fit(rows)
    assert det.replicas_.stacked["F.shifts"].shape[1] == windows
    assert np.isfinite(det.anomaly_score(rows)).all()


def test_rows_of_any_size_have_finite_scores():
    det = ICL(random_state=0, epochs=2, clip=None).fit(related(100, 0))
    far = np.full((4, 8), [[1e3], [1e15], [-1e30], [1e37]])
    assert np.isfinite(det.anomaly_score(far)).all()
