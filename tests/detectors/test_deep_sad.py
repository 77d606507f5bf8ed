"""Properties of Deep SAD, against NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.detectors.tabular.deep_sad import DeepSAD
from whitecrow.train import Batch

STILL = {"lr": 1e-30, "weight_decay": 0.0, "epochs": 1, "validation": 0.0, "calibration": 0.0}


def cloud(n: int = 400, n_known: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return unlabelled rows, then known anomalies within their range, with the labels of both."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(n, 3)) * [1.0, 1.0, 3.0]
    anomalies = 0.3 * rng.normal(size=(n_known, 3)) + [0.0, 2.0, 0.0]
    return np.vstack([normal, anomalies]), np.repeat([-1, 1], [n, n_known])


def fit(rows: np.ndarray, labels: np.ndarray, **parameters: Any) -> DeepSAD:
    return DeepSAD(random_state=0, regime="labelled", **parameters).fit(rows, labels)


def gradients(det: DeepSAD, x: torch.Tensor, labels: list[int]) -> torch.Tensor:
    net = det.replicas_.replica(0)
    weights = [p.requires_grad_() for p in net.phi.parameters()]
    loss = det.loss(net, Batch(x, torch.tensor(labels)))
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])


def test_the_loss_is_equation_7():
    rows, labels = cloud()
    labels[:50] = 0
    det = fit(rows, labels, eta=3.0, **STILL)
    net = det.replicas_.replica(0)
    x = torch.from_numpy(det.encoder_.transform(rows))
    output = net.phi(x).detach().numpy().astype(float)
    scores = ((output - net.c.numpy()) ** 2).sum(1)
    d = scores / scores[labels != 1].mean()
    terms = np.select([labels == -1, labels == 0], [d, 3 * d], 3 / (d + det.epsilon))
    assert float(det.loss(net, Batch(x, torch.from_numpy(labels))).detach()) == pytest.approx(terms.mean(), rel=1e-4)


def test_the_centre_is_the_mean_over_rows_that_are_not_known_anomalies():
    rows, labels = cloud(n_known=200)
    det = fit(rows, labels, **STILL)
    net = det.replicas_.replica(0)
    mean = net.phi(torch.from_numpy(det.encoder_.transform(rows[labels != 1]))).detach().numpy().mean(0)
    expected = np.where(np.abs(mean) < 0.1, np.where(mean < 0, -0.1, 0.1), mean)
    np.testing.assert_allclose(net.c.numpy(), expected, atol=1e-5)


def test_a_step_moves_known_anomalies_away_and_others_to_the_centre():
    rows, labels = cloud()
    det = fit(rows, labels, **STILL)
    net = det.replicas_.replica(0)
    x = torch.from_numpy(det.encoder_.transform(rows[:1]))
    for label, away in [(1, True), (0, False), (-1, False)]:
        before = float(det.score_batch(net, x).detach())
        step = gradients(det, x, [label])
        step *= 1e-3 / step.norm()
        kept = torch.nn.utils.parameters_to_vector(net.phi.parameters()).detach()
        torch.nn.utils.vector_to_parameters(kept - step, net.phi.parameters())
        assert (float(det.score_batch(net, x).detach()) > before) == away
        torch.nn.utils.vector_to_parameters(kept, net.phi.parameters())


def test_a_known_normal_row_counts_as_an_unlabelled_one_if_eta_is_1():
    rows, labels = cloud(n_known=0)
    det = fit(rows, labels, **STILL)
    x = torch.from_numpy(det.encoder_.transform(rows[:6]))
    torch.testing.assert_close(gradients(det, x, [0, 0, 0, -1, -1, -1]), gradients(det, x, [-1] * 6))


def test_an_anomaly_at_the_centre_does_not_own_the_gradient():
    rows, labels = cloud()
    det = fit(rows, labels, **STILL)
    net = det.replicas_.replica(0)
    x = torch.from_numpy(det.encoder_.transform(rows))
    nearest = x[det.score_batch(net, x).argmin()].unsqueeze(0)
    with torch.no_grad():
        net.c.copy_(net.phi(nearest)[0] + 1e-3)
    assert gradients(det, nearest, [1]).norm() < 1e3 * gradients(det, x, [-1] * len(x)).norm()


def test_without_labels_it_is_deep_svdd():
    rows, labels = cloud(n_known=0)
    det = DeepSAD(random_state=0, epochs=3).fit(rows)
    net, x = det.replicas_.replica(0), torch.from_numpy(det.encoder_.transform(rows))
    mean_score = det.anomaly_score(rows).mean() / float(net.first_score)
    assert float(det.loss(net, Batch(x, torch.from_numpy(labels))).detach()) == pytest.approx(mean_score, rel=1e-5)
    np.testing.assert_array_equal(det.anomaly_score(rows), fit(rows, labels, epochs=3).anomaly_score(rows))


@pytest.mark.parametrize("balanced", [True, False])
def test_known_anomalies_teach_it_where_to_look(balanced):
    rows, labels = cloud()
    det = fit(rows, labels, epochs=40, lr=1e-3, balanced=balanced)
    new, which = cloud(seed=1, n_known=200)
    distance = ((new / rows.std(0)) ** 2).sum(1)
    blind = DeepSAD(random_state=0, epochs=40, lr=1e-3, regime="clean").fit(rows[labels == -1])
    with_labels, without = (roc_auc_score(which, d.anomaly_score(new)) for d in (det, blind))
    assert roc_auc_score(which, distance) < 0.85
    assert with_labels > max(without, 0.85) + 0.05
    median = np.median(det.anomaly_score(rows[labels == -1]))
    start = fit(rows, labels, **STILL)
    start_median = np.median(start.anomaly_score(rows[labels == -1]))
    grown = det.anomaly_score(rows[labels == 1]).mean() / median
    assert grown > 3 * start.anomaly_score(rows[labels == 1]).mean() / start_median


def test_one_known_anomaly_is_enough_to_train_on():
    rows, labels = cloud(n_known=1)
    assert np.isfinite(fit(rows, labels, epochs=3).anomaly_score(rows)).all()


def test_a_collapse_is_reported():
    rows, _ = cloud(n_known=0)
    with pytest.warns(WhitecrowWarning, match=r"outputs of replicas \[0\] have collapsed"):
        det = DeepSAD(random_state=0, epochs=40, lr=1e-3, weight_decay=1e4, validation=0.0).fit(rows)
    assert det.spread_[0] < 1e-5
