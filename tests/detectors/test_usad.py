"""Properties of USAD: two players that pull at the shared encoder from opposite sides."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from whitecrow import USAD
from whitecrow.train import Batch


@pytest.fixture(scope="module")
def fitted() -> USAD:
    return USAD(random_state=0, window=20, epochs=6, validation=0.0, epoch_windows=1).fit(np.sin(np.arange(400) / 3))


@pytest.fixture
def batch() -> Batch:
    return Batch(torch.rand(30, 20, generator=torch.Generator().manual_seed(0)))


def parts(det: USAD, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean squared errors of AE1, of AE2, and of AE2 after AE1."""
    net = det.replicas_.replica(0)
    one, two = (lambda w, d=d: d(net.encoder(w)) for d in (net.decoder1, net.decoder2))
    return tuple((x - rebuilt).square().mean() for rebuilt in (one(x), two(x), two(one(x))))


def slope(value: Tensor, parameters: list[Tensor]) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, parameters, retain_graph=True)])


def test_the_losses_are_those_of_the_paper(fitted, batch):
    net = fitted.replicas_.replica(0).train()
    first, second, adversarial = parts(fitted, batch.x)
    n = float(net.epoch)
    assert n == 7
    torch.testing.assert_close(fitted.loss_1(net, batch), first / n + (1 - 1 / n) * adversarial)
    torch.testing.assert_close(fitted.loss_2(net, batch), second / n - (1 - 1 / n) * adversarial)


def test_the_adversarial_part_pulls_the_players_in_opposite_directions(fitted, batch):
    net = fitted.replicas_.replica(0).train()
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    n, (first, second, adversarial) = float(net.epoch), parts(fitted, batch.x)
    shared, one, two = (list(m.parameters()) for m in (net.encoder, net.decoder1, net.decoder2))
    share = 1 - 1 / n
    by_first = slope(fitted.loss_1(net, batch), shared + one) - slope(first / n, shared + one)
    torch.testing.assert_close(by_first, share * slope(adversarial, shared + one), atol=1e-6, rtol=1e-3)
    by_second = slope(fitted.loss_2(net, batch), shared + two) - slope(second / n, shared + two)
    torch.testing.assert_close(by_second, -share * slope(adversarial, shared + two), atol=1e-6, rtol=1e-3)
    assert slope(adversarial, two).abs().max() > 1e-4


def test_each_player_has_an_optimiser_of_its_own_so_that_nothing_cancels(fitted, batch):
    objectives = fitted.stages()[0].objectives
    assert [(o.loss, o.trains) for o in objectives] == [
        ("loss_1", ("encoder", "decoder1")),
        ("loss_2", ("encoder", "decoder2")),
    ]
    # One optimiser of the sum would be left with both plain errors.
    net = fitted.replicas_.replica(0).train()
    first, second, _ = parts(fitted, batch.x)
    torch.testing.assert_close(fitted.loss_1(net, batch) + fitted.loss_2(net, batch), (first + second) / net.epoch)
    torch.testing.assert_close(fitted.two_head_loss(net, batch), first + second)


def test_training_is_validated_on_what_the_first_decoder_rebuilds(fitted, batch):
    net = fitted.replicas_.replica(0)
    torch.testing.assert_close(fitted.loss_1(net.eval(), batch), parts(fitted, batch.x)[0])


def test_the_score_weighs_both_errors(fitted, batch):
    first, _, adversarial = parts(fitted, batch.x)
    kept = fitted.alpha
    try:
        with torch.no_grad():
            net = fitted.replicas_.replica(0)
            found = [fitted.set_params(alpha=a).score_batch(net, batch.x).mean() for a in (0.0, 0.3, 1.0)]
    finally:
        fitted.set_params(alpha=kept)
    torch.testing.assert_close(torch.stack(found), torch.stack([adversarial, 0.3 * first + 0.7 * adversarial, first]))


@pytest.mark.parametrize(("epoch_windows", "n"), [(1, 7), (800, 3), (100_000, 1)])
def test_short_passes_are_counted_together(epoch_windows, n):
    # 400 windows, none held out.
    series = np.sin(np.arange(419) / 3)
    never = {"validation": 0.0, "calibration": 0.0}
    det = USAD(random_state=0, window=20, epochs=6, epoch_windows=epoch_windows, **never).fit(series)
    assert det.replicas_.stacked["epoch"].tolist() == [1 + min(6, 6 * 400 // epoch_windows)] == [n if n != 3 else 4]


@pytest.mark.parametrize("parameters", [{}, {"mode": "two-head"}, {"output": "linear", "scaling": "standard"}])
def test_an_anomaly_is_found(parameters):
    t = np.arange(1200)
    det = USAD(random_state=0, window=25, epochs=20, regime="clean", **parameters).fit(np.sin(t / 4))
    series, labels = np.sin(t / 4), np.zeros(1200)
    series[600:650], labels[600:650] = 0.3, 1
    assert roc_auc_score(labels, det.anomaly_score(series)) > 0.95


def test_linear_decoders_stay_finite_however_long_they_play():
    series = np.random.default_rng(0).normal(size=300)
    det = USAD(random_state=0, window=10, epochs=20, lr=1e-2, output="linear", scaling="standard", patience=100)
    history = det.set_params(epoch_windows=1).fit(series).history_["fit.loss_2"]
    assert np.isfinite(history).all()
    assert min(history)[0] > -4.0
    assert np.isfinite(det.anomaly_score(series * 1e3)).all()
