"""The training loop: replicas alone and together, objectives, stages, early stop, divergence."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from toy_methods import D, Everything, Exploding, Linear, Method, assert_equal, fit, rows

from whitecrow.core.errors import TrainingError, WhitecrowWarning
from whitecrow.nn import Networks, Noise, mlp, squared_error
from whitecrow.train import Batch, Objective, Stage

SEEDS = (3, 11, 8)
VARIANTS = {
    "plain": {},
    "early stop": {"n_validation": 13, "patience": 1, "epochs": 6},
    "all": {
        "n_validation": 10,
        "patience": 2,
        "clip_norm": 0.3,
        "weight_decay": 0.01,
        "lr_schedule": "cosine",
        "trim": 0.15,
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_direct_vmap_and_loop_give_each_replica_what_it_gets_alone(variant):
    settings = VARIANTS[variant]
    alone = [fit(Everything(), rows(), [seed], **settings) for seed in SEEDS]
    for execution in ("direct", "vmap", "loop"):
        method = Everything()
        method.execution = execution
        together = fit(method, rows(), SEEDS, **settings)
        assert together.n_epochs == [solo.n_epochs[0] for solo in alone]
        for r, solo in enumerate(alone):
            for name, tensor in solo.replicas.stacked.items():
                torch.testing.assert_close(
                    together.replicas.stacked[name][r],
                    tensor[0],
                    rtol=1e-6,
                    atol=1e-9,
                    msg=f"{execution} {name}",
                )
            for name, losses in solo.history.items():
                ours = [epoch[r] for epoch in together.history[name]][: len(losses)]
                np.testing.assert_allclose(ours, [epoch[0] for epoch in losses], rtol=1e-4)


class Witness(Linear):
    """Keeps what the loss is given in training; the rows are known by their first column."""

    uses_labels = True

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        if net.training:
            self.batches.append(batch)
        return super().loss(net, batch)


@pytest.mark.parametrize(("n", "batch_size"), [(20, 6), (20, 5), (20, 20), (20, 64), (2, 64), (40000, 30000)])
def test_an_epoch_sees_each_training_row_once_and_no_validation_row(n, batch_size):
    x, witness = rows(n), Witness()
    n_validation = n // 5
    fit(witness, x, n_validation=n_validation, batch_size=batch_size, epochs=2)
    n_training = n - n_validation
    steps = math.ceil(n_training / batch_size)
    assert len(witness.batches) == 2 * steps
    first, second = (
        torch.cat([b.x[:, 0] for b in witness.batches[epoch * steps : (epoch + 1) * steps]]) for epoch in (0, 1)
    )
    assert len(first.unique()) == n_training
    assert torch.equal(first.sort().values, second.sort().values)
    assert n_training <= 2 or not torch.equal(first, second)
    sizes = {len(b.x) for b in witness.batches[:steps]}
    assert sizes <= {min(batch_size, n_training), n_training % batch_size}


def test_labels_and_weights_stay_with_their_rows():
    class Weighted(Witness):
        def after_epoch(self, net, X, epoch):
            return X[:, 0] + 1 if epoch == 0 else None

    for seeds in ([3], [3, 4]):
        method = Weighted()
        fit(method, rows(21), seeds, n_validation=4, batch_size=5, epochs=3)
        assert all(b.weight is None for b in method.batches[:4])
        for batch in method.batches:
            ids = (batch.x[..., 0] * 21).round()
            assert batch.y is not None
            assert torch.equal(batch.y, (ids % 7 == 0).long())
        for batch in method.batches[4:]:
            assert batch.weight is not None
            torch.testing.assert_close(batch.weight.double(), batch.x[..., 0] + 1, rtol=1e-6, atol=0)
        assert len(method.batches) == 12


def test_a_replica_may_give_weights_when_another_does_not():
    class Sometimes(Linear):
        def after_epoch(self, net, X, epoch):
            return X[:, 0] if float(dict(net.tensors())["encoder.weight0"].sum()) > 0 else None

    together = fit(Sometimes(), rows(), SEEDS)
    for r, seed in enumerate(SEEDS):
        alone = fit(Sometimes(), rows(), [seed])
        torch.testing.assert_close(
            together.replicas.stacked["decoder.weight0"][r], alone.replicas.stacked["decoder.weight0"][0]
        )


def test_each_objective_moves_only_what_it_trains():
    class OnlyCritic(Everything):
        def stages(self):
            return (Stage((Objective("criticise", ("critic", "offset")),)),)

    before = fit(OnlyCritic(), rows(), SEEDS, epochs=0)
    after = fit(OnlyCritic(), rows(), SEEDS)
    moved = {
        name
        for name in after.replicas.trainable
        if not torch.equal(before.replicas.stacked[name], after.replicas.stacked[name])
    }
    assert moved == {"offset", "critic.weight0", "critic.bias0", "critic.weight1", "critic.bias1"}


class TwoStages(Linear):
    def stages(self):
        return (
            Stage((Objective(trains=("encoder",)),), epochs=2, name="first", early_stop=False),
            Stage((Objective(trains=("decoder",)),), epochs=3, name="second"),
        )


def test_stages_run_in_their_order_for_their_epochs():
    after = fit(TwoStages(), rows(), SEEDS, epochs=99, n_validation=9, patience=50)
    assert {name: len(losses) for name, losses in after.history.items()} == {
        "first.loss": 2,
        "second.loss": 3,
        "second.validation": 3,
    }
    assert after.n_epochs == [5, 5, 5]

    class First(TwoStages):
        def stages(self):
            return super().stages()[:1]

    first = fit(First(), rows(), SEEDS, epochs=99, n_validation=9)
    torch.testing.assert_close(
        after.replicas.stacked["encoder.weight0"], first.replicas.stacked["encoder.weight0"], rtol=0, atol=0
    )
    assert not torch.equal(after.replicas.stacked["decoder.weight0"], first.replicas.stacked["decoder.weight0"])


def kept_by_rule(losses: list[float], patience: int) -> int:
    """Return the epoch that early stopping keeps, by a second writing of its rule."""
    best, kept, waited = math.inf, 0, 0
    for epoch, loss in enumerate(losses, 1):
        if waited >= patience:
            break
        if best == math.inf or loss < best - 1e-4 * abs(best):
            best, kept, waited = loss, epoch, 0
        else:
            waited += 1
    return kept


def test_a_stage_judges_anew_what_stopped_in_the_one_before():
    class Judged(Linear):
        def stages(self):
            return Stage(name="first"), Stage((Objective("larger"),), name="second")

        def larger(self, net, batch):
            return 100 + self.loss(net, batch)

    training = fit(Judged(), rows(), SEEDS, epochs=40, n_validation=20, patience=2, lr=0.15)
    first = np.array(training.history["first.validation"])
    second = np.array(training.history["second.validation"])
    assert len(first) < 40
    # The second stage begins where each replica was best, and its losses are larger than any before.
    kept = [len(first) + kept_by_rule(list(second[:, r]), 2) for r in range(3)]
    assert training.n_epochs == kept
    assert all(k > len(first) for k in kept)


def test_every_step_of_every_epoch_and_stage_has_noise_of_its_own():
    draws, pools = [], set()

    class Noisy(Linear):
        def networks(self, spec):
            return Networks(encoder=mlp(D, 2), decoder=mlp(2, D), noise=Noise()).double()

        def stages(self):
            return Stage(epochs=2, name="first"), Stage(epochs=2, name="second")

        def loss(self, net, batch):
            draws.append(float(net.noise.draw(1)))
            pools.add(float(net.noise.pool[0]))
            return super().loss(net, batch)

    fit(Noisy(), rows(), batch_size=20)
    assert len(set(draws)) == len(draws) == 4 * 3
    assert len(pools) == 4


def test_a_stage_of_no_epochs_is_passed_over():
    class Skipped(TwoStages):
        def stages(self):
            return (Stage((Objective(trains=("encoder",)),), epochs=0, name="none"), *super().stages())

    skipped, plain = fit(Skipped(), rows()), fit(TwoStages(), rows())
    assert "none.loss" not in skipped.history
    assert skipped.n_epochs == plain.n_epochs


def test_each_replica_keeps_its_best_epoch_while_the_others_go_on():
    settings = {"n_validation": 20, "patience": 3, "lr": 0.15}
    training = fit(Linear(), rows(), SEEDS, epochs=60, **settings)
    validation = np.array(training.history["fit.validation"])
    assert training.n_epochs == [kept_by_rule(list(validation[:, r]), 3) for r in range(3)]
    assert len(set(training.n_epochs)) > 1
    for r, kept in enumerate(training.n_epochs):
        until_then = fit(Linear(), rows(), SEEDS, epochs=kept, **settings)
        for name, tensor in training.replicas.stacked.items():
            assert torch.equal(tensor[r], until_then.replicas.stacked[name][r]), name


class Counting(Linear):
    """Counts epochs in a buffer, as a warm-up does, and in a vector that a hook replaces."""

    def networks(self, spec):
        return Networks(encoder=mlp(D, 2), decoder=mlp(2, D), count=torch.zeros(()), trace=torch.zeros(3)).double()

    def after_epoch(self, net, X, epoch):
        net.count.add_(1)
        net.trace = torch.full((3,), float(net.count), dtype=torch.float64)


@pytest.mark.parametrize("n_validation", [0, 20])
def test_state_moved_after_an_epoch_is_kept_with_that_epoch(n_validation):
    training = fit(Counting(), rows(), SEEDS, epochs=40, n_validation=n_validation, patience=2, lr=0.15)
    assert training.replicas.stacked["count"].tolist() == training.n_epochs
    assert training.replicas.stacked["trace"][:, 1].tolist() == training.n_epochs
    assert n_validation == 0 or max(training.n_epochs) < 40


def test_without_validation_rows_the_last_epoch_is_kept():
    training = fit(Linear(), rows(), SEEDS, epochs=5, n_validation=0)
    assert training.n_epochs == [5, 5, 5]
    assert set(training.history) == {"fit.loss"}
    assert np.shape(training.history["fit.loss"]) == (5, 3)


def test_the_history_is_the_mean_loss_over_the_rows():
    class Constant(Linear):
        def loss(self, net, batch):
            return super().loss(net, batch) * 0 + batch.mean(batch.x[..., 0])

    x = rows(23)
    training = fit(Constant(), x, SEEDS, batch_size=5, epochs=1)
    np.testing.assert_allclose(training.history["fit.loss"], [[float(x[:, 0].mean())] * 3], rtol=1e-6)


@pytest.mark.parametrize("execution", ["direct", "vmap", "loop"])
@pytest.mark.parametrize("n_validation", [0, 12])
def test_a_replica_that_diverges_is_set_back_and_leaves_the_others_as_they_were(execution, n_validation):
    settings = {"epochs": 6, "n_validation": n_validation, "clip_norm": 1.0}
    undisturbed = fit(Exploding((False,) * 3, 3, execution), rows(), SEEDS, **settings)
    with pytest.warns(WhitecrowWarning, match="replica 1 diverged"):
        training = fit(Exploding((False, True, False), 3, execution), rows(), SEEDS, **settings)
    assert training.diverged == [False, True, False]
    until_then = fit(Exploding((False,) * 3, 3, execution), rows(), SEEDS, **{**settings, "epochs": 3})
    assert training.n_epochs[1] == until_then.n_epochs[1] <= 3
    for name, tensor in training.replicas.stacked.items():
        for r in (0, 2):
            assert torch.equal(tensor[r], undisturbed.replicas.stacked[name][r]), name
        if name != "flag":
            assert torch.equal(tensor[1], until_then.replicas.stacked[name][1]), name


def test_a_replica_that_diverged_stays_frozen_in_later_stages():
    class Staged(Exploding):
        def stages(self):
            return Stage(epochs=3, name="first"), Stage(epochs=2, name="second")

    with pytest.warns(WhitecrowWarning, match="replica 0 diverged") as caught:
        training = fit(Staged((True, False), 1), rows(), SEEDS[:2])
    assert len(caught) == 1
    assert training.n_epochs == [1, 5]
    assert all(t.isfinite().all() for t in training.replicas.stacked.values() if t.is_floating_point())


def test_a_replica_that_stopped_and_then_diverges_is_not_called_diverged():
    class Stopping(Exploding):
        def loss(self, net, batch):
            value = super().loss(net, batch)
            # On validation rows the flagged replica never gets better than after its first epoch.
            return value if net.training else value + 1e3 * (net.flag * net.count).reshape(value.shape)

    training = fit(Stopping((False, True), 5), rows(), SEEDS[:2], epochs=9, n_validation=12, patience=2)
    assert training.diverged == [False, False]
    assert training.n_epochs[1] == 1
    assert training.n_epochs[0] > 5


def test_if_every_replica_diverges_at_once_the_fit_says_so():
    with pytest.raises(TrainingError, match=r"Lower lr \(now 0\.01\)"):
        fit(Exploding((True, True), 0), rows(), SEEDS[:2])


def test_a_validation_loss_that_is_not_finite_is_a_divergence():
    class Overflowing(Linear):
        def loss(self, net, batch):
            value = super().loss(net, batch)
            return value if net.training else value * math.inf

    with pytest.raises(TrainingError):
        fit(Overflowing(), rows(), SEEDS, n_validation=12)


def test_the_global_generators_and_the_number_of_threads_are_left_alone():
    torch.set_num_threads(2)
    try:
        torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
        fit(Everything(), rows(), SEEDS, n_validation=9)
        with pytest.raises(TrainingError):
            fit(Exploding((True,), 0), rows())
        assert torch.equal(torch.get_rng_state(), torch_state)
        assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # noqa: NPY002
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_the_same_seeds_give_the_same_fit_and_others_another():
    assert_equal(fit(Everything(), rows(), SEEDS), fit(Everything(), rows(), SEEDS))
    other = fit(Everything(), rows(), (3, 11, 9))
    weight = fit(Everything(), rows(), SEEDS).replicas.stacked["encoder.weight0"]
    assert not torch.equal(other.replicas.stacked["encoder.weight0"][2], weight[2])


def test_tied_weights_are_one_parameter_that_is_trained():
    class Tied(Method):
        def networks(self, spec):
            net = Networks(encoder=mlp(D, D, bias=False), decoder=mlp(D, D, bias=False)).double()
            net.decoder.weight0 = net.encoder.weight0
            return net

        def loss(self, net, batch):
            return batch.mean(squared_error(batch.x, net.decoder(net.encoder(batch.x))))

    start = fit(Tied(), rows(), SEEDS, epochs=0)
    for execution in ("direct", "vmap", "loop"):
        method = Tied()
        method.execution = execution
        training = fit(method, rows(), SEEDS)
        assert training.replicas.trainable == ["encoder.weight0"]
        for r, seed in enumerate(SEEDS):
            net = training.replicas.replica(r)
            assert net.encoder.weight0 is net.decoder.weight0
            alone = fit(Tied(), rows(), [seed]).replicas.replica(0)
            torch.testing.assert_close(net.decoder.weight0, alone.decoder.weight0)
            assert not torch.equal(net.decoder.weight0, start.replicas.replica(r).decoder.weight0)


@pytest.mark.parametrize("n_replicas", [1, 2])
def test_a_hook_may_replace_a_parameter_and_training_goes_on_with_it(n_replicas):
    class Replacing(Linear):
        def after_epoch(self, net, X, epoch):
            if epoch == 0:
                net.encoder.weight0 = torch.nn.Parameter(torch.ones_like(net.encoder.weight0))

    once = fit(Replacing(), rows(), SEEDS[:n_replicas], epochs=1).replicas.stacked["encoder.weight0"]
    assert once.eq(1).all()
    later = fit(Replacing(), rows(), SEEDS[:n_replicas], epochs=3).replicas.stacked["encoder.weight0"]
    assert 0 < (later - 1).abs().max() < 1


def test_a_hook_that_changes_a_shape_or_adds_a_tensor_is_told_to_declare_it():
    class Reshaping(Counting):
        def after_epoch(self, net, X, epoch):
            net.trace = torch.zeros(5)

    class Adding(Linear):
        def finish(self, net, X):
            net.register_buffer("mixture", torch.zeros(2))

    with pytest.raises(TypeError, match=r"'trace'.*declares shape"):
        fit(Reshaping(), rows())
    with pytest.raises(TypeError, match=r"'mixture'.*declares nothing"):
        fit(Adding(), rows())


def test_a_loss_that_mixes_the_replicas_is_refused():
    class Mixing(Linear):
        def loss(self, net, batch):
            return squared_error(batch.x, net.decoder(net.encoder(batch.x))).mean()

    with pytest.raises(TypeError, match="one number per replica"):
        fit(Mixing(), rows(), SEEDS)
