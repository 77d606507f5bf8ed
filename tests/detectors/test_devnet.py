"""Properties of the deviation network, against the loss by hand and the closed form of its optimum."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from whitecrow import DevNet
from whitecrow.nn import Networks
from whitecrow.train import Batch


def loss_of(scores: list[float], labels: list[int], weight: list[float] | None = None, **parameters: float) -> float:
    """Return the loss of a network whose scores are the rows themselves."""
    x = torch.tensor(scores).unsqueeze(1)
    batch = Batch(x, torch.tensor(labels), None if weight is None else torch.tensor(weight))
    value = DevNet(**parameters).loss(Networks(phi=torch.nn.Identity()), batch)
    assert value.shape == ()
    return value.item()


def groups(n: int = 1000, n_known: int = 30, n_hidden: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return unlabelled rows, some of them hidden anomalies, and known anomalies, with labels."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n + n_known, 5))
    rows[n - n_hidden :, 0] += 6
    return rows, np.repeat([-1, 1], [n, n_known])


def test_the_loss_is_the_deviation_loss_by_hand():
    assert loss_of([2.0], [-1]) == 2
    assert loss_of([-2.0], [0]) == 2
    assert loss_of([2.0], [1]) == 3
    assert loss_of([6.0], [1]) == 0
    assert loss_of([2.0], [1], margin=9.0) == 7
    # As many different values as rows: a loss that broadcasts labels against scores would differ.
    assert loss_of([2.0, -1.0, 6.0, 1.0], [1, 0, 1, -1]) == pytest.approx((3 + 1 + 0 + 1) / 4)
    assert loss_of([2.0, -1.0, 6.0, 1.0], [1, 0, 1, -1], [1.0, 2.0, 1.0, 0.0]) == pytest.approx((3 + 2 + 0) / 4)


def test_ordinary_rows_score_about_zero_and_known_anomalies_about_the_margin():
    rows, labels = groups()
    for margin in (5.0, 20.0):
        detector = DevNet(random_state=0, margin=margin, epochs=80, lr=5e-3).fit(rows, labels)
        scores = detector.anomaly_score(rows)
        assert abs(scores[labels != 1].mean()) < 0.1 * margin
        assert scores[labels == 1].mean() > 0.8 * margin


def test_a_linear_network_puts_the_median_of_ordinary_rows_at_zero():
    # The absolute deviation is least at the median; a squared one would put the mean, 1 here, at 0.
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.exponential(size=(2000, 1)), np.full((50, 1), 30.0)])
    labels = np.repeat([0, 1], [2000, 50])
    detector = DevNet(random_state=0, hidden_dims=(), weight_decay=0.0, lr=0.01, clip=None, calibration=0.0)
    scores = detector.fit(rows, labels).anomaly_score(rows)
    assert scores[labels == 1].min() > 4.5
    slope = np.subtract(*detector.anomaly_score([[1.0], [0.0]]))
    zero = -detector.anomaly_score([[0.0]])[0] / slope
    assert zero == pytest.approx(np.median(rows[:2000]), abs=0.15)


def test_normal_and_unlabelled_rows_are_treated_alike():
    rows, labels = groups(300)
    unlabelled = DevNet(random_state=0, epochs=5).fit(rows, labels).anomaly_score(rows)
    normal = DevNet(random_state=0, epochs=5).fit(rows, np.maximum(labels, 0)).anomaly_score(rows)
    np.testing.assert_array_equal(normal, unlabelled)


def test_a_few_hidden_anomalies_do_no_harm():
    rows, labels = groups(n_hidden=20)
    new, y = groups(500, 500, seed=1)
    scores = DevNet(random_state=0, epochs=80).fit(rows, labels).anomaly_score(new)
    assert roc_auc_score(y, scores) > 0.99
