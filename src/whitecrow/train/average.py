"""A moving average of the parameters over the steps of a stage."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from whitecrow.train.replicas import Replicas

__all__ = ["MovingAverage"]


class MovingAverage:
    r"""Exponential moving average of every trained parameter, corrected for its start at zero.

    .. math:: \bar\theta_t = \frac{1 - \beta}{1 - \beta^t} \sum_{s=1}^{t} \beta^{t-s} \theta_s

    Parameters
    ----------
    replicas : Replicas
        Owner of the parameters.
    decay : float from 0 to 1 (excluded)
        :math:`\beta`.
    """

    def __init__(self, replicas: Replicas, decay: float, members: frozenset[str] | None = None) -> None:
        self._decay = decay
        # What the stage does not train is left alone: its average would differ from it by rounding.
        names = [n for n in replicas.trainable if members is None or n.split(".")[0] in members]
        self._parameters = [replicas.stacked[name] for name in names]
        self._sums = [torch.zeros_like(p) for p in self._parameters]
        self._step = torch.zeros((), dtype=torch.int64)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as an optimiser step has left them."""
        for total, parameter in zip(self._sums, self._parameters, strict=True):
            total.lerp_(parameter, 1 - self._decay)
        self._step += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages in the place of the parameters inside the block."""
        moving = [p.clone() for p in self._parameters]
        correction = 1 - self._decay ** int(self._step)
        for parameter, total in zip(self._parameters, self._sums, strict=True):
            parameter.copy_(total / correction)
        try:
            yield
        finally:
            for parameter, value in zip(self._parameters, moving, strict=True):
                parameter.copy_(value)

    def state(self) -> dict[str, Tensor]:
        """Return the sums and the step count as named tensors (not copies)."""
        return {"average.step": self._step, **{f"average.{i}": t for i, t in enumerate(self._sums)}}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` returned."""
        for name, tensor in self.state().items():
            tensor.copy_(tensors[name])
