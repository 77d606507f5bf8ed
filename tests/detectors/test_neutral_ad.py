"""Properties of NeuTraL AD, against double loops in NumPy and its closed-form bounds."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from whitecrow import NeuTraLAD


def curved(n: int, seed: int) -> np.ndarray:
    """Return rows on a curved surface of two dimensions in R^10."""
    u, v = np.random.default_rng(seed).uniform(-2, 2, (2, n))
    return np.column_stack([u, v, np.sin(2 * u), u * v, u - v, np.cos(v), u**2, np.sin(u + v), v**2, np.cos(2 * v)])


@pytest.fixture(scope="module", params=["residual", "multiplicative"])
def fitted(request: pytest.FixtureRequest) -> NeuTraLAD:
    return NeuTraLAD(random_state=0, n_transformations=5, transformation=request.param, epochs=25).fit(curved(600, 0))


def encode(det: NeuTraLAD, v: np.ndarray) -> np.ndarray:
    """Return the encoder's output for vectors ``[N, D + 1]``, layer by layer."""
    net = det.replicas_.replica(0)
    weights = [net.first.weight0, *(p for name, p in net.encoder.named_parameters() if "weight" in name)]
    for i, weight in enumerate(weights):
        v = v @ weight.detach().double().numpy().T
        v = np.maximum(v, 0) if i < len(weights) - 1 else v
    return v


def naive_scores(det: NeuTraLAD, rows: np.ndarray) -> np.ndarray:
    """Return the paper's score by loops over rows and views."""
    net = det.replicas_.replica(0)
    x = np.column_stack([det.encoder_.transform(rows), np.full(len(rows), float(net.constant))]).astype(float)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    outer = net.transformations.outer.detach().double().numpy()
    inner = net.transformations.inner.detach().double().numpy().reshape(len(outer), -1, x.shape[1])
    views = [x]
    for u, v in zip(inner, outer, strict=True):
        m = np.maximum(x @ u.T, 0) @ v.T
        views.append(m + x if det.transformation == "residual" else x / (1 + np.exp(-m)))
    codes = [encode(det, view) for view in views]
    scores = np.zeros(len(rows))
    for i in range(len(rows)):
        z = [c[i] / np.linalg.norm(c[i]) for c in codes]
        for k in range(1, len(z)):
            h = [np.exp(z[k] @ z[other] / det.temperature) for other in range(len(z)) if other != k]
            scores[i] -= np.log(h[0] / sum(h))
    return scores


def test_the_score_is_the_deterministic_contrastive_loss_of_the_row(fitted):
    rows = np.vstack([curved(20, 1), np.random.default_rng(0).normal(size=(20, 10)) * 5])
    np.testing.assert_allclose(fitted.anomaly_score(rows), naive_scores(fitted, rows), rtol=1e-3, atol=1e-4)


def test_the_score_lies_within_its_bounds(fitted):
    k, tau = fitted.n_transformations, fitted.temperature
    scores = fitted.anomaly_score(np.random.default_rng(0).normal(size=(500, 10)) * 100)
    assert scores.min() > 0
    assert scores.max() <= k * np.log(1 + (k - 1) * np.exp(2 / tau))


def test_equal_views_score_k_log_k():
    det = NeuTraLAD(random_state=0, epochs=1).fit(curved(100, 0))
    with torch.no_grad():
        det.replicas_.stacked["transformations.outer"].zero_()
    np.testing.assert_allclose(det.anomaly_score(curved(10, 1)), 11 * np.log(11), rtol=1e-5)


def test_order_of_the_transformations_and_scale_of_the_codes_do_not_matter():
    det, rows = NeuTraLAD(random_state=0, epochs=2).fit(curved(100, 0)), curved(20, 1)
    before, tensors = det.anomaly_score(rows), det.replicas_.stacked
    with torch.no_grad():
        tensors["encoder.weight1"].mul_(7)
        order = torch.randperm(11, generator=torch.Generator().manual_seed(0))
        for name in ("transformations.inner", "transformations.outer"):
            blocks = tensors[name].reshape(1, 11, -1)
            tensors[name].copy_(blocks[:, order].reshape(tensors[name].shape))
    np.testing.assert_allclose(det.anomaly_score(rows), before, rtol=1e-4)


def test_length_counts_through_the_constant_feature_alone():
    rows, near = curved(400, 0), curved(50, 1)
    for offset, same in [(0.0, True), (1.0, False)]:
        det = NeuTraLAD(random_state=0, epochs=3, offset=offset, scaling="none").fit(rows)
        one, ten = det.anomaly_score(near), det.anomaly_score(10 * near)
        assert np.allclose(one, ten, rtol=1e-3) == same


def test_rows_off_the_surface_score_higher():
    det = NeuTraLAD(random_state=0, epochs=60).fit(curved(1500, 0))
    normal = curved(300, 1)
    shuffled = np.column_stack([np.random.default_rng(j).permutation(c) for j, c in enumerate(normal.T)])
    y = np.repeat([0, 1], 300)
    assert roc_auc_score(y, det.anomaly_score(np.vstack([normal, shuffled]))) > 0.95


@pytest.mark.parametrize("transformation", ["residual", "multiplicative"])
def test_rows_of_any_size_have_finite_scores(transformation):
    det = NeuTraLAD(random_state=0, epochs=2, clip=None, transformation=transformation).fit(curved(100, 0))
    far = np.full((4, 10), [[1e3], [1e15], [-1e30], [1e37]])
    assert np.isfinite(det.anomaly_score(far)).all()
