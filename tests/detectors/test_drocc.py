"""Properties of deep robust one-class classification, on a circle and against closed forms."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from whitecrow import DROCC
from whitecrow.core.spec import InputSpec
from whitecrow.nn import Networks, seeded
from whitecrow.train import Batch


def circle(n: int, radius: float = 5.0, seed: int = 0) -> np.ndarray:
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, n)
    return radius * np.column_stack([np.cos(angle), np.sin(angle)])


def built(**parameters: Any) -> tuple[DROCC, Networks, torch.Tensor]:
    """Return a detector, untrained networks and rows."""
    det = DROCC(**parameters)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32))
    with seeded(0):
        net = det.networks(InputSpec("table", (6,)))
        net.noise.pool.normal_()
    with torch.no_grad():
        det.prepare(net, x, torch.full((200,), -1))
    return det, net, x


def adversaries(det: DROCC, net: Networks, x: torch.Tensor, steps: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    net.noise.seek(0)
    return det._adversaries(net, x, steps)


@pytest.mark.parametrize("steps", [0, 1, 25])
def test_adversaries_lie_between_r_and_gamma_r_from_their_rows(steps):
    det, net, x = built(radius=1.5, gamma=1.8, ascent_rate=0.1)
    distance = (adversaries(det, net, x, steps)[0] - x).norm(dim=-1)
    assert distance.min() >= 1.5 - 1e-5
    assert distance.max() <= 1.5 * 1.8 + 1e-5
    assert distance.std() > 0.01


def test_ascent_moves_adversaries_to_where_the_classifier_errs():
    det, net, x = built()
    found = [net.classifier(adversaries(det, net, x, m)[0]).detach() for m in (0, 2, 10)]
    hardness = [torch.nn.functional.softplus(logit).mean() for logit in found]
    assert hardness[0] < hardness[1] < hardness[2]
    assert (found[2] > found[0]).float().mean() > 0.95


def test_the_search_leaves_the_networks_alone():
    det, net, x = built()
    before = {name: p.clone() for name, p in net.named_parameters()}
    assert not adversaries(det, net, x)[0].requires_grad
    for name, parameter in net.named_parameters():
        assert parameter.grad is None
        torch.testing.assert_close(parameter, before[name], rtol=0, atol=0)


def test_adversaries_near_another_row_do_not_count():
    det, net, x = built(radius=2.0)
    points, counts = adversaries(det, net, x)
    np.testing.assert_array_equal(counts, cdist(points, x).min(1) > 2.0 * (1 - 1e-3))
    assert 0.05 < counts.mean() < 0.95


def test_the_loss_is_the_cross_entropy_of_rows_and_of_adversaries_that_count():
    det, net, x = built(adversarial_weight=0.3, radius=2.0)
    points, counts = adversaries(det, net, x)
    logits = [net.classifier(rows).squeeze(-1) for rows in (x, points)]
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = entropy(logits[0], torch.ones(200)) + 0.3 * entropy(logits[1], torch.zeros(200), weight=counts)
    net.noise.seek(0)
    torch.testing.assert_close(det.loss(net, Batch(x)), expected)


def test_the_default_radius_goes_with_the_root_of_the_number_of_standardised_columns():
    rows = np.random.default_rng(0).normal(size=(500, 9)) * np.arange(1, 10) + 3
    det = DROCC(random_state=0, epochs=1, warm_up=0, clip=None).fit(rows)
    assert float(det.replicas_.stacked["radius"]) == pytest.approx(1.5 * np.sqrt(9), rel=0.02)


def test_a_circle_is_told_from_what_lies_inside_and_outside_of_it():
    # r = 1 in the units of the rows; scaled, the circle of radius 5 has radius sqrt 2
    det = DROCC(random_state=0, radius=2**0.5 / 5, hidden_dims=(64, 64), epochs=60, lr=1e-2, lr_schedule="cosine")
    det.set_params(validation=0.0, regime="clean").fit(circle(800))
    assert (det.anomaly_score(circle(100, seed=1)) < 0).mean() > 0.95  # the logit of normal is above 0
    for radius in (0.1, 3, 7, 12):
        assert (det.anomaly_score(circle(100, radius, seed=1)) > 0).mean() > 0.95
