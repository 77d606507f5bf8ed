"""Small methods that use every part of the engine."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from whitecrow.core.spec import InputSpec
from whitecrow.nn import Networks, Noise, mlp, squared_error
from whitecrow.train import Batch, Execution, Objective, Stage, Training, train
from whitecrow.train.engine import Settings
from whitecrow.train.plan import idle

D = 4


def rows(n: int = 60, seed: int = 0) -> Tensor:
    """Return correlated rows ``[n, D]`` in float64; the first column counts them."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return torch.cat([torch.arange(n).double().unsqueeze(1) / n, x, x.sum(1, keepdim=True)], 1)


class Method:
    """Hooks that do nothing."""

    execution: ClassVar[Execution] = "direct"
    uses_labels: ClassVar[bool] = False

    def networks(self, spec: InputSpec) -> Networks:
        raise NotImplementedError

    def stages(self) -> Sequence[Stage]:
        return (Stage(),)

    @idle
    def gradient(self, net: Networks, batch: Batch) -> tuple[Tensor, dict[Tensor, Tensor]] | None:
        return None

    @idle
    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        pass

    @idle
    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> Tensor | None:
        return None

    @idle
    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        return {}

    @idle
    def finish(self, net: Networks, X: Tensor) -> None:
        pass

    def row_losses(self, net: Networks, x: Tensor) -> Tensor:
        raise NotImplementedError


class Linear(Method):
    """A linear autoencoder."""

    def networks(self, spec: InputSpec) -> Networks:
        return Networks(encoder=mlp(D, 2), decoder=mlp(2, D)).double()

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        return batch.mean(squared_error(batch.x, net.decoder(net.encoder(batch.x))))


class Exploding(Linear):
    """Its training loss turns to nan for the replica whose flag is set, from a given epoch on."""

    def __init__(self, explode: tuple[bool, ...], epoch: int, execution: str = "direct") -> None:
        self.explode, self.epoch, self.execution = list(explode), epoch, execution

    def networks(self, spec):
        flag = float(self.explode.pop(0))
        return Networks(encoder=mlp(D, 2), decoder=mlp(2, D), flag=torch.tensor(flag), count=torch.zeros(())).double()

    def loss(self, net, batch):
        error = squared_error(batch.x, net.decoder(net.encoder(batch.x)))
        wrong = torch.where((net.flag > 0) & (net.count >= self.epoch), math.nan, 1.0)
        return batch.mean(error * wrong if net.training else error)

    def after_epoch(self, net, X, epoch):
        assert all(t.isfinite().all() for _, t in net.tensors()), "a hook met numbers that are not finite"
        net.count.add_(1)


class Everything(Method):
    """Dropout, noise, spectral norm, balanced labels, stages, objectives, averages, state that moves after epochs."""

    uses_labels: ClassVar[bool] = True

    def networks(self, spec: InputSpec) -> Networks:
        return Networks(
            encoder=mlp(D, 6, 2, activation="tanh", dropout=0.2),
            decoder=mlp(2, 6, D, activation="elu"),
            critic=mlp(2, 4, 1, activation="leaky-relu", spectral=True),
            offset=nn.Parameter(torch.zeros(())),
            noise=Noise(),
            centre=torch.zeros(2),
            beta=torch.zeros(()),
            level=torch.ones(D),
        ).double()

    def stages(self) -> Sequence[Stage]:
        coder = ("encoder", "decoder")
        warm_up = Stage((Objective("reconstruct", coder),), epochs=2, name="warm-up", early_stop=False)
        critic = Objective("criticise", ("critic", "offset"), lr=3e-3, betas=(0.5, 0.9))
        return warm_up, Stage((Objective("loss", coder), critic), average=0.9, balanced=True)

    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        net.centre = net.encoder(X).mean(0) + 0.01 * net.noise.draw(2)

    def reconstruct(self, net: Networks, batch: Batch) -> Tensor:
        return batch.mean(squared_error(batch.x, net.decoder(net.encoder(batch.x))))

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        z = net.encoder(batch.x)
        z = z + 0.1 * net.noise.like(z)
        error = squared_error(batch.x, net.decoder(z)) + net.beta * (z - net.centre).square().sum(-1)
        assert batch.y is not None
        sign = torch.where(batch.y == 1, -0.1, 1.0)
        return batch.mean(sign * error + 0.1 * net.critic(z).squeeze(-1))

    def criticise(self, net: Networks, batch: Batch) -> Tensor:
        z = net.encoder(batch.x)
        return batch.mean((net.critic(z).squeeze(-1) - z.sum(-1) + net.offset).square())

    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> Tensor | None:
        net.beta.add_(0.1)
        z = net.encoder(X)
        net.centre.mul_(0.9).add_(0.1 * z.mean(0))
        return torch.exp(-squared_error(X, net.decoder(z))) if epoch % 2 == 0 else None

    def row_losses(self, net: Networks, x: Tensor) -> Tensor:
        return squared_error(x, net.decoder(net.encoder(x)))

    def finish(self, net: Networks, X: Tensor) -> None:
        net.level.copy_((X - net.decoder(net.encoder(X))).square().mean(0))


def fit(method: Method, x: Tensor, seeds: Sequence[int] = (3,), checkpoint=None, **settings) -> Training:
    """Train on rows of which every seventh is labelled an anomaly."""
    given = {"epochs": 4, "batch_size": 9, "lr": 1e-2, **settings}
    y = (torch.arange(len(x)) % 7 == 0).long()
    spec = InputSpec("table", (x.shape[1],))
    return train(method, x, y, spec=spec, seeds=seeds, settings=Settings(**given), checkpoint=checkpoint)


def assert_equal(one: Training, other: Training) -> None:
    """Fail unless two fits agree bit for bit."""
    torch.testing.assert_close(one.replicas.stacked, other.replicas.stacked, rtol=0, atol=0)
    assert (one.history, one.n_epochs, one.diverged) == (other.history, other.n_epochs, other.diverged)
