"""Averaged parameters, balanced batches, trimmed rows and stratified validation."""

import numpy as np
import pytest
import torch
from toy_methods import Linear, fit, rows

from whitecrow.nn import Networks
from whitecrow.train import Batch, Objective, Stage


class Averaged(Linear):
    """Keeps the parameters after every step; its stage averages them."""

    def __init__(self, decay: float) -> None:
        self.decay, self.steps = decay, []

    def stages(self):
        return (Stage(average=self.decay),)

    def loss(self, net, batch):
        if net.training:
            self.steps.append({name: p.detach().clone() for name, p in net.named_parameters()})
        return super().loss(net, batch)


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_averaged_parameters_equal_the_closed_form(decay):
    method = Averaged(decay)
    kept = fit(method, rows(), epochs=3).replicas.replica(0)
    # What a step starts from is what the one before has left; the last result is seen by a plain fit of the same seed.
    after = [*method.steps[1:], dict(fit(Linear(), rows(), epochs=3).replicas.replica(0).named_parameters())]
    share = np.array([decay ** (len(after) - 1 - i) for i in range(len(after))])
    share = (share / share.sum()).tolist()
    for name, parameter in kept.named_parameters():
        expected = sum(weight * step[name] for weight, step in zip(share, after, strict=True))
        torch.testing.assert_close(parameter, expected.detach(), rtol=1e-9, atol=1e-12, check_dtype=False)


def test_training_itself_goes_on_from_the_moving_parameters():
    averaged, plain = Averaged(0.9), Averaged(0.0)
    fit(averaged, rows(), epochs=3)
    fit(plain, rows(), epochs=3)
    for one, other in zip(averaged.steps, plain.steps, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


class Labelled(Linear):
    """Learns from labels in balanced batches, and keeps what it was given."""

    uses_labels = True

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.seen_in_validation: list[Batch] = []

    def stages(self):
        return (Stage((Objective("loss"),), balanced=True),)

    def loss(self, net: Networks, batch: Batch):
        (self.batches if net.training else self.seen_in_validation).append(batch)
        return super().loss(net, batch)


def test_half_of_a_balanced_batch_are_known_anomalies():
    method = Labelled()
    fit(method, rows(70), batch_size=10, epochs=6)  # ten of the seventy are known
    assert len(method.batches) == 6 * 7
    assert {int((b.y == 1).sum()) for b in method.batches} == {5}
    others = torch.cat([b.x[b.y != 1, 0] for b in method.batches[:7]])
    assert len(others.unique()) == len(others) == 35  # of the others, none twice in an epoch
    everyone = torch.cat([b.x[:, 0] for b in method.batches])
    assert len(everyone.unique()) == 70


def test_validation_gets_its_share_of_known_anomalies_and_training_keeps_the_rest():
    method = Labelled()
    fit(method, rows(70), n_validation=21, batch_size=10, epochs=1)
    held_out = torch.cat([b.y for b in method.seen_in_validation])
    assert (len(held_out), int((held_out == 1).sum())) == (21, 3)
    few = Labelled()
    fit(few, rows(7), n_validation=3, batch_size=2, epochs=1)  # one known anomaly: it trains
    assert not any((b.y == 1).any() for b in few.seen_in_validation)
    assert any((b.y == 1).any() for b in few.batches)


class Trimmed(Linear):
    """Ranks its rows by their number, which is the first column."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.seen_in_validation: list[Batch] = []

    def loss(self, net: Networks, batch: Batch):
        (self.batches if net.training else self.seen_in_validation).append(batch)
        return super().loss(net, batch)

    def row_losses(self, net, x):
        return x[..., 0]


def test_the_share_with_the_largest_losses_is_left_out():
    method = Trimmed()
    fit(method, rows(50), n_validation=10, batch_size=8, epochs=2, trim=0.25)
    assert all(b.weight is None for b in method.batches[:5])  # the first epoch knows no losses yet
    for batches, trimmed in ((method.batches[5:], 10), (method.seen_in_validation[:1], 2)):
        ids, weights = (torch.cat([getattr(b, name) for b in batches]) for name in ("x", "weight"))
        order = ids[:, 0].argsort()
        expected = torch.ones(len(order))
        expected[-trimmed:] = 0
        torch.testing.assert_close(weights[order].float(), expected)


def test_known_anomalies_are_never_trimmed():
    class Known(Trimmed):
        uses_labels = True

        def row_losses(self, net, x):
            return (x[..., 0] * 50 % 7 < 0.5).double()  # largest where the label is 1

    method = Known()
    fit(method, rows(50), batch_size=50, epochs=2, trim=0.3)
    last = method.batches[-1]
    assert (last.weight[last.y == 1] == 1).all()
    assert int((last.weight == 0).sum()) == 15
