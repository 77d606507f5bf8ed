"""Adam on many tensors at once, with gradients clipped per replica."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from whitecrow.train.plan import Objective, Schedule
from whitecrow.train.replicas import Replicas

__all__ = ["Adam"]

_LANES = 16  # numbers that the kernel takes at once; what is left over it rounds otherwise


class Adam:
    """Adam (Kingma and Ba, ICLR 2015) for the members that one objective trains, all replicas in one call.

    Parameters
    ----------
    replicas : Replicas
        Owner of the parameters.
    objective : Objective
        Names what is trained, and may set its own learning rate and decay rates.
    lr, weight_decay : float
        Learning rate, and the factor of an L2 penalty that is added to the gradient.
    clip_norm : float or None
        Largest norm of a replica's whole gradient.
    schedule : {"constant", "cosine"}
        Whether the rate stays, or falls to zero along half a cosine over ``n_steps``.
    n_steps : int
        Planned steps of the stage.
    """

    def __init__(
        self,
        replicas: Replicas,
        objective: Objective,
        *,
        lr: float,
        weight_decay: float,
        clip_norm: float | None,
        schedule: Schedule,
        n_steps: int,
    ) -> None:
        self.objective = objective
        self.leaves = replicas.leaves(objective.trains)
        self._replicas = replicas
        self._lr = lr if objective.lr is None else objective.lr
        self._weight_decay, self._clip_norm = weight_decay, clip_norm
        self._schedule, self._n_steps = schedule, max(n_steps, 1)
        self._first = [torch.zeros_like(leaf) for leaf in self.leaves]
        self._second = [torch.zeros_like(leaf) for leaf in self.leaves]
        self._step = torch.zeros((), device=self.leaves[0].device)
        self._steps = 0
        # A replica's numbers must not round otherwise because of where they lie among those of the others.
        alone = 1 if replicas.execution == "loop" else replicas.n
        self._padded = {i: _Padded(leaf, alone) for i, leaf in enumerate(self.leaves) if leaf.numel() // alone % _LANES}
        for i, padded in self._padded.items():
            self._first[i], self._second[i] = padded.first, padded.second

    def state(self, prefix: str) -> dict[str, Tensor]:
        """Return the moments and the step count as named tensors (not copies)."""
        moments = {"first": self._first, "second": self._second}
        named = {f"{prefix}.{kind}.{i}": t for kind, ts in moments.items() for i, t in enumerate(ts)}
        return {**named, f"{prefix}.step": self._step}

    def load(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` returned."""
        for name, tensor in self.state(prefix).items():
            tensor.copy_(tensors[name])
        self._steps = int(self._step)

    @torch.no_grad()
    def step(self, grads: Sequence[Tensor]) -> None:
        """Move the parameters against their gradients, one tensor per leaf."""
        if self._clip_norm is not None:
            norms = self._replicas.square_norms(grads).sqrt()
            grads = self._replicas.scale(grads, (self._clip_norm / norms.clamp_min(1e-12)).clamp_max(1.0))
        lr = self._lr
        if self._schedule == "cosine":
            lr *= 0.5 * (1 + math.cos(math.pi * min(self._steps / self._n_steps, 1.0)))
        self._steps += 1
        self._step.add_(1)
        beta1, beta2 = self.objective.betas
        # It reads memory in order, and automatic differentiation may return a transposed gradient.
        columns = [list(self.leaves), [g.contiguous() for g in grads], list(self._first), list(self._second)]
        leaves, copies = [self.leaves[i] for i in self._padded], [p.parameter for p in self._padded.values()]
        if copies:
            gradients = [p.gradient for p in self._padded.values()]
            torch._foreach_copy_([*copies, *gradients], [*leaves, *(grads[i] for i in self._padded)])  # pyright: ignore[reportPrivateImportUsage]
            for i, padded in self._padded.items():
                for column, tensor in zip(columns, padded.lanes, strict=True):
                    column[i] = tensor
        # The kernel behind torch.optim.Adam(fused=True), without the optimiser's bookkeeping per step.
        torch._fused_adam_(  # type: ignore[attr-defined]
            *columns,
            [],
            [self._step] * len(self.leaves),
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=self._weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )
        if copies:
            torch._foreach_copy_(leaves, copies)  # pyright: ignore[reportPrivateImportUsage]


class _Padded:
    """Copies of a parameter and its gradient, and its moments, in ``lanes`` that each replica fills whole.

    ``parameter``, ``gradient``, ``first`` and ``second`` are views of the lanes, in the shape of the leaf.
    """

    def __init__(self, leaf: Tensor, n_replicas: int) -> None:
        n = leaf.numel() // n_replicas
        lanes = leaf.new_zeros(4, n_replicas, -(-n // _LANES) * _LANES)
        self.lanes = lanes.unbind()
        self.parameter, self.gradient, self.first, self.second = lanes[..., :n].view(4, *leaf.shape).unbind()
