"""Properties of the classifier, against scikit-learn and the likelihood ratio of two Gaussians."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from whitecrow import Classifier
from whitecrow.nn import Networks
from whitecrow.train import Batch

PLAIN = {"random_state": 0, "weight_decay": 0.0, "calibration": 0.0, "scaling": "none", "clip": None}


def two_gaussians(n: int, n_known: int, n_hidden: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of N(0, I), and of N((2, -1), I) for known and for hidden anomalies, with labels."""
    rows = np.random.default_rng(seed).normal(size=(n + n_known, 2))
    rows[n - n_hidden :] += (2, -1)
    return rows, np.repeat([-1, 1], [n, n_known])


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return np.corrcoef(rankdata(a), rankdata(b))[0, 1]


def loss_of(logits: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None, **parameters: float) -> float:
    """Return the loss of a network whose logits are the rows themselves."""
    batch = Batch(
        torch.from_numpy(logits).unsqueeze(1),
        torch.from_numpy(labels),
        None if weight is None else torch.from_numpy(weight),
    )
    value = Classifier(**parameters).loss(Networks(phi=torch.nn.Identity()), batch)
    assert value.shape == ()
    return value.item()


@pytest.mark.parametrize(("w", "gamma"), [(1.0, 0.0), (3.0, 0.0), (1.0, 2.0), (0.5, 0.5)])
def test_the_loss_is_the_mean_focal_entropy_of_each_class(w, gamma):
    rng = np.random.default_rng(0)
    logits, labels, weight = 3 * rng.normal(size=40), rng.choice([-1, 0, 1], 40), rng.random(40)
    p = 1 / (1 + np.exp(-np.where(labels == 1, logits, -logits)))
    entropy = -((1 - p) ** gamma) * np.log(p)
    for given, used in ((None, np.ones(40)), (weight, weight)):
        anomalous, other = (np.average(entropy[rows], weights=used[rows]) for rows in (labels == 1, labels != 1))
        expected = (w * anomalous + other) / (w + 1)
        assert loss_of(logits, labels, given, anomaly_weight=w, focus=gamma) == pytest.approx(expected)


def test_a_row_that_is_told_apart_for_certain_has_a_finite_gradient():
    logit = torch.tensor([[200.0], [-200.0], [0.0]], requires_grad=True)
    batch = Batch(logit, torch.tensor([1, 0, 0]))
    for gamma in (0.0, 0.5, 2.0):
        value = Classifier(focus=gamma).loss(Networks(phi=torch.nn.Identity()), batch)
        (gradient,) = torch.autograd.grad(value, logit)
        assert gradient.isfinite().all()


def test_without_hidden_layers_it_is_the_balanced_logistic_regression_of_scikit_learn():
    rows, labels = two_gaussians(1500, 60)
    ours = Classifier(hidden_dims=(), epochs=100, lr=0.03, lr_schedule="cosine", **PLAIN).fit(rows, labels)
    theirs = LogisticRegression(C=np.inf, class_weight="balanced").fit(rows, labels == 1)
    assert np.abs(ours.anomaly_score(rows) - theirs.decision_function(rows)).max() < 0.15


def test_the_logit_is_the_log_likelihood_ratio():
    # For N(0, I) against N(m, I) it is m.x - |m|^2 / 2, whatever the shares of the classes.
    rows, labels = two_gaussians(8000, 1000)
    detector = Classifier(epochs=40, lr_schedule="cosine", **{**PLAIN, "weight_decay": 1e-3}).fit(rows, labels)
    new = np.random.default_rng(1).normal((1, -0.5), size=(500, 2))
    ratio = new @ (2, -1) - 2.5
    assert np.median(np.abs(detector.anomaly_score(new) - ratio)) < 0.4
    assert rank_correlation(detector.anomaly_score(new), ratio) > 0.97


def test_hidden_anomalies_lower_the_logits_and_leave_the_ranking():
    hidden, labels = two_gaussians(3000, 300, n_hidden=900)
    told, _ = two_gaussians(3000, 300)
    new = two_gaussians(300, 300, seed=1)[0]
    found = [
        Classifier(epochs=60, **{**PLAIN, "weight_decay": 0.01}).fit(rows, labels).anomaly_score(new)
        for rows in (told, hidden)
    ]
    assert rank_correlation(*found) > 0.95
    assert found[1].max() < found[0].max() - 1
