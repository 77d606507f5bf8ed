"""R replicas of one method's networks, and the three ways to run them with one result."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import reduce
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from whitecrow.core.spec import InputSpec
from whitecrow.nn import Networks, Noise, derive_seed, seeded
from whitecrow.nn.noise import fill
from whitecrow.train.plan import Batch

__all__ = ["Execution", "Replicas"]

Execution = Literal["direct", "vmap", "loop"]

# Layers of torch that know no replica axis: recurrent ones cannot run under vmap, batch normalisation writes to its
# buffers, and a convolution computes so much that replicas gain nothing from sharing a call.
_FOREIGN = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.RNNBase)


class Replicas:
    """The stacked tensors ``[R, ...]`` of R replicas, which train and score without seeing one another.

    Parameters
    ----------
    template : Networks
        The structure of one replica; its tensors are not used.
    stacked : dict of str to Tensor [R, ...]
        The tensors of all replicas by their names in the structure.
    execution : {"direct", "vmap", "loop"}
        How several replicas run; a single one always runs directly. *direct*: the method's lines on stacked tensors;
        *vmap*: ``torch.func.vmap`` over them; *loop*: one replica after the other, as convolutions, batch
        normalisation and recurrent layers do in any case.

    Attributes
    ----------
    n : int
        Number of replicas R.
    foreign : bool
        Whether there are layers that run one replica after the other in any case.

    Notes
    -----
    The stacked tensors are the only storage. The networks that run, and those that :meth:`replica` hands out, are
    views of it, so what one of them writes in place, all see.
    """

    def __init__(self, template: Networks, stacked: dict[str, Tensor], execution: Execution = "vmap") -> None:
        self.n = len(next(iter(stacked.values())))
        self.foreign = any(isinstance(module, _FOREIGN) for module in template.modules())
        self.execution: Execution = "direct" if self.n == 1 else "loop" if self.foreign else execution
        self.stacked = stacked
        self.trainable = [name for name, p in template.named_parameters() if p.requires_grad]
        self._template = template
        self._views = [self._view(r) for r in range(self.n)]
        self._net = self._running()
        # A hook may put another tensor in the place of one that the optimiser holds; gather puts these back.
        self._originals = [dict(view.tensors()) for view in self._views]
        running = self._views if self.execution == "loop" else [self._net]
        self._running_parameters = [p for net in running for p in net.parameters()]
        self._noises = {
            name: [cast(Noise, net.get_submodule(name)) for net in (self._net, *self._views)]
            for name, module in template.named_modules()
            if isinstance(module, Noise)
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._template, self.stacked, self.execution)

    @classmethod
    def build(
        cls,
        networks: Callable[[InputSpec], Networks],
        spec: InputSpec,
        seeds: Sequence[int],
        execution: Execution,
        device: torch.device | str = "cpu",
    ) -> "Replicas":
        """Initialise one replica per seed; each is what a solo fit with that seed starts from."""
        replicas = []
        for seed in seeds:
            with seeded(derive_seed(seed, "networks")):
                replicas.append(networks(spec).to(device))
        return cls.stack(replicas, execution)

    @classmethod
    def stack(cls, replicas: Sequence[Networks], execution: Execution = "vmap") -> "Replicas":
        """Stack the tensors of networks of one structure."""
        tensors = [dict(net.tensors()) for net in replicas]
        stacked = {name: torch.stack([t[name].detach() for t in tensors]) for name in tensors[0]}
        return cls(deepcopy(replicas[0]), stacked, execution)

    def _view(self, r: int) -> Networks:
        net = deepcopy(self._template)
        net.swap_all({name: tensor[r] for name, tensor in self.stacked.items()})
        return net

    def _running(self) -> Networks:
        """Return the networks that a step runs on: replica 0 itself, or the stacked ones."""
        if self.n == 1:
            return self._views[0]
        net = deepcopy(self._template)
        net.swap_all(self.stacked)
        return net.mark_stacked() if self.execution == "direct" else net

    def replica(self, r: int) -> Networks:
        """Return replica ``r`` as networks of its own, whose tensors are views of the stacked ones."""
        return self._views[r]

    @torch.no_grad()
    def gather(self, r: int) -> None:
        """Take over tensors of replica ``r`` that a hook has replaced instead of written in place.

        Raises
        ------
        TypeError
            If a hook has added a tensor, or changed the shape of one.
        """
        for name, tensor in list(self._views[r].tensors()):
            home, original = self.stacked.get(name), self._originals[r].get(name)
            if home is None or original is None or tensor.shape != home.shape[1:]:
                declared = "nothing" if home is None else f"shape {tuple(home.shape[1:])}"
                raise TypeError(
                    f"A hook set the tensor {name!r} to shape {tuple(tensor.shape)}, where networks(spec) "
                    f"declares {declared}. Declare each tensor there with its final shape."
                )
            if tensor is not original or tensor.data_ptr() != home[r].data_ptr():
                home[r].copy_(tensor)
                original.data = home[r]
                self._views[r].swap(name, original)

    def train(self, mode: bool = True) -> None:
        """Put every network into training mode, or into evaluation mode."""
        for net in (self._net, *self._views):
            net.train(mode)

    def settle(self, to_come: Sequence[frozenset[str] | None]) -> None:
        """Keep the statistics of batch normalisation in members that no stage to come trains (None: all of them)."""
        trained = [members for members in to_come if members is not None]
        if len(trained) < len(to_come):
            return
        still = frozenset().union(*trained)
        for net in (self._net, *self._views):
            for name, module in net.named_modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm) and name.split(".")[0] not in still:
                    module.eval()

    def leaves(self, members: Iterable[str]) -> list[Tensor]:
        """Return the tensors to differentiate for the named members (all, if there are none)."""
        chosen = tuple(members)
        names = [n for n in self.trainable if not chosen or n.split(".")[0] in chosen]
        nets = self._views if self.execution == "loop" else [self._net]
        parameters = [dict(net.named_parameters()) for net in nets]
        return [p[name] for p in parameters for name in names]

    def freeze_all_but(self, leaves: list[Tensor]) -> None:
        """Let gradients flow to these tensors only."""
        chosen = {id(leaf) for leaf in leaves}
        for parameter in self._running_parameters:
            wanted = id(parameter) in chosen
            if parameter.requires_grad != wanted:
                parameter.requires_grad_(wanted)

    def square_norms(self, grads: Sequence[Tensor]) -> Tensor:
        """Return the squared norm of the whole gradient of each replica, ``[R]``."""
        # Added one after the other, so that the order does not depend on how many replicas there are.
        if self.execution == "loop":
            per_replica = len(grads) // self.n
            parts = [torch.stack([g.square().sum() for g in grads[i::per_replica]]) for i in range(per_replica)]
        else:
            parts = [g.reshape(self.n, -1).square().sum(1) for g in grads]
        return reduce(torch.add, parts)

    def scale(self, grads: Sequence[Tensor], factors: Tensor) -> list[Tensor]:
        """Return each replica's gradient times its factor ``[R]``."""
        # Not in place: two leaves may have got the same gradient tensor, or one that is expanded.
        if self.n == 1:
            return [g * factors[0] for g in grads]
        if self.execution == "loop":
            per_replica = len(grads) // self.n
            return [g * factors[i // per_replica] for i, g in enumerate(grads)]
        return [g * factors.reshape(-1, *[1] * (g.dim() - 1)) for g in grads]

    def gradient(
        self, hook: Callable[[Networks, Batch], tuple[Tensor, dict[Tensor, Tensor]] | None], batch: Batch
    ) -> tuple[Tensor, dict[Tensor, Tensor]] | None:
        """Return the losses and the gradient that a method writes out by hand, for replicas that run directly."""
        return hook(self._net, batch)

    def losses(self, loss: Callable[[Networks, Batch], Tensor], batch: Batch) -> Tensor:
        """Return the loss of each replica, ``[R]`` (``[]`` for one), for a batch ``[R, B, ...]`` (``[B, ...]``)."""
        if self.execution == "direct":
            values = loss(self._net, batch)
        else:
            values = self._map(lambda net, x, y, w: loss(net, Batch(x, y, w)), batch.x, batch.y, batch.weight)
        if values.dim() != (self.n > 1):
            raise TypeError(
                f"The loss of {self.n} replicas has shape {tuple(values.shape)}; it must be one number per "
                "replica. Reduce over features with .sum(-1) and over rows with batch.mean."
            )
        return values

    def scores(self, score: Callable[[Networks, Tensor], Tensor], x: Tensor) -> Tensor:
        """Return the scores ``[R, B]`` of rows ``[B, ...]`` under each replica."""
        return self.own_scores(score, x.expand(self.n, *x.shape))

    def own_scores(self, score: Callable[[Networks, Tensor], Tensor], x: Tensor) -> Tensor:
        """Return the scores ``[R, B]`` of each replica's own rows ``[R, B, ...]``."""
        if self.n == 1:
            return score(self._net, x[0]).unsqueeze(0)
        return score(self._net, x) if self.execution == "direct" else self._map(score, x)

    def copy(self) -> "Replicas":
        """Return these replicas with tensors of their own."""
        return Replicas(self._template, self.snapshot(), self.execution)

    def take(self, r: int) -> "Replicas":
        """Return replica ``r`` alone, with tensors of its own."""
        return Replicas(self._template, {name: t[r : r + 1].clone() for name, t in self.stacked.items()})

    def _map(self, function: Callable[..., Tensor], *rows: Tensor | None) -> Tensor:
        if self.execution == "loop":
            return torch.stack(
                [function(net, *(t if t is None else t[r] for t in rows)) for r, net in enumerate(self._views)]
            )
        state = dict(self._net.tensors())

        def one(tensors: dict[str, Tensor], *arguments: Tensor | None) -> Any:
            return functional_call(self._net, tensors, (function, *arguments))

        return vmap(one, in_dims=(0, *(None if t is None else 0 for t in rows)), randomness="error")(state, *rows)

    def draw_noise(self, *counters: int | str) -> None:
        """Refill every pool of noise for these counters (an epoch of a stage, or scoring)."""
        for name, modules in self._noises.items():
            distribution = modules[0].distribution
            fill(self.stacked[f"{name}.key"], self.stacked[f"{name}.pool"], distribution, *counters)

    def seek_noise(self, step: int) -> None:
        """Place the noise of optimiser step ``step``."""
        for modules in self._noises.values():
            for module in modules:
                module.seek(step)

    def snapshot(self) -> dict[str, Tensor]:
        """Return a copy of the stacked tensors."""
        return {name: tensor.clone() for name, tensor in self.stacked.items()}

    @torch.no_grad()
    def restore(self, snapshot: dict[str, Tensor], chosen: Tensor | None = None) -> None:
        """Put a snapshot back, for all replicas or for those chosen (bool ``[R]``)."""
        for name, tensor in self.stacked.items():
            if chosen is None:
                tensor.copy_(snapshot[name])
            else:
                tensor[chosen] = snapshot[name][chosen]

    def finite(self) -> Tensor:
        """Return whether every number of each replica is finite, bool ``[R]``."""
        # x - x is nan where x is not finite: one pass, where torch.isfinite takes several.
        sums = [(t - t).reshape(self.n, -1).sum(1) for t in self.stacked.values() if t.is_floating_point()]
        return (torch.stack(sums) == 0).all(0) if sums else torch.ones(self.n, dtype=torch.bool)
